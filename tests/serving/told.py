"""A small workspace in which one person is in every place, with real vectors, a model fitted on them, and lines in the log from a score of each kind."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.database.schema import EXPORT_PEOPLE, EXPORTS, NOTICES
from features.database.store import Store
from features.permission.ledger import Event, Ledger
from features.permission.live import Permission
from features.publication import build_into
from features.workspace import Workspace
from models import artefact
from models.affinity import TopicAffinity
from serving import keys
from serving.audit import Answer, AuditLog
from serving.held_data import Records
from serving.loaded import load
from serving.permitting import permit
from serving.schemas import ScoreRequest
from serving.scorer import asked_names, score
from serving.server import new_answer_id
from tests.serving.conftest import AUDIENCE_TOML, DOORSTEP, promote
from tests.serving.ruled import put

AS_OF, LATER = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
EXPIRES = datetime(2099, 1, 1, tzinfo=UTC)
CANARY, OTHER = "van:canary-07", "van:canary-070"
PEOPLE = [CANARY, OTHER, *(f"van:{number:03}" for number in range(60))]
LIMITS = "\n[retention]\nkinds = { letter_open = 3650 }\n"
ATTRIBUTES = '\n[attributes.household]\ntype = "numeric"\nen = "household size"\nfr = "taille du ménage"\nnl = "gezinsgrootte"\n'
SOURCES = [
    {"source_id": "forms", "type": "membership", "collected_how": "from_person", "collected_at": AS_OF - timedelta(days=900), "notice_hash": "abc123"},
    {"source_id": "stall", "type": "event", "collected_how": "observed", "collected_at": AS_OF - timedelta(days=400), "expires_at": EXPIRES},
]


def tables(workspace, people=PEOPLE):
    """Store people, what they did, what they were drawn into; each of the canary's rows holds a value of its own."""
    flags = {"political_purpose_stated": False, "supports_sponsor": False}
    put(workspace, "sources", [flags | source for source in SOURCES])
    draw, rows = np.random.default_rng(3), []
    for number, person in enumerate(people):
        kinds = ["letter_sent"] * 3 + ["letter_open"] * int(draw.integers(0, 9))
        for place, kind in enumerate(kinds):
            at = AS_OF - timedelta(days=int(draw.integers(1, 200)))
            topic = ("housing", "transport", "schools")[int(draw.integers(3))]
            one = {"interaction_id": f"i-{number}-{place}", "person_id": person, "occurred_at": at, "received_at": at, "kind": kind, "channel": "email"}
            way = {"direction": "out" if kind == "letter_sent" else "in", "source_id": "stall", "collected_how": "observed", "is_machine": False}
            rows.append(one | way | {"topic": topic, "message_id": f"message of {person}"})
    put(workspace, "interactions", rows)
    put(workspace, "people", [person_row(number, person, "old area") for number, person in enumerate(people)])
    put(workspace, "people", [person_row(number, person, "area") for number, person in enumerate(people)])
    drawn = {"experiment_id": "rent", "arm": "story", "probability": 0.5, "assigned_at": AS_OF}
    put(workspace, "assignments", [drawn | {"person_id": person, "unit_id": f"household of {person}"} for person in people])
    measured = {"experiment_id": "rent", "outcome": "signed", "value": 1.0, "measured_at": LATER}
    put(workspace, "outcomes", [measured | {"person_id": person} for person in people])


def person_row(number, person, area):
    said = {"person_id": person, "birth_year": 1950 + number % 50, "area": f"{area} of {person}", "language": "fr" if person == CANARY else None}
    return said | {"joined_at": AS_OF - timedelta(days=500), "status": "member", "source_id": "forms", "household": 3.0}


def make(root):
    """Return the workspace: two published vectors, the older and the newer, and a model in office that was fitted on the older."""
    (root / "audience.toml").write_text(AUDIENCE_TOML + ATTRIBUTES + LIMITS)
    workspace = Workspace.open(root)
    tables(workspace)
    permission = Permission(workspace, Store(workspace.database_url))
    vectors = build_into(permission.history, workspace.vocabulary, AS_OF, workspace.vectors)
    X = vectors.frame()
    y = pd.DataFrame({topic: answered(X, topic, seed) for seed, topic in enumerate(workspace.vocabulary.topic_ids)})
    model = TopicAffinity(num_trees=12, min_child_samples=5, random_state=0).fit(X, y, groups=list(X.index))
    promote(workspace, "affinity", "1", model, vectors)
    ask(workspace, [CANARY], ["affinity:housing"], LATER - timedelta(days=3))
    ask(workspace, [CANARY], ["affinity:housing"], LATER - timedelta(days=2), route="export")
    build_into(permission.history, workspace.vocabulary, LATER, workspace.vectors)
    places(workspace)
    ask(workspace, [CANARY], ["affinity:*"], NOW)
    ask(workspace, [OTHER], ["affinity:transport"], NOW)
    permission.ledger.store.close()
    return workspace


