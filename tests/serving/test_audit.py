import json
import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from features.database.schema import ANSWERS, CHAIN, DECISIONS
from features.database.store import Store
from features.permission.ledger import Event, Ledger
from features.permission.use import Use
from serving.audit import Answer, AuditError, AuditLog, Decision, LedgerMovedError
from serving.schemas import PackReference, PermissionBasis
from tests.serving.conftest import DOORSTEP

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def rows(served, table):
    with served.server.store.read() as connection:
        return [row._asdict() for row in connection.execute(select(table))]


def row_of(served, answer_id):
    return next(row for row in rows(served, ANSWERS) if row["answer_id"] == answer_id)


def test_every_score_has_its_row(served):
    answer = served.ask(["van:0003", "nobody:1"], ["affinity:*", "persuadability:rent:figures", "affinity:nonsense"]).json()
    head = row_of(served, answer["answer_id"])
    assert (head["door"], head["route"], head["status"], head["key_id"], head["people"]) == ("api", "POST /v1/scores", 200, served.key.key_id, 2)
    assert json.loads(head["asked"]) == ["affinity:housing", "affinity:transport", "affinity:schools", "persuadability:rent:figures"]
    found = {row["decision_id"]: row for row in rows(served, DECISIONS) if row["answer_id"] == answer["answer_id"]}
    assert len(found) == 9
    for score in answer["results"][0]["scores"]:
        row = found[score["decision_id"]]
        assert row["person"] == served.server.audit.pseudonym("van:0003")
        if "value" in score:
            assert (row["value"], row["low"], row["high"]) == (score["value"], score["low"], score["high"])
            assert (row["model"], row["version"], row["digest"]) == tuple(score["model"][part] for part in ("name", "version", "digest"))
            assert row["as_of"].isoformat() == "2026-10-01T00:00:00+00:00"
        else:
            assert (row["code"], row["value"]) == (score["code"], None)
    assert [row["code"] for row in found.values() if row["person"] == served.server.audit.pseudonym("nobody:1")] == ["unknown_person"] * 4
    assert not any("nonsense" in str(row) for row in found.values())


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"headers": {}}, 401, "key_missing"),
        ({"headers": {"Authorization": "Bearer aud_wrong"}}, 401, "key_unknown"),
        ({"json": {"people": [], "scores": ["affinity:*"]}}, 422, "request_invalid"),
        ({"json": None, "content": b"{"}, 415, "media_type_unsupported"),
    ],
)
def test_refusals_are_recorded_too(served, change, status, code):
    before = len(rows(served, ANSWERS))
    answer = served.client.post("/v1/scores", **({"headers": served.headers, "json": {"people": ["van:0001"], "scores": ["affinity:*"]}} | change))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    added = rows(served, ANSWERS)[before:]
    assert [(row["status"], row["code"], row["route"]) for row in added] == [(status, code, "POST /v1/scores")]
    assert added[0]["key_id"] == (served.key.key_id if status > 401 else None)


def test_models_are_recorded(served):
    before = len(rows(served, ANSWERS))
    served.client.get("/v1/models", headers=served.headers)
    assert [row["route"] for row in rows(served, ANSWERS)[before:]] == ["GET /v1/models"]


def test_no_answer_leaves_without_its_record(served, monkeypatch):
    def fail(_answer):
        raise AuditError("the answer could not be recorded in the audit log, so it is not given")

    monkeypatch.setattr(served.server.audit, "record", fail)
    answer = served.ask()
    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
    assert "value" not in answer.text
    assert served.client.post("/v1/scores").json()["code"] == "audit_unavailable"


def test_a_broken_store_is_a_503(served_copy):
    with served_copy.server.store.write() as connection:
        connection.exec_driver_sql("DROP TABLE decisions")
    answer = served_copy.ask()
    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
    with served_copy.server.store.write() as connection:
        connection.exec_driver_sql("DROP TABLE chain")
        before = connection.exec_driver_sql("SELECT count(*) FROM answers").scalar()
    assert served_copy.ask().status_code == 503
    with served_copy.server.store.write() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM answers").scalar() == before
        connection.exec_driver_sql("DROP TABLE answers")
    assert served_copy.ask().status_code == 503
    assert served_copy.client.get("/livez").status_code == 200


