"""Access and erasure over HTTP: keys of their own scope, in the log before they leave, and nobody's id where it does not belong."""

import json
import shlex
import shutil
import sys

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

import audience
from features.database.schema import ANSWERS, DECISIONS
from features.database.store import Store
from features.history import HistoryError
from features.permission.signing import check
from features.workspace import Workspace
from serving.access_schemas import AccessRequest
from serving.audit import ACCESS
from serving.problems import MEDIA_TYPE, Problem
from serving.registered import RegisteredError, listing
from serving.routes.access import wanted
from tests.serving.conftest import Served, serving, wait_until
from tests.serving.ruled import put_members

PERSON, OTHER = "van:0001", "van:0002"


@pytest.fixture(scope="module")
def rooted(made, tmp_path_factory):
    root = tmp_path_factory.mktemp("access") / "workspace"
    shutil.copytree(made.workspace.root, root, ignore=shutil.ignore_patterns("audience.db*", "database.id"))
    workspace = Workspace.open(root)
    put_members(workspace, [f"van:{number:04}" for number in range(20)])
    return workspace


@pytest.fixture(scope="module")
def asking(rooted):
    """A server, a person who was scored, and functions that ask for access and erasure."""
    command = shlex.join([sys.executable, "-c", "print('[]')"])
    with pytest.MonkeyPatch.context() as patch, serving(rooted.root, models_command=command) as (client, app):
        patch.setattr("models.artefact.try_in_process", lambda _folder: None)
        wait_until(lambda: client.get("/readyz").status_code == 200)
        served = Served(client, app)
        assert served.ask([PERSON], ["affinity:housing"]).status_code == 200
        keys = {scope: {"Authorization": f"Bearer {served.make_key(f'{scope} desk', scope)[1]}"} for scope in ("access", "erasures", "people", "audit")}
        served.post = lambda path, body, scope, **headers: client.post(f"/v1/people/{path}", json=body, headers=keys[scope] | headers)
        yield served


def rows(served, table, **where):
    query = select(table)
    for name, value in where.items():
        query = query.where(table.c[name] == value)
    with served.server.store.read() as connection:
        return connection.execute(query).all()


def test_everything_is_told_and_is_in_the_log_first(asking):
    answer = asking.post("access", {"person": PERSON}, "access")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert (told["person"], told["state"], told["controller"], told["language"]) == (PERSON, "held", "Housing Now", "en")
    assert [row["values"]["status"] for row in told["rows"]] == ["member"]
    (score,) = told["scores"]
    assert (score["score"], score["explained"], bool(score["reasons"]), bool(score["other_band_words"])) == ("affinity:housing", "again", True, True)
    assert told["answers"][-1]["asked_by"] == "campaign tool"
    (entry,) = rows(asking, ANSWERS, answer_id=told["answer_id"])
    assert (entry.route, entry.status, entry.people, entry.use) == ("POST /v1/people/access", 200, 1, None)
    (decision,) = rows(asking, DECISIONS, answer_id=told["answer_id"])
    assert (decision.score, decision.person) == (ACCESS, told["token"])
    assert PERSON not in repr(entry) + repr(decision)
    again = asking.post("access", {"person": PERSON, "language": "fr"}, "access").json()
    assert again["answers"][0]["answer_id"] == told["answer_id"], "who was told is told the next time"
    assert again["language"] == "fr"


def test_a_page_or_paper_by_the_body_or_by_accept(asking):
    page = asking.post("access", {"person": PERSON, "format": "html", "language": "nl"}, "access")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert '<html lang="nl">' in page.text
    assert PERSON in page.text
    paper = asking.post("access", {"person": PERSON}, "access", Accept="application/pdf")
    assert paper.headers["Content-Type"] == "application/pdf"
    assert paper.content.startswith(b"%PDF")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/html,application/json", "html"),
        ("image/png, application/pdf;q=0.9", "pdf"),
        ("application/json, text/html", "json"),
    ],
)
def test_what_accept_asks_for(accept, form):
    assert wanted(accept, AccessRequest(person=PERSON)) == form
    assert wanted(accept, AccessRequest(person=PERSON, format="pdf")) == "pdf"


