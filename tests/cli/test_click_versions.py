"""The versions of click that pyproject.toml allows: each parses, completes, helps and complains alike.

Debian 12 has 8.1.3. The versions are those after which click changed what shmctl builds upon.
"""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from shmctl import __version__
from shmctl.cli.group import COMMANDS
from tests.support import Result, environment, run

NEWEST = version("click")
VERSIONS = list(dict.fromkeys(["8.1.3", "8.1.8", "8.2.1", "8.3.3", NEWEST]))


@pytest.fixture(scope="module", params=VERSIONS)
def click_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What PYTHONPATH has to be for that version, from the index that pip is configured to have."""
    if request.param == NEWEST:
        return ""
    folder = tmp_path_factory.mktemp("click")
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-compile", "--only-binary", ":all:", "--target", str(folder)]
    env = {key: value for key, value in environment().items() if key != "PYTHONWARNINGS"}
    done = subprocess.run(
        [*argv, *options, f"click=={request.param}"], env=env, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert [path.name for path in folder.glob("click-*.dist-info")] == [f"click-{request.param}.dist-info"]
    return str(folder)


def with_click(path: str, *args: str, stdin: str = "", **variables: str) -> Result:
    return run(*args, stdin=stdin.encode(), env={"PYTHONPATH": path, **variables})


def script(path: str, source: str, stdin: str) -> str:
    """What a Python program prints that has to succeed."""
    env = environment({"PYTHONPATH": path})
    argv = [sys.executable, "-c", source]
    done = subprocess.run(argv, input=stdin.encode(), env=env, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def test_start(click_path: str, name: str) -> None:
    for args, shown in (
        (["--version"], f"shmctl {__version__}\n"),
        (["-V"], f"shmctl {__version__}\n"),
        (["create", name, "-s16"], ""),
        (["--color=never", "write", name, "hello", "-vo", "1"], f"stored 5 bytes in {name}\n"),
        (["read", "-n5", "-o1", name], "hello"),
        (["stat", "--format", "%s", name], "16\n"),
        (["ls", "-rb0", name], f"{name}\0"),
        (["rm", "-f", name], ""),
    ):
        assert with_click(click_path, *args) == Result(0, shown.encode(), b"")


def pages(path: str) -> str:
    """The help of every command."""
    lines = ["help", *(f"help {name}" for name in COMMANDS), "help sem create", "ls --help", "sem help post"]
    result = with_click(path, "batch", stdin="\n".join(lines))
    assert (result.status, result.errors) == (0, ""), result
    return result.text


def test_help(click_path: str) -> None:
    shown = pages(click_path)
    assert all(f"Usage: shmctl {name} [OPTIONS]" in shown for name in COMMANDS)
    assert shown == pages("")


@pytest.mark.parametrize("words", [[], ["sem"]])
def test_help_where_the_command_is_missing(click_path: str, words: list[str]) -> None:
    """It is a usage error: on standard error, as it stands."""
    result = with_click(click_path, *words)
    assert (result.status, result.text) == (2, "")
    assert result.errors == with_click(click_path, *words, "--help").text


ERRORS = [
    ("nope", r"no such command 'nope'", "shmctl"),
    ("help raed", r"no such command 'raed'; did you mean 'read'\?", "shmctl"),
    ("sem psot", r"sem: no such command 'psot'; did you mean 'post'\?", "shmctl sem"),
    ("--target", r"option '--target' requires an argument", "shmctl"),
    ("--color=no ls", r"invalid value for '--color': 'no' is not one of 'auto', 'always', 'never'", "shmctl"),
    ("read", r"read: missing argument 'NAME'", "shmctl read"),
    ("lock /x", r"lock: missing argument 'CMD\.\.\.'", "shmctl lock"),
    ("truncate /x", r"truncate: missing option '-s' / '--size'", "shmctl truncate"),
    ("unlink a b c", r"unlink: got unexpected extra arguments \(b c\)", None),
    ("run --size", r"run: option '--size' requires an argument", "shmctl run"),
    ("run -s", r"run: option '-s' requires an argument", "shmctl run"),
    ("read /x --raw=1", r"read: option '--raw' does not take a value", "shmctl read"),
    ("read /x --ofset 1", r"read: no such option.*--ofset.*--offset.*", "shmctl read"),
    ("ls -rz", r"ls: no such option.*-z.*", "shmctl ls"),
    (
        "layout int --pid -1",
        r"layout: invalid value for '--pid': -1 is less than 1",
        "shmctl layout",
    ),
    ("read /x -c -1", r"read: invalid count '-1'", None),
    ("write /x -o -5 a", r"write: invalid size '-5'", None),
    ("write /x --fill -5", r"write: invalid byte '-5'", None),
    ("write /x --create -m -1 a", r"write: invalid mode '-1'", None),
    ("wait /x --timeout -1", r"wait: invalid duration '-1'", None),
    ("ls --watch=-1", r"ls: invalid duration '-1'", None),
    ("ls --watch x", r"ls: invalid duration 'x'", None),
]


def test_errors(click_path: str) -> None:
    # A line of a batch that begins with an option is a command line of its own; the others are not.
    result = with_click(click_path, "batch", "-k", stdin="\n".join(line for line, *_ in ERRORS))
    assert (result.status, result.text) == (2, ""), result
    said = result.errors.splitlines()
    assert len(said) == 2 * len(ERRORS)
    for number, (_, message, about) in enumerate(ERRORS, 1):
        error, hint = said[2 * number - 2 : 2 * number]
        assert re.fullmatch(f"shmctl: line {number}: {message}", error)
        assert about is None or f"'{about} --help'" in hint


def test_an_error_outside_a_batch(click_path: str) -> None:
    assert with_click(click_path, "run", "-s") == Result(
        2,
        b"",
        b"shmctl: run: option '-s' requires an argument\nhint: see 'shmctl run --help'\n",
    )


COMPLETE = """
import sys
from shmctl.cli.completion.shells import candidates
from shmctl.cli.group import cli

