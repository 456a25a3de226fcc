# %% [markdown]
# What does permission cost before a score: for a whole base at once, and for one person?
#
# Subject: `features.permission.decision.decide` with the pack `fr`, all of its rules in force, and a ledger that was not seen before. A million
# people, two million events, five hundred sources; a tenth of the events stand in another order than they happened in, as after an import of old consents.
# Two uses: a party online (whoever is left at the end needs explicit consent) and a union at the door (ties and sources).
#
# Peer: the same pack gone through person by person in plain Python over dicts, written from the rules' words, on a sample of the same people. Its time is
# scaled up to all of them, the dicts are made beforehand, and its answers for the sample have to be the same.
#
# One person: their events cut out of the ledger, as a warm cache has them; the median of many people, everything else being loaded.
#
# `python experiments/benchmarks/permission/run.py [--people N]`

# %%
from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT))

from features.permission.decision import decide
from features.permission.facts import ALWAYS, ERASED, NEVER, Events, Facts, Sources
from features.permission.packs import load_pack
from features.permission.rules import Preconditions
from features.permission.use import Use
from features.tables import CONSENT_EVENTS, STATUSES

AT = datetime(2026, 3, 1, tzinfo=UTC)
AT_US = int(AT.timestamp()) * 1_000_000
DAY = 86_400_000_000
PURPOSES = ("political_ads_online", "campaign_messages", "member_information", "research", "any")
CHANNELS = ("any", "email", "sms")
TYPES = ("membership", "petition", "newsletter", "contest", "broker", "voter_roll", "rented_list", "employer_file")
ELECTIONS = ("fr-2026-03", "fr-2027-04", None)
USES = {
    "a party online": Use(purpose="political_ads", channel_class="online_targeted", sponsor_type="political_actor", jurisdiction="fr"),
    "a union at the door": Use(purpose="member_information", channel_class="offline", sponsor_type="union", jurisdiction="fr", election=ELECTIONS[0]),
}
READY = Preconditions(dpia="2026-01", risk_assessment=date(2026, 1, 15))
RUNS, SAMPLE, SINGLES = 3, 20_000, 2_000


# %% People, sources, events


def sources(count: int, random: np.random.Generator) -> Sources:
    types = tuple(random.choice(TYPES, count, p=[0.4, 0.2, 0.2, 0.05, 0.03, 0.05, 0.05, 0.02]))
    elsewhere = {"broker": "third_party", "rented_list": "third_party", "voter_roll": "public"}
    expires = np.where(random.random(count) < 0.2, AT_US + random.integers(-400, 400, count) * DAY, NEVER)
    flags = (random.random((3, count)) < 0.5).astype(np.bool_)
    return Sources(
        tuple(map(str, range(count))),
        types,
        tuple(elsewhere.get(kind, "from_person") for kind in types),
        flags[0],
        flags[1],
        flags[2],
        expires,
        tuple(ELECTIONS[place] for place in random.integers(0, len(ELECTIONS), count)),
    )


def ledger(count: int, people: int, random: np.random.Generator) -> Events:
    subject = np.sort(random.integers(0, people, count))
    at = AT_US - np.sort(random.integers(1, 900 * DAY, count))[::-1]
    late = random.random(count) < 0.1
    at[late] = AT_US - random.integers(1, 900 * DAY, late.sum())
    kinds = random.choice(len(CONSENT_EVENTS) + 1, count, p=[0.8, 0.03, 0.07, 0.05, 0.04, 0.01]).astype(np.int8)
    return Events(
        np.arange(1, count + 1),
        subject,
        kinds,
        random.choice(len(PURPOSES), count, p=[0.5, 0.15, 0.2, 0.05, 0.1]).astype(np.int32),
        random.choice(len(CHANNELS), count, p=[0.7, 0.2, 0.1]).astype(np.int32),
        at,
        at,
        np.where(random.random(count) < 0.5, at + 730 * DAY, NEVER),
        at,
        random.random(count) < 0.8,
        PURPOSES,
        CHANNELS,
    )


def base(people: int, seed: int) -> Facts:
    random = np.random.default_rng(seed)
    elsewhere = np.where(random.random(people) < 0.5, AT_US - random.integers(0, 500, people) * DAY, NEVER)
    return Facts(
        random.permutation(people),
        np.where(random.random(people) < 0.3, 0, random.integers(1930, 2013, people)).astype(np.int16),
        random.choice(len(STATUSES), people, p=[0.3, 0.1, 0.3, 0.3]).astype(np.int8),
        random.integers(0, 500, people).astype(np.int32),
        elsewhere,
        AT_US - random.integers(0, 900, people) * DAY,
        np.where(random.random(people) < 0.05, ALWAYS, NEVER),
        random.random(people) < 0.005,
        sources(500, random),
        ledger(2 * people, people, random),
    )


