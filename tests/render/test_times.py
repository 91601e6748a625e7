"""Times as text: in any zone what datetime makes of them, and beyond what it reaches, too."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from shmctl.render import times

SECONDS = [0, 1, -1, 59, 1_700_000_000, 1_711_846_799, 1_711_846_800, 1_729_990_800, -1_000_000_000, 2**33,
           -2_200_000_000, -1_020_000_000]  # fmt: skip
# Summer time, half and three quarters of an hour, the other hemisphere, local mean time with seconds.
ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns",
         "Europe/Amsterdam"]  # fmt: skip


def forget() -> None:
    """What was known of the zone before."""
    time.tzset()
    for cached in (times.iso_time, times._short):
        cached.cache_clear()


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def change(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        forget()

    yield change
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize("zone", ZONES)
def test_as_datetime_would(zone: str, in_zone: Callable[[str], None]) -> None:
    in_zone(zone)
    for seconds in SECONDS:
        moment = datetime.fromtimestamp(seconds).astimezone()
        iso = moment.isoformat()
        nanoseconds = seconds * 10**9 + 123_456_789
        assert times.iso_time(nanoseconds) == f"{iso[:19]}.123456789{iso[19:]}"
        assert times.short_time(nanoseconds, human=False) == iso
        assert times.short_time(nanoseconds, human=True) == f"{moment:%Y-%m-%d %H:%M}"
        assert times.stat_time(nanoseconds) == f"{moment:%Y-%m-%d %H:%M:%S}.123456789 {moment:%z}"


def test_years_of_more_than_four_digits(in_zone: Callable[[str], None]) -> None:
    in_zone("UTC")
    nanoseconds = 10**12 * 10**9
    assert times.iso_time(nanoseconds) == "33658-09-27T01:46:40.000000000+00:00"
    assert times.short_time(nanoseconds, human=True) == "33658-09-27 01:46"


@pytest.mark.parametrize("seconds", [9 * 10**18, -9 * 10**18])
def test_beyond_any_calendar(seconds: int) -> None:
    assert times.iso_time(seconds * 10**9) == f"@{seconds}"
    assert times.short_time(seconds * 10**9, human=True) == f"@{seconds}"
    assert times.short_time(seconds * 10**9, human=False) == f"@{seconds}"
    assert times.stat_time(seconds * 10**9) == f"{seconds}.000000000"
