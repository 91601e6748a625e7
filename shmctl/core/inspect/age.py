"""The age of an object, which ``--min-age`` is about."""

from shmctl.core.models import ObjectInfo

CLOCK_SKEW_NS = 60 * 10**9
"""How far ahead of the clock a time may be and still count: clocks are set back a little all the time."""


def age_of(info: ObjectInfo, now_ns: int) -> float:
    """Return the seconds since the newest of mtime and ctime that is not in the future; 0 if both are.

    Read the clock (time.time_ns) for ``now_ns`` after the object. Anybody can
    set an mtime, and a clock that is set back leaves any time ahead: neither
    keeps an object for ever.
    """
    ages = [now_ns - time_ns for time_ns in (info.st.st_mtime_ns, info.st.st_ctime_ns)]
    return max(0, min((age for age in ages if age >= -CLOCK_SKEW_NS), default=0)) / 10**9
