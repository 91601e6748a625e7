"""Tab in a real bash, zsh and fish: what it makes of a line, and that the line then means the object."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shmctl.cli.completion import bashline
from shmctl.cli.completion.shells import candidates
from shmctl.cli.group import cli
from shmctl.core.errors import InputError
from tests.e2e.shells import SHELLS, Shell
from tests.support import NOBODY, PREFIX, done, path_of, run, run_command

ODD = {
    "punctuation": b" $HOME \"`\\ :=!x*?[~#(){a,b}&;|<>^%'",
    "control characters": b"a\nb\x1b[31m\x7f",
    "not UTF-8": b"\xff\xfe",
    "letters": 'é 日"'.encode(),
}
QUOTES = {"bash": ("", "'", '"', "$'"), "zsh": ("", "'", '"', "$'"), "fish": ("", "'", '"')}
# What a shell cannot be told, or puts in wrongly by itself: then nothing is offered.
UNABLE = {
    ("zsh", "'", "not UTF-8"),
    ("zsh", '"', "not UTF-8"),
    ("zsh", "$'", "not UTF-8"),
}


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp(request.param)
    with Shell(request.param, folder) as started:
        yield started
    assert not list(folder.glob(".zcompdump*"))


def make(name: bytes, size: int = 3) -> None:
    with open(b"/dev/shm" + name, "wb") as file:
        file.write(b"x" * size)


@pytest.mark.parametrize("which", ODD)
def test_an_odd_name_is_completed_and_understood(shell: Shell, which: str, name: str) -> None:
    odd = name.encode() + b"_" + ODD[which]
    make(odd)
    for quote in QUOTES[shell.name]:
        line = f"shmctl stat -f %s {quote}{name}_"
        if (shell.name, quote, which) in UNABLE:
            assert shell.complete(line).strip(b" '\"").endswith(b"_")
        else:
            assert shell.run_completed(line) == b"3\n", (quote, shell.complete(line))


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("shmctl trunc", "shmctl truncate "),
        ("shmctl --trace write --exa", "shmctl --trace write --exact "),
        ("shmctl ls --verdict=orp", "shmctl ls --verdict=orphan "),
        ("shmctl ls -o name,si", "shmctl ls -o name,size"),
        ("shmctl chown root:daemo", "shmctl chown root:daemon "),
        ("shmctl read /x --struct 'int abc; int q' ab", "shmctl read /x --struct 'int abc; int q' abc "),
        ("shmctl write /x --struct 'int abc; int q' a", "shmctl write /x --struct 'int abc; int q' abc="),
        ("shmctl write /x -i start.", "shmctl write /x -i start.SHELL "),
        ("shmctl write /x --input=start.", "shmctl write /x --input=start.SHELL "),
        ("shmctl run -- trunca", "shmctl run -- truncate "),
        ("shmctl nonsense ", "shmctl nonsense "),
    ],
)
def test_the_rest_of_a_line(shell: Shell, typed: str, completed: str) -> None:
    made = shell.complete(typed).decode()
    if shell.name == "fish" and completed.endswith("size"):
        completed += " "  # fish knows by the last character whether a word goes on
    assert made == completed.replace("SHELL", shell.name)


def test_a_tab_in_a_name_is_more_than_fish_can_take(shell: Shell, name: str) -> None:
    make(f"{name}_a\tb".encode())
    if shell.name == "fish":
        assert shell.complete(f"shmctl stat {name}") == f"shmctl stat {name}".encode()
    else:
        assert shell.run_completed(f"shmctl stat -f %s {name}") == b"3\n"


def test_names_are_shown_with_kind_and_size(shell: Shell, name: str) -> None:
    make(f"{name}-one".encode(), 2048)
    make(f"{name}-two".encode(), 5)
    assert shell.complete(f"shmctl stat {name}-") == f"shmctl stat {name}-".encode()
    shell.until(f"{name[-3:]}-two".encode())  # fish cuts long ones
    if shell.name != "bash":
        shell.until(rb"shm, 2\.0K")
    shell.shown = b""


# What is offered, whatever the shell


def offered(*line: str) -> list[str]:
    *words, incomplete = line
    return [item.value for item in candidates(cli, words, incomplete)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("trunc", ["truncate"]),
        ("nonsense|", []),
        ("completion|", ["bash", "zsh", "fish"]),
        ("sem|val", ["value"]),
        ("sem|wait|--no", ["--nonblock"]),
        ("--tr", ["--trace"]),
        ("--color|a", ["auto", "always"]),
        ("--color=a", ["--color=auto", "--color=always"]),
        ("ls|--kind|s", ["shm", "semaphore", "symlink", "socket"]),
        ("ls|--verdict|", ["held", "orphan", "kept", "unknown"]),
        ("ls|-o|name,si", ["name,size"]),
        ("ls|-o|size,s", ["size,software"]),
        ("ls|--columns|+ino", ["+inode"]),
        ("ls|--columns|+inode,+nl", ["+inode,+nlink"]),
        ("ls|--sort|all", ["allocated"]),
        ("ls|--owner|nobodyatall", []),
        ("chown|daemo", ["daemon"]),
        ("chown|root:daemo", ["root:daemon"]),
        ("write|/x|--type|uint32", ["uint32", "uint32_t"]),
        ("read|/x|--struct|int abc; char b[4]; struct {int d[2];} e;|", ["abc", "b", "e.d[0]", "e.d[1]"]),
        ("read|/x|abc", []),
        ("read|/x|--struct|int abc; nonsense|", []),
        ("write|/x|--struct|int abc; int q;|a", ["abc="]),
        ("wait|/x|--struct|int abc; int q;|a", ["abc=="]),
        ("create|/x|--size|", []),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    try:
        assert offered(*line.split("|")) == words
    except InputError:
        assert not words, "an error ends it, and nothing is offered"


@pytest.mark.parametrize(
    "line", ["write|-i|x", "write|--input=x", "read|--header|x", "run|--from|x", "lock|/x|--|tool|x"]
)
def test_files_are_left_to_the_shell(line: str) -> None:
    *words, incomplete = line.split("|")
    assert [item.type for item in candidates(cli, words, incomplete)] == ["file"]


def test_each_spelling_of_a_name(name: str) -> None:
    make(name.encode() + b"-long")
    for spelling in ("/", "", "/dev/shm/"):
        assert offered("stat", spelling + name[1:]) == [f"{spelling}{name[1:]}-long"]
    assert f"{name}-long" in offered("stat", "")
    assert f"/dev/shm{name}-long" in offered("stat", "/dev/s")


def test_a_name_like_an_option(name: str) -> None:
    dashed = f"-{name[1:]}"
    make(b"/" + dashed.encode())
    assert offered("rm", f"/{dashed[:-1]}") == [f"/{dashed}"]
    assert offered("rm", dashed) == []
    assert offered("rm", "--", dashed[:-1]) == [dashed]


@pytest.mark.needs_root
def test_owners_who_have_something(name: str) -> None:
    make(name.encode())
    os.chown(path_of(name), NOBODY, -1)
    for command in ("ls", "gc"):
        assert offered(command, "--owner", "nob") == ["nobody"]
    assert offered("ls", "--owner", "daemo") == []


def test_processes_with_their_command() -> None:
    with subprocess.Popen(["sleep", "300"]) as child:
        found = candidates(cli, ["--target"], str(child.pid))
        child.kill()
    assert {item.value: item.help for item in found}[str(child.pid)] == "sleep"


def test_semaphores_by_either_name(name: str) -> None:
    done("sem", "create", f"{name}-long")
    file = f"sem.{name[1:]}"
    assert offered("sem", "post", name) == [f"{name}-long"]
    assert offered("sem", "post", name[1:]) == [f"{name[1:]}-long"]
    assert offered("sem", "post", file) == [f"{file}-long"]
    assert offered("sem", "post", f"/dev/shm/{file}") == [f"/dev/shm/{file}-long"]
    assert offered("stat", f"/{file}") == [f"/{file}-long"]


@pytest.mark.needs_root
def test_names_where_the_target_is(name: str) -> None:
    ready = f"mount -t tmpfs tmpfs /dev/shm; echo x > /dev/shm{name}-there; echo ready; exec sleep 300"
    with subprocess.Popen(["unshare", "-m", "sh", "-c", ready], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert offered("--target", str(child.pid), "stat", name) == [f"{name}-there"]
        assert offered("stat", name) == []
        assert str(child.pid) in offered("--target", ""), "one in another mount namespace comes first"
        child.kill()


def test_types_and_fields_of_programs(name: str, tmp_path: Path) -> None:
    (tmp_path / "p.c").write_text(
        "#include <fcntl.h>\n#include <sys/mman.h>\n#include <unistd.h>\n"
        "struct completed_type { int first, second; } it;\n"
        "int main(int argc, char **argv) { shm_open(argv[1], O_RDWR | O_CREAT, 0600);"
        ' write(1, "ready\\n", 6); pause(); return it.first; }\n'
    )
    program = str(tmp_path / "p")
    subprocess.run(["gcc", "-g", "-w", "-o", program, tmp_path / "p.c"], check=True)
    assert offered("layout", "--elf", program, "struct c") == ["struct completed_type"]
    assert offered("read", name, "--elf", program, "--struct", "completed_type", "s") == ["second"]
    with subprocess.Popen([program, name], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"ready\n"
            assert offered("read", name, "--struct", "struct c") == ["struct completed_type"]
            assert offered("layout", "--pid", str(child.pid), "struct c") == ["struct completed_type"]
            assert offered("write", name, "--struct", "completed_type", "f") == ["first="]
        finally:
            child.kill()


# What bash gets, by itself


BREAKS = " \t\n\"'><=;|&(:"


def test_any_word_goes_on_to_mean_any_name(tmp_path: Path) -> None:
    """Against bash itself: the line, with the completion in the place of readline's word, is one word."""
    choice = random.Random(4)
    characters = "ab'\"\\$`!*?:=~ \n\t\x1b#éü日{}()\udcff\udcfe"
    lines, meant = [], []
    for _ in range(3000):
        name = "/" + "".join(choice.choices(characters, k=choice.randrange(1, 8)))
        cut = choice.randrange(len(name))
        quote = choice.choice(["", "'", '"', "$'"])
        begun = quote + bashline.quoted(name[:cut], quote)
        *_, word = bashline.parse(f"shmctl stat {begun}", BREAKS)
        assert word.text == name[:cut], (begun, word)
        completed = word.completed(name)
        assert completed is not None
        line = begun.removesuffix(word.raw) + completed
        if quote and not completed.endswith(word.quote[-1:] or "\0"):
            line += word.quote[-1:]  # as readline does
        lines.append(f"printf '%s\\0' {line}\n")
        meant.append(name)
    script = tmp_path / "script"
    script.write_bytes(os.fsencode("".join(lines)))
    result = run_command(["bash", str(script)], env={"LC_ALL": "C.UTF-8"})
    assert [os.fsdecode(word) for word in result.out.split(b"\0")[:-1]] == meant


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("shmctl ", ["shmctl", ""]),
        ('shmctl  a\\ b \'c d\'e "f$\\""', ["shmctl", "a b", "c de", 'f$"']),
        ("shmctl $'a\\n\\x41\\u00e9\\e' x\\", ["shmctl", "a\nAé\x1b", "x"]),
        ("shmctl '' ''", ["shmctl", "", ""]),
        ('shmctl "a\\b" it\'s on', ["shmctl", "a\\b", "its on"]),
    ],
)
def test_bash_words(line: str, words: list[str]) -> None:
    assert [word.text for word in bashline.parse(line, BREAKS)] == words


