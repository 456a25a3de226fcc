"""Which pictures a training run keeps, and the arrays they are drawn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from features.catalogue import ANY, FIELDS, FeatureError, parse_name
from features.notebook import unit_of
from models.affinity import TopicAffinity
from models.metrics import Estimate
from models.persuadability import Persuadability
from models.pooled import OWN, template_of, topic_of
from models.uplift_evaluation import Evaluation as UpliftEvaluation
from training import plots, plots_affinity, plots_uplift
from training.evaluation import MODEL, AffinityEvaluation, uplift_groups
from training.learning import LearningPoint
from training.resampling import PersonBootstrap
from training.snapshots import AffinityDataset
from training.trials import TrialDataset

Floats = NDArray[np.float64]

SWARM_ROWS = 300
"""People whose contributions are drawn; explaining costs far more than scoring."""
DEPENDENCES = 4
"""Features whose dependence is drawn, the strongest ones."""
BAND_DRAWS = 200
"""Draws of people for the band around a curve."""
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
    """Return the pictures of the model on the test rows, by file name.

    Calibration (overall and by topic), gain, lift, the swarm of contributions, the dependence of the strongest features, and which topics go
    together in the labels of all rows.
    """
    test, own = dataset.test, evaluation.predictions[MODEL]
    known = ~np.isnan(test.y)
    scores = {"model": own} | {words: evaluation.predictions[who] for who, words in _RULES.items() if who in evaluation.predictions}
    ranked = {name: score[known] for name, score in scores.items()}
    contributions, values, columns = _topic_swarm(model, _sample(test.X))
    names, unit = [short_name(column) for column in columns], "log-odds of engagement"
    shown = plots.strongest(contributions, DEPENDENCES, values=values)
    boot = PersonBootstrap(test.person_ids, draws=BAND_DRAWS, seed=0, coverage=evaluation.findings.gate["coverage"])
    band = plots_affinity.lift_band(boot, test.y[known], own[known], np.nonzero(known)[0])
    return {
        "calibration": plots_affinity.reliability(own[known], test.y[known]),
        "calibration_by_topic": plots_affinity.reliability_by_topic(own, test.y, dataset.topics),
        "gain": plots_affinity.gain(test.y[known], ranked),
        "lift": plots_affinity.lift(test.y[known], ranked, band=band, coverage=boot.coverage),
        "contributions": plots.beeswarm(np.nan_to_num(contributions), values, names, unit=unit, title="What moves topic affinity"),
        "dependence": plots.dependence(
            contributions,
            values,
            names,
            [unit_name(column) for column in columns],
            shown=shown,
            unit=unit,
            title="How the strongest features move topic affinity",
        ),
        "co_engagement": plots_affinity.co_engagement(np.vstack([dataset.train.y, test.y]), dataset.topics),
    }


def learning_figure(points: Sequence[LearningPoint]) -> Figure:
    """Return the picture of `training.learning.learning_curve`."""
    by_people = any(point.share < 1 for point in points)
    names = [f"{f'{point.share:.0%}' if by_people else point.blocks}\n{point.rows:,}" for point in points]
    along = "people trained on (%, with the number of rows)" if by_people else "latest snapshots trained on (number, with that of rows)"
    words = {
        "log_loss": "log loss (nats per pair)",
        "excess": "log loss beyond that of all (nats per pair)",
        "ndcg_5": "NDCG@5 of a person's topics (0 to 1)",
    }
    measures = {text: _curve([getattr(point, name) for point in points]) for name, text in words.items()}
    return plots_affinity.learning_curve(names, measures, coverage=points[-1].log_loss.coverage, along=along, title="What more rows bring, on the test rows")


def _curve(estimates: Sequence[Estimate]) -> tuple[Floats, Floats, Floats]:
    value, low, high = (np.array([getattr(each, name) for each in estimates]) for name in ("value", "low", "high"))
    return value, low, high


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
        "toc": plots_uplift.toc(curve.fraction, *toc, coverage=curve.coverage, unit=unit, title=f"TOC: {name}"),
        "gain": plots_uplift.uplift_gain(curve.fraction, *gain, average=average, coverage=curve.coverage, unit=unit, title=f"Gain: {name}"),
        "calibration": plots_uplift.uplift_calibration(*groups, coverage=0.90, unit=unit, title=f"Fifths by predicted uplift: {name}"),
        "contributions": plots.beeswarm(scale * parts.values, sample.to_numpy(dtype=np.float64), columns, unit=unit, title=title),
    }


def short_name(column: str) -> str:
    """Return a feature's name as it stands beside a swarm: its values in words, without those that mean whichever."""
    statistic, *fields = column.split("|")
    if statistic not in FIELDS:
        return column
    values = [field.partition("=")[2] for field in fields]
    return " · ".join([statistic, *(_WORDS.get(value, value) for value in values if value != ANY)])


def unit_name(column: str) -> str:
    """Return the unit of a feature's values, as far as its name says it."""
    try:
        return unit_of(parse_name(column.replace(OWN, f"topic={ANY}")))
    except FeatureError:
        return "its own unit"


def _sample(X: pd.DataFrame) -> pd.DataFrame:
    """Return at most SWARM_ROWS rows, evenly spaced."""
    return X.iloc[np.unique(np.linspace(0, len(X) - 1, min(SWARM_ROWS, len(X))).astype(np.int64))]


def _topic_swarm(model: TopicAffinity, X: pd.DataFrame) -> tuple[Floats, Floats, list[str]]:
    """Return contributions and values (n x n_topics, columns) and the columns, every topic's own laid upon each other as `this topic`.

    Where a column does not apply, because it is the row's own topic's, contribution and value are NaN.
    """
    matrix = X.to_numpy(dtype=np.float64)
    stacked, shown = [], []
    for topic in model.topics_:
        parts = model.contributions(X, topic)
        names = [template_of(name) if topic_of(name) == topic else name for name in parts.columns]
        stacked.append(pd.DataFrame(parts.values, columns=names))
        shown.append(pd.DataFrame(np.column_stack([matrix, np.full(len(X), np.nan)]), columns=names))
    contributions = pd.concat(stacked, ignore_index=True)
    values = pd.concat(shown, ignore_index=True)[contributions.columns]
    return contributions.to_numpy(), values.to_numpy(), list(contributions.columns)
