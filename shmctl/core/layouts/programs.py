"""Types out of the programs that processes run, and of the libraries that they have mapped.

Another user's program is hostile input like any ELF file. It is reached through
procfs, so that a program that was deleted, or lies in another mount namespace,
is the one that runs.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from shmctl.core import proc
from shmctl.core.errors import InputError, ShmError, UnknownTypeError
from shmctl.core.layouts.layout import Layout
from shmctl.core.layouts.lookup import Definition, Library, shape
from shmctl.core.layouts.values import escape, quote


class Program(NamedTuple):
    """A file that a process runs or has mapped: where to open it, and what it is called."""

    pid: int
    path: str
    name: str

    @property
    def shown(self) -> str:
        """``/usr/bin/worker (PID 4711)``."""
        return f"{escape(self.name)} (PID {self.pid})"


def find_in_processes(pids: Sequence[int], type_name: str) -> Layout:
    """The layout of ``type_name`` out of what the processes ``pids`` run. Raises InputError.

    Programs come first, and libraries where no program has it. Two that differ are refused.
    """
    problems: list[InputError] = []
    for candidates in (_executables(pids), _libraries(pids)):
        found = list(_search(candidates, type_name, problems))
        shapes: dict[object, tuple[Program, Definition]] = {}
        for program, definition in found:
            shapes.setdefault(shape(definition.type), (program, definition))
        if len(shapes) > 1:
            places = " and ".join(program.shown for program, _ in list(shapes.values())[:2])
            raise InputError(f"{quote(type_name)} is not the same in {places}", "--elf FILE picks one")
        if found:
            program, definition = found[0]
            where = f", {definition.where}" if definition.file else ""
            return Layout(definition.type, definition.type.name, f"{program.shown}{where}")
    shown = ", ".join(str(pid) for pid in pids[:5])
    unread = [f": {error}" for error in problems if not isinstance(error, UnknownTypeError)]
    near = [error.hint for error in problems if (error.hint or "").startswith("near names")]
    raise UnknownTypeError(
        f"no type called {quote(type_name)} in the programs of PID {shown}{''.join(unread[:1])}",
        near[0]
        if near
        else "--header FILE or --elf FILE says where it is defined; gcc -g puts it into a program",
    )


def names_in(pids: Sequence[int]) -> Iterator[tuple[str, int]]:
    """The types of the programs that the processes ``pids`` run, with their sizes in bytes."""
    for program in _executables(pids):
        with suppress(InputError, OSError, ShmError), Library(program.path, program.name) as library:
            yield from library.names()


def _search(
    programs: Iterator[Program], type_name: str, problems: list[InputError]
) -> Iterator[tuple[Program, Definition]]:
    seen = set[tuple[int, int]]()
    for program in programs:
        try:
            status = os.stat(program.path)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with Library(program.path, program.name) as library:
                yield program, library.find(type_name)
        except InputError as error:
            if "several types" in str(error):
                raise
            problems.append(error)
        except (OSError, ShmError):
            continue  # it has ended, or is not ours to see


def _executables(pids: Sequence[int]) -> Iterator[Program]:
    for pid in pids:
        with suppress(OSError):
            path, name = proc.program(pid)
            yield Program(pid, os.fsdecode(path), os.fsdecode(name))


def _libraries(pids: Sequence[int]) -> Iterator[Program]:
    for pid in pids:
        with suppress(OSError):
            for code in proc.mapped_code(pid):
                path = next((path for path in code.paths if _is_same(path, code)), None)
                if path is not None:
                    yield Program(pid, os.fsdecode(path), os.fsdecode(code.name))


def _is_same(path: bytes, code: proc.MappedCode) -> bool:
    """Whether ``path`` leads to the file that is mapped: another one may have its name by now."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    # A file system may give a mapping another device number than stat(2); the kernel's link needs no check.
    return status.st_ino == code.inode and (path == code.paths[0] or status.st_dev == code.device)
