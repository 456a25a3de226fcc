"""What the register has to say of an answer: worked out once for each way of targeting, and handed to the audit log, which writes both or neither."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from features.permission.live import Permission
from features.permission.packs import load_pack
from features.permission.targeting import ModelUsed, Targeting, Technique, targeting
from features.permission.use import Activity, Use
from models.affinity import TopicAffinity
from serving.bands import rule_words
from serving.champion import Champion
from serving.loaded import Loaded
from serving.permitting import special_scores
from serving.weighing import weights

_MOST = 256
"""Ways of targeting that are kept in memory; working one out takes milliseconds."""
_Key = tuple[Use, Activity, tuple[str, ...], date]


class Registrar:
    """Gives entries of the register; make one per process."""

    def __init__(self, permission: Permission) -> None:
        self._permission = permission
        self._made: tuple[Loaded | None, dict[_Key, Targeting | None]] = (None, {})

    def targeting(self, loaded: Loaded, use: Use, names: Sequence[str], *, at: datetime, activity: Activity = "score") -> Targeting | None:
        """Return the entry on scores of those names for the use; None where the use targets nobody online, or none of the scores can be had."""
        if use.channel_class != "online_targeted":
            return None
        key = (use, activity, tuple(sorted(set(names))), at.date())
        of, made = self._made
        if of is not loaded or len(made) >= _MOST:
            made = {}
            self._made = loaded, made
        if key not in made:
            made[key] = targeting_of(self._permission, loaded, use, names, day=at.date(), activity=activity)
        return made[key]


def targeting_of(permission: Permission, loaded: Loaded, use: Use, names: Sequence[str], *, day: date, activity: Activity = "score") -> Targeting | None:
    """Return the entry on an activity with scores of those names, None where none of them can be had; the use is one of online targeting."""
    pack = load_pack(use.jurisdiction)
    special = special_scores(loaded, names, use)
    refused = any(rule.level == "use" and rule.check == "always" and rule.applies(use, activity, special=True) for rule in pack.in_force(day))
    models = models_used(loaded, [name for name in names if not (refused and name in special)])
    if not models or loaded.group is None:
        return None
    sources = loaded.group.all_sources
    return targeting(use, activity, models, special=special, sources=sources, pack=pack, permission=permission.settings, day=day)


def models_used(loaded: Loaded, names: Sequence[str]) -> list[ModelUsed]:
    """Return the models that give scores of those names, each with the scores that it gives."""
    every, found = loaded.scores, dict[str, list[str]]()
    for name in dict.fromkeys(names):
        champion = loaded.champion(every[name]) if name in every else None
        if champion is not None and champion.name not in loaded.mismatched:
            found.setdefault(champion.name, []).append(name)
    return [_used(loaded.champions[name], scores) for name, scores in found.items()]


def _used(champion: Champion, scores: Sequence[str]) -> ModelUsed:
    bands = rule_words(signed=champion.scale != "probability")
    columns, counted = champion.columns, weights(champion.model)
    return ModelUsed(champion.name, champion.version, champion.digest, technique_of(champion), tuple(sorted(scores)), columns, counted, bands)


def technique_of(champion: Champion) -> Technique:
    """Return what kind of model a champion is."""
    if isinstance(champion.model, TopicAffinity):
        return "gradient_boosted_trees"
    return "uplift_stack" if champion.model.learner == "stack" else "uplift_learner"
