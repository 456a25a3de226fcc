# %% [markdown]
# How near to the truth could anybody come who sees only what had happened by `as_of`? README.md has the question; this writes its result.
#
# `python experiments/2026-11-23-affinity-knowable/run.py [--rows N] [--rounds N] [--keep FOLDER]`

# %%
from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS = ROOT / "experiments" / "2026-11-22-affinity-peers"
"""Whose rolling origins, rows and model these are."""
sys.path[:0] = [str(ROOT), str(PEERS)]

import figures
from evidence import ANSWERED, Evidence, emptied, evidence_of
from figures import AVERAGE, MORE, OURS, PLANNED, STATES, TRUTH, UNPLANNED
from judged import Judged, judged, window
from law import Law, law_of
from measures import Judge
from messages import Anew, anew_of
from missed import missed
from sampler import NO_LONGER, TOPICS, Found, engages, from_prior, from_states, nothing_yet, sample

from training.experiment import write_results
from training.simulation import Simulation, simulate

SEED, DRAWS = 0, 400
PAIRS, FOLD = 200_000, 4
"""Pairs learned from at an origin, as in the peers' experiment; and how many times as many for the second training."""
BURN_SHARE, THIN, CHUNK = 6, 3, 250
"""One in so many rounds is left out at the beginning; one in so many of the others is a draw; rows told of at once."""
EXACT, PRIOR_ROWS, PRIOR_DRAWS, STATE_DRAWS = 2_000, 200, 4_000, 400
BEGUN = time.monotonic()


def tell(text: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - BEGUN), 60)
    print(f"[{minutes:02d}:{seconds:02d}] {text}", file=sys.stderr, flush=True)


# %% Whose rows: a draw of those of the peers' experiment, with what ours says of them


def tested(given: argparse.Namespace) -> Judged:
    """Return `given.rows` test rows of each origin."""
    everybody, rng = trained(PAIRS, given), np.random.default_rng(SEED)
    drawn = [rng.permutation(np.flatnonzero(everybody.as_of == as_of))[: given.rows] for as_of in np.unique(everybody.as_of)]
    return everybody.take(np.sort(np.concatenate(drawn)))


def learned_from_more(rows: Judged, given: argparse.Namespace) -> np.ndarray[Any, Any]:
    """Return what ours says of the same rows (n, T) when it learned from four times the pairs."""
    more = trained(FOLD * PAIRS, given)
    place = {key: row for row, key in enumerate(zip(more.person.tolist(), more.as_of.tolist(), strict=True))}
    return more.ours[[place[key] for key in zip(rows.person.tolist(), rows.as_of.tolist(), strict=True)]]


def trained(pairs: int, given: argparse.Namespace) -> Judged:
    """Return all test rows after trainings on so many pairs, from the folder of `--keep` where they are there already."""
    path = given.keep / f"judged-{pairs}.npz" if given.keep else None
    if path and path.is_file():
        return Judged.load(path)
    tell(f"training on {pairs:,} pairs")
    with tempfile.TemporaryDirectory(prefix="knowable-") as passing:
        made = judged(Path(passing) / "origins", people=given.people, pairs=pairs)
    if path:
        made.save(path)
    return made


def days_of(made: Simulation, rows: Judged) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the day of the calendar (n,) that begins at each row's `as_of`."""
    return np.array([made.calendar.day_of(each.replace(tzinfo=UTC)) for each in rows.as_of.astype("datetime64[us]").tolist()])


# %% What is possible: the posterior under the law


