"""Everybody scored in chunks: what each holds is in the log first, and whoever speaks meanwhile is in no later one."""

import json
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from features.database.schema import ANSWERS, DECISIONS
from features.permission.use import Use
from serving.audit import AuditError
from serving.bulk import Bulk, Scoring, score_all
from serving.champion import Champion
from serving.problems import Problem
from serving.verification import verify
from tests.serving.members import DOORS, EXPLICIT, MEMBERS, PEOPLE, stored
from tests.serving.ruled import ONLINE, erase, say


def scoring(server, scores=("affinity:housing",), use=DOORS, **asked):
    return Scoring.of(server, server.reloader.current, Bulk(use, scores, **asked))


def ids(scoring, chunk):
    return scoring.people(chunk.rows)


def test_everybody_is_there_once_and_in_the_log_before(made, server):
    asked = scoring(server, ["affinity:housing", "affinity:schools", "persuadability:rent:story"], activity="export")
    seen, told, expected = [], [], made.affinity.predict_proba(made.vectors.frame())
    for chunk in score_all(asked, chunk=250, progress=lambda stage, share: told.append((stage, round(share, 2)))):
        mine = [row for row in stored(server, DECISIONS) if row["answer_id"] == chunk.answer_id]
        assert len(mine) == 3 * len(chunk.rows)
        np.testing.assert_allclose(chunk.scores["affinity:housing"].values, expected[chunk.rows, 0])
        np.testing.assert_allclose(chunk.scores["affinity:schools"].values, expected[chunk.rows, 2])
        logged = sorted(row["value"] for row in mine if row["score"] == "affinity:schools")
        assert logged == sorted(chunk.scores["affinity:schools"].values.tolist())
        seen += ids(asked, chunk)
    assert seen == PEOPLE
    assert told == [("scoring 250 people", 0.42), ("scoring 500 people", 0.83), ("scoring 600 people", 1.0)]
    heads = stored(server, ANSWERS)
    assert {(row["route"], row["activity"], row["status"]) for row in heads} == {("score everybody", "export", 200)}
    assert ([row["people"] for row in heads], json.loads(heads[0]["preconditions"])["dpia"]) == ([250, 250, 100], "DPIA-1")
    assert verify(server.store, server.key, [], []).holds


def test_who_may_not_be_scored_has_a_code_in_the_log_and_no_number(server):
    say(server.workspace, "van:0003", "objected", "any")
    erase(server.workspace, "van:0004")
    say(server.workspace, "van:0005", "withdrawn")
    asked = scoring(server)
    chunks = list(score_all(asked, chunk=300))
    assert [dict(chunk.left_out) for chunk in chunks] == [{"objected": 1, "erased": 1, "consent_withdrawn": 1}, {}]
    assert not {"van:0003", "van:0004", "van:0005"} & set(ids(asked, chunks[0]))
    refused = {row["code"]: row for row in stored(server, DECISIONS) if row["code"]}
    assert [(refused[code]["rule"], refused[code]["value"]) for code in ("objected", "erased", "consent_withdrawn")] == [
        ("L18", None),
        ("L19", None),
        ("L17", None),
    ]
    assert (refused["objected"]["person"], refused["erased"]["person"]) == (server.audit.pseudonym("van:0003"), "(erased)")


def test_whoever_speaks_during_a_run_is_in_no_later_chunk(server):
    """The run has a thread of its own; what people say comes in through another store, as from another process."""
    asked, chunks, first, said = scoring(server), [], threading.Event(), threading.Event()

    def run():
        for chunk in score_all(asked, chunk=50):
            chunks.append(chunk)
            first.set()
            assert said.wait(30)

    thread = threading.Thread(target=run)
    thread.start()
    assert first.wait(30)
    for person in ("van:0010", "van:0210"):
        say(server.workspace, person, "withdrawn")
    say(server.workspace, "van:0310", "objected", "any")
    erase(server.workspace, "van:0410")
    said.set()
    thread.join(60)
    people = [person for chunk in chunks for person in ids(asked, chunk)]
    assert [person for person in PEOPLE if person not in people] == ["van:0210", "van:0310", "van:0410"]
    assert "van:0010" in ids(asked, chunks[0])
    assert len(chunks) == 12


