"""What a person sees: colours, tables, panels and prompts on a real terminal of any width."""

import json
import re

import pytest

from tests.e2e.terminal import Terminal, on_terminal, without_styles
from tests.support import PREFIX, Result, done, path_of, run, run_command, shmctl_argv

COLOUR = re.compile(rb"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;]*m")


def lines(result: Result) -> list[str]:
    return without_styles(result.out).decode().splitlines()


def make(name: str, content: bytes = b"hello\0\x01\xff\n") -> None:
    path_of(name).write_bytes(content)
    path_of(name).chmod(0o600)


def test_read_is_a_coloured_dump(name: str) -> None:
    make(name, bytes(range(256)) + bytes(100))
    result = on_terminal("read", name)
    assert result.status == 0
    assert COLOUR.search(result.out)
    assert without_styles(result.out).decode() == done("read", name, "--hex")


@pytest.mark.parametrize(
    ("args", "env"),
    [
        (["--color", "never"], {}),
        ([], {"NO_COLOR": "1"}),
        ([], {"TERM": "dumb"}),
        (["--color", "auto"], {"NO_COLOR": "yes"}),
    ],
    ids=["never", "NO_COLOR", "dumb", "auto and NO_COLOR"],
)
@pytest.mark.parametrize(
    "command", [["read", "NAME"], ["ls"], ["stat", "NAME"]], ids=lambda command: command[0]
)
def test_no_colour(name: str, args: list[str], env: dict[str, str], command: list[str]) -> None:
    make(name)
    result = on_terminal(*args, *(name if part == "NAME" else part for part in command), env=env, columns=150)
    assert result.status == 0
    assert not COLOUR.search(result.out), result
    if args == ["--color", "never"] or env.get("TERM") == "dumb":
        assert b"\x1b" not in result.out, "no escape sequence at all"
    if command[0] == "ls":
        assert name[1:8] in result.out.decode()


@pytest.mark.parametrize(
    "command", [["read", "NAME"], ["ls"], ["stat", "NAME"]], ids=lambda command: command[0]
)
@pytest.mark.parametrize("env", [{}, {"NO_COLOR": ""}], ids=["", "empty NO_COLOR"])
def test_colour_on_a_terminal(name: str, command: list[str], env: dict[str, str]) -> None:
    make(name)
    result = on_terminal(*(name if part == "NAME" else part for part in command), env=env)
    assert b"\x1b[" in result.out
    if command[0] != "stat":
        assert COLOUR.search(result.out), result


@pytest.mark.parametrize("command", [["read", "NAME", "--hex"], ["ls"]], ids=lambda command: command[0])
def test_colour_always(name: str, command: list[str]) -> None:
    """Also in a pipe, and against NO_COLOR: it was asked for by name."""
    make(name)
    argv = [name if part == "NAME" else part for part in command]
    for env in ({}, {"NO_COLOR": "1"}):
        assert COLOUR.search(run("--color", "always", *argv, env=env).out), env
    assert b"\x1b" not in run(*argv).out
    assert b"\x1b" not in run(*argv, env={"FORCE_COLOR": "1"}).out


def test_raw_bytes_stay_raw_with_colour_always(name: str) -> None:
    make(name)
    assert run("--color", "always", "read", name).out == path_of(name).read_bytes()
    assert json.loads(run("--color", "always", "ls", "--json", name).out)


