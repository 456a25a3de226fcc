"""`GET /v1/register` and `GET /v1/notices/{campaign_id}`: pages, forms, keys, and an entry of the log for each."""

import json

import pytest
from sqlalchemy import select

from features.database.schema import ANSWERS
from tests.serving.conftest import DOORSTEP

ONLINE = DOORSTEP | {"channel_class": "online_targeted"}


@pytest.fixture
def reading(served):
    """Asks with a key of the scope `register`; `served` has targeted for the campaign of that key's name."""
    key, secret = served.make_key("publisher", "register")
    served.campaign = key.key_id
    for use in (ONLINE | {"campaign_id": key.key_id}, ONLINE | {"campaign_id": key.key_id, "purpose": "fundraising"}):
        assert served.ask(["van:0001", "van:0002"], ["affinity:*"], use).status_code == 200
    served.reading = key

    def get(address, **query):
        return served.client.get(address, params=query, headers={"Authorization": f"Bearer {secret}"})

    return get


def test_the_register_comes_in_pages(served, reading):
    whole = reading("/v1/register", limit=1000).json()
    assert whole["next"] is None
    numbers, after = [], 0
    while after is not None:
        page = reading("/v1/register", after=after, limit=2).json()
        assert 1 <= len(page["entries"]) <= 2
        numbers += [entry["number"] for entry in page["entries"]]
        after = page["next"]
    assert numbers == [entry["number"] for entry in whole["entries"]]
    topics = reading("/v1/register", kind="topic").json()["entries"]
    assert {entry["says"]["topic"] for entry in topics} == {"housing", "transport", "schools"}
    assert reading("/v1/register", kind="export").json()["entries"] == []
    targeting = [entry["says"] for entry in reading("/v1/register", kind="targeting", limit=1000).json()["entries"]]
    assert [said["use"]["purpose"] for said in targeting if said["campaign"] == served.campaign] == ["campaign_messages", "fundraising"]
    assert "van:" not in json.dumps(whole)
    assert reading("/v1/register", after=2**80).status_code == 422


def test_a_notice_as_it_is_asked_for(served, reading):
    address = f"/v1/notices/{served.campaign}"
    made = reading(address).json()
    assert [each["people_scored"] for each in made["reach"]] == [{"number": None, "fewer_than": 50}] * 2
    assert made["targeting"]["special_categories"] == []
    page = reading(address, format="html", language="nl")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert '<html lang="nl">' in page.text
    assert "Bonen" not in page.text
    assert "Wonen" in page.text
    assert reading(address, format="md").text.startswith("# Transparency notice")
    with served.server.store.read() as connection:
        asked = connection.execute(select(ANSWERS.c.route, ANSWERS.c.status).where(ANSWERS.c.key_id == served.reading.key_id)).all()
    assert [tuple(row) for row in asked] == [("GET /v1/notices/{campaign_id}", 200)] * 3


@pytest.mark.parametrize(("scope", "status"), [("register", 200), ("audit", 200), ("scores", 403), ("people", 403)])
def test_which_keys_may_read(served, scope, status):
    _, secret = served.make_key("reader", scope)
    assert served.client.get("/v1/register", headers={"Authorization": f"Bearer {secret}"}).status_code == status
    assert served.client.get("/v1/register").json()["code"] == "key_missing"


@pytest.mark.parametrize(
    ("address", "query", "status", "code"),
    [
        ("/v1/notices/nowhere", {}, 404, "not_found"),
        ("/v1/notices/van:0001", {}, 404, "not_found"),
        ("/v1/notices/nowhere", {"format": "pdf"}, 422, "request_invalid"),
        ("/v1/notices/nowhere", {"language": "xx"}, 422, "request_invalid"),
        ("/v1/register", {"limit": 0}, 422, "request_invalid"),
        ("/v1/register", {"kind": "people"}, 422, "request_invalid"),
    ],
)
def test_what_is_not_there_or_no_question(reading, address, query, status, code):
    answer = reading(address, **query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "0001" not in answer.text
