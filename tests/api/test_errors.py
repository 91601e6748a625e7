"""What a program sees of an error: one exception, under its public name."""

import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

import shmctl
from tests.support import path_of


def missing(name: str) -> None:
    shmctl.open(name)


def twice(name: str) -> None:
    shmctl.create(name).close()
    shmctl.create(name).close()


def past_the_end(name: str) -> None:
    with shmctl.create(name, size=8), shmctl.open(name) as box:
        box.read(9)


def too_large(name: str) -> None:
    with shmctl.create(name, size=8) as box:
        box.write(bytes(9))


def for_reading_only(name: str) -> None:
    with shmctl.create(name, size=8), shmctl.open(name) as box:
        shmctl.Struct("int x;").write(box, x=1)


def missing_semaphore(name: str) -> None:
    shmctl.Semaphore(name)


def not_in_time(name: str) -> None:
    with shmctl.create(name, size=8):
        shmctl.wait(name, "== 1", type="int32", timeout=0)


def missing_to_rename(name: str) -> None:
    shmctl.rename(name, name + "-new")


def link(name: str) -> None:
    path_of(name).symlink_to("/etc/passwd")
    shmctl.open(name)


def directory(name: str) -> None:
    path_of(name).mkdir()
    shmctl.unlink(name)


def missing_header(name: str) -> None:
    shmctl.Struct("struct s", header=f"/nowhere{name}")


def bad_name(name: str) -> None:
    shmctl.stat(name + "/x")


def bad_declaration(name: str) -> None:
    shmctl.Struct(f"int {name};")


def unknown_type(_: str) -> None:
    shmctl.Struct.of(os.getpid(), "no_such_type")


def false_assertion(_: str) -> None:
    shmctl.Struct('struct s { int x; }; _Static_assert(sizeof(struct s) == 8, "");')


def not_compiled(name: str) -> None:
    path_of(name).write_text("int x")
    shmctl.Struct("struct s", header=path_of(name))


def trace_of(fails: Callable[[str], None], name: str) -> tuple[BaseException, str]:
    with pytest.raises((OSError, ValueError)) as caught:
        fails(name)
    return caught.value, "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("fails", "start"),
    [
        (missing, "shmctl.ShmError: shm_open '{name}': No such file or directory (ENOENT)"),
        (twice, "shmctl.ShmError: shm_open '{name}': File exists (EEXIST)"),
        (past_the_end, "shmctl.ShmError: read '{name}': offset 9 is past its end: it has 8 bytes (EINVAL)"),
        (too_large, "shmctl.ShmError: write '{name}': "),
        (for_reading_only, "shmctl.ShmError: write '{name}': it is open for reading only (EACCES)"),
        (missing_semaphore, "shmctl.ShmError: sem_open '{name}': "),
        (not_in_time, "shmctl.ShmError: "),
        (missing_to_rename, "shmctl.ShmError: open '{name}': "),
        (link, "shmctl.ShmError: shm_open '{name}': "),
        (directory, "shmctl.ShmError: shm_unlink '{name}': "),
        (missing_header, "shmctl.ShmError: "),
        (bad_name, "shmctl.InputError: invalid object name "),
        (bad_declaration, "shmctl.InputError: "),
        (unknown_type, "shmctl.InputError: "),
        (false_assertion, "shmctl.InputError: "),
        (not_compiled, "shmctl.InputError: "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_one_exception_under_its_public_name(name: str, fails: Callable[[str], None], start: str) -> None:
    error, trace = trace_of(fails, name)
    assert trace.count("Traceback (most recent call last)") == 1, trace
    assert trace.splitlines()[-1].startswith(start.format(name=name)) or "\n" + start in trace, trace
    assert isinstance(error, shmctl.ShmError | shmctl.InputError)


@pytest.mark.parametrize("fails", [missing, missing_header], ids=lambda fails: fails.__name__)
def test_it_can_be_pickled(name: str, fails: Callable[[str], None]) -> None:
    error, _ = trace_of(fails, name)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert isinstance(again, shmctl.ShmError)
    assert isinstance(again, FileNotFoundError)
    assert str(again) == str(error)


def test_names_may_be_paths(name: str) -> None:
    path = path_of(name)
    with shmctl.create(path, size=8), shmctl.open(os.fsencode(path)):
        assert [info.name for info in shmctl.list(path)] == [name]
    assert shmctl.stat(path).size == 8
    shmctl.rename(path, Path(f"{name}-new"))
    shmctl.unlink(Path(f"{name}-new"))


def test_the_mode_shows_in_octal(name: str) -> None:
    with shmctl.create(name, mode=0o640):
        pass
    start = f"Info(name={name!r}, kind=<Kind.SHM: 'shm'>, size=0, allocated=0, mode=0o640, uid="
    assert repr(shmctl.stat(name)).startswith(start)


def test_an_object_without_a_name_gets_one() -> None:
    with shmctl.create(size=4) as box, shmctl.create(size=4) as other:
        try:
            assert box.name != other.name
            (judged,) = shmctl.leaks(box.name)
            assert (judged.software, judged.creator_pid) == ("shmctl's library", os.getpid())
        finally:
            shmctl.unlink(box.name)
            shmctl.unlink(other.name)


def test_truncate_empties_what_exists(name: str) -> None:
    with shmctl.create(name, size=8) as box:
        box.write(b"leftover")
    with shmctl.create(name, size=4, exist_ok=True, truncate=True) as box:
        assert (box.created, box.read()) == (False, bytes(4))
    with pytest.raises(ValueError, match="truncate goes with exist_ok"):
        shmctl.create(name, truncate=True)
