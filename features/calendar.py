"""The clock on a person's wall: offsets from UTC of a time zone as whole numbers, so that engines need no time zones of their own (pure)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = timedelta(hours=6)
_MICROSECOND = timedelta(microseconds=1)


class Offset(NamedTuple):
    """From `since_us` (microseconds UTC) on, local time is UTC plus `offset_us`."""

    since_us: int
    offset_us: int


@lru_cache(maxsize=64)
def offsets(timezone: str, first_us: int, last_us: int) -> tuple[Offset, ...]:
    """Return the offsets of a zone between two times, rising; the first also stands for everything before, the last for everything after.

    Daylight saving changes are exact to the second. Source: the system's time zone database (IANA).
    """
    zone = ZoneInfo(timezone)
    time, last = _time(first_us), _time(last_us)
    found = [Offset(first_us, _offset(zone, time))]
    while time < last:
        later = min(time + _STEP, last)
        if _offset(zone, later) != found[-1].offset_us:
            found.append(Offset(_change(zone, time, later), _offset(zone, later)))
        time = later
    return tuple(found)


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> int:
    """Return the first microsecond, a whole second, at which the offset is that of `after`."""
    low, high = _seconds(before), _seconds(after) + 1
    wanted = _offset(zone, after)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(zone, _EPOCH + timedelta(seconds=middle)) == wanted else (middle, high)
    return high * 1_000_000


def _offset(zone: ZoneInfo, time: datetime) -> int:
    return (time.astimezone(zone).utcoffset() or timedelta()) // _MICROSECOND


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _seconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(seconds=1)
