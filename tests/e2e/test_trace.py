"""``--trace`` is the truth: strace(1) sees the same calls on the object, in the same order, and no others."""

import difflib
import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.e2e.terminal import on_terminal, without_styles
from tests.support import (
    NOBODY,
    Result,
    environment,
    path_of,
    python_for_all,
    run_command,
    shmctl_argv,
)

Call: TypeAlias = tuple[object, ...]
Run: TypeAlias = Callable[..., list[str]]

# Which arguments of a system call are descriptors, where it is not the first alone.
FD_POSITIONS = {"mmap": (4,), "sendfile": (0, 1), "copy_file_range": (0, 2), "splice": (0, 2), "tee": (0, 1)}
# How a command gets at the bytes of a mapping, and what it asks and closes on the way, is its own affair:
# it is compared, but the tests below do not say which of these calls there are.
SUPPORTING = ("fstat", "lseek", "fcntl", "readv", "write", "pread", "close")
STRACE_LINE = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (-?\w+)(?: (E[A-Z0-9]+)| \(errno (\d+)\))?.*")
TRACE_LINE = re.compile(r"(\w+)\((.*)\) = (-?\w+)(?: (E[A-Z0-9]+) \(.+\))?")
FD_PATH = re.compile(r'"/proc/self/fd/(\d+)"')


def arguments_of(text: str) -> list[str]:
    """The arguments of a call, split at the commas outside strings, brackets and braces."""
    arguments, depth, quoted, start, at = [], 0, False, 0, 0
    while at < len(text):
        character = text[at]
        if quoted:
            at += character == "\\"
            quoted = character != '"'
        elif character == '"':
            quoted = True
        elif character in "[{(":
            depth += 1
        elif character in "]})":
            depth -= 1
        elif character == "," and not depth:
            arguments.append(text[start:at].strip())
            start = at + 1
        at += 1
    return [*arguments, text[start:].strip()] if text else []


def flags(text: str) -> frozenset[str]:
    found = frozenset(text.split("|")) - {"O_LARGEFILE"}
    # O_PATH has no access mode (open(2)); some versions of strace spell one.
    return found - {"O_RDONLY"} if "O_PATH" in found else found


def sorted_flags(text: str) -> str:
    return "|".join(sorted(flags(text)))


def stat_fields(text: str) -> tuple[int, int] | None:
    """Mode and size out of ``{st_mode=S_IFREG|0600, st_size=5, ...}``; None where nothing was filled in."""
    match = re.fullmatch(r"\{st_mode=(.*), st_size=(\d+), \.\.\.\}", text)
    if not match:
        assert text in ("{...}", "0x0", "...") or text.startswith("0x"), text
        return None
    names = {"S_ISUID": 0o4000, "S_ISGID": 0o2000, "S_ISVTX": 0o1000}
    kinds = {"S_IFREG": 0o10, "S_IFDIR": 0o4, "S_IFLNK": 0o12, "S_IFIFO": 0o1, "S_IFSOCK": 0o14}
    mode = 0
    for part in match[1].split("|"):
        if part in kinds:
            mode |= kinds[part] << 12
        else:
            mode |= names[part] if part in names else int(part, 8)
    return mode, int(match[2])


def number(text: str) -> int:
    return int(text, 16) if text.startswith("0x") else int(text)


def in_common(call: str, args: list[str]) -> Call:  # noqa: C901, PLR0911 - a case for each call
    """A call that strace and shmctl spell alike."""
    match call:
        case "fcntl" | "flock" | "lseek" | "statx":
            return (call, *args[:4])  # without what statx(2) fills in
        case "ftruncate" | "close" | "munmap" | "fchown":
            return (call, *map(number, args))
        case "fchmod":
            return (call, int(args[0]), int(args[1], 8))
        case "chmod":
            return (call, args[0], int(args[1], 8))
        case "chown":
            return (call, args[0], number(args[1]), number(args[2]))
        case "mmap":
            return (
                call,
                args[0],
                number(args[1]),
                sorted_flags(args[2]),
                args[3],
                int(args[4]),
                number(args[5]),
            )
        case "sendfile":
            return (call, int(args[0]), int(args[1]), args[2], int(args[3]))
        case "copy_file_range" | "renameat2":
            return (call, *args)
        case "statfs" | "statvfs":
            return ("statvfs", args[0])
        case "write":
            return (call, *map(number, args))
        case "unlink":
            return (call, args[0])
    return ("?" + call, *args)


