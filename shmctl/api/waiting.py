"""Wait for objects and for the values in them, and take turns."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

from shmctl.api.structs import Struct, layout_of
from shmctl.core.errors import InputError
from shmctl.core.layouts.values import Value
from shmctl.core.names import NameLike, parse_name
from shmctl.core.objects.lock import locked
from shmctl.core.objects.open import opened
from shmctl.core.rules import find_problem, given_of
from shmctl.core.sizes import check_seconds
from shmctl.core.sync.wait_request import (
    DEFAULT_INTERVAL,
    WAIT_RULES,
    State,
    Wanted,
    parse_conditions,
    wait_for,
)


def wait(
    name: NameLike,
    *conditions: str,
    struct: Struct | None = None,
    type: str | None = None,
    until: State | None = None,
    offset: int = 0,
    length: int | None = None,
    timeout: float | None = None,
    interval: float = DEFAULT_INTERVAL,
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

    Values are polled: for a moment without a pause, then with sleeps, each a
    twentieth of the time waited so far, of up to ``interval`` seconds; with
    ``spin`` without any. What becomes of the name wakes at once (inotify(7)).

    Returns the values that were waited for, one a condition.

    Raises `ShmError`: TimeoutError after ``timeout`` seconds (None and
    infinity: never; 0 and less: after one look), EFAULT if the object is
    shrunk below the values. Raises ValueError for conditions that make no
    sense, and for NaN.

    >>> layout = shmctl.Struct("int data; int new_data;")
    >>> with shmctl.create("/box", size=layout.size) as box:
    ...     layout.write(box, data=42, new_data=1)
    ...     shmctl.wait("/box", "new_data == 1", "data > 0", struct=layout, timeout=5)
    [1, 42]
    """
    parsed = parse_name(name)
    limit = None if timeout is None else check_seconds("timeout", timeout)
    longest = check_seconds("interval", interval)
    wanted = Wanted(conditions, until, type, None, offset, length, limit, longest, spin)
    _check(wanted, struct)
    layout = None if struct is None else layout_of(struct)
    return wait_for(parsed, wanted, parse_conditions(wanted, layout))


def _check(wanted: Wanted, struct: Struct | None) -> None:
    if wanted.state not in (None, *get_args(State)):
        raise InputError(f"invalid state {wanted.state!r}: it is exists, gone, unused or changed")
    if wanted.offset < 0 or (wanted.length is not None and wanted.length < 0):
        raise InputError("an offset or a length is negative")
    given = given_of({**wanted._asdict(), "declaration": struct}, Wanted._field_defaults)
    problem = find_problem(WAIT_RULES, given, _spell)
    if problem:
        raise InputError(problem)


def _spell(parameter: str, value: object) -> str:
    if parameter == "state":
        return f"until={value!r}"
    return {"conditions": "a condition", "type_name": "type", "declaration": "struct"}.get(
        parameter, parameter
    )


@contextmanager
def lock(name: NameLike, *, shared: bool = False, timeout: float | None = None) -> Iterator[None]:
    """Hold an object's lock, the one of flock(1), ``shmctl lock`` and flock(2), while the body runs.

    It is advisory, exclusive unless ``shared``, and keeps threads apart as
    well as processes. The object has to exist. It is the one that has the
    name once the lock is had: where another takes the name meanwhile, that one.

    Raises `ShmError`: TimeoutError after ``timeout`` seconds (None and
    infinity: never; 0 and less: at once), FileNotFoundError, PermissionError.
    Raises ValueError for a name that no object can have, and for NaN.

    >>> with shmctl.create("/box", size=4) as box, shmctl.lock("/box", timeout=5):
    ...     count = int.from_bytes(box.read(), "little")
    ...     box.write((count + 1).to_bytes(4, "little"))
    """
    parsed = parse_name(name)
    limit = None if timeout is None else check_seconds("timeout", timeout)
    with locked(lambda: opened(parsed, os.O_RDONLY), exclusive=not shared, timeout=limit):
        yield
