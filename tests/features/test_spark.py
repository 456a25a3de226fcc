"""Spark and DuckDB, one definition: the same vectors, labels and first moments, on one machine and from files."""

import json
import subprocess
import sys
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import outcomes
from features.builder import microseconds
from features.context import Context
from features.definition import Feature
from features.engine import Engine
from features.grouped import group
from features.lineage import lineages
from features.relations import Relations
from features.spark import Spark, SparkError, build_vectors, collect, write, write_vectors
from features.vectors import VectorsError, build
from features.vocabulary import Attribute, Channel, Kind, Topic, Vocabulary
from tests.features.random_history import AS_OF, DAY, LIMITED, Stored, random_tables

pytestmark = pytest.mark.spark

WHOLE = {"count", "machine", "recency", "first", "unanswered", "switches", "declared_age", "source", "age", "tenure"}
SMALL = Vocabulary(
    kinds=(Kind(id="signed", direction="in", engagement=True, en="signature"),),
    channels=(Channel(id="door", en="door"),),
    topics=(Topic(id="climate", en="climate", sensitivity="special"),),
    attributes=(Attribute(id="size", type="numeric", en="size", sensitivity="special", in_models=True),),
    windows_days=(30,),
)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return Stored(tmp_path_factory.mktemp("history"), random_tables(11, people=80, interactions=2500, ending=True))


@pytest.fixture(scope="module")
def made(spark, history):
    return group(spark, history, LIMITED, AS_OF)


def test_spark_and_duckdb_agree_over_the_whole_catalogue(spark, history, made):
    with Engine() as engine:
        ours = group(engine, history, LIMITED, AS_OF)
        wanted = engine.run(ours.expression("float64").order_by("row"))
    found = spark.run(made.expression("float64").order_by("row"))
    assert made.context == ours.context
    assert found.schema.names == wanted.schema.names
    for name in ("row", "person_id"):
        assert found.column(name).to_pylist() == wanted.column(name).to_pylist()
    for feature in made.layout.features:
        theirs, mine = (table.column(feature.name).to_numpy() for table in (found, wanted))
        np.testing.assert_allclose(theirs, mine, rtol=0 if feature.statistic in WHOLE else 1e-9, atol=0, err_msg=feature.name)
        assert np.isfinite(mine).any(), f"{feature.name} is missing everywhere, so nothing is compared"


def test_the_kernel_agrees_with_both(spark, history, made):
    kernel, found = build(history, LIMITED, AS_OF), collect(spark, made)
    assert (found.names, found.as_of, found.context) == (kernel.names, kernel.as_of, kernel.context)
    assert (found.definitions_hash, found.vocabulary_fingerprint, found.table_versions) == (
        kernel.definitions_hash,
        kernel.vocabulary_fingerprint,
        kernel.table_versions,
    )
    assert found.person_ids.to_pylist() == kernel.person_ids.to_pylist()
    assert (found.as_ofs == kernel.as_ofs).all()
    np.testing.assert_array_max_ulp(found.matrix, kernel.matrix, maxulp=1)


def test_vectors_written_where_spark_runs(spark, made, tmp_path):
    kept = collect(spark, made)
    manifest = write(spark, made, str(tmp_path / "out {1}"))
    table = pq.read_table(tmp_path / "out {1}" / "vectors")
    assert table.schema.names == ["person_id", *kept.names]
    assert set(table.schema.types[1:]) == {pa.float32()}
    assert table.column("person_id").to_pylist() == kept.person_ids.to_pylist()
    np.testing.assert_array_equal(np.stack([table.column(name).to_numpy() for name in kept.names], axis=1), kept.matrix)
    assert json.loads(spark.read_text(str(tmp_path / "out {1}" / "manifest"))) == manifest
    assert Context.from_state(manifest["context"]) == kept.context
    with pytest.raises(SparkError, match="exists already: name a new location"):
        write(spark, made, str(tmp_path / "out {1}"))