# %% The peer


def as_dicts(facts: Facts, rows: np.ndarray) -> list[dict[str, Any]]:
    """Return the people in those rows as dicts, each with the dict of their source and a list of dicts of their events."""
    all_of_it, events = facts.sources, facts.events
    keys = ("type", "how", "stated", "supports", "notice", "expires", "election")
    columns = (all_of_it.types, all_of_it.collected_how, all_of_it.political_purpose_stated, all_of_it.supports_sponsor, all_of_it.has_notice)
    known = [dict(zip(keys, values, strict=True)) for values in zip(*columns, all_of_it.expires_us.tolist(), all_of_it.elections, strict=True)]
    first, end = (np.searchsorted(events.subject, facts.subject[rows], side=side) for side in ("left", "right"))
    people = []
    for row, start, stop in zip(rows.tolist(), first.tolist(), end.tolist(), strict=True):
        said = [
            {
                "seq": int(events.seq[place]),
                "event": (*CONSENT_EVENTS, "erased")[events.event[place]],
                "purpose": PURPOSES[events.purpose[place]],
                "channel": CHANNELS[events.channel[place]],
                "at": int(events.at_us[place]),
                "from": int(events.from_us[place]),
                "until": int(events.until_us[place]),
                "explicit": bool(events.explicit[place]),
            }
            for place in range(start, stop)
        ]
        person = {"source": known[facts.source[row]], "status": STATUSES[facts.status[row]], "born": int(facts.birth_year[row]), "events": said}
        person |= {"informed": int(facts.informed_us[row]), "joined": int(facts.joined_us[row]), "suppressed": bool(facts.suppressed[row])}
        people.append(person)
    return people


def stands(events: list[dict[str, Any]], use: Use) -> dict[str, Any]:
    """Return where a person stands, going through their events in the order in which they happened."""
    wide, political = (use.consent_purpose, "any"), ("political_ads", "political_ads_online", "campaign_messages") if use.political else ()
    consents: dict[bool, dict[str, int]] = {False: {}, True: {}}  # by channel the last live consent, and the last explicit one
    last = {"refusal": -1, "objection": -1, "erasure": -1, "back": -1}
    told = sorted((one for one in events if one["from"] <= AT_US), key=lambda one: (one["at"], one["seq"]))
    for place, event in enumerate(told):
        kind, purpose, channel = event["event"], event["purpose"], event["channel"]
        if kind == "given" and event["until"] > AT_US:
            last["back"] = place if event["explicit"] else last["back"]
            for explicit in {False, event["explicit"]} if purpose == use.consent_purpose else ():
                consents[explicit][channel] = place
        elif kind in {"refused", "withdrawn", "expired"} and purpose in wide:
            for kept in consents.values():
                kept.pop(channel, None) if channel != "any" else kept.clear()
            last["refusal"] = place if channel == "any" and kind != "expired" else last["refusal"]
        elif kind == "objected" and channel == "any" and purpose in (*wide, *political):
            last["objection"] = place
        elif kind == "erased":
            last["erasure"] = place
    return {
        "explicit": bool(consents[True]),
        "refusal": told[last["refusal"]]["event"] if last["refusal"] > max(consents[False].values(), default=-1) else None,
        "objection": last["objection"] > max(consents[True].values(), default=-1),
        "erasure": last["erasure"] > last["back"],
    }


def one_by_one(person: dict[str, Any], use: Use) -> str:
    """Return the code of the first rule of `fr` that forbids, or `allowed`; the two uses need no rule that refuses a use as a whole."""
    source, said = person["source"], stands(person["events"], use)
    online, elsewhere = use.channel_class == "online_targeted", source["how"] in {"third_party", "public"}
    expired, tie = source["expires"] <= AT_US, person["status"] in {"member", "former_member", "regular_contact"}
    if person["status"] == "regular_contact" and source["type"] in {"petition", "event"} and not source["supports"]:
        tie = False
    forbids = {
        "erased": person["suppressed"] or said["erasure"],
        "objected": said["objection"],
        "consent_withdrawn": said["refusal"] == "withdrawn",
        "consent_refused": said["refusal"] == "refused",
        "under_age": person["born"] and AT.year - person["born"] < 17,
        "forbidden_source": source["type"] in {"public_authority_file", "employer_file", "scraped_public"},
        "third_party_source": online and elsewhere,
        "source_purpose_missing": source["type"] in {"broker", "contest", "quiz", "partner"} and (online or not (source["stated"] and source["notice"])),
        "roll_expired": source["type"] == "voter_roll" and (expired or use.election is None or source["election"] != use.election),
        "source_expired": expired,
        "not_informed": elsewhere and person["informed"] > AT_US and person["joined"] <= AT_US - 31 * DAY,
        "no_live_political_consent": online and use.political and not said["explicit"],
        "no_art9_basis": not tie and not said["explicit"],
    }
    return next((code for code, holds in forbids.items() if holds), "allowed")


