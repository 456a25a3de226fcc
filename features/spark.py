"""Runs compiled SQL on Spark, in this process's own local one or on a cluster, and builds vectors where the data lives.

PySpark is an optional dependency (`make spark`, or the dependency group `spark`) and needs Java 17 or newer.
"""

from __future__ import annotations

import importlib
import json
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from features import query
from features.context import Context
from features.grouped import Grouped, group
from features.query import Dialect
from features.relations import StoredTables
from features.spill import Spill
from features.vectors import Progress, Vectors, VectorsError
from features.vocabulary import Vocabulary

MASTER = "local[2]"
MEMORY = "4g"
"""Memory of the local process's Java side; beyond it Spark spills to a temporary folder."""
BATCH_ROWS = 65_536
"""People whose vectors are collected together."""

FORMAT = 1
"""Of the manifest beside a data set of vectors."""

_SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # what overflows raises, as it does on DuckDB; nothing turns into another number or null in silence
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.mapKeyDedupPolicy": "EXCEPTION",
}
_QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
_LOOPBACK = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1", "spark.sql.shuffle.partitions": "16"}
_LOG = """rootLogger.level = error
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = spark: %p %c{1}: %m%n
"""
_TYPES = {"VARCHAR": "STRING", "DOUBLE": "DOUBLE", "BIGINT": "BIGINT", "BOOLEAN": "BOOLEAN"}


class SparkError(RuntimeError):
    """Spark cannot be started or used; the message says what is missing."""


