"""A small workspace that imports go into."""

from datetime import UTC, datetime

import pytest

from features.workspace import Workspace

TOML = """
[workspace]
name = "Test"

[kinds.letter_sent]
direction = "out"
en = ["letter sent", "letters sent"]

[kinds.letter_open]
direction = "in"
engagement = true
en = ["letter opened", "letters opened"]

[kinds.gift]
direction = "in"
engagement = true
unit = "EUR"
en = ["gift", "gifts"]

[channels.email]
en = "e-mail"

[channels.door]
en = "door"

[topics.housing]
en = "housing"

[topics.climate]
en = "climate"

[attributes.household_size]
type = "numeric"
en = "household size"

[attributes.gender]
type = "category"
categories = ["f", "m", "x"]
en = "gender"

[experiments.mailing]
control = "control"
outcome = "voted"
en = "the mailing"
arms = { control = "nothing", neighbours = "what the neighbours did" }
"""

NOW = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "audience.toml").write_text(TOML, encoding="utf-8")
    return Workspace.open(tmp_path)


@pytest.fixture
def now():
    return NOW
