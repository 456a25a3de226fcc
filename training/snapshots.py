"""What topic affinity learns from: rows (person, as_of) with their vectors, labels over the horizon that follows, and a split over time and people.

One person is on one side of the split only, and every training label was complete before the test's `as_of`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features import outcomes, query
from features.engine import Engine
from features.history import History
from features.relations import Relations
from features.vectors import Vectors, build_rows
from features.vocabulary import Vocabulary
from features.workspace import Workspace
from training.config import AffinityConfig
from training.own_labels import read_labels
from training.permitted import PermissionSnapshot, own_rows, permitted

Progress = Callable[[str, float], None] | None
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MANY_TIMES = 24
"""Own labels with more distinct as_of times than this are split at a quantile of them, and cut into blocks of equal size."""
_DAY = timedelta(days=1)
_DAY_US = _DAY // timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime.min.replace(tzinfo=UTC)


class SnapshotError(ValueError):
    """There is not enough history, or not enough labels, to train and test on; the message says what is missing."""


@dataclass(frozen=True, repr=False)
class Side:
    """One side of the split: n rows.

    `X` (n, F) float32 named by feature; `y` (n, n_topics) 0, 1 or NaN where unknown; `person_ids` and `as_ofs` (n,) of the rows;
    `block` (n,) whole numbers that rise with time; `exposed` (n, n_topics) whether a message about the topic was sent in the label's window.
    """

    X: pd.DataFrame
    y: Floats
    person_ids: NDArray[np.str_]
    as_ofs: NDArray[np.datetime64]
    block: NDArray[np.int64]
    exposed: Flags

    def __len__(self) -> int:
        return len(self.block)

    @property
    def hash(self) -> str:
        """SHA-256 (hex) over ids, times, labels and vectors, rows in their order."""
        return hash_rows(self.person_ids, self.as_ofs, self.y, self.X.to_numpy())


@dataclass(frozen=True)
class AffinityDataset:
    """Training and test rows of `topics`, with where they come from; `source` is `engagement` or `labels`, `parents` the parent of each topic that has one."""

    train: Side
    test: Side
    topics: tuple[str, ...]
    source: str
    definitions_hash: str
    vocabulary_fingerprint: str
    table_versions: dict[str, int]
    sampled: int
    """Rows left out because there were more than the configuration's `max_rows`."""
    parents: Mapping[str, str] = field(default_factory=dict)
    permission: PermissionSnapshot | None = None
    """Who was allowed to be learned from; None for rows that did not come from a workspace."""
    own: bool = False
    """Whether vectors and labels are of this organisation's own rows alone."""


def affinity_dataset(
    workspace: Workspace, config: AffinityConfig, *, now: datetime, labels: Path | None = None, only_latest: bool = False, progress: Progress = None
) -> AffinityDataset:
    """Return the rows to train and to test topic affinity on, as they were known at `now`.

    Labels are the engagements of the history, or those of the file `labels` (or of the configuration). `only_latest` puts both sides of the split at
    the latest snapshot, as recalibration needs them. Only people who may be learned from are there. Raises SnapshotError or LabelsError, which say what is
    missing, and what `training.permitted.permitted` raises.
    """
    history = History(workspace.tables, workspace.vocabulary)
    versions, own = history.versions(), own_rows(workspace)
    path = labels or (workspace.root / config.labels if config.labels else None)
    if path is None:
        rows, y, topics, spoken = _engagement_rows(history, workspace.vocabulary, config, versions, now, only_latest=only_latest, own=own)
    else:
        rows, y, topics = _labelled_rows(path, workspace.vocabulary, config, now)
        spoken = np.ones((2, len(topics)), dtype=bool)
    allowed, permission = permitted(workspace, rows["person_id"].to_numpy(dtype=str), now=now, live=True, versions=versions)
    rows, y = rows[allowed].reset_index(drop=True), y[allowed]
    _both_sides(rows)
    rows, y, sampled = _at_most(rows, y, config)
    exposed = _exposed(history, workspace.vocabulary, rows, topics, config=config, versions=versions, now=now, own=own)
    if config.exposed_only:
        y = np.where((y == 0) & ~exposed, np.nan, y)
    y = np.where(spoken[rows["test"].to_numpy(dtype=np.int64)], y, np.nan)
    if own:
        y = np.where(np.isin(topics, workspace.vocabulary.withheld), np.nan, y)  # what online targeting may not see is not learned for it, labels in a file too
    vectors = build_rows(history, workspace.vocabulary, rows[["person_id", "as_of"]], versions=versions, own=own, progress=progress)
    X = pd.DataFrame(vectors.matrix, columns=list(vectors.names), copy=False)
    test = rows["test"].to_numpy(dtype=bool)
    return AffinityDataset(
        train=_side(X, y, rows, exposed, ~test),
        test=_side(X, y, rows, exposed, test),
        topics=topics,
        source="engagement" if path is None else "labels",
        definitions_hash=vectors.definitions_hash,
        vocabulary_fingerprint=vectors.vocabulary_fingerprint,
        table_versions=dict(versions),
        sampled=sampled,
        parents=parents_of(workspace.vocabulary, topics),
        permission=permission,
        own=own,
    )


