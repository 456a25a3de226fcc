"""`POST /v1/aggregates`: the same questions about groups, decided for everybody, and nobody to be found in the answers."""

import json
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import select

from features.database.schema import ANSWERS, DECISIONS
from features.workspace import Workspace
from serving.audit import AuditError
from serving.champion import Champion
from serving.group_tables import OTHERS
from tests.serving.conftest import DOORSTEP, PEOPLE, Served, ready
from tests.serving.ruled import LONG_AGO, PARTY, put, say

GROUPS = DOORSTEP | {"channel_class": "aggregate"}
PARTY_GROUPS = PARTY | {"channel_class": "aggregate"}
MORE = """
[attributes.home]
type = "category"
categories = ["rented", "owned", "boat"]
en = "Home"

[attributes.faith]
type = "category"
categories = ["one", "another"]
sensitivity = "special"
classed_by = "An officer"
why = "members said so, for this"
en = "Faith"

[attributes.income]
type = "numeric"
en = "Income"

[aggregates]
area_characters = 3

[permission]
dpia = "DPIA-1"
"""
IDS = [f"van:{number:04d}" for number in range(PEOPLE)]
AREAS = np.array(["BE1", "BE2", "BE3", "BE4"])[np.minimum(np.arange(PEOPLE) // 190, 3)]
"""190 people in each of three areas and 30 in the fourth; the characters after the third are the street's."""


@pytest.fixture(scope="module")
def counting_server(made, tmp_path_factory):
    root = tmp_path_factory.mktemp("groups") / "workspace"
    shutil.copytree(made.workspace.root, root, ignore=shutil.ignore_patterns("audience.db*", "database.id"))
    (root / "audience.toml").write_text((root / "audience.toml").read_text() + MORE)
    workspace = Workspace.open(root)
    told = {"collected_how": "from_person", "collected_at": LONG_AGO, "political_purpose_stated": False, "supports_sponsor": False}
    put(workspace, "sources", [told | {"source_id": "forms", "type": "membership"}])
    homes = ["rented", "owned", None]
    rows = [{"person_id": person, "area": f"{AREAS[row]}{row % 7}", "home": homes[row % 3]} for row, person in enumerate(IDS[:-1])]
    put(workspace, "people", [row | {"status": "contact", "source_id": "forms", "joined_at": LONG_AGO} for row in rows])
    with ready(workspace) as server:
        yield server


@pytest.fixture
def counting(counting_server):
    """A server whose people live somewhere; `count` asks about groups. Its ledger is shared: tests say nothing for uses that others ask about."""
    served = Served(*counting_server)
    headers = {"Authorization": f"Bearer {served.make_key('figures', 'aggregates')[1]}"}
    served.count = lambda *scores, use=GROUPS, headers=headers, **more: served.client.post(
        "/v1/aggregates", json={"scores": list(scores) or ["affinity:housing"], "use": use, **more}, headers=headers
    )
    return served


def only(answer):
    assert answer.status_code == 200, answer.text
    (table,) = answer.json()["tables"]
    return table


def by_group(cells):
    return {tuple(cell["group"].values()): cell for cell in cells}


def last_answer(served):
    with served.server.store.read() as connection:
        return connection.execute(select(ANSWERS).order_by(ANSWERS.c.at.desc()).limit(1)).one()


def test_how_many_are_interested_and_how_strongly(counting, made):
    share = made.affinity.predict_proba(made.vectors.frame())[:, 0]
    table = only(counting.count())
    assert table["total"] == {"group": {}, "hidden": False, "people": 600, "expected": round(share.sum()), "mean": pytest.approx(share.mean(), abs=0.001)}
    assert (table["scale"], table["model"]["name"], table["code"]) == ("probability", "affinity", None)
    areas = by_group(only(counting.count(by=["area"]))["groups"])
    assert set(areas) == {("BE2",), ("BE3",), (OTHERS,)}, "30 people, and the one nobody knows of, are put together with the first of the smallest"
    assert (areas["BE2",]["people"], areas[OTHERS,]["people"]) == (190, 220)
    assert areas["BE2",]["expected"] == round(share[AREAS == "BE2"].sum())
    homes = by_group(only(counting.count(by=["home"]))["groups"])
    assert [(*home, cell["people"]) for home, cell in homes.items()] == [("rented", 200), ("owned", 200), ("(unknown)", 200)]


def test_cells_of_two_dimensions_are_as_large_as_promised(counting, made):
    share = made.affinity.predict_proba(made.vectors.frame())[:, 0]
    bands = counting.server.reloader.current.bands["affinity:housing"]
    table = only(counting.count(by=["area", "band"]))
    for (area, band), cell in by_group(table["cells"]).items():
        there = np.isin(AREAS, ["BE1", "BE4"] if area == OTHERS else [area])
        inside = there & (share >= bands.high_from if band == "high" else share < bands.low_below if band == "low" else True)
        assert cell["hidden"] or cell["people"] >= 50
        assert band == "medium" or cell["hidden"] or abs(cell["people"] - inside.sum()) <= 2
    assert any(cell["hidden"] for cell in table["cells"])
    assert {cell["group"].get("band") for cell in table["groups"]} == {None, "high", "medium", "low"}


def test_how_much_contact_would_change(counting, made):
    uplift = made.story.predict_uplift(made.vectors.frame())
    table = only(counting.count("persuadability:rent:story", by=["band"]))
    assert (table["scale"], table["step"], table["total"]["expected"]) == ("uplift_pp", 1, round(uplift.sum()))
    assert table["total"]["mean"] == pytest.approx(100 * uplift.mean(), abs=100 * 0.5 / 600)
    answer = counting.count("persuadability:rent:*", "affinity:roads").json()["tables"]
    assert [table["code"] for table in answer] == [None, "ranking_refused", "unknown_score"]
    assert answer[1]["average"]["value"] == pytest.approx(3.1)


def test_nobody_is_in_the_answer_nor_in_the_log_which_says_what_it_stood_on(counting):
    before = rows(counting, DECISIONS)
    answer = counting.count("affinity:*", by=["area", "band"])
    assert "van:" not in answer.text
    last = last_answer(counting)
    assert (last.route, last.status, last.people, last.answer_id) == ("POST /v1/aggregates", 200, 600, answer.json()["answer_id"])
    named = ["affinity:housing", "affinity:transport", "affinity:schools"]
    assert json.loads(last.asked) == [*named, "by area", "by band", "k 50"]
    assert json.loads(last.use)["channel_class"] == "aggregate"
    assert (last.ledger, json.loads(last.tables)) == (answer.json()["permission"]["ledger"], answer.json()["permission"]["table_versions"])
    assert rows(counting, DECISIONS) == before


def rows(served, table):
    with served.server.store.read() as connection:
        return len(connection.execute(select(table)).all())


def test_who_objects_is_not_counted_from_the_next_answer_on(counting):
    use = GROUPS | {"purpose": "research"}
    share = sum(score["value"] for score in scores_of(counting, IDS[20:30]))
    before = only(counting.count(use=use))["total"]
    for person in IDS[20:30]:
        say(counting.workspace, person, "objected", "research")
    after = only(counting.count(use=use))["total"]
    assert (before["people"], after["people"]) == (600, 590)
    assert abs(before["expected"] - after["expected"] - share) <= 1
    assert last_answer(counting).people == 590
    assert only(counting.count())["total"]["people"] == 600, "for another use they are"


def scores_of(served, people):
    return [person["scores"][0] for person in served.ask(people).json()["results"]]


def test_an_objection_between_decision_and_record_is_in_the_answer(counting, monkeypatch):
    use, log = GROUPS | {"purpose": "fundraising"}, counting.server.audit
    record, said = log.record, []

    def slow(answer):
        if not said:
            said.extend(say(counting.workspace, person, "objected", "fundraising") for person in IDS[40:45])
        record(answer)

    monkeypatch.setattr(type(log), "record", lambda _self, answer: slow(answer))
    answer = counting.count(use=use).json()
    assert answer["people"] == 595
    assert answer["permission"]["ledger"] >= said[-1]


def test_no_entry_no_figures(counting, monkeypatch):
    def fails(_self, _answer):
        raise AuditError("no")

    monkeypatch.setattr("serving.audit.AuditLog.record", fails)
    answer = counting.count()
    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
    assert "tables" not in answer.json()


def test_what_was_worked_out_is_kept_for_the_very_same_people_alone(counting, monkeypatch):
    use, asked = GROUPS | {"purpose": "service"}, []
    serve = Champion.serve
    monkeypatch.setattr(Champion, "serve", lambda self, X, scores: asked.append(len(X)) or serve(self, X, scores))
    first = only(counting.count("affinity:transport", use=use, by=["home"]))
    say(counting.workspace, IDS[60], "given", "service")
    assert only(counting.count("affinity:transport", use=use, by=["home"])) == first
    assert asked == [600]
    say(counting.workspace, IDS[60], "objected", "service")
    counting.count("affinity:transport", use=use, by=["home"])
    assert asked == [600, 599]


def test_a_party_may_count_contacts_where_it_may_not_pick_them(counting):
    assert only(counting.count(use=PARTY_GROUPS))["total"]["people"] == 600, "one is no row of the table of people, and for groups that is no bar"
    assert counting.ask(IDS[:2], use=PARTY, individual=True).status_code == 451
    refused = counting.count(use=PARTY)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "use.channel_class")


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (["faith"], "special sensitivity"),
        (["income"], "allowed: area, band, home"),
        (["hom"], "Did you mean 'home'"),
        (["area", "area"], "stands there once"),
        (["van:314159"], "pattern"),
        (["area", "band", "home"], "at most 2"),
    ],
)
def test_what_people_cannot_be_grouped_by_is_told(counting, by, words):
    answer = counting.count(by=by)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert words in str(answer.json()["errors"])
    assert answer.json()["errors"][0]["field"].startswith("by")
    assert "314159" not in answer.text


