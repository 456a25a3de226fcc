"""Several boosters as one: what is averaged stays one model, with one text and one set of reasons."""

from __future__ import annotations

import re
from collections.abc import Sequence

import lightgbm as lgb


def blend(boosters: Sequence[lgb.Booster], shares: Sequence[float] | None = None) -> lgb.Booster:
    """Return one booster whose margin, for every row, is the mean of theirs, or their sum weighted by `shares`.

    Its trees are those of all whose share is not zero, with outputs of so much less.
    """
    given = [1 / len(boosters)] * len(boosters) if shares is None else list(shares)
    parts = [(booster, share) for booster, share in zip(boosters, given, strict=True) if share != 0.0]
    if len(parts) == 1 and parts[0][1] == 1.0:
        return parts[0][0]
    texts = [booster.model_to_string(num_iteration=-1) for booster, _ in parts]
    shared = zip(texts, (share for _, share in parts), strict=True)
    trees = [_scaled(tree, share) for text, share in shared for tree in _TREE.findall(text.partition("end of trees")[0])]
    numbered = [f"Tree={number}\n{tree}" for number, tree in enumerate(trees)]
    head, tail = texts[0].partition("tree_sizes=")[0], texts[0].partition("end of trees")[2]
    sizes = " ".join(str(len(tree)) for tree in numbered)
    merged = lgb.Booster(model_str=f"{head}tree_sizes={sizes}\n\n{''.join(numbered)}end of trees{tail}")
    return lgb.Booster(model_str=merged.model_to_string())  # which counts importances anew


_TREE = re.compile(r"^Tree=\d+\n(.*?\n\n\n)", re.DOTALL | re.MULTILINE)
_OUTPUT = re.compile(r"^(leaf_value|internal_value|shrinkage)=(.*)$", re.MULTILINE)


def _scaled(tree: str, share: float) -> str:
    """Return the text of a tree whose outputs are a share of what they were."""
    return _OUTPUT.sub(lambda line: f"{line[1]}={' '.join(repr(share * float(value)) for value in line[2].split())}", tree)
