"""Times since the epoch as local time: for programs, for people, and in the shape of stat(1).

Anybody may give an object a time that no calendar reaches. Of that the seconds
are written, as touch(1) takes them: ``@9000000000000000000``.
"""

import time
from functools import cache, lru_cache


# The three times of an object are mostly one.
@lru_cache(maxsize=4)
def iso_time(nanoseconds: int) -> str:
    """ISO 8601 with zone and nanoseconds: ``2026-11-23T14:22:05.123456789+00:00``."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    moment, zone = _local(seconds)
    return f"{moment}.{fraction:09d}{zone}" if zone else moment


def short_time(nanoseconds: int, *, human: bool) -> str:
    """For people to the minute; for programs to the second, with the zone and without spaces."""
    return _short(nanoseconds // 10**9, human)


# Objects that were made together share it, and so one text.
@lru_cache(maxsize=1024)
def _short(seconds: int, human: bool) -> str:
    moment, zone = _local(seconds)
    return moment[:-3].replace("T", " ") if human and zone else moment + zone


def stat_time(nanoseconds: int) -> str:
    """As stat(1) writes it: ``2026-11-23 14:22:05.123456789 +0000``, or else the bare seconds."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    moment, zone = _local(seconds)
    if not zone:
        return f"{seconds}.{fraction:09d}"
    return f"{moment.replace('T', ' ')}.{fraction:09d} {zone.replace(':', '')}"


def _local(seconds: int) -> tuple[str, str]:
    """Local time and its zone (localtime(3)): ``("2026-11-23T14:22:05", "+00:00")``; or no zone."""
    try:
        moment = time.localtime(seconds)
    except (OverflowError, OSError):
        return f"@{seconds}", ""
    # A listing's most frequent formatting: this takes half the time that str.format takes.
    text = "%04d-%02d-%02dT%02d:%02d:%02d" % moment[:6]  # noqa: UP031
    return text, _zone(moment.tm_gmtoff)


@cache
def _zone(offset: int) -> str:
    """Seconds east of Greenwich as ``+05:30``; local mean times of old have seconds, too."""
    minutes, seconds = divmod(abs(offset), 60)
    text = f"{'-' if offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{seconds:02d}" if seconds else text