def test_fewer_than_k_are_nobody(counting):
    object_all(counting.workspace, IDS[: PEOPLE - 49])
    answer = counting.count(use=GROUPS | {"purpose": "member_information"})
    assert (answer.status_code, answer.json()["code"]) == (403, "audience_too_small")
    assert json.loads(last_answer(counting).use)["purpose"] == "member_information"


def object_all(workspace, people):
    from features.database.store import Store
    from features.permission.ledger import Event, Ledger

    store, now = Store(workspace.database_url), datetime.now(UTC)
    try:
        Ledger(store, workspace.signing_key()).append([Event(person, "objected", "member_information", "any", now) for person in people], now=now, door="x")
    finally:
        store.close()


def test_keys_have_a_scope_of_their_own(counting):
    assert counting.count(headers=counting.headers).status_code == 200, "who may ask about people may ask about groups"
    figures = {"Authorization": f"Bearer {counting.make_key('figures', 'aggregates')[1]}"}
    answer = counting.client.post("/v1/scores", json={"people": ["van:0001"], "scores": ["affinity:*"], "use": DOORSTEP}, headers=figures)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    audit = {"Authorization": f"Bearer {counting.make_key('auditor', 'audit')[1]}"}
    assert counting.count(headers=audit).json()["code"] == "scope_missing"
