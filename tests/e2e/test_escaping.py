"""Names, contents, owners, processes and files that try to be escape sequences or markup, on a terminal."""

import re
import sys
from pathlib import Path

import pytest

from tests.e2e.forms import all_forms, own_shm, script_argv
from tests.e2e.terminal import Terminal, without_styles
from tests.support import path_of, shmctl_argv

pytestmark = pytest.mark.needs_root

# Blinking on red; a title; a C1 control; what reorders a line; markup that holds, that fails; an emoji.
SEQUENCES = "\x1b[5;7;41mE\x1b]0;pwned\x07\u009b31m\u202e"
MARKUP = "[red]M[link=x]"
FAILING = "[\\nonsense]"
EMOJI = ":smile:"
EVIL = SEQUENCES + MARKUP + FAILING + EMOJI
# What no renderer of ours writes by itself.
FORBIDDEN = [b"\x1b[5", b"\x1b]", b"\x07", b"\xc2\x9b", "\u202e".encode(), "😄".encode()]

# Runs each form, twice, the second time traced; each one's output follows a line with its words.
RUN_ALL = r"""
import pwd

forms, evil, folder = map(json.loads, sys.argv[1:])

with open(f"/proc/self/comm", "wb") as file:
    file.write(evil[:14].encode() + b"\xff")

def restore():
    for name in (evil, "sem." + evil):
        with open("/dev/shm/" + name, "wb") as file:
            file.write(b"\1\0\0\0" + bytes(28) if name.startswith("sem.") else evil.encode())
        os.chown("/dev/shm/" + name, 4242, 4242)

os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
restore()
held = os.open("/dev/shm/" + evil, os.O_RDONLY)
gone = os.open("/dev/shm/gone" + evil, os.O_RDWR | os.O_CREAT)
os.unlink("/dev/shm/gone" + evil)
os.makedirs("/dev/shm/d" + evil)
if not os.fork():
    # What is left holds both, under the name and the arguments that were given above.
    while os.getppid() != 1 and not os.path.exists(folder + "/end"):
        import time
        time.sleep(0.05)
    os._exit(0)
os.close(held)
os.close(gone)
with open(folder + "/script", "w") as script:
    script.write(f"read '{evil}'\nnonsense '{evil}'\n")
meant = {"SEM": evil, "FILE": folder + "/" + evil, "SCRIPT": folder + "/script"}

# mv last: it takes the name from the object that is held.
for form in sorted(forms, key=lambda form: form[0] == "mv"):
    if form[0] in ("rm", "unlink", "gc") or form[:2] == ["sem", "unlink"] or "--replace" in form:
        if not ("-n" in form or form == ["gc", "--min-age", "0"]):
            continue
    args = [meant.get(word, word.replace("NAME", evil)) for word in form]
    for before in ([], ["--trace"]):
        restore()
        sys.stdout.write("\n@@ " + " ".join(before + form) + "\n")
        sys.stdout.flush()
        status = run_form(before + args)
        sys.stderr.flush()
        assert status in (0, 1, 2, 124), (status, form)
sys.stdout.write("\n@@ \n")
"""


@pytest.fixture
def evil_host(tmp_path: Path) -> str:
    """Shell commands that give user and group 4242 a name like that."""
    for database, line in (("passwd", "{}:x:4242:4242::/:/bin/sh\n"), ("group", "{}:x:4242:\n")):
        name = (SEQUENCES + MARKUP + FAILING).replace(":", "")
        text = Path(f"/etc/{database}").read_text() + line.format(name)
        (tmp_path / database).write_text(text)
    return f"mount --bind {tmp_path}/passwd /etc/passwd && mount --bind {tmp_path}/group /etc/group"


