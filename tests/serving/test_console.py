"""The auditor's door without a browser: signing in, forms, pages, headers, what is recorded."""

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from features.database.schema import ANSWERS, DECISIONS, SESSIONS
from serving import keys
from serving.console.pages import render_markdown
from tests.serving.conftest import Served, serving, wait_until
from tests.serving.ruled import erase, say


def token_of(answer):
    return re.search(r'name="form_token" value="([0-9a-f]{64})"', answer.text)[1]


class Auditor:
    def __init__(self, served):
        self.served, self.client = served, served.client
        self.key, self.secret = served.make_key("Ann <auditor>", "audit")

    def sign_in(self, secret=None):
        token = token_of(self.client.get("/console/login"))
        return self.client.post("/console/login", data={"key": secret or self.secret, "form_token": token})

    def find(self, person="van:0005", **form):
        token = token_of(self.client.get("/console/people"))
        return self.client.post("/console/people", data={"person": person, "use": "doorstep", "form_token": token, **form})


@pytest.fixture
def auditor(served):
    return Auditor(served)


@pytest.fixture
def signed_in(auditor):
    assert auditor.sign_in().status_code == 303
    return auditor


@pytest.mark.parametrize("path", ["/console/people", "/console/models", "/console/models/affinity/1"])
def test_pages_are_behind_a_key(served, path):
    answer = served.client.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/login")


def test_posting_without_a_session_shows_nobody(served):
    answer = served.client.post("/console/people", data={"person": "van:0005"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/login")


def test_the_cookie_is_kept_from_scripts_and_other_sites(auditor):
    answer = auditor.sign_in()
    assert answer.headers["Location"] == "/console/people"
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("audience_session="))
    assert {"HttpOnly", "SameSite=strict", "Path=/console"} <= {part.strip() for part in cookie.split(";")}
    assert auditor.secret not in cookie


@pytest.mark.parametrize(("scopes", "status"), [(["scores"], 403), (["audit"], 303), (["scores", "audit"], 303)])
def test_the_key_needs_the_scope_audit(auditor, scopes, status):
    _, secret = auditor.served.make_key("tool", *scopes)
    assert auditor.sign_in(secret).status_code == status


def test_a_wrong_key_is_refused_in_words_and_recorded(auditor):
    answer = auditor.sign_in("aud_wrong")
    assert answer.status_code == 401
    assert "not known" in answer.text
    assert "aud_wrong" not in answer.text
    with auditor.served.server.store.read() as connection:
        last = connection.execute(select(ANSWERS).order_by(ANSWERS.c.at.desc()).limit(1)).one()
    assert (last.door, last.route, last.code, last.key_id) == ("console", "POST /console/login", "key_unknown", None)


def test_a_form_needs_its_token(signed_in):
    for token in ("", "0" * 64, "é"):
        answer = signed_in.client.post("/console/people", data={"person": "van:0005", "form_token": token})
        assert answer.status_code == 403
        assert "Starting point" not in answer.text
    assert signed_in.client.post("/console/login", data={"key": signed_in.secret}).status_code == 403


def test_a_session_dies_with_its_key(signed_in):
    assert signed_in.client.get("/console/people").status_code == 200
    keys.revoke(signed_in.served.server.store, signed_in.key.key_id, now=datetime.now(UTC))
    assert signed_in.client.get("/console/people").status_code == 303


def test_a_session_ends_by_itself(signed_in):
    with signed_in.served.server.store.write() as connection:
        past = datetime.now(UTC) - timedelta(seconds=1)
        connection.execute(update(SESSIONS).where(SESSIONS.c.key_id == signed_in.key.key_id).values(expires_at=past))
    assert signed_in.client.get("/console/people").status_code == 303


def test_signing_out(signed_in):
    token = token_of(signed_in.client.get("/console/people"))
    assert signed_in.client.post("/console/logout", data={"form_token": token}).headers["Location"] == "/console/login"
    with signed_in.served.server.store.read() as connection:
        assert connection.execute(select(SESSIONS).where(SESSIONS.c.key_id == signed_in.key.key_id)).all() == []
    assert signed_in.client.get("/console/people").status_code == 303


def test_a_person_is_shown_with_everything(signed_in, made):
    answer = signed_in.find()
    assert answer.status_code == 200
    page = answer.text
    for words in (
        "van:0005",
        "Public transport",
        "Schools &amp; &lt;care&gt;",
        "Rent letter · a neighbour&#39;s story",
        "Ann &lt;auditor&gt;",
        "Reasons, strongest first",
    ):
        assert words in page
    assert page.count('class="waterfall wide"') == page.count('class="waterfall slim"') == 4
    assert page.count('class="interval"') == 4
    assert "Average effect: +3.10" in page
    assert "No model was promoted" in page
    assert 'href="/console/models/affinity/1"' in page
    assert made.affinity.topics_[0] in page


def test_nothing_on_a_page_comes_from_outside_or_runs(signed_in):
    for answer in (signed_in.client.get("/console/login"), signed_in.find(), signed_in.client.get("/console/models/affinity/1")):
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        page = answer.text.replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"<!doctype[^>]*>", "", page)
        assert "<script" not in page
        assert " style=" not in page
    style = signed_in.client.get("/console/style.css")
    assert style.headers["Content-Type"].startswith("text/css")
    assert "url(" not in style.text
    assert "@import" not in style.text


