"""Wait for objects and for the values in them, and take turns."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from shmctl.api.structs import Struct, layout_of
from shmctl.core import locking
from shmctl.core.errors import InputError, ShmError
from shmctl.core.layouts.values import Value
from shmctl.core.models import DEV_SHM
from shmctl.core.names import Name, parse_name
from shmctl.core.objects.describe import describe
from shmctl.core.objects.open import opened
from shmctl.core.sync import waiting
from shmctl.core.sync.backoff import NameWatch, Pacer
from shmctl.core.sync.conditions import Conditions, parse_scalar_conditions, parse_struct_conditions

_SHORTEST_INTERVAL = 0.00001
_UNUSED_INTERVAL = 0.02
State = Literal["exists", "gone", "unused", "changed"]


def wait(
    name: str | bytes,
    *conditions: str,
    struct: Struct | None = None,
    type: str | None = None,
    until: State | None = None,
    offset: int = 0,
    length: int | None = None,
    timeout: float | None = None,
    interval: float = 0.001,
    spin: bool = False,
) -> list[Value]:
    """Block until values in an object compare as wanted, or until something becomes of the object.

    ``conditions`` compare the fields of a ``struct``, ``"new_data == 1"``, or
    one value of a C ``type`` (``"int32"``), ``"== 1"``, at ``offset`` bytes;
    they have == != < <= > >=, and & for any of these bits. All must hold at
    one look. The object may be made, and be given its size, meanwhile.

    Without conditions, ``until`` says what is waited for: that the object
    ``"exists"`` (the default), is ``"gone"``, is ``"unused"`` (no process has
    it open or mapped, this one neither), or that its ``length`` bytes (all) at
    ``offset`` have ``"changed"``.

    Values are polled: for a moment without a pause, then with sleeps of up to
    ``interval`` seconds, with ``spin`` without any. What becomes of the name
    wakes at once (inotify(7)).

    Returns the values that were waited for, one a condition.

    Raises `ShmError`: TimeoutError after ``timeout`` seconds, EFAULT if the
    object is shrunk below the values. Raises ValueError for conditions that
    make no sense.

    >>> layout = shmctl.Struct("int data; int new_data;")
    >>> with shmctl.create("/box", size=layout.size) as box:
    ...     layout.write(box, data=42, new_data=1)
    ...     shmctl.wait("/box", "new_data == 1", "data > 0", struct=layout, timeout=5)
    [1, 42]
    """
    parsed = parse_name(name)
    wanted = _parse(conditions, struct, type)
    _check(wanted, until, offset, length)
    shortest = _UNUSED_INTERVAL if until == "unused" else _SHORTEST_INTERVAL
    with NameWatch(parsed, DEV_SHM) as watch:
        pacer = Pacer(parsed, watch, timeout, max(interval, shortest), spin=spin)
        if wanted is not None:
            return waiting.wait_for_value(parsed, offset, wanted.length, wanted.look, pacer)
        if until == "gone":
            waiting.wait_until_gone(parsed, pacer)
        elif until == "changed":
            waiting.wait_for_change(parsed, offset, length, pacer)
        elif until == "unused":
            _wait_until_unused(parsed, pacer)
        else:
            waiting.wait_until_there(parsed, pacer)
    return []


def _parse(texts: tuple[str, ...], struct: Struct | None, type_name: str | None) -> Conditions | None:
    if bool(texts) != (struct is not None or type_name is not None) or (struct and type_name):
        raise InputError("conditions, and they alone, go with either a struct or a type")
    if struct is not None:
        return parse_struct_conditions(layout_of(struct), texts)
    return parse_scalar_conditions(type_name, None, texts) if type_name is not None else None


def _check(wanted: Conditions | None, until: Any, offset: int, length: int | None) -> None:
    if until not in (None, "exists", "gone", "unused", "changed"):
        raise InputError(f"invalid state {until!r}: it is exists, gone, unused or changed")
    if wanted is not None and until is not None:
        raise InputError(f"until={until!r} takes no conditions")
    if length is not None and until != "changed":
        raise InputError("a length goes with until='changed'")
    if offset and wanted is None and until != "changed":
        raise InputError("an offset goes with conditions, or until='changed'")
    if offset < 0 or (length is not None and length < 0):
        raise InputError("an offset or a length is negative")


def _wait_until_unused(name: Name, pacer: Pacer) -> None:
    from shmctl.core.inspect.holders import find_holders
    from shmctl.core.inspect.lease import UsageTest

    waiting.wait_until_unused(name, pacer, lambda: UsageTest(DEV_SHM, lambda: find_holders([describe(name)])))


@contextmanager
def lock(name: str | bytes, *, shared: bool = False, timeout: float | None = None) -> Iterator[None]:
    """Hold an object's lock, the one of flock(1), ``shmctl lock`` and flock(2), while the body runs.

    It is advisory, exclusive unless ``shared``, and keeps threads apart as
    well as processes. The object has to exist.

    Raises `ShmError`: TimeoutError after ``timeout`` seconds,
    FileNotFoundError, PermissionError. Raises ValueError for a name that no
    object can have.

    >>> with shmctl.create("/box", size=4) as box, shmctl.lock("/box", timeout=5):
    ...     count = int.from_bytes(box.read(), "little")
    ...     box.write((count + 1).to_bytes(4, "little"))
    """
    parsed = parse_name(name)
    with opened(parsed, os.O_RDONLY) as target:
        if timeout is None:
            locking.flock(target.fd, parsed, exclusive=not shared)
        elif not locking.flock_within(target.fd, parsed, timeout, exclusive=not shared):
            detail = f"timed out after {timeout:g} s: somebody else has the lock"
            raise ShmError("flock", parsed, errno.ETIMEDOUT, detail=detail)
        yield
