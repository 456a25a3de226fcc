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
    "erased": {
        "en": "This person's data were erased. Nothing is known of them any more, and nothing is worked out about them.",
        "fr": "Les données de cette personne ont été effacées. Plus rien n'est connu d'elle, et plus rien n'est calculé à son sujet.",
        "nl": "De gegevens van deze persoon zijn gewist. Er is niets meer over hem of haar bekend en er wordt niets meer over berekend.",
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
        "en": "It was not shown, on people the model had not seen, that ranking people by it is better than not ranking them; so it scores nobody, and what is "
        "known is the average effect.",
        "fr": "Il n'a pas été montré, sur des personnes que le modèle n'avait pas vues, que les classer selon lui vaut mieux que ne pas les classer ; il ne "
        "note donc personne, et ce que l'on connaît est l'effet moyen.",
        "nl": "Bij mensen die het model niet had gezien is niet aangetoond dat rangschikken volgens het model beter is dan niet rangschikken; het scoort dus "
        "niemand, en wat bekend is, is het gemiddelde effect.",
    },
    "message_lowers": {
        "en": "The experiment shows that this message lowers engagement on average: do not send it to anybody.",
        "fr": "L'expérience montre que ce message réduit l'engagement en moyenne : ne l'envoyez à personne.",
        "nl": "Het experiment laat zien dat dit bericht de betrokkenheid gemiddeld verlaagt: stuur het naar niemand.",
    },
    "audience_too_small": {
        "en": "Fewer people may be counted than the smallest group that is told of.",
        "fr": "Le nombre de personnes qui peuvent être comptées est inférieur à celui du plus petit groupe dont on parle.",
        "nl": "Er mogen minder mensen worden geteld dan de kleinste groep waarover iets wordt gezegd.",
    },
    "no_base": {
        "en": "Nobody of the base may be counted, so it cannot be said where a person stands among others.",
        "fr": "Personne de la base ne peut être compté ; on ne peut donc pas dire où une personne se situe parmi les autres.",
        "nl": "Niemand van het bestand mag worden geteld, dus er valt niet te zeggen waar iemand tussen de anderen staat.",
    },
    "vectors_mismatch": {
        "en": "The published vectors are not made as this model was trained, so it cannot score; rebuild the vectors or train again.",
        "fr": "Les vecteurs publiés ne sont pas construits comme lors de l'entraînement de ce modèle ; reconstruisez-les ou réentraînez le modèle.",
        "nl": "De gepubliceerde vectoren zijn niet gemaakt zoals dit model is getraind; bouw de vectoren opnieuw of train opnieuw.",
    },
}

_PLAN: dict[Language, str] = {
    "en": "The analysis departs from the plan that was stored before the outcomes, so its ranking is not used: it scores nobody, and what is known is the "
    "average effect.",
    "fr": "L'analyse s'écarte du plan enregistré avant les résultats ; son classement n'est donc pas utilisé : elle ne note personne, et ce que l'on connaît "
    "est l'effet moyen.",
    "nl": "De analyse wijkt af van het plan dat vóór de uitkomsten is vastgelegd; de rangschikking wordt dus niet gebruikt: niemand krijgt een score, en wat "
    "bekend is, is het gemiddelde effect.",
}

_DRAW: dict[Language, str] = {
    "en": "The draw of the experiment is not known to be sound, so nobody is scored, and the average effect is not to be relied on either.",
    "fr": "On ne sait pas si le tirage de l'expérience est correct ; personne n'est donc noté, et l'effet moyen n'est pas fiable non plus.",
    "nl": "Het is niet bekend of de loting van het experiment deugt; niemand krijgt dus een score, en ook op het gemiddelde effect kan men niet vertrouwen.",
}

_TURNED: dict[Language, str] = {
    "en": "Less of the outcome is the aim, so the sign is turned: a positive number means less of the outcome.",
    "fr": "Le but est d'obtenir moins du résultat mesuré ; le signe est donc inversé : un nombre positif signifie moins de ce résultat.",
    "nl": "Minder van de uitkomst is het doel, dus het teken is omgedraaid: een positief getal betekent minder van de uitkomst.",
}

_DIFFERENCE: dict[Language, str] = {
    "en": "The parts add up to the difference that contact makes, not to how likely this person is to act with it or without it.",
    "fr": "Les éléments s'additionnent pour donner la différence faite par le contact, et non la probabilité d'agir avec ou sans lui.",
    "nl": "De onderdelen tellen op tot het verschil dat contact maakt, niet tot hoe waarschijnlijk deze persoon met of zonder contact iets doet.",
}
_DIFFERENCE_EFFECTS: dict[Language, tuple[str, str]] = {
    "en": ("raises the difference that contact makes", "lowers the difference that contact makes"),
    "fr": ("augmente la différence faite par le contact", "réduit la différence faite par le contact"),
    "nl": ("vergroot het verschil dat contact maakt", "verkleint het verschil dat contact maakt"),
}
_EXPLAINED: dict[Unit, dict[Language, str]] = {
    "log_odds": {
        "en": "The parts add up to how likely this person is to engage with the topic.",
        "fr": "Les éléments s'additionnent pour donner la probabilité que cette personne s'engage sur ce thème.",
        "nl": "De onderdelen tellen op tot hoe waarschijnlijk het is dat deze persoon op het thema ingaat.",
    },
    "percentage_points": _DIFFERENCE,
    "outcome_units": _DIFFERENCE,
}
_EFFECTS: dict[Unit, dict[Language, tuple[str, str]]] = {
    "log_odds": {
        "en": ("makes engaging more likely", "makes engaging less likely"),
        "fr": ("rend l'engagement plus probable", "rend l'engagement moins probable"),
        "nl": ("maakt ingaan op het thema waarschijnlijker", "maakt ingaan op het thema minder waarschijnlijk"),
    },
    "percentage_points": _DIFFERENCE_EFFECTS,
    "outcome_units": _DIFFERENCE_EFFECTS,
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


def draw_words(language: Language) -> str:
    """Return the sentence of an experiment whose draw was found broken, or was not checked."""
    return _DRAW[language]


def plan_words(language: Language) -> str:
    """Return the sentence of a ranking that is refused for nothing but its plan."""
    return _PLAN[language]


def turned_words(language: Language) -> str:
    """Return what a positive uplift means where less of the outcome is the aim."""
    return _TURNED[language]


def explained_words(unit: Unit, language: Language, *, turned: bool = False) -> str:
    """Return what the parts of an explanation in this unit add up to; of an uplift, the difference made by contact and never the outcome.

    `turned` as in `models.outcome_scale`.
    """
    words = _EXPLAINED[unit][language]
    return f"{words} {turned_words(language)}" if turned else words


def effect_words(unit: Unit, contribution: float, language: Language) -> str:
    """Return what a part of an explanation in this unit does to the score, by the sign of its contribution."""
    return _EFFECTS[unit][language][contribution < 0]


def did_you_mean(name: str, language: Language) -> str:
    """Return the hint that names a score."""
    return _DID_YOU_MEAN[language].format(name=name)


def no_interval_words(language: Language) -> str:
    """Return why a score comes without an interval."""
    return _NO_INTERVAL[language]
