"""System calls in the format of strace(1), for ``--trace``."""

import errno as _errno
import os
import stat
from collections.abc import Callable
from typing import Any, TypeVar

from shmctl.core.errors import ShmError
from shmctl.core.models import FileStat

Result = TypeVar("Result")
LineWriter = Callable[[str], None]
_write_line: LineWriter | None = None

line_is_open = False
"""Whether output that may not end in a newline has gone to where the trace goes."""

_OPEN_FLAGS = (
    "O_CREAT",
    "O_EXCL",
    "O_TRUNC",
    "O_NONBLOCK",
    "O_DIRECTORY",
    "O_PATH",
    "O_NOFOLLOW",
    "O_CLOEXEC",
)
_ACCESS_MODES = {os.O_RDONLY: "O_RDONLY", os.O_WRONLY: "O_WRONLY", os.O_RDWR: "O_RDWR"}
_LETTERS = {9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 34: r"\"", 92: r"\\"}


def trace_to(write_line: LineWriter | None) -> LineWriter | None:
    """Send each call, as a line of text, to ``write_line`` (None: stop). Returns the previous function."""
    global _write_line
    before, _write_line = _write_line, write_line
    return before


def is_tracing() -> bool:
    """Whether calls are traced."""
    return _write_line is not None


def sent_to(fd: int) -> None:
    """Note that data, of whatever ending, has gone to a descriptor past Python's buffers."""
    global line_is_open
    line_is_open |= fd == 1


def emit(line: str) -> None:
    """Write a line to the trace, if there is one."""
    if _write_line is not None:
        _write_line(line)


def call(
    function: str,
    name: bytes,
    action: Callable[[], Result],
    arguments: Callable[[Result | None], str],
    *,
    shown_as: str | None = None,
    returned: Callable[[Any], object] | None = None,
) -> Result:
    """Run ``action``, which calls the C library's or kernel's ``function``, and trace it.

    ``arguments`` gives the text between the parentheses, from what came back
    (None after a failure); it is asked only while tracing, which names the
    call ``shown_as`` where that differs; ``returned`` gives the text of what
    came back where that is no plain number. Raises ShmError carrying the
    call, ``name`` and errno.
    """
    try:
        result = action()
    except OSError as error:
        number = error.errno or _errno.EIO
        trace_failure(shown_as or function, number, lambda: arguments(None))
        raise ShmError(function, name, number) from None
    if _write_line is not None:
        _write_line(f"{shown_as or function}({arguments(result)}) = {(returned or _returned)(result)}")
    return result


def trace_failure(function: str, number: int, arguments: Callable[[], str]) -> None:
    """Trace a call that failed with errno ``number``."""
    if _write_line is not None:
        symbol = _errno.errorcode.get(number, str(number))
        _write_line(f"{function}({arguments()}) = -1 {symbol} ({os.strerror(number)})")


def _returned(result: object) -> int:
    """What C would have got: a count or a descriptor, or 0 where Python gives nothing or a structure."""
    if isinstance(result, bytes):
        return len(result)
    return result if isinstance(result, int) else 0


def c_string(data: bytes) -> str:
    """``data`` as a C string literal."""
    pieces = []
    for index, byte in enumerate(data):
        if byte in _LETTERS:
            pieces.append(_LETTERS[byte])
        elif 32 <= byte < 127:
            pieces.append(chr(byte))
        else:
            # The short octal form would swallow a digit that follows.
            digit_follows = data[index + 1 : index + 2].isdigit()
            pieces.append(f"\\{byte:03o}" if digit_follows else f"\\{byte:o}")
    return '"' + "".join(pieces) + '"'


def open_flags(oflag: int) -> str:
    """``O_RDWR|O_CREAT|O_EXCL``."""
    names = [_ACCESS_MODES[oflag & os.O_ACCMODE]]
    names += [flag for flag in _OPEN_FLAGS if oflag & getattr(os, flag)]
    if oflag & os.O_PATH:
        names.remove("O_RDONLY")
    return "|".join(names)


def stat_struct(st: FileStat | None) -> str:
    """``{st_mode=S_IFREG|0600, st_size=100, ...}``, or ``{...}`` where nothing was filled in."""
    if st is None:
        return "{...}"
    kinds = ("S_IFREG", "S_IFDIR", "S_IFLNK", "S_IFSOCK", "S_IFIFO", "S_IFCHR", "S_IFBLK")
    kind = next(k for k in kinds if stat.S_IFMT(st.st_mode) == getattr(stat, k))
    return f"{{st_mode={kind}|{stat.S_IMODE(st.st_mode):04o}, st_size={st.st_size}, ...}}"