# The command, and what is not to be seen


@pytest.mark.parametrize("shell_name", SHELLS)
def test_the_script_is_clean(shell_name: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(done("completion", shell_name))
    assert "%" not in script.read_text().replace("%s", "")
    check = run_command([shell_name, "-n", str(script)])
    assert (check.status, check.out, check.err) == (0, b"", b"")


def test_other_shells_are_a_usage_error() -> None:
    assert run("completion", "tcsh").status == 2
    assert run("completion").status == 2


@pytest.mark.parametrize(
    "words", [["read", "/x", "--struct", "struct {", ""], ["--target", "4194304", "stat", "/"]]
)
def test_nothing_is_said_whatever_goes_wrong(words: list[str]) -> None:
    result = run(*words, env={"_SHMCTL_COMPLETE": "zsh_complete"})
    assert (result.out, result.err) == (b"", b"")


def test_a_shell_that_is_not_known_gets_nothing() -> None:
    for instruction in ("bash_source", "tcsh_complete", ""):
        result = run("ls", env={"_SHMCTL_COMPLETE": instruction})
        assert (result.status, result.out, result.err) == (2, b"", b"")


def test_many_names_are_no_trouble(name: str) -> None:
    for number in range(2000):
        make(f"{name}-{number}".encode(), 0)
    start = time.monotonic()
    result = run("stat", f"{name}-199", env={"_SHMCTL_COMPLETE": "zsh_complete"})
    assert result.out.count(b"\0") == 3 * 11
    assert time.monotonic() - start < 30
    assert PREFIX.encode() in result.out