def ask(workspace, people, scores, at, use=DOORSTEP, *, route="POST /v1/scores"):
    """Score people as the server does, recorded as it does, by a key named for whom it is about."""
    store = Store(workspace.database_url)
    permission, log = Permission(workspace, store), AuditLog(store, workspace.signing_key())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artefact, "try_in_process", lambda _folder: None)
        loaded = load(workspace, permission, threads=1)
    asked = ScoreRequest(people=people, scores=scores, use=use)
    names = asked_names(loaded, asked.scores)
    permitted = permit(permission, loaded, asked.use, people=people, names=names, at=at)
    answer = score(loaded, asked, permitted, answer_id=new_answer_id(), now=at)
    key, _ = keys.create(store, f"tool of {people[0]}", ["scores"], now=at)
    entry = Answer(answer.answer_id, at, "api", route, 200, key.key_id, None, names, answer.as_of, 1, log.decisions(answer.results, names))
    log.record(replace(entry, basis=answer.permission, preconditions=workspace.permission.preconditions))
    store.close()
    return answer


def answered(X, topic, seed):
    own = X[f"count|kind=any-engagement|channel=any|topic={topic}|window=all"].to_numpy()
    return (np.random.default_rng(seed).random(len(X)) < 1 / (1 + np.exp(1.5 - own))).astype(int)


def places(workspace):
    """Write the canary, and somebody whose id begins alike, into the ledger, exports and files."""
    store = Store(workspace.database_url)
    ledger = Ledger(store, workspace.signing_key())
    at = AS_OF - timedelta(days=300)
    said = {"legal_basis": "gdpr_9_2_a", "wording_hash": "wording-1", "language": "fr"}
    events = [Event(person, "given", "campaign_messages", "any", at, **said, evidence=f"letter of {person}") for person in (CANARY, OTHER)]
    ledger.append(events, now=NOW, door="command")
    tokens = AuditLog(store, workspace.signing_key()).pseudonyms([CANARY, OTHER], now=NOW)
    pointer = json.loads((workspace.models / "affinity" / "champion.json").read_text())
    models = json.dumps([{"name": "affinity", "version": "1", "digest": pointer["digest"]}])
    head = {"at": NOW, "outside": True, "approver": "A. Lead", "use": json.dumps(DOORSTEP), "scores": '["affinity:housing"]', "models": models, "people": 2}
    head |= {"law": "none 2026.1 x", "ledger": 1, "tables": "{}", "as_of": AS_OF, "file_digest": "0" * 64}
    with store.write() as connection:
        for number, person in enumerate((CANARY, OTHER)):
            connection.execute(EXPORTS.insert(), head | {"export_id": f"e{number}", "recipient": f"Printer of {person}"})
            connection.execute(EXPORT_PEOPLE.insert(), {"reference": f"row of {person}"[:32], "export_id": f"e{number}", "person": tokens[person]})
            connection.execute(NOTICES.insert(), {"reference": f"row of {person}"[:32], "reason": "objected", "at": NOW})
    store.close()
    for path, text in {
        "raw/people.csv": "person_id\n" + "\n".join(PEOPLE),
        "notes/look.ipynb": json.dumps({"cells": [CANARY, OTHER]}),
        "notes/.ipynb_checkpoints/look-checkpoint.ipynb": json.dumps([CANARY]),
        "tables/.staging/people/part": CANARY,
        "truth/affinity.csv": f"person_id\n{CANARY}\n",
        "rejects/people-1.csv": f"file,line,column,reason\n{CANARY}.csv,2,status,no such status\n{OTHER}.csv,3,status,no such status\n",
        "experiments/rent/assignments.csv": f"person_id,arm\n{CANARY},story\n{OTHER},nothing\n",
        "exports/printer.csv": f"person_id,reference\n{CANARY},row-1\n{OTHER},row-2\n",
        "letters/printer.json": json.dumps(["row-1"]),
    }.items():
        (workspace.root / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace.root / path).write_text(text)
    for name, person in (("theirs", CANARY), ("others", OTHER)):
        pq.write_table(pa.table({"person_id": [person], "reference": ["row-1"]}), workspace.root / "exports" / f"{name}.parquet", compression="zstd")


def opened(workspace, **changed):
    """The records of a workspace, and the store to close."""
    store = Store(workspace.database_url)
    found = Records.open(workspace, store)
    return Records(**{name: changed.get(name, getattr(found, name)) for name in found.__dataclass_fields__}), store
