"""Everything that is held of a person is told, nothing of anybody else, and every score with what it was made of."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import get_args

import pandas as pd
import pytest
from sqlalchemy import select

from features.database.schema import ANSWERS, DECISIONS
from features.history import History
from features.permission.places import PLACES
from features.publication import build_into
from features.tables import STORED
from features.vocabulary import LANGUAGES
from features.workspace import Workspace
from models.counterfactual import changed
from serving import access_names, access_words, held_scores
from serving.access_document import document
from serving.access_schemas import HELD_DATA
from serving.audit import ACCESS, AuditLog
from serving.bands import band, cut
from serving.held_data import ANSWERED, held_data
from serving.held_rows import LINES, NAMED, named_files
from serving.held_scores import nearest_border
from serving.names import workspace_scores
from serving.past_scores import TOLERANCE, Why
from serving.schemas import Bands
from serving.telling import told
from tests.serving.conftest import DOORSTEP
from tests.serving.ruled import erase, put, say
from tests.serving.told import AS_OF, CANARY, EXPIRES, LATER, NOW, OTHER, ask, make, opened


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("told"))


@pytest.fixture(scope="module")
def telling(made):
    """A function that tells what is held in the made workspace."""
    records, store = opened(made)
    yield lambda person=CANARY, **more: held_data(records, person, at=NOW, **more)
    store.close()


@pytest.fixture(scope="module")
def data(telling):
    return telling(language="en")


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made.root, tmp_path / "copy")
    return Workspace.open(tmp_path / "copy")


@pytest.fixture
def without_party(copied):
    """The same without a use on behalf of a political actor, so that no topic is withheld from online targeting."""
    path = copied.root / "audience.toml"
    path.write_text(path.read_text().replace('sponsor_type = "political_actor"', 'sponsor_type = "ngo"'))
    return Workspace.open(copied.root)


def tell(workspace, person=CANARY, **more):
    records, store = opened(workspace, **more)
    try:
        return held_data(records, person, at=datetime.now(UTC), language="en")
    finally:
        store.close()


def text_of(data):
    return HELD_DATA.dump_json(data).decode()


def test_every_place_that_can_hold_personal_data_is_answered_from():
    personal = {place.name for place in PLACES if place.personal}
    assert set(ANSWERED) == personal, "say in ANSWERED of serving/held_data.py how a place is answered from, and in PLACES_HELD of access_names what it holds"
    assert set(access_names.PLACES_HELD) == personal
    assert {name for name, how in ANSWERED.items() if how == "lines"} == set(LINES)
    assert {name for name, how in ANSWERED.items() if how == "files"} == set(NAMED)


def test_what_is_held_in_each_place_is_told(data):
    assert data.state == "held"
    rows = {table: [row for row in data.rows if row.table == table] for table in STORED}
    assert {row.values["message_id"] for row in rows["interactions"]} == {f"message of {CANARY}"}
    assert [(row.values["area"], row.earlier) for row in rows["people"]] == [(f"area of {CANARY}", False), (f"old area of {CANARY}", True)]
    assert rows["assignments"][0].values["unit_id"] == f"household of {CANARY}"
    assert rows["outcomes"][0].values["outcome"] == "signed"
    assert len(data.vector) > 50
    assert data.vector_as_of == LATER
    (event,) = data.events
    assert (event.evidence, event.wording_hash) == (f"letter of {CANARY}", "wording-1")
    assert data.consents["@graph"][0]["dpv:hasDataSubject"] == CANARY
    assert {answer.asked_by for answer in data.answers} == {f"tool of {CANARY}"}
    (export,) = data.exports
    said = (export.recipient, export.approver, export.reference, export.use["purpose"], export.notices[0].reason, export.notices[0].told_at)
    assert said == (f"Printer of {CANARY}", "A. Lead", f"row of {CANARY}"[:32], "campaign_messages", "objected", None)
    scored = next(score for score in data.scores if score.as_of == AS_OF)
    assert export.as_of == AS_OF
    assert [(each.score, each.value, each.low) for each in export.values] == [("affinity:housing", scored.value, scored.low)]
    files = {file.path: file for file in data.files}
    assert set(files) == {
        "raw/people.csv",
        "notes/look.ipynb",
        "notes/.ipynb_checkpoints/look-checkpoint.ipynb",
        "tables/.staging/people/part",
        "truth/affinity.csv",
        "rejects/people-1.csv",
        "experiments/rent/assignments.csv",
        "exports/printer.csv",
        "exports/theirs.parquet",
    }
    assert files["experiments/rent/assignments.csv"].lines == ["person_id,arm", f"{CANARY},story"]
    assert len(files["rejects/people-1.csv"].lines) == 2
    assert [place.place for place in data.checked] == [place.name for place in PLACES if place.personal]


def test_each_row_says_where_it_came_from_and_until_when_it_is_kept(data):
    sources = {source.source_id: source for source in data.sources}
    assert (sources["forms"].notice_hash, sources["forms"].kept_until) == ("abc123", None)
    assert (sources["stall"].type, sources["stall"].collected_how, sources["stall"].kept_until) == ("event", "observed", EXPIRES)
    for row in data.rows:
        if row.table in {"people", "interactions"}:
            assert row.source in sources
    limited = [row for row in data.rows if row.values.get("kind") == "letter_open"]
    assert {(row.kept_until - row.values["occurred_at"], row.kept_by) for row in limited} == {(timedelta(days=3650), "kind")}
    assert {(row.kept_until, row.kept_by) for row in data.rows if row.values.get("kind") == "letter_sent"} == {(EXPIRES, "source_expired")}
    assert {(row.kept_until, row.kept_by) for row in data.rows if row.table != "interactions"} == {(None, None)}
    kept = data.retention
    assert (kept.kinds, kept.interactions, kept.inactive_days, kept.member, kept.inactive_on) == ({"letter_open": 3650}, None, 1095, True, None)
    assert kept.heard_at == max(row.values["occurred_at"] for row in limited)
    assert kept.words[0] == "Of it, letters opened: 3,650 days."
    assert any("As long as you are a member" in words for words in kept.words)


def test_nothing_of_anybody_else_is_told(data, telling):
    """Also not of somebody whose id begins with this one's."""
    assert OTHER not in text_of(data)
    assert "van:001" not in text_of(data)
    assert CANARY not in text_of(telling(OTHER, language="en")).replace(OTHER, "")