@pytest.mark.parametrize("path", ["access", "erasures"])
@pytest.mark.parametrize("scope", ["people", "audit", "access", "erasures"])
def test_each_has_a_scope_of_its_own(asking, path, scope):
    if scope == path:
        return
    body = {"person": PERSON} if path == "access" else {"people": [PERSON]}
    before = len(rows(asking, ANSWERS, code="scope_missing"))
    answer = asking.post(path, body, scope)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert len(rows(asking, ANSWERS, code="scope_missing")) == before + 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("access", {"person": ""}),
        ("access", {"person": PERSON, "format": "xml"}),
        ("access", {"person": f"{PERSON}{'x' * 320}"}),
        ("erasures", {"people": []}),
        ("erasures", {"people": [f"{PERSON} "]}),
        ("erasures", {"people": ["0001"]}),
    ],
)
def test_what_cannot_be_used_is_named_and_not_repeated(asking, path, body):
    answer = asking.post(path, body, path)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert PERSON not in answer.text


def test_of_somebody_unknown_nothing_is_written_down_but_that_somebody_asked(asking):
    told = asking.post("access", {"person": "van:stranger"}, "access").json()
    assert told["state"] == "nothing"
    assert rows(asking, DECISIONS, answer_id=told["answer_id"]) == []


def test_tables_that_cannot_be_read_are_told_as_such_and_nothing_else_is(asking, monkeypatch):
    def damaged(*_words, **_more):
        raise HistoryError("people cannot be read now (ArrowInvalid)")

    monkeypatch.setattr("serving.held_data.table_rows", damaged)
    answer = asking.post("access", {"person": PERSON}, "access")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert PERSON not in answer.text


def test_nothing_is_told_without_an_entry_in_the_log(asking, monkeypatch):
    def unrecorded(_self, _answer):
        raise Problem("audit_unavailable", "no")

    monkeypatch.setattr("serving.server.Server.record", unrecorded)
    answer = asking.post("access", {"person": PERSON}, "access")
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, MEDIA_TYPE)
    assert PERSON not in answer.text


def test_erased_people_are_gone_from_the_next_answer_on_with_a_certificate_each(asking):
    body = {"people": ["van:0005", "van:0006"]}
    answer = asking.post("erasures", body, "erasures")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["complete"], len(told["certificates"])) == (True, 2)
    for certificate in told["certificates"]:
        check(certificate, asking.server.workspace.signing_key())
        assert certificate["removed"]["vectors"] == 1
        assert certificate["models"] == []
        assert not certificate["not_complete"], "the models were asked for, by the command"
    assert "van:0005" not in answer.text
    scored = asking.ask(body["people"] + [PERSON], ["affinity:housing"]).json()["results"]
    assert [person["code"] for person in scored] == ["erased", "erased", None]
    assert len(asking.server.reloader.current.vectors) == 598
    (entry,) = rows(asking, ANSWERS, answer_id=told["answer_id"])
    assert (entry.route, entry.people) == ("POST /v1/people/erasures", 2)
    erased = asking.post("access", {"person": "van:0005"}, "access").json()
    assert (erased["state"], erased["rows"], erased["token"]) == ("erased", [], None)


def test_an_erasure_that_stops_on_the_way_says_that_it_is_in_force(asking, monkeypatch):
    def busy(*_words, **_more):
        raise OSError("disk")

    monkeypatch.setattr("features.permission.erasing.erase_from_vectors", busy)
    answer = asking.post("erasures", {"people": ["van:0007"]}, "erasures")
    assert (answer.status_code, answer.json()["code"]) == (503, "erasing_unfinished")
    assert "van:0007" not in answer.text
    assert asking.ask(["van:0007"]).json()["results"][0]["code"] == "erased"


