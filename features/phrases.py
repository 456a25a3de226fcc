"""The turns of phrase that sentences about features are made of, in English, French and Dutch.

A phrase's key is a statistic, followed by `0` or `1` for the values that are said in another way and by `nan` for a value that is
missing. Words in braces are filled in by `features.sentences`. French has no phrase whose gender would depend on a noun of the
vocabulary, Dutch none whose article would.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

from features.vocabulary import Language

Said = Mapping[Language, str]
Noun = Mapping[Language, tuple[str, str]]

NBSP, NARROW_NBSP, APOSTROPHE = "\u00a0", "\u202f", "\u2019"
_MARKS = {" :": f"{NBSP}:", "« ": f"«{NBSP}", " »": f"{NBSP}»", " %": f"{NBSP}%", " h)": f"{NBSP}h)", " h à": f"{NBSP}h à"}
"""Where French puts a space that never breaks."""


MONTHS: Mapping[Language, tuple[str, ...]] = MappingProxyType(
    {
        "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"),
        "fr": ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"),
        "nl": ("januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"),
    }
)


def date_in_words(on: date, language: Language) -> str:
    """Return a day in the language's manner: 1 November 2026, 1er novembre 2026, 1 november 2026."""
    first = "1er" if language == "fr" and on.day == 1 else str(on.day)
    return f"{first} {MONTHS[language][on.month - 1]} {on.year}"


def _say(en: str, fr: str, nl: str) -> Said:
    for mark, written in _MARKS.items():
        fr = fr.replace(mark, written)
    return MappingProxyType({"en": en, "fr": fr.replace("'", APOSTROPHE), "nl": nl.replace("'", APOSTROPHE)})


def _noun(en: tuple[str, str], fr: tuple[str, str], nl: tuple[str, str]) -> Noun:
    return MappingProxyType({"en": en, "fr": fr, "nl": nl})


NOUNS: Mapping[str, Noun] = MappingProxyType(
    {
        "any": _noun(("interaction", "interactions"), ("interaction", "interactions"), ("interactie", "interacties")),
        "any-engagement": _noun(("answer", "answers"), ("réponse", "réponses"), ("reactie", "reacties")),
        "any-in": _noun(
            ("contact from the person", "contacts from the person"),
            ("contact venu de la personne", "contacts venus de la personne"),
            ("contact vanuit de persoon", "contacten vanuit de persoon"),
        ),
        "any-out": _noun(("message sent", "messages sent"), ("message envoyé", "messages envoyés"), ("verzonden bericht", "verzonden berichten")),
        "any-declared": _noun(
            ("interest stated", "interests stated"),
            ("intérêt déclaré", "intérêts déclarés"),
            ("opgave van belangstelling", "opgaven van belangstelling"),
        ),
    }
)
"""One and many, for the selectors of kinds."""

COUNTED: Mapping[str, Noun] = MappingProxyType(
    {
        "answer": NOUNS["any-engagement"],
        "day": _noun(("day", "days"), ("jour", "jours"), ("dag", "dagen")),
        "year": _noun(("year", "years"), ("an", "ans"), ("jaar", "jaar")),
        "topic": _noun(
            ("equally frequent topic", "equally frequent topics"),
            ("thème également fréquent", "thèmes également fréquents"),
            ("even vaak voorkomend thema", f"even vaak voorkomende thema{APOSTROPHE}s"),
        ),
        "change": _noun(
            ("change of topic", "changes of topic"), ("changement de thème", "changements de thème"), ("wisseling van thema", "wisselingen van thema")
        ),
    }
)
"""One and many, for what phrases count themselves."""

_COUNTED = _say("{number} {noun}{where}{window}", "{number} {noun}{where}{window}", "{number} {noun}{where}{window}")
_RATE = _say(
    "{number} {answers} per 100 {many}{where}{window} (estimate, drawn towards the average)",
    "{number} {answers} pour 100 {many}{where}{window} (estimation, rapprochée de la moyenne)",
    "{number} {answers} per 100 {many}{where}{window} (schatting, naar het gemiddelde toe getrokken)",
)
_NEVER = _say("{one}{where}: never", "{one}{where} : jamais", "{one}{where}: nooit")
_LAST = _say("last {one}{where} {ago}", "{one}{where} pour la dernière fois {ago}", "laatste {one}{where} {ago}")
_IRREGULAR = _say(
    "fewer than 2 {many}{where} so far, so no usual interval",
    "moins de 2 {many}{where} à ce jour, donc pas d'intervalle habituel",
    "minder dan 2 {many}{where} tot nu toe, dus geen gebruikelijke tussentijd",
)
_UNSAID = _say(
    "interest in {the_topic}{via}: nothing stated so far",
    "intérêt pour {the_topic}{via} : pas de déclaration à ce jour",
    "belangstelling voor {the_topic}{via}: tot nu toe niets opgegeven",
)
_WHEN = _say("{percent}% of the {many}{where} were {when}", "{percent} % des {many}{where} ont eu lieu {when}", "{percent}% van de {many}{where} kwam {when}")
_NO_WHEN = _say(
    "share of the {many}{where} {when}: no {one} so far",
    "part des {many}{where} {when} : pas {de_one} à ce jour",
    "aandeel van de {many}{where} {when}: tot nu toe geen {many}",
)

