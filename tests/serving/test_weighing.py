"""Shares of families add up, and what is gained by the linear score counts for the columns it is made of."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.permission.targeting import ACROSS_TOPICS, family
from models.affinity import TopicAffinity
from models.linear import NO_SCORE
from serving.weighing import weights

COLUMNS = [f"count|kind=any-engagement|channel=any|topic={topic}|window=all" for topic in "ab"] + ["age|since=birth_year", "tenure|since=joined_at"]


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_families_share_what_the_trees_gain(share):
    generator = np.random.default_rng(0)
    X = pd.DataFrame(generator.normal(size=(900, 4)).astype(np.float32), columns=COLUMNS)
    y = pd.DataFrame((generator.random((900, 2)) < 1 / (1 + np.exp(-2 * X.to_numpy()[:, [2]]))).astype(float), columns=["a", "b"])
    model = TopicAffinity(num_trees=12, min_child_samples=20, n_jobs=1, linear_share=share).fit(X, y)
    found = weights(model)
    assert sum(found.values()) == pytest.approx(1.0)
    assert max(found, key=found.__getitem__) == family("age|since=birth_year")
    if share:
        gains = np.asarray(model.booster_.feature_importance("gain"))
        assert gains[model.layout_.linear_place] > 0
        model.layout_ = replace(model.layout_, linear=NO_SCORE)  # as if the score were one more thing across topics
        assert weights(model)[ACROSS_TOPICS] > found.get(ACROSS_TOPICS, 0.0)
        assert weights(model)[family("age|since=birth_year")] < found[family("age|since=birth_year")]
