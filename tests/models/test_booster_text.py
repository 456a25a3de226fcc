"""The structural check of LightGBM text: what LightGBM wrote passes, what would make it read outside of an array does not."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest

from models.booster_text import BoosterTextError, check_booster_text

ROOT = Path(__file__).resolve().parents[2]
QUIET = {"verbosity": -1, "deterministic": True, "force_row_wise": True, "seed": 0, "num_threads": 1}
MUTATIONS = 60


@cache
def _text(objective="binary", trees=6, linear=False):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(1500, 4)).astype(np.float32)
    X[:, 0] = generator.integers(0, 12, 1500)
    X[::7, 2] = np.nan
    y = (X[:, 1] + 0.5 * (X[:, 0] % 3) + generator.normal(size=1500) > 0.5).astype(float)
    names = ["topic", "count|kind=any-engagement|topic=own-topic", "c", "d"]
    data = lgb.Dataset(X, y, feature_name=names, categorical_feature=[0], params=QUIET)
    return lgb.train({**QUIET, "objective": objective, "max_depth": 4, "linear_tree": linear}, data, trees).model_to_string()


def test_what_lightgbm_writes_passes_and_its_shape_is_told():
    shape = check_booster_text(_text())
    assert (shape.n_trees, shape.objective, len(shape.feature_names)) == (6, "binary sigmoid:1", 4)
    assert 1 <= shape.depth <= 4
    check_booster_text(_text("regression"))


def test_trees_without_a_split_pass():
    X = np.zeros((30, 2), dtype=np.float32)
    data = lgb.Dataset(X, np.arange(30.0), params=QUIET)
    text = lgb.train({**QUIET, "objective": "regression"}, data, 3).model_to_string()
    assert check_booster_text(text).depth == 0


def test_a_split_of_missing_from_known_values_passes_with_its_infinite_threshold():
    x = np.where(np.random.default_rng(0).random(400) < 0.5, np.nan, np.random.default_rng(1).normal(size=400))
    data = lgb.Dataset(x[:, None], np.isnan(x).astype(float), params=QUIET)
    text = lgb.train({**QUIET, "objective": "binary"}, data, 2).model_to_string()
    assert "threshold=inf" in text
    check_booster_text(text)


def test_linear_trees_are_refused():
    with pytest.raises(BoosterTextError, match="constant leaves"):
        check_booster_text(_text("regression", linear=True))


def _first(key, change):
    """Return the text with the first such line of the first tree changed, and the sizes of trees made to fit again."""
    head, _, body = _text().partition("\n\n")
    old = re.search(rf"^{key}=(.*)$", body, re.MULTILINE)
    new = f"{key}={change(old[1].split(' '))}"
    body = body[: old.start()] + new + body[old.end() :]
    grown = len(new) - len(old[0])
    head = re.sub(r"tree_sizes=(\d+)", lambda match: f"tree_sizes={int(match[1]) + grown}", head)
    return f"{head}\n\n{body}"


@pytest.mark.parametrize(
    ("key", "change", "words"),
    [
        ("split_feature", lambda old: " ".join(["4", *old[1:]]), "split_feature holds a number outside"),
        ("split_feature", lambda old: " ".join(["-1", *old[1:]]), "split_feature holds a number outside"),
        ("left_child", lambda old: " ".join(["0", *old[1:]]), "reached twice"),
        ("left_child", lambda old: " ".join(["99", *old[1:]]), "left_child holds a number outside"),
        ("right_child", lambda old: " ".join([*old[:-1], "-99"]), "right_child holds a number outside"),
        ("right_child", lambda old: " ".join(old[:-1]), "right_child has"),
        ("num_leaves", lambda old: str(int(old[0]) + 1), "entries for"),
        ("num_leaves", lambda _: "100000", "num_leaves holds a number outside"),
        ("num_cat", lambda _: "0", "its lines are not those"),
        ("num_cat", lambda old: str(int(old[0]) + 1), "do not fit each other"),
        ("cat_boundaries", lambda old: " ".join([*old[:-1], "1000"]), "cat_boundaries holds a number outside"),
        ("cat_boundaries", lambda old: " ".join(["0"] * len(old)), "cat_boundaries must rise"),
        ("decision_type", lambda old: " ".join(["12", *old[1:]]), "decision_type holds a number outside"),
        ("threshold", lambda old: " ".join(["nan", *old[1:]]), "threshold must be a list of finite numbers"),
        ("threshold", lambda old: " ".join(["1e+999", *old[1:]]), "not finite"),
        ("threshold", lambda old: " ".join(["-inf", *old[1:]]), "threshold must be a list of finite numbers"),
        ("leaf_value", lambda old: " ".join(["inf", *old[1:]]), "leaf_value must be a list of finite numbers"),
        ("leaf_count", lambda old: " ".join(["0", *old[1:]]), "leaf_count holds a number outside"),
        ("leaf_count", lambda old: " ".join([str(int(old[0]) + 1), *old[1:]]), "do not add up"),
        ("is_linear", lambda _: "1", "linear trees are not allowed"),
        ("shrinkage", lambda _: "1 1", "shrinkage must be one number"),
    ],
)
def test_a_changed_tree_is_refused_with_its_line(key, change, words):
    with pytest.raises(BoosterTextError, match=words):
        check_booster_text(_first(key, change))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("version=v4", "version=v3", "expected version=v4"),
        ("num_class=1", "num_class=3", "expected num_class=1"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=2", "expected num_tree_per_iteration=1"),
        ("max_feature_idx=3", "max_feature_idx=2", "does not fit"),
        ("objective=binary sigmoid:1", "objective=binary sigmoid:-1", "is not allowed"),
        ("objective=binary sigmoid:1", "objective=lambdarank", "is not allowed"),
        ("feature_names=topic", "feature_names=c", "unique"),
        ("feature_infos=", "feature_infos=x", "feature_info is"),
        ("tree_sizes=", "average_output\ntree_sizes=", "nothing else"),
        ("tree_sizes=", "tree_sizes=9", "does not stand where"),
        ("Tree=3\n", "Tree=7\n", "does not stand where"),
        ("end of trees", "Tree=6\nend of trees", "after the trees"),
        ("end of trees\n", "end of trees\nsecret_section\n", "after the trees"),
        ("\nparameters:\n", "\nnobody=3\n\nparameters:\n", "feature_importances"),
        ("[boosting: gbdt]", "[boosting gbdt]", "parameters: each line"),
        ("pandas_categorical:null", "pandas_categorical:[[1]]", "after the trees"),
        ("tree\n", "tree\x00\n", "printable ASCII"),
        ("\n\n", "\n", "the header must be"),
    ],
)
def test_a_changed_header_or_tail_is_refused(old, new, words):
    with pytest.raises(BoosterTextError, match=words):
        check_booster_text(_text().replace(old, new, -1 if old == "\n\n" else 1))


def test_an_empty_text_and_a_text_beyond_the_limit_are_refused(monkeypatch):
    with pytest.raises(BoosterTextError, match="no trees"):
        check_booster_text("")
    monkeypatch.setattr("models.booster_text.MAX_BYTES", 10)
    with pytest.raises(BoosterTextError, match="at most 10"):
        check_booster_text(_text())


@pytest.mark.parametrize(("limit", "value"), [("MAX_TREES", 3), ("MAX_DEPTH", 1), ("MAX_LEAVES", 3), ("MAX_FEATURES", 2)])
def test_each_limit_holds(monkeypatch, limit, value):
    monkeypatch.setattr(f"models.booster_text.{limit}", value)
    with pytest.raises(BoosterTextError):
        check_booster_text(_text())


PREDICT_ALL = """
import sys
import lightgbm as lgb, numpy as np
X = np.vstack([np.zeros((1, 4)), np.full((1, 4), np.nan), np.random.default_rng(0).normal(scale=9, size=(40, 4))])
for text in sys.stdin.read().split(chr(1)):
    if text:
        booster = lgb.Booster(model_str=text, params={"num_threads": 1})
        assert booster.predict(X, num_threads=1).shape == (42,)
        assert booster.predict(X, pred_contrib=True, num_threads=1).shape == (42, 5)
print("survived")
"""


def test_any_changed_integer_is_refused_or_harmless():
    """Whatever passes the check after one integer was changed predicts and explains in a process of its own without a crash."""
    text, generator = _text(), np.random.default_rng(20_220_908)
    places = [match.span() for match in re.finditer(r"(?<![\w.+|-])-?\d+(?![\w.|])", text[: text.index("end of trees")])]
    passed = []
    for start, end in (places[index] for index in generator.integers(0, len(places), MUTATIONS)):
        width, old = end - start, int(text[start:end])
        new = str(generator.choice([old + 1, old - 1, -old, 10**width - 1, 2**31 - 1, -(2**31), 0]))
        changed = text[:start] + new + text[end:]
        try:
            check_booster_text(changed)
        except BoosterTextError:
            continue
        passed.append(changed)
    assert len(passed) < MUTATIONS
    done = subprocess.run([sys.executable, "-c", PREDICT_ALL], input=chr(1).join([text, *passed]), capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "survived"
