"""An object that another process shrinks and grows without pause: the truth is told about it.

SHMCTL_SHRINKING_READS says how many looks are taken, in one process; 100,000 were by hand.
"""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import shmctl
from shmctl.cli.main import run as run_here
from tests.e2e.sync.processes import Background, until
from tests.support import Result, compile_c, path_of, shmctl_argv

LOOKS = int(os.environ.get("SHMCTL_SHRINKING_READS", "1000"))
SIZE = 65536
PULSE = r"""
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char bytes[65536];
    int fd = open(argv[1], O_RDWR);
    memset(bytes, 'x', sizeof bytes);
    if (fd < 0) { perror("open"); return 3; }
    puts("ready");
    fflush(stdout);
    for (unsigned round = 0;; round++) {
        if (ftruncate(fd, 65536) || pwrite(fd, bytes, sizeof bytes, 0) < 0) { perror("pulse"); return 3; }
        if (round % 7 == 0)
            usleep(round % 5 * 100);
        if (ftruncate(fd, 0)) { perror("ftruncate"); return 3; }
        if (round % 11 == 0)
            usleep(round % 3 * 50);
    }
}
"""
FORMS = {
    "read": ["read", "NAME"],
    "read --hex": ["read", "NAME", "--hex"],
    "read --text": ["read", "NAME", "--text"],
    "read --json": ["read", "NAME", "--json"],
    "read --type": ["read", "NAME", "--type", "int64", "-c", "8000"],
    "read --type at the end": ["read", "NAME", "--type", "int8", "-o", "65535"],
    "read --struct": ["read", "NAME", "--struct", "char a[40000]; int b;", "b"],
    "write VALUE": ["write", "NAME", "hello", "-o", "60000"],
    "write --type": ["write", "NAME", "--type", "int64", "1", "-o", "40000"],
    "write --fill": ["write", "NAME", "--fill", "1", "-n", "65000"],
    "write --struct": ["write", "NAME", "--struct", "char a[40000]; unsigned b:3;", "b=2"],
    "wait --type": ["wait", "NAME", "--type", "int8", "-o", "65535", "== 120", "--timeout", "5"],
    "wait --struct": [
        "wait",
        "NAME",
        "--struct",
        "char a[40000]; unsigned char b;",
        "b == 120",
        "--timeout",
        "5",
    ],
    "wait --changed": ["wait", "NAME", "--changed", "--timeout", "5"],
}


@pytest.fixture(scope="session")
def pulse(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_c(PULSE, tmp_path_factory.mktemp("pulse"), "pulse")


@pytest.fixture
def pulsing(name: str, pulse: str) -> Iterator[str]:
    path_of(name).write_bytes(b"x" * SIZE)
    with subprocess.Popen([pulse, str(path_of(name))], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield name
        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_the_command_line(pulsing: str, form: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Done, or one of the sentences that are true: too small when it was opened, or shrunk meanwhile."""
    argv = [pulsing if word == "NAME" else word for word in form]
    statuses = set()
    for number in range(LOOKS // len(FORMS)):
        status = run_here(argv)
        statuses.add(int(status))
        err = capfd.readouterr().err if number % 100 == 99 or status else ""
        assert status == (1 if err else 0), (status, err)
        assert not err or re.search("shrunk|shrank|past its end|do not fit", err), err
        assert "ENOSPC" not in err
        assert "ENXIO" not in err
    # A change is seen, and is no failure, whatever becomes of the size.
    assert "--changed" not in form or statuses == {0}


def test_the_library(pulsing: str) -> None:
    seen = set()
    layout = shmctl.Struct("char a[40000]; int b;")
    looks: list[Callable[[shmctl.SharedMemory], object]] = [
        lambda box: box.read(),
        lambda box: box.read(60000, 8),
        lambda box: box.read(100, 60000),
        layout.read,
        lambda box: layout.get(box, "b"),
        lambda box: box.write(b"x" * 8, 60000),
        lambda box: box.write(b"x" * 60000),
    ]
    with shmctl.open(pulsing, writable=True) as box:
        for number in range(LOOKS):
            try:
                looks[number % len(looks)](box)
                seen.add("done")
            except shmctl.ShmError as error:
                seen.add(error.symbol)
    assert "done" in seen
    assert seen <= {"done", "EFAULT", "EINVAL", "EFBIG"}, seen


def test_a_change_by_shrinking_in_the_first_look(name: str) -> None:
    """The object is cut off while its content is looked at for the first time: it has changed."""
    path_of(name).write_bytes(b"x" * SIZE)
    delays = ["-P", str(path_of(name)), "-e", "inject=lseek:delay_exit=400000"]
    argv = ["strace", "-f", "-o", "/dev/null", *delays, *shmctl_argv("wait", name, "--changed")]
    with Background(argv) as process:
        until(lambda: len(users(name)) > 0, "it is open")
        time.sleep(0.1)
        os.truncate(path_of(name), 100)
        assert process.end() == Result(0, b"", b"")


def users(name: str) -> list[Path]:
    """The descriptors of shmctl processes that are open on an object."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if entry.readlink() == path_of(name):
                found.append(entry)
    return found
