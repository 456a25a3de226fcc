"""A notice says what the register and the log say, names what is missing, tells no small count, and has words for all of it in every language."""

import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from features.catalogue import families
from features.permission import source_types
from features.permission.labels import labels
from features.permission.notice import FLOOR, NEEDED, NoticeError, notice, small
from features.permission.notice_page import as_html, as_markdown, sections
from features.permission.notice_words import WORDS, words
from features.permission.reach import Reached
from features.permission.register import Entry
from features.permission.settings import PermissionFault, parse_permission
from features.permission.targeting import ACROSS_TOPICS, OTHER, TECHNIQUES, TOPIC_ITSELF
from features.permission.use import JURISDICTIONS, PURPOSES, SPONSOR_TYPES
from features.tables import COLLECTED_HOW
from features.vocabulary import LANGUAGES, parse_vocabulary

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
USE = {"purpose": "campaign_messages", "channel_class": "online_targeted", "sponsor_type": "ngo", "jurisdiction": "fr", "campaign_id": "housing-2026"}
NOTICE = {
    "sponsor": {"name": "Housing Now <b>", "address": "1 Street, Town", "contact": "office@example.org", "website": "https://example.org/?a=1&b=2"},
    "controlling_entity": {"name": "none"},
    "election_or_process": "Municipal elections of *2026*",
    "funding_origin": "gifts of members",
    "period_from": "2026-09-01",
    "period_until": "2026-12-01",
    "amounts": "EUR 1,200",
    "amounts_computed": "invoices of the platform",
    "repositories": ["https://example.org/ads"],
    "reporting": "ads@example.org",
    "suspension": "neither",
    "policy": "https://example.org/policy",
    "rights_contact": "privacy@example.org",
}
ALL = {"notices": {"housing-2026": NOTICE}, "permission": {"risk_assessment_url": "https://example.org/risks"}}
VOCABULARY = parse_vocabulary(
    {
        "kinds": {"gift": {"direction": "in", "engagement": True, "unit": "EUR", "en": "gift"}, "sent": {"direction": "out", "en": "sent"}},
        "channels": {"email": {"en": "e-mail", "fr": "courriel"}},
        "topics": {"housing": {"en": "Housing", "fr": "Logement", "nl": "Wonen"}},
        "source_types": {"membership": {"en": "membership form"}},
        "attributes": {"household_size": {"type": "numeric", "en": "household size"}},
    }
)
_numbers = itertools.count(1)


def body(**changed):
    said = {
        "activity": "score",
        "campaign": "housing-2026",
        "political": False,
        "use": USE,
        "techniques": [{"model": "affinity", "version": "1", "digest": "a" * 64, "technique": "gradient_boosted_trees", "words": "trees"}],
        "parameters": {
            "scores": ["affinity:housing"],
            "bands": ["high is …"],
            "main": [{"model": "affinity", "families": [{"family": "recency", "percent": 60}]}],
        },
        "groups": {"scores": ["affinity:housing"], "jurisdiction": "fr", "channel_class": "online_targeted", "channel": None},
        "data_categories": [{"family": "recency", "attributes": []}, {"family": "person", "attributes": ["household_size"]}],
        "special_categories": [],
        "sources": [{"type": "membership", "collected_how": "from_person", "sources": 2}],
        "third_party_data": False,
        "ai": {"used": True, "statement": "statistics"},
        "law": {"pack": "fr", "version": "2026.1", "digest": "b" * 64, "state": "unconfirmed"},
        "dpia": "DPIA-1",
        "risk_assessment": "2026-10-01",
    }
    return said | changed


def entry(at=NOW, **changed):
    number = next(_numbers)
    return Entry(number, f"{number:032x}", "targeting", "0" * 64, at, body(**changed))


def reach(scored=1234, **refused):
    return Reached(USE, 10, NOW, NOW + timedelta(days=3), scored, refused)


def made(*entries, reached=(), settings=None):
    return notice("housing-2026", entries or (entry(),), reached, parse_permission(ALL if settings is None else settings), made_at=NOW)


def test_what_is_not_said_is_missing_and_never_made_up():
    assert made()["missing"] == []
    lacking = made(entry(dpia=None, risk_assessment=None), settings={})
    assert lacking["missing"] == list(NEEDED)
    assert lacking["sponsor"] == {"types": ["ngo"], "name": None, "address": None, "contact": None, "website": None}
    page = as_html(lacking, "en", {})
    assert page.count("not stated") >= len(NEEDED) - 5
    last = sections(lacking, "en", {})[-1]
    assert (last.title, len(last.lines[0].values)) == ("What this notice lacks", len(NEEDED))
    assert "Sponsor" in last.lines[0].values
    assert "What this notice lacks" not in [section.title for section in sections(made(), "en", {})]


def test_a_campaign_of_entries_of_any_age_is_told_as_one():
    old = entry(NOW - timedelta(days=3000), political=True, special_categories=["affinity:faith"], third_party_data=True)
    newer = body()["techniques"][0] | {"version": "2"}
    found = made(old, entry(campaign="another"), entry(techniques=[newer], groups=body()["groups"] | {"channel": "email"}), reached=[reach()])
    targeting = found["targeting"]
    assert found["political_advertisement"]
    assert [technique["version"] for technique in targeting["techniques"]] == ["1", "2"]
    assert (targeting["special_categories"], targeting["third_party_data"], targeting["groups"]["channels"]) == (["affinity:faith"], True, ["email"])
    assert len(found["register"]) == 2
    assert found["period"] == {
        "stated_from": "2026-09-01",
        "stated_until": "2026-12-01",
        "first_targeting": "2018-08-15",
        "last_targeting": "2026-11-04",
    }
    assert json.loads(json.dumps(found)) == found


