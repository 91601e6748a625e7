"""Names that try to be options, markup, escape sequences or lines: they are names, and nothing more."""

import json
import os

import pytest

from tests.e2e.terminal import on_terminal, without_styles
from tests.support import PREFIX, Result, run, run_command, shmctl_argv

# {} stands where the run's own prefix goes.
HOSTILE = {
    "not UTF-8": b"{}\xff\xfe\x80",
    "half a character": b"{}\xe2\x82",
    "an option": b"-rf{}",
    "a long option": b"--json{}",
    "markup": b"[bold]{}",
    "markup, unbalanced": b"[{}[red",
    "markup that fails": b"{}[/nonsense]".replace(b"/", b"\\"),
    "spaces": b" {} a  b ",
    "deleted": b"{} (deleted)",
    "escape sequences": b"\x1b[31m{}\x1b]0;title\x07",
    "a newline": b"{}\nforged 0 0",
    "carriage return and tab": b"{}\r\t\v\f",
    "8-bit control": b"{}\xc2\x9b31m",
    "bidirectional override": "{}\u202egnp".encode(),
    "zero width": "{}\u200bx".encode(),
    "quotes": b"{}'\"`$(id)",
    "backslash": b"{}\\n\\x1b",
    "leading dot": b".{}",
    "leading dots": b"...{}",
    "emoji": "{}😀:smile:".encode(),
    "wide": "{}共享内存".encode(),
    "glob": b"{}*?[a-z]",
    "a percent": b"{}%s%n",
    "an assignment": b"{}=x",
    "a comma": b"+{},y",
    "tilde": b"~{}",
    "DEL": b"{}\x7f",
}
_FORBIDDEN = bytes([*range(9), *range(11, 32), 127])


@pytest.fixture
def hostile(name: str) -> list[bytes]:
    """All those names, each with its slash, in the order of their bytes."""
    return sorted(b"/" + pattern.replace(b"{}", name[1:].encode()) for pattern in HOSTILE.values())


def make(names: list[bytes]) -> None:
    for name in names:
        os.close(os.open(b"/dev/shm" + name, os.O_CREAT | os.O_EXCL, 0o600))


def ours(lines: list[str]) -> list[str]:
    return [line for line in lines if PREFIX in line]


def ok(*args: str | bytes) -> Result:
    result = run(*args)
    assert (result.status, result.err) == (0, b""), result
    return result


def no_control(shown: bytes, allowed: bytes = b"") -> None:
    """Neither control bytes, nor bytes that are no UTF-8, nor C1 controls, nor what reorders a line."""
    for byte in shown:
        assert byte in allowed or byte not in _FORBIDDEN, shown
    text = shown.decode()
    assert all(c.isprintable() or c in "\n" or c.encode() in allowed for c in text if c > "~"), shown


def test_full_life(hostile: list[bytes]) -> None:
    """Each command takes the names, in each of the spellings that mean the same object."""
    paths = [b"/dev/shm" + name for name in hostile]
    bare = [name[1:] for name in hostile]
    ok("create", "-s", "20", *hostile)
    for number, (name, path) in enumerate(zip(hostile, paths, strict=True)):
        assert os.stat(path).st_size == 20
        ok("write", path, f"text {number}")
        assert ok("read", name, "--text").text == f"text {number}"
    ok("chmod", "640", *paths)
    ok("chown", str(os.geteuid()), "--", *bare)
    ok("truncate", "-s", "30", "--", *bare)
    assert ok("stat", "-f", "%s %a", *paths).text == "30 640\n" * len(hostile)
    assert set(hostile) <= set(ok("ls", "-0").out.split(b"\0"))
    verbose = ok("rm", "-v", *hostile).out
    assert verbose.count(b"\n") == len(hostile)
    no_control(verbose)
    assert not any(map(os.path.lexists, paths))
    ok("create", *paths)
    ok("unlink", paths[0])
    ok("rm", "--", *bare[1:])
    assert not any(map(os.path.lexists, paths))


@pytest.mark.parametrize("pattern", [b"{}\xff", b"-rf{}", b"{} a\x1b[m\n"], ids=repr)
def test_unlink(name: str, pattern: bytes) -> None:
    hostile = b"/" + pattern.replace(b"{}", name[1:].encode())
    make([hostile])
    ok("unlink", hostile)
    assert not os.path.lexists(b"/dev/shm" + hostile)


def test_listing_in_a_pipe(hostile: list[bytes]) -> None:
    """One object is one line of the same number of words, however it is called."""
    make(hostile)
    shown = ok("ls").out
    no_control(shown)
    lines = ours(shown.decode().split("\n"))
    assert len(lines) == len(hostile)
    for line in lines:
        assert len(line.split()) == 8, line
        assert line.split()[1:3] == ["0", "0"]
    assert len(shown.decode().splitlines()) == shown.count(b"\n")
    no_control(ok("stat", *hostile).out)
    quoted = ok("stat", "-f", "%N", *hostile).out
    no_control(quoted)
    assert quoted.count(b"\n") == len(hostile)
    # Made for the next command, as the names that -0 prints.
    assert ok("stat", "-f", "%n", *hostile).out == b"".join(name + b"\n" for name in hostile)


def test_json_loses_nothing(hostile: list[bytes]) -> None:
    make(hostile)
    shown = ok("ls", "--json").out
    no_control(shown)
    records = [record for record in json.loads(shown) if PREFIX in record["name"]]
    assert len(records) == len(hostile)
    for name, record in zip(hostile, records, strict=True):
        try:
            assert record["name"] == name.decode()
            assert "name_bytes" not in record
        except UnicodeDecodeError:
            assert bytes.fromhex(record["name_bytes"]) == name
    of_stat = json.loads(ok("stat", "--json", *hostile).out)
    keys = ("name", "name_bytes", "path")
    assert [[r.get(key) for key in keys] for r in of_stat] == [[r.get(key) for key in keys] for r in records]


