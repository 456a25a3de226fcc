"""Strange requests: never a 500, always problem+json with a code, never a person's id."""

import json

import pytest

from serving.problems import CODES, Problem
from tests.serving.conftest import DOORSTEP

PERSON = "van:314159"


def check(answer, status, code):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert (document["status"], document["code"], document["title"]) == (status, code, CODES[code][1])
    assert "314159" not in answer.text
    return document


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"people": [], "scores": ["affinity:*"]}, "people"),
        ({"people": [PERSON]}, "scores"),
        ({"people": [PERSON], "scores": []}, "scores"),
        ({"people": PERSON, "scores": ["affinity:*"]}, "people"),
        ({"people": [PERSON, 314159], "scores": ["affinity:*"]}, "people.1"),
        ({"people": [PERSON, ""], "scores": ["affinity:*"]}, "people.1"),
        ({"people": [PERSON * 100], "scores": ["affinity:*"]}, "people.0"),
        ({"people": [PERSON], "scores": [PERSON]}, "scores.0"),
        ({"people": [PERSON], "scores": ["affinity:"]}, "scores.0"),
        ({"people": [PERSON], "scores": ["affinity:*"] * 201}, "scores"),
        ({"people": [PERSON], "scores": ["affinity:*"], "explain": 21}, "explain"),
        ({"people": [PERSON], "scores": ["affinity:*"], "explain": -1}, "explain"),
        ({"people": [PERSON], "scores": ["affinity:*"], "explain": True}, "explain"),
        ({"people": [PERSON], "scores": ["affinity:*"], "explain": "3"}, "explain"),
        ({"people": [PERSON], "scores": ["affinity:*"], "language": "de"}, "language"),
        ({"people": [PERSON], "scores": ["affinity:*"], PERSON: 1}, "body"),
        ([PERSON], "body"),
        (None, "body"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(served, body, field):
    document = check(served.client.post("/v1/scores", json=body, headers={**served.headers, "Content-Type": "application/json"}), 422, "request_invalid")
    assert field in [fault["field"] for fault in document["errors"]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"people": ["van:314159\\ud800"], "scores": ["affinity:*"]}',
        b'{"people": ["van:314159"], "scores": ["affinity:*"], "explain": NaN}',
        b'{"people": ["van:314159"], "scores": ["affinity:*"], "explain": 1' + b"0" * 5000 + b"}",
        b"[" * 100_000,
        b'{"people": ["van:314159"], "people": 3, "scores": ["affinity:*"]}',
    ],
)
def test_a_body_that_is_no_json_of_ours(served, content):
    check(served.client.post("/v1/scores", content=content, headers={**served.headers, "Content-Type": "application/json"}), 422, "request_invalid")


def test_an_unknown_field_gets_a_hint(served):
    body = {"people": [PERSON], "scores": ["affinity:*"], "use": DOORSTEP, "explian": 3}
    document = check(served.client.post("/v1/scores", json=body, headers=served.headers), 422, "request_invalid")
    assert "did you mean `explain`" in document["errors"][0]["message"]


def test_many_faults_are_cut_short(served):
    body = {"people": [1] * 1000, "scores": ["affinity:*"]}
    assert len(check(served.client.post("/v1/scores", json=body, headers=served.headers), 422, "request_invalid")["errors"]) == 21


def test_odd_person_ids_are_unknown_people(served):
    people = ["\x00", "van:0001\n", "../../etc/passwd", "' OR 1=1 --", "\U0001f600", "٣", "van:0001 "]
    assert [person["code"] for person in served.ask(people).json()["results"]] == ["unknown_person"] * len(people)


@pytest.mark.parametrize(
    ("header", "code"),
    [(None, "key_missing"), ("Basic dTpw", "key_missing"), ("Bearer", "key_missing"), ("Bearer aud_no", "key_unknown"), ("Bearer \xe9", "key_unknown")],
)
def test_without_a_good_key(served, header, code):
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = served.client.post("/v1/scores", json={"people": [PERSON], "scores": ["affinity:*"]}, headers=headers)
    check(answer, 401, code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    check(served.client.get("/v1/models", headers=headers), 401, code)


def test_a_revoked_key_fails_at_once(served):
    from datetime import UTC, datetime

    from serving import keys

    assert served.ask().status_code == 200
    keys.revoke(served.server.store, served.key.key_id, now=datetime.now(UTC))
    check(served.ask(), 401, "key_revoked")


def test_the_wrong_scope(served):
    _, secret = served.make_key("auditor", "audit")
    headers = {"Authorization": f"Bearer {secret}"}
    check(served.client.post("/v1/scores", json={"people": [PERSON], "scores": ["affinity:*"]}, headers=headers), 403, "scope_missing")
    assert served.client.get("/v1/models", headers=headers).status_code == 200


def test_a_body_that_is_too_large(served):
    body = json.dumps({"people": [PERSON], "scores": ["affinity:*"], "pad": "x" * 1_100_000})
    check(served.client.post("/v1/scores", content=body, headers={**served.headers, "Content-Type": "application/json"}), 413, "body_too_large")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_another_media_type(served, media_type):
    check(served.client.post("/v1/scores", content=b"{}", headers={**served.headers, "Content-Type": media_type}), 415, "media_type_unsupported")


def test_json_with_a_charset_is_json(served):
    body = json.dumps({"people": ["van:0001"], "scores": ["affinity:housing"], "use": DOORSTEP})
    headers = {**served.headers, "Content-Type": "Application/JSON; charset=utf-8"}
    assert served.client.post("/v1/scores", content=body, headers=headers).status_code == 200


def test_addresses_and_methods_that_are_not_there(served):
    for path in ("/", "/docs", "/redoc", "/v1", f"/v1/people/{PERSON}", "/v1/scores/", "/console/people/x"):
        answer = served.client.get(path)
        if path.startswith("/console"):
            assert answer.status_code == 404
        else:
            check(answer, 404, "not_found")
    answer = served.client.get("/v1/scores")
    check(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"


def test_an_unforeseen_error_is_a_500_that_repeats_nothing(served, monkeypatch, caplog):
    def fail(*_args, **_how):
        raise KeyError(PERSON)

    monkeypatch.setattr("serving.answering.score", fail)
    with caplog.at_level("INFO", logger="audience"):
        check(served.ask([PERSON]), 500, "internal")
    assert "KeyError" in caplog.text
    assert "314159" not in caplog.text


def test_no_id_in_log_lines_or_metrics(served, caplog):
    with caplog.at_level("DEBUG"):
        served.ask([PERSON], explain=2)
        served.client.get(f"/v1/people/{PERSON}?person={PERSON}")
        served.client.request("PROPFIND", f"/v1/{PERSON}")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("audience")]
    assert any("POST /v1/scores 200" in line for line in ours)
    assert "314159" not in " ".join(ours)
    metrics = served.client.get("/metrics")
    assert 'audience_requests_total{method="POST",route="/v1/scores",status="200"}' in metrics.text
    assert "314159" not in metrics.text


def test_every_code_has_a_status_of_errors():
    assert all(400 <= status < 600 for status, _ in CODES.values())
    problem = Problem("not_found", "words", extra=1)
    assert problem.document()["extra"] == 1
