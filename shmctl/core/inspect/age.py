"""The age of an object, which ``--min-age`` is about."""

from shmctl.core.models import ObjectInfo
from shmctl.core.objects.describe import with_birth_time

CLOCK_SKEW_NS = 60 * 10**9
"""How far ahead of the clock a time may be and still count: clocks are set back a little all the time."""


def age_of(info: ObjectInfo, now_ns: int, enough: float) -> float:
    """Return the seconds since the newest of birth, mtime and ctime that is not in the future.

    Read the clock (time.time_ns) for ``now_ns`` after the object: what
    happens in between is not in the future. Anybody can set an mtime, and a
    clock that is set back leaves any time ahead: neither keeps an object
    for ever. 0 if every time is in the future. The birth time is looked up
    only if the others leave it ``enough`` seconds old, and not for 0.
    """
    age = _age_ns(info, now_ns) / 10**9
    if info.btime_ns is None and 0 < enough <= age:
        age = _age_ns(with_birth_time(info), now_ns) / 10**9
    return age


def _age_ns(info: ObjectInfo, now_ns: int) -> int:
    times = [info.st.st_mtime_ns, info.st.st_ctime_ns]
    if info.btime_ns is not None:
        times.append(info.btime_ns)
    newest = max([time_ns for time_ns in times if time_ns <= now_ns + CLOCK_SKEW_NS], default=now_ns)
    return max(0, now_ns - newest)
