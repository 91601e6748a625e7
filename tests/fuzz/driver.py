"""Runs fuzzed command lines in this process, through the real error boundary, in namespaces of its own.

Started by `unshare`: /dev/shm is a small tmpfs of its own, and no process of the host can be named.
Arguments: how many command lines, and "nobody" for the second half of those tests. The last command
line is in the file ``last``, in case it ends the process.
"""

import faulthandler
import json
import os
import resource
import shutil
import sys
import tempfile
import traceback
from typing import Any, Literal, TextIO

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import shmctl.cli.main as shmctl_main
from tests.fuzz.words import Words, command_lines, family_files, scripts

SHM = "/dev/shm"
STATUSES = {0, 1, 2, 124, 130}
PROGRAM_STATUSES = {126, 127}
MEMORY = 3 << 30
SLOW = 30
SEMAPHORE = b"\3" + bytes(7) + b"\x80" + bytes(23)
HEADER = b"enum { N = 3 };\nstruct s { int a; char b[N]; struct { short x:3; } in; };\ntypedef struct s t;\n"
NOBODY = 65534
ROOTS = {"roots": 0o600, "readable": 0o644, "writable": 0o666}
JUDGING = {"leaks", "gc", "ls", "df", "metrics"}


def prepare() -> None:
    """The same objects before each run."""
    for entry in os.listdir(SHM.encode()):
        if entry.decode("utf-8", "replace") in ROOTS:
            continue
        path = SHM.encode() + b"/" + entry
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    for name, content in (
        ("a", bytes(range(100))), ("b", b""), ("c", b"text\n" * 30), ("sem.s", SEMAPHORE), ("sem.bad", b"no"),
    ):  # fmt: skip
        write(f"{SHM}/{name}", content)
    write(f"{SHM}/big", b"x")
    os.truncate(f"{SHM}/big", 3_000_000)
    os.mkdir(f"{SHM}/dir")
    os.symlink("a", f"{SHM}/link")
    os.mkfifo(f"{SHM}/fifo")


def write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def stream(fd: int, mode: Literal["r", "w"]) -> TextIO:
    errors = "backslashreplace" if fd == 2 else "surrogateescape"
    return open(fd, mode, encoding="utf-8", errors=errors, closefd=False)


class Streams:
    """Descriptors 0, 1 and 2, and what a run wrote to them."""

    def __init__(self) -> None:
        self.input, self.out, self.err = (os.memfd_create(name) for name in ("in", "out", "err"))
        self.own_error = os.dup(2)
        for number, fd in enumerate((self.input, self.out, self.err)):
            os.dup2(fd, number)

    def begin(self, stdin: bytes) -> None:
        for fd in (self.input, self.out, self.err):
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
        os.pwrite(self.input, stdin, 0)
        sys.stdin, sys.stdout, sys.stderr = stream(0, "r"), stream(1, "w"), stream(2, "w")

    def end(self) -> tuple[bytes, bytes]:
        sys.stdout.flush()
        sys.stderr.flush()
        return os.pread(self.out, 64 << 20, 0), os.pread(self.err, 1 << 20, 0)


def check(args: Words, stdin: bytes, status: int, out: bytes, err: bytes) -> None:
    shown = f"{args!r} with {stdin!r}: status {status}, {err[-2000:]!r}"
    allowed = STATUSES | (PROGRAM_STATUSES if {"run", "lock", "batch"} & set(args) else set())
    assert status in allowed, shown
    assert b"internal error" not in err, shown
    assert b"Traceback" not in err, shown
    lines = err.decode("utf-8", "surrogateescape").splitlines()
    # What a compiler says of a header is shown as it wrote it.
    others = any(word.startswith(("--h", "--la")) for word in args) and not {"-h", "--help"} & set(args)
    traced = "--trace" in args or "batch" in args or others
    for line in lines:
        assert line.startswith(("shmctl: ", "hint: ", "/")) or traced, shown
        assert all(c.isprintable() for c in line), shown
    assert status in (0, *PROGRAM_STATUSES, 130) or err or not says_why(args, out), shown
    asks_json = "--json" in args and not {"-h", "--help", "--version", "batch", "--"} & set(args)
    if (
        asks_json
        and status == 0
        # else it may be the value of that option
        and not args[args.index("--json") - 1].startswith("-")
        and not any(word.startswith(("-h", "--h")) and word != "--hex" for word in args)
    ):
        try:
            json.loads(out)
        except ValueError as error:
            raise AssertionError(f"{args!r} printed no JSON: {error}: {out[-500:]!r}") from error


def says_why(args: Words, out: bytes) -> bool:
    """Whether a status of 1 must come with a message: some commands answer by it."""
    silent = {"-q", "--quiet", "--exit-code", "/bin/false", "batch"}
    return not any(word in silent or (word.startswith("-") and "q" in word[:4]) for word in args)


def run(args: Words, stdin: bytes, streams: Streams) -> None:
    prepare()
    streams.begin(stdin)
    write("last", repr((args, stdin)).encode())
    os.umask(0o022)
    faulthandler.dump_traceback_later(SLOW, exit=True, file=streams.own_error)
    descriptors = len(os.listdir("/proc/self/fd"))
    try:
        status = int(shmctl_main.run(args))
    finally:
        faulthandler.cancel_dump_traceback_later()
    out, err = streams.end()
    check(args, stdin, status, out, err)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak < 1 << 20, f"{args!r} took {peak} KiB"
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1, f"{args!r} left descriptors open"


def become_nobody() -> None:
    """Leave objects of root's behind, and every privilege."""
    for name, mode in ROOTS.items():
        write(f"{SHM}/{name}", b"root's own")
        os.chmod(f"{SHM}/{name}", mode)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def settle() -> str:
    """A folder to work in, with the files that command lines name, and limits on what they can take."""
    folder = tempfile.mkdtemp(prefix="shmctl-fuzz-")
    os.chdir(folder)
    os.makedirs("config/shmctl")
    os.environ["XDG_CONFIG_HOME"] = f"{folder}/config"
    for name, content in (("input", b"0123456789" * 20), ("empty", b""), ("header.h", HEADER)):
        write(name, content)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    return folder


def main() -> int:
    count = int(sys.argv[1])
    if "nobody" in sys.argv:
        become_nobody()
    folder = settle()
    streams = Streams()
    seed_text = os.environ.get("SHMCTL_FUZZ_SEED")
    inputs = st.sampled_from([b"", b"", b"y\n", b"n\ny\n", b"data" * 30, b"\xff\0\n", b"z" * 300_000])

    @settings(
        max_examples=count, deadline=None, database=None, derandomize=seed_text is None, print_blob=False,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    @given(st.data())
    def fuzz(data: Any) -> None:
        args = data.draw(command_lines())
        if "batch" in args:
            given_input = data.draw(scripts()).encode("utf-8", "surrogateescape")
        else:
            given_input = data.draw(inputs)
        families = data.draw(st.one_of(st.just(""), family_files())) if set(args) & JUDGING else ""
        write("config/shmctl/families.toml", families.encode("utf-8", "surrogateescape"))
        run(args, given_input, streams)

    try:
        (seed(int(seed_text))(fuzz) if seed_text else fuzz)()
    except BaseException as problem:
        for each in getattr(problem, "exceptions", [problem]):
            shown = "".join(traceback.format_exception(each))[-4000:]
            os.write(streams.own_error, shown.encode("utf-8", "backslashreplace"))
        return 3
    finally:
        shutil.rmtree(folder)
    os.write(streams.own_error, f"{count} command lines\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
