"""shmctl df."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from shmctl.cli import messages
from shmctl.cli.options import json_option, uninspected_option, watch_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.core.inspect.peaks import Peak, Peaks
from shmctl.core.inspect.snapshot import Snapshot, snapshots
from shmctl.core.inspect.usage import Mounted, Usage, mounted_everywhere
from shmctl.core.names import escape
from shmctl.core.proc import Uninspected, system_v_memory
from shmctl.core.sizes import human_size

if TYPE_CHECKING:
    from shmctl.render.output import Output


@click.command(cls=Command)
@click.option(
    "-a", "--all", "everywhere", is_flag=True, help="Every /dev/shm on the host, other containers' too."
)
@json_option
@watch_option
@uninspected_option
@pass_session
def command(
    session: Session, everywhere: bool, as_json: bool, watch_seconds: float | None, verbose: bool
) -> None:
    """Show what fills /dev/shm (statvfs, /proc).

    Capacity, what is used by kind, by owner and by verdict, objects without a name that processes
    still hold, and what nothing explains. The parts add up to what the file system says is used.
    With --watch also the highest use so far, and when it was seen.
    """
    if watch_seconds:
        _watch(session, watch_seconds, everywhere=everywhere, as_json=as_json)
        return
    with _mounted(session, everywhere) as (mounted, uninspected):
        looks = _look(mounted)
    for look in looks:
        messages.no_lease(look.snapshot.test.lease_problem)
    if as_json:
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, map(_record, looks))
    else:
        with session.paged() as output:
            _write(output, looks)
        if not everywhere:
            _tell_next_step(looks[0])
    # What adds up is held by nobody else.
    unexplained = [look.usage.uninspected for look in looks if look.usage.unexplained > 0]
    messages.uninspected(max(uninspected, *unexplained, (), key=len), by_pid=verbose)


_NEARLY_FULL = 80  # percent, as for doctor


def _tell_next_step(look: "Look") -> None:
    """Where it is nearly full: the command that shows, or frees, most."""
    usage, largest = look.usage, max(look.usage.unlinked, key=lambda each: each.allocated or 0, default=None)
    full = max(
        100 * usage.used // usage.capacity if usage.capacity else 0,
        100 * usage.inodes_used // usage.inodes if usage.inodes else 0,
    )
    if full < _NEARLY_FULL:
        return
    orphans = look.by_verdict["orphan"]
    if orphans and orphans >= (largest.allocated or 0 if largest else 0):
        hint = f"shmctl gc frees {human_size(orphans)}"
    elif largest and largest.allocated and largest.holders:
        holder = largest.holders[0]
        size = human_size(largest.allocated)
        hint = f"PID {holder.pid} ({escape(holder.command)}) holds {size} without a name: "
        hint += "shmctl holders --unlinked"
    else:
        hint = "shmctl ls --sort allocated --reverse"
    messages.error(f"/dev/shm is {full}% full", hint, "df")


class Look(NamedTuple):
    """One /dev/shm at one moment."""

    where: Mounted
    snapshot: Snapshot
    by_verdict: dict[str, int]
    usage: Usage
    peak: Peak | None
    system_v: tuple[int, int] | None


def _look(mounted: Sequence[Mounted], peaks: Peaks | None = None) -> list[Look]:
    looks = snapshots([where.directory for where in mounted])
    # Verdicts first: of what is asked about later, more has gone by then.
    by_verdict = [look.by_verdict for look in looks]
    found = []
    for where, look, verdicts in zip(mounted, looks, by_verdict, strict=True):
        peak = peaks.note(look.device, look.usage.used) if peaks else None
        is_own = where.directory.pid is None
        found.append(Look(where, look, verdicts, look.usage, peak, system_v_memory() if is_own else None))
    return found


def _record(look: Look) -> dict[str, Any]:
    from shmctl.render.usage import Beside, usage_record

    return usage_record(look.where, look.usage, look.by_verdict, Beside(look.peak, look.system_v))


def _write(output: "Output", looks: Sequence[Look]) -> None:
    from shmctl.render.usage import Beside, write_usage

    for number, look in enumerate(looks):
        if number:
            output.stream.write("\n")
        write_usage(output, look.where, look.usage, look.by_verdict, Beside(look.peak, look.system_v))


def _watch(session: Session, seconds: float, *, everywhere: bool, as_json: bool) -> None:
    from shmctl.render.jsonlines import write_lines
    from shmctl.render.watch import watch

    peaks = Peaks()

    def draw(output: "Output") -> None:
        with _mounted(session, everywhere) as (mounted, _):
            looks = _look(mounted, peaks)
        if as_json:
            write_lines(output.stream, map(_record, looks))
        else:
            _write(output, looks)

    # Other directories are open during a look alone, so that none is kept from being unmounted.
    watch(
        session.output(),
        seconds,
        draw,
        "" if as_json else "\n",
        None if everywhere else lambda: peaks.sample(session.directory),
    )


@contextmanager
def _mounted(session: Session, everywhere: bool) -> Iterator[tuple[list[Mounted], list[Uninspected]]]:
    """Where to look, and the processes that may see another /dev/shm."""
    if everywhere:
        with mounted_everywhere() as found:
            yield found
    else:
        yield [Mounted(session.directory)], []