def test_every_score_is_made_again_and_says_why(data):
    topics = {(f"affinity:{topic}", LATER) for topic in ("housing", "transport", "schools")}
    assert {(score.score, score.as_of) for score in data.scores} == {*topics, ("affinity:housing", AS_OF)}
    assert data.scores[-1].as_of == AS_OF
    for score in data.scores:
        assert (score.explained, score.why) == ("again", None)
        assert score.reasons
        assert all(reason.text and reason.effect for reason in score.reasons)
        assert score.other_band_words


def test_what_would_bring_another_band_is_told_in_words(data):
    others = [score for score in data.scores if score.other_band is not None]
    assert others
    for score in others:
        assert score.other_band.band != score.band
        assert 1 <= len(score.other_band.changes) <= 3
        assert f"{score.other_band.band} instead of {score.band}" in score.other_band_words
        for new, old in zip(score.other_band.changes, score.other_band.instead_of, strict=True):
            assert new != old


def bought(workspace):
    """Store what a broker told of the canary and build the vectors of all and of own rows anew, a time apart; ask for an online use; return both times."""
    broker = {"source_id": "list", "type": "broker", "collected_how": "third_party", "collected_at": AS_OF, "notice_hash": "abc"}
    put(workspace, "sources", [broker | {"political_purpose_stated": True, "supports_sponsor": False}])
    row = {"person_id": CANARY, "occurred_at": AS_OF, "received_at": AS_OF, "kind": "letter_open", "channel": "email", "topic": "housing", "direction": "in"}
    more = {"source_id": "list", "collected_how": "third_party", "is_machine": False}
    put(workspace, "interactions", [row | more | {"interaction_id": f"bought-{number}"} for number in range(9)])
    history = History(workspace.tables, workspace.vocabulary)
    every, own = LATER + timedelta(days=1), LATER + timedelta(days=2)
    build_into(history, workspace.vocabulary, every, workspace.vectors)
    build_into(history, workspace.vocabulary, own, workspace.own_vectors, own=True)
    ask(workspace, [CANARY], ["affinity:housing"], NOW, use=DOORSTEP)
    ask(workspace, [CANARY], ["affinity:housing"], NOW, use=DOORSTEP | {"channel_class": "online_targeted"})
    return every, own