def test_labels_and_first_moments_agree(spark, history):
    ids = pq.read_table(history.files("people")[0]).column("person_id").to_pylist()
    starts = [microseconds(AS_OF - 50 * DAY + number * timedelta(hours=5)) for number in range(len(ids))]
    found = []
    with Engine() as duckdb:
        for engine in (duckdb, spark):
            assert Relations(engine, history, LIMITED).limited
            engine.register("wanted", pa.table({"number": np.arange(len(ids)), "person_id": ids, "start_us": starts}))
            labels = engine.run(outcomes.engagements(LIMITED, (30 * DAY) // timedelta(microseconds=1), microseconds(AS_OF), limited=True))
            found.append(
                (
                    labels.sort_by([("number", "ascending"), ("topic", "ascending")]).to_pylist(),
                    engine.run(outcomes.first_seen(LIMITED, limited=True)).to_pylist(),
                )
            )
    assert found[0] == found[1]
    assert all(found[0])


def test_lineage_agrees(another, history):
    asked = [
        Feature("count", "any-engagement", "any", "housing", "90d"),
        Feature("unanswered", "any-out", "any", "any"),
        Feature("sum", "gift", "any", "any", "all"),
    ]
    person = pq.read_table(history.files("interactions")[1]).column("person_id")[5].as_py()
    ours, theirs = (lineages(history, LIMITED, person, asked, AS_OF, engine=engine) for engine in (None, another))
    for one, other in zip(ours, theirs, strict=True):
        assert one.value == other.value
        assert repr(one.interactions.to_pylist()) == repr(other.interactions.to_pylist())  # values may be NaN
        assert len(one.interactions)


@pytest.fixture
def another(spark):
    """A session beside that of the module's vectors, which a second build would take the place of."""
    with Spark() as engine:
        yield engine


def test_a_small_vocabulary_of_own_rows_at_a_given_context(another, tmp_path):
    history = Stored(tmp_path, random_tables(5, people=20, interactions=100, words=SMALL))
    kernel = build(history, SMALL, AS_OF, own=True)
    told = []
    found = build_vectors(history, SMALL, AS_OF, spark=another, context=kernel.context, own=True, progress=lambda stage, share: told.append((stage, share)))
    np.testing.assert_array_equal(found.matrix, kernel.matrix)
    assert (found.person_ids.to_pylist(), found.own, found.withheld) == (kernel.person_ids.to_pylist(), True, ("climate",))
    assert told[-1] == ("vectors", 1.0)
    assert [share for _, share in told] == sorted(share for _, share in told)


def test_nobody_at_all(another, tmp_path):
    found = build_vectors(Stored(tmp_path, {}), SMALL, AS_OF, spark=another)
    assert (len(found), found.matrix.shape[1]) == (0, len(found.names))
    with pytest.raises(VectorsError, match="time zone"):
        write_vectors(Stored(tmp_path, {}), SMALL, AS_OF.replace(tzinfo=None), str(tmp_path / "out"), spark=another)


def test_a_column_that_no_file_has_is_null_and_names_are_quoted(spark, tmp_path):
    pq.write_table(pa.table({"we`ird": [1.5, 2.5], "at": pa.array([1, 2], pa.timestamp("us"))}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"we`ird": [3.5], "more": ["x"]}), tmp_path / "b.parquet")
    columns = {
        "a": ("we`ird", "DOUBLE"),
        "at_us": ("at", "EPOCH_US"),
        "gone_us": ("gone", "EPOCH_US"),
        "more": ("more", "VARCHAR"),
        "never": ("never", "BOOLEAN"),
    }
    spark.files("odd", [str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")], columns)
    with Engine() as engine:
        engine.files("odd", [str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")], columns)
        wanted = engine.table('SELECT * FROM odd ORDER BY "a"').to_pylist()
    assert spark.table("SELECT * FROM odd ORDER BY a").to_pylist() == wanted
    assert wanted[0] == {"a": 1.5, "at_us": 1, "gone_us": None, "more": None, "never": None}
    spark.between("some", "odd", "more", "w", "y")
    assert spark.table("SELECT a FROM some").to_pylist() == [{"a": 3.5}]


def test_what_overflows_raises(spark):
    with pytest.raises(Exception, match="ARITHMETIC_OVERFLOW"):
        spark.table("SELECT 9223372036854775807 + id AS n FROM range(1, 2)")


def test_a_session_within_another_leaves_it_running(spark):
    spark.register("mine", pa.table({"n": [1]}))
    with Spark() as inner:
        inner.register("mine", pa.table({"n": [2]}))
        assert inner.table("SELECT n FROM mine").to_pylist() == [{"n": 2}]
    assert spark.table("SELECT n FROM mine").to_pylist() == [{"n": 1}]


def test_without_pyspark_it_says_what_to_install():
    code = "import sys; sys.modules['pyspark'] = None\nfrom features.spark import Spark, SparkError\ntry: Spark()\nexcept SparkError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "make spark" in done.stdout