def parents_of(vocabulary: Vocabulary, topics: Sequence[str]) -> dict[str, str]:
    """Return the parent of each of these topics that has one."""
    return {topic.id: topic.parent for topic in vocabulary.topics if topic.parent is not None and topic.id in topics}


def snapshot_times(first: datetime, now: datetime, config: AffinityConfig) -> tuple[datetime, ...]:
    """Return the as_of times, rising: midnights UTC, `spacing` days apart, the last with its label window complete at `now`.

    `first` is when the history begins; a snapshot has at least one spacing of history before it. Raises SnapshotError when fewer
    than two fit: one to train on and one to test on.
    """
    reach = config.gap_days + config.horizon_days + config.settle_days
    if now - _EARLIEST < (reach + config.snapshots * config.spacing) * _DAY:
        raise SnapshotError(f"{now:%Y-%m-%d} is too early for snapshots: no history lies before it")
    last = (now - reach * _DAY).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    times = [last - step * config.spacing * _DAY for step in range(config.snapshots)]
    kept = sorted(time for time in times if time >= first + config.spacing * _DAY)
    if len(kept) < 2:
        needed = reach + 2 * config.spacing
        raise SnapshotError(
            f"the history begins on {first:%Y-%m-%d}, and training at {now:%Y-%m-%d} needs about {needed} days: gap {config.gap_days}, horizon "
            f"{config.horizon_days}, {config.settle_days} to settle, and two snapshots {config.spacing} apart. Hint: a shorter [training.affinity] horizon_days"
        )
    return tuple(kept)


def _covered(last: datetime, imported: datetime | None, received: datetime, config: AffinityConfig) -> None:
    """Raise SnapshotError where the labels of the last snapshot reach beyond what the history can know: all that an import, or a row, says was received.

    What was not imported yet would count as people's silence.
    """
    end, known = last + (config.gap_days + config.horizon_days) * _DAY, max(imported or received, received)
    if end > known:
        raise SnapshotError(
            f"the labels' last window ends on {end:%Y-%m-%d}, but interactions were last imported on {known:%Y-%m-%d}: what happened since is not known, and "
            f"would count as silence. Hint: import what is newer, or give --now {known + config.settle_days * _DAY:%Y-%m-%d}"
        )


def held_apart(person_ids: Sequence[str] | NDArray[np.str_], *, share: float, seed: int) -> Flags:
    """Return which people (n,) are only ever tested on: those whose SHA-256, keyed with the seed, falls below `share`.

    A person's side depends on nothing but the id and the seed, so it stays the same from run to run.
    """
    limit = int(share * 2**64)
    key = f"audience split {seed} ".encode()
    return np.array([int.from_bytes(hashlib.sha256(key + str(person).encode()).digest()[:8], "big") < limit for person in person_ids], dtype=bool)


def hash_rows(person_ids: NDArray[np.str_], as_ofs: NDArray[np.datetime64], *arrays: NDArray) -> str:
    """Return the SHA-256 (hex) over ids, times (microseconds) and the bytes of `arrays`, rows in their order."""
    digest = hashlib.sha256("\n".join(person_ids.tolist()).encode())
    digest.update(as_ofs.astype("datetime64[us]").astype("<i8").tobytes())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def as_frame(vectors: Vectors) -> pd.DataFrame:
    """Return the vectors as a frame (n, F) without copying them."""
    return pd.DataFrame(vectors.matrix, columns=list(vectors.names), copy=False)


