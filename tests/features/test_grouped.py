"""What is too large to be exact is refused by both builds, in the same words."""

from datetime import datetime

import pyarrow as pa
import pytest

from features.engine import Engine
from features.grouped import group
from features.vectors import VectorsError, build
from tests.features.random_history import AS_OF, DAY, WORDS, Stored, random_tables


def refusals(history, as_of=AS_OF):
    """What the kernel's build says, and what the group-bys' build says."""
    said = []
    with pytest.raises(VectorsError) as error:
        build(history, WORDS, as_of)
    said.append(str(error.value))
    with Engine() as engine, pytest.raises(VectorsError) as error:
        group(engine, history, WORDS, as_of)
    return [*said, str(error.value)]


@pytest.mark.parametrize("value", [2.0**32 + 1, -(2.0**40), float("inf")])
def test_a_value_too_large_for_an_exact_sum(tmp_path, value):
    tables = random_tables(3, people=20, interactions=40)
    gifts = tables["interactions"].slice(0, 1)
    columns = {"kind": "gift", "value": value, "is_machine": False, "occurred_at": AS_OF - DAY, "received_at": AS_OF - DAY}
    for name, given in columns.items():
        place = gifts.schema.get_field_index(name)
        gifts = gifts.set_column(place, gifts.schema.field(place), pa.array([given], gifts.schema.field(place).type))
    kernel, grouped = refusals(Stored(tmp_path, tables | {"interactions": pa.concat_tables([tables["interactions"], gifts])}))
    assert kernel == grouped
    assert "too large for an exact sum" in grouped


def test_a_time_without_a_zone(tmp_path):
    kernel, grouped = refusals(Stored(tmp_path, random_tables(3, people=20, interactions=40)), datetime(2024, 1, 1))  # noqa: DTZ001
    assert kernel == grouped
