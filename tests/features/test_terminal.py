from datetime import UTC, datetime, timedelta

import pytest
import typer

from features import terminal

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def stopped(monkeypatch):
    """The clock stands still."""
    monkeypatch.setattr(terminal, "now", lambda: NOW)


def test_a_moment_of_the_past_and_a_clock_that_is_a_little_late_are_taken():
    assert terminal.past_moment(None) == NOW
    assert terminal.past_moment("2026-11-01") == datetime(2026, 11, 1, tzinfo=UTC)
    assert terminal.past_moment((NOW + terminal.SKEW).isoformat()) == NOW + terminal.SKEW


@pytest.mark.parametrize("text", ["2099-01-01", "2026-11-02", (NOW + terminal.SKEW + timedelta(seconds=1)).isoformat()])
def test_a_moment_of_the_future_is_refused(text):
    with pytest.raises(typer.BadParameter, match=r"lies in the future: it is 2026-11-01 12:00 UTC"):
        terminal.past_moment(text)