def test_whoever_speaks_while_a_chunk_is_worked_out_is_not_in_it(server, monkeypatch):
    real, spoken = Champion.serve, []

    def slow(champion, X, scores):
        if not spoken:
            say(server.workspace, "van:0007", "withdrawn")
        spoken.append(len(X))
        return real(champion, X, scores)

    asked = scoring(server)
    monkeypatch.setattr(Champion, "serve", slow)
    chunk = next(score_all(asked, chunk=100))
    assert (len(chunk.rows), "van:0007" in ids(asked, chunk), chunk.left_out) == (99, False, {"consent_withdrawn": 1})
    assert len(stored(server, ANSWERS)) == 1
    assert spoken == [100], "scores that are known are not worked out again"


def test_a_run_ends_although_somebody_of_each_chunk_speaks_whenever_it_is_decided_on(server, monkeypatch):
    """What is said comes through another store, which waits in vain while an answer is recorded: so nothing is said then."""
    real, write, writing = Scoring.answer, server.store.write, []
    speak = [
        lambda who: say(server.workspace, who, "withdrawn"),
        lambda who: say(server.workspace, who, "objected", "any"),
        lambda who: erase(server.workspace, who),
    ]

    @contextmanager
    def seen(**how):
        with write(**how) as connection:
            writing.append(how)
            try:
                yield connection
            finally:
                writing.clear()

    def interrupted(self, decided, entries, *, people):
        if not writing:
            first = int(decided.rows[0])
            speak[first // 150 % 3](PEOPLE[first])
            say(server.workspace, "van:0599", "given")
        return real(self, decided, entries, people=people)

    say(server.workspace, "van:0599", "withdrawn")
    asked = scoring(server)
    monkeypatch.setattr(server.store, "write", seen)
    monkeypatch.setattr(Scoring, "answer", interrupted)
    chunks = list(score_all(asked, chunk=150))
    gone = {"van:0000", "van:0150", "van:0300", "van:0450"}
    assert [person for chunk in chunks for person in ids(asked, chunk)] == [person for person in PEOPLE if person not in gone]
    assert [dict(chunk.left_out) for chunk in chunks] == [{"consent_withdrawn": 1}, {"objected": 1}, {"erased": 1}, {"consent_withdrawn": 1}]
    assert np.isfinite(chunks[-1].scores["affinity:housing"].values).all(), "whoever agreed meanwhile is scored too"
    assert (len(stored(server, ANSWERS)), verify(server.store, server.key, [], []).holds) == (4, True)


def test_what_was_interrupted_goes_on_where_it_was(server):
    asked = scoring(server)
    run = score_all(asked, chunk=200)
    before = next(run)
    run.close()
    rest = list(score_all(asked, chunk=200, begin=before.end))
    assert [person for chunk in (before, *rest) for person in ids(asked, chunk)] == PEOPLE


def test_a_chunk_that_cannot_be_recorded_is_not_handed_on(server, monkeypatch):
    def fail(_answer, **_again):
        raise AuditError("the disk is full")

    run = score_all(scoring(server), chunk=200)
    next(run)
    monkeypatch.setattr(server.audit, "record", fail)
    with pytest.raises(Problem, match="disk is full"):
        next(run)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"lowest_first": True}, "demobilisation"),
        ({"use": DOORS.model_copy(update={"channel_class": "aggregate"})}, "groups_only"),
        ({"scores": ["affinity:housin"]}, "unknown_score"),
        ({"scores": ["persuadability:rent:figures"]}, "ranking_refused"),
        ({"scores": ["persuadability:door:visit"]}, "no_model"),
        ({"use": DOORS.model_copy(update={"channel": "pigeon"})}, "use_incomplete"),
        ({"use": Use(**ONLINE), "scores": ["affinity:schools"]}, "special_category_profiling"),
    ],
)
def test_what_is_refused_as_a_whole_is_refused_before_anybody_is_scored(shared, asked, code):
    with pytest.raises(Problem) as caught:
        scoring(shared, **asked)
    assert caught.value.code == code
    assert stored(shared, DECISIONS) == []


def test_a_tie_is_enough_within_and_not_for_others(server):
    say(server.workspace, "van:0001", "given", **EXPLICIT)
    say(server.workspace, "van:0002", "given")
    (within,) = score_all(scoring(server, use=MEMBERS), chunk=600)
    asked = scoring(server, use=MEMBERS, outside=True)
    (outside,) = score_all(asked, chunk=600)
    assert len(within.rows) == 600
    assert (ids(asked, outside), outside.left_out) == (["van:0001"], {"disclosure_without_consent": 599})
    rules = {row["rule"] for row in stored(server, DECISIONS) if row["code"] == "disclosure_without_consent"}
    assert rules == {"L11"}
    (nowhere,) = score_all(scoring(server, outside=True), chunk=600)
    assert len(nowhere.rows) == 600