def test_ls_is_a_table(names: list[str]) -> None:
    make(names[0], bytes(3 * 1024 * 1024 // 2))
    make(names[1], b"")
    result = on_terminal("ls", *names[:2], columns=120)
    heading, *rows = [line for line in lines(result) if line.strip() and "─" not in line]
    assert heading.split() == ["NAME", "SIZE", "ALLOCATED", "MODE", "OWNER", "GROUP", "MODIFIED", "KIND"]
    assert [row.split()[0] for row in rows] == names[:2]
    assert rows[0].split()[1:4] == ["1.5M", "1.5M", "-rw-------"]
    assert rows[1].split()[1:3] == ["0", "0"]
    in_bytes = lines(on_terminal("ls", "-b", "--no-headings", *names[:2], columns=120))
    assert not any("NAME" in line for line in in_bytes)
    assert any("1572864" in line for line in in_bytes)


def test_stat_is_a_panel(name: str) -> None:
    make(name)
    shown = without_styles(on_terminal("stat", name).out).decode()
    assert name in shown.splitlines()[0]
    assert shown.splitlines()[0].startswith("╭")
    inode = str(path_of(name).stat().st_ino)
    for field in ("st_dev", "st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_rdev", "st_size",
                  "st_blksize", "st_blocks", "st_atime", "st_mtime", "st_ctime"):  # fmt: skip
        assert field in shown
    assert inode in shown
    assert "-rw-------" in shown
    assert on_terminal("stat", "-f", "%s", name) == Result(0, b"9\r\n", b"")


def test_struct_is_a_table(name: str) -> None:
    make(name, bytes(range(1, 17)))
    shown = without_styles(
        on_terminal("read", name, "--struct", "char tag; int a[2]; unsigned b:3").out
    ).decode()
    assert shown.split("\n")[0].split() == ["FIELD", "TYPE", "OFFSET", "SIZE", "VALUE"]
    assert re.search(r"a\[1\]\s+int\s+8\s+4\s+202050057", shown), shown


@pytest.mark.parametrize("columns", [40, 20, 5, 1])
@pytest.mark.parametrize(
    "command", [["ls"], ["ls", "-o", "+inode,device,path"], ["stat", "NAME"], ["read", "NAME"],
                ["read", "NAME", "--struct", "int some_long_name; int b"], ["ls", "--help"],
                ["stat", "/missing"]],
    ids=" ".join,
)  # fmt: skip
def test_narrow_terminals(name: str, columns: int, command: list[str]) -> None:
    make(name)
    result = on_terminal(*(name if part == "NAME" else part for part in command), columns=columns)
    assert result.status == (1 if "/missing" in command else 0), result
    assert b"Traceback" not in result.out
    assert b"internal error" not in result.out
    assert result.out.strip()


def test_a_long_name_is_whole_on_a_narrow_terminal(name: str) -> None:
    long = name + "n" * 100
    make(long)
    shown = lines(on_terminal("ls", "-o", "name", "--no-headings", long, columns=40))
    assert "".join(line.strip() for line in shown) == long
    assert max(map(len, shown)) <= 40


def test_text_is_safe(name: str) -> None:
    """What would be obeyed by the terminal is escaped; lines stay lines."""
    make(name, b"one\ntwo\t\x1b[31mred\x1b]0;title\x07\r\x9b\xff caf\xc3\xa9 [bold]x[/bold]\0rest")
    result = on_terminal("read", "--text", name)
    shown = result.out.replace(b"\r\n", b"\n")
    assert not set(shown) & ({*range(9), *range(11, 32), 127})
    assert shown.startswith(b"one\ntwo\t")
    assert "café [bold]x[/bold]".encode() in shown
    assert b"rest" not in shown
    assert run("read", "--text", name).out == path_of(name).read_bytes().partition(b"\0")[0]


def test_values_are_safe(name: str) -> None:
    make(name, b"\x1b[31m\n\x07]")
    for args in (
        ["--type", "char", "-c", "8"],
        ["--struct", "char text[8]"],
        ["--struct", "char text[8]", "text"],
    ):
        shown = without_styles(on_terminal("read", name, *args).out)
        assert not set(shown) & ({*range(9), *range(11, 32), 127}), (args, shown)


@pytest.mark.parametrize(
    ("answer", "gone"), [(b"y\n", True), (b"n\n", False), (b"\n", False), (b"yes\n", True)]
)
def test_rm_asks(name: str, answer: bytes, gone: bool) -> None:
    make(name)
    with Terminal(shmctl_argv("rm", "-i", name)) as terminal:
        terminal.until(rb"remove .*\?")
        assert name.encode() in terminal.shown
        assert path_of(name).exists(), "it waits for the answer"
        terminal.type(answer)
        assert terminal.end().status == 0
    assert path_of(name).exists() != gone


def test_rm_asks_for_each(names: list[str]) -> None:
    for name in names:
        make(name)
    with Terminal(shmctl_argv("rm", "-i", f"{PREFIX}*")) as terminal:
        for name, answer in zip(names, (b"y\n", b"n\n", b"y\n"), strict=True):
            terminal.until(re.escape(name.encode()))
            terminal.type(answer)
        assert terminal.end().status == 0
    assert [path_of(name).exists() for name in names] == [False, True, False]


@pytest.mark.parametrize(("key", "status"), [(b"\x03", 130), (b"\x04", 0)], ids=["Ctrl-C", "Ctrl-D"])
def test_rm_left_unanswered(name: str, key: bytes, status: int) -> None:
    make(name)
    with Terminal(shmctl_argv("rm", "-i", name)) as terminal:
        terminal.until(rb"\?")
        terminal.wait_until_asleep()
        terminal.type(key)
        result = terminal.end()
    assert result.status == status
    assert b"Traceback" not in result.out
    assert path_of(name).exists()


def test_rm_asks_in_a_pipe(names: list[str]) -> None:
    """The questions go to standard error, and the end of input is a no, as to rm(1)."""
    for name in names:
        make(name)
    result = run("rm", "-i", *names[:2], stdin=b"y\nn\n")
    assert (result.status, result.out) == (0, b""), result
    assert [path_of(name).exists() for name in names] == [False, True, True]
    result = run("rm", "-i", names[1], stdin=b"")
    assert (result.status, result.out) == (0, b""), result
    assert path_of(names[1]).exists()


def test_trace_on_a_terminal_is_safe(name: str) -> None:
    odd = name + "\x1b[31m\n"
    result = on_terminal("--trace", "create", odd, columns=200)
    assert result.status == 0
    assert b"\x1b" not in result.out
    assert rb"\33[31m\n" in result.out
    on_terminal("rm", odd)


def test_help_fits_the_terminal() -> None:
    for columns in (60, 100):
        shown = on_terminal("--help", columns=columns)
        assert shown.status == 0
        assert max(map(len, lines(shown))) <= columns
    sections = [line for line in lines(shown) if line and not line.startswith(" ") and line.endswith(":")]
    assert len(sections) >= 5, "grouped by purpose"


def test_script_sees_the_same_as_a_pipe(name: str) -> None:
    """TERM and the width say nothing about a pipe."""
    make(name)
    plain = run("ls", name).out
    for env in ({"COLUMNS": "10"}, {"TERM": "dumb"}, {"TERM": "xterm"}):
        assert run("ls", name, env=env).out == plain
    assert run_command([*shmctl_argv("ls", name)]).out == plain


def test_colours_are_the_terminals_own(name: str) -> None:
    """Readable on a dark background and on a light one: what the user has set red to be is his to say.

    No background, no white, no black, no grey, none of 256 colours; nothing is told by colour alone.
    """
    make(name, bytes(range(256)))
    allowed = {"", "0", "1", "2", "7", *map(str, range(31, 37))}
    commands = [["read", name], ["ls"], ["ls", "-a"], ["stat", name], ["leaks", name], ["df"], ["holders"]]
    for command in commands:
        shown = on_terminal(*command, columns=150).out.decode()
        codes = {code for codes in re.findall(r"\x1b\[([0-9;]*)m", shown) for code in codes.split(";")}
        assert codes <= allowed, command
