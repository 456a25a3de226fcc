"""The words of a public notice, in the languages that people are answered in; English stands in for a language that is missing.

A test checks that every word is there in each language of `features.vocabulary`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Said = Mapping[str, str]


_MARKS = {" :": "\u00a0:", " ;": "\u00a0;", "'": "\u2019"}
"""Where French puts a space that never breaks; and the apostrophe of French and Dutch."""


def _say(en: str, fr: str, nl: str, de: str) -> Said:
    for mark, written in _MARKS.items():
        fr = fr.replace(mark, written)
    return MappingProxyType({"en": en, "fr": fr, "nl": nl.replace("'", "\u2019"), "de": de})


def words(key: str, language: str) -> str:
    """Return the words of that key. Raises KeyError for a key that is none."""
    said = WORDS[key]
    return said.get(language, said["en"])


def word_of(group: str, code: str, language: str) -> str:
    """Return the words for a code of a group, such as `purpose` and `fundraising`; a code that has none stands for itself."""
    said = WORDS.get(f"{group}.{code}", {"en": code.replace("_", " ")})
    return said.get(language, said["en"])


WORDS: Mapping[str, Said] = MappingProxyType(
    {
        "title": _say("Transparency notice", "Avis de transparence", "Transparantieverklaring", "Transparenzbekanntmachung"),
        "named": _say("{what}: {who}", "{what} : {who}", "{what}: {who}", "{what}: {who}"),
        "political": _say(
            "This is political advertising. People were selected for it by targeting techniques.",
            "Il s'agit de publicité politique. Des personnes ont été choisies au moyen de techniques de ciblage.",
            "Dit is politieke reclame. Mensen zijn ervoor gekozen met targetingtechnieken.",
            "Dies ist politische Werbung. Menschen wurden dafür mit Targeting-Verfahren ausgewählt.",
        ),
        "selected": _say(
            "For the messages of this campaign people were selected online by targeting techniques.",
            "Pour les messages de cette campagne, des personnes ont été choisies en ligne au moyen de techniques de ciblage.",
            "Voor de berichten van deze campagne zijn mensen online gekozen met targetingtechnieken.",
            "Für die Nachrichten dieser Kampagne wurden Menschen online mit Targeting-Verfahren ausgewählt.",
        ),
        "not_stated": _say("not stated", "non indiqué", "niet vermeld", "nicht angegeben"),
        "yes": _say("yes", "oui", "ja", "ja"),
        "no": _say("no", "non", "nee", "nein"),
        "none": _say("none", "aucune", "geen", "keine"),
        "fewer_than": _say("fewer than {number}", "moins de {number}", "minder dan {number}", "weniger als {number}"),
        "from_to": _say("from {first} to {last}", "du {first} au {last}", "van {first} tot en met {last}", "vom {first} bis zum {last}"),
        "section.who": _say("Who is behind it", "Qui est à l'origine", "Wie erachter zit", "Wer dahintersteht"),
        "section.link": _say("What it is about, and when", "Objet et période", "Waarover het gaat, en wanneer", "Worum es geht, und wann"),
        "section.money": _say("Money", "Financement", "Geld", "Geld"),
        "section.targeting": _say(
            "How people were selected", "Comment les personnes ont été choisies", "Hoe mensen zijn gekozen", "Wie Menschen ausgewählt wurden"
        ),
        "section.reach": _say("How many people", "Combien de personnes", "Hoeveel mensen", "Wie viele Menschen"),
        "section.care": _say("Assessments and law", "Évaluations et droit applicable", "Beoordelingen en recht", "Prüfungen und Recht"),
        "section.rights": _say("Your rights", "Vos droits", "Uw rechten", "Ihre Rechte"),
        "section.more": _say("Reporting and repositories", "Signalement et répertoires", "Melden en registers", "Meldung und Archive"),
        "section.missing": _say("What this notice lacks", "Ce qui manque à cet avis", "Wat in deze verklaring ontbreekt", "Was in dieser Bekanntmachung fehlt"),
        "sponsor": _say("Sponsor", "Parraineur", "Sponsor", "Sponsor"),
        "sponsor_type": _say("Kind of sponsor", "Type de parraineur", "Soort sponsor", "Art des Sponsors"),
        "address": _say("Address", "Adresse", "Adres", "Anschrift"),
        "contact": _say("Contact", "Contact", "Contact", "Kontakt"),
        "website": _say("Website", "Site web", "Website", "Website"),
        "controlling_entity": _say(
            "Entity that controls the sponsor",
            "Entité qui contrôle le parraineur",
            "Entiteit die de sponsor controleert",
            "Einrichtung, die den Sponsor kontrolliert",
        ),
        "election_or_process": _say(
            "Election, referendum or legislative process",
            "Élection, référendum ou processus législatif",
            "Verkiezing, referendum of wetgevingsproces",
            "Wahl, Referendum oder Gesetzgebungsverfahren",
        ),
        "period_stated": _say("Period of the campaign", "Période de la campagne", "Periode van de campagne", "Zeitraum der Kampagne"),
        "period_from": _say("First day of the campaign", "Premier jour de la campagne", "Eerste dag van de campagne", "Erster Tag der Kampagne"),
        "period_until": _say("Last day of the campaign", "Dernier jour de la campagne", "Laatste dag van de campagne", "Letzter Tag der Kampagne"),
        "rights_contact": _say("Contact for your rights", "Contact pour vos droits", "Contact voor uw rechten", "Kontakt für Ihre Rechte"),
        "risk_assessment_url": _say(
            "Where the risk assessment is published",
            "Où l'évaluation des risques est publiée",
            "Waar de risicobeoordeling is gepubliceerd",
            "Wo die Risikobewertung veröffentlicht ist",
        ),
        "period_counted": _say(
            "Days on which people were selected", "Jours de ciblage", "Dagen waarop mensen zijn gekozen", "Tage, an denen Menschen ausgewählt wurden"
        ),
        "funding_origin": _say("Origin of the funds", "Origine des fonds", "Herkomst van het geld", "Herkunft der Mittel"),
        "amounts": _say("Amounts and other benefits", "Montants et autres avantages", "Bedragen en andere voordelen", "Beträge und andere Leistungen"),
        "amounts_computed": _say("How they were computed", "Méthode de calcul", "Hoe ze zijn berekend", "Wie sie berechnet wurden"),
        "purposes": _say("Purposes", "Finalités", "Doelen", "Zwecke"),
        "techniques": _say("Techniques", "Techniques", "Technieken", "Verfahren"),
        "main_parameters": _say("What counts most", "Ce qui compte le plus", "Wat het meest meetelt", "Was am meisten zählt"),
        "groups": _say("Groups, by score", "Groupes, selon le score", "Groepen, naar score", "Gruppen, nach Punktwert"),
        "bands": _say("How a score is read", "Lecture d'un score", "Hoe een score wordt gelezen", "Wie ein Punktwert gelesen wird"),
        "bands.text": _say(
            "High is the top fifth of all people, low the lower half, medium what lies between.",
            "Élevé : le cinquième supérieur de toutes les personnes ; bas : la moitié inférieure ; moyen : ce qui est entre les deux.",
            "Hoog is het bovenste vijfde van alle mensen, laag de onderste helft, midden wat ertussen ligt.",
            "Hoch ist das oberste Fünftel aller Menschen, niedrig die untere Hälfte, mittel was dazwischen liegt.",
        ),
        "bands.signed": _say(
            "People whom contact would rather turn away are marked as not to be contacted.",
            "Les personnes qu'un contact éloignerait plutôt sont marquées comme à ne pas contacter.",
            "Mensen die contact eerder zou afschrikken, worden gemarkeerd als niet te benaderen.",
            "Menschen, die ein Kontakt eher abschrecken würde, sind als nicht anzusprechen gekennzeichnet.",
        ),
        "place": _say("Where, and by which channel", "Où, et par quel canal", "Waar, en via welk kanaal", "Wo, und über welchen Kanal"),
        "data_categories": _say("Data about people that were used", "Données utilisées", "Gebruikte gegevens over mensen", "Verwendete Daten über Menschen"),
        "special_categories": _say(
            "Special categories of data (opinions, beliefs, health, origins …)",
            "Catégories particulières de données (opinions, convictions, santé, origines…)",
            "Bijzondere categorieën van gegevens (opvattingen, overtuigingen, gezondheid, afkomst …)",
            "Besondere Kategorien von Daten (Meinungen, Überzeugungen, Gesundheit, Herkunft …)",
        ),
        "sources": _say("Where the data came from", "Origine des données", "Waar de gegevens vandaan komen", "Woher die Daten stammen"),
        "source": _say(
            "{type}, {how} (sources: {number})", "{type}, {how} (sources : {number})", "{type}, {how} (bronnen: {number})", "{type}, {how} (Quellen: {number})"
        ),
        "third_party_data": _say(
            "Data from third parties or the public web",
            "Données de tiers ou du web public",
            "Gegevens van derden of van het openbare web",
            "Daten von Dritten oder aus dem öffentlichen Netz",
        ),
        "ai": _say("Artificial intelligence", "Intelligence artificielle", "Kunstmatige intelligentie", "Künstliche Intelligenz"),
        "ai.text": _say(
            "Yes. The scores come from statistical machine learning on what people did with the organisation. No text or picture is generated, and"
            " nothing is sent by"
            " the system: a person decides what is done with a score.",
            "Oui. Les scores proviennent d'un apprentissage automatique statistique sur ce que les personnes ont fait avec l'organisation. Aucun"
            " texte ni aucune image"
            " n'est généré, et le système n'envoie rien : une personne décide de ce qui est fait d'un score.",
            "Ja. De scores komen van statistisch machinaal leren uit wat mensen met de organisatie hebben gedaan. Er wordt geen tekst of beeld"
            " gegenereerd, en het"
            " systeem verstuurt niets: een mens beslist wat er met een score gebeurt.",
            "Ja. Die Punktwerte stammen aus statistischem maschinellem Lernen aus dem, was Menschen mit der Organisation getan haben. Es werden weder"
            " Texte noch Bilder"
            " erzeugt, und das System verschickt nichts: Ein Mensch entscheidet, was mit einem Punktwert geschieht.",
        ),
        "scored": _say("People who were given a score", "Personnes ayant reçu un score", "Mensen die een score kregen", "Menschen mit Punktwert"),
        "refused": _say(
            "People who were left out, and why",
            "Personnes écartées, et pourquoi",
            "Mensen die zijn weggelaten, en waarom",
            "Menschen, die nicht einbezogen wurden, und warum",
        ),
        "handed_out": _say(
            "People whose rows were handed to a recipient",
            "Personnes dont les lignes ont été remises à un destinataire",
            "Mensen van wie regels aan een ontvanger zijn gegeven",
            "Menschen, deren Zeilen einem Empfänger übergeben wurden",
        ),
        "nothing_counted": _say("nobody so far", "personne à ce jour", "tot nu toe niemand", "bisher niemand"),
        "risk_assessment": _say("Yearly risk assessment", "Évaluation annuelle des risques", "Jaarlijkse risicobeoordeling", "Jährliche Risikobewertung"),
        "dpia": _say(
            "Data protection impact assessment",
            "Analyse d'impact relative à la protection des données",
            "Gegevensbeschermings\u00adeffectbeoordeling",
            "Datenschutz-Folgenabschätzung",
        ),
        "law": _say("Rules applied", "Règles appliquées", "Toegepaste regels", "Angewandte Regeln"),
        "law.confirmed": _say(
            "confirmed by a named person", "confirmées par une personne nommée", "bevestigd door een genoemde persoon", "von einer benannten Person bestätigt"
        ),
        "law.unconfirmed": _say("not confirmed yet", "pas encore confirmées", "nog niet bevestigd", "noch nicht bestätigt"),
        "legal_basis": _say("Legal basis", "Base juridique", "Rechtsgrond", "Rechtsgrundlage"),
        "basis.explicit_consent": _say(
            "explicit consent, given apart from all others, to political messages picked for a person online",
            "consentement explicite, distinct de tout autre, à des messages politiques ciblés en ligne",
            "uitdrukkelijke toestemming, apart van elke andere, voor gerichte politieke berichten online",
            "ausdrückliche Einwilligung, getrennt von jeder anderen, in gezielte politische Nachrichten im Netz",
        ),
        "data_protection_officer": _say(
            "Data protection officer",
            "Délégué à la protection des données",
            "Functionaris voor gegevens\u00adbescherming",
            "Datenschutz\u00adbeauftragte Person",
        ),
        "policy": _say("Internal policy on targeting", "Politique interne de ciblage", "Intern beleid over targeting", "Interne Regeln zum Targeting"),
        "rights": _say("What you can do", "Ce que vous pouvez faire", "Wat u kunt doen", "Was Sie tun können"),
        "rights.text": _say(
            "You can object at any time, without a reason; withdraw a consent; ask what is held about you, where it came from, who received it and"
            " how your score came"
            " about; have it corrected or erased; and complain to your data protection authority.",
            "Vous pouvez à tout moment vous opposer, sans motif ; retirer un consentement ; demander ce qui est détenu sur vous, d'où cela vient, qui"
            " l'a reçu et comment"
            " votre score s'explique ; le faire rectifier ou effacer ; et saisir votre autorité de protection des données.",
            "U kunt op elk moment zonder reden bezwaar maken; een toestemming intrekken; vragen wat er over u wordt bewaard, waar het vandaan komt,"
            " wie het kreeg en hoe"
            " uw score tot stand kwam; het laten verbeteren of wissen; en een klacht indienen bij uw gegevensbeschermingsautoriteit.",
            "Sie können jederzeit ohne Begründung widersprechen; eine Einwilligung widerrufen; erfragen, was über Sie gespeichert ist, woher es"
            " stammt, wer es erhielt und"
            " wie Ihr Punktwert zustande kam; es berichtigen oder löschen lassen; und sich bei Ihrer Datenschutzbehörde beschweren.",
        ),
        "reporting": _say(
            "How to report this advertisement", "Comment signaler cette publicité", "Hoe u deze reclame kunt melden", "Wie Sie diese Werbung melden können"
        ),
        "suspension": _say(
            "Suspended or ended for breaking the rules",
            "Suspendue ou arrêtée pour infraction",
            "Opgeschort of beëindigd wegens overtreding",
            "Wegen Verstoßes ausgesetzt oder beendet",
        ),
        "repositories": _say(
            "Where the advertisements are kept", "Où les publicités sont conservées", "Waar de reclame wordt bewaard", "Wo die Werbung aufbewahrt wird"
        ),
        "footer": _say(
            "Made on {made_at} from the register of targeting (entries: {entries}), which is kept for at least seven years, and from the counts of"
            " the audit log."
            " Names follow Regulation (EU) 2024/900, articles 12 and 19; the form of Implementing Regulation (EU) 2025/1410 is not claimed.",
            "Établi le {made_at} à partir du registre du ciblage (entrées : {entries}), conservé au moins sept ans, et des comptes du journal d'audit."
            " Les noms suivent"
            " le règlement (UE) 2024/900, articles 12 et 19 ; le format du règlement d'exécution (UE) 2025/1410 n'est pas revendiqué.",
            "Gemaakt op {made_at} uit het register van targeting (vermeldingen: {entries}), dat ten minste zeven jaar wordt bewaard, en uit de"
            " tellingen van het"
            " auditlogboek. Namen volgen Verordening (EU) 2024/900, artikelen 12 en 19; de vorm van Uitvoeringsverordening (EU) 2025/1410 wordt niet geclaimd.",
            "Erstellt am {made_at} aus dem Targeting-Register (Einträge: {entries}), das mindestens sieben Jahre aufbewahrt wird, und aus den"
            " Zählungen des Audit-Logs."
            " Die Bezeichnungen folgen der Verordnung (EU) 2024/900, Artikel 12 und 19; die Form der Durchführungsverordnung (EU) 2025/1410 wird"
            " nicht beansprucht.",
        ),
        "purpose.political_ads": _say("political advertising", "publicité politique", "politieke reclame", "politische Werbung"),
        "purpose.campaign_messages": _say("campaign messages", "messages de campagne", "campagneberichten", "Kampagnennachrichten"),
        "purpose.member_information": _say("information for members", "information des membres", "informatie voor leden", "Information für Mitglieder"),
        "purpose.fundraising": _say("fundraising", "collecte de fonds", "fondsenwerving", "Spendenwerbung"),
        "purpose.service": _say("a service", "un service", "een dienst", "eine Dienstleistung"),
        "purpose.research": _say("research", "recherche", "onderzoek", "Forschung"),
        "sponsor_type.political_actor": _say("political actor", "acteur politique", "politieke actor", "politischer Akteur"),
        "sponsor_type.union": _say("trade union", "syndicat", "vakbond", "Gewerkschaft"),
        "sponsor_type.ngo": _say(
            "non-governmental organisation", "organisation non gouvernementale", "niet-gouvernementele organisatie", "Nichtregierungsorganisation"
        ),
        "sponsor_type.public_body": _say("public body", "organisme public", "overheidsinstantie", "öffentliche Stelle"),
        "sponsor_type.company": _say("company", "entreprise", "onderneming", "Unternehmen"),
        "sponsor_type.individual": _say("individual", "particulier", "particulier", "Einzelperson"),
        "jurisdiction.eu": _say("European Union", "Union européenne", "Europese Unie", "Europäische Union"),
        "jurisdiction.fr": _say("France", "France", "Frankrijk", "Frankreich"),
        "jurisdiction.be": _say("Belgium", "Belgique", "België", "Belgien"),
        "jurisdiction.uk": _say("United Kingdom", "Royaume-Uni", "Verenigd Koninkrijk", "Vereinigtes Königreich"),
        "jurisdiction.none": _say("a place without such a law", "un lieu sans loi de ce type", "een plaats zonder zo'n wet", "ein Ort ohne ein solches Gesetz"),
        "how.from_person": _say("given by the person", "auprès de la personne", "door de persoon gegeven", "von der Person angegeben"),
        "how.observed": _say(
            "observed by the organisation", "par observation de l'organisation", "door de organisatie waargenomen", "von der Organisation beobachtet"
        ),
        "how.third_party": _say("from a third party", "auprès d'un tiers", "van een derde", "von Dritten"),
        "how.public": _say("from public sources", "de sources publiques", "uit openbare bronnen", "aus öffentlichen Quellen"),
        "source_type.membership": _say("membership", "adhésion", "lidmaatschap", "Mitgliedschaft"),
        "source_type.petition": _say("petition", "pétition", "petitie", "Petition"),
        "source_type.event": _say("event", "événement", "bijeenkomst", "Veranstaltung"),
        "source_type.broker": _say("data broker", "courtier en données", "datahandelaar", "Datenhändler"),
        "source_type.contest": _say("contest", "concours", "wedstrijd", "Gewinnspiel"),
        "source_type.quiz": _say("quiz", "quiz", "quiz", "Quiz"),
        "source_type.partner": _say("partner", "partenaire", "partner", "Partner"),
        "source_type.voter_roll": _say("list of voters", "liste électorale", "kiezerslijst", "Wählerverzeichnis"),
        "model.affinity": _say("Interest in topics", "Intérêt pour les thèmes", "Belangstelling voor thema's", "Interesse an Themen"),
        "technique.gradient_boosted_trees": _say(
            "Many small decision trees (gradient boosting) estimate how likely a person is to engage with each topic.",
            "De nombreux petits arbres de décision (gradient boosting) estiment la probabilité qu'une personne s'intéresse à chaque thème.",
            "Veel kleine beslisbomen (gradient boosting) schatten hoe waarschijnlijk iemand op elk thema ingaat.",
            "Viele kleine Entscheidungsbäume (Gradient Boosting) schätzen, wie wahrscheinlich jemand sich mit jedem Thema befasst.",
        ),
        "technique.uplift_stack": _say(
            "From a randomised experiment, three ways of learning (as decision trees) estimate together what contact changes for a person.",
            "À partir d'une expérience randomisée, trois méthodes d'apprentissage (arbres de décision) estiment ensemble ce qu'un contact change pour"
            " une personne.",
            "Uit een gerandomiseerd experiment schatten drie leermethoden (beslisbomen) samen wat contact voor iemand verandert.",
            "Aus einem randomisierten Experiment schätzen drei Lernverfahren (Entscheidungsbäume) gemeinsam, was ein Kontakt bei jemandem ändert.",
        ),
        "technique.uplift_learner": _say(
            "From a randomised experiment, decision trees estimate what contact changes for a person.",
            "À partir d'une expérience randomisée, des arbres de décision estiment ce qu'un contact change pour une personne.",
            "Uit een gerandomiseerd experiment schatten beslisbomen wat contact voor iemand verandert.",
            "Aus einem randomisierten Experiment schätzen Entscheidungsbäume, was ein Kontakt bei jemandem ändert.",
        ),
        "family.frequency": _say("how often a person takes part", "fréquence de participation", "hoe vaak iemand meedoet", "wie oft jemand mitmacht"),
        "family.channels": _say("by which channels", "canaux utilisés", "via welke kanalen", "über welche Kanäle"),
        "family.topics": _say("on which topics", "thèmes suivis", "bij welke thema's", "zu welchen Themen"),
        "family.kinds by topic": _say(
            "what kind of participation, by topic", "type de participation, par thème", "soort deelname, per thema", "Art der Teilnahme, nach Thema"
        ),
        "family.attention": _say(
            "how attention is shared among topics",
            "répartition de l'attention entre thèmes",
            "verdeling van aandacht over thema's",
            "Verteilung der Aufmerksamkeit auf Themen",
        ),
        "family.channel preference": _say("preferred channels", "canaux préférés", "voorkeurskanalen", "bevorzugte Kanäle"),
        "family.recency": _say(
            "time since the last contact", "temps écoulé depuis le dernier contact", "tijd sinds het laatste contact", "Zeit seit dem letzten Kontakt"
        ),
        "family.decay": _say(
            "activity, recent counting more", "activité, le récent comptant davantage", "activiteit, recent telt meer", "Aktivität, Jüngeres zählt mehr"
        ),
        "family.value": _say("amounts, such as of gifts", "montants, par exemple de dons", "bedragen, zoals van giften", "Beträge, etwa von Spenden"),
        "family.response rates": _say(
            "share of messages answered", "part des messages suivis d'une réponse", "aandeel beantwoorde berichten", "Anteil beantworteter Nachrichten"
        ),
        "family.fatigue": _say("messages without an answer", "messages restés sans réponse", "onbeantwoorde berichten", "unbeantwortete Nachrichten"),
        "family.trend": _say(
            "more or less active than before", "plus ou moins actif qu'avant", "actiever of minder actief dan vroeger", "aktiver oder weniger aktiv als zuvor"
        ),
        "family.stated interests": _say("interests the person stated", "intérêts déclarés", "opgegeven interesses", "angegebene Interessen"),
        "family.hours and weekdays": _say("hours and weekdays", "heures et jours de la semaine", "uren en weekdagen", "Uhrzeiten und Wochentage"),
        "family.first and last source": _say(
            "by which source the person came", "source du premier et du dernier contact", "via welke bron iemand kwam", "über welche Quelle jemand kam"
        ),
        "family.area and supply": _say(
            "activity in the area, and what was on offer",
            "activité de la zone et offre",
            "activiteit in de buurt, en wat er te doen was",
            "Aktivität in der Gegend, und was es gab",
        ),
        "family.machines": _say("openings by machines", "ouvertures par des machines", "openingen door machines", "Öffnungen durch Maschinen"),
        "family.person": _say("attributes of the person", "caractéristiques de la personne", "kenmerken van de persoon", "Merkmale der Person"),
        "family.the topic itself": _say("the topic itself", "le thème lui-même", "het thema zelf", "das Thema selbst"),
        "family.history across topics": _say(
            "activity across all topics", "activité sur l'ensemble des thèmes", "activiteit over alle thema's", "Aktivität über alle Themen"
        ),
        "family.other": _say("other columns", "autres colonnes", "andere kolommen", "andere Spalten"),
    }
)