def _engagement_rows(
    history: History, vocabulary: Vocabulary, config: AffinityConfig, versions: dict[str, int], now: datetime, *, only_latest: bool, own: bool
) -> tuple[pd.DataFrame, Floats, tuple[str, ...], Flags]:
    """Return the rows, their labels, the topics, and which topics were spoken of while those of each side (2, n_topics: train, test) were made."""
    if not history.files("interactions", versions["interactions"]):
        raise SnapshotError("there are no interactions yet: import some with `audience import interactions FILE`")
    if not vocabulary.topics or not vocabulary.engagement_kinds:
        raise SnapshotError("audience.toml needs at least one [topics.…] and one kind with engagement = true to learn affinity from engagement")
    with Engine() as engine:
        relations = Relations(engine, history, vocabulary, versions, own=own)
        first = engine.run(query.span()).column("first_us")[0].as_py()
        if first is None:
            raise SnapshotError(
                "no interaction is one that models for online targeting may be learned from: own ones are, of a source that is in the table `sources`. "
                "Hint: import `sources`, or state a use of another channel_class"
            )
        times = snapshot_times(_EPOCH + timedelta(microseconds=first), now, config)
        received = engine.run(outcomes.last_received()).column("received_us")[0].as_py()
        _covered(times[-1], history.imported_at("interactions", versions["interactions"]), _EPOCH + timedelta(microseconds=received), config)
        seen = engine.run(outcomes.first_seen(vocabulary, limited=relations.limited)).to_pandas()
        times = times[-1:] if only_latest else times
        rows = _still_there(_snapshots(seen, times, config), relations)
        return rows, _engagements(relations, rows, config, now), vocabulary.topic_ids, _spoken_of(relations, times, config, now)


def _snapshots(seen: pd.DataFrame, times: Sequence[datetime], config: AffinityConfig) -> pd.DataFrame:
    """Return the rows (person_id, as_of, block, test), as far as people are known then: people held apart at the last time, the others at those before.

    With one time only, all are there.
    """
    test, visible = held_apart(seen["person_id"].tolist(), share=config.test_share, seed=config.seed), seen["visible_us"].to_numpy()
    parts = [
        seen.loc[(test == tested) & (visible <= _microseconds(time)), ["person_id"]].assign(as_of=pd.Timestamp(time), block=number, test=tested)
        for number, time in enumerate(times)
        for tested in (False, True)
        if tested == (number == len(times) - 1) or len(times) == 1
    ]
    rows = pd.concat(parts, ignore_index=True)
    _both_sides(rows)
    return rows


def _still_there(rows: pd.DataFrame, relations: Relations) -> pd.DataFrame:
    """Return the rows without people whom the base had lost by then, because all that was known of them was past its limit."""
    if not relations.limited:
        return rows
    kept = np.zeros(len(rows), dtype=bool)
    for time in rows["as_of"].drop_duplicates():
        base = relations.engine.run(query.visible_people(relations.vocabulary, _microseconds(time), limited=True)).column("person_id").to_pylist()
        kept |= ((rows["as_of"] == time) & rows["person_id"].isin(base)).to_numpy(dtype=bool)
    rows = rows[kept].reset_index(drop=True)
    _both_sides(rows)
    return rows


def connect() -> duckdb.DuckDBPyConnection:
    """Return a database in memory, which fetches no extension."""
    return duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": False, "autoload_known_extensions": False})


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _engagements(relations: Relations, rows: pd.DataFrame, config: AffinityConfig, now: datetime) -> Floats:
    """Return the labels (n, n_topics): 1 where the person engaged with the topic within [as_of + gap, as_of + gap + horizon)."""
    expression = outcomes.engagements(relations.vocabulary, config.horizon_days * _DAY_US, _microseconds(now), limited=relations.limited)
    return _found(relations, rows, config, expression).astype(np.float64)


def _spoken_of(relations: Relations, times: Sequence[datetime], config: AffinityConfig, now: datetime) -> Flags:
    """Return (2, n_topics) whether anybody in the whole base was sent anything about the topic, or engaged with it, in a training window, and in the last one.

    Where nobody was or did, silence is no answer, since the topic was not there to be answered: its labels are unknown. Asked of the base and not of
    the rows of a side, so that it does not hang on the few who are tested whether a rare topic is.
    """
    windows = pd.DataFrame({"person_id": "", "as_of": pd.DatetimeIndex(list(times))})
    expression = outcomes.spoken_of(relations.vocabulary, config.horizon_days * _DAY_US, _microseconds(now), limited=relations.limited)
    found = _found(relations, windows, config, expression)
    return np.stack([found[: max(len(times) - 1, 1)].any(axis=0), found[-1]])