# %% The cases


def bulk(facts: Facts, use: Use) -> tuple[float, Any]:
    """Return the seconds of the fastest run for everybody, and the decisions."""
    best, decisions = float("inf"), None
    for _ in range(RUNS):
        begun = time.perf_counter()
        decisions = decide(facts, use, AT, pack=load_pack("fr"), preconditions=READY)
        best = min(best, time.perf_counter() - begun)
    return best, decisions


def loop(facts: Facts, use: Use, decisions: Any) -> float:
    """Return the seconds that the loop would take for everybody; fails where it decides otherwise."""
    rows = np.sort(np.random.default_rng(1).choice(len(facts), min(SAMPLE, len(facts)), replace=False))
    people = as_dicts(facts, rows)
    begun = time.perf_counter()
    codes = [one_by_one(person, use) for person in people]
    seconds = time.perf_counter() - begun
    differ = [row for row, code in zip(rows, codes, strict=True) if code != (decisions.code(row) or "allowed")]
    if differ:
        sys.exit(f"the loop decides otherwise for {len(differ)} of {len(rows)} people")
    return seconds * len(facts) / len(rows)


def single(facts: Facts, use: Use) -> tuple[float, float]:
    """Return the median and the 99th percentile of milliseconds for one person whose events were cut out."""
    took, events = [], facts.events
    for row in np.random.default_rng(2).integers(0, len(facts), SINGLES):
        cut = slice(*np.searchsorted(events.subject, [facts.subject[row], facts.subject[row] + 1]))
        columns = [
            getattr(events, name)[cut] for name in ("seq", "subject", "event", "purpose", "channel", "at_us", "from_us", "until_us", "recorded_us", "explicit")
        ]
        theirs = Events(*columns, PURPOSES, CHANNELS)
        alone = facts.take(np.array([row]))
        person = Facts(*(getattr(alone, name) for name in _COLUMNS), alone.sources, theirs)
        begun = time.perf_counter()
        decide(person, use, AT, pack=load_pack("fr"), preconditions=READY)
        took.append(1000 * (time.perf_counter() - begun))
    return float(np.median(took)), float(np.percentile(took, 99))


_COLUMNS = ("subject", "birth_year", "status", "source", "informed_us", "joined_us", "elsewhere_us", "suppressed")
assert len((*CONSENT_EVENTS, "erased")) == ERASED + 1


def result(
    case: str, metric: str, unit: str, value: float, *, peer: str = "none", peer_value: float | None = None, target: str | None = None
) -> dict[str, Any]:
    ratio = None if peer_value is None else round(peer_value / value, 3)
    theirs = None if peer_value is None else round(peer_value, 3)
    row = {"case": case, "subject": "decide, pack fr", "peer": peer, "metric": metric, "unit": unit, "value": round(value, 3), "peer_value": theirs}
    return row | {"ratio": ratio, "target": target, "machine": f"{platform.machine()}, {os.cpu_count()} cores", "date": datetime.now(UTC).date().isoformat()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=1_000_000)
    given = parser.parse_args()
    facts = base(given.people, 0)
    results = []
    for name, use in USES.items():
        seconds, decisions = bulk(facts, use)
        print(f"-- {name}: {decisions.counts()}", file=sys.stderr, flush=True)
        theirs = loop(facts, use, decisions)
        case = f"{name}: {given.people:,} people, {len(facts.events):,} events, {len(decisions.rules)} rules"
        peer = f"a loop over dicts, of {min(SAMPLE, given.people):,} people and scaled up"
        results.append(result(case, "time for everybody", "s", seconds, peer=peer, peer_value=theirs, target="<= 5 s"))
        median, high = single(facts, use)
        results.append(result(f"{name}: one person, warm", "median time", "ms", median, target="<= 2 ms"))
        results.append(result(f"{name}: one person, warm", "99th percentile", "ms", high))
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
