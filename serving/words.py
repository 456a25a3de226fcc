"""What a score's parts speak of, and why there is no score, in the languages people are answered in."""

from __future__ import annotations

from features.vocabulary import Language
from serving.schemas import Unit

_WORDS: dict[str, dict[Language, str]] = {
    "unknown_person": {
        "en": "No vector is published for this person: they were not in the population when the vectors were built.",
        "fr": "Aucun vecteur n'est publié pour cette personne : elle n'était pas dans la population lors de la construction des vecteurs.",
        "nl": "Voor deze persoon is geen vector gepubliceerd: die zat niet in de populatie toen de vectoren werden gebouwd.",
    },
    "unknown_score": {
        "en": "This workspace has no score of that name.",
        "fr": "Cet espace de travail n'a pas de score de ce nom.",
        "nl": "Deze werkruimte heeft geen score met die naam.",
    },
    "no_model": {
        "en": "No model was promoted for this score.",
        "fr": "Aucun modèle n'a été promu pour ce score.",
        "nl": "Voor deze score is geen model gepromoveerd.",
    },
    "ranking_refused": {
        "en": "The model does not rank people better than sending this message to everyone, so it scores nobody; the average effect holds for all.",
        "fr": "Le modèle ne classe pas mieux que l'envoi de ce message à tous ; il ne note donc personne, l'effet moyen vaut pour tous.",
        "nl": "Het model rangschikt niet beter dan dit bericht naar iedereen sturen; het scoort dus niemand, het gemiddelde effect geldt voor allen.",
    },
    "vectors_mismatch": {
        "en": "The published vectors are not made as this model was trained, so it cannot score; rebuild the vectors or train again.",
        "fr": "Les vecteurs publiés ne sont pas construits comme lors de l'entraînement de ce modèle ; reconstruisez-les ou réentraînez le modèle.",
        "nl": "De gepubliceerde vectoren zijn niet gemaakt zoals dit model is getraind; bouw de vectoren opnieuw of train opnieuw.",
    },
}

_EXPLAINED: dict[Unit, dict[Language, str]] = {
    "log_odds": {
        "en": "The parts add up to how likely this person is to engage with the topic.",
        "fr": "Les éléments s'additionnent pour donner la probabilité que cette personne s'engage sur ce thème.",
        "nl": "De onderdelen tellen op tot hoe waarschijnlijk het is dat deze persoon op het thema ingaat.",
    },
    "percentage_points": {
        "en": "The parts add up to the difference that contact makes, not to how likely this person is to act with it or without it.",
        "fr": "Les éléments s'additionnent pour donner la différence faite par le contact, et non la probabilité d'agir avec ou sans lui.",
        "nl": "De onderdelen tellen op tot het verschil dat contact maakt, niet tot hoe waarschijnlijk deze persoon met of zonder contact iets doet.",
    },
}
_EFFECTS: dict[Unit, dict[Language, tuple[str, str]]] = {
    "log_odds": {
        "en": ("makes engaging more likely", "makes engaging less likely"),
        "fr": ("rend l'engagement plus probable", "rend l'engagement moins probable"),
        "nl": ("maakt ingaan op het thema waarschijnlijker", "maakt ingaan op het thema minder waarschijnlijk"),
    },
    "percentage_points": {
        "en": ("raises the difference that contact makes", "lowers the difference that contact makes"),
        "fr": ("augmente la différence faite par le contact", "réduit la différence faite par le contact"),
        "nl": ("vergroot het verschil dat contact maakt", "verkleint het verschil dat contact maakt"),
    },
}
"""By unit of the explanation: of a positive contribution, of a negative one."""

_DID_YOU_MEAN: dict[Language, str] = {"en": "Did you mean {name}?", "fr": "Vouliez-vous dire {name} ?", "nl": "Bedoelde u {name}?"}

_NO_INTERVAL: dict[Language, str] = {
    "en": "Too few held-out people score like this one to state an interval.",
    "fr": "Trop peu de personnes mises de côté ont un score proche pour donner un intervalle.",
    "nl": "Te weinig achtergehouden mensen scoren zoals deze om een interval te geven.",
}


def refusal_words(code: str, language: Language) -> str:
    """Return the sentence of a code; raises KeyError for a code that has none."""
    return _WORDS[code][language]


def explained_words(unit: Unit, language: Language) -> str:
    """Return what the parts of an explanation in this unit add up to; of an uplift, the difference made by contact and never the outcome."""
    return _EXPLAINED[unit][language]


def effect_words(unit: Unit, contribution: float, language: Language) -> str:
    """Return what a part of an explanation in this unit does to the score, by the sign of its contribution."""
    return _EFFECTS[unit][language][contribution < 0]


def did_you_mean(name: str, language: Language) -> str:
    """Return the hint that names a score."""
    return _DID_YOU_MEAN[language].format(name=name)


def no_interval_words(language: Language) -> str:
    """Return why a score comes without an interval."""
    return _NO_INTERVAL[language]