def test_error_messages(hostile: list[bytes]) -> None:
    """About objects that are not there: a line for each, with nothing raw in it."""
    for command in (["stat"], ["rm"], ["ls", "--"], ["chmod", "600"], ["truncate", "-s1"]):
        result = run(*command, *hostile)
        assert result.status == 1, (command, result)
        no_control(result.err)
        missing = [name for name in hostile if b"[" not in name] if command[0] == "ls" else hostile
        assert len(result.errors.splitlines()) == len(missing), result
    for name in hostile:
        os.mkfifo(b"/dev/shm" + name)
    result = run("truncate", "-s1", *hostile)
    assert result.status == 1
    no_control(result.err)
    assert result.errors.count("a FIFO") == len(hostile) == len(result.errors.splitlines())


def test_as_a_usage_error(hostile: list[bytes]) -> None:
    """Where the name is no command, no option's value and no valid name: the message is safe, too."""
    everything = b"".join(hostile)[1:]
    for args in (
        [everything],
        ["create", "x", "-s", everything],
        ["create", everything],
        ["ls", "--sort", everything],
        ["write", "x", "--hex", everything],
        ["chown", everything, "x"],
        ["stat", "-f", b"%" + everything, "x"],
    ):
        result = run(*args)
        assert result.status == 2, (args, result)
        no_control(result.err)
        assert len(result.errors.splitlines()) <= 2, result


def test_on_a_terminal(hostile: list[bytes]) -> None:
    make(hostile)
    in_pipe = [line.split()[0] for line in ours(ok("ls").text.splitlines())]
    shown = on_terminal("ls", columns=300).out
    no_control(without_styles(shown))
    on_tty = [line.split()[0] for line in ours(without_styles(shown).decode().splitlines())]
    # Markup that was obeyed, and :smile: that was replaced, would be gone.
    assert on_tty == in_pipe
    for args in (["stat"], ["rm", "-n"], ["chmod", "-v", "600"], ["rm", "-v"], ["truncate", "-s1"]):
        result = on_terminal(*args, *hostile, columns=300)
        no_control(without_styles(result.out))
        assert len(ours(result.out.decode().splitlines())) == len(hostile), result


REFUSED = ["", "/", ".", "..", "/.", "/..", "a/b", "[bold]x[/bold]", "/dev/shm/", "/dev/shm/a/b", "//x", "x/"]


@pytest.mark.parametrize("refused", [*REFUSED, "n" * 256, "/" + "é" * 128, "/dev/shm/" + "n" * 256], ids=repr)
def test_refused(refused: str) -> None:
    """A usage error, before any call is made."""
    for command in (
        ["create"],
        ["read"],
        ["write", "-n5"],
        ["stat"],
        ["rm"],
        ["rm", "-f"],
        ["unlink"],
        ["ls"],
    ):
        result = run("--trace", *command, "--", refused)
        assert result.status == 2, (command, result)
        assert result.out == b""
        first, *rest = result.errors.splitlines()
        assert first.startswith(f"shmctl: {command[0]}: "), "no call is made, so none is traced"
        assert all(line.startswith("hint: ") for line in rest)


def test_nul_in_a_name() -> None:
    """No process can be given one, but a caller in the same process can."""
    from click.testing import CliRunner

    from shmctl.cli.group import cli
    from shmctl.core.errors import InputError
    from shmctl.core.names import parse_name

    with pytest.raises(InputError, match="NUL"):
        parse_name(b"a\0b")
    assert isinstance(CliRunner().invoke(cli, ["create", "a\0b"]).exception, InputError)
    assert not os.path.lexists("/dev/shm/a")


def test_length_at_the_limit(name: str) -> None:
    longest = name + "n" * (256 - len(name))
    assert len(longest) == 256, "255 bytes and the slash"
    ok("create", longest, "-s", "5")
    assert ok("ls", "-0", longest).out == longest.encode() + b"\0"
    assert longest in ok("ls").text, "a pipe gets names whole"
    result = run("create", longest + "n")
    assert result.status == 2
    assert "256 bytes" in result.errors
    ok("unlink", longest)


def test_options_end_where_they_should(name: str) -> None:
    """A name that is an option's spelling needs --, as everywhere; with its slash it does not."""
    odd = f"-v{name[1:]}"
    assert run("create", odd).status == 2
    ok("create", "--", odd)
    ok("write", f"/{odd}", "--create", "--grow", "--", "-text")
    assert ok("read", "--", odd).out == b"-text"
    ok("rm", "--", odd)


def test_patterns_and_xargs(name: str, hostile: list[bytes]) -> None:
    make(hostile)
    pattern = b"*" + name[1:].encode() + b"*"
    listed = ok("ls", "-0", pattern).out
    assert listed.split(b"\0")[:-1] == hostile
    assert len(ok("ls", "--no-headings", pattern).out.splitlines()) == len(hostile)
    # xargs -0 takes them as they are.
    result = run_command(["xargs", "-0", *shmctl_argv("rm", "--")], stdin=listed)
    assert (result.status, result.err) == (0, b""), result
    assert ok("ls", "-0", pattern).out == b""


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_locales(name: str, locale: str) -> None:
    odd = name.encode() + "é😀".encode() + b"\xff"
    env = {"LC_ALL": locale, "LANG": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for args in (["create"], ["ls"], ["stat"], ["ls", "--json"], ["read"], ["rm", "-v"]):
        result = run(*args, odd, env=env)
        assert (result.status, result.err) == (0, b""), result
    result = run("read", odd, env=env)
    assert result.status == 1
    assert result.err.isascii() or locale == "C.UTF-8"
