"""What a notebook asks for: a text is a day, or a time that says its zone."""

from datetime import UTC, datetime

import pytest

import features
from features.vectors import VectorsError


@pytest.mark.parametrize("text", ["2025-06-01", "2025-06-01T00:00Z", "2025-06-01T02:00+02:00", "20250601"])
def test_a_text_is_a_day_or_a_time_with_its_zone(workspace, text):
    assert features.build(workspace, text).as_of == datetime(2025, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2025-06-01T02:00", "2025-06-01 02:00:00", "20250601T020000", "2025-06-01T02"])
def test_a_time_without_a_zone_is_refused_as_on_the_command_line(workspace, text):
    with pytest.raises(VectorsError, match="has no offset"):
        features.build(workspace, text)
