"""A small workspace with a truth, made once; and one empty MLflow store: making its tables takes seconds, copying them none."""

import shutil
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from features.history import History
from features.tables import TABLES, arrow_schema
from features.workspace import Workspace

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAYS = 240
TOPICS = ("housing", "climate", "care")
AUDIENCE_TOML = """
[workspace]
name = "small"

[features]
windows_days = [30, 90]

[kinds.open]
direction = "in"
engagement = true
en = ["letter opened", "letters opened"]

[kinds.send]
direction = "out"
en = ["letter sent", "letters sent"]

[channels.email]
en = "e-mail"

[topics.housing]
en = "housing"

[topics.climate]
en = "climate"

[topics.care]
en = "care"

[uses.campaign]
purpose = "campaign_messages"
channel_class = "offline"
sponsor_type = "ngo"
jurisdiction = "none"

[experiments.story]
outcome = "pledge"
engagement = "higher"
en = "a story"

[experiments.story.arms]
letter = "A letter."
Card = "A card."

[training.affinity]
horizon_days = 30
snapshots = 5
settle_days = 2
draws = 100

[training.affinity.model]
num_trees = 40
min_child_samples = 10
max_depth = 3
refit = false
n_jobs = 1

[training.persuadability]
minimum_per_arm = 40

[training.persuadability.model]
n_folds = 3
num_trees = 20
nuisance_trees = 20
nuisance_max_depth = 2
max_depth = 2
n_jobs = 1
"""


def store(workspace, table, **columns):
    """Append rows to a table; columns that are left out are empty."""
    schema = arrow_schema(TABLES[table], workspace.vocabulary)
    size = len(next(iter(columns.values())))
    arrays = [pa.array(columns.get(field.name, [None] * size), type=field.type) for field in schema]
    History(workspace.tables, workspace.vocabulary).append(table, iter([pa.record_batch(arrays, schema=schema)]))


def interactions(workspace, person_id, occurred_at, *, topic="housing", kind="open", received_at=None, is_machine=False, prefix="i"):
    """Append interactions; a value that is no list stands for all of them."""
    size = len(person_id)

    def every(value):
        return list(value) if isinstance(value, list | np.ndarray) else [value] * size

    store(
        workspace,
        "interactions",
        interaction_id=[f"{prefix}{number}" for number in range(size)],
        person_id=list(person_id),
        occurred_at=every(occurred_at),
        received_at=every(received_at or occurred_at),
        kind=every(kind),
        channel=every("email"),
        topic=every(topic),
        direction=["out" if each == "send" else "in" for each in every(kind)],
        source_id=every("s"),
        collected_how=every("observed"),
        is_machine=every(is_machine),
    )


def open_empty(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "audience.toml").write_text(AUDIENCE_TOML)
    return Workspace.open(folder)


def _opens(random, people):
    """Draw opens: every person has a daily rate per topic, which stays the same."""
    rate = random.gamma(0.35, 0.06, (people, len(TOPICS)))
    counts = random.poisson(rate * DAYS)
    person, topic = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape))
    return person, topic, random.random(len(person)) * DAYS


@pytest.fixture(scope="session")
def by_hand():
    """The functions that make a workspace by hand."""
    return SimpleNamespace(store=store, interactions=interactions, open_empty=open_empty)


@pytest.fixture(scope="session")
def campaign(tmp_path_factory):
    """360 people, 3 topics with lasting tastes, an experiment with two arms. Read only: copy it to change it."""
    workspace = open_empty(tmp_path_factory.mktemp("campaign"))
    random = np.random.default_rng(5)
    ids = [f"van:{number:04d}" for number in range(360)]
    store(workspace, "people", person_id=ids, birth_year=random.integers(1940, 2005, 360).tolist(), status=["contact"] * 360, source_id=["s"] * 360)
    person, topic, day = _opens(random, 360)
    start = NOW - timedelta(days=DAYS)
    interactions(
        workspace,
        [ids[each] for each in person],
        [start + timedelta(days=float(each)) for each in day],
        topic=[TOPICS[each] for each in topic],
    )
    _experiment(workspace, random, ids, np.bincount(person, minlength=360))
    return workspace


def _experiment(workspace, random, ids, active):
    """Households of two are drawn; the letter works on the active, the card on nobody; 12 people have no outcome."""
    household = np.arange(len(ids)) // 2
    arm = random.integers(0, 3, household.max() + 1)[household]
    effect = np.where(arm == 1, 0.5 * (active > np.median(active)), 0.0)
    value = (random.random(len(ids)) < 0.25 + effect).astype(float)
    assigned, measured = NOW - timedelta(days=60), NOW - timedelta(days=20)
    names = np.array(["control", "letter", "Card"])[arm]
    store(
        workspace,
        "assignments",
        experiment_id=["story"] * len(ids),
        person_id=ids,
        arm=names.tolist(),
        probability=[1 / 3] * len(ids),
        assigned_at=[assigned] * len(ids),
        unit_id=[f"h{each}" for each in household],
    )
    known = len(ids) - 12
    store(
        workspace,
        "outcomes",
        experiment_id=["story"] * known,
        person_id=ids[:known],
        outcome=["pledge"] * known,
        value=value[:known].tolist(),
        measured_at=[measured] * known,
    )


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    from training.tracking import Tracking

    folder = tmp_path_factory.mktemp("store")
    Tracking(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
    return folder / "mlflow.db"


@pytest.fixture
def store_in(empty_store):
    """A function that puts an empty store into a workspace's folder."""

    def put(folder):
        shutil.copy(empty_store, folder / "mlflow.db")
        return folder

    return put


@pytest.fixture
def trainable(campaign, tmp_path, store_in):
    """A copy of the campaign with an empty store, to train and promote in."""
    shutil.copytree(campaign.root, tmp_path / "workspace")
    return Workspace.open(store_in(tmp_path / "workspace"))


@pytest.fixture(scope="session")
def trained(campaign, tmp_path_factory, empty_store):
    """The campaign with both models trained once: (workspace, affinity run, persuadability runs). Read only."""
    from training.fit import train_affinity, train_persuadability

    root = tmp_path_factory.mktemp("trained") / "workspace"
    shutil.copytree(campaign.root, root)
    shutil.copy(empty_store, root / "mlflow.db")
    workspace = Workspace.open(root)
    stages = []
    affinity = train_affinity(workspace, now=NOW, progress=lambda stage, share: stages.append((stage, share)))
    arms = train_persuadability(workspace, "story", now=NOW).runs
    return workspace, affinity, arms, stages