for line in sys.stdin.read().splitlines():
    *words, last = line.split(" ")
    print(line, *(f"{item.type},{item.value}" for item in candidates(cli, words, last)), "", sep="|")
"""
COMPLETIONS = """\
trun|plain,truncate|
help trun|plain,truncate|
help sem po|plain,post|
help help trun|plain,truncate|
sem po|plain,post|
nope |
--col|plain,--color|
--color al|plain,always|
-|plain,--trace|plain,-t|plain,--target|plain,--color|plain,-V|plain,--version|plain,-h|plain,--help|
read --endian=l|plain,--endian=little|
read --wa|plain,--watch|
run --na|plain,--name|
run -s 3 l|command,l|
run echo -s |file,|
lock /x --sh|plain,--shared|
lock /x echo --sh|
write /x -5 --gr|plain,--grow|
completion |plain,bash|plain,zsh|plain,fish|
"""


def test_completion(click_path: str) -> None:
    lines = [line.partition("|")[0] for line in COMPLETIONS.splitlines()]
    assert script(click_path, COMPLETE, "\n".join(lines)) == COMPLETIONS


def test_completion_of_names(click_path: str, name: str) -> None:
    with_click(click_path, "create", name)
    result = with_click(click_path, f"shmctl stat {name[:-1]}", " ", _SHMCTL_COMPLETE="bash_complete")
    assert result.text == f"plain,{name}\0"


def test_batch(click_path: str, name: str) -> None:
    """The second line of a command finds what the first one has left for it."""
    script = f"""
        create {name} -s 16
        write {name} --type int32 -7 -0x8
        write {name} -o 8 --type int32 9
        read {name} --type int32
        read {name} --type int32 -c 3
        read {name} --json -o8 --type int32
        read {name} -o 8 --type int32
        nope
        sem
        help nope
        stat {name} -f %s
        rm -v -- {name}
        """
    result = with_click(click_path, "batch", "-k", stdin=script)
    assert result.status == 2
    assert result.text.splitlines() == [
        *(
            "-7",
            "-7",
            "-8",
            "9",
            "[",
            f'{{"name": "{name}", "offset": 8, "type": "int32", "values": [9]}}',
            "]",
        ),
        *("9", "16", f"removed {name}"),
    ]
    assert result.errors.startswith("shmctl: line 9: no such command 'nope'\n")
    assert "\nUsage: shmctl sem [OPTIONS] COMMAND [ARGS]...\n\n" in result.errors


def test_negative_numbers(click_path: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "-1").write_bytes(b"of a file")
    for args, stored in (
        ([name, "--create", "-5"], b"-5"),
        ([name, "-.5", "--exact"], b"-.5"),
        ([name, "--exact", "--type", "int8", "-1", "-0x2"], b"\xff\xfe"),
        ([name, "--exact", "--", "-5"], b"-5"),
        ([name, "--exact", "-i", "-1"], b"of a file"),
    ):
        argv = [sys.executable, "-m", "shmctl", "write", *args]
        env = environment({"PYTHONPATH": click_path})
        done = subprocess.run(argv, env=env, cwd=tmp_path, capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert Path(f"/dev/shm{name}").read_bytes() == stored
    result = with_click(click_path, "write", "-5", "abc")
    assert result.errors.startswith("shmctl: write: /-5: No such file or directory"), result


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("lock NAME echo --shared -h", "--shared -h"),
        ("lock NAME --shared echo", ""),
        ("lock --shared NAME -- echo -- x", "-- x"),
        ("run echo -s 10", "-s 10"),
        ("run -s 10 -- echo --size 10", "--size 10"),
        ("run echo --help", "--help"),
    ],
)
def test_options_end_where_the_program_begins(click_path: str, line: str, shown: str, name: str) -> None:
    with_click(click_path, "create", name)
    words = [name if word == "NAME" else word for word in line.split()]
    # Not echo(1), which has a --help of its own.
    at = words.index("echo")
    words[at : at + 1] = ["sh", "-c", 'printf "%s\\n" "$*"', "sh"]
    assert with_click(click_path, *words) == Result(0, f"{shown}\n".encode(), b"")


PARSE = """
import sys
import click
from shmctl.cli.group import cli

