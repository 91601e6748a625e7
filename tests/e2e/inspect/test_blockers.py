"""shmctl locks: deadlocks and dead owners, as C programs make them."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import (
    as_nobody,
    compile_c,
    done,
    on_pty,
    path_of,
    python_for_all,
    run,
    run_command,
    shmctl_argv,
)

# Builds every block there is around one object and one semaphore, and prints the PIDs in the order of KNOT.
PROGRAM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct knot {
    int number;
    pthread_mutex_t first, second, robust, plain;
    pthread_rwlock_t table;
    sem_t inner;
};

static const char *name;
static struct knot *knot;

static void init(pthread_mutex_t *mutex, int robust)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (robust)
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(mutex, &attributes);
}

static int start(void (*job)(void))
{
    int pid = fork();
    if (pid == 0) {
        job();
        pause();
    }
    printf("%d ", pid);
    usleep(100000);
    return pid;
}

static void wait_for_semaphore(void) { sem_wait(sem_open(getenv("KNOT_SEM"), 0)); }
static void lock_file(void) { flock(shm_open(name, O_RDWR, 0), LOCK_EX); }
static void lock_first(void)
{
    pthread_mutex_lock(&knot->first);
    usleep(300000);
    pthread_mutex_lock(&knot->second);
}
static void lock_second(void)
{
    pthread_mutex_lock(&knot->second);
    usleep(300000);
    pthread_mutex_lock(&knot->first);
}
static void lock_table(void) { pthread_rwlock_wrlock(&knot->table); }
static void lock_and_die(void)
{
    pthread_mutex_lock(&knot->robust);
    pthread_mutex_lock(&knot->plain);
    _exit(0);
}

int main(int argc, char **argv)
{
    name = argv[1];
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd == -1 || ftruncate(fd, sizeof *knot) == -1)
        return 1;
    knot = mmap(NULL, sizeof *knot, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    init(&knot->first, 0);
    init(&knot->second, 0);
    init(&knot->robust, 1);
    init(&knot->plain, 0);
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_rwlock_init(&knot->table, &attributes);
    sem_init(&knot->inner, 1, 2);
    sem_open(getenv("KNOT_SEM"), O_CREAT, 0600, 0);
    waitpid(start(lock_and_die), NULL, 0);
    for (int i = 0; i < 3; i++)
        start(wait_for_semaphore);
    start(lock_first);
    start(lock_second);
    start(lock_file);
    start(lock_file);
    start(lock_table);
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 4};
    fcntl(fd, F_SETLK, &range);
    usleep(400000);
    puts("");
    fflush(stdout);
    pause();
    return 0;
}
"""


class Knot(NamedTuple):
    program: str
    pid: int
    dead: int
    at_semaphore: list[int]
    first: int
    second: int
    file: int
    behind: int
    table: int
    name: str
    semaphore: str


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knot]:
    program = compile_c(PROGRAM, tmp_path_factory.mktemp("knot"), "knot", debug=True)
    name = f"/{os.getpid()}-knot"  # not swept after each test
    environment = {**os.environ, "KNOT_SEM": name}
    with subprocess.Popen(
        [program, name], stdout=subprocess.PIPE, env=environment, start_new_session=True
    ) as process:
        try:
            assert process.stdout
            pids = [int(word) for word in process.stdout.readline().split()]
            assert len(pids) == 9
            first, second, file, behind, table = pids[4:]
            semaphore = f"/sem.{name[1:]}"
            parties = process.pid, pids[0], pids[1:4], first, second, file, behind, table
            yield Knot(program, *parties, name=name, semaphore=semaphore)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            for path in (path_of(name), path_of(f"/sem.{name[1:]}")):
                path.unlink(missing_ok=True)


def locks(*args: str) -> dict[tuple[str, str], dict[str, Any]]:
    """By kind and place."""
    found = json.loads(run("locks", "--json", *args).text)
    return {(each["lock"], each["place"]): each for each in found}


def pids(parties: list[dict[str, Any]]) -> list[int]:
    return sorted(each["pid"] for each in parties)