def test_viewing_is_recorded_and_shown_to_the_next(signed_in):
    signed_in.served.ask(["van:0042"], ["affinity:housing"])
    first = signed_in.find("van:0042").text
    assert "campaign tool" in first
    person = signed_in.served.server.audit.pseudonym("van:0042")
    with signed_in.served.server.store.read() as connection:
        rows = connection.execute(select(ANSWERS.c.door, ANSWERS.c.key_id).join(DECISIONS).where(DECISIONS.c.person == person)).all()
    assert [tuple(row) for row in rows].count(("console", signed_in.key.key_id)) == 6
    assert "Console" in signed_in.find("van:0042").text


def test_the_language_of_reasons(signed_in):
    assert "réponses" in signed_in.find(language="fr").text
    assert signed_in.find(language="xx").status_code == 200


def test_an_unknown_person(signed_in):
    answer = signed_in.find("nobody:9")
    assert answer.status_code == 200
    assert "No vector is published for this person" in answer.text


def test_the_decision_comes_before_the_scores(signed_in):
    page = signed_in.find().text
    assert page.index(">Allowed<") < page.index("Topic affinity")
    assert "campaign messages, offline, for an NGO" in page
    assert "none, version 2026.1, not confirmed by anybody yet" in page
    assert "the ledger up to event" in page


def test_who_may_not_be_scored_is_shown_with_the_rule_and_without_a_number(served_copy):
    auditor = Auditor(served_copy)
    auditor.sign_in()
    number = say(served_copy.workspace, "van:0005", "objected", "any")
    for language, words in (("en", "This person objected"), ("fr", "est opposée"), ("nl", "bezwaar gemaakt")):
        answer = auditor.find(language=language)
        assert answer.status_code == 200
        assert ">Forbidden<" in answer.text
        assert words in answer.text
        assert "L18 <code>objected</code>" in answer.text
        assert f"event {number} of the ledger" in answer.text
        for absent in ("waterfall", "Topic affinity", "Valid until"):
            assert absent not in answer.text
    erase(served_copy.workspace, "gone:1")
    page = auditor.find("gone:1").text
    assert "data were erased" in page
    assert "Forbidden" not in page


def test_who_asked_for_the_decision_alone_is_shown_too(signed_in):
    use = {"purpose": "service", "channel_class": "offline", "sponsor_type": "ngo", "jurisdiction": "none"}
    signed_in.client.post("/v1/permissions", json={"people": ["van:0577"], "use": use}, headers=signed_in.served.headers)
    assert "the decision alone" in signed_in.find("van:0577").text


