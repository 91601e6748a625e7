"""Processes that hold objects in every way there is, and a /dev/shm that nobody else uses."""

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support import (
    TIMEOUT,
    Result,
    as_nobody,
    python_for_all,
    run_command,
    shmctl_argv,
)

# Only from the first PID namespace are all processes visible.
SEES_ALL = os.readlink("/proc/self/ns/pid") == "pid:[4026531836]"
SIZE = 8192
UNINSPECTED = re.compile(
    r"shmctl: \w+: (1 process|[0-9]+ processes) could not be inspected(, [0-9]+ of them)?: [^(\n]+ \([A-Z]+\)"
)

# Holds the file argv[2], or the semaphore of that name, as argv[1] says; says which PID does, and holds
# on until its input ends.
HOLDER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_or_die(const char *path, int flags)
{
    int fd = open(path, flags);
    if (fd < 0) { perror(path); exit(3); }
    return fd;
}

static void map_and_close(const char *path, int flags, int prot, int how)
{
    int fd = open_or_die(path, flags);
    if (mmap(NULL, 8192, prot, how, fd, 0) == MAP_FAILED) { perror("mmap"); exit(3); }
    close(fd);
}

/* The descriptor stays in the socket: nobody has it. */
static void send_and_close(const char *path)
{
    int ends[2], fd = open_or_die(path, O_RDWR);
    union { struct cmsghdr header; char room[CMSG_SPACE(sizeof fd)]; } control;
    struct iovec data = {"x", 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control,
    };
    memset(&control, 0, sizeof control);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || sendmsg(ends[0], &message, 0) != 1) {
        perror("sendmsg");
        exit(3);
    }
    close(fd);
}

static void say_so_and_hold_on(void)
{
    char byte;
    printf("%d\n", getpid());
    fflush(stdout);
    while (read(0, &byte, 1) > 0) ;
    exit(0);
}

static void *in_its_own_table(void *path)
{
    if (unshare(CLONE_FILES)) { perror("unshare"); exit(3); }
    open_or_die(path, O_RDWR);
    say_so_and_hold_on();
    return NULL;
}

/* Until the leader is a zombie: the letter behind its name. */
static void *without_leader(void *unused)
{
    char stat[512];
    do {
        int fd = open_or_die("/proc/self/stat", O_RDONLY);
        ssize_t length = read(fd, stat, sizeof stat - 1);
        stat[length > 0 ? length : 0] = 0;
        close(fd);
    } while (!strrchr(stat, ')') || strncmp(strrchr(stat, ')'), ") Z", 3));
    say_so_and_hold_on();
    return unused;
}

static int end_before_the_thread(void)
{
    pthread_t started;
    if (pthread_create(&started, NULL, without_leader, NULL)) return 3;
    pthread_exit(NULL);
}

int main(int argc, char **argv)
{
    const char *way = argv[1], *path = argv[2];
    char byte;

    if (!strcmp(way, "fd")) open_or_die(path, O_RDWR);
    else if (!strcmp(way, "read-only fd")) open_or_die(path, O_RDONLY);
    else if (!strcmp(way, "write-only fd")) open_or_die(path, O_WRONLY);
    else if (!strcmp(way, "two fds")) open_or_die(path, O_RDONLY), open_or_die(path, O_WRONLY);
    else if (!strcmp(way, "O_PATH fd")) open_or_die(path, O_PATH);
    else if (!strcmp(way, "mapping")) map_and_close(path, O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED);
    else if (!strcmp(way, "read-only mapping")) map_and_close(path, O_RDONLY, PROT_READ, MAP_SHARED);
    else if (!strcmp(way, "executable mapping"))
        map_and_close(path, O_RDONLY, PROT_READ | PROT_EXEC, MAP_SHARED);
    else if (!strcmp(way, "PROT_NONE mapping")) map_and_close(path, O_RDWR, PROT_NONE, MAP_SHARED);
    else if (!strcmp(way, "private mapping")) map_and_close(path, O_RDONLY, PROT_READ, MAP_PRIVATE);
    else if (!strcmp(way, "fd and mapping")) {
        map_and_close(path, O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED);
        open_or_die(path, O_RDONLY);
    } else if (!strcmp(way, "child")) {
        open_or_die(path, O_RDWR);
        if (fork()) return 0;
    } else if (!strcmp(way, "flock")) {
        if (flock(open_or_die(path, O_RDONLY), LOCK_SH)) { perror("flock"); return 3; }
    } else if (!strcmp(way, "fcntl lock")) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fcntl(open_or_die(path, O_RDWR), F_SETLK, &lock)) { perror("fcntl"); return 3; }
    } else if (!strcmp(way, "fd, leader dead")) {
        open_or_die(path, O_RDWR);
        return end_before_the_thread();
    } else if (!strcmp(way, "mapping, leader dead")) {
        map_and_close(path, O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED);
        return end_before_the_thread();
    } else if (!strcmp(way, "fd of a thread alone")) {
        pthread_t started;
        if (pthread_create(&started, NULL, in_its_own_table, (void *)path)) return 3;
        pthread_join(started, NULL);
    } else if (!strcmp(way, "in flight")) send_and_close(path);
    else if (!strcmp(way, "semaphore")) {
        if (sem_open(path, 0) == SEM_FAILED) { perror("sem_open"); return 3; }
    } else return 2;
    printf("%d\n", getpid());
    fflush(stdout);
    while (read(0, &byte, 1) > 0) ;
    return 0;
}
"""


class Holding:
    """A process that holds an object until the end of the ``with``; ``pid`` is what the host calls it."""

    def __init__(self, argv: Sequence[str | bytes]) -> None:
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, f"it did not start: {argv!r}"
        self.pid = int(line)
        if self.pid == 1:
            # What it is called in its own PID namespace: here it is the child of unshare(1).
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
            self.pid = int(children)
        self._pidfd = os.pidfd_open(self.pid)

    def ask(self) -> str:
        """Send it a line; the line that it answers."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().decode().removesuffix("\n")

    def end(self) -> None:
        """Let go of everything, and wait until that is done."""
        assert self._process.stdin
        if self._pidfd >= 0:
            self._process.stdin.close()
            assert select.select([self._pidfd], [], [], TIMEOUT)[0], "it does not end"
            os.close(self._pidfd)
            self._pidfd = -1
            self._process.wait(TIMEOUT)
            assert self._process.stdout
            self._process.stdout.close()

    def kill(self) -> None:
        """End it by SIGKILL."""
        os.kill(self.pid, 9)
        self.end()

    def __enter__(self) -> "Holding":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()


