"""What a wait waits for, as the command line and the library ask for it, and the wait itself."""

from typing import TYPE_CHECKING, Literal, NamedTuple

from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name
from shmctl.core.requests import TYPED_RULES
from shmctl.core.rules import exclude, go_with, need

if TYPE_CHECKING:
    from shmctl.core.layouts.layout import Layout
    from shmctl.core.layouts.scalartype import Endian
    from shmctl.core.layouts.values import Value
    from shmctl.core.sync.backoff import Pacer
    from shmctl.core.sync.conditions import Conditions
    from shmctl.core.sync.fullness import Fullness

State = Literal["exists", "gone", "unused", "changed"]
DEFAULT_INTERVAL = 0.1
"""Seconds. An idle wait takes some 0.2 percent of a processor, and hardly anybody notices the delay."""
_SHORTEST_INTERVAL = 0.00001
# A look at the usage may be a scan of /proc.
_UNUSED_INTERVAL = 0.02
# What grows does so for longer, and a thousand looks a second take their time.
_FULL_INTERVAL = 0.05


class Wanted(NamedTuple):
    """``conditions`` on values at ``offset``, or else a ``state`` of the object (None: it exists).

    The state "changed" is that of ``length`` bytes (None: all) at ``offset``. ``timeout`` and
    ``interval``, the longest sleep between two looks, are in seconds. ``fuller_than`` is about
    /dev/shm, and about no object.
    """

    conditions: tuple[str, ...] = ()
    state: State | None = None
    type_name: str | None = None
    endian: "Endian" = None
    offset: int = 0
    length: int | None = None
    timeout: float | None = None
    interval: float = DEFAULT_INTERVAL
    spin: bool = False
    fuller_than: "Fullness | None" = None


WAIT_RULES = (
    *TYPED_RULES,
    need("conditions", "type_name", "declaration"),
    need("type_name", "conditions"),
    need("declaration", "conditions"),
    exclude("state", "conditions"),
    exclude("fuller_than", "name"),
    exclude("fuller_than", "state"),
    go_with("length", "state=changed"),
    go_with("offset", "conditions", "state=changed"),
)


def parse_conditions(wanted: Wanted, layout: "Layout | None") -> "Conditions | None":
    """The conditions on fields of ``layout``, or on a value of a C type; None if there are none."""
    if not wanted.conditions:
        return None
    from shmctl.core.sync.conditions import parse_scalar_conditions, parse_struct_conditions

    if layout is not None:
        return parse_struct_conditions(layout, wanted.conditions)
    assert wanted.type_name is not None  # noqa: S101 - WAIT_RULES
    return parse_scalar_conditions(wanted.type_name, wanted.endian, wanted.conditions)


def wait_for(
    name: Name, wanted: Wanted, conditions: "Conditions | None", directory: Directory = DEV_SHM
) -> "list[Value]":
    """Block until what is ``wanted`` holds; returns the values of ``conditions``.

    Raises ShmError: ETIMEDOUT, EFAULT if the object is shrunk below the values.
    """
    from shmctl.core.sync import waiting
    from shmctl.core.sync.backoff import NameWatch, Pacer

    shortest = _UNUSED_INTERVAL if wanted.state == "unused" else _SHORTEST_INTERVAL
    with NameWatch(name, directory) as watch:
        pacer = Pacer(name, watch, wanted.timeout, max(wanted.interval, shortest), spin=wanted.spin)
        if conditions is not None:
            return waiting.wait_for_value(
                name, wanted.offset, conditions.length, conditions.look, pacer, directory=directory
            )
        match wanted.state:
            case "gone":
                waiting.wait_until_gone(name, pacer, directory)
            case "changed":
                waiting.wait_for_change(name, wanted.offset, wanted.length, pacer, directory=directory)
            case "unused":
                _wait_until_unused(name, pacer, directory)
            case _:
                waiting.wait_until_there(name, pacer, directory)
    return []


def wait_for_use(fuller_than: "Fullness", wanted: Wanted, directory: Directory = DEV_SHM) -> int:
    """Block until more of /dev/shm is used; returns how many bytes are. Raises ShmError: ETIMEDOUT."""
    from shmctl.core.sync.backoff import Pacer
    from shmctl.core.sync.waiting import wait_until_fuller

    interval = max(wanted.interval, _FULL_INTERVAL)
    pacer = Pacer(directory.path, None, wanted.timeout, interval, spin=wanted.spin)
    return wait_until_fuller(fuller_than, pacer, directory)


def _wait_until_unused(name: Name, pacer: "Pacer", directory: Directory) -> None:
    from shmctl.core.inspect.holders import find_holders
    from shmctl.core.inspect.lease import UsageTest
    from shmctl.core.objects.describe import describe
    from shmctl.core.sync.waiting import wait_until_unused

    def new_test() -> UsageTest:
        return UsageTest(lambda: find_holders([describe(name, directory)]))

    wait_until_unused(name, pacer, new_test, directory)
