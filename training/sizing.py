"""How many people a plan needs and what those at hand can show, in numbers for the plan's file and in words for a person."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from models.uplift_evaluation import CROSS_FITTING
from training.power import (
    Assumptions,
    Needed,
    Simulated,
    design_effect,
    detectable_effect,
    detectable_sd,
    people_for_average,
    people_for_ranking,
    ranking_constant,
)


@dataclass(frozen=True, slots=True)
class Sizing:
    """The sizes that follow from assumptions, for `at_hand` people, of whom the share `holdout` is not drawn."""

    assumptions: Assumptions
    at_hand: int
    holdout: float
    simulated: Simulated | None = None

    @property
    def drawn(self) -> int:
        """How many of the people at hand an experiment draws."""
        return round(self.at_hand * (1 - self.holdout))

    def values(self) -> dict[str, float | None]:
        """Return assumptions and results by name; None for what was not asked or cannot be found."""
        assumed, given = self.assumptions, {name: value for name, value in asdict(self.assumptions).items() if name not in {"shares", "control"}}
        found: dict[str, float | None] = {
            "people_at_hand": self.at_hand,
            "people_drawn": self.drawn,
            "people_for_average": people_for_average(assumed).total,
            "detectable_effect": _finite(detectable_effect(assumed, self.drawn)),
        }
        if assumed.effect_sd is not None:
            found["people_for_ranking"] = people_for_ranking(assumed).total
            found["people_for_learned_ranking"] = people_for_ranking(assumed, stretch=CROSS_FITTING).total
        found["detectable_sd"] = _finite(detectable_sd(assumed, self.drawn))
        if self.simulated is not None:
            found |= {f"simulated_{name}": value for name, value in asdict(self.simulated).items()}
        return given | found

    def words(self) -> tuple[str, ...]:
        """Return the sizes in sentences, each with the assumptions it stands on."""
        return (self._average(), *self._ranking(), self._at_hand(), *self._simulated())

    def _average(self) -> str:
        assumed = self.assumptions
        contrasts = len(assumed.treatments)
        shared = (
            ""
            if contrasts == 1
            else f", shared by {contrasts} contrasts (Bonferroni; Holm's procedure, by which the training tells them, finds at least as much)"
        )
        spread = "yes or no" if assumed.outcome_sd is None else f"standard deviation {assumed.outcome_sd:g}"
        return (
            f"average effect of {assumed.effect:+g} on {assumed.baseline:g} ({spread}): {_people(people_for_average(assumed))}, "
            f"with power {assumed.power:.0%} at level {assumed.alpha:g}, two-sided{shared}{self._inflation()}"
        )

    def _inflation(self) -> str:
        assumed, parts = self.assumptions, []
        effect = design_effect(assumed.unit_size, assumed.intra_unit, assumed.unit_size_cv)
        if effect > 1:
            parts.append(
                f"design effect {effect:.2f} (units of {assumed.unit_size:.2f} people, cv {assumed.unit_size_cv:.2f}, correlation {assumed.intra_unit:g})"
            )
        if assumed.attrition:
            parts.append(f"{assumed.attrition:.0%} never measured")
        return "".join(f"; {part}" for part in parts)

    def _ranking(self) -> tuple[str, ...]:
        assumed = self.assumptions
        if assumed.effect_sd is None:
            return ("differences between people: not asked; --effect-sd says how much the effect differs",)
        target, tested = assumed.correlation * assumed.effect_sd, f"power {assumed.power:.0%} at level {assumed.ranking_alpha:g}, one-sided"
        constant = _per_contrast(assumed)
        given, learned = people_for_ranking(assumed), people_for_ranking(assumed, stretch=CROSS_FITTING)
        what = f"sd of the effect {assumed.effect_sd:g}, correlation of the ranking {assumed.correlation:g}"
        formula = f"n = ({constant:.2f} / {target:g})² people in each contrast for AUTOC of a ranking given beforehand, {tested}{self._inflation()}"
        return (
            f"differences between people ({what}): {_people(given)}; {formula}",
            f"the same for a ranking learned in this experiment, whose bounds the gate widens by {CROSS_FITTING:.2f}: {_people(learned)}",
            "the gate also asks for the slope and for policies that pay: its own power is lower than that of AUTOC",
        )

    def _at_hand(self) -> str:
        if not self.drawn:
            return "at hand: nobody yet"
        effect, spread = detectable_effect(self.assumptions, self.drawn), detectable_sd(self.assumptions, self.drawn)
        shown = "no effect can be found with so few" if math.isnan(effect) else f"the smallest average effect that can be found is {effect:.4g}"
        return (
            f"at hand: {self.at_hand:,} people are eligible, about {self.at_hand - self.drawn:,} held out, {self.drawn:,} drawn; {shown}, "
            f"the smallest sd of the effect {spread:.4g} (for a ranking given beforehand)"
        )

    def _simulated(self) -> tuple[str, ...]:
        found = self.simulated
        if found is None:
            return ()
        words = f"simulated with {found.people:,} people, {found.draws} experiments: the average effect is found in {_share(found, found.average)}"
        if self.assumptions.effect_sd is None:
            return (words,)
        return (f"{words}, AUTOC of a given ranking in {_share(found, found.ranking)}, of a learned one in {_share(found, found.gate)}",)


def _per_contrast(assumed: Assumptions) -> float:
    """Return the largest constant of the contrasts."""
    control, treated = assumed.variances(assumed.effect)
    shares: Mapping[str, float] = assumed.shares
    both = [(shares[arm], shares[assumed.control]) for arm in assumed.treatments]
    score = max(math.sqrt((treated / arm + control / other) * (arm + other)) for arm, other in both)
    return ranking_constant(score, power=assumed.power, alpha=assumed.ranking_alpha)


def _people(needed: Needed) -> str:
    return f"{needed.total:,} people ({', '.join(f'{arm} {people:,}' for arm, people in needed.by_arm.items())})"


def _share(found: Simulated, share: float) -> str:
    return f"{share:.0%} (se {found.se(share):.1%})"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
