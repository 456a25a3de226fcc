"""A tiny workspace with two models that score and one that the gate refused, made once; and servers on it."""

import json
import shutil
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import uvicorn

from features.catalogue import catalogue, definitions_hash
from features.database.store import Store
from features.permission.live import Permission
from features.publication import publish
from features.vectors import Vectors
from features.workspace import Workspace
from models import artefact
from models.affinity import TopicAffinity
from models.outcome_scale import OutcomeScale
from models.persuadability import Persuadability
from serving import keys
from serving.app import create_app
from serving.loaded import load
from serving.settings import Settings

PEOPLE = 600
AS_OF = datetime(2026, 10, 1, tzinfo=UTC)
SHARE = OutcomeScale("share")
AUDIENCE_TOML = """
[workspace]
name = "Housing Now"
language = "en"

[features]
windows_days = [30, 90]

[kinds.letter_open]
direction = "in"
engagement = true
en = ["letter opened", "letters opened"]
fr = ["lettre ouverte", "lettres ouvertes"]
nl = ["brief geopend", "brieven geopend"]

[kinds.letter_sent]
direction = "out"
en = ["letter sent", "letters sent"]

[channels.email]
en = "e-mail"
fr = "courriel"
nl = "e-mail"

[topics.housing]
en = "Housing"
fr = "Logement"
nl = "Wonen"

[topics.transport]
en = "Public transport"

[topics.schools]
en = "Schools & <care>"

[uses.doorstep]
purpose = "campaign_messages"
channel_class = "offline"
sponsor_type = "ngo"
jurisdiction = "none"

[uses.party_online]
purpose = "political_ads"
channel_class = "online_targeted"
sponsor_type = "political_actor"
jurisdiction = "fr"

[experiments.rent]
control = "nothing"
outcome = "signed"
engagement = "higher"
en = "Rent letter"
arms = { nothing = "no letter", story = "a neighbour's story", figures = "the figures" }

[experiments.door]
control = "nothing"
outcome = "signed"
engagement = "higher"
en = "Door knock"
arms = { nothing = "no visit", visit = "a visit" }
"""


DOORSTEP = {"purpose": "campaign_messages", "channel_class": "offline", "sponsor_type": "ngo", "jurisdiction": "none"}


def make_vectors(vocabulary, *, people=PEOPLE, seed=0, as_of=AS_OF, own=False, withheld=None):
    """Random counts under the catalogue's own names; ids `van:0000` onwards. Own ones withhold what the vocabulary does, or those topics."""
    features = catalogue(vocabulary)
    draw = np.random.default_rng(seed)
    matrix = draw.poisson(1.5, (people, len(features))).astype(np.float32)
    missing = [number for number, feature in enumerate(features) if feature.name.startswith("recency")]
    matrix[np.ix_(np.arange(0, people, 3), missing)] = np.nan
    return Vectors(
        person_ids=pa.array([f"van:{number:04d}" for number in range(people)], pa.large_string()),
        matrix=matrix,
        names=tuple(feature.name for feature in features),
        as_of=as_of,
        as_ofs=np.full(people, np.datetime64(as_of.replace(tzinfo=None), "us")),
        definitions_hash=definitions_hash(feature.name for feature in features),
        table_versions={"interactions": 0},
        vocabulary_fingerprint=vocabulary.fingerprint,
        own=own,
        withheld=() if not own else vocabulary.withheld if withheld is None else withheld,
    )


def fit_affinity(vectors, topics, *, seed=0, num_trees=25):
    X = vectors.frame()
    own = [next(name for name in vectors.names if name.startswith("count|") and f"topic={topic}" in name) for topic in topics]
    margin = X[own].fillna(0).to_numpy() - 2.0
    y = pd.DataFrame(np.random.default_rng(seed).random(margin.shape) < 1 / (1 + np.exp(-margin)), columns=list(topics)).astype(int)
    return TopicAffinity(num_trees=num_trees, min_child_samples=5, random_state=seed).fit(X, y, groups=list(X.index))


def fit_persuadability(vectors, *, seed=0):
    X = vectors.frame()
    draw = np.random.default_rng(seed)
    treatment = draw.integers(0, 2, len(X))
    effect = 0.4 * (X.iloc[:, 0].to_numpy() > 1)
    y = (draw.random(len(X)) < 0.2 + effect * treatment).astype(int)
    return Persuadability(n_folds=3, nuisance_trees=10, nuisance_min_child_samples=20, num_trees=15).fit(X, y, treatment=treatment, propensity=0.5)


CARD = "# Card\n\nA **small** model.\n\n| metric | value |\n|---|---|\n| log loss | 0.31 |\n"


def promote(workspace, name, version, model, vectors, *, card=CARD, scale=SHARE, messages=None):
    """What the registry does when a gate is passed: files, signature, then the pointer in one step. `scale` is of an uplift's outcome.

    `messages` is the choice among messages that the training found, of which this is one.
    """
    folder = workspace.models / name / version
    metadata = {"name": name, "as_of": AS_OF.isoformat(), "definitions_hash": vectors.definitions_hash}
    metadata |= scale.to_state() if isinstance(model, Persuadability) and scale else {}
    evaluation = {"metrics": {"log_loss": {"value": 0.31}}, "about": {} if messages is None else {"messages": messages}}
    files = {"card.md": card.encode(), "evaluation.json": json.dumps(evaluation).encode()}
    artefact.save(model, folder, metadata=metadata, files=files)
    artefact.sign(folder, workspace.signing_key())
    point(workspace, name, version)


