"""shmctl rescue: objects without a name that C programs still have, by descriptor, by mapping, or by both."""

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import (
    NOBODY,
    as_nobody,
    compile_c,
    done,
    in_tiny_shm,
    let_all_in,
    path_of,
    python_for_all,
    run,
    run_command,
    shmctl_argv,
)

SECONDS = 30
# Has an object open ("fd") or mapped ("map"), unlinks it, and says so.
HOLDER = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct stat st;
    int fd = shm_open(argv[1], O_RDWR, 0);
    if (fd == -1 || fstat(fd, &st) == -1)
        return 1;
    if (!strcmp(argv[2], "map")) {
        off_t length = argc > 3 ? atol(argv[3]) : st.st_size;
        if (mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
            return 1;
        close(fd);
    }
    if (shm_unlink(argv[1]) == -1)
        return 1;
    puts("lost");
    fflush(stdout);
    pause();
    return 0;
}
"""
Hold = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("rescue")
    let_all_in(folder)
    return compile_c(HOLDER, folder, "holder")


@pytest.fixture
def hold(program: str) -> Iterator[Hold]:
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str, how: str, *, as_user: bool = False) -> "subprocess.Popen[bytes]":
        argv: list[str | bytes] = [program, name, how]
        process = subprocess.Popen(as_nobody(argv) if as_user else argv, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout
        assert process.stdout.readline() == b"lost\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@contextmanager
def stopped(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def make(name: str, size: str = "8M") -> bytes:
    """A sparse object with something at its beginning and near its end; its content."""
    done("create", name, "-s", size, "-m", "640")
    done("write", name, "beginning")
    done("write", name, "end", "-o", "7M")
    return path_of(name).read_bytes() if size == "8M" else b""


@pytest.mark.parametrize("how", ["fd", pytest.param("map", marks=pytest.mark.needs_root)])
def test_into_an_object_and_to_a_pipe(names: list[str], hold: Hold, how: str) -> None:
    lost, new, _ = names
    content = make(lost)
    blocks = path_of(lost).stat().st_blocks
    holder = hold(lost, how)
    result = run("rescue", lost, new)
    assert (result.status, result.out) == (0, b""), result
    by = "its mapping" if how == "map" else "descriptor 3"
    assert result.errors == (
        f"shmctl: rescue: {lost}: copied 8388608 bytes from {by} of PID {holder.pid} (holder); "
        "its holders go on with the old object\n"
    )
    st = path_of(new).stat()
    assert (st.st_mode & 0o777, st.st_blocks) == (0o640, blocks), "mode and holes"
    assert path_of(new).read_bytes() == content
    assert run("rescue", lost).out == content
    again = run("rescue", lost, new)
    assert (again.status, "File exists (EEXIST)" in again.errors) == (1, True)
    holder.kill()
    holder.wait()
    gone = run("rescue", lost, new)
    assert gone.status == 1
    assert (
        f"{lost}: no visible process holds an object without a name that had that name (ENOENT)"
        in gone.errors
    )


def test_from_memory(names: list[str], hold: Hold) -> None:
    lost, new, _ = names
    content = make(lost)
    holder = hold(lost, "map")
    result = run("rescue", lost, new, "--from-memory")
    assert result.status == 0, result
    assert path_of(new).read_bytes() == content
    assert run("rescue", lost, "--from-memory").out == content
    assert "from its memory of PID" in result.errors
    holder.kill()
    holder.wait()
    path_of(new).unlink()
    assert run("rescue", lost, new, "--from-memory").status == 1
    assert not path_of(new).exists()


@pytest.mark.needs_root
def test_a_user_has_his_own_processes(names: list[str], hold: Hold) -> None:
    mine, theirs, new = names
    make(mine)
    path_of(mine).chmod(0o666)
    make(theirs)
    path_of(theirs).chmod(0o600)
    hold(mine, "map", as_user=False)
    hold(theirs, "fd")
    shmctl = [python_for_all(), "-P", "-m", "shmctl"]
    for name in (mine, theirs):
        result = run_command(as_nobody([*shmctl, "rescue", name, new]))
        assert result.status == 1, result
        assert not path_of(new).exists()


@pytest.mark.needs_root
def test_the_owner_is_kept(names: list[str], hold: Hold) -> None:
    lost, new, _ = names
    make(lost)
    os.chown(path_of(lost), NOBODY, NOBODY)
    hold(lost, "fd")
    assert run("rescue", lost, new).status == 0
    st = path_of(new).stat()
    assert (st.st_uid, st.st_gid) == (NOBODY, NOBODY)


def test_objects_of_one_name_are_told_apart(names: list[str], hold: Hold) -> None:
    lost, new, _ = names
    inodes, holders = [], []
    for text in ("first", "second"):
        done("write", lost, text, "--create")
        inodes.append(path_of(lost).stat().st_ino)
        holders.append(hold(lost, "fd"))
    refused = run("rescue", lost, new)
    assert refused.status == 2
    assert f"{lost}: 2 objects had this name" in refused.errors
    assert all(str(inode) in refused.errors for inode in inodes)
    assert run("rescue", str(inodes[1]), new).status == 0
    assert path_of(new).read_bytes() == b"second"
    assert run("rescue", lost, "--pid", str(holders[0].pid)).out == b"first"
    assert run("rescue", "1").status == 1


def test_no_room(hold: Hold, tmp_path: Path) -> None:
    """Nothing half made stays, and a file takes what /dev/shm cannot."""
    script = f"""
        shmctl create /lost -s 700K; shmctl write /lost --fill 7
        sleep 30 < /dev/shm/lost & holder=$!
        until shmctl holders -q /lost; do :; done
        shmctl rm /lost
        shmctl rescue /lost /new; echo status $?
        shmctl ls --no-headings
        shmctl rescue /lost > {tmp_path}/file 2>/dev/null; stat -c %s {tmp_path}/file
        kill $holder
    """
    result = in_tiny_shm(script)
    assert result.text == f"status 1\n{700 << 10}\n", result
    assert "ENOSPC" in result.errors


def test_the_holder_dies_half_way(names: list[str], hold: Hold) -> None:
    """Read through a pipe that is full: the copy out of its memory is not done yet when it dies."""
    lost, _, _ = names
    make(lost)
    holder = hold(lost, "map")
    argv = [python_for_all(), "-P", "-m", "shmctl", "rescue", lost, "--from-memory"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.read(1)
        time.sleep(0.1)
        holder.kill()
        holder.wait()
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert b"ESRCH" in errors or b"EIO" in errors, errors


@pytest.mark.needs_root
def test_what_no_process_has_mapped_is_zeros(names: list[str], program: str) -> None:
    """One process has the object open, another one its first part mapped: the size is right."""
    lost, new, _ = names
    content = make(lost)
    with (
        path_of(lost).open() as file,
        subprocess.Popen(["sleep", "60"], stdin=file) as open_only,
        subprocess.Popen([program, lost, "map", "1048576"], stdout=subprocess.PIPE) as mapping,
    ):
        try:
            file.close()
            assert mapping.stdout
            assert mapping.stdout.readline() == b"lost\n"
            expected = content[: 1 << 20] + bytes(7 << 20)
            assert run("rescue", lost, "--from-memory").out == expected
            assert run("rescue", lost, new, "--from-memory").status == 0
            assert path_of(new).read_bytes() == expected
            # The holder that is asked for is the one that is used, and no other.
            for process, way in ((open_only, "descriptor 0"), (mapping, "its mapping")):
                chosen = run("rescue", lost, "--pid", str(process.pid))
                if chosen.status == 0:
                    assert (chosen.out, f"from {way} of PID {process.pid}" in chosen.errors) == (
                        content,
                        True,
                    )
                else:
                    assert (process, os.geteuid() != 0) == (mapping, True), chosen
            other = run("rescue", lost, new, "--pid", str(os.getpid()))
            assert f"PID {os.getpid()} does not hold" in other.errors
        finally:
            open_only.kill()
            mapping.kill()


@pytest.mark.needs_root
@pytest.mark.parametrize("how", ["fd", "map"])
def test_large_and_sparse_and_anothers(names: list[str], hold: Hold, how: str) -> None:
    """As root, from another user's process; SHMCTL_RESCUE_SIZE=1G tries it with more."""
    lost, new, _ = names
    done("create", lost, "-s", os.environ.get("SHMCTL_RESCUE_SIZE", "32M"))
    with path_of(lost).open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        for offset in range(0, size, 4 << 20):
            os.pwrite(file.fileno(), os.urandom(1 << 20), offset)
        os.pwrite(file.fileno(), b"end", size - 3)
    os.chown(path_of(lost), NOBODY, NOBODY)
    with path_of(lost).open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    blocks = path_of(lost).stat().st_blocks
    hold(lost, how, as_user=True)
    assert run("rescue", lost, new).status == 0
    st = path_of(new).stat()
    assert (st.st_size, st.st_blocks, st.st_uid) == (size, blocks, NOBODY)
    with path_of(new).open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == checksum


def test_the_holder_dies_while_an_object_is_made(names: list[str], hold: Hold, tmp_path: Path) -> None:
    """Before the third read of its memory."""
    lost, new, _ = names
    make(lost)
    holder = hold(lost, "map")
    log = tmp_path / "log"
    inject = ["-e", "trace=pread64", "-e", "inject=pread64:delay_enter=1500000:when=3"]
    argv = ["strace", "-o", str(log), "-P", f"/proc/{holder.pid}/mem", *inject]
    with subprocess.Popen(
        [*argv, *shmctl_argv("rescue", lost, new, "--from-memory")], stderr=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + SECONDS
        while not log.exists() or log.read_bytes().count(b"pread64") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        holder.kill()
        holder.wait()
        _, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, b"ESRCH" in errors or b"EIO" in errors) == (1, True), errors
    assert not path_of(new).exists()


def test_a_terminal_is_no_place_for_it(name: str) -> None:
    from tests.support import on_pty

    result = on_pty("rescue", name)
    assert result.status == 2
    assert "the bytes would go to the terminal" in result.text
