"""The peers: each a function from a task to the probabilities (m, n_topics) of its test rows. Nobody was tuned on a test row, or at all."""

# ruff: noqa: PLC0415  a peer loads only what it uses: environments differ, and the memory measured is its own

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import maps
import numpy as np
from numpy.typing import NDArray
from tasks import Floats, Task

SEED, THREADS = 0, 2
TREES, RATE = 600, 0.025
"""Of the pooled boosters, the same for all, ours included; CatBoost finds its own rate for that many."""
PER_TOPIC = {"num_leaves": 31, "learning_rate": 0.05, "seed": SEED, "num_threads": THREADS, "deterministic": True, "force_row_wise": True, "verbosity": -1}
PER_TOPIC_TREES = 300
STRENGTHS = (0.01, 0.1, 1.0)
"""Of which the logistic regression takes one."""
FACTORS = 8
CHECKED_SHARE, MOST_CHECKED = 0.25, 4_000
"""Of the people, for the logistic regression's choice, where there is one block; and the most rows of either side of that choice."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What it is called, what it does, and the modules that are loaded before time is taken.

    `elsewhere`: it runs in an environment of its own. A function that returns several predictions names them itself.
    """

    label: str
    fit_predict: Callable[[Task], Floats | Mapping[str, Floats]]
    needs: tuple[str, ...]
    elsewhere: bool = False


def ours(task: Task, **parameters: Any) -> Floats:
    return np.asarray(_fitted(task, **parameters).predict_proba(_frame(task, task.asked)))


def _fitted(task: Task, **parameters: Any) -> Any:
    from models.affinity import TopicAffinity

    parents = {topic: parent for topic, parent in zip(task.topics, task.parents, strict=True) if parent}
    model = TopicAffinity(list(task.topics), parents=parents, n_jobs=THREADS, random_state=SEED, **parameters)
    return model.fit(_frame(task, task.X), task.y, groups=task.person, block=task.block)


def _frame(task: Task, matrix: NDArray[np.float32]) -> Any:
    import pandas as pd

    return pd.DataFrame(matrix, columns=list(task.names), copy=False)


def calibrations(task: Task) -> dict[str, Floats]:
    """Return the same trees, grown once, under several maps, all fitted on the rows that ours holds out for its own."""
    from scipy import special

    from models.growing import raw_margins
    from models.labels import Labels, held_out

    model = _fitted(task, refit=False)
    labels = Labels.of(task.y, task.topics, task.names, n_rows=len(task.y), groups=task.person, block=task.block, sample_weight=None)
    kept = held_out(labels, model.calibration_share, model.random_state)
    held, asked = (raw_margins(model.booster_, model.layout_, matrix, THREADS) for matrix in (task.X[kept], task.asked))
    made = {f"{name} per topic": maps.per_topic(one, held, task.y[kept], asked) for name, one in MAPS.items()}
    return {"pooled Platt (ours)": model.predict_proba(_frame(task, task.asked)), **made, "none": special.expit(asked)}


MAPS = {"isotonic": maps.isotonic, "beta": maps.beta, "Platt": maps.platt}


def rule(task: Task, name: str) -> Floats:
    from training.rules import rule_probabilities
    from training.snapshots import AffinityDataset, Side

    def side(matrix: NDArray[np.float32], y: Floats, person: NDArray[Any], block: NDArray[np.int64]) -> Side:
        n = len(matrix)
        return Side(_frame(task, matrix), y, person.astype(str), np.zeros(n, dtype="datetime64[us]"), block, np.zeros(y.shape, dtype=bool))

    unknown, zero = np.full((len(task.asked), len(task.topics)), np.nan), np.zeros(len(task.asked), dtype=np.int64)
    train, test = side(task.X, task.y, task.person, task.block), side(task.asked, unknown, zero, zero)
    return rule_probabilities(AffinityDataset(train, test, task.topics, "labels", "", "", {}, 0))[name]