def test_what_was_answered_from_own_rows_is_made_again_from_own_rows(without_party, monkeypatch):
    every, own = bought(without_party)

    def told():
        found = tell(without_party)
        return found, {score.as_of: (score.explained, score.value) for score in found.scores if score.as_of in (every, own)}

    found, scores = told()
    assert [how for how, _ in scores.values()] == ["again", "again"]
    assert scores[own][1] != scores[every][1]
    assert next(use.code for use in found.uses if use.name == "party_online") != "third_party_source", "own rows are answered from"
    assert found.own_vector_as_of == own
    count = "count|kind=letter_open|channel=any|topic=housing|window=all"
    (ours,), (alls,) = ([feature.value for feature in vector if feature.feature == count] for vector in (found.own_vector, found.vector))
    assert alls == ours + 9
    assert 0 < len(found.own_vector) < len(found.vector)
    assert not set(found.own_vector) & set(found.vector)
    shutil.rmtree(without_party.own_vectors)
    found, built = told()
    assert built == scores, "built again from the tables, of own rows alone"
    assert (found.own_vector_as_of, found.own_vector) == (None, ())
    monkeypatch.setattr(held_scores, "_of_own", lambda _line: False)
    assert told()[1][own][0] == "present", "of all rows another value comes out"


def test_online_a_score_of_now_is_told_where_own_rows_are_about_nothing_special(without_party):
    """The score was made of own vectors that are gone; those of now withhold the topic that is special, so another topic's score may be worked out."""
    path, now = without_party.root / "audience.toml", datetime.now(UTC)
    text = path.read_text().replace("[topics.schools]\n", '[topics.schools]\nsensitivity = "special"\n')
    path.write_text(f'{text}\n[permission]\ndpia = "DPIA-1"\nrisk_assessment = {now.date()}\n')
    workspace = Workspace.open(without_party.root)
    history, then = History(workspace.tables, workspace.vocabulary), LATER + timedelta(days=2)
    build_into(history, workspace.vocabulary, then, workspace.own_vectors, own=True)
    ask(workspace, [CANARY], ["affinity:housing"], now, use=DOORSTEP | {"channel_class": "online_targeted", "jurisdiction": "fr"})
    shutil.rmtree(workspace.own_vectors)

    def told():
        return next(score for score in tell(workspace, most_built=0).scores if score.as_of == then)

    assert (told().explained, told().present_value) == ("not", None), "vectors of all rows may rest on what is special"
    build_into(history, workspace.vocabulary, then + timedelta(days=1), workspace.own_vectors, own=True)
    assert told().explained == "present"
    assert 0 < told().present_value < 1


def test_own_rows_that_are_all_rows_are_said_to_be_the_same(without_party):
    history = History(without_party.tables, without_party.vocabulary)
    build_into(history, without_party.vocabulary, LATER, without_party.own_vectors, own=True)
    found = tell(without_party)
    assert (found.own_vector_as_of, found.own_vector) == (LATER, ())
    shown = document(found, without_party.vocabulary)
    assert any("every number is the same" in said for section in shown.sections for block in section.blocks for said in block.sentences)


def test_the_model_itself_gives_the_other_band(made, data, monkeypatch):
    """Of the changed row that was found, the model in office gives that value, and the bands of the base that band."""
    seen = []
    monkeypatch.setattr(held_scores, "changed", lambda *words: seen.append(changed(*words)) or seen[-1])
    records, store = opened(made)
    model = records.champions["affinity"]
    again = held_data(records, CANARY, at=NOW, language="en")
    store.close()
    others = [score for score in again.scores if score.other_band is not None]
    assert len(others) == len(seen) > 0
    sample = records.vectors.matrix
    for score, row in zip(others, seen, strict=True):
        name = workspace_scores(made.vocabulary)[score.score]
        frames = (pd.DataFrame(rows, columns=list(model.columns)) for rows in (row[None], sample))
        (value,), base = (model.serve(frame, [name])[0].values for frame in frames)
        assert value == score.other_band.value
        assert band(value, cut(base)) == score.other_band.band != band(score.value, cut(base))


