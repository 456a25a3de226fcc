"""What was found, as the tables of README.md and of `results.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from judged import Judged
from measures import Judge, Measured
from numpy.typing import NDArray
from sampler import TOPICS, Found
from scipy import special

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Records = list[dict[str, object]]

TRUTH, STATES = "the truth", "every state of a person known, messages to come unknown"
PLANNED, UNPLANNED = "best possible, messages to come known", "best possible, messages to come unknown"
OURS, MORE, AVERAGE = "**ours: TopicAffinity**", "ours, learned from four times the pairs", "rule: average of the topic"
COLUMNS = {"log_loss": "log loss", "auc_micro": "micro AUC", "ndcg_5": "NDCG@5", "ece": "ECE"}
AGAINST = ((STATES, TRUTH), (PLANNED, TRUTH), (UNPLANNED, TRUTH), (OURS, TRUTH), (OURS, PLANNED), (OURS, UNPLANNED), (MORE, UNPLANNED), (MORE, OURS))
INSIDE = (0.05, 0.95)


def standing(judge: Judge, predictions: Mapping[str, Floats]) -> tuple[Records, Records]:
    """Return the figures of each prediction (n, T), and those of one against another, by the same draws of people."""
    found = {name: judge.measured(P) for name, P in predictions.items()}
    own = [{"": name, **{words: _cell(judge, each[key]) for key, words in COLUMNS.items()}} for name, each in found.items()]
    return own, [_against(judge, one, other, found) for one, other in AGAINST]


def _against(judge: Judge, one: str, other: str, found: Mapping[str, Measured]) -> dict[str, object]:
    mine, yours = found[one], found[other]
    return {
        "": f"{one.strip('*')}, against {other.strip('*')}",
        "log loss above it": share(judge, mine["log_loss"] / yours["log_loss"] - 1),
        **{f"{COLUMNS[key]}, difference": _cell(judge, mine[key] - yours[key], signed=True) for key in ("log_loss", "auc_micro", "ndcg_5")},
    }


def _cell(judge: Judge, values: Floats, *, signed: bool = False) -> str:
    one = judge.estimate("", values)
    return f"{one.value:{'+' if signed else ''}.4f} [{one.low:{'+' if signed else ''}.4f}, {one.high:{'+' if signed else ''}.4f}]"


def share(judge: Judge, values: Floats) -> str:
    """Return a ratio less one (1 + draws,) as per cent with its interval."""
    one = judge.estimate("", values)
    return f"{one.value:.1%} [{one.low:.1%}, {one.high:.1%}]"


def where(judge: Judge, predictions: Mapping[str, Floats], groups: Mapping[str, Flags]) -> Records:
    """Return, by group of rows (n,), what ours loses to what is possible without knowing the messages to come, and its part of all that it loses."""
    losses = {name: judge.measured(P)["log_loss"][0] for name, P in predictions.items()}
    whole, lines = losses[OURS] - losses[UNPLANNED], []
    for name, rows in groups.items():
        found = {who: judge.measured(predictions[who], rows)["log_loss"] for who in (TRUTH, UNPLANNED, OURS)}
        lines.append(
            {
                "": name,
                "rows": f"{rows.mean():.1%}",
                **{f"log loss of {who.strip('*')}": f"{each[0]:.4f}" for who, each in found.items()},
                "ours above what is possible": share(judge, found[OURS] / found[UNPLANNED] - 1),
                "part of the whole difference": f"{rows.mean() * (found[OURS][0] - found[UNPLANNED][0]) / whole:.0%}",
            }
        )
    return lines


def swapped(judge: Judge, predictions: Mapping[str, Floats]) -> Records:
    """Return what ours would be with one half of a prediction taken from the best possible: each person's level, or the order and distance of topics."""
    best, ours = predictions[UNPLANNED], predictions[OURS]
    loss = judge.measured(best)["log_loss"]
    made = {
        "as it is": ours,
        "each person's level from the best possible": levelled(ours, best),
        "each person's topics from the best possible": levelled(best, ours),
    }
    return [{"ours": name, **_possible(judge, judge.measured(P)["log_loss"], loss)} for name, P in made.items()]


def _possible(judge: Judge, mine: Floats, best: Floats) -> dict[str, object]:
    return {"log loss": _cell(judge, mine), "above what is possible": share(judge, mine / best - 1)}


