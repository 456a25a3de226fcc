"""Which pictures a training run keeps, and the arrays they are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from models.uplift_groups import effects_by_value
from models.uplift_metrics import percentile_ranks
from models.uplift_policies import PolicyValue, policy_table
from training import plots, plots_affinity, plots_uplift
from training.evaluation import MODEL, AffinityEvaluation
from training.learning import LearningPoint
from training.resampling import PersonBootstrap
from training.snapshots import AffinityDataset
from training.trials import TrialDataset

Floats = NDArray[np.float64]

SWARM_ROWS = 300
"""People whose contributions are drawn; explaining costs far more than scoring."""
DEPENDENCES = 4
"""Features whose dependence is drawn, the strongest ones."""
SHARES = tuple(np.arange(1, 21) / 20)
"""Shares of people contacted at which policies are drawn."""
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
        "contributions": plots.beeswarm(contributions, values, names, unit=unit, title="What moves topic affinity"),
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
    """Return the pictures of one contrast, by file name.

    TOC, gain, policies against capacity, calibration by predicted uplift, effects by value of the strongest features, and the swarm of contributions.
    """
    scale, unit = (100.0, "percentage points") if dataset.scale.unit == "share" else (1.0, "units of the outcome")
    name = f"{dataset.experiment.id}, {dataset.arm} against {dataset.experiment.control}"
    curve, average = evaluation.toc, scale * evaluation.estimates["ate"].value
    toc = [scale * each for each in (curve.toc, curve.low, curve.high)]
    policies = _policies(model.out_of_fold_, curve.coverage)
    share = np.array([policy.capacity for policy in policies])
    nobody, everybody, random, risk = (_scaled(policies, rival, scale) for rival in ("over_nobody", "over_everybody", "over_random", "over_risk"))
    rivals = {"as many at random": random, "highest baseline risk first": risk, "everybody": everybody}
    gates = [scale * each for each in (evaluation.gates.predicted, evaluation.gates.effect, evaluation.gates.low, evaluation.gates.high)]
    sample = _sample(dataset.X)
    parts = model.contributions(sample)
    columns = [short_name(column) for column in parts.columns]
    values = sample.to_numpy(dtype=np.float64)
    shown = [parts.columns[column] for column in plots.strongest(parts.values, DEPENDENCES, values=values)]
    panels = [_panel(column, model.out_of_fold_, dataset.X[column], scale, curve.coverage) for column in shown]
    title = "What moves predicted uplift"
    band: dict[str, Any] = {"coverage": curve.coverage, "unit": unit}
    return {
        "toc": plots_uplift.toc(curve.fraction, *toc, **band, title=f"TOC: {name}"),
        "gain": plots_uplift.uplift_gain(share, *nobody, average=average, **band, title=f"Gain: {name}"),
        "policies": plots_uplift.policy_by_capacity(share, nobody, nobody[0] - risk[0], rivals, average=average, **band, title=f"Policies: {name}"),
        "calibration": plots_uplift.uplift_calibration(*gates, **band, title=f"Fifths by predicted uplift: {name}"),
        "effects": plots_uplift.effects_by_feature(panels, average=average, **band, title=f"Effect by value of the strongest features: {name}"),
        "contributions": plots.beeswarm(scale * parts.values, values, columns, unit=unit, title=title),
    }


def _policies(out_of_fold: pd.DataFrame, coverage: float) -> tuple[PolicyValue, ...]:
    """Return the value of policies at SHARES, people ranked within folds as `models.uplift_evaluation.evaluate` ranks them."""
    how: dict[str, Any] = {"folds": out_of_fold["fold"], "sample_weight": out_of_fold["weight"]}
    uplift, risk = (percentile_ranks(out_of_fold[column], **how) for column in ("raw", "baseline"))
    shared: dict[str, Any] = {"groups": out_of_fold["group"].to_numpy(), "sample_weight": out_of_fold["weight"], "coverage": coverage}
    return policy_table(uplift, out_of_fold["score"], baseline=risk, capacities=SHARES, **shared)


def _scaled(policies: Sequence[PolicyValue], rival: str, scale: float) -> tuple[Floats, Floats, Floats]:
    value, low, high = _curve([getattr(policy, rival) for policy in policies])
    return scale * value, scale * low, scale * high


def _panel(column: str, out_of_fold: pd.DataFrame, values: pd.Series, scale: float, coverage: float) -> plots_uplift.Panel:
    score, group, weight = (out_of_fold[name].to_numpy() for name in ("score", "group", "weight"))
    found = effects_by_value(values.to_numpy(dtype=np.float64), score, groups=group, sample_weight=weight, coverage=coverage)
    effect, low, high = (scale * each for each in (found.effect, found.low, found.high))
    return plots_uplift.Panel(f"{short_name(column)}\n({unit_name(column)})", found.names, effect, low, high, found.share)


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