def popularity(task: Task) -> Floats:
    """Return each topic's rate in the latest block: what is popular now."""
    latest = task.y[task.block == task.block.max()]
    return np.tile([maps.smoothed(column[~np.isnan(column)]) for column in latest.T], (len(task.asked), 1))


def logistic(task: Task) -> Floats:
    """Return logistic regression per topic on the topic's own columns and the general ones, with the strength that did best on the latest block."""
    from models.metrics import log_loss

    check = _checked(task)
    judged, learned = (_some(np.flatnonzero(rows)) for rows in (check, ~check))
    y, losses = task.y[judged], {}
    known = ~np.isnan(y)
    for strength in STRENGTHS:
        p = _regressions(task, learned, task.X[judged], strength)
        losses[strength] = log_loss(y[known], p[known])
    return _regressions(task, np.arange(len(task.y)), task.asked, min(losses, key=losses.__getitem__))


def _checked(task: Task) -> NDArray[np.bool_]:
    """Return the training rows (n,) of the latest block, or of a share of the people where there is one block."""
    if task.block.max() > task.block.min():
        return task.block == task.block.max()
    people = np.random.default_rng(SEED).permutation(np.unique(task.person))
    return np.isin(task.person, people[: round(CHECKED_SHARE * len(people))])


def _some(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(SEED).permutation(rows)[:MOST_CHECKED])


def _regressions(task: Task, rows: NDArray[np.int64], asked: NDArray[np.float32], strength: float) -> Floats:
    from sklearn.linear_model import LogisticRegression

    from models.pooled import topic_of

    owners = np.array([topic_of(name) or "" for name in task.names])
    learned, filled, source = _standardised(task.X[rows], asked)
    found = np.empty((len(asked), len(task.topics)))
    for number, topic in enumerate(task.topics):
        columns = np.isin(owners[source], ["", topic])
        label = task.y[rows, number]
        known = ~np.isnan(label)
        if len(np.unique(label[known])) < 2:
            found[:, number] = maps.smoothed(label[known])
            continue
        model = LogisticRegression(C=strength, tol=1e-3, max_iter=300).fit(learned[known][:, columns], label[known])
        found[:, number] = model.predict_proba(filled[:, columns])[:, 1]
    return found


def _standardised(X: NDArray[np.float32], asked: NDArray[np.float32]) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return both matrices with medians of X for what is missing, flags that say so, and mean 0 and deviation 1 in X; and each column's place in X.

    Columns that do not vary in X are left out.
    """
    missing = np.isnan(X)
    flagged, whole = np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0)), np.flatnonzero(~missing.all(axis=0))
    medians = np.nanmedian(X[:, whole], axis=0)
    made = [np.column_stack([np.where(np.isnan(M[:, whole]), medians, M[:, whole]), np.isnan(M[:, flagged])]).astype(np.float64) for M in (X, asked)]
    mean, spread = made[0].mean(axis=0), made[0].std(axis=0)
    varies = spread > 0
    learned, filled = ((each[:, varies] - mean[varies]) / spread[varies] for each in made)
    return learned, filled, np.concatenate([whole, flagged])[varies]


def one_per_topic(task: Task) -> Floats:
    """Return one LightGBM per topic on the whole vector, its parameters the library's own."""
    import lightgbm as lgb

    found = np.empty((len(task.asked), len(task.topics)))
    for number in range(len(task.topics)):
        known = ~np.isnan(task.y[:, number])
        label = task.y[known, number]
        if len(np.unique(label)) < 2:
            found[:, number] = maps.smoothed(label)
            continue
        booster = lgb.train({**PER_TOPIC, "objective": "binary"}, lgb.Dataset(task.X[known], label), PER_TOPIC_TREES)
        found[:, number] = booster.predict(task.asked, num_threads=THREADS)
    return found


