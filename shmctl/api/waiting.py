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
    """Block until values in an object meet conditions, or the object exists, is gone, unused or changed.

    ``conditions`` compare the fields of a ``struct``, ``"new_data == 1"``, or
    one value of a C ``type`` (``"int32"``), ``"== 1"``, at ``offset`` bytes.
    Operators are == != < <= > >=, and & for any of these bits. All must hold
    at one look. The object may be created and resized meanwhile.

    Without conditions, ``until`` names what to wait for: that the object
    ``"exists"`` (the default), is ``"gone"``, is ``"unused"`` (no process has
    it open or mapped, not even this one), or that its ``length`` bytes (all)
    at ``offset`` have ``"changed"``.

    Values are polled: for a moment without a pause, then with sleeps, each a
    twentieth of the time waited so far, of up to ``interval`` seconds; with
    ``spin`` without any. Events on the name wake at once (inotify(7)).

    Returns the values, one for each condition.

    Raises `ShmError`: TimeoutError after ``timeout`` seconds (None and
    infinity: never; 0 and less: after one look), EFAULT if the object is
    shrunk below the values. Raises ValueError for an invalid condition, and
    for NaN.

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
    """Hold an object's lock while the body runs: flock(2), as flock(1) and ``shmctl lock`` do.

    The lock is advisory, exclusive unless ``shared``, and separates threads as
    well as processes. The object must exist. If another object takes the name
    while this call waits, the lock is that object's.

    Raises `ShmError`: TimeoutError after ``timeout`` seconds (None and
    infinity: never; 0 and less: at once), FileNotFoundError, PermissionError.
    Raises ValueError for an invalid name, and for NaN.

    >>> with shmctl.create("/box", size=4) as box, shmctl.lock("/box", timeout=5):
    ...     count = int.from_bytes(box.read(), "little")
    ...     box.write((count + 1).to_bytes(4, "little"))
    """
    parsed = parse_name(name)
    limit = None if timeout is None else check_seconds("timeout", timeout)
    with locked(lambda: opened(parsed, os.O_RDONLY), exclusive=not shared, timeout=limit):
        yield