def test_ids_in_a_use_are_shown_as_they_are(served_copy):
    text = (served_copy.workspace.root / "audience.toml").read_text()
    use = 'purpose = "member_information"\nchannel_class = "offline"\nsponsor_type = "political_actor"\njurisdiction = "none"'
    more = f'\n[uses.letter_2]\n{use}\nchannel = "email"\ncampaign_id = "spring_letter"\nelection = "be-2026-10"\n'
    (served_copy.workspace.root / "audience.toml").write_text(text + more)
    with serving(served_copy.workspace.root) as (client, app):
        wait_until(lambda: client.get("/readyz").status_code == 200)
        auditor = Auditor(Served(client, app))
        auditor.sign_in()
        assert (
            "member information, offline, for a political actor, channel email, campaign spring_letter, election be-2026-10"
            in auditor.find(use="letter_2").text
        )


@pytest.mark.parametrize(("use", "status", "words"), [("", 422, "choose a use"), ("x<b>", 422, "choose a use"), ("party_online", 451, "yearly assessment")])
def test_without_a_use_that_may_be_nobody_is_shown(signed_in, use, status, words):
    answer = signed_in.find(use=use)
    assert answer.status_code == status
    assert words in answer.text
    assert "Topic affinity" not in answer.text
    assert "<b>" not in answer.text
    with signed_in.served.server.store.read() as connection:
        last = connection.execute(select(ANSWERS).order_by(ANSWERS.c.at.desc()).limit(1)).one()
    assert (last.door, last.status) == ("console", status)


def test_where_no_use_is_declared_the_page_says_what_to_do(copied, quick_trial):
    text = (copied.root / "audience.toml").read_text()
    begin, end = text.index("[uses.doorstep]"), text.index("[experiments.rent]")
    (copied.root / "audience.toml").write_text(text[:begin] + text[end:])
    with serving(copied.root) as (client, app):
        auditor = Auditor(Served(client, app))
        auditor.sign_in()
        page = client.get("/console/people").text
        assert "No use is declared yet" in page
        declared = re.search(r"<code>(\[uses.*?)</code>", page, re.DOTALL)[1]
        assert "Show scores" not in page
    (copied.root / "audience.toml").write_text(text[:begin] + html.unescape(declared) + "\n\n" + text[end:])
    assert list(type(copied).open(copied.root).permission.uses) == ["doorstep"], "what it shows can be copied"


@pytest.mark.parametrize("person", ["", "   ", "x" * 320])
def test_an_id_that_cannot_be(signed_in, person):
    answer = signed_in.find(person)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_strange_forms_are_no_500(signed_in):
    post = signed_in.client.post
    assert post("/console/people", content=b"x" * 20_000, headers={"Content-Type": "application/x-www-form-urlencoded"}).status_code == 413
    assert post("/console/people", json={}).status_code == 415
    assert post("/console/people", content=b"\xff=%ff", headers={"Content-Type": "application/x-www-form-urlencoded"}).status_code == 422
    assert post("/console/people", content=b"a=1&" * 30, headers={"Content-Type": "application/x-www-form-urlencoded"}).status_code == 422
    assert signed_in.client.delete("/console/people").status_code == 405


def test_what_is_typed_is_escaped(signed_in):
    answer = signed_in.find('<b>"x"</b>')
    assert "<b>" not in answer.text


def test_models_and_a_card(signed_in):
    models = signed_in.client.get("/console/models").text
    assert "persuadability.rent.story" in models
    assert "AUTOC covers zero." in models
    assert "600 people" in models
    assert "<dt>Special attributes</dt><dd>none</dd>" in models
    card = signed_in.client.get("/console/models/affinity/1").text
    assert "<strong>small</strong>" in card
    assert "affinity:housing" in card
    assert signed_in.client.get("/console/models/affinity/2").status_code == 404
    assert signed_in.client.get("/console/models/nothing/1").status_code == 404


def test_a_card_is_no_way_in():
    page = render_markdown("<script>x</script> ![i](https://outside/x.png) [l](javascript:alert(1))")
    assert "<script>" not in page
    assert "<img" not in page
    assert "javascript:" not in "".join(part for part in page.split("<") if part.startswith("a "))