PHRASES: Mapping[str, Said] = MappingProxyType(
    {
        "count": _COUNTED,
        "count 0": _say("no {one}{where}{window}", "pas {de_one}{where}{window}", "geen {many}{where}{window}"),
        "machine": _say(
            "{number} {noun}{where}{window}, made by a machine and not by the person",
            "{number} {noun}{where}{window}, du fait d'une machine et non de la personne",
            "{number} {noun}{where}{window}, door een machine en niet door de persoon",
        ),
        "machine 0": _say(
            "no {one} made by a machine{where}{window}",
            "pas {de_one} du fait d'une machine{where}{window}",
            "geen {many} door een machine{where}{window}",
        ),
        "sum": _say("{many}{where}{window}: {amount} in all", "{many}{where}{window} : {amount} en tout", "{many}{where}{window}: {amount} in totaal"),
        "largest": _say(
            "largest {one}{where} so far: {amount}", "valeur maximale des {many}{where} à ce jour : {amount}", "grootste {one}{where} tot nu toe: {amount}"
        ),
        "largest nan": _say(
            "no {one}{where} with a known value so far",
            "pas {de_one}{where} de valeur connue à ce jour",
            "geen {many}{where} met een bekende waarde tot nu toe",
        ),
        "share": _say("{percent}% of the {many}{where}{window}", "{percent} % des {many}{where}{window}", "{percent}% van de {many}{where}{window}"),
        "share nan": _say(
            "no {one}{where}{window}, so no share", "pas {de_one}{where}{window}, donc pas de part", "geen {many}{where}{window}, dus geen aandeel"
        ),
        "share topic": _say(
            "{percent}% of the {many}{via} with a topic{window} were{about}",
            "{percent} % des {many}{via} ayant un thème{window} ont porté{about}",
            "{percent}% van de {many}{via} met een thema{window} ging{about}",
        ),
        "share topic nan": _say(
            "no {one}{via} with a topic{window}, so no share for {the_topic}",
            "pas {de_one}{via} ayant un thème{window}, donc pas de part pour {the_topic}",
            "geen {many}{via} met een thema{window}, dus geen aandeel voor {the_topic}",
        ),
        "share channel": _say(
            "{percent}% of the {many}{window} were{via}", "{percent} % des {many}{window} ont eu lieu{via}", "{percent}% van de {many}{window} liep{via}"
        ),
        "share channel nan": _say(
            "no {one}{window}, so no share{via}", "pas {de_one}{window}, donc pas de part{via}", "geen {many}{window}, dus geen aandeel{via}"
        ),
        "rate": _RATE,
        "rate nan": _say(
            "no {one}{where}{window}, so no response rate",
            "pas {de_one}{where}{window}, donc pas de taux de réponse",
            "geen {many}{where}{window}, dus geen responspercentage",
        ),
        "area": MappingProxyType(
            {
                "en": "others in the same area: " + _RATE["en"],
                "fr": f"autres personnes de la même zone{NBSP}: " + _RATE["fr"],
                "nl": "anderen in hetzelfde gebied: " + _RATE["nl"],
            }
        ),
        "area nan": _say(
            "others in the same area: area not known, or no {one}{where}{window}",
            "autres personnes de la même zone : zone inconnue, ou pas {de_one}{where}{window}",
            "anderen in hetzelfde gebied: gebied onbekend, of geen {many}{where}{window}",
        ),
        "supply": _say(
            "{number} {noun}{where} per person of the base{window}",
            "{number} {noun}{where} par personne de la base{window}",
            "{number} {noun}{where} per persoon van het bestand{window}",
        ),
        "entropy": _say(
            "{many}{via}{window}: attention spread as over {number} {topics}",
            "{many}{via}{window} : attention répartie comme sur {number} {topics}",
            "{many}{via}{window}: aandacht verdeeld als over {number} {topics}",
        ),
        "entropy 0": _say(
            "{many}{via}{window}: attention on a single topic",
            "{many}{via}{window} : attention portée à un seul thème",
            "{many}{via}{window}: aandacht voor één enkel thema",
        ),
        "entropy 1": _say(
            "{many}{via}{window}: attention almost only on one topic",
            "{many}{via}{window} : attention presque toute à un seul thème",
            "{many}{via}{window}: aandacht bijna alleen voor één thema",
        ),
        "entropy nan": _say(
            "no {one}{via} with a topic{window}, so no spread over topics",
            "pas {de_one}{via} ayant un thème{window}, donc pas de répartition entre thèmes",
            "geen {many}{via} met een thema{window}, dus geen spreiding over thema's",
        ),
        "trend": _say(
            "{many}{where}{window}: {number} times what {over}",
            "{many}{where}{window} : {number} fois ce que {over}",
            "{many}{where}{window}: {number} keer wat {over}",
        ),
        "trend 1": _say(
            "{many}{where}{window}: about as many as {over}",
            "{many}{where}{window} : à peu près ce que {over}",
            "{many}{where}{window}: ongeveer zoveel als {over}",
        ),
        "recency": _LAST,
        "recency nan": _NEVER,
        "first": _say("first {one}{where} {ago}", "{one}{where} pour la première fois {ago}", "eerste {one}{where} {ago}"),
        "first nan": _NEVER,
        "habit": _say(
            "on average {days} from one {one}{where} to the next",
            "en moyenne {days} entre deux {many}{where}",
            "gemiddeld {days} tussen twee {many}{where}",
        ),
        "habit 0": _say(
            "{many}{where} so far: all on one and the same day",
            "{many}{where} à ce jour : un seul et même jour",
            "{many}{where} tot nu toe: op één en dezelfde dag",
        ),
        "habit nan": _IRREGULAR,
        "overdue": _say(
            "time since the last {one}{where}: {number} times the usual interval",
            "temps écoulé sans {one}{where} : {number} fois l'intervalle habituel",
            "tijd zonder {one}{where}: {number} keer de gebruikelijke tussentijd",
        ),
        "overdue 0": _LAST,
        "overdue 1": _say(
            "time since the last {one}{where}: about the usual interval",
            "temps écoulé sans {one}{where} : environ l'intervalle habituel",
            "tijd zonder {one}{where}: ongeveer de gebruikelijke tussentijd",
        ),
        "overdue nan": _IRREGULAR,
        "unanswered": _say(
            "{number} {noun}{where} in a row without an answer",
            "{number} {noun}{where} d'affilée sans réponse",
            "{number} {noun}{where} op rij zonder reactie",
        ),
        "unanswered 0": _say(
            "no {one}{where} waiting for an answer", "pas {de_one}{where} en attente de réponse", "geen {many}{where} die op een reactie wachten"
        ),
        "unanswered 1": _say("1 {noun}{where} and no answer since", "1 {noun}{where} et pas de réponse depuis", "1 {noun}{where} en sindsdien geen reactie"),
        "switches": _say(
            "{number} {changes} from one {one}{via} to the next",
            "{number} {changes} entre {many}{via} qui se suivent",
            "{number} {changes} tussen opeenvolgende {many}{via}",
        ),
        "switches 0": _say(
            "no change of topic from one {one}{via} to the next",
            "pas de changement de thème entre {many}{via} qui se suivent",
            "geen wisseling van thema tussen opeenvolgende {many}{via}",
        ),
        "declared": _say(
            "interest in {the_topic}{via} as last stated: {amount}",
            "intérêt pour {the_topic}{via} selon la dernière déclaration : {amount}",
            "belangstelling voor {the_topic}{via}, laatst opgegeven: {amount}",
        ),
        "declared plain": _say(
            "interest in {the_topic} stated{via}", "intérêt déclaré pour {the_topic}{via}", "belangstelling voor {the_topic} opgegeven{via}"
        ),
        "declared nan": _UNSAID,
        "declared_age": _say(
            "interest in {the_topic}{via} last stated {ago}",
            "intérêt pour {the_topic}{via} déclaré pour la dernière fois {ago}",
            "belangstelling voor {the_topic}{via}: laatste opgave {ago}",
        ),
        "declared_age nan": _UNSAID,
        "decayed": _say(
            "{many}{where}, recent ones counting most (half after {half_life}): {number}",
            "{many}{where}, ce qui est récent comptant le plus (moitié après {half_life}) : {number}",
            "{many}{where}, recente tellen het meest (de helft na {half_life}): {number}",
        ),
        "daypart": _WHEN,
        "daypart nan": _NO_WHEN,
        "weekday": _WHEN,
        "weekday nan": _NO_WHEN,
        "source first": _say("first contact through: {type}", "premier contact via : {type}", "eerste contact via: {type}"),
        "source first 0": _say("first contact not through: {type}", "premier contact autrement que via : {type}", "eerste contact niet via: {type}"),
        "source first nan": _say(
            "first contact: no interaction so far", "premier contact : pas d'interaction à ce jour", "eerste contact: tot nu toe geen interacties"
        ),
        "source last": _say("last contact through: {type}", "dernier contact via : {type}", "laatste contact via: {type}"),
        "source last 0": _say("last contact not through: {type}", "dernier contact autrement que via : {type}", "laatste contact niet via: {type}"),
        "source last nan": _say(
            "last contact: no interaction so far", "dernier contact : pas d'interaction à ce jour", "laatste contact: tot nu toe geen interacties"
        ),
        "attribute": _say("{label}: {amount}", "{label} : {amount}", "{label}: {amount}"),
        "attribute nan": _say("{label}: not known", "{label} : information absente", "{label}: onbekend"),
        "category": _say("{label}: {category}", "{label} : {category}", "{label}: {category}"),
        "category 0": _say("{label}: not “{category}”", "{label} : autre que « {category} »", "{label}: niet “{category}”"),
        "category nan": _say("{label}: not known", "{label} : information absente", "{label}: onbekend"),
        "age": _say("{number} {years} old", "{number} {years}", "{number} {years} oud"),
        "age nan": _say("age not known", "âge inconnu", "leeftijd onbekend"),
        "tenure": _say("in the base for {days}", "dans la base depuis {days}", "{days} in het bestand"),
        "tenure 0": _say("in the base since today", "dans la base depuis aujourd'hui", "sinds vandaag in het bestand"),
        "tenure nan": _say("date of joining not known", "date d'arrivée inconnue", "begindatum onbekend"),
        "nan": _say("{many}{where}{window}: not known", "{many}{where}{window} : information absente", "{many}{where}{window}: onbekend"),
    }
)

