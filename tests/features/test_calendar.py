"""Offsets as whole numbers say what the time zone database says, at every hour and to the second of every change."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from features.calendar import offsets

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = ["Europe/Brussels", "America/Sao_Paulo", "Australia/Sydney", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca", "America/New_York"]


def us(time):
    return (time - EPOCH) // timedelta(microseconds=1)


def told(table, time):
    """Return what the table says: the last offset that has begun, the first for everything before."""
    return table[max(bisect_right([one.since_us for one in table], us(time)) - 1, 0)].offset_us


@pytest.mark.parametrize("zone", ZONES)
def test_three_years_hour_by_hour(zone):
    first = datetime(2023, 1, 1, tzinfo=UTC)
    table = offsets(zone, us(first), us(first + timedelta(days=3 * 365)))
    for hour in range(3 * 365 * 24):
        time = first + timedelta(hours=hour)
        assert told(table, time) * timedelta(microseconds=1) == time.astimezone(ZoneInfo(zone)).utcoffset(), time


@pytest.mark.parametrize("zone", ZONES)
def test_changes_are_exact_to_the_microsecond(zone):
    table = offsets(zone, us(datetime(2015, 6, 1, 1, 2, 3, 4, tzinfo=UTC)), us(datetime(2026, 1, 1, tzinfo=UTC)))
    assert [one.since_us for one in table] == sorted(one.since_us for one in table)
    for before, after in pairwise(table):
        assert before.offset_us != after.offset_us
        for shift, offset in ((-1, before), (0, after)):
            time = EPOCH + timedelta(microseconds=after.since_us + shift)
            assert time.astimezone(ZoneInfo(zone)).utcoffset() == offset.offset_us * timedelta(microseconds=1)


def test_brussels_changes_twice_a_year():
    table = offsets("Europe/Brussels", us(datetime(2024, 1, 1, tzinfo=UTC)), us(datetime(2025, 1, 1, tzinfo=UTC)))
    hours = 3_600_000_000
    assert table[1:] == (
        (us(datetime(2024, 3, 31, 1, tzinfo=UTC)), 2 * hours),
        (us(datetime(2024, 10, 27, 1, tzinfo=UTC)), hours),
    )
    assert table[0].offset_us == hours


def test_times_long_ago_have_their_own_offsets():
    table = offsets("Europe/Brussels", us(datetime(1900, 1, 1, tzinfo=UTC)), us(datetime(1950, 1, 1, tzinfo=UTC)))
    for year in range(1900, 1950):
        for month in (1, 7):
            time = datetime(year, month, 15, tzinfo=UTC)
            assert told(table, time) * timedelta(microseconds=1) == time.astimezone(ZoneInfo("Europe/Brussels")).utcoffset()


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "UTC"])
def test_a_zone_that_never_changes_has_one_offset(zone):
    assert len(offsets(zone, us(datetime(2000, 1, 1, tzinfo=UTC)), us(datetime(2003, 1, 1, tzinfo=UTC)))) == 1


def test_a_span_of_no_time_has_the_offset_of_its_moment():
    at = us(datetime(2024, 7, 1, tzinfo=UTC))
    assert offsets("Europe/Brussels", at, at) == ((at, 7_200_000_000),)
