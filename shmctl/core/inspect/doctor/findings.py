"""What a check finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shmctl.core.models import ObjectInfo


class Status(StrEnum):
    """How bad it is, from nothing to something that fails now or lets others in."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"

    @property
    def is_bad(self) -> bool:
        """Whether somebody has to do something."""
        return self in (Status.WARNING, Status.PROBLEM)


class Scope(StrEnum):
    """What a finding is about: one /dev/shm, one process, or all of the host."""

    DIRECTORY = "directory"
    PROCESS = "process"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check saw, in words; what to do about it, or nothing; and the objects that it is about."""

    status: Status
    seen: str
    advice: str = ""
    objects: Sequence[ObjectInfo] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """An outcome, and which check it is of: ``check`` is a stable name."""

    check: str
    scope: Scope
    outcome: Outcome


def ok(seen: str) -> Outcome:
    """All is well."""
    return Outcome(Status.OK, seen)


def note(seen: str, advice: str = "") -> Outcome:
    """Good to know; nothing is wrong."""
    return Outcome(Status.NOTE, seen, advice)


def warning(seen: str, advice: str) -> Outcome:
    """It works, but a program, a user or a bad day can break it."""
    return Outcome(Status.WARNING, seen, advice)


def problem(seen: str, advice: str) -> Outcome:
    """Something fails already, or anybody may do harm."""
    return Outcome(Status.PROBLEM, seen, advice)


def unknown(seen: str) -> Outcome:
    """What can be seen does not tell."""
    return Outcome(Status.UNKNOWN, seen)
