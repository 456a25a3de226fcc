"""The register's entry on online targeting (rule L26): with what, by which data, for whom people are scored, picked or handed out. Nobody is in it (pure).

Two answers that are made in the same way have the same entry; its time says since when it is done so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from features.catalogue import FeatureError, family_of, parse_name
from features.permission.facts import Sources
from features.permission.packs import Pack
from features.permission.register import digest_of
from features.permission.rules import NOT_DIRECT
from features.permission.settings import PermissionSettings
from features.permission.source_types import is_own
from features.permission.use import Activity, Use

Technique = Literal["gradient_boosted_trees", "uplift_stack", "uplift_learner"]
TECHNIQUES: Mapping[Technique, str] = {
    "gradient_boosted_trees": "gradient-boosted decision trees, one model for all topics, with calibrated probabilities",
    "uplift_stack": "uplift model: a blend of three ways (DR-, X- and T-learner) to learn from a randomised experiment what contact changes, as boosted trees",
    "uplift_learner": "uplift model: what contact changes, learned from a randomised experiment, as boosted trees",
}
AI_STATEMENT = (
    "The scores come from statistical machine learning on what people did with the organisation. No text or picture is generated, and nothing is sent by the"
    " system: a person decides what is done with a score."
)
OTHER, TOPIC_ITSELF, ACROSS_TOPICS = "other", "the topic itself", "history across topics"
"""Of a model's columns: those that are no feature of ours, what stands for the topic, and what is made of a person's history with all topics together."""
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,99}")


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """A model that scores, with the scores it gives, the columns it was fitted on, how much each family of them counts (shares of 1), and its bands' rule."""

    name: str
    version: str
    digest: str
    technique: Technique
    scores: tuple[str, ...]
    columns: tuple[str, ...]
    weights: Mapping[str, float]
    bands: str


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Targeting:
    """An entry's content, with the digest that it is known by. Two that say the same are still two: each is looked for in the register."""

    body: Mapping[str, Any]
    digest: str


def targeting(
    use: Use,
    activity: Activity,
    models: Sequence[ModelUsed],
    *,
    special: Iterable[str],
    sources: Sources,
    pack: Pack,
    permission: PermissionSettings,
    day: date,
) -> Targeting:
    """Return the entry on one way of targeting; `special` are those of the scores that are special for the use, `sources` all that the tables know.

    Where the law lets none but own data serve (rule L3), only sources of such data are told of: the rows of others have dropped out.
    """
    scores = sorted(score for model in models for score in model.scores)
    own_alone = any(rule.check == "not_own_collection" and rule.applies(use, activity, special=False) for rule in pack.in_force(day))
    kinds = [kind for kind in source_kinds(sources.types, sources.collected_how) if not own_alone or is_own(kind["type"], kind["collected_how"])]
    confirmed = pack.confirmation(permission.confirmed)
    assessed = permission.risk_assessment
    body = {
        "activity": activity,
        "campaign": use.campaign_id,
        "political": use.political,
        "use": use.model_dump(mode="json", exclude_none=True),
        "techniques": [_technique(model) for model in sorted(models, key=lambda model: model.name)],
        "parameters": {"scores": scores, "bands": sorted({model.bands for model in models}), "main": main_parameters(models)},
        "groups": {"scores": scores, "jurisdiction": use.jurisdiction, "channel_class": use.channel_class, "channel": use.channel},
        "data_categories": data_categories(models),
        "special_categories": sorted(set(special) & set(scores)),
        "sources": kinds,
        "third_party_data": any(kind["collected_how"] in NOT_DIRECT for kind in kinds),
        "ai": {"used": True, "statement": AI_STATEMENT},
        "law": {"pack": pack.id, "version": pack.version, "digest": pack.digest, "state": "confirmed" if confirmed else pack.state},
        "dpia": permission.dpia,
        "risk_assessment": assessed.isoformat() if assessed else None,
    }
    return Targeting(body, digest_of(body))


def source_kinds(types: Iterable[str], collected_how: Iterable[str]) -> list[dict[str, Any]]:
    """Return types of sources with how they collect and how many of each there are; a type that could be somebody's words is `(other)`."""
    plain = (kind if _PLAIN.fullmatch(kind) else "(other)" for kind in types)
    found = Counter(zip(plain, collected_how, strict=True))
    return [{"type": kind, "collected_how": how, "sources": number} for (kind, how), number in sorted(found.items())]


def data_categories(models: Iterable[ModelUsed]) -> list[dict[str, Any]]:
    """Return the families of features that the models were fitted on, each with the attributes of persons in it."""
    found: dict[str, set[str]] = {}
    for column in dict.fromkeys(column for model in models for column in model.columns):
        attributes = found.setdefault(family(column), set())
        if column.startswith("attribute|"):
            attributes.add(str(parse_name(column).id))
    return [{"family": name, "attributes": sorted(attributes)} for name, attributes in sorted(found.items())]


def main_parameters(models: Iterable[ModelUsed], *, most: int = 5) -> list[dict[str, Any]]:
    """Return what counts most in each model: families of features and their share of what its trees gain, in whole percent."""
    said = []
    for model in sorted(models, key=lambda each: each.name):
        heaviest = sorted(model.weights.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
        said.append({"model": model.name, "families": [{"family": name, "percent": round(100 * share)} for name, share in heaviest if share > 0]})
    return said


def family(column: str) -> str:
    """Return the family of a model's column, `OTHER` where its name is none of ours."""
    try:
        return family_of(parse_name(column))
    except (FeatureError, KeyError):
        return OTHER


def _technique(model: ModelUsed) -> dict[str, str]:
    return {"model": model.name, "version": model.version, "digest": model.digest, "technique": model.technique, "words": TECHNIQUES[model.technique]}
