"""Why there is no score, in the languages people are answered in."""

from __future__ import annotations

from features.vocabulary import Language

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

_DID_YOU_MEAN: dict[Language, str] = {"en": "Did you mean {name}?", "fr": "Vouliez-vous dire {name} ?", "nl": "Bedoelde u {name}?"}

_NO_INTERVAL: dict[Language, str] = {
    "en": "Too few held-out people score like this one to state an interval.",
    "fr": "Trop peu de personnes mises de côté ont un score proche pour donner un intervalle.",
    "nl": "Te weinig achtergehouden mensen scoren zoals deze om een interval te geven.",
}


def refusal_words(code: str, language: Language) -> str:
    """Return the sentence of a code; raises KeyError for a code that has none."""
    return _WORDS[code][language]


def did_you_mean(name: str, language: Language) -> str:
    """Return the hint that names a score."""
    return _DID_YOU_MEAN[language].format(name=name)


def no_interval_words(language: Language) -> str:
    """Return why a score comes without an interval."""
    return _NO_INTERVAL[language]