def _exposed(
    history: History,
    vocabulary: Vocabulary,
    rows: pd.DataFrame,
    topics: Sequence[str],
    *,
    config: AffinityConfig,
    versions: dict[str, int],
    now: datetime,
    own: bool,
) -> Flags:
    """Return (n, n_topics) whether a message about the topic was sent to the person in the label's window; it is looked up, never guessed."""
    with Engine() as engine:
        relations = Relations(engine, history, vocabulary, versions, own=own)
        expression = outcomes.exposures(config.horizon_days * _DAY_US, _microseconds(now), limited=relations.limited)
        found = _found(relations, rows, config, expression)
    return found[:, [vocabulary.topic_ids.index(topic) for topic in topics]]


def _found(relations: Relations, rows: pd.DataFrame, config: AffinityConfig, pairs: Any) -> Flags:
    """Return (n, n_topics) which pairs an expression of `features.outcomes` finds for the rows."""
    start = rows["as_of"].dt.as_unit("us").astype("int64").to_numpy() + config.gap_days * _DAY_US
    relations.engine.register("wanted", pa.table({"number": np.arange(len(rows)), "person_id": pa.array(rows["person_id"], pa.string()), "start_us": start}))
    found = relations.engine.run(pairs)
    flags = np.zeros((len(rows), len(relations.vocabulary.topics)), dtype=bool)
    flags[found["number"].to_numpy(), found["topic"].to_numpy()] = True
    return flags


def _labelled_rows(path: Path, vocabulary: Vocabulary, config: AffinityConfig, now: datetime) -> tuple[pd.DataFrame, Floats, tuple[str, ...]]:
    reach = timedelta(days=config.gap_days + config.horizon_days)
    rows, y, topics = read_labels(path, vocabulary, now=now, reach=reach)
    if rows["split"].notna().all():
        rows["test"] = rows["split"] == "test"
    else:
        times = rows["as_of"].drop_duplicates()
        cut = times.max() if len(times) <= MANY_TIMES else rows["as_of"].quantile(1 - config.test_share)
        test = held_apart(rows["person_id"].tolist(), share=config.test_share, seed=config.seed)
        complete = rows["as_of"] + reach <= cut
        kept = np.where(test, rows["as_of"] >= cut, complete)
        rows, y = rows.assign(test=test)[kept].reset_index(drop=True), y[kept]
    _both_sides(rows)
    rows["block"] = _blocks(rows, config)
    return rows, y, topics


def _blocks(rows: pd.DataFrame, config: AffinityConfig) -> NDArray[np.int64]:
    """Return rising blocks (n,): the file's own; else the distinct times, or, of many, groups of equal size."""
    if rows["block"].notna().all():
        return np.unique(rows["block"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    times = rows["as_of"].rank(method="dense" if rows["as_of"].nunique() <= MANY_TIMES else "first").to_numpy()
    groups = config.snapshots if rows["as_of"].nunique() > MANY_TIMES else int(times.max())
    return np.ceil(times * groups / times.max()).astype(np.int64) - 1


def _both_sides(rows: pd.DataFrame) -> None:
    test = int(rows["test"].sum())
    if not 0 < test < len(rows):
        raise SnapshotError(
            f"{len(rows) - test} rows to train on and {test} to test on: both are needed. The split is over time and people; with labels of your own, add a "
            "column `split` of `train` and `test`, or give as_of times that lie further apart than gap_days + horizon_days"
        )


def _at_most(rows: pd.DataFrame, y: Floats, config: AffinityConfig) -> tuple[pd.DataFrame, Floats, int]:
    """Return at most `max_rows` rows of either side, drawn with the seed, in their order, and how many were left out."""
    random = np.random.default_rng(config.seed)
    test = rows["test"].to_numpy(dtype=bool)
    kept = [np.flatnonzero(side) for side in (~test, test)]
    kept = [np.sort(random.choice(each, config.max_rows, replace=False)) if len(each) > config.max_rows else each for each in kept]
    chosen = np.concatenate(kept)
    return rows.iloc[chosen].reset_index(drop=True), y[chosen], len(rows) - len(chosen)


def _side(X: pd.DataFrame, y: Floats, rows: pd.DataFrame, exposed: Flags, mask: Flags) -> Side:
    part = rows.loc[mask]
    return Side(
        X=X.loc[mask].reset_index(drop=True),
        y=y[mask],
        person_ids=part["person_id"].to_numpy(dtype=str),
        as_ofs=part["as_of"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[us]"),
        block=part["block"].to_numpy(dtype=np.int64),
        exposed=exposed[mask],
    )
