"""What was found, as values of `results.json`, and as the tables of README.md, which are made from those values alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from measures import LARGER_IS_BETTER, Judge, Measured, macro
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Records = list[dict[str, object]]

NAMES = {
    "auc_micro": "micro AUC",
    "auc_macro": "macro AUC",
    "average_precision": "PR-AUC",
    "ndcg_3": "NDCG@3",
    "ndcg_5": "NDCG@5",
    "log_loss": "log loss",
    "ece": "ECE",
    "lift_10": "lift at 10%",
}
COMPARED = ("log_loss", "auc_micro", "ndcg_5", "ece")
FEW = ("auc_micro", "ndcg_5", "log_loss", "ece")
"""Measures of the people without history."""
TRUTH = "the truth"
STANDING = "Where ours stands on each data set"
LEAST_PAIRS = 200
"""A segment with fewer known pairs is not told: its figures would be noise."""


@dataclass(frozen=True, repr=False)
class Tested:
    """The test rows of all origins, one below the other: labels (n, T), a number per person (n,), the parts of it that are told apart (n,)."""

    y: Floats
    person: NDArray[np.int64]
    topics: tuple[str, ...]
    origins: Mapping[str, Flags]
    segments: Mapping[str, Flags]
    cold: Flags


def found_of(judge: Judge, tested: Tested, predictions: Mapping[str, Floats], ours: str | None) -> dict[str, Any]:
    """Return the figures of each prediction (n, T) by its name, with the paired difference to that called `ours` where it is there."""
    results, own = {}, None
    for name in sorted(predictions, key=lambda name: name != ours):
        values, topics = _values(judge, predictions[name])
        own = values if name == ours else own
        results[name] = {
            "measures": _told(judge, values),
            "minus_ours": {} if own is None or name == ours else _told(judge, {key: values[key] - own[key] for key in values}),
            "topics": {topic: _told(judge, part) for topic, part in zip(tested.topics, topics, strict=True)},
            "origins": {origin: _told(judge, judge.measured(predictions[name], rows)) for origin, rows in tested.origins.items()},
            "segments": {
                segment: _told(judge, judge.measured(predictions[name], rows))
                for segment, rows in tested.segments.items()
                if (~np.isnan(tested.y[rows])).sum() >= LEAST_PAIRS
            },
            "cold": _told(judge, judge.measured(predictions[name], tested.cold)) if tested.cold.any() else {},
        }
    return {name: results[name] for name in predictions}


def _values(judge: Judge, P: Floats) -> tuple[Measured, list[Measured]]:
    topics = judge.by_topic(P)
    values = judge.measured(P) | {"auc_macro": macro(topics)}
    return {name: values[name] for name in LARGER_IS_BETTER}, topics


def _told(judge: Judge, values: Measured) -> dict[str, list[float | None]]:
    """Return each measure as value, low, high; None where it is not defined."""
    estimates = {name: judge.estimate(name, each) for name, each in values.items()}
    return {name: [round(x, 6) if math.isfinite(x) else None for x in (one.value, one.low, one.high)] for name, one in estimates.items()}


def tables(found: Mapping[str, Any], ours: str) -> dict[str, Records]:
    """Return the tables of README.md under their titles, for the data sets of `results.json`."""
    made = {STANDING: [standing(one, ours) for one in found.values()]}
    for one in found.values():
        made |= _tables(one, ours)
    return made


def _tables(one: Mapping[str, Any], ours: str) -> dict[str, Records]:
    title, about = one["title"], one["about"]
    peers, maps = one["peers"], one["maps"]
    head = f"{title}: {about['people']:,} people, {about['pairs']:,} (person, topic) pairs tested; {about['coverage']:.0%} intervals by a bootstrap over people"
    made = {
        head: [{"": _bold(name, ours), **_columns(peer, "measures", NAMES)} for name, peer in peers.items()],
        f"{title}: difference to ours (paired), time and memory": [_difference(_bold(name, ours), peer) for name, peer in peers.items()],
    }
    if len(about["origins"]) > 1:
        made[f"{title}: calibration error and log loss at each origin"] = [
            {"": _bold(name, ours), **_at_origins(peer, list(about["origins"]))} for name, peer in peers.items()
        ]
    if about["cold"]:
        rows = [{"": _bold(name, ours), **_columns(peer, "cold", {key: NAMES[key] for key in FEW})} for name, peer in peers.items()]
        made[f"{title}: people without a history of their own ({about['cold']:,} rows)"] = rows
    if maps:
        rows = [
            {"": name, **_columns(each, "measures", {"ece": "ECE", "log_loss": "log loss"}), **_compared(each, ("ece", "log_loss"))}
            for name, each in maps.items()
        ]
        made[f"{title}: the same trees under other calibration maps, on the test people"] = rows
    return made


def standing(one: Mapping[str, Any], ours: str) -> dict[str, object]:
    """Return for each measure whether ours is first, within the (paired) interval of the first, or behind it, among the peers that were run."""
    record: dict[str, object] = {"": one["title"]}
    others = {name: peer for name, peer in one["peers"].items() if peer.get("measures") and name != TRUTH and not name.startswith("ours")}
    own = one["peers"].get(ours, {}).get("measures")
    for name, larger in LARGER_IS_BETTER.items():
        record[NAMES[name]] = _stands(name, own[name][0], others, sign=1 if larger else -1) if own and others else ""
    return record if own else {**record, NAMES["auc_micro"]: one["peers"].get(ours, {"status": "not run"})["status"]}


def _stands(name: str, own: float, others: Mapping[str, Any], *, sign: int) -> str:
    values = {peer: sign * each["measures"][name][0] for peer, each in others.items() if each["measures"][name][0] is not None}
    best = max(values, key=values.__getitem__)
    if sign * own >= values[best]:
        return "first"
    _, low, high = others[best]["minus_ours"][name]
    return f"{'within' if low <= 0 <= high else 'behind'}: {best}"


def _bold(name: str, ours: str) -> str:
    return f"**{name}**" if name == ours else name


def _columns(peer: Mapping[str, Any], which: str, names: Mapping[str, str]) -> dict[str, object]:
    found = peer.get(which) or {}
    cells = {words: with_interval(found.get(key)) for key, words in names.items()}
    if not found:
        cells[next(iter(cells))] = peer["status"]
    return cells


def _compared(peer: Mapping[str, Any], names: Sequence[str]) -> dict[str, object]:
    return {f"{NAMES[key]}, less ours": with_interval(peer.get("minus_ours", {}).get(key), signed=True) for key in names}


def _difference(name: str, peer: Mapping[str, Any]) -> dict[str, object]:
    cost = {"time (s)": "seconds", "processor time (s)": "cpu", "peak memory (MB)": "peak_mb"}
    return {"": name, **_compared(peer, COMPARED), **{words: "" if peer.get(key) is None else f"{peer[key]:,.1f}" for words, key in cost.items()}}


def _at_origins(peer: Mapping[str, Any], origins: Sequence[str]) -> dict[str, object]:
    parts = {**{origin: peer.get("origins", {}).get(origin, {}) for origin in origins}, "together": peer.get("measures", {})}
    return {f"{origin}: {NAMES[key]}": with_interval(found.get(key), short=True) for key in ("ece", "log_loss") for origin, found in parts.items()}


def with_interval(estimate: Sequence[float | None] | None, *, signed: bool = False, short: bool = False) -> str:
    """Return `0.8601 [0.851, 0.868]`; nothing where there is no value."""
    if not estimate or estimate[0] is None:
        return ""
    value, low, high = estimate
    sign, places = ("+" if signed else ""), 4 if signed else 3
    if short or low is None or high is None:
        return f"{value:{sign}.4f}"
    return f"{value:{sign}.4f} [{low:{sign}.{places}f}, {high:{sign}.{places}f}]"