def test_a_server_without_the_engine_says_where_to_erase(asking, monkeypatch):
    monkeypatch.setitem(sys.modules, "features.permission.erasing", None)
    answer = asking.post("erasures", {"people": ["van:0008"]}, "erasures")
    assert (answer.status_code, answer.json()["code"]) == (501, "not_installed")
    assert asking.ask(["van:0008"]).json()["results"][0]["code"] is None


def test_models_are_listed_by_a_command(tmp_path):
    said = {"name": "affinity", "version": 2, "digest": "d", "registered_at": "2026-01-01T00:00:00+00:00", "in_office": True, "table_versions": {"people": 1}}
    program = tmp_path / "list.py"
    program.write_text(f"import json, sys; assert sys.argv[1] == {str(tmp_path)!r}; print(json.dumps([{said!r}]))")
    (model,) = listing(shlex.join([sys.executable, str(program)]), tmp_path)()
    assert (model.name, model.version, model.registered_at.year, model.table_versions) == ("affinity", 2, 2026, {"people": 1})
    assert listing(None, tmp_path) is None
    for words in ("no-such-program", shlex.join([sys.executable, "-c", "print('no json')"]), shlex.join([sys.executable, "-c", "raise SystemExit(1)"])):
        with pytest.raises(RegisteredError):
            listing(words, tmp_path)()


def run(root, *words, given=""):
    return CliRunner().invoke(audience.app, ["access", *map(str, words), "--workspace", str(root)], input=given)


def test_the_command_tells_the_same_and_writes_it_into_the_log(asking, rooted, tmp_path):
    done = run(rooted.root, given=f"{OTHER}\n")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["person"], told["state"]) == (OTHER, "held")
    (entry,) = rows(asking, ANSWERS, answer_id=told["answer_id"])
    assert (entry.door, entry.route, entry.key_id) == ("command", "audience access", None)
    (tmp_path / "id.txt").write_text(f"\ufeff{OTHER}\n\n")
    for form, begins in (("html", b"<!doctype html>"), ("pdf", b"%PDF"), ("jsonld", b"{")):
        out = tmp_path / f"answer.{form}"
        done = run(rooted.root, "--file", tmp_path / "id.txt", "--format", form, "--out", out, "--language", "fr")
        assert done.exit_code == 0, done.output
        assert OTHER not in done.output
        assert out.read_bytes().startswith(begins)
        assert out.stat().st_mode & 0o777 == 0o600


def test_consent_records_come_as_json_ld(rooted):
    store = Store(rooted.database_url)
    store.close()
    said = CliRunner().invoke(audience.app, ["consent", "withdrawn", "--purpose", "service", "--workspace", str(rooted.root)], input="van:0011\n")
    assert said.exit_code == 0, said.output
    document = json.loads(run(rooted.root, "--format", "jsonld", given="van:0011").stdout)
    assert document["@graph"][0]["dpv:hasConsentStatus"] == {"@id": "dpv:ConsentWithdrawn"}
    assert json.loads(run(rooted.root, "--format", "jsonld", given="van:nobody").stdout) == {"@graph": []}


@pytest.mark.parametrize(("given", "told"), [("", "nobody is named"), ("van:1\nvan:2\n", "one person at a time")])
def test_the_command_tells_of_one_person_at_a_time(rooted, given, told):
    done = run(rooted.root, given=given)
    assert done.exit_code == 2
    assert told in " ".join(done.output.replace("│", " ").split())


def test_an_id_as_long_as_ids_may_be_can_be_asked_about(asking):
    longest = f"{'s' * 63}:{'é' * 255}"
    assert asking.post("access", {"person": longest}, "access").json()["state"] == "nothing"
    assert asking.post("objections", {"person": longest}, "people").status_code == 200
