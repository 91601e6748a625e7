"""The errors of the library, failed system calls and invalid input, and its notices: data, not sentences."""

import errno as _errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Self


class ShmError(OSError):
    """A system call failed, or was not made because it would do harm.

    ``call`` is the function that failed (``shm_open``), ``errno`` its error
    number, ``name`` the object's or file's name in bytes (``None`` where
    there is none). ``detail`` replaces the text of ``errno`` where shmctl
    knows more, and ``hint`` is a next step for a person.

    The error number also decides the class, as everywhere in Python: ENOENT is
    a FileNotFoundError, EEXIST a FileExistsError, EACCES and EPERM are a
    PermissionError, ETIMEDOUT is a TimeoutError, and so on.
    """

    __module__ = "shmctl"

    def __init_subclass__(cls) -> None:
        # Tracebacks show the public name.
        cls.__module__, cls.__qualname__ = ShmError.__module__, ShmError.__qualname__

    def __new__(cls, call: str, name: bytes | None, errno: int, *_: object, **__: object) -> Self:  # noqa: D102
        kind: type[Self] = _standard(cls, errno)  # type: ignore[arg-type] # mypy: a class is hashable
        return super().__new__(kind, errno, os.strerror(errno))

    def __init__(
        self,
        call: str,
        name: bytes | None,
        errno: int,
        detail: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(errno, os.strerror(errno))
        self.call = call
        self.name = name
        self.detail = detail
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return ShmError, (self.call, self.name, self.errno, self.detail, self.hint)

    @property
    def symbol(self) -> str:
        """The name of the error number, as in errno(3): ``EEXIST``."""
        return _errno.errorcode.get(self.errno or 0, str(self.errno))

    def __str__(self) -> str:
        where = "" if self.name is None else f" {os.fsdecode(self.name)!r}"
        return f"{self.call}{where}: {self.detail or self.strerror} ({self.symbol})"


@cache
def _standard(cls: type[Any], errno: int) -> type[Any]:
    """Return a subclass of ``cls`` and of the class that Python raises for ``errno``."""
    standard = type(OSError(errno, ""))
    if issubclass(cls, standard):
        return cls
    return type(cls.__name__, (cls, standard), {"__doc__": cls.__doc__})


def shrunk(call: str, name: bytes) -> ShmError:
    """Return the error for bytes that another process cut off after the object was opened."""
    detail = "the object was shrunk by another process meanwhile"
    return ShmError(call, name, _errno.EFAULT, detail=detail)


class FileError(ShmError):
    """A call failed on a file or stream that is no object; ``name`` is its path or describes it."""


@contextmanager
def failing_as(call: str, name: bytes | None, error_type: type[ShmError] = FileError) -> Iterator[None]:
    """Turn an OSError of the body into one that names the ``call`` and the file."""
    try:
        yield
    except ShmError:
        raise
    except OSError as error:
        raise error_type(call, name, error.errno or _errno.EIO) from None


STANDARD_OUTPUT = b"standard output"
"""The ``name`` of a FileError about standard output."""


_tell: Callable[[bytes, str], None] | None = None


def tell_by(tell: Callable[[bytes, str], None]) -> None:
    """Send each notice to ``tell``, with the name of its object."""
    global _tell
    _tell = tell


def notify(name: bytes, text: str) -> None:
    """Report what is no error but should be known: a RuntimeWarning, unless `tell_by` chose a function."""
    if _tell is not None:
        _tell(name, text)
        return
    import warnings

    warnings.warn(f"{os.fsdecode(name)!r}: {text}", RuntimeWarning, stacklevel=2)


class InputError(ValueError):
    """An argument is invalid: a ValueError that says more.

    ``hint`` is a next step for a person, or None; ``transcript`` has the
    lines of another program that says what is wrong, such as a compiler.
    """

    __module__ = "shmctl"

    transcript: Sequence[str] = ()

    def __init_subclass__(cls) -> None:
        # Tracebacks show the public name.
        cls.__module__, cls.__qualname__ = InputError.__module__, InputError.__qualname__

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UnknownTypeError(InputError):
    """No type has this name where it was looked for."""
