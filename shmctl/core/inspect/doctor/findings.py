"""Findings of checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shmctl.core.models import ObjectInfo


class Status(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"

    @property
    def is_bad(self) -> bool:
        """Whether somebody has to act."""
        return self in (Status.WARNING, Status.PROBLEM)


class Scope(StrEnum):
    """The subject of a finding: one /dev/shm, one process, or the host."""

    DIRECTORY = "directory"
    PROCESS = "process"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a check: what it saw, advice or nothing, and the objects concerned."""

    status: Status
    seen: str
    advice: str = ""
    objects: Sequence[ObjectInfo] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """An outcome with the stable name of its check."""

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
