"""shmctl on one side, C programs with shm_open, mmap and printf on the other."""

import os
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import Result, compile_c, done, environment, path_of, run, run_command, shmctl_argv

HEAD = """
#include <fcntl.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void *map(const char *name, int flags, size_t size)
{
    int fd = shm_open(name, flags, 0600);
    if (fd < 0) { perror("shm_open"); exit(3); }
    if ((flags & O_CREAT) && ftruncate(fd, size)) { perror("ftruncate"); exit(3); }
    void *address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) { perror("mmap"); exit(3); }
    close(fd);
    return address;
}
"""

PAIR = "struct pair { int first; int second; };"
FLAGGED = "struct message { int new_data; int values[3]; char text[20]; };"
MIXED = """
struct mixed {
    char tag;
    double ratio;
    short counts[3];
    struct { char letter; int64_t stamp; } inner;
    struct { uint8_t x; uint16_t y; } points[2];
    char label[10];
    unsigned low : 3;
    unsigned middle : 7;
    int sign : 4;
    float last;
};
"""

PROGRAMS = {
    "write_pair": PAIR
    + """
int main(int argc, char **argv)
{
    struct pair *p = map(argv[1], O_RDWR | O_CREAT | O_EXCL, sizeof *p);
    p->first = atoi(argv[2]);
    p->second = atoi(argv[3]);
    return 0;
}
""",
    "read_pair": PAIR
    + """
int main(int argc, char **argv)
{
    struct pair *p = map(argv[1], O_RDWR, sizeof *p);
    printf("%d %d\\n", p->first, p->second);
    return 0;
}
""",
    # Says that it is ready, spins until the flag is up, shows what came with it, and takes the flag down.
    "receive": FLAGGED
    + """
int main(int argc, char **argv)
{
    struct message *m = map(argv[1], O_RDWR, sizeof *m);
    puts("ready");
    fflush(stdout);
    while (!__atomic_load_n(&m->new_data, __ATOMIC_ACQUIRE))
        ;
    printf("%d %d %d %s\\n", m->values[0], m->values[1], m->values[2], m->text);
    __atomic_store_n(&m->new_data, 0, __ATOMIC_RELEASE);
    return 0;
}
""",
    # Makes the object, waits for a byte, and only then stores the data and puts the flag up.
    "send": FLAGGED
    + """
int main(int argc, char **argv)
{
    struct message *m = map(argv[1], O_RDWR | O_CREAT | O_EXCL, sizeof *m);
    puts("ready");
    fflush(stdout);
    getchar();
    for (int i = 0; i < 3; i++)
        m->values[i] = 10 * (i + 1);
    strcpy(m->text, "from C");
    __atomic_store_n(&m->new_data, 1, __ATOMIC_RELEASE);
    return 0;
}
""",
    "show_stat": """
int main(int argc, char **argv)
{
    struct stat st;
    int fd = shm_open(argv[1], O_RDONLY, 0);
    if (fd < 0 || fstat(fd, &st)) { perror("fstat"); return 3; }
    printf("st_dev %ld\\nst_ino %ld\\nst_mode %o\\nst_nlink %ld\\nst_uid %d\\nst_gid %d\\nst_rdev %ld\\n"
           "st_size %ld\\nst_blksize %ld\\nst_blocks %ld\\nst_atime %ld.%09ld\\nst_mtime %ld.%09ld\\n"
           "st_ctime %ld.%09ld\\n",
           (long)st.st_dev, (long)st.st_ino, st.st_mode, (long)st.st_nlink, st.st_uid, st.st_gid,
           (long)st.st_rdev, (long)st.st_size, (long)st.st_blksize, (long)st.st_blocks,
           st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
           st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    return 0;
}
""",
    "make_semaphore": """
int main(int argc, char **argv)
{
    sem_t *sem = sem_open(argv[1], O_CREAT | O_EXCL, 0600, 3);
    if (sem == SEM_FAILED) { perror("sem_open"); return 3; }
    return 0;
}
""",
    # Maps the object and closes its descriptor; then each line read is an order: get, or a text to store.
    "keep": """
int main(int argc, char **argv)
{
    char line[100], *text = map(argv[1], O_RDWR, 100);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\\n")] = 0;
        if (strcmp(line, "get"))
            strcpy(text, line);
        puts(text);
        fflush(stdout);
    }
    return 0;
}
""",
    "write_mixed": MIXED
    + """
int main(int argc, char **argv)
{
    struct mixed *m = map(argv[1], O_RDWR | O_CREAT | O_EXCL, sizeof *m);
    memset(m, 0xee, sizeof *m);
    m->tag = 'T';
    m->ratio = -2.5;
    m->counts[0] = -1; m->counts[1] = 2; m->counts[2] = 32767;
    m->inner.letter = 'i';
    m->inner.stamp = INT64_MIN;
    m->points[0].x = 1; m->points[0].y = 2;
    m->points[1].x = 255; m->points[1].y = 65535;
    strcpy(m->label, "label");
    m->low = 5; m->middle = 100; m->sign = -8;
    m->last = 0.1f;
    printf("%zu\\n", sizeof *m);
    return 0;
}
""",
    "read_mixed": MIXED
    + """
int main(int argc, char **argv)
{
    struct mixed *m = map(argv[1], O_RDWR, sizeof *m);
    printf("tag=%c\\nratio=%.17g\\ncounts[0]=%d\\ncounts[1]=%d\\ncounts[2]=%d\\n", m->tag, m->ratio,
           m->counts[0], m->counts[1], m->counts[2]);
    printf("inner.letter=%c\\ninner.stamp=%ld\\n", m->inner.letter, (long)m->inner.stamp);
    printf("points[0].x=%d\\npoints[0].y=%d\\npoints[1].x=%d\\npoints[1].y=%d\\n",
           m->points[0].x, m->points[0].y, m->points[1].x, m->points[1].y);
    printf("label=%.10s\\nlow=%u\\nmiddle=%u\\nsign=%d\\nlast=%g\\n", m->label, m->low, m->middle, m->sign,
           m->last);
    return 0;
}
""",
}


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The path of one of PROGRAMS, compiled when first asked for."""
    folder = tmp_path_factory.mktemp("programs")
    compiled: dict[str, str] = {}

    def path(name: str) -> str:
        if name not in compiled:
            compiled[name] = compile_c(HEAD + PROGRAMS[name], folder, name)
        return compiled[name]

    return path


class Running:
    """A C program that runs beside the test and answers line by line."""

    def __init__(self, *argv: str) -> None:
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
        )

    def line(self) -> str:
        assert self.process.stdout
        assert select.select([self.process.stdout], [], [], 30)[0], "the program does not answer"
        return self.process.stdout.readline().decode().rstrip("\n")

    def tell(self, text: str) -> str:
        assert self.process.stdin
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()
        return self.line()

    def end(self) -> None:
        self.process.kill() if self.process.poll() is None else None
        self.process.communicate()


@pytest.fixture
def start(program: Callable[[str], str]) -> Iterator[Callable[..., Running]]:
    """Starts a program that says when it is ready; it is ended with the test."""
    running: list[Running] = []

    def begin(name: str, *args: str) -> Running:
        running.append(Running(program(name), *args))
        assert running[-1].line() == "ready"
        return running[-1]

    yield begin
    for one in running:
        one.end()


def c(path: str, *args: str) -> str:
    result = run_command([path, *args])
    assert result.status == 0, result
    return result.text


def test_c_writes_shmctl_reads(name: str, program: Callable[[str], str]) -> None:
    c(program("write_pair"), name, "-7", "2147483647")
    assert done("read", name, "--type", "int", "-c", "2") == "-7\n2147483647\n"
    assert done("read", name, "--struct", PAIR) == "first=-7\nsecond=2147483647\n"
    assert done("read", name, "--type", "int32", "-o", "4") == "2147483647\n"
    raw = run("read", name).out
    assert raw == (-7).to_bytes(4, "little", signed=True) + (2**31 - 1).to_bytes(4, "little")
    assert done("stat", name, "-f", "%s %a") == "8 600\n"


def test_shmctl_writes_c_reads(name: str, program: Callable[[str], str]) -> None:
    done("create", name, "-s", "8")
    done("write", name, "--type", "int", "11", "-22")
    assert c(program("read_pair"), name) == "11 -22\n"
    done("write", name, "--struct", "int first; int second", "second=33")
    assert c(program("read_pair"), name) == "11 33\n"
    done("write", name, "-o", "4", "--hex", "ffffffff")
    assert c(program("read_pair"), name) == "11 -1\n"
    done("write", name, "--fill", "0")
    assert c(program("read_pair"), name) == "0 0\n"


def test_c_spins_until_shmctl_puts_the_flag_up(name: str, start: Callable[..., Running]) -> None:
    done("create", name, "-s", "36")
    receiver = start("receive", name)
    done("write", name, "--struct", FLAGGED, "values[0]=1", "values[1]=-2", "values[2]=3", "text=from shmctl")
    assert receiver.process.poll() is None, "it saw a flag that is not up"
    done("write", name, "--type", "int", "1")
    assert receiver.line() == "1 -2 3 from shmctl"
    assert receiver.process.wait(30) == 0
    assert done("read", name, "--struct", FLAGGED, "new_data") == "0\n"


def test_shmctl_polls_until_c_puts_the_flag_up(name: str, start: Callable[..., Running]) -> None:
    sender = start("send", name)
    assert done("read", name, "--type", "int") == "0\n"
    assert done("read", name, "--struct", FLAGGED, "new_data", "values[0]") == "0\n0\n"
    sender.process.communicate(b"\n")
    deadline = time.monotonic() + 30
    while done("read", name, "--type", "int") != "1\n":
        assert time.monotonic() < deadline
    expected = "new_data=1\nvalues[0]=10\nvalues[1]=20\nvalues[2]=30\ntext=from C\n"
    assert done("read", name, "--struct", FLAGGED) == expected


def test_stat_is_fstat(name: str, program: Callable[[str], str]) -> None:
    done("create", name, "-s", "10000", "-m", "640")
    done("write", name, "hello")
    in_c = dict(line.split() for line in c(program("show_stat"), name).splitlines())
    shown = dict(line.split(maxsplit=1) for line in done("stat", name).splitlines())
    for field, value in in_c.items():
        number, _, explanation = shown[field].partition(" ")
        if field.endswith("time"):
            seconds, nanoseconds = value.split(".")
            assert number == seconds
            assert nanoseconds in explanation
        elif field == "st_mode":
            assert int(number, 8) == int(value, 8)
            assert "-rw-r-----" in explanation
        else:
            assert number == value, field
    assert set(in_c) <= set(shown)
    assert "4096 bytes allocated" in shown["st_blocks"]


def test_stat_json_is_fstat(name: str, program: Callable[[str], str]) -> None:
    import json

    done("create", name, "-s", "77", "-m", "600")
    in_c = dict(line.split() for line in c(program("show_stat"), name).splitlines())
    (record,) = json.loads(done("stat", name, "--json"))
    for field, value in in_c.items():
        if field == "st_mode":
            assert record[field] == int(value, 8)
        elif field.endswith("time"):
            assert record[field] == int(value.partition(".")[0])
        else:
            assert record[field] == int(value), field


def test_semaphore_of_c(name: str, program: Callable[[str], str]) -> None:
    c(program("make_semaphore"), name)
    bare = f"/sem.{name[1:]}"
    (line,) = done("ls", f"sem.{name[1:]}", "-o", "name,kind,size", "--no-headings").splitlines()
    assert line.split() == [bare, "semaphore", "32"]
    assert bare in done("ls", "--kind", "semaphore", "-0").split("\0")
    assert bare not in done("ls", "--kind", "shm", "-0").split("\0")
    # glibc's sem_t begins with its value.
    assert done("read", bare, "--type", "unsigned int") == "3\n"
    done("rm", bare)
    assert run("stat", bare).status == 1


def test_memory_outlives_its_name(name: str, start: Callable[..., Running]) -> None:
    done("create", name, "-s", "100")
    done("write", name, "old")
    keeper = start("keep", name)
    old_inode = done("stat", name, "-f", "%i")
    done("unlink", name)
    assert not path_of(name).exists()
    assert keeper.tell("get") == "old"
    done("create", name, "-s", "100")
    assert done("stat", name, "-f", "%i") != old_inode
    assert run("read", name).out == bytes(100)
    done("write", name, "new")
    assert keeper.tell("get") == "old"
    assert keeper.tell("changed by C") == "changed by C"
    assert done("read", name, "--text") == "new"


def test_shrinking_and_growing_show_in_c(name: str, start: Callable[..., Running]) -> None:
    done("create", name, "-s", "100")
    keeper = start("keep", name)
    done("write", name, "visible at once")
    assert keeper.tell("get") == "visible at once"
    assert keeper.tell("and back") == "and back"
    assert done("read", name, "--text") == "and back"
    done("truncate", name, "-s", "+8K")
    assert keeper.tell("get") == "and back"


MIXED_VALUES = """\
tag=T
ratio=-2.5
counts[0]=-1
counts[1]=2
counts[2]=32767
inner.letter=i
inner.stamp=-9223372036854775808
points[0].x=1
points[0].y=2
points[1].x=255
points[1].y=65535
label=label
low=5
middle=100
sign=-8
last=0.1
"""
WHOLE_VALUES = MIXED_VALUES.replace("label=label", r"label=label\x00\xee\xee\xee\xee")


def test_read_struct_of_c(name: str, program: Callable[[str], str]) -> None:
    size = int(c(program("write_mixed"), name))
    assert done("stat", name, "-f", "%s") == f"{size}\n"
    # strcpy leaves what was behind the NUL; C's %s ends there, shmctl's text is all of the array.
    assert done("read", name, "--struct", MIXED) == WHOLE_VALUES
    assert c(program("read_mixed"), name) == MIXED_VALUES
    chosen = done("read", name, "--struct", MIXED, "points[1].y", "sign", "inner.letter")
    assert chosen == "65535\n-8\ni\n"
    result = run("read", name, "-o", "1", "--struct", MIXED)
    assert (result.status, result.out) == (1, b""), result


def test_write_struct_for_c(name: str, program: Callable[[str], str], tmp_path: Path) -> None:
    c(program("write_mixed"), name)
    before = path_of(name).read_bytes()
    changes = {
        "tag": "x",
        "ratio": "1e+300",
        "counts[1]": "-32768",
        "inner.stamp": "9223372036854775807",
        "points[0].y": "513",
        "label": "0123456789",
        "middle": "127",
        "sign": "7",
        "last": "-0.5",
    }
    header = tmp_path / "mixed.h"
    header.write_text(f"/* of two sides */\n#include <stdint.h>\n{MIXED}")
    done(
        "write", name, "--header", str(header), "--struct", "struct mixed",
        *(f"{field}={value}" for field, value in changes.items()),
    )  # fmt: skip
    expected = re.sub(
        r"^(.*)=.*$", lambda match: f"{match[1]}={changes.get(match[1]) or match[0].partition('=')[2]}",
        MIXED_VALUES, flags=re.M,
    )  # fmt: skip
    assert c(program("read_mixed"), name) == expected.replace("ratio=1e+300", "ratio=1.0000000000000001e+300")
    # What was not named is as it was, the padding (0xee) included.
    done("write", name, "--struct", MIXED, *(WHOLE_VALUES.splitlines()))
    after = path_of(name).read_bytes()
    assert after == before


def test_bit_fields_leave_their_neighbours(name: str) -> None:
    done("create", name, "-s", "4")
    done("write", name, "--fill", "0xff")
    done("write", name, "--struct", "unsigned a:3; unsigned b:7; unsigned c:22", "b=0")
    assert path_of(name).read_bytes() == (0xFFFFFFFF & ~(0x7F << 3)).to_bytes(4, "little")
    result = run("write", name, "--struct", "unsigned a:3; unsigned b:7", "a=1", "b=128")
    assert result.status == 2, result
    assert path_of(name).read_bytes() == (0xFFFFFFFF & ~(0x7F << 3)).to_bytes(4, "little")


@pytest.mark.parametrize(
    "declaration",
    [
        "",
        ";",
        "int a b",
        "int a; int a",
        "struct {",
        "unknown_t x",
        "int a[",
        "int a[-1]",
        "int a:40",
        "}",
    ],
)
def test_odd_declarations(name: str, declaration: str) -> None:
    done("create", name, "-s", "100")
    for command in (["read", name, "--struct", declaration], ["write", name, "--struct", declaration, "a=1"]):
        result = run(*command)
        assert result.status == 2, result
        assert result.errors.startswith(f"shmctl: {command[0]}: ")
        assert "internal error" not in result.errors
    assert path_of(name).read_bytes() == bytes(100)


def test_struct_larger_than_the_object(name: str) -> None:
    done("create", name, "-s", "7")
    result = run("read", name, "--struct", PAIR)
    assert (result.status, result.out) == (1, b"")
    assert "7" in result.errors
    result = run("write", name, "--struct", PAIR, "first=1")
    assert result.status == 1
    assert path_of(name).read_bytes() == bytes(7)


def test_lock_excludes(name: str) -> None:
    """write --lock waits for a flock(2) that another program holds."""
    import fcntl

    done("create", name, "-s", "10")
    fd = os.open(path_of(name), os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        argv = shmctl_argv("--trace", "write", name, "--lock", "x")
        with subprocess.Popen(argv, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
            assert process.stderr
            wait_for_lock_waiter(process.pid)
            assert path_of(name).read_bytes() == bytes(10)
            fcntl.flock(fd, fcntl.LOCK_UN)
            assert process.wait(30) == 0
    finally:
        os.close(fd)
    assert path_of(name).read_bytes() == b"x" + bytes(9)
    assert Result(0, b"", b"") == run("write", name, "--lock", "y")


def wait_for_lock_waiter(pid: int) -> None:
    """Until /proc/locks shows that ``pid`` waits for a lock."""
    deadline = time.monotonic() + 30
    pattern = re.compile(rf"-> FLOCK +ADVISORY +WRITE {pid} ")
    while not pattern.search(Path("/proc/locks").read_text()):
        assert time.monotonic() < deadline