def shown_by(terminal: Terminal) -> dict[str, bytes]:
    """What each form has shown."""
    result = terminal.end()
    assert result.status == 0, result.out[-3000:].decode(errors="replace")
    pieces = re.split(rb"\r?\n@@ (.*)\r?\n", result.out)
    return {words.decode().strip(): shown for words, shown in zip(pieces[1::2], pieces[2::2], strict=True)}


def families(folder: Path, text: str) -> dict[str, str]:
    """The environment with this families file."""
    (folder / "shmctl").mkdir()
    (folder / "shmctl" / "families.toml").write_text(text)
    return {"XDG_CONFIG_HOME": str(folder), "LC_ALL": "C.UTF-8"}


def toml_string(text: str) -> str:
    return '"' + "".join(f"\\u{ord(c):04x}" if c < " " or c in '\\"\x7f' else c for c in text) + '"'


def is_clean(shown: bytes) -> None:
    for sequence in FORBIDDEN:
        assert sequence not in shown, shown
    rest = without_styles(shown).decode()
    assert all(c.isprintable() or c == "\n" for c in rest), rest


SHOW_A_NAME = ("ls", "stat", "holders", "leaks", "sem ls", "rm -n", "chmod", "chown", "truncate")


def test_every_command(tmp_path: Path, evil_host: str) -> None:
    """Nothing of it reaches the terminal, and markup is shown as what it is, by every command."""
    software = toml_string(EVIL)
    env = families(
        tmp_path, f"[[family]]\nsoftware = {software}\nmatch = ['(?s).*E.*']\nlifetime = 'persistent'\n"
    )
    argv = own_shm(script_argv(RUN_ALL, all_forms(), EVIL, str(tmp_path)), evil_host)
    with Terminal(argv, 400, env) as terminal:
        shown = shown_by(terminal)
    (tmp_path / "end").touch()
    assert len(shown) > 100
    for form, text in shown.items():
        is_clean(text)
        if form.startswith(
            ("ls", "stat", "holders", "leaks", "sem ls", "rm -n", "chmod", "chown", "truncate")
        ):
            assert MARKUP.encode() in text, (form, text)
    assert EMOJI.encode() in shown["ls"]
    assert b"pwned" in shown["ls -a -o +path,verdict,holders,software --no-headings"]
    # Its owner, its holder and its software are shown, and so have been looked at.
    assert shown["ls"].count(MARKUP.encode()) >= 3
    assert rb"\x1b[5;7;41mE" in shown["holders NAME"].partition(b"COMMAND")[2]
    assert shown["leaks"].count(MARKUP.encode()) >= 2
    assert rb"unlinked:/gone\x1b" in shown["df"]
    assert re.search(rb"by-owner +\\x1b", without_styles(shown["df"]))
    assert rb"\x1b" in shown["stat NAME -f %n %N %U %G %m %F"]
    assert rb"\33[5;7;41mE" in shown["--trace read NAME --hex"]