class Spark:
    """A Spark session of its own, to be used in a `with` block; it runs what `features.engine.Engine` runs.

    Parameters
    ----------
    master : str
        `local[2]` (two threads of this machine, loopback only), or a cluster's URL. Where the process has a Spark session already (a notebook on
        a cluster), that one's cluster is used, and left running at the end.
    memory : str
        Memory of the local Java process, such as `4g`.
    config : mapping
        More settings of Spark, by their own names; they go before those of this class.
    """

    dialect: Dialect = "databricks"

    def __init__(self, master: str = MASTER, *, memory: str = MEMORY, config: Mapping[str, str] | None = None) -> None:
        try:
            from pyspark.sql import SparkSession  # noqa: PLC0415 - an optional dependency
        except ImportError:
            raise SparkError("pyspark is not installed: `make spark`, or `pip install 'pyspark>=4.3'` beside this package; Java 17 is needed too") from None
        with warnings.catch_warnings():  # PySpark imports this in any case, and it warns of pandas 3, which is not used here: only Arrow is
            warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
            importlib.import_module("pyspark.testing.utils")
        running = SparkSession.getActiveSession()
        self._spill = None if running else Spill()
        self._session = (_start(SparkSession.builder, master, memory, self._spill, config or {}) if self._spill else running).newSession()
        for name, value in _SESSION.items():
            self._session.conf.set(name, value)
        self._kept: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Forget what was kept; end the session and its Java process, and remove its temporary folder, unless they were there before."""
        self.release()
        if self._spill is not None:
            _stop(self._session)
            self._spill.close()
            self._spill = None

    def files(self, name: str, paths: Sequence[str], columns: Mapping[str, tuple[str, str]]) -> None:
        """Make the relation `name` from Parquet files, as `Engine.files` does; a path may name any location that Spark reads."""
        frame = self._session.read.option("mergeSchema", "true").parquet(*map(_location, paths)) if paths else None
        present = set(frame.columns) if frame is not None else set()
        selected = [f"{_expression(column, kind, present)} AS {_name(alias)}" for alias, (column, kind) in columns.items()]
        made = frame.selectExpr(*selected) if frame is not None else self._session.sql(f"SELECT {', '.join(selected)} WHERE false")
        made.createOrReplaceTempView(name)

    def register(self, name: str, table: pa.Table) -> None:
        """Make the relation `name` from an Arrow table in memory."""
        self._session.createDataFrame(table).createOrReplaceTempView(name)

    def define(self, name: str, expression: object) -> None:
        """Make the relation `name` of an Ibis expression, which is run whenever the relation is read."""
        self._session.sql(query.to_sql(expression, self.dialect)).createOrReplaceTempView(name)

    def between(self, name: str, source: str, column: str, low: str | None = None, high: str | None = None) -> None:
        """Make the relation `name` of those records of `source` whose text `column` lies between `low` and `high`, both included."""
        frame = self._session.table(source)
        for bound, sign in ((low, ">="), (high, "<=")):
            if bound is not None:
                frame = frame.filter(frame[column] >= bound if sign == ">=" else frame[column] <= bound)
        frame.createOrReplaceTempView(name)

    def keep(self, name: str, sql: str) -> None:
        """Keep the result of `sql` as the relation `name`, made when it is first read; what it kept under that name before is let go."""
        frame = self._session.sql(sql)
        self.release(name)  # before the new one is kept: Spark knows results by their plan, and both may have the same
        self._kept[name] = frame.persist()
        frame.createOrReplaceTempView(name)

    def release(self, *names: str, but: str | None = None) -> None:
        """Give back the room of what was kept under these names, or of everything but one; who reads it again makes it again."""
        for name in names or [name for name in self._kept if name != but]:
            if name in self._kept:
                self._kept.pop(name).unpersist()

    def table(self, sql: str) -> pa.Table:
        """Return the whole result of `sql`."""
        return self._session.sql(sql).toArrow()

    def run(self, expression: object) -> pa.Table:
        """Return the whole result of an Ibis expression."""
        return self.table(query.to_sql(expression, self.dialect))

    def write(self, sql: str, location: str) -> None:
        """Write the result of `sql` as Parquet files to a location where nothing is yet, from where Spark runs. Raises SparkError."""
        self._writing(self._session.sql(sql).write.parquet, location)

    def write_text(self, text: str, location: str) -> None:
        """Write a text as the one file of a location where nothing is yet. Raises SparkError."""
        frame = self._session.createDataFrame(pa.table({"value": [text]})).coalesce(1)
        self._writing(frame.write.text, location)

    def read_text(self, location: str) -> str:
        """Return the text that `write_text` wrote."""
        return "\n".join(self._session.read.text(_location(location)).toArrow().column("value").to_pylist())

    @staticmethod
    def _writing(write: Any, location: str) -> None:
        from pyspark.errors import AnalysisException  # noqa: PLC0415 - as above

        try:
            write(_location(location, escaped=False))
        except AnalysisException as error:
            if "PATH_ALREADY_EXISTS" not in str(error):
                raise
            raise SparkError(f"{location} exists already: name a new location, or remove this one first") from None


def build_vectors(
    history: StoredTables,
    vocabulary: Vocabulary,
    as_of: datetime,
    *,
    spark: Spark,
    versions: Mapping[str, int] | None = None,
    context: Context | None = None,
    own: bool = False,
    progress: Progress | None = None,
) -> Vectors:
    """Return the vectors of the whole base as of a time, as `features.vectors.build` does, made by Spark and collected batch by batch.

    The numbers are the same, except that those which are not whole may differ in their last digit of float32. For a base that does not fit
    this process's memory: `write_vectors`. Raises VectorsError.
    """
    tell = progress or _silent
    return collect(spark, group(spark, history, vocabulary, as_of, versions=versions, given=context, own=own, progress=tell), tell)


def write_vectors(
    history: StoredTables,
    vocabulary: Vocabulary,
    as_of: datetime,
    into: str,
    *,
    spark: Spark,
    versions: Mapping[str, int] | None = None,
    context: Context | None = None,
    own: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the vectors of the whole base to the location `into`, from where Spark runs, and return the manifest: see `write`."""
    tell = progress or _silent
    return write(spark, group(spark, history, vocabulary, as_of, versions=versions, given=context, own=own, progress=tell), into, tell)


def collect(spark: Spark, made: Grouped, progress: Progress = lambda _stage, _share: None) -> Vectors:
    """Return vectors that were made on `spark`, sorted by person id."""
    spark.release(but="personal")
    matrix = np.empty((made.people, len(made.names)), dtype=np.float32)
    ids: list[pa.Array] = []
    for first, found in _batches(spark, made):
        ids += found.column("person_id").cast(pa.large_string()).chunks
        for column, name in enumerate(made.names):
            matrix[first : first + len(found), column] = found.column(name).to_numpy()
        progress("vectors", 0.8 + 0.2 * (first + len(found)) / made.people)
    return Vectors(
        person_ids=pa.concat_arrays(ids or [pa.array([], pa.large_string())]),
        matrix=matrix,
        names=made.names,
        as_of=made.as_of,
        as_ofs=np.full(made.people, np.datetime64(made.as_of.replace(tzinfo=None), "us")),
        definitions_hash=made.definitions_hash,
        table_versions=made.table_versions,
        vocabulary_fingerprint=made.vocabulary_fingerprint,
        context=made.context,
        own=made.own,
        withheld=made.withheld,
    )


