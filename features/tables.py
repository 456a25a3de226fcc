"""The tables that come in, declared once. Arrow schemas, checks and `docs/data.md` all derive from this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from features.permission import source_types
from features.permission.use import FORMS, LEDGER_PURPOSES, Form
from features.vocabulary import Vocabulary, VocabularyError

Type = Literal["text", "time", "float", "integer", "flag"]
Reference = Literal["kinds", "channels", "topics", "experiments"]

COLLECTED_HOW = ("from_person", "observed", "third_party", "public")
STATUSES = ("member", "former_member", "regular_contact", "contact")
CONSENT_EVENTS = ("given", "refused", "withdrawn", "objected", "expired")

LARGEST = 2.0**32
"""Of an amount: sums of such are exact, and float32 holds them. Who has more uses a larger unit."""

_ARROW: dict[Type, pa.DataType] = {
    "text": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
    "float": pa.float64(),
    "integer": pa.int64(),
    "flag": pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type, unit, whether it may be empty, which values it takes, and what it falls back to when it is left out."""

    name: str
    type: Type
    meaning: str
    nullable: bool = False
    unit: str | None = None
    allowed: tuple[str, ...] | None = None
    reference: Reference | None = None
    form: Form | None = None
    several: bool = False
    """Whether a value may name several of the `reference`, separated by `;`."""
    minimum: float | None = None
    maximum: float | None = None
    default: str | None = None
    """What stands in when the column or its value is missing, in words: another column's name, `false`, or `kind's direction`."""
    future: bool = False
    """Whether a time after the moment of import is allowed."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `key` makes a row unique; `append_only` rows are never replaced by a later row of the same key."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    append_only: bool = True
    same: tuple[str, ...] = ()
    """What a row has to share with another of its key, to be a duplicate of it and no other thing by the same name (append-only)."""
    ledger: bool = False
    """Whether its rows are events of the ledger in the database, not of a Delta table."""

    def column(self, name: str) -> Column:
        """Return the column of that name; raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


_PERSON = Column("person_id", "text", "whom it is about, as `system:id` (`van:123`)")

