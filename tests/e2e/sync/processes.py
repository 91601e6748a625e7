"""Processes beside a test: shmctl while it waits, and a C program that does what it is told."""

import os
import platform
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from tests.support import TIMEOUT, Result, environment, shmctl_argv

SYSTEM_CALLS = {
    "x86_64": {"nanosleep": 230, "poll": 7, "futex": 202, "flock": 73, "sigwait": 128},
    "aarch64": {"nanosleep": 115, "poll": 73, "futex": 98, "flock": 32, "sigwait": 137},
}[platform.machine()]
"""The numbers that /proc/PID/syscall shows for what a waiting shmctl is in."""


class Background:
    """A process that runs beside the test; it is killed when the ``with`` ends, if it still runs."""

    def __init__(
        self,
        argv: Sequence[str | bytes],
        *,
        env: dict[str, str] | None = None,
        own_group: bool = False,
    ) -> None:
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            process_group=0 if own_group else None,
        )
        self.pid = self._process.pid

    def __enter__(self) -> "Background":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(TIMEOUT)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream
            stream.close()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def until_in(self, call: str) -> "Background":
        """Wait until it sleeps in a system call of SYSTEM_CALLS."""
        wanted = str(SYSTEM_CALLS[call])
        self._until(lambda: self._proc("syscall").split(" ", 1)[0] == wanted, f"in {call}")
        return self

    def until_mapped(self, name: str) -> "Background":
        """Wait until it has mapped an object."""
        self._until(lambda: f"/dev/shm{name}\n" in self._proc("maps"), f"{name} mapped")
        return self

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        def met() -> bool:
            assert self.running, self._process.communicate(timeout=TIMEOUT)
            return condition()

        until(met, what)

    def _proc(self, file: str) -> str:
        return Path(f"/proc/{self.pid}/{file}").read_text()

    def line(self) -> bytes:
        """The next line that it prints."""
        assert self._process.stdout
        return self._process.stdout.readline()

    def end(self, seconds: float = TIMEOUT) -> Result:
        """What it leaves when it ends of its own accord, which it has to do in ``seconds``."""
        out, err = self._process.communicate(timeout=seconds)
        return Result(self._process.returncode, out, err)


def started(*args: str | bytes, env: dict[str, str] | None = None) -> Background:
    """A shmctl that runs beside the test."""
    return Background(shmctl_argv(*args), env=env)


def until(condition: Callable[[], bool], what: str, seconds: float = TIMEOUT) -> None:
    """Wait until a condition holds, which may take as long as ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.002)


def cpu_seconds(argv: Sequence[str | bytes], status: int) -> float:
    """The processor time, user and system, that a program takes from start to end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, capture_output=True, env=environment(), timeout=TIMEOUT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == status, done
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ignoring(number: signal.Signals, argv: Sequence[str | bytes]) -> list[str | bytes]:
    """``argv`` started with a signal ignored."""
    return ["env", f"--ignore-signal={number.name.removeprefix('SIG')}", *argv]


class Servant:
    """The C program below; each call is an order, and returns its answer."""

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.pid = self._process.pid

    def __enter__(self) -> "Servant":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(TIMEOUT if kind is None else 0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(TIMEOUT)
            assert kind is not None, "the C program does not end"
        self._process.stdout.close()

    def order(self, *words: str | int) -> None:
        """Give an order without waiting for the answer."""
        assert self._process.stdin
        self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")

    def answer(self) -> str:
        """The answer to the last order."""
        assert self._process.stdout
        return self._process.stdout.readline().decode().strip()

    def __call__(self, *words: str | int) -> str:
        self.order(*words)
        return self.answer()

    def asleep(self) -> bool:
        """Whether it waits for something."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def open_descriptors(pid: int) -> list[str]:
    """What the descriptors of a process stand for."""
    return [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]


SERVANT = r"""
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char *memory;
static size_t mapped;
static int fd = -1;
static sem_t *semaphore;

static int done(int result)
{
    return result ? -errno : 0;
}

/* Opens and maps an object; with a size it makes it first. */
static int map(const char *name, long size)
{
    struct stat st;
    fd = shm_open(name, size ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0600);
    if (fd < 0 || (size && ftruncate(fd, size)) || fstat(fd, &st)) return -errno;
    mapped = st.st_size;
    memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? -errno : 0;
}

static long value(void)
{
    int number;
    return sem_getvalue(semaphore, &number) ? -errno : number;
}

static sem_t *opened(const char *name, int flags, int start)
{
    semaphore = sem_open(name, flags, 0600, start);
    return semaphore == SEM_FAILED ? NULL : semaphore;
}

int main(void)
{
    char line[600], order[40], name[512];
    long a, b, answer;

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        order[0] = name[0] = 0;
        a = b = 0;
        if (sscanf(line, "%39s %511[^ \n] %ld %ld", order, name, &a, &b) < 3)
            sscanf(line, "%39s %ld %ld", order, &a, &b);
        if (!strcmp(order, "make")) answer = map(name, a);
        else if (!strcmp(order, "map")) answer = map(name, 0);
        else if (!strcmp(order, "unmap")) answer = done(munmap(memory, mapped) || close(fd));
        else if (!strcmp(order, "close")) answer = done(close(fd));
        else if (!strcmp(order, "unlink")) answer = done(shm_unlink(name));
        else if (!strcmp(order, "truncate")) { sscanf(line, "%*s %ld", &a); answer = done(ftruncate(fd, a)); }
        else if (!strcmp(order, "store")) {
            sscanf(line, "%*s %ld %ld", &a, &b);
            __atomic_store_n((int32_t *)(memory + a), (int32_t)b, __ATOMIC_RELEASE);
            answer = 0;
        } else if (!strcmp(order, "load")) {
            sscanf(line, "%*s %ld", &a);
            answer = __atomic_load_n((int32_t *)(memory + a), __ATOMIC_ACQUIRE);
        } else if (!strcmp(order, "sem_make")) answer = done(!opened(name, O_CREAT | O_EXCL, a));
        else if (!strcmp(order, "sem_open")) answer = done(!opened(name, 0, 0));
        else if (!strcmp(order, "sem_post")) answer = done(sem_post(semaphore));
        else if (!strcmp(order, "sem_wait")) answer = done(sem_wait(semaphore));
        else if (!strcmp(order, "sem_value")) answer = value();
        else if (!strcmp(order, "sem_unlink")) answer = done(sem_unlink(name));
        else return 2;
        if (answer < 0 && strcmp(order, "load")) printf("%s\n", strerrorname_np(-answer));
        else printf("%ld\n", answer);
    }
    return 0;
}
"""
"""Maps objects, stores and loads ints, and uses semaphores; each line of input is an order."""
