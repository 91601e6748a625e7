"""Structures of real programs: by their name alone, with their locks, as records, and in `layout`."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import shmctl
from tests.support import done, run

SLIDES = """
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
typedef struct { int var1; int var2; } shared_data_type;
int main(int argc, char **argv) {
    int fd = shm_open(argv[1], O_RDWR | O_CREAT, 0600);
    ftruncate(fd, 64);
    shared_data_type *data = mmap(0, sizeof *data, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    data->var1 = 42; data->var2 = -7;
    write(1, "ready", 5);
    pause();
}
"""


def built(folder: Path, source: str, *options: str, name: str = "program") -> str:
    (folder / f"{name}.c").write_text(source)
    command = ["gcc", "-w", "-g", *options, "-o", str(folder / name), str(folder / f"{name}.c"), "-pthread"]
    subprocess.run(command, check=True)
    return str(folder / name)


@contextmanager
def running(*argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has written "ready"."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.read(5) == b"ready"
            yield process
        finally:
            process.kill()


def test_the_slides_program_by_the_name_of_its_type(name: str, tmp_path: Path) -> None:
    program = built(tmp_path, SLIDES)
    with running(program, name) as process:
        result = run("read", name, "--struct", "shared_data_type")
        assert (result.status, result.text) == (0, "var1=42\nvar2=-7\n")
        assert (
            result.errors
            == f"shmctl: read: shared_data_type: from {program} (PID {process.pid}), program.c:5\n"
        )
        waited = run("wait", name, "--struct", "shared_data_type", "var1 != var2", "--print")
        assert waited.text == "var1=42\n"
        assert run("write", name, "--struct", "shared_data_type", "var2=9").status == 0
        assert run("read", name, "--struct", "shared_data_type", "var2").text == "9\n"
        assert "var2" in done("layout", "shared_data_type", "--pid", str(process.pid))
        assert shmctl.Struct.of(process.pid, "shared_data_type").size == 8
        result = run("read", name, "--struct", "shared_data")
        assert result.status == 2
        message, hint = result.errors.splitlines()
        # Without libc6-dbg it goes on: the library has no debugging information.
        assert message.startswith(
            f"shmctl: read: no type called shared_data in the programs of PID {process.pid}"
        )
        assert hint == "hint: near names: shared_data_type"
        Path(program).unlink()
        assert run("read", name, "--struct", "shared_data_type").text == "var1=42\nvar2=9\n", "it runs"
    result = run("read", name, "--struct", "shared_data_type")
    assert result.status == 2
    assert f"no process that is visible from here has {name} open or mapped" in result.errors


def test_programs_that_differ_are_refused(name: str, tmp_path: Path) -> None:
    one = built(tmp_path, SLIDES, name="one")
    other = built(tmp_path, SLIDES.replace("int var1; int", "long var1; int"), name="other")
    with running(one, name), running(other, name):
        result = run("read", name, "--struct", "shared_data_type")
        assert result.status == 2
        assert "shared_data_type is not the same in" in result.errors
    with running(one, name), running(one, name):
        assert run("read", name, "--struct", "shared_data_type").status == 0


def test_a_type_of_a_library(name: str, tmp_path: Path) -> None:
    library = "typedef struct { char tag; long number; } library_type; library_type *unused;"
    (tmp_path / "lib.c").write_text(library)
    subprocess.run(["gcc", "-g", "-shared", "-fPIC", "-o", "libt.so", "lib.c"], cwd=tmp_path, check=True)
    linked = ["-Wl,--no-as-needed", f"-L{tmp_path}", "-lt", f"-Wl,-rpath,{tmp_path}"]
    (tmp_path / "p.c").write_text(SLIDES)
    subprocess.run(["gcc", "-w", "-o", "p", "p.c", *linked], cwd=tmp_path, check=True)
    with running(str(tmp_path / "p"), name):
        result = run("read", name, "--struct", "library_type")
        assert (result.status, "libt.so" in result.errors) == (0, True)


LOCKS = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>
typedef struct {
    pthread_mutex_t free, normal, recursive, errorcheck, robust, inheriting, both;
    pthread_rwlock_t writing, reading, unlocked;
    pthread_cond_t idle, waited;
    pthread_mutex_t with;
    pthread_barrier_t barrier;
    pthread_spinlock_t spun, unspun;
    sem_t taken, available;
} locks;
static locks *all;
static void make(pthread_mutex_t *mutex, int kind, int robust, int inherit) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, kind);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (inherit) pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(mutex, &attributes);
}
static int there;
static void *wait_there(void *unused) {
    pthread_mutex_lock(&all->with);
    there = 1;
    pthread_cond_wait(&all->waited, &all->with);
    return 0;
}
static void *arrive(void *unused) { pthread_barrier_wait(&all->barrier); return 0; }
int main(int argc, char **argv) {
    int fd = shm_open(argv[1], O_RDWR | O_CREAT, 0600);
    ftruncate(fd, sizeof(locks));
    all = mmap(0, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    make(&all->free, PTHREAD_MUTEX_NORMAL, 0, 0); make(&all->normal, PTHREAD_MUTEX_NORMAL, 0, 0);
    make(&all->recursive, PTHREAD_MUTEX_RECURSIVE, 0, 0);
    make(&all->errorcheck, PTHREAD_MUTEX_ERRORCHECK, 0, 0);
    make(&all->robust, PTHREAD_MUTEX_NORMAL, 1, 0); make(&all->inheriting, PTHREAD_MUTEX_NORMAL, 0, 1);
    make(&all->both, PTHREAD_MUTEX_RECURSIVE, 1, 1); make(&all->with, PTHREAD_MUTEX_NORMAL, 0, 0);
    pthread_rwlock_init(&all->writing, 0); pthread_rwlock_init(&all->reading, 0);
    pthread_rwlock_init(&all->unlocked, 0);
    pthread_cond_init(&all->idle, 0); pthread_cond_init(&all->waited, 0);
    pthread_barrier_init(&all->barrier, 0, 2);
    pthread_spin_init(&all->spun, 1); pthread_spin_init(&all->unspun, 1);
    pthread_spin_lock(&all->spun);
    sem_init(&all->taken, 1, 0); sem_init(&all->available, 1, 3);
    pthread_mutex_lock(&all->normal); pthread_mutex_lock(&all->recursive);
    pthread_mutex_lock(&all->recursive); pthread_mutex_lock(&all->errorcheck);
    pthread_mutex_lock(&all->robust); pthread_mutex_lock(&all->inheriting);
    pthread_mutex_lock(&all->both); pthread_rwlock_wrlock(&all->writing);
    pthread_rwlock_rdlock(&all->reading); pthread_rwlock_rdlock(&all->reading);
    pthread_t thread;
    pthread_create(&thread, 0, wait_there, 0); pthread_create(&thread, 0, arrive, 0);
    /* The mutex is free once the thread counts as waiting; a barrier begins with the number that arrived. */
    for (int waits = 0; !waits || !*(volatile unsigned *)&all->barrier; usleep(1000)) {
        pthread_mutex_lock(&all->with);
        waits = there;
        pthread_mutex_unlock(&all->with);
    }
    write(1, "ready", 5);
    pause();
}
"""

DECLARED = LOCKS[LOCKS.index("typedef struct") : LOCKS.index("static locks")].strip()


def state_of(name: str, *source: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The locks in words and as JSON."""
    lines = done("read", name, *source).splitlines()
    (record,) = json.loads(done("read", name, "--json", *source))
    return dict(line.split("=", 1) for line in lines), record["fields"]


@pytest.mark.parametrize("source", ["declared", "elf", "header"])
def test_locks_while_their_owner_lives_and_when_it_is_dead(name: str, tmp_path: Path, source: str) -> None:
    program = built(tmp_path, LOCKS)
    (tmp_path / "l.h").write_text(f"#include <pthread.h>\n#include <semaphore.h>\n{DECLARED}\n")
    options = {
        "declared": ("--struct", DECLARED),
        "elf": ("--struct", "locks", "--elf", program),
        "header": ("--struct", "locks", "--header", str(tmp_path / "l.h")),
    }[source]
    with running(program, name) as process:
        words, facts = state_of(name, *options)
        by = f"locked by {process.pid} (program), which is alive"
        assert words["free"] == "unlocked (normal shared)"
        assert words["normal"] == f"{by} (normal shared)"
        assert words["recursive"] == f"{by} (recursive shared)"
        assert words["errorcheck"] == f"{by} (errorcheck shared)"
        assert words["robust"] == f"{by} (normal robust shared)"
        assert words["inheriting"] == f"{by} (normal priority-inheriting shared)"
        assert words["both"] == f"{by} (recursive robust priority-inheriting shared)"
        assert words["writing"] == f"write-{by}"
        assert words["reading"] == "read-locked by 2 readers" and words["unlocked"] == "unlocked"
        assert words["idle"] == "nobody waits" and words["waited"] == "1 waiting"
        assert words["barrier"] == "1 of 2 arrived"
        assert words["spun"] == "locked" and words["unspun"] == "unlocked"
        assert words["taken"] == "value 0" and words["available"] == "value 3"
        assert facts["recursive"]["state"] == "locked" and facts["recursive"]["count"] == 2
        assert facts["normal"]["owner"] == process.pid and facts["normal"]["owner_alive"] is True
        assert facts["normal"]["owner_command"] == "program"
        assert facts["available"] == {
            "state": "available",
            "value": 3,
            "waiters": 0,
            "bytes": facts["available"]["bytes"],
        }
    process.wait()
    words, facts = state_of(name, *options)
    dead = f"locked by {process.pid}, which is dead as far as PID namespace"
    for plain in ("normal", "recursive", "errorcheck"):
        assert words[plain].startswith(dead), plain
        assert facts[plain]["owner_alive"] is False and facts[plain]["owner"] == process.pid
    for robust in ("robust", "both"):
        assert words[robust].startswith("owner died"), robust
        assert facts[robust]["state"] == "owner died"
    assert words["inheriting"].startswith(("locked by", "owner died"))
    assert words["writing"].startswith("write-" + dead)


def test_the_parts_of_a_lock_have_names_in_debugging_information(name: str, tmp_path: Path) -> None:
    program = built(tmp_path, LOCKS)
    with running(program, name) as process:
        shown = done("read", name, "--struct", "locks", "--elf", program, "normal.__data.__owner")
        assert shown == f"{process.pid}\n"


def test_a_lock_that_is_not_glibc_s(name: str, tmp_path: Path) -> None:
    (tmp_path / "m.c").write_text(
        "#include <pthread.h>\nstruct s { pthread_mutex_t m; int x; } s; int main(void) { return s.x; }\n"
    )
    subprocess.run(["musl-gcc", "-g", "-o", "m", "m.c"], cwd=tmp_path, check=True)
    done("create", name, "-s", "64")
    shown = done("read", name, "--struct", "struct s", "--elf", str(tmp_path / "m"))
    assert shown.startswith("m=bytes 0000") and shown.endswith("x=0\n")


def test_two_fields_are_compared(name: str) -> None:
    shape = "int head, tail; float f; char a[4], b[4]; enum {X, Y} e"
    done("write", name, "--create", "--struct", shape, "head=3", "tail=3", "f=3", "a=ab", "b=ab")
    for condition in ("head == tail", "head >= tail && e == X", "f == head", "a == ab"):
        assert run("wait", name, "--struct", shape, condition, "--timeout", "0").status == 0, condition
    for condition in ("head != tail", "head == 3 && tail > 3", "a == b"):
        assert run("wait", name, "--struct", shape, condition, "--timeout", "0.01").status == 124, condition
    for condition in ("head == a", "head & tail", "head == nope", "head < "):
        assert run("wait", name, "--struct", shape, condition).status == 2, condition


def test_records_out_and_in(names: list[str]) -> None:
    one, two, three = names
    shape = "int id; char text[8]; double x; unsigned low:3, high:5; long long big"
    done("create", one, "-s", "200")
    rows = 'id,text,x,low,high,big\n1,a b,0.5,1,2,9007199254740993\n-2,"q""\\n,",nan,7,31,-1\n'
    assert run("write", one, "-o", "8", "--struct", shape, "--from", "csv", stdin=rows.encode()).status == 0
    shown = done("read", one, "-o", "8", "--struct", shape, "-c", "2", "--csv").replace("\r\n", "\n")
    assert shown == rows
    assert (
        done("read", one, "-o", "8", "--struct", shape, "-c", "all", "--csv").count("\r\n") == 1 + 192 // 40
    )
    table = done("read", one, "-o", "8", "--struct", shape, "-c", "2", "id", "text")
    assert table == 'OFFSET  id  text\n     8  1   a\\x20b\n    48  -2  q"\\n,\n'
    as_json = done("read", one, "-o", "8", "--struct", shape, "-c", "2", "--json", "--big-as-text")
    records = json.loads(as_json)
    assert len(as_json.splitlines()) == 4, "an array, a line a record"
    assert [(r["offset"], r["fields"]["id"], r["fields"]["big"]) for r in records] == [
        (8, 1, "9007199254740993"),
        (48, -2, -1),
    ]
    assert (
        run("write", two, "--create", "--struct", shape, "--from", "json", stdin=as_json.encode()).status == 0
    )
    lines = "\n".join(json.dumps(record["fields"]) for record in records)
    assert (
        run("write", three, "--create", "--struct", shape, "--from", "json", stdin=lines.encode()).status == 0
    )
    assert done("read", two, "--hex") == done("read", three, "--hex")
    assert done("read", two, "--struct", shape, "-c", "2", "--csv").replace("\r\n", "\n") == rows
    chosen = json.loads(done("read", two, "--struct", shape, "--json", "id", "low"))
    assert chosen[0]["fields"] == {"id": 1, "low": 1}


def test_rows_are_checked_before_anything_is_stored(name: str) -> None:
    done("create", name, "-s", "8")
    result = run("write", name, "--struct", "int a", "--from", "csv", stdin=b"a\n1\n99999999999\n")
    assert result.status == 2 and "line 3: a: 99999999999 is out of range" in result.errors
    result = run("write", name, "--struct", "int a", "--from", "csv", stdin=b"a\n1\n2\n3\n")
    assert result.status == 1 and "12 bytes at offset 0 do not fit" in result.errors
    assert done("read", name, "--type", "int", "-c", "2") == "0\n0\n"


@pytest.mark.parametrize(
    "words",
    [
        ["read", "/x", "--csv"],
        ["read", "/x", "--struct", "int a", "--csv", "--json"],
        ["read", "/x", "--text-arrays"],
        ["read", "/x", "--big-as-text"],
        ["read", "/x", "--struct", "a", "--elf", "a", "--header", "b"],
        ["read", "/x", "--elf", "a"],
        ["read", "/x", "--struct", "a", "--elf", "a", "-D", "X"],
        ["read", "/x", "--type", "int", "-c", "some"],
        ["write", "/x", "--from", "csv"],
        ["write", "/x", "--struct", "int a", "--from", "csv", "a=1"],
        ["write", "/x", "--struct", "int a", "--from", "xml"],
        ["write", "/x", "--struct", "int a", "-i", "/dev/null"],
        ["layout"],
        ["layout", "a", "--pid", "1", "--elf", "b"],
        ["layout", "int a", "--cacheline", "0"],
    ],
)
def test_what_does_not_go_together(words: list[str]) -> None:
    assert run(*words).status == 2


def test_the_library_reads_a_program_s_types(tmp_path: Path, name: str) -> None:
    program = built(tmp_path, SLIDES)
    layout = shmctl.Struct("shared_data_type", elf=program)
    assert (layout.size, [field.path for field in layout.fields()]) == (8, ["var1", "var2"])
    with pytest.raises(ValueError, match="no type is called nope"):
        shmctl.Struct("nope", elf=program)
    (tmp_path / "d.h").write_text("struct d { char c[N]; };")
    assert shmctl.Struct("d", header=tmp_path / "d.h", define=["N=5"]).size == 5
