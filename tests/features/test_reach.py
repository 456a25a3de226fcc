"""Who was reached, against counting by hand."""

import itertools
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from features.database.schema import ANSWERS, DECISIONS, EXPORT_PEOPLE, EXPORTS
from features.database.store import Store
from features.permission.reach import ERASED_TOKEN, NOT_REFUSED, campaigns, reached

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
USE = {"purpose": "campaign_messages", "channel_class": "online_targeted", "sponsor_type": "ngo", "jurisdiction": "fr", "campaign_id": "housing"}
USES = [
    USE,
    USE | {"purpose": "fundraising"},
    USE | {"campaign_id": "other"},
    USE | {"channel_class": "offline"},
    {name: value for name, value in USE.items() if name != "campaign_id"},
]
CODES = [None, None, None, "objected", "consent_withdrawn", "no_model", "unknown_person"]


def text(use):
    return json.dumps(use, sort_keys=True)


def fill(store, *, answers=120):
    """Random answers about random people, two scores each, one of a special topic; returns the heads, and use, code, token and answer of each decision."""
    draw, heads, rows, told = np.random.default_rng(7), [], [], []
    for number in range(answers):
        use, at = USES[draw.integers(len(USES))], NOW + timedelta(hours=int(draw.integers(2000)))
        status = 451 if number % 17 == 0 else 200
        heads.append(
            {"answer_id": f"a{number}", "at": at, "door": "api", "route": "POST /v1/scores", "status": status, "people": 5, "asked": "[]", "use": text(use)}
        )
        for place in range(5 if status == 200 else 0):
            token, code = f"token{draw.integers(90)}", CODES[draw.integers(len(CODES))]
            token = ERASED_TOKEN if draw.random() < 0.05 else token
            for score, said in (("housing", code), ("schools", code or "special_category_profiling")):
                told.append((text(use), said, token, number))
                row = {"decision_id": f"a{number}-{place}-{score}", "answer_id": f"a{number}", "person": token, "at": at, "score": f"affinity:{score}"}
                rows.append(row | {"code": said, "value": 0.5 if said is None else None})
    with store.write() as connection:
        connection.execute(ANSWERS.insert(), heads)
        connection.execute(DECISIONS.insert(), rows)
    return heads, told


def by_hand(heads, told, use):
    scored, refused, given = set(), defaultdict(set), {(token, answer) for _, code, token, answer in told if code is None}
    for said, code, token, answer in told:
        if said == text(use) and token != ERASED_TOKEN:
            if code is None:
                scored.add(token)
            elif code not in NOT_REFUSED and (token, answer) not in given:
                refused[code].add(token)
    times = [head["at"] for head in heads if head["use"] == text(use) and head["status"] == 200]
    return len(times), min(times), max(times), len(scored), {code: len(people) for code, people in refused.items()}


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_it_is_what_counting_by_hand_gives(request, tmp_path, database):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}" if database == "sqlite" else request.getfixturevalue("new_postgres")())
    try:
        heads, told = fill(store)
        for campaign, uses in {"housing": USES[:2], "other": USES[2:3], "nowhere": []}.items():
            found = {text(dict(each.use)): each for each in reached(store, campaign)}
            assert set(found) == {text(use) for use in uses}
            for use in uses:
                each = found[text(use)]
                assert (each.answers, each.first, each.last, each.scored, dict(each.refused)) == by_hand(heads, told, use)
                assert each.exports == each.handed_out == 0
        assert campaigns(store) == ["housing", "other"]
        hand_out(store)
        (only, first, *_) = sorted(reached(store, "housing"), key=lambda each: -each.exports)
        assert (only.exports, only.handed_out, only.answers > 0) == (2, 3, True), "people of two exports count once, also where the use is written otherwise"
        assert first.exports == 0
        (alone,) = reached(store, "exported")
        assert (alone.answers, alone.scored, alone.exports, alone.handed_out, alone.first) == (0, 0, 1, 1, NOW)
    finally:
        store.close()


def hand_out(store):
    head = {"at": NOW, "recipient": "Printer", "outside": True, "approver": "A. Officer", "scores": "[]", "models": "[]", "people": 2, "law": "fr"}
    head |= {"ledger": 0, "tables": "{}", "as_of": NOW, "file_digest": "0" * 64}
    uses = {"e1": text(USE), "e2": json.dumps(USE), "e3": text(USE | {"campaign_id": "exported"})}
    people = {"e1": ("token1", "token2"), "e2": ("token2", "token3"), "e3": ("token1",)}
    numbers = itertools.count()
    with store.write() as connection:
        connection.execute(EXPORTS.insert(), [head | {"export_id": name, "use": use} for name, use in uses.items()])
        rows = [{"reference": f"r{next(numbers)}", "export_id": name, "person": token} for name, tokens in people.items() for token in tokens]
        connection.execute(EXPORT_PEOPLE.insert(), rows)