INTERACTIONS = Table(
    "interactions",
    "What people did with the organisation, and what it sent them.",
    ("interaction_id",),
    (
        Column("interaction_id", "text", "unique id of the interaction, over all sources: where sources count from 1 each, put a prefix before it"),
        _PERSON,
        Column("occurred_at", "time", "when it happened", unit="UTC"),
        Column("received_at", "time", "when this organisation came to know of it", unit="UTC", default="occurred_at"),
        Column("kind", "text", "what it was", reference="kinds"),
        Column("channel", "text", "how it travelled", reference="channels"),
        Column("topic", "text", "what it was about; several topics separated by `;`, the main one first", nullable=True, reference="topics", several=True),
        Column("direction", "text", "`in` from the person, `out` to them", allowed=("in", "out"), default="kind's direction"),
        Column("value", "float", "an amount; the kind tells its unit", nullable=True, unit="by kind", minimum=-LARGEST, maximum=LARGEST),
        Column("source_id", "text", "the source it came from (`sources.source_id`)"),
        Column("collected_how", "text", "how it was collected", allowed=COLLECTED_HOW),
        Column("is_machine", "flag", "a machine's doing (a mail client's open), not the person's", default="false"),
        Column("campaign_id", "text", "the campaign it belongs to", nullable=True),
        Column("message_id", "text", "the message it belongs to", nullable=True),
        Column("batch_id", "text", "the sending or import batch", nullable=True),
    ),
    same=("source_id", "person_id", "occurred_at"),
)
PEOPLE = Table(
    "people",
    "One row per person id; the extra attributes of `audience.toml` are further columns.",
    ("person_id",),
    (
        _PERSON,
        Column("birth_year", "integer", "year of birth", nullable=True, unit="year", minimum=1890, maximum=2100),
        Column("area", "text", "area code", nullable=True),
        Column("language", "text", "language code", nullable=True),
        Column("joined_at", "time", "when the person became known to the organisation", nullable=True, unit="UTC"),
        Column("status", "text", "the tie with the organisation", allowed=STATUSES),
        Column("source_id", "text", "the source the person came from (`sources.source_id`)"),
        Column("informed_at", "time", "when a person whose data came from elsewhere was told so (GDPR, article 14)", nullable=True, unit="UTC"),
    ),
    append_only=False,
)
SOURCES = Table(
    "sources",
    "Where data came from and what people were told then.",
    ("source_id",),
    (
        Column("source_id", "text", "unique id of the source", form=FORMS["source_id"]),
        Column("type", "text", "what kind of source: petition, event, membership, broker, contest, voter_roll, …; the law's own words are below"),
        Column("collected_how", "text", "how it was collected", allowed=COLLECTED_HOW),
        Column("collected_at", "time", "when it was collected", unit="UTC"),
        Column("notice_hash", "text", "hash of the wording that people were shown", nullable=True),
        Column("political_purpose_stated", "flag", "whether that wording named a political purpose", default="false"),
        Column("expires_at", "time", "when it may no longer be used", nullable=True, unit="UTC", future=True),
        Column(
            "supports_sponsor",
            "flag",
            "whether the petition or event itself supports the organisation: else signing it makes nobody a regular contact",
            default="false",
        ),
        Column(
            "election_id",
            "text",
            "the election that a voter roll was issued for: no use for another one may use its rows",
            nullable=True,
            form=FORMS["election_id"],
        ),
    ),
    append_only=False,
)
CONSENTS = Table(
    "consents",
    "The ledger of consent, refusal, withdrawal and objection: events, never edited.",
    ("person_id", "event", "purpose", "channel", "at"),
    (
        _PERSON,
        Column("event", "text", "what happened", allowed=CONSENT_EVENTS),
        Column("purpose", "text", "for which purpose; `any` for all", allowed=LEDGER_PURPOSES),
        Column("channel", "text", "for which channel; `any` for all", form=FORMS["channel"]),
        Column("wording_hash", "text", "hash of the wording that was shown", nullable=True, form=FORMS["wording_hash"]),
        Column("legal_basis", "text", "the legal basis claimed, such as `gdpr_9_2_a`", nullable=True, form=FORMS["legal_basis"]),
        Column("at", "time", "when it happened", unit="UTC"),
        Column("evidence", "text", "where the proof is kept; sealed under the person's own key", nullable=True),
        Column("valid_from", "time", "from when on it counts; when it happened, if empty", nullable=True, unit="UTC", future=True),
        Column("valid_until", "time", "when it ends by itself", nullable=True, unit="UTC", future=True),
        Column("wording_version", "text", "version of the wording", nullable=True, form=FORMS["wording_version"]),
        Column("language", "text", "language of the wording", nullable=True, form=FORMS["language"]),
    ),
    ledger=True,
)
ASSIGNMENTS = Table(
    "assignments",
    "Who was drawn into which arm of a randomised experiment, and with which probability.",
    ("experiment_id", "person_id"),
    (
        Column("experiment_id", "text", "the experiment", reference="experiments"),
        _PERSON,
        Column("arm", "text", "the arm drawn; the control arm is named in `audience.toml`"),
        Column("probability", "float", "probability with which this arm was drawn for this person", unit="probability", minimum=0.0, maximum=1.0),
        Column("assigned_at", "time", "when it was drawn", unit="UTC"),
        Column("unit_id", "text", "what was drawn as one: a household, a block of streets", nullable=True, default="person_id"),
        Column("stratum", "text", "within which the arms' probabilities are the same for everyone", nullable=True),
    ),
)
OUTCOMES = Table(
    "outcomes",
    "What was measured after an experiment.",
    ("experiment_id", "person_id", "outcome"),
    (
        Column("experiment_id", "text", "the experiment", reference="experiments"),
        _PERSON,
        Column("outcome", "text", "which outcome"),
        Column("value", "float", "its value; 0 or 1 for yes or no", unit="by outcome"),
        Column("measured_at", "time", "when it was measured", unit="UTC"),
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in (INTERACTIONS, PEOPLE, SOURCES, CONSENTS, ASSIGNMENTS, OUTCOMES)}
STORED: dict[str, Table] = {name: table for name, table in TABLES.items() if not table.ledger}
"""The Delta tables; what is not among them goes to the ledger."""


def columns(table: Table, vocabulary: Vocabulary) -> tuple[Column, ...]:
    """Return the table's columns, with the vocabulary's extra attributes at the end of `people`.

    Raises VocabularyError when an attribute has the name of a column that `people` has anyway.
    """
    if table.name != "people":
        return table.columns
    taken = {column.name for column in table.columns} & {attribute.id for attribute in vocabulary.attributes}
    if taken:
        raise VocabularyError(f"audience.toml: [attributes.{min(taken)}]: people has a column of that name already; give the attribute another one")
    extra = tuple(
        Column(
            attribute.id,
            "float" if attribute.type == "numeric" else "text",
            attribute.label(),
            nullable=True,
            unit=attribute.unit,
            allowed=attribute.categories or None,
            minimum=-LARGEST if attribute.type == "numeric" else None,
            maximum=LARGEST if attribute.type == "numeric" else None,
        )
        for attribute in vocabulary.attributes
    )
    return table.columns + extra


def arrow_schema(table: Table, vocabulary: Vocabulary) -> pa.Schema:
    """Return the Arrow schema of the stored table; times are microseconds UTC, texts UTF-8, values float64."""
    return pa.schema([pa.field(column.name, _ARROW[column.type], nullable=column.nullable) for column in columns(table, vocabulary)])


def data_dictionary() -> str:
    """Return the data dictionary of all tables as Markdown, the text of `docs/data.md`."""
    return "\n".join([_HEAD, *(_described(table) for table in TABLES.values())])


_HEAD = """<!-- Made by `audience data --write` from features/tables.py: change the declarations there, not this file. -->

# The tables that come in

`audience import TABLE FILE…` takes CSV (UTF-8, with a header line), NDJSON and Parquet; CSV and NDJSON plain or compressed with gzip or zstd.
The columns below go by their own names, in any order. What is said here is checked: a row that does not meet it is left out and
listed in the workspace's `rejects` folder with its file, line, column and reason; a column that is missing or unknown stops the import.

- **text**: UTF-8, at most 1,000 bytes, no control characters. An empty cell is no value.
- **time**: ISO 8601 with `Z` or an offset (`2024-05-01T12:00:00+02:00`), or a Parquet timestamp with a time zone. Stored as microseconds UTC.
  From 1900 on, and not after the moment of import unless the table says so.
- **float**, **integer**: a decimal point, no spaces, no currency. NaN and infinity are refused; leave the cell empty.
- **flag**: `true` or `false`, `1` or `0`, `yes` or `no`.
- *kinds*, *channels*, *topics* and *experiments* are those of the workspace's `audience.toml`.

No column may tell of religion or belief, ethnic origin, politics, a trade union, health, sex life or orientation, biometric or genetic data, or convictions
(rule L15, `special_category_column`). A column that by its name, or by most of the values in a sample of its rows, is of that kind stops the import with a
report in `rejects`: leave it out with `--drop COLUMN`, so that it is not read at all. What the organisation may hold of that kind is declared in
`audience.toml` as an attribute with `sensitivity = "special"`, `classed_by` (the person who answers for it) and `why` (the ground in GDPR, article 9(2)).
An ordinary attribute whose categories only look that way is declared with `classed_by` and `why` too; one named so is always special.
A special one is held and told in access, and is in no vector and no model unless it says `in_models = true`.

Rows of `people` and `interactions` whose source is not in the table `sources` are stored, and counted in what the import says: import `sources` first.
Under the European packs and that of the United Kingdom nobody may be scored whose source is not known (rule L12b).
"""


def _described(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.key)
    repeated = "is left out as a duplicate" if table.append_only else "replaces it when anything differs"
    repeated += f", and is refused where its {', '.join(f'`{name}`' for name in table.same[:-1])} or `{table.same[-1]}` is another" if table.same else ""
    lines = [
        f"## {table.name}\n",
        f"{table.meaning} Key: {key}; a row whose key is already there {repeated}.\n",
        "| column | type | unit | empty | allowed | meaning |",
        "|---|---|---|---|---|---|",
        *(_row(column) for column in table.columns),
    ]
    if table.name == "people":
        lines.append("| *one per `[attributes]` of `audience.toml`* | float or text | as declared | yes | the attribute's categories | as declared |")
    if table.name == "sources":
        lines += ["", *(f"- {rule}" for rule in source_types.RULES)]
    return "\n".join(lines) + "\n"


def _row(column: Column) -> str:
    default = {None: "yes" if column.nullable else "no", "false": "`false`", "kind's direction": "the direction of its kind"}
    empty = default.get(column.default, f"as `{column.default}`")
    return f"| `{column.name}` | {column.type} | {column.unit or ''} | {empty} | {_allowed(column)} | {column.meaning} |"


def _allowed(column: Column) -> str:
    if column.allowed:
        return ", ".join(f"`{value}`" for value in column.allowed)
    if column.reference:
        return f"*{column.reference}*" + (", one or more" if column.several else "")
    if column.minimum is not None and column.maximum is not None:
        return f"{column.minimum:g} to {column.maximum:g}"
    if column.name == "person_id":
        return "`system:id`, no spaces"
    if column.form is not None:
        return column.form.words
    return "also after the import" if column.future else ""