PARTS: Mapping[str, Said] = MappingProxyType(
    {
        "via": _say(" via {channel}", " via {channel}", " via {channel}"),
        "about": _say(" on {the_topic}", " sur {the_topic}", " over {the_topic}"),
        "the_topic": _say("the topic “{topic}”", "le thème « {topic} »", "het thema “{topic}”"),
        "a_topic": _say("a topic", "un thème", "een thema"),
        "with_topic": _say(" with a topic", " ayant un thème", " met een thema"),
        "all": _say(" so far", " à ce jour", " tot nu toe"),
        "day": _say(" in the last day", " au cours du dernier jour", " in de laatste dag"),
        "days": _say(" in the last {count} days", " au cours des {count} derniers jours", " in de laatste {count} dagen"),
        "over all": _say("the whole history would suggest", "tout l'historique laisse attendre", "de hele geschiedenis doet verwachten"),
        "over day": _say("the last day would suggest", "le dernier jour laisse attendre", "de laatste dag doet verwachten"),
        "over days": _say("the last {count} days would suggest", "les {count} derniers jours laissent attendre", "de laatste {count} dagen doen verwachten"),
        "today": _say("today", "aujourd'hui", "vandaag"),
        "yesterday": _say("yesterday", "hier", "gisteren"),
        "ago": _say("{days} ago", "il y a {days}", "{days} geleden"),
        "less": _say("less than {number}", "moins de {number}", "minder dan {number}"),
        "night": _say("at night (0:00 to 6:00)", "la nuit (de 0 h à 6 h)", "'s nachts (0:00 tot 6:00)"),
        "morning": _say("in the morning (6:00 to 12:00)", "le matin (de 6 h à 12 h)", "'s ochtends (6:00 tot 12:00)"),
        "afternoon": _say("in the afternoon (12:00 to 18:00)", "l'après-midi (de 12 h à 18 h)", "'s middags (12:00 tot 18:00)"),
        "evening": _say("in the evening (18:00 to 24:00)", "le soir (de 18 h à 24 h)", "'s avonds (18:00 tot 24:00)"),
        "monday": _say("on Mondays", "le lundi", "op maandag"),
        "tuesday": _say("on Tuesdays", "le mardi", "op dinsdag"),
        "wednesday": _say("on Wednesdays", "le mercredi", "op woensdag"),
        "thursday": _say("on Thursdays", "le jeudi", "op donderdag"),
        "friday": _say("on Fridays", "le vendredi", "op vrijdag"),
        "saturday": _say("on Saturdays", "le samedi", "op zaterdag"),
        "sunday": _say("on Sundays", "le dimanche", "op zondag"),
    }
)
"""What phrases are put together from: where, when, how long ago."""
