"""The simulated arrays as the declared tables: ids, times, words. Nothing is drawn at random here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.permission.source_types import TOLD
from features.tables import STATUSES, TABLES, arrow_schema
from features.vocabulary import Vocabulary
from training.simulated_calendar import CHANNELS, Calendar, Floats, Integers
from training.simulated_experiments import Trial
from training.simulated_history import KINDS, Rows
from training.simulated_people import LANGUAGES, PEOPLE_SOURCES, SOURCES, TENURES, Flags, Population

_MICROSECONDS_PER_DAY = 86_400_000_000
# How each kind travels, which source tells of it, and how that collects; in the order of KINDS.
_ORIGIN = (
    ("email", "email_platform", "observed"),
    ("sms", "text_platform", "observed"),
    ("door", "canvass_app", "observed"),
    ("email", "email_platform", "observed"),
    ("sms", "text_platform", "from_person"),
    ("door", "canvass_app", "from_person"),
    ("web", "website", "from_person"),
    ("event", "event_desk", "from_person"),
    ("web", "website", "from_person"),
    ("email", "email_platform", "observed"),
    ("web", "website", "from_person"),
)
_PURPOSE = "campaign_messages"
_ONLINE_PURPOSE = "political_ads_online"
_ONLINE_SHARE = 6  # one in so many of those who consent to e-mail consents to targeted advertising too
_INFORMED_DAYS, _UNTOLD_SHARE = 20.0, 4  # those got from elsewhere are told so after so many days, but for one in so many, who were forgotten


def schema(table: str, vocabulary: Vocabulary) -> pa.Schema:
    """Return the declared Arrow schema of the table."""
    return arrow_schema(TABLES[table], vocabulary)


def person_ids(index: Integers) -> pa.Array:
    """Return ids such as `sim:0000042`."""
    return _numbered("sim:", index, 7)


def _numbered(prefix: str, index: Integers, digits: int) -> pa.Array:
    text = pc.utf8_lpad(pc.cast(pa.array(index), pa.string()), digits, "0")
    return pc.binary_join_element_wise(prefix, text, "")


def _times(days: Floats, calendar: Calendar) -> pa.Array:
    """Return microseconds UTC; days that are not finite become null."""
    start = int(calendar.start.timestamp()) * 1_000_000
    unknown = ~np.isfinite(days)
    micros = start + np.floor(np.where(unknown, 0, days) * _MICROSECONDS_PER_DAY).astype(np.int64)
    return pa.array(micros, mask=unknown).cast(pa.timestamp("us", tz="UTC"))


def _words(words: Sequence[str], index: Integers) -> pa.Array:
    """Return the words at `index`; null where it is negative."""
    return pa.array(words, pa.string()).take(pa.array(index, mask=np.asarray(index) < 0))


def _table(name: str, columns: dict[str, pa.Array], vocabulary: Vocabulary) -> pa.Table:
    wanted = schema(name, vocabulary)
    return pa.table([columns[field.name] for field in wanted], names=wanted.names).cast(wanted)


def interactions(rows: Rows, order: Integers, calendar: Calendar, vocabulary: Vocabulary) -> pa.RecordBatch:
    """Return the rows at `order`; a row's id is its place among the arrivals, so that it is the same each time it comes."""
    part = rows.take(order)
    kind = np.asarray(part.kind)
    channel, source, how = (_words([origin[i] for origin in _ORIGIN], kind) for i in range(3))
    campaigns, messages, batches = _campaign_words(calendar, vocabulary)
    columns = {
        "interaction_id": _numbered("sim-", order, 9),
        "person_id": person_ids(part.person),
        "occurred_at": _times(part.occurred, calendar),
        "received_at": _times(part.received, calendar),
        "kind": _words(KINDS, kind),
        "channel": channel,
        "topic": _words(vocabulary.topic_ids, part.topic),
        "direction": _words(["out" if i < len(CHANNELS) else "in" for i in range(len(KINDS))], kind),
        "value": pa.array(part.value.astype(np.float64), mask=np.isnan(part.value)),
        "source_id": source,
        "collected_how": how,
        "is_machine": pa.array(part.is_machine),
        "campaign_id": _words(campaigns, part.campaign),
        "message_id": _words(messages, part.campaign),
        "batch_id": _words(batches, part.campaign),
    }
    return _table("interactions", columns, vocabulary).combine_chunks().to_batches()[0]


