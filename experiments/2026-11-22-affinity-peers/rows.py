"""The data sets: from raw files, through import and vectors as any user has them, to the two sides of each origin."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import later
import numpy as np
import pandas as pd
import tasks
from numpy.typing import NDArray

from features.imports import import_files
from features.workspace import Workspace
from models.affinity import TopicAffinity
from models.columns import frame_matrix
from models.labels import Labels
from training.config import AffinityConfig, read_config
from training.fit import parents
from training.real_data import data_folder
from training.simulation import UNTIL, Simulation, horizon_days, simulate, write
from training.snapshots import AffinityDataset, affinity_dataset

Floats = NDArray[np.float64]

EXPERIMENTS = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 11, 22, tzinfo=UTC)
SNAPSHOTS, ORIGINS = 6, 3
"""Of the simulation: as_of times of one training, and how many trainings, each a spacing later than the one before."""
SEED = 0


@dataclass(frozen=True, slots=True)
class Options:
    """How much of the simulation is drawn: its people, and the most (person, topic) pairs of either side of an origin."""

    people: int = 100_000
    pairs: int = 200_000


@dataclass(frozen=True, repr=False)
class Origin:
    """One origin: its name, the two sides, each topic's parent where it has one, and the true probabilities (n_test, n_topics) where they are known."""

    name: str
    dataset: AffinityDataset
    parents: dict[str, str]
    truth: Floats | None = None


def movielens(folder: Path, _: Options) -> list[Origin]:
    """Return the protocol of the data's README: 70% of the people to learn from, the others tested; one origin, because it splits people and not time."""
    script("movielens").write(data_folder("movielens100k"), folder)
    return [_labelled("other people", imported(folder), folder / "labels.parquet")]


def movielens_later(folder: Path, _: Options) -> list[Origin]:
    """Return rolling origins over people in the order of their arrival; the label of a genre is that of the protocol."""
    tables = script("movielens")
    source = data_folder("movielens100k")
    tables.write(source, folder)
    ratings = tables.read(source, "ratings")[0]
    genres = tables.read_genres(source)
    topics = sorted(set(pd.read_parquet(folder / "labels.parquet", columns=["topic"])["topic"]))
    carries = pd.crosstab(genres["item"], genres["topic"])[topics] > 0
    events = ratings.assign(person_id=tables.person(ratings["user"]))
    return _later(folder, events, carries.loc[ratings["item"]], least=round(tables.SHARE * later.NEXT))


def polis(conversation: str) -> Callable[[Path, Options], list[Origin]]:
    """Return what makes a Polis conversation's rolling origins over voters in the order of their arrival.

    The label of a group of statements: one of the voter's next ten votes agrees with a statement of the group.
    """

    def made(folder: Path, _: Options) -> list[Origin]:
        tables = script("polis")
        source = data_folder(f"polis/{conversation}")
        tables.write(source, folder)
        votes, words = tables.read(source)
        events = votes.assign(person_id="polis:" + votes["voter-id"].astype(str), seconds=votes["timestamp"] / 1000)
        hits = pd.get_dummies(votes["topic"]).reindex(columns=list(words), fill_value=False).mul(votes["vote"] == 1, axis=0)
        return _later(folder, events, hits, least=1)

    return made