def test_locks_on_the_file(knot: Knot) -> None:
    found = locks(knot.name)
    whole = found["flock", "all"]
    assert (pids(whole["owners"]), pids(whole["waiters"]), whole["waiting"]) == (
        [knot.file],
        [knot.behind],
        1,
    )
    assert [each["command"] for each in whole["owners"]] == ["knot"]
    part = found["posix", "0-3"]
    assert (pids(part["owners"]), part["start"], part["end"], part["mode"]) == ([knot.pid], 0, 3, "write")


@pytest.mark.needs_root
def test_a_semaphore_and_who_waits(knot: Knot) -> None:
    (found,) = locks(knot.semaphore).values()
    assert (found["lock"], found["value"], found["waiting"]) == ("semaphore", 0, 3)
    assert pids(found["waiters"]) == sorted(knot.at_semaphore)


@pytest.mark.needs_root
@pytest.mark.parametrize("source", ["elf", "holders"])
def test_a_deadlock_and_dead_owners(knot: Knot, source: str) -> None:
    found = locks(knot.name, "--struct", "struct knot", *(["--elf", knot.program] if source == "elf" else []))
    mutexes = {place: each for (kind, place), each in found.items() if kind == "pthread_mutex_t"}
    assert {
        place: (pids(each["owners"]), pids(each["waiters"]), each["dead_owner"])
        for place, each in mutexes.items()
    } == {
        "first": ([knot.first], [knot.second], False),
        "second": ([knot.second], [knot.first], False),
        "robust": ([], [], True),
        "plain": ([knot.dead], [], True),
    }
    assert mutexes["robust"]["state"] == "owner died"
    table = found["pthread_rwlock_t", "table"]
    assert (table["state"], pids(table["owners"])) == ("write-locked", [knot.table])
    assert found["sem_t", "inner"]["value"] == 2


@pytest.mark.needs_root
def test_without_a_layout_sleepers_show_by_offset(knot: Knot) -> None:
    sleepers = {
        place: pids(each["waiters"]) for (kind, place), each in locks(knot.name).items() if kind == "futex"
    }
    assert sorted(sleepers.values()) == sorted([[knot.first], [knot.second]])


def test_one_look_fits_the_screen(knot: Knot) -> None:
    result = run("locks", knot.name, knot.semaphore, "--struct", "struct knot", "--elf", knot.program)
    lines = result.text.splitlines()
    assert lines[0].split() == ["NAME", "LOCK", "PLACE", "STATE", "OWNER", "WAITERS"]
    # The test's names are longer than anybody's.
    assert max(len(line) - len(knot.semaphore) for line in lines) < 80 - len("/sem.lock")
    assert f"{knot.dead} (dead)" in result.text
    assert "2 of 9 locks have a dead owner" in result.errors
    assert "hint: the next thread to lock a robust mutex gets it, with EOWNERDEAD" in result.errors
    shown = re.sub(r"\x1b\[[0-9;]*m|\r", "", on_pty("locks", knot.name, columns=80).text)
    assert "futex" in shown
    assert max(map(len, shown.splitlines()[:-1])) <= 80


def test_exit_code(knot: Knot, name: str) -> None:
    layout = ["--struct", "struct knot", "--elf", knot.program]
    assert run("locks", knot.name, *layout, "--exit-code").status == 1
    assert run("locks", knot.name, *layout).status == 0
    assert run("locks", knot.name, "--exit-code").status == 0
    assert run("locks", name).status == 1
    done("create", name, "-s", "10")
    assert run("locks", name, "--exit-code").status == 0
    assert run("locks", name, "--offset", "4").status == 2


@pytest.mark.needs_root
def test_other_users_see_what_the_kernel_shows_all(knot: Knot) -> None:
    shmctl = [python_for_all(), "-P", "-m", "shmctl"]
    found = json.loads(run_command(as_nobody([*shmctl, "locks", "--json", knot.name, knot.semaphore])).text)
    assert {each["lock"] for each in found} == {"flock", "posix", "semaphore"}
    (semaphore,) = (each for each in found if each["lock"] == "semaphore")
    assert (semaphore["state"], semaphore["value"]) == ("unknown (EACCES)", None)


def test_a_lock_that_outlives_who_took_it(name: str, tmp_path: Path) -> None:
    """flock(1) has ended, and what it left running has the descriptor."""
    done("create", name)
    script = f"exec 9< {path_of(name)}; flock 9; sleep 60 & echo $! > {tmp_path}/pid"
    subprocess.run(["bash", "-c", script], check=True)
    pid = int((tmp_path / "pid").read_text())
    try:
        (found,) = locks(name).values()
        assert pids(found["owners"]) == [pid]
        assert found["owners"][0]["alive"]
    finally:
        os.kill(pid, signal.SIGKILL)


