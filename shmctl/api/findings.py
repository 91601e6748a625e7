"""Holders of objects, and verdicts on them."""

from dataclasses import dataclass
from typing import Self

from shmctl.api.records import Info
from shmctl.core.inspect.verdicts import Verdict
from shmctl.core.models import user_name


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has an object open or mapped.

    ``access`` has the letters r, w and x of its descriptors and mappings;
    ``mapped`` is in bytes; ``fds`` are its descriptors' numbers.
    """

    pid: int
    uid: int
    command: str
    access: str
    mapped: int
    fds: tuple[int, ...]

    @property
    def user(self) -> str:
        """The login name of the user, or the number as text."""
        return user_name(self.uid)


class Holders(tuple[Holder, ...]):
    """The holders found, and the number of processes that denied access, ``uninspected``.

    While that is not 0, an empty tuple does not prove that nobody uses the object.
    """

    uninspected: int

    def __new__(cls, holders: tuple[Holder, ...], uninspected: int) -> Self:  # noqa: D102
        self = super().__new__(cls, holders)
        self.uninspected = uninspected
        return self

    def __repr__(self) -> str:
        return f"Holders({super().__repr__()}, uninspected={self.uninspected})"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on an object, with its reasons in words.

    ``software`` is the program whose naming scheme it matches, and ``creator_pid``
    the PID in the name; each is None if unknown.
    """

    info: Info
    verdict: Verdict
    reasons: tuple[str, ...]
    software: str | None
    creator_pid: int | None

    @property
    def name(self) -> str:
        """The object's name."""
        return self.info.name
