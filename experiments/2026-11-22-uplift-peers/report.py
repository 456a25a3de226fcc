"""What was found, as the tables of README.md, which are made from the values of `results.json` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from peers import ALONE, FIRST, ONCE, OURS, PEERS, WHOLE
from scipy import stats

Records = list[dict[str, object]]

STANDING = "Ours against the targets"
MOST_TIME, MOST_MEMORY = 0.7, 0.5
"""Of econml's DRLearner with equal folds and trees."""
MEASURES = {"autoc": "AUTOC (se)", "qini": "QINI (se)", "slope": "slope (se)", "slope_held": "slope after shrinkage", "policy_random": "gain at 20% (se)"}
REACH = float(stats.norm.ppf(0.975))


def tables(found: Mapping[str, Any], slopes: tuple[float, float]) -> dict[str, Records]:
    """Return the tables of README.md under their titles, from what `results.json` holds; the `slopes` between which ours is wanted."""
    real, simulated = ({name: one for name, one in found.items() if one.get("kind") == kind} for kind in ("real", "simulated"))
    made: dict[str, Records] = {}
    if real:
        made[STANDING] = [standing(one, slopes) for one in real.values()]
    if costs := [cost(one) for one in real.values() if _seconds(one, WHOLE) and _seconds(one, ALONE)]:
        made[f"Time and memory of the whole fit with evaluation (targets: ≤ {MOST_TIME} and ≤ {MOST_MEMORY} of econml's DRLearner)"] = costs
    for one in real.values():
        made[f"{one['title']}: {one['rows']:,} people, {one['treated']:,} of them contacted; mean of {one['foldings']} foldings"] = contrast(one)
    if numbers := {one["title"]: one["numbers"] for one in real.values() if one.get("numbers")}:
        made["One and the same prediction of ours (folding 0) under the names that packages give their measures"] = defined(numbers)
    if simulated:
        made["PEHE on people nobody learned from, mean of the seeds; the difference to ours in brackets, with its 95% interval over seeds"] = errors(simulated)
    if "coverage" in found:
        made[f"How often 90% intervals hold the truth (standard error), {found['coverage']['draws']} experiments of each kind"] = covered(found["coverage"])
    if "choices" in found:
        made["Several messages: the best to all, or each person's own (ours; standard errors in brackets)"] = chosen(found["choices"]["cases"])
    if "shuffled" in found:
        made["The arms dealt anew among the people: nobody's effect differs"] = dealt(found["shuffled"]["contrasts"])
    return made


def chosen(cases: Mapping[str, Any]) -> Records:
    """Return which message is best, by how much, and what choosing by person gains over it."""
    return [
        {
            "": f"{each['title']}, {each['rows']:,} people",
            "average effects (se; p after Holm)": "; ".join(f"{name} {with_error(found)}, {found[2]:.3f}" for name, found in each["effects"].items()),
            "best": each["best"],
            "lead over the next (se)": with_error(each["lead"]),
            "choosing by person, less the best to all (se)": with_error(each["by_person"]),
            "sent": "by person" if each["personal"] else "the best to all",
        }
        for each in cases.values()
    ]


def dealt(contrasts: Mapping[str, Any]) -> Records:
    """Return what was let through when there was nothing to find."""
    return [
        {
            "": f"{each['title']}, {each['rows']:,} people",
            "refused by the gate": f"{each['draws'] - each['accepted']} of {each['draws']}",
            "no detectable heterogeneity": f"{each['draws'] - each['found']} of {each['draws']}",
            "standard deviation of AUTOC / its error": f"{each['sd']:.2f}",
            "90% intervals of a random ranking's AUTOC that hold 0": f"{each['random']:.0%}",
        }
        for each in contrasts.values()
    ]


def standing(one: Mapping[str, Any], slopes: tuple[float, float]) -> dict[str, object]:
    """Return ours' figures on a real experiment beside what was wanted."""
    ours, aims = one["peers"][OURS], one["aims"]
    measures = ours["measures"]
    autoc, (held, _) = measures["autoc"], measures["slope_held"]
    wanted = aims.get("autoc")
    reached = "" if wanted is None else f"≥ {wanted:.4f}: {'met' if round(autoc[0], 4) >= wanted else 'missed'}"
    accepted, foldings = ours["accepted"], len(ours["accepted"])
    gate = aims.get("gate", "")
    judged = {"": "", "accepted": all(accepted), "refused": not any(accepted)}[gate]
    return {
        "": one["title"],
        "average effect (se)": with_error(measures["ate"]),
        "AUTOC (se)": with_error(autoc),
        "target": reached,
        "slope (se)": with_error(measures["slope"], 2),
        "after shrinkage": f"{held:.2f}" if gate == "refused" else f"{held:.2f}: {'met' if slopes[0] <= held <= slopes[1] else 'missed'}",
        "gate: foldings accepted": f"{sum(accepted)} of {foldings}",
        "wanted": "" if gate == "" else f"{gate}: {'met' if judged else 'missed'}",
    }