class Holder:
    """Starts the C program; ``enter`` is put before its command line."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __call__(self, way: str, where: Path | str, enter: Sequence[str | bytes] = ()) -> Holding:
        return Holding([*enter, self.program, way, str(where)])


class Place:
    """A /dev/shm, and how to run programs that see it."""

    enter: tuple[str, ...] = ()
    root = ""

    def path(self, name: str) -> Path:
        """Where the test finds the file behind an object."""
        return Path(f"{self.root}/dev/shm{name}")

    def make(self, name: str, content: bytes = b"x" * SIZE) -> Path:
        """An object that nobody holds."""
        self.path(name).write_bytes(content)
        return self.path(name)

    def run(self, *args: str | bytes, env: dict[str, str] | None = None) -> Result:
        """Run shmctl to its end."""
        return run_command([*self.enter, *shmctl_argv(*args)], env=env)

    def run_as_nobody(self, *args: str | bytes) -> Result:
        """Run shmctl as user nobody to its end."""
        argv = as_nobody(shmctl_argv(*args, python=python_for_all()))
        # A home of its own: nobody may not look into root's.
        return run_command([*self.enter, *argv], env={"HOME": "/nonexistent"})

    def records(self, *args: str | bytes) -> list[dict[str, Any]]:
        """The JSON of a command that succeeds and has nothing to complain of."""
        return records(self.run(*args, "--json"))

    def verdicts(self, *args: str | bytes) -> dict[str, str]:
        """What leaks says of each object, nothing being too young."""
        found = self.records("leaks", "--min-age", "0", *args)
        return {record["name"]: record["verdict"] for record in found}

    def reasons(self, *args: str | bytes) -> dict[str, str]:
        """Why it says so."""
        found = self.records("leaks", "--min-age", "0", *args)
        return {record["name"]: "; ".join(record["reasons"]) for record in found}


def records(result: Result) -> list[dict[str, Any]]:
    """The JSON that a command printed, which was to succeed and to complain of nothing."""
    assert (result.status, complaints(result)) == (0, []), result
    found: list[dict[str, Any]] = json.loads(result.out)
    return found


def complaints(result: Result) -> list[str]:
    """Standard error, line by line, without the one line on processes that would not be inspected.

    Even root may not look into every process of a sandbox.
    """
    lines = result.errors.splitlines()
    uninspected = [line for line in lines if UNINSPECTED.fullmatch(line)]
    assert len(uninspected) <= 1, result
    return [line for line in lines if line not in uninspected]


class PrivatePlace(Place):
    """A fresh tmpfs on /dev/shm, in a mount namespace of its own; PIDs are the host's.

    ``size`` is that of the tmpfs, or mount options instead; ``enter`` is put before the command line.
    """

    def __init__(self, size: str = "16m", setup: str = ":", enter: Sequence[str] = ()) -> None:
        options = size if "=" in size else f"size={size}"
        script = f"mount -t tmpfs -o mode=1777,{options} tmpfs /dev/shm && {setup} && echo $$ && exec cat"
        self._keeper = Holding([*enter, "unshare", "-m", "sh", "-c", script])
        self.pid = self._keeper.pid
        self.enter = ("nsenter", "-t", str(self.pid), "-m")
        self.root = f"/proc/{self.pid}/root"

    def close(self) -> None:
        """Give it all back."""
        self._keeper.end()


@contextmanager
def private_place(size: str = "16m", setup: str = ":", enter: Sequence[str] = ()) -> Iterator[PrivatePlace]:
    """Such a /dev/shm for a while; ``setup`` is run in its namespace first."""
    place = PrivatePlace(size, setup, enter)
    try:
        yield place
    finally:
        place.close()


@contextmanager
def sleeper(code: str = "", *args: str, enter: Sequence[str] = ()) -> Iterator[int]:
    """A Python process that runs ``code`` with sys.argv[1:] = args and then sleeps; its PID."""
    script = f"import os, sys\n{code}\nprint(os.getpid(), flush=True)\nsys.stdin.read()"
    with Holding([*enter, sys.executable, "-c", script, *args]) as holding:
        yield holding.pid


def dead_pid() -> int:
    """A PID that nobody has (any more)."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def wait_for(condition: Any, what: str) -> None:
    """Wait until ``condition()`` holds."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.01)


@contextmanager
def cgroup(folder: Path, path: str) -> Iterator[Path]:
    """A control group such as an engine makes; the hierarchy may be mounted any number of times."""
    top = folder / f"cgroup-{len(os.listdir(folder))}"
    top.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", top], check=True)
    made = top / path
    try:
        while not made.exists():
            with suppress(FileNotFoundError):  # another test has just removed one above it
                made.mkdir(parents=True, exist_ok=True)
        yield made
    finally:
        with suppress(OSError):  # another test's may be beside it
            while made != top:
                made.rmdir()
                made = made.parent
        subprocess.run(["umount", top], check=True)
