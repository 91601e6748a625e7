"""What the tests share: shmctl as a real process, as any user, in namespaces and on terminals."""

import functools
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import shmctl
from shmctl.core.cgroup import own_groups

PREFIX = f"shmctl-test-{os.getpid()}-"
"""Every object that a test makes begins with this; the sweep in conftest.py removes what is left."""

TIMEOUT = 60
RACES = float(os.environ.get("SHMCTL_RACES", "1"))
"""How many times the usual number of rounds each race is run for."""

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
"""Put before a command, has user nobody run it, with no capability left."""


@dataclass(frozen=True)
class Result:
    """What a process left: exit status (negative: the signal that ended it), output and errors."""

    status: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def errors(self) -> str:
        return self.err.decode()


def race_rounds(usual: int) -> int:
    """How many rounds of a race to run where ``usual`` fit a run of all tests."""
    return max(1, round(usual * RACES))


def run_command(
    argv: Sequence[str | bytes], *, stdin: bytes = b"", env: dict[str, str] | None = None
) -> Result:
    """Run a program to its end; it is killed, and the test fails, after TIMEOUT seconds."""
    done = subprocess.run(
        argv, input=stdin, capture_output=True, env=environment(env), timeout=TIMEOUT, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


def shmctl_argv(*args: str | bytes, python: str = sys.executable) -> list[str | bytes]:
    """The command line that runs shmctl with ``args``."""
    return [python, "-m", "shmctl", *args]


def run(*args: str | bytes, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
    """Run shmctl, its output going to pipes."""
    return run_command(shmctl_argv(*args), stdin=stdin, env=env)


def done(*args: str | bytes, stdin: bytes = b"") -> str:
    """Run shmctl, which has to succeed without a word of complaint; returns its output."""
    result = run(*args, stdin=stdin)
    assert (result.status, result.errors) == (0, ""), result
    return result.text


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment, without what would colour or size the output."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR")}
    return {**kept, "PYTHONWARNINGS": "error", **(extra or {})}


def run_as_nobody(*args: str | bytes, stdin: bytes = b"") -> Result:
    """Run shmctl as user nobody, which needs root."""
    return run_command(as_nobody(shmctl_argv(*args, python=python_for_all())), stdin=stdin)


def as_nobody(argv: Sequence[str | bytes]) -> list[str | bytes]:
    """``argv`` run by user nobody, with no capability left."""
    return [*AS_NOBODY, *argv]


def let_all_in(folder: Path) -> None:
    """Let every user into a temporary folder: pytest shuts those above it, one more where it has workers."""
    for path in (folder, *folder.parents):
        if path.stat().st_uid == os.geteuid() and path.is_relative_to(tempfile.gettempdir()):
            path.chmod(path.stat().st_mode | 0o755)


@functools.cache
def python_for_all() -> str:
    """An interpreter with shmctl that every user may run: this one, or a copy in a readable folder."""
    probe = as_nobody([sys.executable, "-c", "import shmctl.cli.group"])
    if subprocess.run(probe, capture_output=True, cwd="/", check=False).returncode == 0:
        return sys.executable
    folder = Path(tempfile.mkdtemp(prefix="shmctl-python-"))
    folder.chmod(0o755)
    base = "/usr/bin/python3" if _same_version("/usr/bin/python3") else sys.executable
    subprocess.run([base, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "venv/lib" / version / "site-packages"
    installed = Path(sys.prefix) / "lib" / version / "site-packages"
    shutil.copytree(installed, packages, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*shmctl*"))
    shutil.copytree(Path(shmctl.__file__).parent, packages / "shmctl")
    return str(folder / "venv/bin/python")


def _same_version(python: str) -> bool:
    try:
        found = subprocess.run(
            [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, check=False
        )
    except FileNotFoundError:
        return False
    return found.stdout.split() == [str(part).encode() for part in sys.version_info[:2]]


def in_tiny_shm(script: str, *, size: str = "1m", env: dict[str, str] | None = None) -> Result:
    """Run a shell script where /dev/shm is a fresh tmpfs of ``size``, in a mount namespace of its own.

    In the script ``shmctl`` is the command.
    """
    mount = f"mount -t tmpfs -o size={size},mode=1777 tmpfs /dev/shm"
    shell = f'{mount}\nshmctl() {{ {sys.executable} -m shmctl "$@"; }}\n{script}'
    return run_command(["unshare", "-m", "bash", "-c", shell], env=env)


def on_pty(
    *args: str | bytes, columns: int = 80, keys: bytes = b"", env: dict[str, str] | None = None
) -> Result:
    """Run shmctl with a terminal of ``columns`` as its standard streams; out holds all that it showed."""
    pid, master = pty.fork()
    if pid == 0:
        os.system(f"stty cols {columns} rows 50")  # noqa: S605 - nothing of it comes from outside
        argv = shmctl_argv(*args)
        os.execvpe(argv[0], argv, environment({"TERM": "xterm-256color", **(env or {})}))
    if keys:
        os.write(master, keys)
    shown = _read_to_end(master, pid)
    os.close(master)
    _, status = os.waitpid(pid, 0)
    return Result(os.waitstatus_to_exitcode(status), shown, b"")


def _read_to_end(master: int, pid: int) -> bytes:
    shown = b""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            data = os.read(master, 65536)
        except OSError:  # EIO: the last process has closed the terminal
            return shown
        if not data:
            return shown
        shown += data
    os.kill(pid, 9)
    raise AssertionError(f"still running after {TIMEOUT} s, having shown {shown!r}")


def path_of(name: str) -> Path:
    """The file behind an object."""
    return Path("/dev/shm" + name)


def compile_c(
    source: str, folder: Path, name: str = "program", *, compiler: str = "gcc", debug: bool = False
) -> str:
    """Compile a C program, with debugging information if wanted; the path of the program."""
    path = folder / f"{name}.c"
    path.write_text(source)
    program = folder / name
    subprocess.run(
        [
            *(compiler, *(["-g"] if debug else []), "-Wall", "-Werror"),
            *("-o", str(program), str(path), "-lrt", "-pthread"),
        ],
        check=True,
    )
    return str(program)


@contextmanager
def memory_group(name: str = "group") -> Iterator[Path]:
    """A memory control group of the version that this machine has for memory."""
    groups = own_groups()
    path = Path(os.fsdecode(groups[-1].path if groups else b"/nowhere")) / (PREFIX + name)
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"no memory control group can be made here: {error}")
    try:
        if not (path / "memory.stat").exists():
            pytest.skip("this machine's control groups have no memory controller")
        yield path
    finally:
        path.rmdir()