def _campaign_words(calendar: Calendar, vocabulary: Vocabulary) -> tuple[list[str], list[str], list[str]]:
    campaigns = calendar.campaigns
    topics = [vocabulary.topic_ids[topic] for topic in campaigns.topic]
    dates = [calendar.start + timedelta(days=int(day)) for day in campaigns.day]
    names = [f"{topic}-{date:%Y-%m}" for topic, date in zip(topics, dates, strict=True)]
    messages = [f"{CHANNELS[channel]}-{number:04d}" for number, channel in enumerate(campaigns.channel)]
    return names, messages, [f"{message}-{date:%Y%m%d}" for message, date in zip(messages, dates, strict=True)]


def people(population: Population, calendar: Calendar, vocabulary: Vocabulary) -> pa.Table:
    """Return everybody who had joined by the end of the history."""
    known = np.flatnonzero(population.joined < calendar.days)
    birth_year = population.birth_year[known]
    columns = {
        "person_id": person_ids(known),
        "birth_year": pa.array(np.nan_to_num(birth_year).astype(np.int64), mask=np.isnan(birth_year)),
        "area": _numbered("Z", population.area[known], 3),
        "language": _words(LANGUAGES, population.language[known]),
        "joined_at": _times(np.where(population.joined_known, population.joined, np.nan)[known], calendar),
        "status": _words(STATUSES, population.status[known]),
        "source_id": _words([source.id for source in PEOPLE_SOURCES], population.source[known]),
        "informed_at": _times(_informed(population, calendar)[known], calendar),
        "household_size": pa.array(population.household_size[known].astype(np.float64)),
        "tenure": _words(TENURES, population.tenure[known]),
        "union_member": _words(("no", "yes"), population.union_member[known]),
    }
    return _table("people", columns, vocabulary)


def _informed(population: Population, calendar: Calendar) -> Floats:
    """Return the day on which people whose data came from elsewhere were told so (n,); NaN for the others, and for whom nobody told yet."""
    elsewhere = np.array([source.collected_how == "third_party" for source in PEOPLE_SOURCES])[population.source]
    day = population.joined + _INFORMED_DAYS
    return np.where(elsewhere & (np.arange(len(population)) % _UNTOLD_SHARE != 0) & (day < calendar.days), day, np.nan)


def sources(calendar: Calendar, vocabulary: Vocabulary) -> pa.Table:
    """Return the sources; one that was collected over a time is dated by its beginning."""
    begin = np.array([source.joined[0] * calendar.days for source in SOURCES])
    expires = np.array([np.nan if source.expires is None else source.expires * calendar.days for source in SOURCES])
    told = [source.type in TOLD or (source.weight > 0 and source.collected_how == "from_person") for source in SOURCES]
    notices = [_digest(f"notice of {source.id}") if shown else None for source, shown in zip(SOURCES, told, strict=True)]
    columns = {
        "source_id": pa.array([source.id for source in SOURCES]),
        "type": pa.array([source.type for source in SOURCES]),
        "collected_how": pa.array([source.collected_how for source in SOURCES]),
        "collected_at": _times(begin, calendar),
        "notice_hash": pa.array(notices, pa.string()),
        "political_purpose_stated": pa.array([source.political for source in SOURCES]),
        "expires_at": _times(expires, calendar),
        "supports_sponsor": pa.array([source.supports for source in SOURCES]),
        "election_id": pa.nulls(len(SOURCES), pa.string()),
    }
    return _table("sources", columns, vocabulary)


def _digest(wording: str) -> str:
    return hashlib.sha256(wording.encode()).hexdigest()


def consents(population: Population, calendar: Calendar, vocabulary: Vocabulary) -> pa.Table:
    """Return the events of the ledger that had happened by the end of the history, in order of time."""
    reach_from, reach_until, objected = population.reach_from, population.reach_until, population.objected
    events = [
        (np.isfinite(reach_from[:, 0]) & (np.arange(len(population)) % _ONLINE_SHARE == 0), "given", _ONLINE_PURPOSE, "any", population.joined),
        (np.isfinite(objected), "objected", "any", "any", objected),
    ]
    for code, channel in enumerate(CHANNELS[:2]):
        given = np.isfinite(reach_from[:, code])
        withdrew = given & (reach_until[:, code] < objected)
        events += [
            (given, "given", _PURPOSE, channel, reach_from[:, code]),
            (population.refused[:, code], "refused", _PURPOSE, channel, population.joined),
            (withdrew, "withdrawn", _PURPOSE, channel, reach_until[:, code]),
        ]
    parts = pa.concat_tables([_ledger(*event, population=population, calendar=calendar) for event in events])
    ordered = parts.sort_by([("at", "ascending"), ("person_id", "ascending"), ("channel", "ascending")])
    declared = schema("consents", vocabulary)
    columns = [ordered.column(name) if name in ordered.column_names else pa.nulls(len(ordered)) for name in declared.names]
    return pa.table(columns, declared.names).cast(declared)