def test_a_score_is_made_again_from_the_tables_where_its_vectors_are_gone(copied):
    forget_vectors(copied)
    score = next(score for score in tell(copied).scores if score.as_of == AS_OF)
    assert (score.explained, score.why) == ("again", None)
    limited = next(score for score in tell(copied, most_built=0).scores if score.as_of == AS_OF)
    assert limited.explained == "present"
    assert "only the latest times" in limited.why


def test_a_score_of_data_that_changed_since_says_so_and_gives_that_of_now(copied):
    forget_vectors(copied)
    at = AS_OF - timedelta(days=5)
    one = {"person_id": CANARY, "occurred_at": at, "received_at": at, "kind": "letter_open", "channel": "email", "topic": "housing", "direction": "in"}
    row = one | {"source_id": "stall", "collected_how": "observed", "is_machine": False}
    put(copied, "interactions", [row | {"interaction_id": f"late-{number}"} for number in range(9)])
    forget_versions(copied)
    score = next(score for score in tell(copied).scores if score.as_of == AS_OF)
    assert score.explained == "present"
    assert "changed or corrected since" in score.why
    now = next(score for score in tell(copied).scores if score.as_of == LATER and score.score == "affinity:housing")
    assert score.present_value == pytest.approx(now.value, abs=TOLERANCE)


def test_a_score_of_features_that_are_others_now_says_so(copied):
    forget_vectors(copied)
    path = copied.root / "audience.toml"
    path.write_text(path.read_text().replace("windows_days = [30, 90]", "windows_days = [30, 60]"))
    score = next(score for score in tell(Workspace.open(copied.root)).scores if score.as_of == AS_OF)
    assert score.explained == "present"
    assert "defined in another way" in score.why


def forget_vectors(workspace):
    """As a workspace in which the older vectors are not on the disk any more."""
    for folder in workspace.vectors.glob("v*"):
        if AS_OF.isoformat() in (folder / "manifest.json").read_text():
            shutil.rmtree(folder)


def forget_versions(workspace):
    """As an answer of a release that did not write down which versions of the tables it stood on."""
    _, store = opened(workspace)
    with store.write() as connection:
        triggers = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'answers'").scalars().all()
        for name in triggers:
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        connection.execute(ANSWERS.update().values(tables=None))
    store.close()


def test_no_score_of_now_is_worked_out_where_that_is_forbidden(copied):
    say(copied, CANARY, "objected", "any")
    shutil.rmtree(copied.models / "affinity")
    gone = tell(copied).scores
    assert {(score.explained, bool(score.reasons)) for score in gone} == {("not", False)}
    assert all("the model is not kept any more" in score.why for score in gone)


def test_after_an_objection_what_was_scored_is_explained_and_nothing_new_is_worked_out(copied):
    say(copied, CANARY, "objected", "any")
    found = tell(copied, most_built=0)
    assert {use.name: (use.allowed, use.code) for use in found.uses} == {"doorstep": (False, "objected"), "party_online": (False, found.uses[1].code)}
    assert {score.explained for score in found.scores if score.as_of == LATER} == {"again"}
    forget_vectors(copied)
    past = next(score for score in tell(copied, most_built=0).scores if score.as_of == AS_OF)
    assert (past.explained, past.present_value, past.reasons) == ("not", None, [])
    assert found.uses[0].words in past.why


def test_refusals_are_told_in_words(copied):
    say(copied, CANARY, "withdrawn", "any")
    ask(copied, [CANARY], ["affinity:housing"], datetime.now(UTC))
    answer = next(answer for answer in tell(copied).answers if answer.code)
    assert (answer.code, answer.rule, answer.value) == ("consent_withdrawn", "L17", None)
    assert answer.words
    assert answer.use["purpose"] == "campaign_messages"


def test_of_somebody_who_was_erased_that_is_said_and_nothing_else(copied):
    erase(copied, CANARY)
    found = tell(copied)
    assert (found.state, bool(found.erased_at)) == ("erased", True)
    empty = json.loads(text_of(found))
    kept = {"person", "controller", "made_at", "language", "state", "words", "erased_at"}
    assert {name for name, said in empty.items() if said} == kept