root = click.Context(cli, info_name="shmctl", **cli.context_settings)
for line in sys.stdin.read().splitlines():
    name, command, args = cli.resolve_command(root, line.split())
    try:
        with command.make_context(name, args, parent=root) as context:
            print(line, sorted((key, repr(value)) for key, value in context.params.items()), context.args)
    except click.UsageError as problem:
        print(line, problem.format_message())
"""
LINES = """
ls
ls -a --bytes --human x* y
ls --human
ls --columns name,size --sort size -r0
ls --watch
ls --watch 3 --json
ls --watch=0.001 -a
ls --watch -a b
ls --watch -- b
ls --kind shm --kind semaphore --owner 0
ls
read /x
read /x --raw
read /x --hex --text
read /x --type int8 -c3 --endian big
read /x --watch
read /x
create a b
create a --no-excl --excl -m 640
create a --no-excl
create a
rm -f a
rm -f -i a
rm a
gc
gc --keep a --keep b --yes
gc
wait /x
wait /x --gone --unused --interval 5
wait /x --type int8 -5 -3
wait /x
write /x
write /x -- -5 --hex
write /x -5 -m 600 -o 0x10
write /x
lock /x a -b
lock --timeout 3 /x -- a
lock /x a
run a
run --name x a --name y
batch
batch -k f
batch
holders --watch
holders
df
metrics
truncate x -s -5
completion zsh
"""


def test_values(click_path: str) -> None:
    """Options that are given or not, share a name, may be bare or exclude each other, line after line."""

    lines = LINES.strip()
    shown = script(click_path, PARSE, lines)
    assert "write /x -5 -m 600 -o 0x10 --mode goes with --create\n" in shown
    assert shown == script("", PARSE, lines)