def from_trace(call: str, args: list[str]) -> Call:  # noqa: C901, PLR0911 - a case for each call
    """A line of ``--trace``, without its result."""
    match call:
        case "shm_open":
            return (call, args[0], sorted_flags(args[1]), int(args[2], 8))
        case "open":
            return (call, args[0], sorted_flags(args[1]))
        case "openat":
            return in_directory(args)
        case "shm_unlink":
            return (call, f'"/dev/shm{args[0][1:]}')
        case "posix_fallocate":
            return (call, *map(int, args))
        case "unlinkat" | "linkat" | "renameat":
            return (call, *args)
        case "fstat":
            return (call, int(args[0]), stat_fields(args[1]))
        case "fstatat":
            return (call, int(args[0]), args[1], stat_fields(args[2]), args[3])
        case "lstat":
            return (call, args[0], stat_fields(args[1]))
        case "pread" | "pwrite":
            assert args[1] == "..."
            return (call, int(args[0]), int(args[2]), int(args[3]))
        case "readv":
            return (call, int(args[0]), *lengths_of_vectors(args[1]), int(args[2]))
    return in_common(call, args)


def in_directory(args: list[str]) -> Call:
    """An openat relative to a descriptor."""
    return ("openat", int(args[0]), args[1], sorted_flags(args[2]), *(int(mode, 8) for mode in args[3:]))


def lengths_of_vectors(text: str) -> list[int]:
    return [int(length) for length in re.findall(r"iov_len=(\d+)", text)]


