"""Checks of what comes in against the declaration of `tables.py`: pure, one Arrow batch at a time.

A file whose columns do not fit is refused whole (ImportFault, a diff of the two lists); a row is left out with its line, column
and reason; what passes has exactly the stored schema, defaults filled in.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.faults import Faults, ImportFault, did_you_mean, listed, shown
from features.permission import source_types
from features.permission.special_columns import Special, by_name
from features.tables import Column, Table, arrow_schema, columns
from features.values import Parsed, accepts, mask_of, one_of, parse, several_of
from features.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Checked:
    """The rows that passed (k ≤ n rows, the stored schema, order kept), their lines (k,), and what was wrong with the others."""

    rows: pa.RecordBatch
    lines: npt.NDArray[np.int64]
    faults: Faults


class Checks:
    """The checks of one table, with the vocabulary's words and the moment of import.

    Parameters
    ----------
    table : Table
        The declaration.
    vocabulary : Vocabulary
        Kinds, channels, topics, experiments and attributes that are allowed.
    now : datetime
        Moment of import, with time zone; a later time is refused unless its column allows it.
    drop : names
        Columns of the files that are left out unread, whatever they are.
    """

    def __init__(self, table: Table, vocabulary: Vocabulary, *, now: datetime, drop: Collection[str] = ()) -> None:
        if now.tzinfo is None:
            raise ValueError("now is a naive time: give it a time zone, such as datetime.now(UTC)")
        self.table = table
        self.vocabulary = vocabulary
        self.now = now
        self.drop = frozenset(drop)
        self.columns = columns(table, vocabulary)
        self.schema = arrow_schema(table, vocabulary)
        self._references = {
            "kinds": tuple(kind.id for kind in vocabulary.kinds),
            "channels": tuple(channel.id for channel in vocabulary.channels),
            "topics": vocabulary.topic_ids,
            "experiments": tuple(experiment.id for experiment in vocabulary.experiments),
        }

    def header(self, names: Sequence[str]) -> None:
        """Raise ImportFault when a column name comes twice, is unknown, or a required one is missing; the message is a diff.

        An unknown column whose name tells of a special category is told so, with the rule. Columns in `drop` are not there.
        """
        known = {column.name for column in self.columns}
        placed = [(name, position) for position, name in enumerate(names, 1) if name not in self.drop]
        names = [name for name, _ in placed]
        if not known & set(names):
            raise ImportFault(f"the first line has none of the columns of {self.table.name}: is the header line missing? Columns: {self._wanted()}")
        twice = [one for number, one in enumerate(placed) if one[0] in names[:number]]
        if twice:
            raise ImportFault(f"column {shown(*twice[0])} comes twice: keep one of them")
        missing = [column.name for column in self.columns if _required(column) and column.name not in names]
        unknown = [(name, position) for name, position in placed if name not in known]
        if missing or unknown:
            raise self._diff(names, missing, unknown)

    def _diff(self, names: Sequence[str], missing: Sequence[str], unknown: Sequence[tuple[str, int]]) -> ImportFault:
        free = tuple(column.name for column in self.columns if column.name not in names)
        lines, special = [f"- {name}  (required, missing)" for name in missing], []
        for name, position in unknown:
            category, plain = by_name(name) if self._of_people else None, shown(name, position)
            if category is None:
                lines.append(f"+ {plain}  (not a column of {self.table.name}).{did_you_mean(name, free)}")
                continue
            special.append(Special(plain.strip("'"), category, "name"))
            out = f"--drop {name}" if plain == repr(name) else "--drop with its name in quotes"
            lines.append(f"+ {plain}  (not a column of {self.table.name}: {special[-1]}). Leave it out unread: {out}")
        hint = "; an extra attribute of people is declared under [attributes] of audience.toml" if self.table.name == "people" and unknown else ""
        return ImportFault("\n  ".join([f"the columns do not fit {self.table.name}:", *lines, f"Columns: {self._wanted()}{hint}"]), special)

    @property
    def _of_people(self) -> bool:
        return any(column.name == "person_id" for column in self.columns)

    @property
    def watched(self) -> tuple[str, ...]:
        """The columns whose content may not be of a special category: texts about a person that are no key, no word of a list and no arm drawn at random.

        Of attributes those of which nobody has said that, and why, they are special or are not.
        """
        if not self._of_people:
            return ()
        classed = {attribute.id for attribute in self.vocabulary.attributes if attribute.is_classed}
        own = {attribute.id for attribute in self.vocabulary.attributes} if self.table.name == "people" else set()
        left_out = {"person_id", "source_id", "arm", *self.table.key, *classed, *self.drop}
        texts = [column for column in self.columns if column.type == "text" and not column.reference and column.name not in left_out]
        return tuple(column.name for column in texts if column.allowed is None or column.name in own)

    def types(self, schema: pa.Schema) -> None:
        """Raise ImportFault when a typed (Parquet) column cannot hold what is declared; one line per column."""
        wrong = [(column.name, accepts(column, schema.field(column.name).type)) for column in self.columns if column.name in schema.names]
        lines = [f"{name} {reason}" for name, reason in wrong if reason]
        if lines:
            raise ImportFault("\n  ".join([f"the types do not fit {self.table.name}:", *lines]))

    def rows(self, raw: pa.RecordBatch, lines: npt.NDArray[np.int64]) -> Checked:
        """Check a batch of raw rows (n,) that stand on `lines` (n,), each column as text or as Parquet typed it."""
        faults = Faults()
        parsed = {column.name: self._column(column, raw) for column in self.columns}
        self._fill_defaults(parsed)
        for column in self.columns:
            if not column.nullable:
                self._refuse_missing(column, parsed[column.name])
        self._compare(parsed)
        kept = np.ones(raw.num_rows, dtype=bool)
        for name, one in parsed.items():
            for rows, reason in one.faults:
                faults.add(lines[rows], name, reason)
                kept[rows] = False
        batch = pa.record_batch([parsed[name].values for name in self.schema.names], schema=self.schema)
        return Checked(batch, lines, faults) if kept.all() else Checked(batch.filter(pa.array(kept)), lines[kept], faults)

    def _wanted(self) -> str:
        return ", ".join(column.name if _required(column) else f"[{column.name}]" for column in self.columns)

    def _column(self, column: Column, raw: pa.RecordBatch) -> Parsed:
        position = raw.schema.get_field_index(column.name)
        if position < 0:
            return Parsed(pa.nulls(raw.num_rows, self.schema.field(column.name).type))
        parsed = parse(column, raw.column(position), now=self.now)
        if column.reference:
            check = several_of if column.several else one_of
            check(parsed, self._references[column.reference], f"among the {column.reference} of audience.toml")
        return parsed

    def _fill_defaults(self, parsed: dict[str, Parsed]) -> None:
        for column in self.columns:
            if column.default is None:
                continue
            one = parsed[column.name]
            if not one.values.null_count:
                continue
            one.values = pc.coalesce(one.values, self._default(column.default, parsed))

    def _default(self, words: str, parsed: dict[str, Parsed]) -> pa.Array | pa.Scalar:
        if words == "false":
            return pa.scalar(value=False)
        if words == "kind's direction":
            return self._directions(parsed["kind"].values)
        return parsed[words].values

    def _directions(self, kinds: pa.Array) -> pa.Array:
        index = pc.index_in(kinds, value_set=pa.array(self._references["kinds"], pa.string()))
        return pa.array([kind.direction for kind in self.vocabulary.kinds], pa.string()).take(index)

    def _refuse_missing(self, column: Column, one: Parsed) -> None:
        if column.default is not None or not one.values.null_count:
            return
        empty = mask_of(pc.is_null(one.values))
        for rows, _ in one.faults:
            empty[rows] = False
        one.refuse(empty, "is empty, and a value is required")

    def _compare(self, parsed: dict[str, Parsed]) -> None:
        """Compare columns of one row with each other; an empty or refused cell is compared with nothing, but for the rules of sources."""
        if self.table.name == "sources":
            for one in source_types.refused({name: column.values for name, column in parsed.items()}):
                parsed[one.column].refuse(one.rows, one.reason)
        if "received_at" in parsed:
            early = mask_of(pc.less(parsed["received_at"].values, parsed["occurred_at"].values))
            parsed["received_at"].refuse(early, "is before occurred_at: nobody learns of something before it happens")
        if "direction" in parsed:
            other = mask_of(pc.not_equal(parsed["direction"].values, self._directions(parsed["kind"].values)))
            parsed["direction"].refuse(other, "disagrees with the direction that audience.toml gives this kind: leave it empty or mend one of them")
        if "valid_until" in parsed:
            begins = pc.coalesce(parsed["valid_from"].values, parsed["at"].values)
            never = mask_of(pc.less_equal(parsed["valid_until"].values, begins))
            parsed["valid_until"].refuse(never, "is not after valid_from, or when it happened: it would never count")
        if "arm" in parsed:
            self._refuse_arms(parsed["experiment_id"].values, parsed["arm"])

    def _refuse_arms(self, experiments: pa.Array, arms: Parsed) -> None:
        for experiment in self.vocabulary.experiments:
            if not experiment.arms:
                continue
            known = tuple(dict.fromkeys((experiment.control, *experiment.arms)))
            outside = pc.and_(pc.equal(experiments, experiment.id), pc.invert(pc.is_in(arms.values, value_set=pa.array(known, pa.string()))))
            reason = f"is not an arm that audience.toml gives this experiment (allowed: {listed(known)})"
            arms.refuse(mask_of(pc.and_(outside, pc.is_valid(arms.values))), reason)


def _required(column: Column) -> bool:
    return not column.nullable and column.default is None


__all__ = ["Checked", "Checks", "ImportFault"]
