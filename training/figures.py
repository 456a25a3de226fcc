"""Which pictures a training run keeps, and the arrays they are drawn from."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from features.catalogue import ANY, FIELDS
from models.affinity import TopicAffinity
from models.persuadability import Persuadability
from models.pooled import template_of, topic_of
from models.uplift_evaluation import Evaluation as UpliftEvaluation
from training import plots
from training.evaluation import MODEL, AffinityEvaluation, uplift_groups
from training.snapshots import AffinityDataset
from training.trials import TrialDataset

Floats = NDArray[np.float64]

SWARM_ROWS = 300
"""People whose contributions are drawn; explaining costs far more than scoring."""
_WORDS = {
    "any-engagement": "answers",
    "any-in": "from the person",
    "any-out": "sent",
    "any-topic": "with a topic",
    "own-topic": "this topic",
    "all": "all time",
}
_RULES = {"prior": "average rate of the topic", "share": "share of own history", "recency_frequency": "recency-frequency table", "champion": "champion"}


def affinity_figures(model: TopicAffinity, dataset: AffinityDataset, evaluation: AffinityEvaluation) -> dict[str, Figure]:
    """Return calibration (overall, by topic), gain and the swarm of contributions on the test rows, by file name."""
    test, own = dataset.test, evaluation.predictions[MODEL]
    known = ~np.isnan(test.y)
    scores = {"model": own} | {words: evaluation.predictions[who] for who, words in _RULES.items() if who in evaluation.predictions}
    contributions, values, columns = _topic_swarm(model, _sample(test.X))
    return {
        "calibration": plots.reliability(own[known], test.y[known]),
        "calibration_by_topic": plots.reliability_by_topic(own, test.y, dataset.topics),
        "gain": plots.gain(test.y[known], {name: score[known] for name, score in scores.items()}),
        "contributions": plots.beeswarm(contributions, values, columns, unit="log-odds of engagement", title="What moves topic affinity"),
    }


def uplift_figures(model: Persuadability, dataset: TrialDataset, evaluation: UpliftEvaluation) -> dict[str, Figure]:
    """Return TOC, gain, calibration by predicted uplift and the swarm of contributions, by file name."""
    scale, unit = (100.0, "percentage points") if np.isin(dataset.y, (-1.0, 0.0, 1.0)).all() else (1.0, "units of the outcome")
    name = f"{dataset.experiment.id}, {dataset.arm} against {dataset.experiment.control}"
    curve, average = evaluation.toc, scale * evaluation.estimates["ate"].value
    toc = [scale * each for each in (curve.toc, curve.low, curve.high)]
    gain = [curve.fraction * (average + each) for each in toc]
    groups = [scale * each for each in uplift_groups(model.out_of_fold_)]
    sample = _sample(dataset.X)
    parts = model.contributions(sample)
    columns = [short_name(column) for column in parts.columns]
    title = "What moves predicted uplift"
    return {
        "toc": plots.toc(curve.fraction, *toc, coverage=curve.coverage, unit=unit, title=f"TOC: {name}"),
        "gain": plots.uplift_gain(curve.fraction, *gain, average=average, coverage=curve.coverage, unit=unit, title=f"Gain: {name}"),
        "calibration": plots.uplift_calibration(*groups, coverage=0.90, unit=unit, title=f"Fifths by predicted uplift: {name}"),
        "contributions": plots.beeswarm(scale * parts.values, sample.to_numpy(dtype=np.float64), columns, unit=unit, title=title),
    }


def short_name(column: str) -> str:
    """Return a feature's name as it stands beside a swarm: its values in words, without those that mean whichever."""
    statistic, *fields = column.split("|")
    if statistic not in FIELDS:
        return column
    values = [field.partition("=")[2] for field in fields]
    return " · ".join([statistic, *(_WORDS.get(value, value) for value in values if value != ANY)])


def _sample(X: pd.DataFrame) -> pd.DataFrame:
    """Return at most SWARM_ROWS rows, evenly spaced."""
    return X.iloc[np.unique(np.linspace(0, len(X) - 1, min(SWARM_ROWS, len(X))).astype(np.int64))]


def _topic_swarm(model: TopicAffinity, X: pd.DataFrame) -> tuple[Floats, Floats, list[str]]:
    """Return contributions and values (n x n_topics, columns) with every topic's own columns laid upon each other as `this topic`."""
    matrix = X.to_numpy(dtype=np.float64)
    stacked, shown = [], []
    for topic in model.topics_:
        parts = model.contributions(X, topic)
        names = [template_of(name) if topic_of(name) == topic else name for name in parts.columns]
        stacked.append(pd.DataFrame(parts.values, columns=names))
        shown.append(pd.DataFrame(np.column_stack([matrix, np.full(len(X), np.nan)]), columns=names))
    contributions = pd.concat(stacked, ignore_index=True).fillna(0.0)
    values = pd.concat(shown, ignore_index=True)[contributions.columns]
    return contributions.to_numpy(), values.to_numpy(), [short_name(name) for name in contributions.columns]
