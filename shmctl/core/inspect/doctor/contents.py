"""Checks of the objects in /dev/shm, and of memory without a name."""

from collections.abc import Sequence
from dataclasses import replace

from shmctl.core.inspect.doctor.examination import Examination
from shmctl.core.inspect.doctor.findings import Outcome, note, ok, unknown, warning
from shmctl.core.inspect.lease import State
from shmctl.core.models import Kind, ObjectInfo, login_name
from shmctl.core.names import escape
from shmctl.core.proc import uninspected_text
from shmctl.core.sizes import counted, human_size

_SHOWN = 5


def check_writable_by_all(case: Examination) -> Outcome:
    """Which objects may everybody change?"""
    found = [info for info in case.snapshot.objects if info.permissions & 0o002]
    if not found:
        return ok("no object is writable by all")
    outcome = warning(
        f"{_count(found)} writable by all: {_names(found)}",
        "'shmctl chmod 600 NAME', and a smaller mode in the program that makes it",
    )
    return replace(outcome, objects=found)


def check_unknown_owners(case: Examination) -> Outcome:
    """Whose objects may the next user with their number get?"""
    found = [info for info in case.snapshot.objects if login_name(info.st.st_uid) is None]
    if not found:
        return ok("every object has an owner that exists")
    uids = sorted({info.st.st_uid for info in found})
    users = ", ".join(map(str, uids[:_SHOWN])) + (" ..." if len(uids) > _SHOWN else "")
    seen = f"{_count(found)} of users that the user database does not have ({users}): {_names(found)}"
    if case.pid is not None:
        # Only its container's own database could tell.
        return replace(note(f"{seen}; the user database is this host's"), objects=found)
    advice = "'shmctl chown USER NAME', or 'shmctl rm NAME' if nobody needs it"
    return replace(warning(seen, advice), objects=found)


def check_unlinked(case: Examination) -> Outcome:
    """What takes memory though no listing shows it?"""
    usage = case.snapshot.usage
    if usage.elsewhere:
        return unknown(
            "its file system holds more than /dev/shm, and nothing shows where what has no name was: "
            + counted(usage.elsewhere, "object")
        )
    blind = uninspected_text(usage.uninspected) if usage.uninspected else ""
    if not usage.unlinked:
        if blind:
            return unknown(f"no object without a name is visible, but {blind}")
        return ok("no process holds an object without a name")
    size = sum(each.allocated or 0 for each in usage.unlinked)
    pids = sorted({holder.pid for each in usage.unlinked for holder in each.holders})
    shown = ", ".join(map(str, pids[:_SHOWN])) + (" ..." if len(pids) > _SHOWN else "")
    objects = counted(len(usage.unlinked), "object")
    return note(
        f"{objects} without a name, {human_size(size)}, held by PID {shown}"
        + (f"; {blind}" if blind else ""),
        "'shmctl holders --unlinked' shows them; the memory comes back when their holders end",
    )


def check_semaphores(case: Examination) -> Outcome:
    """Which semaphores does nobody have open?"""
    semaphores = [info for info in case.snapshot.objects if info.kind is Kind.SEMAPHORE]
    if not semaphores:
        return ok("there are no semaphores")
    usages = case.snapshot.test.ask_each(semaphores)
    states = {info.name: usage.state for info, usage in zip(semaphores, usages, strict=True)}
    free = [info for info in semaphores if states[info.name] is State.FREE]
    untold = sum(state is State.UNKNOWN for state in states.values())
    if free:
        seen = f"{_count(free, 'semaphore')} that no process has open: {_names(free)}"
        advice = "if their program is gone for good: 'shmctl gc --semaphores'"
        return replace(note(seen + (f"; {untold} more may be" if untold else ""), advice), objects=free)
    if untold:
        are = "is" if len(semaphores) == 1 else "are"
        return unknown(
            f"nothing shows whether {untold} of {counted(len(semaphores), 'semaphore')} {are} in use"
        )
    return ok(f"{_count(semaphores, 'semaphore')}, all in use")


def check_directories(case: Examination) -> Outcome:
    """Which directories take memory, and has any been left behind?"""
    folders = sorted(case.snapshot.folders, key=lambda folder: -folder.allocated)
    if not folders:
        return ok("there are no directories")
    shown = "; ".join(
        ", ".join(
            filter(
                None,
                (
                    f"{escape(folder.info.name)} {human_size(folder.allocated)}",
                    escape(folder.software or "", keep=" "),
                    folder.creator_text,
                ),
            )
        )
        for folder in folders[:_SHOWN]
    )
    more = len(folders) - _SHOWN
    seen = f"{counted(len(folders), 'directory', 'directories')}: {shown}" + (
        f"; and {more} more" if more > 0 else ""
    )
    if not any(folder.creator_alive is False for folder in folders):
        return ok(seen)
    return note(seen, "'shmctl leaks' shows which ones no process uses; 'rm -r /dev/shm/NAME' removes one")


def _count(infos: Sequence[ObjectInfo], what: str = "object") -> str:
    return counted(len(infos), what)


def _names(infos: Sequence[ObjectInfo]) -> str:
    """Some names; how many more there are."""
    shown = ", ".join(escape(info.name) for info in infos[:_SHOWN])
    more = len(infos) - _SHOWN
    return shown + (f" and {more} more" if more > 0 else "")
