"""What a champion says of its scores beside their values."""

import copy
from dataclasses import replace

import numpy as np

from serving.champion import Champion
from serving.names import ScoreName


def test_a_topic_that_nobody_could_have_answered_is_marked(made):
    model = copy.copy(made.affinity)
    model.layout_ = replace(model.layout_, named=np.array([place != 1 for place in range(len(model.topics_))]))
    champion = Champion("affinity", "1", "0" * 64, None, "{}", {}, model, None, {})
    X = made.vectors.frame().iloc[:20]
    names = [ScoreName(f"affinity:{topic}", "affinity", "affinity", topic=topic) for topic in model.topics_]
    served = champion.serve(X, names)
    own = ["history" if known else "segment" for known in model.has_history(X)]
    assert [list(one.basis) for one in served] == [["new_topic"] * 20 if place == 1 else own for place in range(len(served))]