def point(workspace, name, version):
    folder = workspace.models / name
    pointer = {"name": name, "version": version, "digest": artefact.digest(folder / version), "promoted_at": "2026-10-02T08:00:00+00:00"}
    (folder / ".champion").write_text(json.dumps(pointer))
    (folder / ".champion").replace(folder / "champion.json")


def refuse(workspace, name, *, scale=SHARE, **changed):
    """What the registry leaves of a model that its gate refused."""
    average = {"ate": 0.031, "low": 0.012, "high": 0.05, "coverage": 0.9}
    folder = workspace.models / name
    folder.mkdir(exist_ok=True)
    document = {"verdict": "AUTOC covers zero.", "failed": ["AUTOC"], **scale.to_state(), **average} | changed
    (folder / ".refused").write_text(json.dumps(document))
    (folder / ".refused").replace(folder / "refused.json")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The workspace, and the very models and vectors that went into it. Do not change it: copy it with `copied`."""
    root = tmp_path_factory.mktemp("workspace")
    (root / "audience.toml").write_text(AUDIENCE_TOML)
    workspace = Workspace.open(root)
    vectors = make_vectors(workspace.vocabulary)
    publish(vectors, workspace.vectors)
    affinity, story = fit_affinity(vectors, workspace.vocabulary.topic_ids), fit_persuadability(vectors)
    promote(workspace, "affinity", "1", affinity, vectors)
    promote(workspace, "persuadability.rent.story", "1", story, vectors)
    refuse(workspace, "persuadability.rent.figures")
    return SimpleNamespace(workspace=workspace, vectors=vectors, affinity=affinity, story=story)


@pytest.fixture
def copied(made, tmp_path):
    """A workspace of one's own to break."""
    root = tmp_path / "workspace"
    shutil.copytree(made.workspace.root, root, ignore=shutil.ignore_patterns("audience.db*", "database.id", "audit"))
    return Workspace.open(root)


class Served:
    """A client of a server, its keys and its parts."""

    def __init__(self, client, app, workspace=None):
        self.client = client
        self.app = app
        self.workspace = workspace
        self.server = app.state.server
        self.key, self.secret = self.make_key("campaign tool", "scores")
        self.headers = {"Authorization": f"Bearer {self.secret}"}

    def make_key(self, name, *scopes):
        return keys.create(self.server.store, name, scopes, now=datetime.now(UTC))

    def ask(self, people=("van:0001",), scores=("affinity:housing",), use=DOORSTEP, **members):
        return self.client.post("/v1/scores", json={"people": list(people), "scores": list(scores), "use": use, **members}, headers=self.headers)


def load_now(workspace, *, previous=None):
    """What a server of that workspace would hold."""
    store = Store(workspace.database_url)
    try:
        return load(workspace, Permission(workspace, store), threads=1, previous=previous)
    finally:
        store.close()


@contextmanager
def serving(root, **settings):
    """Our application on a free port of this machine, in a thread; yields a client and the application."""
    app = create_app(Settings(workspace=Path(root), reload_seconds=0.05, **settings))
    patience = {"timeout_graceful_shutdown": 5, "timeout_keep_alive": 75}  # a client rests at most 5 s: where the server does too, a request 5 s later may fail
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, ws="none", **patience))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started, "the application did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client, app
    finally:
        server.should_exit = True
        thread.join()


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@contextmanager
def ready(workspace):
    """A server of a workspace that has loaded everything, without the throw-away process; yields what `Served` is made of."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(artefact, "try_in_process", lambda _folder: None)
        with serving(workspace.root) as (client, app):
            wait_until(lambda: client.get("/readyz").status_code == 200)
            yield client, app, workspace


@pytest.fixture(scope="session")
def shared_server(made):
    with serving(made.workspace.root) as (client, app):
        wait_until(lambda: client.get("/readyz").status_code == 200)
        yield client, app


@pytest.fixture
def served(shared_server):
    """The server of the made workspace, with a fresh key."""
    client, app = shared_server
    client.cookies.clear()
    return Served(client, app)


@pytest.fixture
def quick_trial(monkeypatch):
    """Leave out the throw-away process, which takes seconds to start; the shared server goes through it."""
    monkeypatch.setattr(artefact, "try_in_process", lambda _folder: None)


@pytest.fixture
def served_copy(copied):
    """A server of a workspace of one's own."""
    with ready(copied) as server:
        yield Served(*server)


@pytest.fixture(scope="session")
def membered(made, tmp_path_factory):
    """A workspace whose people are members and whose scores are of today; do not change it."""
    from tests.serving.members import membered_copy

    return membered_copy(made, tmp_path_factory.mktemp("membered") / "workspace")


@pytest.fixture
def server(membered, tmp_path):
    """The parts of a server of one's own on a copy of `membered`."""
    from tests.serving.members import copy_of, opened

    with opened(copy_of(membered, tmp_path / "workspace")) as server:
        yield server


@pytest.fixture(scope="module")
def shared(membered, tmp_path_factory):
    """The same for a whole file: nobody says anything there, and nothing is handed out."""
    from tests.serving.members import copy_of, opened

    with opened(copy_of(membered, tmp_path_factory.mktemp("shared") / "workspace")) as server:
        yield server