BROKEN = [
    "[[family]]\n{} = 1\n",
    "[[family]]\nsoftware = 'x'\nlifetime = {}\nmatch = ['x']\n",
    "[[family]]\nsoftware = 'x'\nlifetime = 'users'\nmatch = [{}]\n",
    "{} = 1\n",
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_families_file_that_makes_no_sense(tmp_path: Path, text: str) -> None:
    env = families(tmp_path, text.replace("{}", toml_string(EVIL + "(?P<[")))
    with Terminal([sys.executable, "-m", "shmctl", "leaks"], 400, env) as terminal:
        result = terminal.end()
    assert result.status == 2, result
    is_clean(result.out)
    assert MARKUP.encode() in result.out


USAGE = [
    ["EVIL"],
    ["--EVIL"],
    ["--color", "EVIL", "ls"],
    ["--target", "EVIL", "ls"],
    ["create", "x", "--size", "EVIL"],
    ["create", "x", "--mode", "EVIL"],
    ["create", "x/EVIL"],
    ["write", "x", "--type", "EVIL", "1"],
    ["write", "x", "--type", "int8", "EVIL"],
    ["write", "x", "--hex", "EVIL"],
    ["write", "x", "--fill", "EVIL"],
    ["write", "x", "--struct", "int EVIL;", "x=1"],
    ["write", "x", "--struct", "int x;", "EVIL=1"],
    ["write", "x", "--struct", "int x;", "x=EVIL"],
    ["write", "x", "--create", "-i", "EVIL"],
    ["read", "x", "--header", "EVIL", "--struct", "x"],
    ["read", "x", "--header", "HEADER", "--struct", "x"],
    ["ls", "--sort", "EVIL"],
    ["ls", "--owner", "EVIL"],
    ["stat", "x", "-f", "%nEVIL%Q"],
    ["chown", "EVIL", "x"],
    ["chmod", "EVIL", "x"],
    ["wait", "x", "--type", "int8", "EVIL"],
    ["wait", "x", "--timeout", "EVIL"],
    ["leaks", "--min-age", "EVIL"],
    ["run", "--", "EVIL"],
]


def test_usage_errors(tmp_path: Path) -> None:
    """What was typed, or a script has passed on, is shown safely in messages, too; so is a header's text."""
    (tmp_path / "evil.h").write_text(f"#error {EVIL}\n")
    evil = EVIL.replace("/", "")
    script = """
folder, usage, evil = map(json.loads, sys.argv[1:])
for words in usage:
    status = run_form([word.replace("EVIL", evil).replace("HEADER", folder + "/evil.h") for word in words])
    assert status in (1, 2, 127), (status, words)
"""
    argv = own_shm(script_argv(script, str(tmp_path), USAGE, evil))
    with Terminal(argv, 400, {"LC_ALL": "C.UTF-8"}) as terminal:
        result = terminal.end()
    assert result.status == 0, result.out[-3000:].decode(errors="replace")
    is_clean(result.out)
    assert result.out.count(b"shmctl: ") >= len(USAGE)


def test_watching(name: str) -> None:
    """The same frame after frame, where what is shown is put together anew."""
    odd = name + EVIL
    path_of(odd).write_text(EVIL)
    for words in (["ls", odd], ["read", odd, "--text"], ["holders"]):
        argv = shmctl_argv(*words, "--watch=0.05")
        with path_of(odd).open(), Terminal(argv, 400, {"LC_ALL": "C.UTF-8"}) as terminal:
            shown = terminal.until(re.escape(MARKUP.encode()))
            terminal.type(b"q")
            assert terminal.end().status == 0
        for sequence in FORBIDDEN:
            assert sequence not in shown, shown


ENVIRONMENTS = [
    {"COLUMNS": "0", "LINES": "0"},
    {"COLUMNS": "1000000000", "LINES": "-1"},
    {"COLUMNS": EVIL, "TERM": EVIL, "NO_COLOR": EVIL, "COLORTERM": EVIL, "TZ": EVIL},
    {"LC_ALL": "x" * 10_000, "LANG": EVIL, "HOME": EVIL, "XDG_CONFIG_HOME": EVIL, "PATH": EVIL},
    {"XDG_CONFIG_HOME": "/dev/null", "HOME": "/dev/null", "TMPDIR": "/nonexistent"},
]


@pytest.mark.parametrize("extra", ENVIRONMENTS, ids="-".join)
def test_environment_variables(name: str, extra: dict[str, str]) -> None:
    """Whatever they say, the commands do their work, and nothing of it reaches the terminal."""
    path_of(name).touch()
    for words in (["ls", name], ["stat", name], ["leaks", name], ["read", name, "--hex"]):
        with Terminal(shmctl_argv(*words), 200, {"LC_ALL": "C.UTF-8", **extra}) as terminal:
            result = terminal.end()
        assert result.status == 0, result
        assert words[0] == "read" or b"shmctl-te" in result.out
        for sequence in FORBIDDEN:
            assert sequence not in result.out