def simulation(folder: Path, options: Options) -> list[Origin]:
    """Return rolling origins of the simulated campaign: each a whole training as it would have been run then, with the truth about its test rows."""
    made = simulate(options.people, seed=SEED)
    write(made, folder)
    workspace = imported(folder)
    topics = len(workspace.vocabulary.topics)
    config = AffinityConfig(horizon_days=horizon_days(), snapshots=SNAPSHOTS, max_rows=max(100, options.pairs // topics), seed=SEED)
    found = []
    for back in reversed(range(ORIGINS)):
        dataset = affinity_dataset(workspace, config, now=UNTIL - timedelta(days=back * config.spacing))
        found.append(Origin(f"as of {str(dataset.test.as_ofs.max())[:10]}", dataset, parents(workspace, dataset.topics), _true(made, dataset, config)))
    return found


DATA: dict[str, tuple[str, Callable[[Path, Options], list[Origin]]]] = {
    "movielens": ("MovieLens 100K, other people", movielens),
    "movielens-later": ("MovieLens 100K, later people", movielens_later),
    "polis-austria": ("Polis, climate in Austria, later voters", polis("austria-climate.5twd2jsnkf.2022-08-08")),
    "polis-biodiversity": ("Polis, biodiversity in New Zealand, later voters", polis("scoop-hivemind.biodiversity")),
    "simulation": ("Simulation", simulation),
}
"""Name: title, and what makes the origins in a folder of its own."""


def script(name: str) -> ModuleType:
    """Return the module `tables.py` of the experiment `…-<name>-affinity`."""
    (path,) = EXPERIMENTS.glob(f"*-{name}-affinity/tables.py")
    found = importlib.util.spec_from_file_location(f"{name}_tables", path)
    if found is None or found.loader is None:
        raise ImportError(f"{path.name} of the {name} experiment cannot be loaded")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def imported(folder: Path) -> Workspace:
    """Return the workspace of `folder` with every file of `raw/` imported into the table it is named for."""
    workspace = Workspace.open(folder)
    for file in sorted((folder / "raw").iterdir()):
        import_files(workspace, file.name.split("-")[0].split(".")[0], [file], now=NOW)
    return workspace


def save(origins: list[Origin], folder: Path) -> list[Path]:
    """Write each origin's task to a folder of its own, and return the folders.

    Pooled rows are laid out as ours lays out the same training rows, so that every pooled peer has the same columns.
    """
    folders = []
    for number, (origin, codes) in enumerate(zip(origins, numbered(origins), strict=True)):
        train, test, topics = origin.dataset.train, origin.dataset.test, origin.dataset.topics
        matrix, names = frame_matrix(train.X)
        person = codes[: len(train)]
        labels = Labels.of(train.y, topics, names, n_rows=len(train), groups=person, block=train.block, sample_weight=None)
        layout = TopicAffinity(list(topics), parents=origin.parents).layout_for(matrix, labels, names)
        arrays = {"X": matrix, "y": train.y, "person": person, "block": train.block, "asked": frame_matrix(test.X, names)[0]}
        above = [origin.parents.get(topic, "") for topic in topics]
        folders.append(folder / f"{number}")
        tasks.save(folders[-1], layout, names=names, topics=topics, parents=above, **arrays)
    return folders


def numbered(origins: list[Origin]) -> Iterator[NDArray[np.int64]]:
    """Yield, for each origin, a number for the person of each training row and then of each test row; a person has the same one in all origins."""
    ids = [np.concatenate([origin.dataset.train.person_ids, origin.dataset.test.person_ids]) for origin in origins]
    codes = np.unique(np.concatenate(ids), return_inverse=True)[1].astype(np.int64)
    yield from np.split(codes, np.cumsum([len(part) for part in ids])[:-1])


def _labelled(name: str, workspace: Workspace, labels: Path) -> Origin:
    dataset = affinity_dataset(workspace, read_config(workspace).affinity, now=NOW, labels=labels)
    return Origin(name, dataset, parents(workspace, dataset.topics))


def _later(folder: Path, events: pd.DataFrame, hits: pd.DataFrame, *, least: int) -> list[Origin]:
    workspace = imported(folder)
    rows, labels = later.at_cuts(events, hits, least=least)
    found = []
    for origin, train, test in later.origins(rows["block"].to_numpy(), rows["began"].to_numpy(), rows["ended"].to_numpy()):
        path = folder / f"labels-{origin}.parquet"
        later.label_file(rows, labels, train, test).to_parquet(path, index=False)
        found.append(_labelled(f"block {origin + 1} of {later.BLOCKS}", workspace, path))
    return found


def _true(made: Simulation, dataset: AffinityDataset, config: AffinityConfig) -> Floats:
    """Return the true probabilities (n_test, n_topics) of the test rows, which share one as_of."""
    (as_of,) = np.unique(dataset.test.as_ofs)
    moment = as_of.astype("datetime64[us]").item().replace(tzinfo=UTC)
    told = made.affinity(moment, horizon_days=config.horizon_days, gap_days=config.gap_days).to_pandas()
    wide = told.pivot_table(index="person_id", columns="topic", values="probability")
    return wide.loc[dataset.test.person_ids, list(dataset.topics)].to_numpy()
