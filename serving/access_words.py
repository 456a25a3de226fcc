"""The words in which a person is told what is held of them, in every language that people are answered in; no technical name shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType

from features.phrases import APOSTROPHE, NARROW_NBSP, NBSP, date_in_words
from features.vocabulary import Language

Said = Mapping[Language, str]
_MARKS = {" :": f"{NBSP}:", " ;": f"{NARROW_NBSP};", " ?": f"{NARROW_NBSP}?", "« ": f"«{NBSP}", " »": f"{NBSP}»", " %": f"{NBSP}%"}
_SEPARATORS: Mapping[Language, tuple[str, str]] = MappingProxyType({"en": (",", "."), "fr": (NARROW_NBSP, ","), "nl": (".", ",")})


def _say(en: str, fr: str, nl: str) -> Said:
    for mark, written in _MARKS.items():
        fr = fr.replace(mark, written)
    return MappingProxyType({"en": en.replace("'", APOSTROPHE), "fr": fr.replace("'", APOSTROPHE), "nl": nl.replace("'", APOSTROPHE)})


SENTENCES: Mapping[str, Said] = MappingProxyType(
    {
        "held": _say(
            "This is everything that {controller} holds of you in this system, where each part came from, what it is used for, and who received it.",
            "Voici tout ce que {controller} détient à votre sujet dans ce système, d'où vient chaque élément, à quoi il sert et qui l'a reçu.",
            "Dit is alles wat {controller} in dit systeem over u bewaart, waar elk deel vandaan komt, waarvoor het dient en wie het ontvangen heeft.",
        ),
        "nothing": _say(
            "Nothing is held of you under this identifier. What was looked through is listed below.",
            "Rien n'est détenu à votre sujet sous cet identifiant. Ce qui a été examiné figure ci-dessous.",
            "Onder dit kenmerk wordt niets over u bewaard. Wat is doorzocht, staat hieronder.",
        ),
        "erased": _say(
            "Your data were erased, and nothing more is held of you than a mark by which they cannot come back.",
            "Vos données ont été effacées ; il ne reste de vous qu'une marque qui les empêche de revenir.",
            "Uw gegevens zijn gewist; er is niets meer van u over dan een merkteken waardoor ze niet terug kunnen komen.",
        ),
        "erased_on": _say("Erased on {date}.", "Effacées le {date}.", "Gewist op {date}."),
        "made": _say("Made on {date} for {person}.", "Établi le {date} pour {person}.", "Gemaakt op {date} voor {person}."),
        "reference": _say("Reference: {reference}", "Référence : {reference}", "Kenmerk van dit antwoord: {reference}"),
        "none": _say("None.", "Aucun élément.", "Geen."),
        "kept_until": _say(
            "used until {date}, to be deleted then ({reason})",
            "utilisé jusqu'au {date}, à supprimer alors ({reason})",
            "gebruikt tot {date}, dan te verwijderen ({reason})",
        ),
        "valid_until": _say("valid until {date}", "valable jusqu'au {date}", "geldig tot {date}"),
        "kept": _say("no end of its own was set", "pas de date de fin propre", "geen eigen einddatum bepaald"),
        "limit_interactions": _say(
            "What you did and what was sent to you is used for {days} days, and then to be deleted.",
            "Ce que vous avez fait et ce qui vous a été envoyé sert pendant {days} jours, puis est à supprimer.",
            "Wat u deed en wat u is gestuurd, wordt {days} dagen gebruikt en is dan te verwijderen.",
        ),
        "limit_kind": _say("Of it, {kind}: {days} days.", "Dont {kind} : {days} jours.", "Daarvan {kind}: {days} dagen."),
        "limit_source_type": _say(
            "Of it, what came from sources of the type \u201c{kind}\u201d: {days} days.",
            "Dont ce qui vient de sources du type « {kind} » : {days} jours.",
            "Daarvan wat uit bronnen van de soort \u201c{kind}\u201d komt: {days} dagen.",
        ),
        "limit_source": _say(
            "Where a source ends earlier, its rows end with it. The earliest end of a row holds, and stands beside it.",
            "Si une source prend fin plus tôt, ses lignes finissent avec elle. La fin la plus proche vaut, et figure à côté de chaque ligne.",
            "Eindigt een bron eerder, dan eindigen haar rijen mee. Het vroegste einde van een rij geldt en staat erbij.",
        ),
        "limit_source_only": _say(
            "Single rows have no limit of their own; where a source ends, its rows end with it.",
            "Les lignes n'ont pas de limite propre ; si une source prend fin, ses lignes finissent avec elle.",
            "Aparte rijen hebben geen eigen grens; eindigt een bron, dan eindigen haar rijen mee.",
        ),
        "inactive_on": _say(
            "If nothing is heard of you, all of it is to be deleted on {date}: {days} days after you were last heard of.",
            "Sans nouvelles de vous, tout est à supprimer le {date} : {days} jours après les dernières.",
            "Als er niets van u vernomen wordt, is alles te verwijderen op {date}: {days} dagen nadat het laatst iets van u is vernomen.",
        ),
        "inactive_member": _say(
            "As long as you are a member, silence ends nothing; afterwards, {days} days without hearing of you do.",
            "Tant que vous êtes membre, le silence ne met fin à rien ; ensuite, {days} jours sans nouvelles de vous y mettent fin.",
            "Zolang u lid bent, maakt stilte nergens een einde aan; daarna doen {days} dagen zonder iets van u te vernemen dat wel.",
        ),
        "inactive_undated": _say(
            "It is not on record since when you are known, so no day is set on which all of it is to be deleted.",
            "La date depuis laquelle vous êtes connu n'est pas conservée : aucun jour n'est fixé pour tout supprimer.",
            "Sinds wanneer u bekend bent, is niet vastgelegd; er is dus geen dag bepaald waarop alles te verwijderen is.",
        ),
        "heard_written": _say(
            "The row that told that you were heard of on {date} is deleted; the date alone is kept, for as long as your other data.",
            "La ligne qui donnait de vos nouvelles du {date} est supprimée ; seule la date est conservée, aussi longtemps que vos autres données.",
            "De rij die zei dat op {date} iets van u is vernomen, is verwijderd; alleen de datum wordt bewaard, zolang als uw andere gegevens.",
        ),
        "kept_for_good": _say(
            "What you said of the use of your data, what was answered about you, and to whom they were handed stays as proof; once you are erased, "
            "nothing leads from it to you.",
            "Ce que vous avez dit de l'usage de vos données, les réponses données et leurs destinataires restent comme preuve ; après votre effacement, "
            "rien n'y mène plus à vous.",
            "Wat u over het gebruik van uw gegevens zei, wat over u is geantwoord en aan wie ze zijn gegeven, blijft als bewijs; bent u gewist, dan "
            "leidt daaruit niets meer naar u.",
        ),
        "earlier": _say(
            "earlier version, replaced since, still in the archive of the table",
            "version antérieure, remplacée depuis, encore dans l'archive",
            "eerdere versie, intussen vervangen, nog in het archief",
        ),
        "notice": _say(
            "what you were told then is on record (fingerprint {hash})",
            "le texte montré alors est conservé (empreinte {hash})",
            "wat u toen is meegedeeld, is vastgelegd (vingerafdruk {hash})",
        ),
        "no_notice": _say(
            "it is not on record what you were told then",
            "le texte montré alors n'est pas conservé",
            "wat u toen is meegedeeld, is niet vastgelegd",
        ),
        "political_stated": _say("a political purpose was named", "un but politique a été annoncé", "een politiek doel is genoemd"),
        "collected_on": _say("collected on {date}", "recueilli le {date}", "verzameld op {date}"),
        "source_unknown": _say("nothing is written down of this source", "rien n'est noté sur cette source", "van deze bron is niets opgeschreven"),
        "for_use": _say("{purpose}, {channel}, for {sponsor}", "{purpose}, {channel}, pour {sponsor}", "{purpose}, {channel}, voor {sponsor}"),
        "use_allowed": _say("Now allowed.", "Actuellement permis.", "Nu toegestaan."),
        "use_forbidden": _say("Now not allowed: {words}", "Actuellement interdit : {words}", "Nu niet toegestaan: {words}"),
        "use_unstated": _say("no use stated", "usage non précisé", "geen doel vermeld"),
        "scores_about": _say(
            "A score is an estimate by a statistical model, from what is held of you and of others. It decides nothing, and sends nothing.",
            "Un score est une estimation par un modèle statistique, d'après ce qui est détenu sur vous et d'autres. Il ne décide et n'envoie rien.",
            "Een score is een schatting door een statistisch model, uit wat over u en anderen wordt bewaard. Ze beslist en verstuurt niets.",
        ),
        "score_probability": _say(
            "how likely you are to engage with this topic: {value}",
            "probabilité que vous vous engagiez sur ce thème : {value}",
            "hoe waarschijnlijk u op dit thema ingaat: {value}",
        ),
        "score_uplift_pp": _say(
            "what being contacted changes for you: {value} percentage points",
            "ce qu'un contact change pour vous : {value} points de pourcentage",
            "wat contact bij u verandert: {value} procentpunt",
        ),
        "score_uplift": _say(
            "what being contacted changes for you: {value}, in the unit of what was measured",
            "ce qu'un contact change pour vous : {value}, dans l'unité de ce qui a été mesuré",
            "wat contact bij u verandert: {value}, in de eenheid van wat is gemeten",
        ),
        "score_interval": _say("between {low} and {high}", "entre {low} et {high}", "tussen {low} en {high}"),
        "score_dates": _say(
            "Worked out from what was known on {as_of}; given {count}, last on {last}, by model {model}, version {version}.",
            "Calculé d'après ce qui était connu le {as_of} ; donné {count}, la dernière fois le {last}, par le modèle {model}, version {version}.",
            "Berekend uit wat bekend was op {as_of}; {count} gegeven, het laatst op {last}, door model {model}, versie {version}.",
        ),
        "once": _say("once", "une fois", "één keer"),
        "times": _say("{count} times", "{count} fois", "{count} keer"),
        "score_band": _say("Band: {band}.", "Niveau : {band}.", "Niveau: {band}."),
        "again": _say(
            "The score was made again from the same data and the same model, with the same result; these are its reasons.",
            "Le score a été recalculé avec les mêmes données et le même modèle, avec le même résultat ; en voici les raisons.",
            "De score is opnieuw berekend uit dezelfde gegevens en met hetzelfde model, met dezelfde uitkomst; dit zijn de redenen.",
        ),
        "not_again": _say(
            "This score cannot be made again: {why}", "Ce score ne peut pas être recalculé : {why}", "Deze score kan niet opnieuw worden berekend: {why}"
        ),
        "present": _say(
            "Instead, these are the reasons for the score as it would be now: {value}.",
            "À la place, voici les raisons du score tel qu'il serait maintenant : {value}.",
            "In plaats daarvan de redenen voor de score zoals die nu zou zijn: {value}.",
        ),
        "no_present": _say(
            "No present score is worked out for you: {why}",
            "Aucun score actuel n'est calculé pour vous : {why}",
            "Er wordt nu geen score voor u berekend: {why}",
        ),
        "why_model_gone": _say("the model is not kept any more.", "le modèle n'est plus conservé.", "het model wordt niet meer bewaard."),
        "why_vector_gone": _say(
            "what it was worked out from is not held any more.",
            "les données qui ont servi ne sont plus détenues.",
            "de gegevens waaruit ze is berekend, worden niet meer bewaard.",
        ),
        "why_redefined": _say(
            "what is counted in your data is defined in another way since then.",
            "ce qui est compté dans vos données est défini autrement depuis.",
            "wat in uw gegevens wordt geteld, is sindsdien anders bepaald.",
        ),
        "why_differs": _say(
            "what was held then has been changed or corrected since, and gives another result.",
            "ce qui était détenu alors a été modifié depuis et donne un autre résultat.",
            "wat toen werd bewaard, is sindsdien gewijzigd en geeft een andere uitkomst.",
        ),
        "why_no_builder": _say(
            "this service cannot work out the past; ask the organisation to do it from its own computer.",
            "ce service ne peut pas recalculer le passé ; demandez à l'organisation de le faire sur son propre ordinateur.",
            "deze dienst kan het verleden niet berekenen; vraag de organisatie om het op haar eigen computer te doen.",
        ),
        "why_too_many": _say(
            "only the latest times are worked out again in one answer; ask for the earlier ones.",
            "une seule réponse ne recalcule que les dates les plus récentes ; demandez les précédentes.",
            "in één antwoord worden alleen de laatste tijdstippen opnieuw berekend; vraag naar de eerdere.",
        ),
        "why_unknown_score": _say("this score is not used any more.", "ce score n'est plus utilisé.", "deze score wordt niet meer gebruikt."),
        "why_no_present": _say("there is no such score now.", "ce score n'existe plus aujourd'hui.", "deze score bestaat nu niet."),
        "reason": _say("{text}: {effect}", "{text} : {effect}", "{text}: {effect}"),
        "other_band": _say(
            "If it were so: {changes}, then this score would be {value} ({band} instead of {present}).",
            "S'il en était ainsi : {changes}, ce score serait de {value} (niveau {band}, et non {present}).",
            "Als dit het geval was: {changes}, dan zou deze score {value} zijn ({band} in plaats van {present}).",
        ),
        "instead_of": _say("{text} (now: {old})", "{text} (actuellement : {old})", "{text} (nu: {old})"),
        "pair": _say("{label}: {said}", "{label} : {said}", "{label}: {said}"),
        "no_other_band": _say(
            "No change of up to three things that you could do would bring this score to another level.",
            "Aucun changement de trois choses au plus que vous pourriez faire ne mènerait ce score à un autre niveau.",
            "Geen verandering van ten hoogste drie dingen die u zelf kunt doen, brengt deze score op een ander niveau.",
        ),
        "band_unknown": _say(
            "What would bring it to another level cannot be said: too little is held to compare with.",
            "On ne peut pas dire ce qui le mènerait à un autre niveau : il manque de quoi comparer.",
            "Wat ze op een ander niveau zou brengen, valt niet te zeggen: er is te weinig om mee te vergelijken.",
        ),
        "vector_of": _say(
            "Worked out from the rows above on {date}; {left} further numbers say that there is nothing to count.",
            "Calculé d'après les lignes ci-dessus le {date} ; {left} autres nombres disent qu'il n'y a rien à compter.",
            "Berekend uit de rijen hierboven op {date}; {left} andere getallen zeggen dat er niets te tellen valt.",
        ),
        "own_same": _say(
            "For online messages to picked people only what the organisation itself collected counts; worked out from it on {date}, every number is the same.",
            "Pour les messages en ligne ciblés, seul compte ce que l'organisation a recueilli elle-même ; calculé ainsi le {date}, chaque nombre est le même.",
            "Voor online berichten aan gekozen mensen telt alleen wat de organisatie zelf verzamelde; daaruit berekend op {date} is elk getal hetzelfde.",
        ),
        "own_differs": _say(
            "For online messages to picked people only what the organisation itself collected counts; worked out from that on {date}, these are not the same:",
            "Pour les messages en ligne ciblés, seul compte ce que l'organisation a recueilli elle-même ; calculés ainsi le {date}, ceux-ci diffèrent :",
            "Voor online berichten aan gekozen mensen telt alleen wat de organisatie zelf verzamelde; daaruit berekend op {date} zijn deze anders:",
        ),
        "approved_by": _say("approved by {approver}", "approuvé par {approver}", "goedgekeurd door {approver}"),
        "in_the_row": _say(
            "the row held your identifier, the name {reference}, and from what was known on {as_of}: {scores}",
            "la ligne contenait votre identifiant, le nom {reference} et, d'après ce qui était connu le {as_of} : {scores}",
            "de rij bevatte uw kenmerk, de naam {reference} en, uit wat bekend was op {as_of}: {scores}",
        ),
        "export_line": _say(
            "{date}: to {recipient} ({where}), for: {use}",
            "{date} : à {recipient} ({where}), pour : {use}",
            "{date}: aan {recipient} ({where}), voor: {use}",
        ),
        "outside": _say("outside of the organisation", "hors de l'organisation", "buiten de organisatie"),
        "inside": _say("within the organisation", "au sein de l'organisation", "binnen de organisatie"),
        "notice_told": _say(
            "told on {date} to remove it ({reason})", "prié de le supprimer le {date} ({reason})", "op {date} gevraagd het te verwijderen ({reason})"
        ),
        "notice_waiting": _say(
            "still to be told to remove it ({reason})",
            "doit encore être prié de le supprimer ({reason})",
            "moet nog gevraagd worden het te verwijderen ({reason})",
        ),
        "no_exports": _say(
            "Your data were handed to nobody from this system.",
            "Vos données n'ont été remises à personne depuis ce système.",
            "Uw gegevens zijn vanuit dit systeem aan niemand doorgegeven.",
        ),
        "file_line": _say("{holds}: {path}", "{holds} : {path}", "{holds}: {path}"),
        "unreadable": _say(
            "These files could not be looked into: {paths}.",
            "Ces fichiers n'ont pas pu être examinés : {paths}.",
            "Deze bestanden konden niet worden bekeken: {paths}.",
        ),
        "beyond": _say(
            "Copies outside of this system, such as backups, were not looked into.",
            "Les copies hors de ce système, comme les sauvegardes, n'ont pas été examinées.",
            "Kopieën buiten dit systeem, zoals reservekopieën, zijn niet bekeken.",
        ),
        "no_vectors": _say(
            "What was worked out of your data could not be read now.",
            "Ce qui a été calculé à partir de vos données n'a pas pu être lu.",
            "Wat uit uw gegevens is berekend, kon nu niet worden gelezen.",
        ),
        "undecided": _say(
            "Whether your data may be used now could not be decided.",
            "Il n'a pas pu être décidé si vos données peuvent servir maintenant.",
            "Of uw gegevens nu gebruikt mogen worden, kon niet worden beslist.",
        ),
        "rights": _say(
            "You may have wrong data put right, object, withdraw consent, have your data erased or their use limited, and take them with you. "
            "You may complain to the data protection authority of your country.",
            "Vous pouvez faire rectifier vos données, vous opposer, retirer un consentement, les faire effacer, en limiter l'usage et les emporter. "
            "Vous pouvez porter plainte auprès de l'autorité de protection des données de votre pays.",
            "U mag onjuiste gegevens laten verbeteren, bezwaar maken, toestemming intrekken, gegevens laten wissen, het gebruik laten beperken en ze meenemen. "
            "U mag een klacht indienen bij de gegevensbeschermingsautoriteit van uw land.",
        ),
        "known_since": _say("Known to the records since {date}.", "Connu des registres depuis le {date}.", "In de registers bekend sinds {date}."),
        "log_name": _say(
            "In them you go by a random name, so that they alone name nobody: {token}",
            "Vous y portez un nom aléatoire, pour qu'à eux seuls ils ne nomment personne : {token}",
            "Daarin hebt u een willekeurige naam, zodat ze op zichzelf niemand noemen: {token}",
        ),
    }
)
"""What is said, with places for what differs."""

PLACES_TOLD: Mapping[str, Said] = MappingProxyType(
    {
        "rows": _say("looked through; rows: {count}", "examiné ; lignes : {count}", "doorzocht; rijen: {count}"),
        "vector": _say("looked through; numbers: {count}", "examiné ; nombres : {count}", "doorzocht; getallen: {count}"),
        "events": _say("looked through; events: {count}", "examiné ; événements : {count}", "doorzocht; gebeurtenissen: {count}"),
        "answers": _say("looked through; answers: {count}", "examiné ; réponses : {count}", "doorzocht; antwoorden: {count}"),
        "exports": _say("looked through; exports: {count}", "examiné ; exports : {count}", "doorzocht; exports: {count}"),
        "files": _say(
            "looked through; files that name you: {count}; they are listed, and not copied into this answer",
            "examiné ; fichiers qui vous nomment : {count} ; ils sont cités, sans être recopiés dans cette réponse",
            "doorzocht; bestanden die u noemen: {count}; ze worden genoemd en niet in dit antwoord overgenomen",
        ),
        "lines": _say(
            "looked through; files that name you: {count}; their lines about you are given",
            "examiné ; fichiers qui vous nomment : {count} ; leurs lignes vous concernant sont données",
            "doorzocht; bestanden die u noemen: {count}; hun regels over u staan in dit antwoord",
        ),
        "key": _say(
            "a random name and a secret key, which seals what is written of you; the key itself is not given",
            "un nom aléatoire et une clé secrète, qui scelle ce qui est écrit de vous ; la clé elle-même n'est pas donnée",
            "een willekeurige naam en een geheime sleutel, die verzegelt wat over u is opgeschreven; de sleutel zelf wordt niet gegeven",
        ),
        "heard": _say(
            "looked through; dates: {count}; told under how long your data are kept",
            "examiné ; dates : {count} ; données avec la durée de conservation",
            "doorzocht; datums: {count}; verteld bij hoelang uw gegevens worden bewaard",
        ),
        "nothing": _say("looked through: nothing", "examiné : rien", "doorzocht: niets"),
        "suppressed": _say(
            "looked through: you are not on it; it only says who was erased",
            "examiné : vous n'y figurez pas ; elle dit seulement qui a été effacé",
            "doorzocht: u staat er niet op; ze zegt alleen wie gewist is",
        ),
        "database": _say("the lists below", "les listes ci-dessous", "de lijsten hieronder"),
        "not_asked": _say("not looked into", "non examiné", "niet doorzocht"),
    }
)
"""How each place was answered from."""


def say(key: str, language: Language, **words: object) -> str:
    """Return a sentence of `SENTENCES` with its words filled in."""
    return SENTENCES[key][language].format(**words)


def number(value: float, decimals: int, language: Language) -> str:
    """Return a number as the language writes it, with a true minus sign; zeros after the point are left out."""
    thousands, point = _SEPARATORS[language]
    text = f"{abs(value):,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if decimals else text
    sign = "\N{MINUS SIGN}" if value < 0 and text != "0" else ""
    return sign + text.translate({ord(","): thousands, ord("."): point})


def percent(share: float, language: Language) -> str:
    """Return a share as a percentage with one decimal."""
    text = number(100 * share, 1, language)
    return f"{text}{NBSP}%" if language == "fr" else f"{text}%"


def day(moment: datetime | date, language: Language) -> str:
    """Return a day in the language's manner, of a time its UTC day."""
    return date_in_words(moment.astimezone(UTC).date() if isinstance(moment, datetime) else moment, language)


def moment(time: datetime, language: Language) -> str:
    """Return a time in the language's manner, in UTC to the minute."""
    utc = time.astimezone(UTC)
    clock = f"{utc:%H}{NBSP}h{NBSP}{utc:%M}" if language == "fr" else f"{utc:%H:%M}"
    return f"{day(utc, language)}, {clock} UTC"