def _ledger(who: Flags, event: str, purpose: str, channel: str, day: Floats, *, population: Population, calendar: Calendar) -> pa.Table:
    index = np.flatnonzero(who & (day < calendar.days) & (population.joined < calendar.days))
    n = len(index)
    consent = event == "given"
    return pa.table(
        {
            "person_id": person_ids(index),
            "event": pa.array([event] * n, pa.string()),
            "purpose": pa.array([purpose] * n, pa.string()),
            "channel": pa.array([channel] * n, pa.string()),
            "wording_hash": pa.array([_digest(f"{purpose} {channel}") if consent else None] * n, pa.string()),
            "legal_basis": pa.array(["gdpr_9_2_a" if consent else None] * n, pa.string()),
            "at": _times(day[index], calendar),
            "evidence": _words([f"form of {source.id}" for source in PEOPLE_SOURCES], population.source[index]),
        }
    )


def assignments(trials: Sequence[Trial], population: Population, calendar: Calendar, vocabulary: Vocabulary) -> pa.Table:
    """Return the draw of every experiment."""
    parts = []
    for trial in trials:
        design, n = trial.design, len(trial.person)
        control = vocabulary.experiment(design.id).control
        columns = {
            "experiment_id": pa.array([design.id] * n, pa.string()),
            "person_id": person_ids(trial.person),
            "arm": _words((control, design.arm), trial.treated),
            "probability": pa.array(np.where(trial.treated == 1, design.probability, 1 - design.probability)),
            "assigned_at": _times(np.full(n, float(trial.assigned)), calendar),
            "unit_id": _numbered("household-", population.household[trial.person], 7),
            "stratum": _numbered("region-", trial.stratum, 1),
        }
        parts.append(_table("assignments", columns, vocabulary))
    return pa.concat_tables(parts)


def outcomes(trials: Sequence[Trial], calendar: Calendar, vocabulary: Vocabulary) -> pa.Table:
    """Return what was measured in every experiment: 0 or 1 for everybody assigned."""
    parts = []
    for trial in trials:
        n = len(trial.person)
        columns = {
            "experiment_id": pa.array([trial.design.id] * n, pa.string()),
            "person_id": person_ids(trial.person),
            "outcome": pa.array([trial.design.outcome] * n, pa.string()),
            "value": pa.array(trial.outcome.astype(np.float64)),
            "measured_at": _times(trial.measured, calendar),
        }
        parts.append(_table("outcomes", columns, vocabulary))
    return pa.concat_tables(parts)


def affinity(known: Integers, probability: Floats, as_of: datetime, vocabulary: Vocabulary) -> pa.Table:
    """Return the true affinities (n, n_topics) of the people `known` as a long table."""
    n, n_topics = probability.shape
    return pa.table(
        {
            "person_id": person_ids(np.repeat(known, n_topics)),
            "topic": _words(vocabulary.topic_ids, np.tile(np.arange(n_topics), n)),
            "as_of": pa.repeat(pa.scalar(as_of, pa.timestamp("us", tz="UTC")), n * n_topics),
            "probability": pa.array(probability.ravel()),
        }
    )


def uplift(trials: Sequence[Trial]) -> pa.Table:
    """Return the true baselines and uplifts of every experiment."""
    parts = [
        pa.table(
            {
                "experiment_id": pa.array([trial.design.id] * len(trial.person), pa.string()),
                "person_id": person_ids(trial.person),
                "arm": pa.array([trial.design.arm] * len(trial.person), pa.string()),
                "baseline": pa.array(trial.baseline),
                "uplift": pa.array(trial.uplift),
            }
        )
        for trial in trials
    ]
    return pa.concat_tables(parts)