def levelled(P: Floats, target: Floats) -> Floats:
    """Return P (n, T) with the logits of each row moved by one number so that its mean is that of the row of `target`."""
    logits, wanted = special.logit(P), target.mean(axis=1)
    low, high = np.full(len(P), -20.0), np.full(len(P), 20.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = special.expit(logits + middle[:, None]).mean(axis=1) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(special.expit(logits + ((low + high) / 2)[:, None]))


def without(judge: Judge, best: Floats, others: Mapping[str, Floats]) -> Records:
    """Return what is possible (messages to come known) with all that is known, and without each part of it."""
    loss = judge.measured(best)["log_loss"]
    lines: Records = [{"": "all that is known", "log loss": _cell(judge, loss), "difference": "", "above it": ""}]
    for name, P in others.items():
        mine = judge.measured(P)["log_loss"]
        less = {"difference": _cell(judge, mine - loss, signed=True), "above it": share(judge, mine / loss - 1)}
        lines.append({"": name, "log loss": _cell(judge, mine), **less})
    return lines


def checks(judge: Judge, rows: Judged, found: Found, quiet: Flags, *, exact: tuple[Floats, Floats], prior: tuple[Floats, Floats]) -> Records:
    """Return what must hold of a sampler that is right.

    `quiet` (n,) who had gone quiet; `exact` two (m, T), the probabilities given the true states, and those of the simulation; `prior` two (k, T), what chains
    without any history say, and the mean over draws of the prior.
    """
    chains = [judge.measured(found.planned[:, chain])["log_loss"][0] for chain in range(2)]
    both = judge.measured(found.planned.mean(axis=1))["log_loss"][0]
    spread = (found.square - found.mean**2).mean(axis=1)
    apart = (found.mean[:, 0] - found.mean[:, 1]) ** 2 / 2
    size = spread.mean(axis=0) / apart.mean(axis=0)
    parts = {"activity": slice(0, 1), "interest": slice(1, 1 + TOPICS), "drift": slice(1 + TOPICS, None)}
    lines = [(f"true {name} inside the middle 90% of its draws", f"{_inside(found.below[:, part]):.1%}") for name, part in parts.items()]
    lines += [(f"rank of the true {name} among its draws: share in each tenth", _tenths(found.below[:, part])) for name, part in parts.items()]
    said = found.quiet.mean(axis=1)
    lines += [("people who had gone quiet: as said, and in truth", f"{said.mean():.3f}, {quiet.mean():.3f}")]
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.7), (0.7, 0.9), (0.9, 1.01)):
        group = (said >= low) & (said < high)
        words = f"the same where {low:.0%} to {min(high, 1):.0%} was said ({group.sum():,} rows)"
        lines.append((words, f"{said[group].mean():.3f}, {quiet[group].mean():.3f}"))
    best = found.planned.mean(axis=1)
    lines += [
        ("mean probability: best possible (messages known, unknown), truth, observed", _means(best, found.anew.mean(axis=1), rows.truth, rows.y)),
        ("calibration error of the best possible (messages known)", f"{judge.measured(best)['ece'][0]:.4f}"),
        ("log loss of the best possible: first chain, second chain, both", ", ".join(f"{loss:.5f}" for loss in (*chains, both))),
        ("independent draws that one chain is worth: activity; interests, least and mean", f"{size[0]:.0f}; {size[1:].min():.0f}, {size[1:].mean():.0f}"),
        (f"given the true states, greatest distance to the simulation's own truth ({len(exact[0]):,} rows)", f"{np.abs(exact[0] - exact[1]).max():.1e}"),
        (f"without history, mean of chains and of draws of the prior ({len(prior[0]):,} rows)", _means(*prior)),
        ("without history, root mean square distance of the two, pair by pair", f"{np.sqrt(((prior[0] - prior[1]) ** 2).mean()):.4f}"),
    ]
    return [{"": name, "found": value} for name, value in lines]


def _inside(below: Floats) -> float:
    return float(((below > INSIDE[0]) & (below < INSIDE[1])).mean())


def _tenths(below: Floats) -> str:
    count = np.histogram(below, 10, (0, 1))[0] / below.size
    return f"{count.min():.3f} to {count.max():.3f}"


def _means(*all_of: Floats) -> str:
    return ", ".join(f"{each.mean():.4f}" for each in all_of)


def cut(name: str, values: Floats, edges: Sequence[int]) -> dict[str, Flags]:
    """Return the rows (n,) between each two of the edges, by a name such as `3 to 9 answers`; the last group has no end."""
    found = {}
    for low, high in zip(edges, [*edges[1:], None], strict=True):
        words = f"{low} or more" if high is None else f"{low}" if high == low + 1 else f"{low} to {high - 1}"
        found[f"{words} {name}"] = (values >= low) & (values < (np.inf if high is None else high))
    return found
