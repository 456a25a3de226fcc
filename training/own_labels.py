"""Labels of a user's own instead of engagement: a file of person_id, as_of, topic, label, and optionally split and block."""

from __future__ import annotations

import difflib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.vocabulary import Vocabulary
from training.faults import told_names

REQUIRED = ("person_id", "as_of", "topic", "label")
OPTIONAL = ("split", "block")
SPLITS = ("train", "test")
_OFFSET = r"(?:Z|[+-]\d\d:?\d\d)$"


class LabelsError(ValueError):
    """The file of labels cannot be used; the message names the column and what is allowed, never a person."""


def read_labels(path: Path, vocabulary: Vocabulary, *, now: datetime, reach: timedelta) -> tuple[pd.DataFrame, NDArray[np.float64], tuple[str, ...]]:
    """Return the file's rows (person_id, as_of, split, block), sorted by time and person, and their labels with the topics' ids.

    Labels are (n, n_topics): 0, 1, or NaN where the file says nothing of the topic; topics come in the order of `audience.toml`.
    `split` and `block` are all missing where the file has no such column. The file does not say when a label's window ends: it is taken to be `reach`
    (gap and horizon) after its as_of, and must have ended at `now`. Raises LabelsError.
    """
    frame = _checked(_read(path), vocabulary, now, reach)
    known = set(frame["topic"])
    topics = tuple(topic for topic in vocabulary.topic_ids if topic in known)
    keys = ["as_of", "person_id"]
    rows = frame.groupby(keys, sort=True)[list(OPTIONAL)].first().reset_index()
    for column in OPTIONAL:
        if frame.groupby(keys)[column].nunique().max() > 1:
            raise LabelsError(f"{path.name}: a person at one as_of has several values of `{column}`; it belongs to the row, not to the topic")
    wide = frame.pivot_table(index=keys, columns="topic", values="label", sort=True, dropna=False, observed=True)
    y = wide.reindex(index=pd.MultiIndex.from_frame(rows[keys]), columns=list(topics)).to_numpy(dtype=np.float64)
    return _one_side_each(rows, path), y, topics


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise LabelsError(f"the file of labels {path} does not exist")
    if path.suffix not in {".parquet", ".csv"}:
        raise LabelsError(f"{path.name}: labels are read from .parquet or .csv")
    try:
        frame = pq.read_table(path).to_pandas() if path.suffix == ".parquet" else pd.read_csv(path, dtype=str, encoding="utf-8", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise LabelsError(f"{path.name} cannot be read as {path.suffix[1:]} ({type(error).__name__})") from None
    missing = [column for column in REQUIRED if column not in frame]
    unknown = [column for column in frame if column not in (*REQUIRED, *OPTIONAL)]
    if missing or unknown:
        raise LabelsError(
            f"{path.name}: missing columns: {', '.join(missing) or 'none'}; unknown columns: {told_names(list(map(str, unknown)))}; "
            f"needed: {', '.join(REQUIRED)}; allowed besides: {', '.join(OPTIONAL)}"
        )
    if frame.empty:
        raise LabelsError(f"{path.name} holds no label")
    frame = frame.replace("", np.nan) if path.suffix == ".csv" else frame
    return frame.assign(**{column: np.nan for column in OPTIONAL if column not in frame})


def _checked(frame: pd.DataFrame, vocabulary: Vocabulary, now: datetime, reach: timedelta) -> pd.DataFrame:
    empty = int(frame["person_id"].isna().sum())
    if empty:
        raise LabelsError(f"{empty} labels have no person_id")
    unknown = sorted(set(frame["topic"].map(str)) - set(vocabulary.topic_ids))
    if unknown:
        close = difflib.get_close_matches(unknown[0], vocabulary.topic_ids, n=1)
        hint = f". Did you mean {close[0]!r}?" if close and told_names(unknown[:1]) == unknown[0] else ""
        raise LabelsError(f"topics that are not in audience.toml: {told_names(unknown)}{hint}")
    frame = frame.assign(person_id=frame["person_id"].astype(str), as_of=_times(frame["as_of"]), label=_numbers(frame["label"]))
    _past(frame["as_of"], now, reach)
    known = frame["label"].dropna()
    if not known.isin([0.0, 1.0]).all():
        raise LabelsError("a label is 0, 1 or empty (unknown); others are there")
    double = int(frame.duplicated(["person_id", "as_of", "topic"]).sum())
    if double:
        raise LabelsError(f"{double} labels repeat the person, as_of and topic of another one")
    return frame


def _past(as_of: pd.Series, now: datetime, reach: timedelta) -> None:
    """Raise LabelsError for labels of the future: with an as_of, or the end of the window, that lies after `now`."""
    late = int((as_of >= pd.Timestamp(now)).sum())
    if late:
        raise LabelsError(f"{late} labels have an as_of at {now:%Y-%m-%d %H:%M} UTC or after: they lie in the future of this training")
    unended = int((as_of + reach > pd.Timestamp(now)).sum())
    if unended:
        raise LabelsError(
            f"{unended} labels have an as_of less than {reach.days} days (gap_days + horizon_days) before {now:%Y-%m-%d %H:%M} UTC: their window has not "
            "ended, so nobody can know them yet. Hint: if your labels look less far ahead, say so under [training.affinity]; else leave these rows out"
        )


def _times(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        times = column
    elif column.map(lambda value: isinstance(value, str)).all() and column.str.contains(_OFFSET, regex=True).all():
        times = pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce")
    else:
        raise LabelsError("as_of must be times with a zone: timestamps with UTC in Parquet, or text such as 2026-11-01T00:00:00Z")
    if times.isna().any():
        raise LabelsError(f"{int(times.isna().sum())} values of as_of are missing or no ISO 8601 time")
    return times.dt.tz_convert("UTC").dt.as_unit("us")


def _numbers(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    if (numbers.isna() & column.notna()).any():
        raise LabelsError("a label is 0, 1 or empty (unknown); others are there")
    return numbers


def _one_side_each(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    given = rows["split"].dropna()
    if len(given) and (len(given) < len(rows) or not given.isin(SPLITS).all()):
        raise LabelsError(f"{path.name}: `split` is {' or '.join(SPLITS)} on every row, or there is no such column")
    both = int(rows.groupby("person_id")["split"].nunique().gt(1).sum())
    if both:
        raise LabelsError(f"{path.name}: {both} people stand on both sides of `split`; the test is only honest with people the model never saw")
    if rows["block"].isna().any() and rows["block"].notna().any():
        raise LabelsError(f"{path.name}: `block` stands on every row, or there is no such column")
    return rows