def test_of_somebody_unknown_it_is_said_what_was_looked_through(telling, made):
    before = text_of(telling("van:nobody", language="en"))
    found = telling("van:nobody", language="en")
    assert (found.state, found.rows, found.scores, found.uses) == ("nothing", (), (), ())
    assert len(found.checked) == len(ANSWERED)
    assert text_of(found) == before, "asking leaves nothing behind"


def test_a_place_that_nobody_thought_of_is_named_as_not_looked_into(telling, monkeypatch):
    monkeypatch.setattr("serving.held_data.ANSWERED", {name: how for name, how in ANSWERED.items() if name != "tables"})
    said = {place.place: place.words for place in telling("van:nobody", language="en").checked}
    assert said["tables"] == "not looked into"


def test_files_that_somebody_put_anywhere_in_the_workspace_are_named(tmp_path):
    for path, text in (("backup/members.csv", CANARY), ("list.txt", f"call {CANARY} back"), ("other.txt", "van:nobody")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    found, unreadable = named_files(tmp_path, CANARY)
    assert [(file.place, file.path, file.lines) for file in found] == [("inputs", "backup/members.csv", []), ("inputs", "list.txt", [])]
    assert unreadable == []


def test_it_is_told_in_the_persons_language_where_that_is_one_of_ours(telling):
    assert telling().language == "fr"
    assert telling(OTHER).language == "en"
    assert telling(language="nl").language == "nl"


def test_it_is_in_the_log_before_it_leaves_by_token_alone(copied):
    records, store = opened(copied)
    log = AuditLog(store, copied.signing_key())
    data = told(records, CANARY, at=NOW, language=None, door="command", route="audience access", record=log.record)
    nobody = told(records, "van:nobody", at=NOW, language=None, door="command", route="audience access", record=log.record)
    with store.read() as connection:
        decisions = connection.execute(select(DECISIONS).where(DECISIONS.c.score == ACCESS)).all()
        answers = {row.answer_id: row for row in connection.execute(select(ANSWERS).where(ANSWERS.c.route == "audience access"))}
    assert [(row.person, row.answer_id) for row in decisions] == [(data.token, data.answer_id)]
    assert set(answers) == {data.answer_id, nobody.answer_id}
    assert nobody.state == "nothing"
    store.close()

    def fails(_answer):
        raise RuntimeError("no log")

    with pytest.raises(RuntimeError, match="no log"):
        told(records, CANARY, at=NOW, language=None, door="command", route="audience access", record=fails)


@pytest.mark.parametrize(
    ("value", "own", "signed", "border"),
    [
        (0.1, "low", False, (0.3, True)),
        (0.35, "medium", False, (0.3, False)),
        (0.55, "medium", False, (0.6, True)),
        (0.9, "high", False, (0.6, False)),
        (-1.0, "negative", True, (0.0, True)),
        (0.05, "low", True, (0.0, False)),
        (0.2, "low", True, (0.3, True)),
    ],
)
def test_the_nearest_border_is_where_another_band_begins(value, own, signed, border):
    assert nearest_border(value, own, Bands(0.3, 0.6, ""), signed=signed) == border


def test_every_sentence_is_there_in_every_language():
    for words in (access_words.SENTENCES, access_words.PLACES_TOLD, access_names.NAMES, access_names.COLUMNS, access_names.VALUES, access_names.PLACES_HELD):
        for key, said in words.items():
            assert set(said) == set(LANGUAGES), key
            assert all(text.strip() for text in said.values()), key
            places = {language: {part.split("}")[0] for part in text.split("{")[1:]} for language, text in said.items()}
            assert places["fr"] == places["en"] == places["nl"], key


def test_every_reason_for_not_making_a_score_again_has_its_words():
    assert {f"why_{why}" for why in get_args(Why)} | {"why_no_present"} == {key for key in access_words.SENTENCES if key.startswith("why_")}


def test_every_column_of_a_table_about_people_has_a_name():
    columns = {column.name for table in STORED.values() if table.name != "sources" for column in table.columns}
    assert columns == set(access_names.COLUMNS)