def possible(name: str, ev: Evidence, law: Law, an: Anew, *, true: np.ndarray[Any, Any], given: argparse.Namespace) -> Found:
    """Return what two chains say of each row, from the folder of `--keep` where it is there already under this name."""
    n, rounds = len(ev.day), given.rounds
    path = given.keep / f"{name.replace(' ', '-')}-{n}-{rounds}.npz" if given.keep else None
    if path and path.is_file():
        with np.load(path, allow_pickle=False) as saved:
            return Found(**saved)
    tell(f"the posterior: {name}")
    found = nothing_yet(n)
    for begin in range(0, n, CHUNK):
        sample(np.arange(begin, min(begin + CHUNK, n)), SEED, rounds, rounds // BURN_SHARE, THIN, window(), ev, law, an, true, found)
        if begin % (2 * CHUNK) == 0:
            tell(f"   {min(begin + CHUNK, n):,} of {n:,} rows")
    if path:
        np.savez(path, **found._asdict())
    return found


def states(made: Simulation, rows: Judged) -> np.ndarray[Any, Any]:
    """Return the true activity, interests and drifts (n, 1 + 2T)."""
    people = made.population
    return np.column_stack([people.activity[rows.person], people.interest[rows.person], people.drift[rows.person]]).astype(np.float64)


def given_states(made: Simulation, rows: Judged, ev: Evidence, law: Law, an: Anew) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the probabilities that follow from the true states, by the formulas of this experiment and by the simulation's.

    Rows with a message whose answer may still be coming are left out: there the simulation does not look at whether it has come, and this does.
    """
    waiting = np.concatenate(([0], np.cumsum((ev.became != ANSWERED) & (ev.late > NO_LONGER) | (ev.became == ANSWERED) & recent(ev))))[ev.sent_at[::TOPICS]]
    some = np.flatnonzero(np.diff(waiting) == 0)[:EXACT]
    true, said, found = states(made, rows), np.empty((2, TOPICS)), np.empty((len(some), TOPICS))
    for place, row in enumerate(some):
        engages(true[row], made.population.quiet[rows.person[row]], row, window(), ev, law, an, said)
        found[place] = said[0]
    return found, rows.truth[some]


def recent(ev: Evidence) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which messages (k,) were sent in the last twelve days before as_of, so that e^-40 of their answers are still to come."""
    row = np.repeat(np.arange(len(ev.sent_at) - 1) // TOPICS, np.diff(ev.sent_at))
    return np.asarray(ev.day[row] - ev.sent < 12)


def without_history(ev: Evidence, law: Law, an: Anew, true: np.ndarray[Any, Any], rounds: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return what chains say of the first rows (k, T) as if nothing had happened yet, and what draws of the prior do."""
    bare, found = emptied(ev), nothing_yet(PRIOR_ROWS)
    sample(np.arange(PRIOR_ROWS), SEED, rounds, rounds // BURN_SHARE, THIN, window(), bare, law, an, true, found)
    drawn = np.stack([from_prior(row, PRIOR_DRAWS, SEED + row, window(), bare, law, an)[0] for row in range(PRIOR_ROWS)])
    return found.planned.mean(axis=1), drawn


# %% With parts of what is known left out


def parts(made: Simulation, rows: Judged, law: Law, given: argparse.Namespace) -> dict[str, np.ndarray[Any, Any]]:
    """Return what is possible (n, T), messages to come known, without each part of what is known."""
    day, found = days_of(made, rows), {}
    an, true = anew_of(made, rows.person, day, SEED), states(made, rows)

    def known(**options: bool) -> Evidence:
        return evidence_of(made, rows.person, day, window(), **options)

    nothing = np.full(len(day), -1)
    left_out: dict[str, Callable[[], Evidence]] = {
        "without opens": lambda: known(opens=False),
        "without stated interests": lambda: known(stated=False),
        "without age, tenure and union membership": lambda: known()._replace(age=nothing, tenure=np.zeros_like(nothing), union=nothing),
    }
    for name, make in left_out.items():
        found[name] = possible(name, make(), law, an, true=true, given=given).planned.mean(axis=1)
    return found


# %% All of it


def groups(made: Simulation, rows: Judged, ev: Evidence) -> dict[str, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return the groups of rows that are told apart."""
    sent = np.diff(ev.sent_at[::TOPICS])
    answers = np.diff(np.concatenate(([0], np.cumsum(ev.became == ANSWERED)))[ev.sent_at[::TOPICS]]) + np.diff(ev.own_at[::TOPICS])
    coming, quiet = np.diff(ev.next_at[::TOPICS]), made.population.quiet[rows.person]
    late = ev.day + window()[1]
    return {
        **figures.cut("messages so far", sent, (0, 10, 20, 40)),
        **figures.cut("answers and doings of their own accord so far", answers, (0, 1, 3, 10, 30)),
        **figures.cut("messages in the window", coming, (0, 1, 3, 6)),
        "gone quiet more than 90 days before": quiet < ev.day - 90,
        "gone quiet in the 90 days before": (quiet >= ev.day - 90) & (quiet < ev.day),
        "goes quiet before the window ends": (quiet >= ev.day) & (quiet < late),
        "not quiet": quiet >= late,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=1_200, help="test rows of each origin")
    parser.add_argument("--fewer", type=int, default=400, help="of these, for what is possible without a part of what is known")
    parser.add_argument("--rounds", type=int, default=1_000)
    parser.add_argument("--keep", type=Path, help="folder in which trainings and draws are kept, and looked for")
    given = parser.parse_args()
    rows = tested(given)
    made = simulate(given.people, seed=SEED)
    law, day = law_of(made, SEED), days_of(made, rows)
    ev, an, true = evidence_of(made, rows.person, day, window()), anew_of(made, rows.person, day, SEED), states(made, rows)
    found = possible("all that is known", ev, law, an, true=true, given=given)
    tell("checks")
    exact, prior = given_states(made, rows, ev, law, an), without_history(ev, law, an, true, given.rounds)
    alone = np.stack(
        [from_states(row, STATE_DRAWS, SEED + row, true[row], quiet, window(), ev, law, an)[1] for row, quiet in enumerate(made.population.quiet[rows.person])]
    )
    best = {TRUTH: rows.truth, STATES: alone, PLANNED: found.planned.mean(axis=1), UNPLANNED: found.anew.mean(axis=1)}
    rng = np.random.default_rng(SEED)
    some = np.sort(np.concatenate([rng.permutation(np.flatnonzero(day == each))[: given.fewer] for each in np.unique(day)]))
    fewer = parts(made, rows.take(some), law, given)
    predictions = {**best, OURS: rows.ours, MORE: learned_from_more(rows, given), AVERAGE: rows.average}
    judge, part = Judge(rows.y, rows.person, draws=DRAWS), Judge(rows.y[some], rows.person[some], draws=DRAWS)
    own, against = figures.standing(judge, predictions)
    shares, goes_with = missed(best[UNPLANNED], rows.ours, ev, law)
    size = f"{len(rows.y):,} rows of {len(np.unique(rows.person)):,} people"
    write_results(
        HERE,
        {
            f"What is possible, and what ours reaches: {size}, {rows.y.size:,} pairs; 95% intervals by a bootstrap over people": own,
            "One against another (paired)": against,
            f"Without a part of what is known ({len(some):,} of the rows, messages to come known)": figures.without(part, best[PLANNED][some], fewer),
            "Where ours loses to what is possible (messages to come unknown)": figures.where(judge, predictions, groups(made, rows, ev)),
            "Half of ours, half of what is possible (messages to come unknown)": figures.swapped(judge, predictions),
            "What ours and the best possible (messages to come unknown) differ in, as differences of logits": shares,
            "What that goes with": goes_with,
            "Whether the sampler is right": figures.checks(judge, rows, found, made.population.quiet[rows.person] < day, exact=exact, prior=prior),
        },
    )
    tell("done")


if __name__ == "__main__":
    main()