def contrast(one: Mapping[str, Any]) -> Records:
    """Return every peer's figures on a real experiment; intervals of paired differences are of 95%."""
    rows = []
    for name, peer in one["peers"].items():
        measures, paired = peer.get("measures", {}), peer.get("less_ours")
        rows.append(
            {
                "": f"**{name}**" if name == OURS else name,
                **{words: with_error(measures[key], 2 if "slope" in key else 4) if key in measures else "" for key, words in MEASURES.items()},
                "AUTOC, less ours": "" if paired is None else f"{paired[0]:+.4f} [{paired[0] - REACH * paired[1]:+.4f}, {paired[0] + REACH * paired[1]:+.4f}]",
                "accepted": f"{sum(peer['accepted'])} of {len(peer['accepted'])}" if peer.get("accepted") else "",
                "time per folding (s)": _number(peer.get("seconds")),
                "processor time (s)": _number(peer.get("cpu")),
                "peak memory (MB)": _number(peer.get("peak_mb"), 0),
                "status": peer["status"],
            }
        )
    return rows


def cost(one: Mapping[str, Any]) -> dict[str, object]:
    """Return what ours costs as a share of what econml's DRLearner does, with equal folds and trees."""
    parts = {name: one["peers"][PEERS[name].label] for name in (FIRST, ALONE, WHOLE, ONCE) if PEERS[name].label in one["peers"]}
    ours, alone, whole = parts[FIRST], parts[ALONE], parts[WHOLE]
    once = parts.get(ONCE, {}).get("seconds")
    return {
        "": one["title"],
        "DR (s)": _number(alone["seconds"]),
        "stack (s)": _number(ours["seconds"]),
        "econml, out of fold and once on everyone (s)": _number(whole["seconds"]),
        "share, DR": f"{alone['seconds'] / whole['seconds']:.2f}",
        "share, stack": f"{ours['seconds'] / whole['seconds']:.2f}",
        "share of processor time, DR": f"{alone['cpu'] / whole['cpu']:.2f}",
        "econml, once on everyone, nothing judged (s)": _number(once),
        "DR (MB)": _number(alone["peak_mb"], 0),
        "econml (MB)": _number(whole["peak_mb"], 0),
        "share of memory, DR": f"{alone['peak_mb'] / whole['peak_mb']:.2f}",
        "share, loaded libraries left out": f"{(alone['peak_mb'] - alone['loaded_mb']) / (whole['peak_mb'] - whole['loaded_mb']):.2f}",
    }


def defined(numbers: Mapping[str, Mapping[str, float]]) -> Records:
    """Return each definition's number for each real experiment."""
    names = list(dict.fromkeys(name for each in numbers.values() for name in each))
    return [{"": name, **{title: f"{each[name]:.5g}" if name in each else "" for title, each in numbers.items()}} for name in names]


def errors(simulated: Mapping[str, Any]) -> Records:
    """Return each peer's PEHE on each simulated kind of experiment."""
    names = list(dict.fromkeys(name for one in simulated.values() for name in one["peers"]))
    return [{"": f"**{name}**" if name == OURS else name, **{one["title"]: _error(one["peers"].get(name)) for one in simulated.values()}} for name in names]


def _error(peer: Mapping[str, Any] | None) -> str:
    if not peer:
        return ""
    if "pehe" not in peer:
        return str(peer["status"])
    value, paired = peer["pehe"][0], peer.get("less_ours")
    return f"{value:.4f}" if paired is None else f"{value:.4f} ({paired[0]:+.4f} [{paired[1]:+.4f}, {paired[2]:+.4f}])"


def covered(found: Mapping[str, Any]) -> Records:
    """Return the shares of intervals that hold what they are about, by surface."""
    heads = {
        "average": "average effect",
        "prediction": "people with this prediction",
        "gates": "fifths by predicted uplift",
        "person": "a person's own effect (not promised)",
        "accepted": "verdict: effects differ",
    }
    return [{"": each["title"], **{words: with_error(each[key], 3) for key, words in heads.items()}} for each in found["surfaces"].values()]


def with_error(estimate: Sequence[float], places: int = 4) -> str:
    """Return `0.0198 (0.0029)`."""
    return f"{estimate[0]:.{places}f} ({estimate[1]:.{places}f})"


def _seconds(one: Mapping[str, Any], name: str) -> float | None:
    return one["peers"].get(PEERS[name].label, {}).get("seconds")


def _number(value: float | None, places: int = 1) -> str:
    return "" if value is None else f"{value:,.{places}f}"