def catboost(task: Task) -> Floats:
    from catboost import CatBoostClassifier, FeaturesData, Pool

    categories = list(task.categorical)
    numbers = np.setdiff1d(np.arange(task.pooled.shape[1]), categories)

    def given(pooled: NDArray[np.float32]) -> Any:
        texts = np.nan_to_num(pooled[:, categories], nan=-1).astype(np.int64).astype(np.bytes_).astype(object)
        return FeaturesData(num_feature_data=np.ascontiguousarray(pooled[:, numbers]), cat_feature_data=texts)

    model = CatBoostClassifier(iterations=TREES, random_seed=SEED, thread_count=THREADS, verbose=False, allow_writing_files=False)
    model.fit(Pool(given(task.pooled), task.target))
    return task.matrix(model.predict_proba(Pool(given(task.pooled_asked)), thread_count=THREADS)[:, 1])


def xgboost(task: Task) -> Floats:
    import xgboost as xgb

    types = ["c" if column in task.categorical else "q" for column in range(task.pooled.shape[1])]
    typed = {"feature_types": types, "enable_categorical": True, "nthread": THREADS}
    parameters = {"objective": "binary:logistic", "tree_method": "hist", "eta": RATE, "max_depth": 6, "subsample": 0.8, "colsample_bytree": 0.8}
    data = xgb.QuantileDMatrix(task.pooled, task.target, **typed)
    booster = xgb.train({**parameters, "seed": SEED, "nthread": THREADS}, data, TREES)
    return task.matrix(booster.predict(xgb.DMatrix(task.pooled_asked, **typed)))


def als(task: Task) -> Floats:
    from implicit.cpu.als import AlternatingLeastSquares

    return _factorised(task, AlternatingLeastSquares(FACTORS, iterations=30, random_state=SEED, num_threads=1))


def bpr(task: Task) -> Floats:
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    return _factorised(task, BayesianPersonalizedRanking(FACTORS, iterations=100, random_state=SEED, num_threads=1))


def _factorised(task: Task, model: Any) -> Floats:
    """Return what the factors of (row, topic) engagement counts score, mapped by Platt per topic on the latest block.

    Test rows stand in the matrix with the history they have when they are judged, as they would if it were factorised anew every day.
    """
    from scipy import sparse

    columns = [task.names.index(f"count|kind=any-engagement|channel=any|topic={topic}|window=all") for topic in task.topics]
    counts = np.concatenate([task.X[:, columns], task.asked[:, columns]])
    model.fit(sparse.csr_matrix(counts), show_progress=False)
    scores = np.asarray(model.user_factors, dtype=np.float64) @ np.asarray(model.item_factors, dtype=np.float64).T
    latest = task.block == task.block.max()
    return maps.per_topic(maps.platt, scores[: len(task.X)][latest], task.y[latest], scores[len(task.X) :])


RULES = {"prior": "average of the topic", "share": "share of own history", "recency_frequency": "recency and frequency"}
PEERS = {
    "ours": Peer("ours: TopicAffinity", ours, ("models.affinity",)),
    "ours-bag": Peer("ours, a bag of five", partial(ours, bag=5), ("models.affinity",)),
    **{name: Peer(f"rule: {words}", partial(rule, name=name), ("training.rules",)) for name, words in RULES.items()},
    "popularity": Peer("popularity in the latest block", popularity, ()),
    "logistic": Peer("logistic regression per topic", logistic, ("models.pooled", "sklearn.linear_model")),
    "lightgbm": Peer("one LightGBM per topic", one_per_topic, ("lightgbm",)),
    "catboost": Peer("CatBoost, pooled", catboost, ("catboost",), elsewhere=True),
    "xgboost": Peer("XGBoost, pooled", xgboost, ("xgboost",), elsewhere=True),
    "als": Peer("implicit ALS", als, ("implicit.cpu.als", "scipy.sparse"), elsewhere=True),
    "bpr": Peer("implicit BPR", bpr, ("implicit.cpu.bpr", "scipy.sparse"), elsewhere=True),
    "maps": Peer("calibration maps", calibrations, ("models.affinity",)),
}
"""Name on the command line: peer. `maps` is no peer of its own but the maps measured beside ours."""
OURS, COMPARED = "ours", "maps"