def test_the_legal_basis_is_what_the_rules_asked_of_everybody_who_was_scored():
    """Of a message that is not political nobody's explicit consent is asked, nor was any before the Regulation applied."""
    political = {"use": USE | {"purpose": "political_ads"}, "political": True}
    assert made(entry(**political))["legal_basis"] == ["explicit_consent"]
    assert "explicit consent, given apart from all others" in as_markdown(made(entry(**political)), "en", {})
    assert made(entry(**political), entry())["legal_basis"] == []
    assert made(entry(datetime(2025, 10, 9, tzinfo=UTC), **political))["legal_basis"] == []
    assert "Legal basis: *not stated*" in as_markdown(made(), "en", {})


def test_whom_to_ask_about_data_protection_is_told_where_somebody_is_named():
    assert "Data protection officer" not in as_markdown(made(), "en", {})
    named = made(settings=ALL | {"processing": {"data_protection_officer": "privacy@example.org"}})
    assert named["rights"]["data_protection_officer"] == "privacy@example.org"
    assert "- Data protection officer: privacy@example.org" in as_markdown(named, "en", {})


def test_no_entry_no_notice():
    with pytest.raises(NoticeError, match="campaigns there: housing-2026"):
        notice("nowhere", [entry()], (), parse_permission({}), made_at=NOW)


@pytest.mark.parametrize(("number", "told"), [(0, None), (FLOOR - 1, None), (FLOOR, FLOOR), (1234, 1234)])
def test_small_counts_are_not_told(number, told):
    assert small(number) == {"number": told, "fewer_than": FLOOR if told is None else None}
    found = made(reached=[reach(number, objected=number)])
    assert found["reach"][0]["people_scored"]["number"] == told
    page = as_markdown(found, "en", {})
    assert ("fewer than 50" in page) == (told is None)
    if number == FLOOR - 1:
        assert str(number) not in json.dumps(found["reach"])


PERIOD = {
    "en": "from 1 September 2026 to 1 December 2026",
    "fr": "du 1er septembre 2026 au 1er décembre 2026",
    "nl": "van 1 september 2026 tot en met 1 december 2026",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_exists_in_every_language(language):
    assert set(NEEDED.values()) <= set(WORDS)
    for key, said in WORDS.items():
        assert said.get(language, "").strip(), f"{key} has no words in {language}"
        assert sorted(re.findall(r"\{\w+\}", said[language])) == sorted(re.findall(r"\{\w+\}", said["en"])), key
    named = labels(VOCABULARY, ["fr"], language)
    full = made(entry(), reached=[reach(objected=70)])
    for text in (as_html(full, language, named), as_markdown(full, language, named)):
        assert {"en": "1,234", "fr": "1\u202f234", "nl": "1.234"}[language] in text
        assert words("title", language) in text.replace("&#x27;", "'")
        assert VOCABULARY.topic("housing").label(language) in text
        assert PERIOD[language] in text
        assert words("model.affinity", language) in text
        assert {"en": "France, 2026.1", "fr": "France, 2026.1", "nl": "Frankrijk, 2026.1"}[language] in text
        assert not re.search(r"\d{4}-\d\d-\d\d", text), "days are told in words"
    titles = {other: [section.title for section in sections(full, other, named)] for other in LANGUAGES}
    assert len({tuple(found) for found in titles.values()}) == len(LANGUAGES)


def test_whatever_an_entry_can_hold_has_words():
    groups = {
        "purpose": PURPOSES,
        "sponsor_type": SPONSOR_TYPES,
        "jurisdiction": JURISDICTIONS,
        "how": COLLECTED_HOW,
        "source_type": ["membership", "petition", "event", *(kind for kind in source_types.LAW if kind not in source_types.FORBIDDEN)],
        "technique": TECHNIQUES,
        "family": [*families(VOCABULARY), "stated interests", "machines", "first and last source", OTHER, TOPIC_ITSELF, ACROSS_TOPICS],
    }
    assert [f"{group}.{code}" for group, codes in groups.items() for code in codes if f"{group}.{code}" not in WORDS] == []


class Tags(HTMLParser):
    """Checks that tags are closed in their order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_what_the_organisation_writes_is_text():
    found = made(entry(), reached=[reach(objected=70)])
    page, parser = as_html(found, "en", labels(VOCABULARY, ["fr"], "en")), Tags()
    parser.feed(page)
    assert parser.open == []
    assert "b" not in parser.seen
    assert "Housing Now &lt;b&gt;" in page
    assert 'href="https://example.org/?a=1&amp;b=2"' in page
    text = as_markdown(found, "en", {})
    assert "Housing Now \\<b\\>" in text
    assert "of \\*2026\\*" in text


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"funding": "x"}, "notices.housing-2026.funding: Extra inputs are not permitted.*funding_origin"),
        ({"repositories": ["javascript:alert(1)"]}, "notices.housing-2026.repositories"),
        ({"sponsor": {"nmae": "x"}}, "Did you mean 'name'"),
        ({"period_from": "2026-02-01", "period_until": "2026-01-01"}, "lies before"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_in_words(table, told):
    with pytest.raises(PermissionFault, match=told):
        parse_permission({"notices": {"housing-2026": table}})


def test_a_campaign_that_is_no_slug_is_refused():
    with pytest.raises(PermissionFault, match="notices"):
        parse_permission({"notices": {"van:0001": {}}})
