"""shmctl stat."""

import json
import os
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e.terminal import on_terminal
from tests.support import done, path_of, run, run_command, shmctl_argv

# What stat(1) calls by its path is the object's name here, so that n and N have tests of their own.
LETTERS = [*"aAbBdDfFgGhimosrRtTuUwWxXyYzZ", "Hd", "Ld", "Hr", "Lr"]
SHAPES = [
    "%{}", "%20{}", "%-20{}|", "%020{}", "%.{}", "%.0{}", "%.3{}", "%.9{}", "%.12{}", "%20.3{}|",
    "%-30.12{}|", "%#{}", "%+{}", "% {}", "%'{}", "%I{}", "%+.3{}", "%030.3{}", "%'.3{}", "%+-020{}",
    "%0+ 20.30{}", "%#020{}",
]  # fmt: skip


@pytest.fixture
def target(name: str) -> str:
    path_of(name).write_bytes(b"content" * 1000)
    path_of(name).chmod(0o640)
    os.utime(path_of(name), ns=(1_700_000_000_012_345_678, 1_600_000_000_000_000_009))
    return name


def by_stat(format_text: str, name: str, **environment: str) -> bytes:
    argv = ["stat", f"--format={format_text}", str(path_of(name))]
    return subprocess.run(argv, capture_output=True, check=True, env=os.environ | environment).stdout


def differences(letters: Sequence[str], name: str, **environment: str) -> list[tuple[str, bytes, bytes]]:
    """What differs between shmctl and the host's stat(1): the directive, and the text of each."""
    texts = [shape.format(letter) for letter in letters for shape in SHAPES]
    result = run("stat", "-f", "~".join(texts), name, env=environment)
    assert result.status == 0, result
    theirs = by_stat("~".join(texts), name, **environment)
    both = zip(texts, result.out.split(b"~"), theirs.split(b"~"), strict=True)
    found = [(text, our, their) for text, our, their in both if our != their]
    if by_stat("%+s", name) != b"+7000\n":
        # stat(1) of coreutils 9.7, for one, prints sizes as unsigned and ignores these flags.
        found = [each for each in found if not (each[0].endswith("s") and {"+", " "} & set(each[0]))]
    return found


@pytest.mark.parametrize("letter", LETTERS)
def test_letters(target: str, letter: str) -> None:
    """Each as stat(1) prints it, alone and with flags, widths and precisions."""
    assert not differences([letter], target)


@pytest.mark.parametrize(
    "time_ns",
    [0, 5, -1, -999_999_999, -(10**9), -123_456_789, -1_500_000_000, -(2**31) * 10**9, 2**33 * 10**9],
)
def test_times(target: str, time_ns: int) -> None:
    """Before 1970 too, where seconds are negative and their fraction is not."""
    os.utime(path_of(target), ns=(time_ns, time_ns))
    assert not differences(["x", "X", "y", "Y"], target)


def test_numbers_of_a_locale(target: str, tmp_path: Path) -> None:
    """The flag ' groups digits, and a fraction begins with the decimal point, as LC_NUMERIC has them."""
    made = subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", tmp_path / "de_DE.UTF-8"], check=False)
    if made.returncode:
        pytest.skip("localedef cannot make the locale de_DE: is Debian's package locales there?")
    german = {"LOCPATH": str(tmp_path), "LC_ALL": "de_DE.UTF-8"}
    assert by_stat("%'s", target, **german) == b"7.000\n"
    assert not differences(["s", "i", "X", "W"], target, **german)


QUOTED = [
    "plain", "a b", "it's", 'say "x"', "it's\t$5", "a\nb", "it's\nb", "\x1b[31m", "é", "it's é", "\udcff",
    "-x", "it's \udcff.", "a\\b", "$HOME", "`id`", "~x", "#x", "it's #1", "{a,b}", "it's!",
]  # fmt: skip


@pytest.mark.parametrize("ending", QUOTED)
def test_quoted_names(name: str, ending: str) -> None:
    """As stat(1) quotes them."""
    path_of(name + ending).touch()
    expected = by_stat("%N", name + ending, LC_ALL="C.UTF-8").replace(b"/dev/shm/", b"/")
    assert run("stat", "-f", "%N", name + ending, env={"LC_ALL": "C.UTF-8"}).out == expected


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_shell_reads_quoted_names(name: str, locale: str) -> None:
    # A mark that turns the text round is escaped too, though stat(1) prints it.
    odd = [name + ending for ending in (*QUOTED, "it's \udcff", "\u202e")]
    for each in odd:
        path_of(each).touch()
    environment = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = run("stat", "-f", "%N", *odd, env=environment).out.splitlines()
    script = b"printf '%s\\0' " + b" ".join(words)
    read = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert read.split(b"\0")[:-1] == [os.fsencode(each) for each in odd]


def test_names_in_a_command(name: str) -> None:
    """%n is the very name where no terminal reads it."""
    odd = name + "\xff \n\x1b[31m".encode("latin-1").decode("utf-8", "surrogateescape")
    path_of(odd).write_bytes(b"abc")
    result = run("stat", "-f", "%n", odd)
    assert result.out == os.fsencode(odd) + b"\n"
    assert done("stat", "-f", "%s", os.fsdecode(result.out[:-1])) == "3\n"
    assert run("stat", "-f", "%.3n|%n", odd).out.startswith(b"/sh|/shmctl")


