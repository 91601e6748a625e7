"""Locks, with those who have them and those who wait."""

from collections.abc import Sequence
from typing import Any

from shmctl.core.inspect.blockers import Lock, Party
from shmctl.core.names import escape
from shmctl.render.aligned import write_table
from shmctl.render.output import Heading, Output
from shmctl.render.records import command_text, name_fields

_SHORT = {"pthread_mutex_t": "mutex", "pthread_rwlock_t": "rwlock", "pthread_cond_t": "cond"}
_SHORT |= {"pthread_barrier_t": "barrier", "pthread_spinlock_t": "spinlock", "semaphore": "sem"}
_MOST_SHOWN = 3


def write_locks(output: Output, locks: Sequence[Lock]) -> None:
    """Write locks, one a row."""
    headings = [Heading(text) for text in ("NAME", "LOCK", "PLACE", "STATE", "OWNER", "WAITERS")]
    write_table(output, headings, [_row(each) for each in locks])


def lock_record(lock: Lock) -> dict[str, Any]:
    """A lock by the keys that scripts rely on."""
    return {
        **name_fields(lock.info.name),
        "lock": lock.kind,
        "place": lock.place,
        "state": lock.state,
        "owners": [_party_record(each) for each in lock.owners],
        "waiters": [_party_record(each) for each in lock.waiters],
        "waiting": lock.waiting,
        "dead_owner": lock.is_dead,
        **{key: value for key, value in lock.facts.items() if key not in ("state", "waiters")},
    }


def _row(lock: Lock) -> list[tuple[str, str]]:
    held = lock.state not in ("unlocked", "idle", "available")
    return [
        (escape(lock.info.name), "bold"),
        (_SHORT.get(lock.kind, lock.kind), ""),
        (escape(lock.place, keep=" "), ""),
        (lock.state, "bold red" if lock.is_dead else "yellow" if held else "green"),
        (_shown(lock.owners) or "-", ""),
        (_waiters(lock), ""),
    ]


def _waiters(lock: Lock) -> str:
    if lock.waiters:
        return _shown(lock.waiters)
    if lock.waiting is True:
        return "some"
    return str(lock.waiting) if lock.waiting else "-"


def _shown(parties: Sequence[Party]) -> str:
    """``4711,4712 worker`` for those of one command, and how many there are besides."""
    by_command: dict[str, list[str]] = {}
    for party in parties[:_MOST_SHOWN]:
        unnamed = "(dead)" if party.is_visible else "(not visible)"
        by_command.setdefault(unnamed if party.command is None else escape(party.command), []).append(
            str(party.pid)
        )
    shown = [f"{','.join(pids)} {command}" for command, pids in by_command.items()]
    more = len(parties) - _MOST_SHOWN
    return "; ".join(shown) + (f" +{more}" if more > 0 else "")


def _party_record(party: Party) -> dict[str, Any]:
    command = party.command
    return {
        "pid": party.pid,
        "command": command and command_text(command),
        "alive": party.alive,
    }
