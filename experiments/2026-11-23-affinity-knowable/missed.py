"""What goes with the difference between ours and what is possible, as differences of logits."""

from __future__ import annotations

import numpy as np
from evidence import ANSWERED, OPENED, Evidence
from law import TENANT, UNKNOWN, Law
from numpy.typing import NDArray
from sampler import TOPICS
from scipy import special

Floats = NDArray[np.float64]
Records = list[dict[str, object]]
_MEAN_AGE, _AGE_SPREAD, _TENANTS, _UNION = 49, 17, 0.4, 0.3


def missed(best: Floats, ours: Floats, ev: Evidence, law: Law) -> tuple[Records, Records]:
    """Return the parts of the variance of logit(best) - logit(ours), and what the last part goes with.

    Parts: a topic's mean at an origin; then the mean of a row, which is how much the person does in all; then the rest, which is which topics.
    Correlations are with that rest; each quantity too is taken less its mean over the row's topics.
    """
    apart = special.logit(best) - special.logit(ours)
    left = apart.copy()
    for day in np.unique(ev.day):
        left[ev.day == day] -= left[ev.day == day].mean(axis=0)
    rest = left - left.mean(axis=1, keepdims=True)
    shares = (1 - left.var() / apart.var(), (left.var() - rest.var()) / apart.var(), rest.var() / apart.var())
    names = ("level of a topic at an origin", "how much a person does in all", "which topics a person is for")
    parts: Records = [{"part of the variance of the difference": name, "share": f"{share:.0%}"} for name, share in zip(names, shares, strict=True)]
    found = {name: np.corrcoef((each - each.mean(axis=1, keepdims=True)).ravel(), rest.ravel())[0, 1] for name, each in quantities(ev, law).items()}
    order = sorted(found, key=lambda name: -abs(found[name]))
    return parts, [{"which topics: the difference goes with": name, "correlation": f"{found[name]:+.2f}"} for name in order]


def quantities(ev: Evidence, law: Law) -> dict[str, Floats]:
    """Return quantities (n, T) by their name; what is unknown is at its mean."""
    rows = len(ev.day)
    answered, opened = (_counts(ev.sent_at, ev.became == kind, rows) for kind in (ANSWERED, OPENED))
    sent, own = _counts(ev.sent_at, np.ones(len(ev.sent), dtype=bool), rows), _counts(ev.own_at, np.ones(len(ev.own), dtype=bool), rows)
    engaged = np.log1p(answered + own)
    together = law.loadings.T @ law.loadings
    np.fill_diagonal(together, 0)
    age = np.where(ev.age < 0, 0, (ev.age - _MEAN_AGE) / _AGE_SPREAD)
    tenant = np.where(ev.tenure == UNKNOWN, 0, (ev.tenure == TENANT) - _TENANTS)
    union = np.where(ev.union < 0, 0, ev.union - _UNION)
    return {
        "answers and doings in the other topics, weighted by how much each has in common with this one": (engaged - engaged.mean(axis=1, keepdims=True))
        @ together,
        "age, by what it means for the topic": age[:, None] * law.slopes[0],
        "tenure, by what it means for the topic": tenant[:, None] * law.slopes[1],
        "union membership, by what it means for the topic": union[:, None] * law.slopes[2],
        "answers and doings in the topic itself (log of 1 + number)": engaged,
        "messages about the topic without an answer": sent - answered,
        "messages about the topic opened without an answer": opened,
        "stated interest": np.nan_to_num(ev.stated - np.nanmean(ev.stated)),
    }


def _counts(at: NDArray[np.int64], which: NDArray[np.bool_], rows: int) -> Floats:
    return np.diff(np.concatenate(([0], np.cumsum(which)))[at]).reshape(rows, TOPICS).astype(np.float64)