@dataclass
class Strace:
    """Reads a log of strace(1), and keeps what touches an object or, to open and close it, the directory."""

    name: str
    fds: set[int] = field(default_factory=set)
    directories: set[int] = field(default_factory=set)
    mappings: dict[int, int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def read(self, log: str) -> list[Call]:
        for line in log.splitlines():
            match = STRACE_LINE.fullmatch(line)
            if match and match[1] != "execve":
                self._take(match[1], arguments_of(match[2]), *self._result(match))
        return self.calls

    @staticmethod
    def _result(match: "re.Match[str]") -> tuple[int, str | None]:
        symbol = match[4]
        if match[5]:
            symbol = errno.errorcode[int(match[5])]
        return number(match[3]) if match[3] != "?" else 0, symbol

    def _take(self, call: str, args: list[str], result: int, symbol: str | None) -> None:
        if not self._concerns(call, args):
            return
        if call == "newfstatat" and FD_PATH.fullmatch(args[1]):
            # How the tracer learns what the fstat inside CPython's mmap module will say.
            return
        self.calls.append((*self._translated(call, args), result, symbol))
        if symbol is None:
            self._follow(call, args, result)

    def _concerns(self, call: str, args: list[str]) -> bool:  # noqa: PLR0911 - a case for each call
        path = f'"/dev/shm{self.name}"'
        if call in ("openat", "unlinkat", "renameat") and self._in_directory(args[0]):
            return True
        if path in args or (call == "openat" and args[1] == '"/dev/shm"'):
            return True
        if call == "statfs" and args[0] == '"/dev/shm"':
            return True
        if call == "newfstatat" and f'"{self.name[1:]}"' == args[1]:
            return True
        if any(match and int(match[1]) in self.fds for match in map(FD_PATH.fullmatch, args)):
            return True
        if call == "close" and int(args[0]) in self.directories:
            return True
        if call == "readv" and self.mappings:
            # strace shows what was read, not where to; any other copy is made while nothing is mapped.
            return True
        if call == "write":
            return int(args[0], 16) in self.fds or self._is_mapped(args[1])
        if call in ("mmap", "munmap", "mremap", "madvise", "msync", "mprotect") and self._is_mapped(args[0]):
            return True
        positions = FD_POSITIONS.get(call, (0,))
        return any(args[at].isdigit() and int(args[at]) in self.fds for at in positions if at < len(args))

    def _in_directory(self, text: str) -> bool:
        return text.isdigit() and int(text) in self.directories

    def _is_mapped(self, text: str) -> bool:
        if not text.startswith("0x"):
            return False
        address = int(text, 16)
        return any(start <= address < start + length for start, length in self.mappings.items())

    def _translated(self, call: str, args: list[str]) -> Call:  # noqa: C901, PLR0911 - a case for each call
        match call:
            case "openat" if args[0].isdigit():
                return in_directory(args)
            case "openat" if {"O_PATH", "O_DIRECTORY"} & flags(args[2]):
                assert args[0] == "AT_FDCWD"
                return ("open", args[1], sorted_flags(args[2]))
            case "openat":
                assert args[0] == "AT_FDCWD"
                assert flags(args[2]) >= {"O_NOFOLLOW", "O_CLOEXEC"}, args
                oflag = "|".join(sorted(flags(args[2]) - {"O_NOFOLLOW", "O_CLOEXEC"}))
                mode = int(args[3], 8) if len(args) > 3 else 0
                return ("shm_open", args[1].replace("/dev/shm", "", 1), oflag, mode)
            case "newfstatat" if args[1] == '""':
                assert args[3] == "AT_EMPTY_PATH"
                return ("fstat", int(args[0]), stat_fields(args[2]))
            case "fstat":
                return ("fstat", int(args[0]), stat_fields(args[1]))
            case "newfstatat" if args[0] == "AT_FDCWD":
                return ("lstat", args[1], stat_fields(args[2]))
            case "newfstatat":
                return ("fstatat", int(args[0]), args[1], stat_fields(args[2]), args[3])
            case "fallocate":
                assert args[1] == "0"
                return ("posix_fallocate", int(args[0]), int(args[2]), int(args[3]))
            case "pread64" | "pwrite64":
                return (call.removesuffix("64"), int(args[0]), int(args[2]), int(args[3]))
            case "readv":
                return (call, int(args[0]), *lengths_of_vectors(args[1]), int(args[2]))
            case "unlinkat" | "linkat" | "renameat":
                return (call, *args)
            case "fchmodat" | "fchownat":
                assert args[0] == "AT_FDCWD"
                return in_common(call[1:-2], args[1:4] if call == "fchownat" else args[1:3])
        return in_common(call, args)

    def _follow(self, call: str, args: list[str], result: int) -> None:
        if call == "openat":
            (self.directories if args[1] == '"/dev/shm"' else self.fds).add(result)
        elif call == "fcntl" and args[1].startswith("F_DUPFD"):
            self.fds.add(result)
        elif call == "close":
            self.fds.discard(int(args[0]))
            self.directories.discard(int(args[0]))
        elif call == "mmap" and not self._is_mapped(args[0]):
            self.mappings[result] = number(args[1])
        elif call == "munmap":
            del self.mappings[int(args[0], 16)]


def strace_argv(log: Path, argv: list[str | bytes]) -> list[str | bytes]:
    return [
        "strace", "-f", "-s", "4096", "-o", str(log),
        "-e", "trace=%file,%desc,%memory", "-e", "raw=write", "-e", "signal=none",
        *argv,
    ]  # fmt: skip


def traced_calls(err: bytes) -> list[Call]:
    found = []
    for line in err.decode().splitlines():
        match = TRACE_LINE.fullmatch(line)
        if match:
            call = from_trace(match[1], arguments_of(match[2]))
            found.append((*call, number(match[3]), match[4]))
        else:
            assert line.startswith(("shmctl: ", "hint: ")), line
    return found


def compare(name: str, log: Path, result: Result) -> list[str]:
    """Fail unless both saw the same; returns the names of the calls, without the supporting ones."""
    seen = Strace(name).read(log.read_text())
    told = traced_calls(result.err)
    ours, theirs = ([str(call) for call in calls] for calls in (kernel_calls(told, seen), seen))
    lines = difflib.unified_diff(ours, theirs, "--trace", "strace", lineterm="")
    difference = "\n".join(lines)
    assert not difference, difference
    return [str(call[0]) for call in told if call[0] not in SUPPORTING]


def kernel_calls(told: list[Call], seen: list[Call]) -> list[Call]:
    """The trace with each shm_unlink as the unlink that it is; glibc's makes EACCES of unlink's EPERM."""
    calls = list(told)
    for at, (call, *rest) in enumerate(told):
        if call == "shm_unlink":
            calls[at] = ("unlink", *rest)
            if rest[-1] == "EACCES" and seen[at : at + 1] == [("unlink", *rest[:-1], "EPERM")]:
                calls[at] = seen[at]
    return calls


@pytest.fixture
def truth(name: str, tmp_path: Path) -> Run:
    """Runs shmctl with --trace under strace, compares the two, and returns the calls there were."""

    def run(*args: str, status: int = 0, stdin: bytes = b"", nobody: bool = False) -> list[str]:
        log = tmp_path / "strace.log"
        log.unlink(missing_ok=True)
        python = python_for_all() if nobody else sys.executable
        argv = strace_argv(log, shmctl_argv("--trace", *args, python=python))
        result = run_command([*argv[:1], "-u", "nobody", *argv[1:]] if nobody else argv, stdin=stdin)
        assert result.status == status, result
        return compare(name, log, result)

    return run


def make(name: str, content: bytes = b"", mode: int = 0o600) -> None:
    path_of(name).write_bytes(content)
    path_of(name).chmod(mode)


MAPPED_WRITE = ["posix_fallocate", "mmap", "munmap"]
MAPPED_READ = ["mmap", "munmap"]


def test_create(name: str, truth: Run) -> None:
    assert truth("create", name, "-s", "100") == ["shm_open", "ftruncate"]


def test_create_empty_with_mode(name: str, truth: Run) -> None:
    assert truth("create", name, "-m", "4640") == ["shm_open"]
    assert truth("stat", name) == ["open", "statx"]


def test_create_what_exists(name: str, truth: Run) -> None:
    make(name)
    assert truth("create", name, status=1) == ["shm_open"]


def test_create_no_excl_makes(name: str, truth: Run) -> None:
    calls = truth("create", name, "-s", "9", "--no-excl")
    assert calls == ["shm_open", "shm_open", "ftruncate"]


def test_create_no_excl_resizes(name: str, truth: Run) -> None:
    make(name, b"abc")
    assert truth("create", name, "-s", "9", "--no-excl") == ["shm_open", "ftruncate"]
    assert truth("create", name, "-s", "9", "--no-excl") == ["shm_open"]
    assert truth("create", name, "-s", "2", "--no-excl") == ["shm_open", "ftruncate"]


def test_create_trunc(name: str, truth: Run) -> None:
    make(name, b"abc")
    calls = truth("create", name, "-s", "5", "--trunc", "--no-excl")
    assert calls == ["shm_open", "ftruncate"]
    assert path_of(name).read_bytes() == bytes(5)


def test_create_reserve(name: str, truth: Run) -> None:
    calls = truth("create", name, "-s", "5000", "--reserve")
    assert calls == ["shm_open", "posix_fallocate"]


def test_create_reserve_over_capacity(name: str, truth: Run) -> None:
    calls = truth("create", name, "-s", "8E", "--reserve", status=2)
    assert calls == []
    calls = truth("create", name, "-s", str(2**62), "--reserve", status=1)
    assert calls[:2] == ["shm_open", "posix_fallocate"]
    assert calls[-2:] == ["shm_unlink", "statvfs"], "the message asks whether memory or inodes ran out"
    assert not path_of(name).exists()


def test_create_over_the_file_size_limit(name: str, tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes ftruncate fail: the trace and strace see it, and the object goes again."""
    log = tmp_path / "log"
    # prlimit runs under strace, so that the limit is not on strace's own log.
    argv = strace_argv(
        log, ["prlimit", "--fsize=500000", *shmctl_argv("--trace", "create", name, "-s", "1M")]
    )
    result = run_command(argv)
    assert result.status == 1, result
    assert "EFBIG" in result.errors
    calls = compare(name, log, result)
    assert calls[:2] == ["shm_open", "ftruncate"]
    assert "shm_unlink" in calls
    assert not path_of(name).exists()


ATOMIC = ["open", "openat", "openat"]


def test_create_atomic(name: str, truth: Run) -> None:
    assert truth("create", name, "-s", "100", "-m", "640", "--atomic") == [*ATOMIC, "ftruncate", "linkat"]
    assert truth("create", name, "-s", "100", "--atomic", status=1) == ATOMIC[:2]
    os.unlink(path_of(name))
    calls = truth("create", name, "-s", "100", "--atomic", "--reserve")
    assert calls == [*ATOMIC, "posix_fallocate", "linkat"]


def test_replace(name: str, truth: Run) -> None:
    make(name)
    swap = ["openat", "flock", "fstatat", "linkat", "openat", "renameat"]
    assert truth("create", name, "-s", "100", "--atomic", "--replace") == [*ATOMIC, "ftruncate", *swap]
    calls = truth("write", name, "hello", "--create", "--atomic", "--replace")
    assert calls == [*ATOMIC, *MAPPED_WRITE, *swap]
    os.unlink(path_of(name))
    calls = truth("write", name, "--create", "--atomic", "--replace", stdin=b"hello")
    assert calls == [*ATOMIC, "posix_fallocate", "pwrite", "linkat"]


@pytest.mark.needs_root
def test_replace_without_permission(name: str, truth: Run) -> None:
    make(name)
    calls = truth("create", name, "--atomic", "--replace", status=1, nobody=True)
    # What may not be read has no lock to be had.
    assert calls[:8] == [*ATOMIC, "openat", "openat", "linkat", "openat", "renameat"]
    assert calls[8] == "unlinkat"


@pytest.mark.parametrize("change", ["7", "+5", "-2", "<1", ">9", "/2", "%4"])
def test_truncate(name: str, truth: Run, change: str) -> None:
    make(name, b"abc")
    assert truth("truncate", name, "-s", change) == ["shm_open", "ftruncate"]


def test_write_value(name: str, truth: Run) -> None:
    make(name, bytes(100))
    assert truth("write", name, "hello") == ["shm_open", *MAPPED_WRITE]


def test_write_at_an_offset_within_a_page(name: str, truth: Run) -> None:
    make(name, bytes(10000))
    assert truth("write", name, "-o", "5001", "hello") == ["shm_open", *MAPPED_WRITE]
    assert path_of(name).read_bytes()[4999:5008] == b"\0\0hello\0\0"


@pytest.mark.parametrize(
    "source",
    [
        ["--type", "int32", "1", "-2"],
        ["--hex", "00ff"],
        ["--fill", "7"],
        ["--fill", "7", "-n", "3"],
        ["--struct", "int a; char b[4]; int c", "c=3", "a=1"],
        ["--struct", "unsigned a:3; unsigned b:5", "b=1"],
    ],
    ids=" ".join,
)
def test_write_typed(name: str, truth: Run, source: list[str]) -> None:
    make(name, bytes(100))
    calls = truth("write", name, *source)
    assert calls[:1] == ["shm_open"]
    assert calls.count("mmap") == calls.count("munmap") == 1


def test_write_more_than_a_pipe_holds(name: str, truth: Run) -> None:
    make(name, bytes(300_000))
    assert truth("write", name, "--fill", "x") == ["shm_open", *MAPPED_WRITE]
    assert path_of(name).read_bytes() == b"x" * 300_000


def test_write_what_does_not_fit(name: str, truth: Run) -> None:
    make(name, b"abc")
    assert truth("write", name, "hello", status=1) == ["shm_open"]


def test_write_grow_and_exact(name: str, truth: Run) -> None:
    make(name, b"abc")
    calls = truth("write", name, "hello", "--grow")
    assert calls == ["shm_open", *MAPPED_WRITE]
    calls = truth("write", name, "hi", "--exact")
    assert calls == ["shm_open", *MAPPED_WRITE, "ftruncate"]


def test_write_create(name: str, truth: Run) -> None:
    calls = truth("write", name, "hello", "--create")
    assert calls == ["shm_open", "shm_open", *MAPPED_WRITE]


def test_write_lock(name: str, truth: Run) -> None:
    make(name, bytes(9))
    calls = truth("write", name, "hello", "--lock")
    assert calls == ["shm_open", "flock", "lstat", *MAPPED_WRITE]


def test_write_standard_input(name: str, truth: Run) -> None:
    make(name, bytes(9))
    calls = truth("write", name, stdin=b"hello")
    assert calls == ["shm_open", "posix_fallocate", "pwrite"]


def test_write_long_standard_input(name: str, truth: Run) -> None:
    calls = truth("write", name, "--create", stdin=b"x" * 700_000)
    assert calls.count("pwrite") >= 2
    assert path_of(name).read_bytes() == b"x" * 700_000


def test_write_file(name: str, truth: Run, tmp_path: Path) -> None:
    make(name)
    file = tmp_path / "data"
    file.write_bytes(b"x" * 300_000)
    calls = truth("write", name, "-i", str(file), "--grow")
    assert calls == ["shm_open", "posix_fallocate", "pwrite", "sendfile"]


def test_write_much_where_all_or_some_memory_is_there(name: str, truth: Run) -> None:
    mib = 1 << 20
    make(name, b"x" * 2 * mib)
    assert "posix_fallocate" not in truth("write", name, "--fill", "7")
    os.truncate(path_of(name), mib + 5)
    os.truncate(path_of(name), 2 * mib)
    assert truth("write", name, "--fill", "8").count("posix_fallocate") == 1
    assert path_of(name).stat().st_blocks == 2 * mib // 512
    assert "posix_fallocate" in truth("write", name, "--fill", "9", "-n", "3M", "--grow")


def test_write_create_taken_back(name: str, truth: Run) -> None:
    calls = truth("write", name, "--create", "-i", "/nonexistent", status=1)
    assert "shm_unlink" in calls
    assert not path_of(name).exists()


def test_cp_and_mv(name: str, truth: Run) -> None:
    make(name, b"hello")
    assert "copy_file_range" in truth("cp", name, f"{name}-copy")
    truth("mv", name, f"{name}-copy", status=1)
    assert truth("mv", name, f"{name}-moved")[-1] == "renameat2"


def test_read_raw(name: str, truth: Run) -> None:
    make(name, b"hello")
    assert truth("read", name) == ["shm_open", "sendfile"]
    assert truth("read", name, "-o", "1", "-n", "3") == ["shm_open", "sendfile"]


@pytest.mark.parametrize("form", [["--hex"], ["--text"], ["--json"], ["--json", "--text"]], ids=" ".join)
def test_read_chunks(name: str, truth: Run, form: list[str]) -> None:
    make(name, b"hello" * 2000)
    calls = truth("read", name, *form, "-o", "4500", "-n", "3000")
    assert calls == ["shm_open", *MAPPED_READ]


def test_read_holes(name: str, truth: Run) -> None:
    """Where SEEK_DATA finds nothing, its failure is in the trace too."""
    make(name)
    os.truncate(path_of(name), 100_000)
    assert truth("read", name, "--hex") == ["shm_open"]


@pytest.mark.parametrize("form", [["--type", "int32", "-c", "3"], ["--struct", "int a; int b"]], ids=" ".join)
def test_read_typed(name: str, truth: Run, form: list[str]) -> None:
    make(name, bytes(20))
    assert truth("read", name, *form, "-o", "3") == ["shm_open", *MAPPED_READ]


def test_read_lock(name: str, truth: Run) -> None:
    make(name, b"hello")
    calls = truth("read", name, "--lock", "--type", "char")
    assert calls == ["shm_open", "flock", "lstat", *MAPPED_READ]


def test_read_empty(name: str, truth: Run) -> None:
    make(name)
    assert truth("read", name) == ["shm_open"]
    assert truth("read", name, "--type", "int8", status=1) == ["shm_open"]


def test_mapping_that_the_system_refuses(name: str, truth: Run) -> None:
    """More than the address space: mmap fails, and the trace says so."""
    make(name)
    os.truncate(path_of(name), 2**62)
    calls = truth("read", name, "--type", "int8", "-c", str(2**62), status=1)
    assert calls == ["shm_open", "mmap"]


def test_mapping_that_the_object_has_become_too_small_for(name: str, tmp_path: Path) -> None:
    """Then the trace neither hides nor invents a call."""
    mib = 1 << 20
    make(name, b"x" * 12 * mib)
    log = tmp_path / "log"
    errors = tmp_path / "errors"
    argv = strace_argv(log, shmctl_argv("--trace", "read", name, "--text"))
    with (
        errors.open("wb") as err,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=err, env=environment()) as process,
    ):
        assert process.stdout
        assert len(process.stdout.read(100)) == 100
        # The first 8 MiB are mapped, and the pipe is full: what follows is gone before it is looked at.
        os.truncate(path_of(name), 8 * mib)
        while process.stdout.read(mib):
            pass
    assert process.returncode == 1
    assert compare(name, log, Result(1, b"", errors.read_bytes()))


def test_stat(name: str, truth: Run) -> None:
    make(name, b"hello")
    assert truth("stat", name) == ["open", "statx"]
    assert truth("stat", name, "-f", "%s") == ["open"]
    assert truth("stat", name, "-f", "%w") == ["open", "statx"]


def test_chmod(name: str, truth: Run) -> None:
    make(name)
    assert truth("chmod", "0", name) == ["shm_open", "fchmod"]
    assert truth("chmod", "4755", name) == ["shm_open", "fchmod"]


@pytest.mark.needs_root
def test_chown(name: str, truth: Run) -> None:
    make(name)
    assert truth("chown", f"{NOBODY}", name) == ["shm_open", "fchown"]
    assert truth("chown", f":{NOBODY}", name) == ["shm_open", "fchown"]


@pytest.mark.needs_root
def test_no_permission(name: str, truth: Run) -> None:
    make(name)
    denied = ["shm_open", "open"]
    assert truth("read", name, status=1, nobody=True) == denied
    assert truth("write", name, "x", status=1, nobody=True) == denied
    assert truth("truncate", name, "-s", "1", status=1, nobody=True) == denied
    truth("chmod", "666", name, status=1, nobody=True)
    truth("chown", "nobody", name, status=1, nobody=True)
    assert truth("unlink", name, status=1, nobody=True)[0] == "shm_unlink"
    assert truth("rm", name, status=1, nobody=True)[0] == "unlink"


@pytest.mark.needs_root
def test_own_object_that_the_mode_bars_from_opening(name: str, truth: Run) -> None:
    make(name, mode=0)
    os.chown(path_of(name), NOBODY, NOBODY)
    assert "chmod" in truth("chmod", "600", name, nobody=True)
    path_of(name).chmod(0)
    assert "chown" in truth("chown", "nobody", name, nobody=True)


def test_ls(name: str, truth: Run) -> None:
    make(name, b"hello")
    assert truth("ls", name) == ["open", "fstatat"]
    assert truth("ls", "-a", name + "*") == ["open", "fstatat"]
    assert truth("ls", "-o", "btime", name) == ["open", "fstatat", "statx"]


def test_ls_missing(name: str, truth: Run) -> None:
    assert truth("ls", name, status=1) == ["open"]


def test_unlink(name: str, truth: Run) -> None:
    make(name)
    assert truth("unlink", name) == ["shm_unlink"]
    assert truth("unlink", name, status=1) == ["shm_unlink"]


def test_rm(name: str, truth: Run) -> None:
    make(name)
    assert truth("rm", name) == ["unlink"]
    assert truth("rm", name, status=1) == ["unlink"]
    assert truth("rm", "-f", name) == ["unlink"]


def test_rm_dry_run(name: str, truth: Run) -> None:
    make(name)
    assert truth("rm", "-n", name) == ["open"]


@pytest.mark.parametrize(
    "command",
    [
        ["read"],
        ["write", "--", "x"],
        ["truncate", "-s", "1"],
        ["stat"],
        ["chmod", "600"],
        ["chown", "0"],
    ],
    ids=lambda command: str(command[0]),
)
def test_missing(name: str, truth: Run, command: list[str]) -> None:
    before = command[1:] if command[0] in ("chmod", "chown") else []
    after = [] if before else [part for part in command[1:] if part != "--"]
    assert truth(command[0], *before, name, *after, status=1) == [
        "open" if command[0] == "stat" else "shm_open"
    ]


@pytest.mark.parametrize(
    "command", [["create", "--no-excl"], ["read"], ["truncate", "-s1"], ["chmod", "600"]], ids=" ".join
)
def test_symlink(name: str, truth: Run, command: list[str]) -> None:
    os.symlink("/etc/passwd", path_of(name))
    calls = truth(*command, name, status=1)
    assert calls[0] == "shm_open"


def test_fifo(name: str, truth: Run) -> None:
    os.mkfifo(path_of(name))
    truth("read", name, status=1)
    truth("write", name, "x", status=1)
    truth("create", "--no-excl", name, "-s", "5", status=1)


def test_spelling_of_the_contract(name: str) -> None:
    """The very lines that the documentation shows."""
    result = run_command(shmctl_argv("--trace", "create", name, "-s", "100"))
    lines = [line for line in result.errors.splitlines() if not line.startswith(("fcntl(", "fstat("))]
    assert lines[:2] == [f'shm_open("{name}", O_RDWR|O_CREAT|O_EXCL, 0600) = 3', "ftruncate(3, 100) = 0"]
    result = run_command(shmctl_argv("--trace", "write", name, "--fill", "0"))
    mapped = [line for line in result.errors.splitlines() if line.startswith("mmap(")]
    assert len(mapped) == 1
    pattern = r"mmap\(NULL, 100, PROT_READ\|PROT_WRITE, MAP_SHARED, 3, 0\) = 0x[0-9a-f]+"
    assert re.fullmatch(pattern, mapped[0]), mapped
    result = run_command(shmctl_argv("--trace", "create", name))
    assert result.errors.splitlines()[0] == (
        f'shm_open("{name}", O_RDWR|O_CREAT|O_EXCL, 0600) = -1 EEXIST (File exists)'
    )


def test_name_that_needs_escapes(name: str, tmp_path: Path) -> None:
    """Strings are written as strace writes them, bytes that are no UTF-8 included."""
    log = tmp_path / "log"
    odd = name.encode() + b'\xe9 "q"\\\n\x1b7\t'
    spelled = name + r"\351 \"q\"\\\n\0337\t"
    for command in (["create"], ["stat"], ["read"], ["ls"], ["rm"], ["unlink"]):
        result = run_command(strace_argv(log, shmctl_argv("--trace", *command, odd)))
        assert compare(spelled, log, result), command


@pytest.mark.parametrize(
    "args", [["--raw"], ["--raw", "--lock"], ["--text"], ["--json"], ["--hex"]], ids=" ".join
)
def test_output_and_trace_never_share_a_line(name: str, args: list[str]) -> None:
    """Where both go to one terminal or one pipe, and the data has no newline at its end."""
    make(name, b"Hello")
    argv = shmctl_argv("--trace", "read", name, *args)
    piped = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, timeout=60)
    for shown in (piped.stdout, without_styles(on_terminal("--trace", "read", name, *args).out)):
        lines = shown.decode().splitlines()
        assert sum(TRACE_LINE.fullmatch(line) is not None for line in lines) >= 3
        assert sum("Hello" in line or "48 65 6c" in line or "48656c" in line for line in lines) == 1
        assert not [line for line in lines if re.search(r"\) = \S", line) and not TRACE_LINE.fullmatch(line)]
    apart = run_command(argv)
    assert b"\n\n" not in apart.err
    assert apart.err.startswith(b"shm_open(")
