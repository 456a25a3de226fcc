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
    names = _pooled(model.layout_) if isinstance(model, TopicAffinity) else [family(column) for column in model.columns_]
    found: Counter[str] = Counter()
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
