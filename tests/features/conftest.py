"""A small workspace that imports go into."""

import importlib.util
import shutil
from datetime import UTC, datetime

import pytest

from features.workspace import Workspace
from tests.conftest import missing_tool

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
engagement = "higher"
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


@pytest.fixture(scope="session")
def spark():
    """The second engine, in this process: one session for all tests, because its Java side takes seconds to start."""
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        missing_tool("Spark is not here: make spark, and install Java 17 (such as openjdk-17-jre-headless)")
    from features.spark import Spark

    brief = {  # to compile wide queries, and then to optimise what was compiled, takes longer than small data are worth
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.shuffle.partitions": "2",
    }
    with Spark(memory="1g", config=brief) as engine:
        yield engine
