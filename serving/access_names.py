"""What things are called when a person is told of them: headings, columns, purposes, events; in every language that people are answered in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from features.phrases import APOSTROPHE
from features.vocabulary import Language

Said = Mapping[Language, str]


def _name(en: str, fr: str, nl: str) -> Said:
    return MappingProxyType({"en": en.replace("'", APOSTROPHE), "fr": fr.replace("'", APOSTROPHE), "nl": nl.replace("'", APOSTROPHE)})


NAMES: Mapping[str, Said] = MappingProxyType(
    {
        "title": _name("What is held of you", "Ce qui est détenu à votre sujet", "Wat over u wordt bewaard"),
        "people": _name("Who you are", "Qui vous êtes", "Wie u bent"),
        "interactions": _name(
            "What you did, and what was sent to you", "Ce que vous avez fait, et ce qui vous a été envoyé", "Wat u deed, en wat u is gestuurd"
        ),
        "assignments": _name(
            "Experiments you were drawn into", "Expériences pour lesquelles vous avez été tiré au sort", "Experimenten waarvoor u bent geloot"
        ),
        "outcomes": _name("What was measured after experiments", "Ce qui a été mesuré après les expériences", "Wat na experimenten is gemeten"),
        "sources": _name("Where it came from", "D'où cela vient", "Waar het vandaan komt"),
        "election": _name("election", "élection", "verkiezing"),
        "uses": _name("What it may be used for now", "À quoi cela peut servir maintenant", "Waarvoor het nu mag dienen"),
        "events": _name(
            "What you said of the use of your data", "Ce que vous avez dit de l'usage de vos données", "Wat u over het gebruik van uw gegevens hebt gezegd"
        ),
        "retention": _name("How long it is kept", "Combien de temps c'est conservé", "Hoe lang het wordt bewaard"),
        "vector": _name("What was worked out of it", "Ce qui en a été calculé", "Wat eruit is berekend"),
        "scores": _name("Scores, and why", "Les scores, et pourquoi", "Scores, en waarom"),
        "answers": _name("Who was answered what about you", "Qui a reçu quelle réponse à votre sujet", "Wie welk antwoord over u kreeg"),
        "exports": _name("Who received your data", "Qui a reçu vos données", "Wie uw gegevens heeft ontvangen"),
        "files": _name("Files that name you", "Fichiers qui vous nomment", "Bestanden die u noemen"),
        "checked": _name("What was looked through", "Ce qui a été examiné", "Wat is doorzocht"),
        "rights": _name("Your rights", "Vos droits", "Uw rechten"),
        "when": _name("when", "quand", "wanneer"),
        "what": _name("what", "quoi", "wat"),
        "how": _name("how", "comment", "hoe"),
        "more": _name("more", "autres détails", "meer"),
        "who": _name("who", "qui", "wie"),
        "for_what": _name("for what", "pour quoi", "waarvoor"),
        "answer": _name("answer", "réponse", "antwoord"),
        "source": _name("source", "source", "bron"),
        "place": _name("place", "emplacement", "plaats"),
        "held_how": _name("kept", "conservation", "bewaartermijn"),
        "until_source_expired": _name("the end of its source", "fin de sa source", "het einde van de bron"),
        "until_kind": _name("the limit of its kind", "limite de ce genre", "de grens van deze soort"),
        "until_source_type": _name("the limit of such sources", "limite de telles sources", "de grens van zulke bronnen"),
        "until_interactions": _name("the limit of all rows", "limite de toutes les lignes", "de grens van alle rijen"),
        "reasons": _name("Reasons", "Raisons", "Redenen"),
        "control": _name("not contacted, to compare with", "pas de contact, pour comparer", "geen contact, om mee te vergelijken"),
        "yes": _name("yes", "oui", "ja"),
        "no": _name("no", "non", "nee"),
        "high": _name("high", "élevé", "hoog"),
        "medium": _name("medium", "moyen", "gemiddeld"),
        "low": _name("low", "bas", "laag"),
        "negative": _name("negative", "négatif", "negatief"),
        "(permission)": _name("whether your data may be used", "si vos données peuvent servir", "of uw gegevens gebruikt mogen worden"),
        "(access)": _name("everything that is held of you", "tout ce qui est détenu à votre sujet", "alles wat over u wordt bewaard"),
        "(unknown)": _name("a score that does not exist", "un score qui n'existe pas", "een score die niet bestaat"),
        "allowed": _name("allowed", "permis", "toegestaan"),
        "given_out": _name("given", "fourni", "gegeven"),
        "api": _name("another program", "un autre programme", "een ander programma"),
        "console": _name("the auditor's pages", "les pages de l'auditeur", "de pagina's van de auditor"),
        "command": _name("the organisation's own computer", "l'ordinateur de l'organisation", "de computer van de organisatie"),
        "http": _name("another program", "un autre programme", "een ander programma"),
        "import": _name("an import", "une importation", "een import"),
    }
)
"""Headings and single words."""

COLUMNS: Mapping[str, Said] = MappingProxyType(
    {
        "person_id": _name("identifier", "identifiant", "kenmerk"),
        "birth_year": _name("year of birth", "année de naissance", "geboortejaar"),
        "area": _name("area", "zone", "gebied"),
        "language": _name("language", "langue", "taal"),
        "joined_at": _name("known since", "connu depuis", "bekend sinds"),
        "status": _name("tie with the organisation", "lien avec l'organisation", "band met de organisatie"),
        "source_id": _name("source", "source", "bron"),
        "informed_at": _name("told that data are held", "informé de la détention", "ingelicht over het bewaren"),
        "interaction_id": _name("number", "numéro", "nummer"),
        "occurred_at": _name("happened on", "date", "gebeurd op"),
        "received_at": _name("known on", "connu le", "bekend op"),
        "kind": _name("what", "quoi", "wat"),
        "channel": _name("by way of", "par", "via"),
        "topic": _name("topic", "thème", "thema"),
        "direction": _name("direction", "sens", "richting"),
        "value": _name("value", "valeur", "waarde"),
        "collected_how": _name("collected", "recueilli", "verzameld"),
        "is_machine": _name("done by a machine", "fait par une machine", "door een machine gedaan"),
        "campaign_id": _name("campaign", "campagne", "campagne"),
        "message_id": _name("message", "message", "bericht"),
        "batch_id": _name("batch", "lot", "partij"),
        "experiment_id": _name("experiment", "expérience", "experiment"),
        "arm": _name("drawn into", "tiré au sort pour", "geloot voor"),
        "probability": _name("chance of that", "probabilité", "kans daarop"),
        "assigned_at": _name("drawn on", "tirage le", "geloot op"),
        "unit_id": _name("drawn together with", "tiré avec", "samen geloot met"),
        "stratum": _name("group of the draw", "groupe du tirage", "groep van de loting"),
        "outcome": _name("measured", "mesure", "gemeten"),
        "measured_at": _name("measured on", "mesuré le", "gemeten op"),
    }
)
"""Columns of the stored tables that are about people."""

VALUES: Mapping[str, Said] = MappingProxyType(
    {
        "member": _name("member", "membre", "lid"),
        "former_member": _name("former member", "ancien membre", "oud-lid"),
        "regular_contact": _name("regular contact", "contact régulier", "vast contact"),
        "contact": _name("contact", "contact", "contact"),
        "in": _name("from you", "de vous", "van u"),
        "out": _name("to you", "à vous", "aan u"),
        "from_person": _name("given by you", "donné par vous", "door u gegeven"),
        "observed": _name("observed by the organisation", "observé par l'organisation", "waargenomen door de organisatie"),
        "third_party": _name("from somebody else", "d'un tiers", "van een derde"),
        "public": _name("from public sources", "de sources publiques", "uit openbare bronnen"),
        "political_ads": _name("political advertising", "publicité politique", "politieke reclame"),
        "political_ads_online": _name(
            "political messages picked for you online", "messages politiques ciblés en ligne", "voor u gekozen politieke berichten online"
        ),
        "campaign_messages": _name("messages of a campaign", "messages d'une campagne", "berichten van een campagne"),
        "member_information": _name("information for members", "information des membres", "informatie voor leden"),
        "fundraising": _name("raising money", "collecte de fonds", "fondsenwerving"),
        "service": _name("service", "service", "dienstverlening"),
        "research": _name("research", "recherche", "onderzoek"),
        "any": _name("everything", "tout", "alles"),
        "online_targeted": _name("online, to people who are picked", "en ligne, à des personnes choisies", "online, aan gekozen personen"),
        "online_member_broadcast": _name("online, the same to all members", "en ligne, identique pour tous les membres", "online, hetzelfde aan alle leden"),
        "offline": _name("at the door and by post", "à domicile et par courrier", "aan de deur en per post"),
        "aggregate": _name("in numbers about groups", "en chiffres sur des groupes", "in cijfers over groepen"),
        "political_actor": _name("a political party or candidate", "un parti ou un candidat", "een partij of kandidaat"),
        "union": _name("a trade union", "un syndicat", "een vakbond"),
        "ngo": _name("an association", "une association", "een vereniging"),
        "public_body": _name("a public body", "un organisme public", "een overheidsinstantie"),
        "company": _name("a company", "une entreprise", "een bedrijf"),
        "individual": _name("a single person", "un particulier", "een particulier"),
        "given": _name("consent given", "consentement donné", "toestemming gegeven"),
        "refused": _name("consent refused", "consentement refusé", "toestemming geweigerd"),
        "withdrawn": _name("consent withdrawn", "consentement retiré", "toestemming ingetrokken"),
        "objected": _name("objection", "opposition", "bezwaar"),
        "expired": _name("consent ended", "consentement expiré", "toestemming verlopen"),
        "gdpr_9_2_a": _name("explicit consent (GDPR, article 9)", "consentement explicite (RGPD, article 9)", "uitdrukkelijke toestemming (AVG, artikel 9)"),
        "gdpr_9_2_d": _name(
            "a member or regular contact (GDPR, article 9)", "membre ou contact régulier (RGPD, article 9)", "lid of vast contact (AVG, artikel 9)"
        ),
        "gdpr_6_1_a": _name("consent (GDPR, article 6)", "consentement (RGPD, article 6)", "toestemming (AVG, artikel 6)"),
        "gdpr_6_1_f": _name("legitimate interest (GDPR, article 6)", "intérêt légitime (RGPD, article 6)", "gerechtvaardigd belang (AVG, artikel 6)"),
        "erased": _name("erasure", "effacement", "wissing"),
        "purged": _name("the time for keeping it is over", "fin de la durée de conservation", "einde van de bewaartermijn"),
    }
)
"""Values of columns, uses and events that are words of this system."""

PLACES_HELD: Mapping[str, Said] = MappingProxyType(
    {
        "checkpoints": _name("copies that a notebook editor keeps", "copies gardées par un éditeur de carnets", "kopieën die een notitieboek-editor bewaart"),
        "notebooks": _name("notebooks", "carnets de calcul", "notitieboeken"),
        "tables": _name(
            "the stored tables, earlier versions too", "les tables conservées, versions antérieures comprises", "de bewaarde tabellen, ook eerdere versies"
        ),
        "staging": _name("an import under way", "une importation en cours", "een import die bezig is"),
        "vectors": _name("what was worked out of the tables", "ce qui a été calculé des tables", "wat uit de tabellen is berekend"),
        "rejects": _name("reports on refused rows", "rapports de lignes refusées", "verslagen van geweigerde rijen"),
        "draws": _name("lists of draws for experiments", "listes de tirages au sort", "lijsten van lotingen"),
        "database": _name("the database", "la base de données", "de database"),
        "people's keys": _name("the list of random names and keys", "la liste des noms aléatoires et des clés", "de lijst van willekeurige namen en sleutels"),
        "last signs of life": _name("when people were last heard of", "les dates des dernières nouvelles", "wanneer mensen het laatst van zich lieten horen"),
        "suppressions": _name("the list of those who were erased", "la liste des personnes effacées", "de lijst van wie gewist is"),
        "ledger": _name(
            "what people said of the use of their data", "ce que les personnes ont dit de l'usage de leurs données", "wat mensen over het gebruik zeiden"
        ),
        "decisions": _name("the log of answers", "le journal des réponses", "het logboek van antwoorden"),
        "people of exports": _name("who was in which export", "qui figurait dans quel export", "wie in welke export stond"),
        "files of exports": _name(
            "files for recipients, until they are sent", "fichiers pour des destinataires, avant leur envoi", "bestanden voor ontvangers, tot ze verstuurd zijn"
        ),
        "inputs": _name("files that somebody put here", "fichiers déposés ici", "bestanden die iemand hier heeft gezet"),
        "truth": _name(
            "what a simulation knows of people it made up", "ce qu'une simulation sait des personnes inventées", "wat een simulatie van verzonnen mensen weet"
        ),
    }
)
"""What each place that can hold personal data holds, by its name in `features.permission.places`."""


def name(key: str, language: Language) -> str:
    """Return a word of `NAMES`; one that is none stands as it is, without underscores."""
    return _of(NAMES, key, language)


def column(key: str, language: Language) -> str:
    """Return what a column is called; as of `name`."""
    return _of(COLUMNS, key, language)


def value(key: str, language: Language) -> str:
    """Return what a value of this system says; as of `name`."""
    return _of(VALUES, key, language)


def place(key: str, language: Language) -> str:
    """Return what a place holds; as of `name`."""
    return _of(PLACES_HELD, key, language)


def _of(words: Mapping[str, Said], key: str, language: Language) -> str:
    return words[key][language] if key in words else key.replace("_", " ")
