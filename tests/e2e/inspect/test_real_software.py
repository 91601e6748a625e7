"""Real software: gc takes nothing that it needs; killed, it leaves nothing for ever, and it starts again."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path

import pytest

from shmctl.core import proc
from tests.e2e.inspect.holding import SEES_ALL, Place, PrivatePlace, private_place, wait_for
from tests.support import AS_NOBODY, NOBODY

pytestmark = pytest.mark.needs_root

EVERYTHING = ("--min-age", "0", "--semaphores")


@contextmanager
def session(place: Place, argv: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program and the processes that it starts, which are killed at the end."""
    whole = [*place.enter, *argv]
    pipe = subprocess.PIPE
    with subprocess.Popen(whole, stdin=pipe, stdout=pipe, start_new_session=True) as process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def line_of(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    return process.stdout.readline().decode().strip()


def tell(process: subprocess.Popen[bytes]) -> str:
    assert process.stdin
    process.stdin.write(b"\n")
    process.stdin.flush()
    return line_of(process)


def names(place: Place) -> set[str]:
    return {f"/{entry.name}" for entry in place.path("/").iterdir() if entry.is_file()}


def assert_needed(place: Place, wanted: str) -> None:
    """There are such objects, none is an orphan however young it may be, and gc removes none."""
    before = names(place)
    assert any(name.startswith(wanted) for name in before), before
    assert "orphan" not in place.verdicts("--semaphores").values(), place.reasons("--semaphores")
    assert place.run("gc", *EVERYTHING, "--yes").status == 0
    assert names(place) == before


def assert_freed(place: Place, wanted: str) -> None:
    """It left such objects, and gc frees them."""
    assert any(name.startswith(wanted) for name in names(place))
    if not SEES_ALL and wanted != "/PostgreSQL.":
        # The creators may live where this process does not see them.
        wait_for(lambda: "kept" not in place.verdicts("--semaphores").values(), "they have ended")
        assert place.run("rm", "*").status == 0
        return
    wait_for(lambda: set(place.verdicts("--semaphores").values()) == {"orphan"}, "all are orphans")
    result = place.run("gc", *EVERYTHING, "--yes")
    assert (result.status, names(place)) == (0, set()), result


@pytest.fixture(scope="module")
def openmp(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A program of OpenMP with LLVM's runtime."""
    folder = tmp_path_factory.mktemp("openmp")
    (folder / "sum.c").write_text(
        """
#include <stdio.h>
static int sum(void)
{
    int total = 0;
#pragma omp parallel for reduction(+ : total)
    for (int i = 0; i < 100; i++) total += i;
    return total;
}
int main(void)
{
    do { printf("%d\\n", sum()); fflush(stdout); } while (getchar() != EOF);
}
"""
    )
    (library,) = glob("/usr/lib/llvm-*/lib/libomp.so")[:1]
    compile_it = ["gcc", "-fopenmp", "-c", "-o", f"{folder}/sum.o", f"{folder}/sum.c"]
    link_it = [
        "gcc",
        "-o",
        f"{folder}/sum",
        f"{folder}/sum.o",
        library,
        f"-Wl,-rpath,{os.path.dirname(library)}",
    ]
    for argv in (compile_it, link_it):
        subprocess.run(argv, check=True)
    return f"{folder}/sum"


def test_llvm_openmp(private: PrivatePlace, openmp: str) -> None:
    """It closes and unmaps its object, and reads it again when the runtime is loaded a second time."""
    with session(private, [openmp]) as program:
        assert line_of(program) == "4950"
        assert_needed(private, "/__KMP_REGISTERED_LIB_")
        assert tell(program) == "4950"
    assert_freed(private, "/__KMP_REGISTERED_LIB_")
    with session(private, [openmp]) as program:
        assert line_of(program) == "4950"


JOBLIB = """
import sys
import numpy
from joblib import Parallel, delayed

def total(array, number):
    return int(array.sum()) + number

array = numpy.ones(100_000)
while True:
    jobs = (delayed(total)(array, number) for number in range(4))
    print(sum(Parallel(n_jobs=2, max_nbytes=1000)(jobs)), flush=True)
    if not sys.stdin.readline():
        break
"""


def test_joblib(private: PrivatePlace) -> None:
    """Its workers share semaphores that have names, and folders, which gc leaves alone."""
    argv = [sys.executable, "-c", JOBLIB]
    with session(private, argv) as program:
        assert line_of(program) == "400006"
        assert_needed(private, "/sem.loky-")
        assert tell(program) == "400006"
    assert_freed(private, "/sem.loky-")
    with session(private, argv) as program:
        assert line_of(program) == "400006"


WINDOW = """
#include <mpi.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    int rank, key = 0;
    long *numbers, total;
    MPI_Win window;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Win_allocate_shared(1 << 20, sizeof *numbers, MPI_INFO_NULL, MPI_COMM_WORLD, &numbers, &window);
    do {
        *numbers = rank;
        MPI_Reduce(numbers, &total, 1, MPI_LONG, MPI_SUM, 0, MPI_COMM_WORLD);
        if (rank == 0) {
            printf("%ld\\n", total);
            fflush(stdout);
            key = getchar();
        }
        MPI_Bcast(&key, 1, MPI_INT, 0, MPI_COMM_WORLD);
    } while (key != EOF);
    MPI_Win_free(&window);
    return MPI_Finalize();
}
"""


def test_open_mpi(private: PrivatePlace, tmp_path: Path) -> None:
    """It unlinks its windows at once, and its segments only if it ends in peace."""
    source = tmp_path / "window.c"
    source.write_text(WINDOW)
    subprocess.run(["mpicc", "-o", tmp_path / "window", source], check=True)
    kept = {"TMPDIR": str(tmp_path), "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    settings = [f"{name}={value}" for name, value in kept.items()]
    limit = ["timeout", "--foreground", "120"]
    argv = ["env", *settings, *limit, "mpirun", "--oversubscribe", "-np", "3", str(tmp_path / "window")]
    with session(private, argv) as program:
        assert line_of(program) == "3"
        segments = "/vader_segment." if any("vader" in name for name in names(private)) else "/sm_segment."
        assert_needed(private, segments)
        assert tell(program) == "3"
    # Each of its processes leads a session of its own, and ends when it notices.
    assert_freed(private, segments)
    with session(private, argv) as program:
        assert line_of(program) == "3"


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, str]]:
    """The programs of PostgreSQL, and a data directory of user nobody that no other pytest closes."""
    (programs,) = glob("/usr/lib/postgresql/*/bin")[-1:]
    with tempfile.TemporaryDirectory(prefix="shmctl-postgresql-") as data, private_place() as place:
        os.chown(data, NOBODY, NOBODY)
        initdb = [f"{programs}/initdb", "--no-sync", "--auth=trust", "--username=nobody", "-D", data]
        subprocess.run([*place.enter, *AS_NOBODY, *initdb], check=True, stdout=subprocess.DEVNULL)
        yield programs, data


@contextmanager
def postgres(place: Place, cluster: tuple[str, str]) -> Iterator[None]:
    """A server. Its processes end when the first one has gone, and until then it cannot start again."""
    programs, data = cluster
    server = [f"{programs}/postgres", "-D", data, "-k", data, "-c", "listen_addresses=", "-F"]
    # It makes a System V segment, too, which outlives a server that is killed.
    with session(place, ["unshare", "--ipc", *AS_NOBODY, *server]) as process:
        wait_for(lambda: query(cluster, "SELECT 1") == "1", "it answers")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield
    wait_for(lambda: not any(is_alive(int(pid)) for pid in children), "all have ended")


def is_alive(pid: int) -> bool:
    try:
        return not proc.stat(pid).is_dead
    except OSError:
        return False


def query(cluster: tuple[str, str], statement: str) -> str:
    psql = ["psql", "-h", cluster[1], "-U", "nobody", "-d", "postgres", "-Atc", statement]
    return subprocess.run(psql, capture_output=True, check=False).stdout.decode().strip()


def test_postgresql(private: PrivatePlace, cluster: tuple[str, str]) -> None:
    total = "SELECT sum(n) FROM t"
    with postgres(private, cluster):
        query(cluster, "CREATE TABLE t AS SELECT generate_series(1, 100000) AS n")
        assert_needed(private, "/PostgreSQL.")
        assert query(cluster, total) == "5000050000"
    assert_freed(private, "/PostgreSQL.")
    with postgres(private, cluster):
        assert query(cluster, total) == "5000050000"