def test_hostile_semaphores_are_not_believed(name: str) -> None:
    semaphore = path_of(f"/sem.{name[1:]}")
    semaphore.write_bytes(b"\xff" * 32)
    (found,) = locks(f"/sem.{name[1:]}").values()
    assert (found["state"], found["value"]) == ("unknown (EINVAL)", None)


def test_an_array_of_structures(name: str) -> None:
    done("create", name, "-s", "100")
    found = locks(name, "--struct", "pthread_mutex_t m; int x;", "-c", "all")
    assert [place for _, place in found] == ["[0].m", "[1].m"]
    assert locks(name, "--struct", "pthread_mutex_t m; int x;", "-o", "60") == {}


OWNER = r"""
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_mutex_t *mutex;

static void *own(void *unused)
{
    pthread_mutex_lock(mutex);
    puts("locked");
    fflush(stdout);
    pause();
    return unused;
}

int main(int argc, char **argv)
{
    int fd = shm_open(argv[1], O_RDWR | O_CREAT, 0600);
    if (fd == -1 || ftruncate(fd, sizeof *mutex) == -1)
        return 1;
    mutex = mmap(NULL, sizeof *mutex, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pthread_mutex_init(mutex, NULL);
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    fcntl(fd, F_SETLK, &range);
    pthread_t thread;
    pthread_create(&thread, NULL, own, NULL);
    pthread_exit(NULL);
}
"""
INSIDE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


@contextmanager
def owning(argv: Sequence[str], process_outside: bool) -> Iterator[int]:
    """A program whose second thread has a mutex, and whose first has ended: its PID here."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"locked\n"
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            yield process.pid if process_outside else int(children.read_text().split()[0])
        finally:
            process.kill()


@pytest.mark.needs_root
@pytest.mark.parametrize("wrapper", [(), INSIDE], ids=["here", "in a PID namespace"])
def test_an_owner_of_any_namespace_is_alive(name: str, tmp_path: Path, wrapper: tuple[str, ...]) -> None:
    """It is shown by its number here, not by that in the lock; and a process whose leader has ended lives."""
    program = compile_c(OWNER, tmp_path, "owner")
    with owning([*wrapper, program, name], process_outside=not wrapper) as pid:
        found = locks(name, "--struct", "pthread_mutex_t m")
        mutex = found["pthread_mutex_t", "m"]
        (thread,) = {int(each) for each in os.listdir(f"/proc/{pid}/task")} - {pid}
        assert mutex["owners"] == [{"pid": thread, "command": "owner", "alive": True}]
        assert not mutex["dead_owner"]
        assert (mutex["owner"] == thread) == (not wrapper)
        assert found["posix", "all"]["owners"] == [{"pid": pid, "command": "owner", "alive": True}]


@pytest.mark.needs_root
def test_an_owner_that_does_not_show_is_not_called_dead(name: str, tmp_path: Path) -> None:
    program = compile_c(OWNER, tmp_path, "owner")
    layout = ["locks", name, "--struct", "pthread_mutex_t m", "--exit-code"]
    with owning([program, name], process_outside=True):
        result = run_command([*INSIDE, *shmctl_argv(*layout)])
        assert result.status == 0, result
        assert "(not visible)" in result.text
        (mutex,) = json.loads(run_command([*INSIDE, *shmctl_argv(*layout, "--json")]).text)
        assert (mutex["owners"][0]["alive"], mutex["dead_owner"]) == (None, False)


@pytest.mark.needs_root
def test_a_number_that_another_process_has_by_now(name: str) -> None:
    """It lives, and has nothing to do with the object."""
    done("create", name, "-s", "40")
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            done("write", name, "--type", "int32", "1", "0", str(other.pid))
            mutex = locks(name, "--struct", "pthread_mutex_t m")["pthread_mutex_t", "m"]
            dead = {"pid": other.pid, "command": None, "alive": False}
            assert (mutex["owners"], mutex["dead_owner"]) == ([dead], True)
        finally:
            other.kill()
