"""Data and a flag in shared memory: a C program on one side, shmctl on the other, round after round."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shmctl.core.layouts.load import parse
from shmctl.core.models import DEV_SHM
from shmctl.core.names import parse_name
from shmctl.core.objects.open import OpenObject
from shmctl.core.objects.read import read_bytes, readable
from shmctl.core.objects.write import Fit, writable, write_stores
from shmctl.core.sync.backoff import NameWatch, Pacer
from shmctl.core.sync.conditions import parse_struct_conditions
from shmctl.core.sync.wait_request import DEFAULT_INTERVAL
from shmctl.core.sync.waiting import wait_for_value
from tests.e2e.sync.processes import Background
from tests.support import compile_c, done, race_rounds

pytestmark = pytest.mark.long

DECLARATION = "int var1; int var2; int new_data"
ROUNDS = race_rounds(1000)
ROUNDS_BY_COMMAND = 20

# As in many a lecture: a parent makes the object and forks. The child reads (or writes) what the other side,
# here shmctl, writes (or reads), and spins on new_data for it. The parent tells how it went.
#
#   exchange NAME reader|writer ROUNDS
EXCHANGE = r"""
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared { int var1, var2, new_data; };

static int expected1(uint32_t round) { return (int)(round * 2654435761u); }
static int expected2(uint32_t round) { return ~expected1(round) ^ (int)round; }

static void spin_until(int *flag, int wanted)
{
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) != wanted)
        ;
}

static int read_all(struct shared *s, int rounds)
{
    int wrong = 0;
    for (int round = 1; round <= rounds; round++) {
        spin_until(&s->new_data, 1);
        wrong += s->var1 != expected1(round) || s->var2 != expected2(round);
        __atomic_store_n(&s->new_data, 0, __ATOMIC_RELEASE);
    }
    return wrong;
}

static int write_all(struct shared *s, int rounds)
{
    for (int round = 1; round <= rounds; round++) {
        s->var1 = expected1(round);
        s->var2 = expected2(round);
        __atomic_store_n(&s->new_data, 1, __ATOMIC_RELEASE);
        spin_until(&s->new_data, 0);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int fd = shm_open(argv[1], O_RDWR | O_CREAT | O_EXCL, 0600), rounds = atoi(argv[3]), status;
    if (fd < 0 || ftruncate(fd, sizeof(struct shared))) { perror(argv[1]); return 3; }
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (s == MAP_FAILED) { perror("mmap"); return 3; }
    close(fd);
    pid_t child = fork();
    if (child == 0) {
        alarm(60); /* no orphan spins for ever */
        return (!strcmp(argv[2], "reader") ? read_all(s, rounds) : write_all(s, rounds)) != 0;
    }
    if (child < 0 || waitpid(child, &status, 0) != child) { perror("fork"); return 3; }
    puts(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "every value right" : "wrong values");
    return 0;
}
"""


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, int], Background]:
    """Starts the C program."""
    folder: Path = tmp_path_factory.mktemp("exchange")
    program = compile_c(EXCHANGE, folder, "exchange")
    return lambda name, role, rounds: Background([program, name, role, str(rounds)])


def expected(round_: int) -> tuple[int, int]:
    """var1 and var2 of a round, as the C program has them."""
    first = signed(round_ * 2654435761)
    return first, signed(~first ^ round_)


def signed(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31


def pass_on(c: Background) -> None:
    result = c.end()
    assert (result.status, result.text, result.errors) == (0, "every value right\n", "")


class Shmctl:
    """What the commands do, without starting a process for each."""

    def __init__(self, name: str) -> None:
        self.layout = parse(DECLARATION)
        self._name = parse_name(name)
        self._conditions = {
            flag: parse_struct_conditions(self.layout, [f"new_data == {flag}"]) for flag in (0, 1)
        }

    def wait(self, flag: int) -> None:
        conditions = self._conditions[flag]
        with NameWatch(self._name, DEV_SHM) as watch:
            pacer = Pacer(self._name, watch, 30, DEFAULT_INTERVAL)
            assert wait_for_value(self._name, 0, conditions.length, conditions.look, pacer) == [flag]

    def write(self, *assignments: str) -> None:
        with writable(self._name) as target:
            self._store(target, assignments)

    def _store(self, target: OpenObject, assignments: tuple[str, ...]) -> None:
        write_stores(target, 0, self.layout.size, lambda load: self.layout.stores(assignments, load), Fit())

    def read(self) -> list[object]:
        with readable(self._name) as target:
            data = read_bytes(target, 0, self.layout.size)
        return [self.layout.read(data, field) for field in self.layout.fields()]


def test_shmctl_writes_and_c_reads(name: str, exchange: Callable[[str, str, int], Background]) -> None:
    with exchange(name, "reader", ROUNDS) as c:
        shmctl = Shmctl(name)
        for round_ in range(1, ROUNDS + 1):
            shmctl.wait(0)
            first, second = expected(round_)
            shmctl.write(f"var1={first}", f"var2={second}", "new_data=1")
        pass_on(c)


def test_c_writes_and_shmctl_reads(name: str, exchange: Callable[[str, str, int], Background]) -> None:
    with exchange(name, "writer", ROUNDS) as c:
        shmctl = Shmctl(name)
        for round_ in range(1, ROUNDS + 1):
            shmctl.wait(1)
            assert shmctl.read() == [*expected(round_), 1]
            shmctl.write("new_data=0")
        pass_on(c)


def test_a_wrong_value_shows(name: str, exchange: Callable[[str, str, int], Background]) -> None:
    """The tests of this file can fail."""
    with exchange(name, "reader", 2) as c:
        shmctl = Shmctl(name)
        for round_ in (1, 3):
            shmctl.wait(0)
            first, second = expected(round_)
            shmctl.write(f"var1={first}", f"var2={second}", "new_data=1")
        assert c.end().text == "wrong values\n"


WAIT = ["--struct", DECLARATION, "--timeout", "30"]
ANY = [f"{variable} >= {-(2**31)}" for variable in ("var1", "var2")]


def test_shmctl_writes_and_c_reads_by_command(
    name: str, exchange: Callable[[str, str, int], Background]
) -> None:
    with exchange(name, "reader", ROUNDS_BY_COMMAND) as c:
        for round_ in range(1, ROUNDS_BY_COMMAND + 1):
            done("wait", name, *WAIT, "new_data == 0")
            first, second = expected(round_)
            done("write", name, "--struct", DECLARATION, f"var1={first}", f"var2={second}", "new_data=1")
        pass_on(c)


def test_c_writes_and_shmctl_reads_by_command(
    name: str, exchange: Callable[[str, str, int], Background]
) -> None:
    """What --print shows is what read finds: new_data was looked at first, and the rest only then."""
    with exchange(name, "writer", ROUNDS_BY_COMMAND) as c:
        for round_ in range(1, ROUNDS_BY_COMMAND + 1):
            first, second = expected(round_)
            shown = done("wait", name, *WAIT, "new_data == 1", *ANY, "--print", *["--spin"] * (round_ % 2))
            assert shown == f"new_data=1\nvar1={first}\nvar2={second}\n"
            if round_ % 4 == 0:
                found = done("read", name, "--struct", DECLARATION, "var1", "var2")
                assert found == f"{first}\n{second}\n"
            done("write", name, "--struct", DECLARATION, "new_data=0")
        pass_on(c)