def test_names_on_a_terminal(name: str) -> None:
    """A name with a control sequence cannot reach the terminal, quoted or not."""
    odd = name + "\x1b[31m"
    path_of(odd).touch()
    shown = on_terminal("stat", "-f", "%n %N %20n", odd).out
    assert b"\x1b[31m" not in shown
    assert b"\\x1b[31m '" in shown
    assert b"'$'\\033''[31m'" in shown


def test_name_letters(target: str) -> None:
    assert done("stat", "-f", "%n", target[1:]) == target + "\n"
    assert target in done("stat", "-f", "%N", target)
    assert done("stat", "-f", f"%-{len(target) + 3}n|", target) == target + "   |\n"


@pytest.mark.parametrize(
    "text", ["plain", "%%", "100%%s", "%n%n", "a\\nb", "", "é", "%%%s%%", "%", "%s%", "%%%"]
)
def test_other_text(target: str, text: str) -> None:
    expected = by_stat(text, target).decode().replace(str(path_of(target)), target)
    assert done("stat", "-f", text, target) == expected


@pytest.mark.parametrize("text", ["%q", "%5", "%-", "%.", "%5%", "%s%-", "%Ls", "%é", "%99999999999s"])
def test_bad_formats(target: str, text: str) -> None:
    result = run("stat", "-f", text, target)
    assert (result.status, result.out) == (2, b""), result
    assert "internal" not in result.errors


def test_birth_time(target: str) -> None:
    """Nothing but its creation changes it, and it is the one that stat(1) prints."""
    born = done("stat", "-f", "%w", target)
    path_of(target).write_bytes(b"x")
    path_of(target).chmod(0o600)
    assert done("stat", "-f", "%w", target) == born == by_stat("%w", target).decode()
    (record,) = json.loads(done("stat", "--json", target))
    assert datetime.fromisoformat(record["btime"]) == datetime.fromisoformat(born.strip())
    shown = dict(line.split(maxsplit=1) for line in done("stat", target).splitlines())
    assert shown["stx_btime"] == f"{by_stat('%W', target).decode().strip()} ({record['btime']})"


@pytest.mark.parametrize("number", ["ENOSYS", "EPERM"])
def test_no_birth_time(target: str, tmp_path: Path, number: str) -> None:
    """An old kernel, or a container's seccomp profile: what is known is shown all the same."""
    strace = ["strace", "-f", "-qq", "-o", str(tmp_path / "log"), "-e", f"inject=statx:error={number}"]
    result = run_command([*strace, *shmctl_argv("stat", "-f", "%w %W %s", target)])
    assert (result.status, result.out) == (0, b"- 0 7000\n"), result
    assert "statx(" in (tmp_path / "log").read_text()
    result = run_command([*strace, *shmctl_argv("stat", target)])
    assert b"stx_btime   unknown" in result.out
    result = run_command([*strace, *shmctl_argv("stat", "--json", target)])
    assert json.loads(result.out)[0]["btime"] is None


def test_every_field(target: str) -> None:
    st = path_of(target).stat()
    shown = dict(line.split(maxsplit=1) for line in done("stat", target).splitlines())
    for field in (
        "st_dev",
        "st_ino",
        "st_nlink",
        "st_uid",
        "st_gid",
        "st_rdev",
        "st_size",
        "st_blksize",
        "st_blocks",
    ):
        assert int(shown[field].split()[0]) == getattr(st, field), field
    assert int(shown["st_mode"].split()[0], 8) == st.st_mode
    assert "-rw-r-----" in shown["st_mode"]
    for field in ("st_atime", "st_mtime", "st_ctime"):
        assert int(shown[field].split()[0]) == getattr(st, field + "_ns") // 10**9, field
    assert f"({st.st_blocks * 512} bytes" in shown["st_blocks"]
    assert ".012345678" in shown["st_atime"]


def test_json(target: str) -> None:
    st = path_of(target).stat()
    shown = done("stat", "--json", target)
    assert len(shown.splitlines()) == 3
    (record,) = json.loads(shown)
    assert record["name"] == target
    assert record["path"] == str(path_of(target))
    assert (record["kind"], record["size"], record["mode"]) == ("shm", 7000, "0640")
    assert record["allocated"] == st.st_blocks * 512
    assert (record["uid"], record["gid"], record["nlink"]) == (st.st_uid, st.st_gid, 1)
    assert (record["inode"], record["device"]) == (st.st_ino, st.st_dev)
    for key in (
        "st_dev",
        "st_ino",
        "st_mode",
        "st_nlink",
        "st_uid",
        "st_gid",
        "st_rdev",
        "st_size",
        "st_blksize",
        "st_blocks",
    ):
        assert record[key] == getattr(st, key), key
    for key in ("atime", "mtime", "ctime"):
        moment = datetime.fromisoformat(record[key])
        assert moment.tzinfo is not None
        assert int(moment.timestamp()) == getattr(st, f"st_{key}_ns") // 10**9
        assert isinstance(record[f"st_{key}"], int | float)


def test_many_operands(names: list[str]) -> None:
    path_of(names[0]).write_bytes(b"x")
    path_of(names[2]).write_bytes(b"xyz")
    result = run("stat", "-f", "%s", *names)
    assert (result.status, result.out) == (1, b"1\n3\n"), result
    assert result.errors == f"shmctl: stat: {names[1]}: No such file or directory (ENOENT)\n"
    result = run("stat", "--json", *names)
    assert result.status == 1
    assert [record["size"] for record in json.loads(result.out)] == [1, 3]
    result = run("stat", "--json", names[1])
    assert (result.status, json.loads(result.out)) == (1, [])


def test_format_and_json(target: str) -> None:
    assert run("stat", "--json", "-f", "%s", target).status == 2
    assert run("stat").status == 2