def test_the_log_names_nobody(served_copy):
    served_copy.ask(["van:0123", "nobody:77"], ["affinity:*"])
    served_copy.client.post("/v1/scores", json={"people": ["van:0123"], "scores": ["affinity:van-0123"], "van:0123": 1}, headers=served_copy.headers)
    served_copy.client.get("/v1/people/van:0123")
    served_copy.server.store.close()
    stored = b"".join(path.read_bytes() for path in served_copy.workspace.root.glob("audience.db*"))
    assert b"0123" not in stored
    assert b"nobody" not in stored


def test_pseudonyms_are_keyed(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    one, other = AuditLog(store, b"a" * 32), AuditLog(store, b"b" * 32)
    assert one.pseudonym("van:1") == AuditLog(store, b"a" * 32).pseudonym("van:1")
    assert len({one.pseudonym("van:1"), one.pseudonym("van:2"), other.pseudonym("van:1")}) == 3
    store.close()


def test_a_record_is_whole_or_not_at_all(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    log = AuditLog(store, b"a" * 32)
    twice = [Decision("same", "p", "affinity:housing"), Decision("same", "p", "affinity:schools")]
    with pytest.raises(AuditError):
        log.record(Answer("a", NOW, "api", "POST /v1/scores", 200, decisions=twice))
    with pytest.raises(AuditError):
        log.record(Answer("a", NOW, "api", "POST /v1/scores", 200, decisions=[Decision("a-0", "p", "affinity:housing", value=math.nan)]))
    with store.read() as connection:
        assert [connection.execute(select(table)).all() for table in (ANSWERS, DECISIONS, CHAIN)] == [[], [], []]
    store.close()


def test_who_asked_comes_newest_first(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    log = AuditLog(store, b"a" * 32)
    for number in range(5):
        decisions = [Decision(f"{number}-{score}", log.pseudonym("van:1"), f"affinity:{score}") for score in ("housing", "schools")]
        log.record(Answer(str(number), NOW.replace(minute=number), "api", "POST /v1/scores", 200, decisions=decisions))
    requests = log.requests_about("van:1", limit=3)
    assert [request.answer_id for request in requests] == ["4", "3", "2"]
    assert requests[0].scores == ("affinity:housing", "affinity:schools")
    assert log.requests_about("van:2") == []
    store.close()


def test_nothing_is_recorded_of_who_spoke_since_the_decision(tmp_path):
    """The last look at the ledger is in the very transaction that records the answer."""
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    log, ledger = AuditLog(store, b"k" * 32), Ledger(store, b"k" * 32)
    basis = PermissionBasis(Use(**DOORSTEP), PackReference("none", "1", "0", "unconfirmed", None), NOW, 0, {})
    token = log.pseudonym("van:1")

    def record(name, ledger_at):
        answer = Answer(name, NOW, "api", "POST /v1/scores", 200, decisions=[Decision(f"{name}-0", token, "affinity:housing", value=0.5)])
        log.record(replace(answer, basis=replace(basis, ledger=ledger_at)))

    record("before", 0)
    ledger.append([Event("van:2", "objected", "any", "any", NOW)], now=NOW, door="command")
    record("another's", 0)
    ledger.append([Event("van:1", "objected", "any", "any", NOW)], now=NOW, door="command")
    with pytest.raises(LedgerMovedError):
        record("too late", 1)
    record("decided again", 2)
    with store.write(serial=True) as connection:
        ledger.erase(connection, "van:3", now=NOW, door="command")
    with pytest.raises(LedgerMovedError):
        record("somebody erased", 2)
    with store.read() as connection:
        assert set(connection.execute(select(ANSWERS.c.answer_id)).scalars()) == {"before", "another's", "decided again"}
    store.close()