def write(spark: Spark, made: Grouped, into: str, progress: Progress = lambda _stage, _share: None) -> dict[str, Any]:
    """Write vectors that were made on `spark` to a location that it can write to, and return the manifest.

    `<into>/vectors` holds Parquet files, sorted by person id: person_id, and a float column per feature, null where it is missing.
    `<into>/manifest` holds one text file with one line of JSON, written last: names, as_of, versions, context. Raises SparkError where
    something lies there already.
    """
    spark.release(but="personal")
    spark.write(query.to_sql(made.expression("float32").order_by("row").drop("row"), spark.dialect), _inside(into, "vectors"))
    manifest = {
        "format": FORMAT,
        "rows": made.people,
        "names": list(made.names),
        "as_of": made.as_of.isoformat(),
        "definitions_hash": made.definitions_hash,
        "table_versions": dict(made.table_versions),
        "vocabulary_fingerprint": made.vocabulary_fingerprint,
        "context": made.context.to_state(),
        "own": made.own,
        "withheld": list(made.withheld),
    }
    spark.write_text(json.dumps(manifest, sort_keys=True), _inside(into, "manifest"))
    progress("vectors", 1.0)
    return manifest


def _batches(spark: Spark, made: Grouped) -> Iterator[tuple[int, pa.Table]]:
    expression = made.expression("float32")
    for first in range(0, made.people, BATCH_ROWS):
        last = min(first + BATCH_ROWS, made.people)
        found = spark.run(expression.filter(expression.row >= first, expression.row < last).order_by("row"))
        if len(found) != last - first:
            raise VectorsError(f"Spark returned {len(found)} of the {last - first} people from {first} on: did the tables change meanwhile? Start again")
        yield first, found


def _start(builder: Any, master: str, memory: str, spill: Spill, config: Mapping[str, str]) -> Any:
    """Return a new session; raises SparkError where Java is missing."""
    folder = str(spill.path)
    log = Path(folder, "log4j2.properties")
    log.write_text(_LOG, encoding="utf-8")
    java = f"-Djava.io.tmpdir={folder} -XX:-UsePerfData -Dlog4j2.configurationFile=file:{log}"
    local = master.startswith("local")
    settings = {**_SESSION, **_QUIET, "spark.driver.memory": memory, "spark.driver.extraJavaOptions": java}
    settings |= {**_LOOPBACK, "spark.local.dir": folder, "spark.sql.warehouse.dir": str(Path(folder, "warehouse"))} if local else {}
    builder = builder.master(master).appName("audience-scoring")
    java_options = "spark.driver.extraJavaOptions"
    given = {**config, java_options: f"{java} {config[java_options]}"} if java_options in config else config
    for name, value in {**settings, **given}.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except Exception as error:
        spill.close()
        hint = "" if shutil.which("java") else "; there is no `java` on the PATH: install Java 17, such as the package openjdk-17-jre-headless"
        raise SparkError(f"Spark did not start at {master} ({type(error).__name__}){hint}") from error


def _stop(session: Any) -> None:
    """End the session and the Java process that PySpark started for it (it would otherwise live as long as this one)."""
    from pyspark import SparkContext  # noqa: PLC0415 - as above

    gateway = SparkContext._gateway  # noqa: SLF001 - PySpark has no public way to end its Java process
    session.stop()
    if gateway is None:
        return
    gateway.shutdown()
    process = gateway.proc
    if process is not None:
        process.stdin.close()
        process.wait(timeout=30)
    SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001 - as above


def _expression(column: str, kind: str, present: set[str]) -> str:
    if column not in present:
        return f"CAST(NULL AS {'BIGINT' if kind == 'EPOCH_US' else _TYPES[kind]})"
    return f"unix_micros(CAST({_name(column)} AS TIMESTAMP))" if kind == "EPOCH_US" else f"CAST({_name(column)} AS {_TYPES[kind]})"


def _name(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _location(path: str, *, escaped: bool = True) -> str:
    """Return a path as Spark wants it: files of this machine with their scheme, and nothing in it taken for a pattern."""
    found = re.sub(r"([\\{}\[\]*?])", r"\\\1", path) if escaped else path
    return f"file://{found}" if path.startswith("/") else found


def _inside(location: str, name: str) -> str:
    return f"{location.rstrip('/')}/{name}"


def _silent(_stage: str, _share: float) -> None:
    """Tell nobody."""


__all__ = ["Spark", "SparkError", "build_vectors", "collect", "write", "write_vectors"]
