"""What happened afterwards: labels of engagement, and since when each person is known, as relational expressions (pure).

They stand on the relations of `features.relations`, so that labels are made where vectors are, by the same rules for expressions.
"""

from __future__ import annotations

from typing import Any

import ibis

from features import query
from features.vocabulary import Vocabulary

ALWAYS = -(2**62)
"""The time since when a person is known of whom `people` does not say when they joined."""

WANTED = {"number": "int64", "person_id": "string", "start_us": "int64"}
"""The relation that labels are asked for: a number of its own for each row, its person, and when its horizon begins."""


def engagements(vocabulary: Vocabulary, horizon_us: int, now_us: int, *, limited: bool = False) -> Any:
    """Return the pairs (number, topic), each once, of rows of `wanted` whose person engaged with the topic within [start, start + horizon).

    `topic` is the topic's position in the vocabulary; an interaction with several topics engages with each of them. Machines do not engage,
    what was received after `now` is not known yet and, where rows are `limited`, what is past its limit then does not count any
    more. The vocabulary has topics and kinds of engagement.
    """
    source = query.interactions(limited=limited)
    return _pairs(source.filter(~source.is_machine, source.kind.isin(vocabulary.engagement_kinds)), horizon_us, now_us)


def exposures(horizon_us: int, now_us: int, *, limited: bool = False) -> Any:
    """Return the same pairs of those to whom a message about the topic was sent within [start, start + horizon)."""
    source = query.interactions(limited=limited)
    return _pairs(source.filter(~source.is_machine, source.direction == "out"), horizon_us, now_us)


def spoken_of(vocabulary: Vocabulary, horizon_us: int, now_us: int, *, limited: bool = False) -> Any:
    """Return the pairs (number, topic), each once, of rows of `wanted` within whose horizon anybody engaged with the topic or was sent a message about it.

    The rows' persons do not matter.
    """
    source = query.interactions(limited=limited)
    told = source.filter(~source.is_machine, source.kind.isin(vocabulary.engagement_kinds) | (source.direction == "out"))
    return _pairs(told, horizon_us, now_us, anybody=True)


def last_received() -> Any:
    """Return when the latest interaction became known: received_us (microseconds; null without any)."""
    source = query.interactions()
    return source.aggregate(received_us=source.received_us.max())


def _pairs(source: Any, horizon_us: int, now_us: int, *, anybody: bool = False) -> Any:
    wanted, codes = ibis.table(WANTED, name="wanted"), ibis.table(query.CODES["topic_codes"], name="topic_codes")
    ends = [source.until_us > now_us] if "until_us" in source.columns else []
    source = source.filter(source.received_us <= now_us, *ends)
    within = [source.occurred_us >= wanted.start_us, source.occurred_us < wanted.start_us + horizon_us]
    joined = source.join(wanted, within if anybody else [source.person_id == wanted.person_id, *within])
    joined = joined.join(codes, joined.topic == codes.topic)
    return joined.select(joined.number, topic=joined.topic_code).distinct()


def first_seen(vocabulary: Vocabulary, *, limited: bool = False) -> Any:
    """Return per person, sorted by id, the first `as_of` (microseconds) at which the base has them: `visible_us`.

    That is after `joined_at` (always, where it is empty), or when the first interaction became visible, whichever came first.
    """
    source, known = query.interactions(limited=limited), query.people(vocabulary)
    joined = known.select(known.person_id, at_us=(known.joined_us + 1).coalesce(ibis.literal(ALWAYS, type="int64")))
    seen = query.entering(source)
    both = ibis.union(seen, joined, distinct=False)
    return both.group_by("person_id").agg(visible_us=both.at_us.min()).order_by("person_id")
