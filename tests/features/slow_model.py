"""The meaning of every feature, written again as slowly and plainly as can be: the oracle of the builder, of lineage and of refreshing.

Rows are dicts as in the table `interactions`; nothing here uses the product's layout, kernel or SQL.
"""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAN = math.nan
PARTS = ("night", "morning", "afternoon", "evening")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def day(time):
    return (time.astimezone(UTC) - EPOCH) // timedelta(days=1)


class SlowModel:
    """The base as of a time: `value(person_id, feature)` for any feature of a vocabulary."""

    def __init__(self, interactions, people, vocabulary, as_of, sources=(), *, own=False):
        self.words = vocabulary
        self.as_of = as_of
        self.sources = {row["source_id"]: row for row in sources}
        self.seen = defaultdict(list)
        for row in interactions:
            if row["occurred_at"] < as_of and row["received_at"] <= as_of and all(as_of < end for end in self.ends(row)) and (not own or self.is_own(row)):
                self.seen[row["person_id"]].append(row)
        self.known = {row["person_id"]: row for row in people if row["joined_at"] is None or row["joined_at"] < as_of}
        if own:
            special = {one.id for one in vocabulary.attributes if one.sensitivity == "special"}
            self.known = {one: {"joined_at": row["joined_at"]} if self.from_elsewhere(row) else row for one, row in self.known.items()}
            self.known = {one: {name: value for name, value in row.items() if name not in special} for one, row in self.known.items()}
        self.base = sorted({*self.seen, *self.known}, key=str.encode)
        self.types = {row["source_id"]: row["type"] for row in sources}
        self.totals = {}

    # --- which interactions

    def ends(self, row):
        """Every time from which on the row does not count."""
        kept, source = self.words.retention, self.sources.get(row["source_id"], {})
        if source.get("expires_at") is not None:
            yield source["expires_at"]
        for days in (kept.interactions, kept.kinds.get(row["kind"]), kept.source_types.get(source.get("type"))):
            if days is not None:
                yield row["occurred_at"] + timedelta(days=days)

    def is_own(self, row):
        if self.is_about_something_special(row):
            return False
        return row["collected_how"] in {"from_person", "observed"} and self.is_own_source(self.sources.get(row["source_id"], {}))

    def is_own_source(self, source):
        return source.get("collected_how") in {"from_person", "observed"} and source["type"] not in {"broker", "contest", "quiz", "partner", "voter_roll"}

    def is_about_something_special(self, row):
        for topic in self.words.topics:
            unclassed = self.words.political_online and not (topic.classed_by and topic.why)
            if (topic.sensitivity == "special" or unclassed) and topic.id in [text.strip() for text in (row["topic"] or "").split(";")]:
                return True
        return False

    def from_elsewhere(self, person):
        return person["source_id"] in self.sources and not self.is_own_source(self.sources[person["source_id"]])

    def topics(self, row):
        listed = [topic for topic in (row["topic"] or "").split(";") if topic in self.words.topic_ids]
        return list(dict.fromkeys(listed))

    def fits(self, row, kind, channel, topic):
        selected = {
            "any": True,
            "any-engagement": row["kind"] in self.words.engagement_kinds,
            "any-in": row["direction"] == "in",
            "any-out": row["direction"] == "out",
            "any-declared": row["kind"] in [kind.id for kind in self.words.kinds if kind.declares],
        }.get(kind, row["kind"] == kind)
        about = {"any": True, "any-topic": bool(self.topics(row))}.get(topic, topic in self.topics(row))
        return selected and channel in {"any", row["channel"]} and about

    def rows(self, person, kind, channel, topic, window="all", *, machine=False):
        since = datetime.min.replace(tzinfo=UTC) if window == "all" else self.as_of - timedelta(days=int(window[:-1]))
        return [r for r in self.seen[person] if r["is_machine"] == machine and r["occurred_at"] >= since and self.fits(r, kind, channel, topic)]

    def n(self, *selection):
        return len(self.rows(*selection))

    def days_since(self, rows):
        return [day(self.as_of) - day(row["occurred_at"]) for row in rows]

    # --- the values

    def value(self, person, feature):
        return float(getattr(self, "_" + feature.statistic)(person, feature))

    def _selection(self, feature):
        return feature.kind, feature.channel, feature.topic

    def _count(self, person, f):
        return self.n(person, *self._selection(f), f.window)

    def _machine(self, person, f):
        return len(self.rows(person, *self._selection(f), f.window, machine=True))

    def _sum(self, person, f):
        values = [row["value"] for row in self.rows(person, *self._selection(f), f.window) if row["value"] is not None]
        return sum(math.floor(value * 2**20 + 0.5) for value in values) / 2**20

    def _largest(self, person, f):
        return max((row["value"] for row in self.rows(person, *self._selection(f)) if row["value"] is not None), default=NAN)

    def _recency(self, person, f):
        return min(self.days_since(self.rows(person, *self._selection(f))), default=NAN)

    def _first(self, person, f):
        return max(self.days_since(self.rows(person, *self._selection(f))), default=NAN)

    def _decayed(self, person, f):
        return sum(2.0 ** (-days / int(f.half_life[:-1])) for days in self.days_since(self.rows(person, *self._selection(f))))

    def _share(self, person, f):
        whole = self.n(person, f.kind, f.channel, "any-topic", f.window) if f.topic != "any" else self.n(person, f.kind, "any", "any", f.window)
        return self._count(person, f) / whole if whole else NAN

    def _entropy(self, person, f):
        counts = [self.n(person, f.kind, f.channel, topic, f.window) for topic in self.words.topic_ids]
        return -sum(c / sum(counts) * math.log2(c / sum(counts)) for c in counts if c) if sum(counts) else NAN

    def _trend(self, person, f):
        short, long = self.n(person, *self._selection(f), f.window), self.n(person, *self._selection(f), f.over)
        return (short + 1) / (long * int(f.window[:-1]) / int(f.over[:-1]) + 1)

    def _habit(self, person, f):
        days = self.days_since(self.rows(person, *self._selection(f)))
        return (max(days) - min(days)) / (len(days) - 1) if len(days) > 1 else NAN

    def _overdue(self, person, f):
        habit = self._habit(person, f)
        return NAN if math.isnan(habit) else self._recency(person, f) / max(habit, 1)

    def _unanswered(self, person, f):
        last = max((row["occurred_at"] for row in self.rows(person, "any-engagement", f.channel, f.topic)), default=None)
        return sum(last is None or row["occurred_at"] > last for row in self.rows(person, *self._selection(f)))

    def _switches(self, person, f):
        place = self.words.topic_ids.index
        answers = sorted((row["occurred_at"], place(self.topics(row)[0])) for row in self.rows(person, *self._selection(f)))
        return sum(one[1] != other[1] for one, other in pairwise(answers))

    def _stated(self, person, f):
        rows = self.rows(person, *self._selection(f))
        return max(rows, key=lambda row: (row["occurred_at"], 1.0 if row["value"] is None else row["value"]), default=None)

    def _declared(self, person, f):
        row = self._stated(person, f)
        return NAN if row is None else 1.0 if row["value"] is None else row["value"]

    def _declared_age(self, person, f):
        row = self._stated(person, f)
        return NAN if row is None else self.days_since([row])[0]

    def _local(self, person, f):
        return [row["occurred_at"].astimezone(ZoneInfo(self.words.timezone)) for row in self.rows(person, *self._selection(f))]

    def _daypart(self, person, f):
        times = self._local(person, f)
        return sum(PARTS[time.hour // 6] == f.part for time in times) / len(times) if times else NAN

    def _weekday(self, person, f):
        times = self._local(person, f)
        return sum(DAYS[time.weekday()] == f.day for time in times) / len(times) if times else NAN

    def _source(self, person, f):
        types = [item.id for item in self.words.source_types]
        code = {row_id: types.index(kind) if kind in types else len(types) for row_id, kind in self.types.items()}
        rows = self.rows(person, "any", "any", "any")
        if not rows:
            return NAN
        wanted = (min if f.which == "first" else max)(row["occurred_at"] for row in rows)
        found = min(code.get(row["source_id"], len(types)) for row in rows if row["occurred_at"] == wanted)
        return found == types.index(f.type)

    def _attribute(self, person, f):
        given = self.known.get(person, {}).get(f.id)
        return NAN if given is None else given if f.category is None else given == f.category

    def _age(self, person, _):
        born = self.known.get(person, {}).get("birth_year")
        return NAN if born is None or born > self.as_of.year else self.as_of.year - born

    def _tenure(self, person, _):
        joined = self.known.get(person, {}).get("joined_at")
        return NAN if joined is None else day(self.as_of) - day(joined)

    # --- what needs the base

    def _pair(self, person, f):
        """Answers and messages of one person."""
        if f.kind == "any-out":
            return self.n(person, "any-engagement", f.channel, f.topic, f.window), self.n(person, *self._selection(f), f.window)
        return sum(self.n(person, kind, "any", "any", f.window) for kind in self.words.answers_to(f.kind)), self.n(person, f.kind, "any", "any", f.window)

    def prior(self, pairs):
        sent = sum(s for _, s in pairs)
        p = sum(x for x, _ in pairs) / sent if sent else 0.0
        if p == 0:
            return 0.0, 1.0
        excess = sum((x - s * p) ** 2 for x, s in pairs) - p * sent
        return p, min(max(p * sum(s * s for _, s in pairs) / excess, 0.5), 1e6) if excess > 1e-9 else 1e6

    def pairs(self, f):
        if f not in self.totals:
            self.totals[f] = {person: self._pair(person, f) for person in self.base}
        return self.totals[f]

    def area(self, person):
        return self.known.get(person, {}).get("area")

    def _rate(self, person, f):
        p, m = self.prior(list(self.pairs(f).values()))
        x, s = self.pairs(f)[person]
        return (x + m * p) / (s + m) if s else NAN

    def _area(self, person, f):
        areas = defaultdict(lambda: (0, 0))
        for one, (x, s) in self.pairs(f).items():
            areas[self.area(one)] = (areas[self.area(one)][0] + x, areas[self.area(one)][1] + s)
        areas.pop(None, None)
        p, m = self.prior(list(areas.values()))
        if self.area(person) is None:
            return NAN
        (x, s), (mine, sent) = areas[self.area(person)], self.pairs(f)[person]
        return (x - mine + m * p) / (s - sent + m) if s > sent else NAN

    def _supply(self, _, f):
        return sum(self.n(person, *self._selection(f), f.window) for person in self.base) / len(self.base)
