"""How much each family of features counts in a model: its share of what the trees gain by all their splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from features.permission.targeting import ACROSS_TOPICS, TOPIC_ITSELF, family
from models.affinity import TopicAffinity
from models.persuadability import Persuadability
from models.pooled import Layout


def weights(model: TopicAffinity | Persuadability) -> dict[str, float]:
    """Return the share of each family, summing to 1; {} where no tree has a split."""
    gains = np.asarray(model.booster_.feature_importance("gain"), dtype=np.float64)
    found: Counter[str] = Counter()
    if isinstance(model, TopicAffinity):
        names, layout = _pooled(model.layout_), model.layout_
        if layout.linear:  # what splits by the score gain is its sources', by their weights
            for place, part in zip(layout.linear.sources.tolist(), layout.linear.importance().tolist(), strict=True):
                found[family(layout.columns[place])] += part * gains[layout.linear_place]
            gains[layout.linear_place] = 0.0
    else:
        names = [family(column) for column in model.columns_]
    for name, gain in zip(names, gains.tolist(), strict=True):
        found[name] += gain
    total = sum(found.values())
    return {name: gain / total for name, gain in found.items() if gain > 0} if total > 0 else {}


def _pooled(layout: Layout) -> Sequence[str]:
    """Return the family of each pooled column, in the order that `Layout` describes."""
    own = [family(layout.columns[max(places)]) for places in layout.own.T.tolist()]
    rest = [family(layout.columns[place]) for place in (*layout.general.tolist(), *layout.history.tolist())]
    named = [TOPIC_ITSELF, *own, *rest]
    kin = [TOPIC_ITSELF] if len(layout.families) else []
    return [*named, *[ACROSS_TOPICS] * (layout.width - len(named) - len(kin)), *kin]
