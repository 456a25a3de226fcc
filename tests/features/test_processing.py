"""The record of processing says what the configuration, the tables and the exports say, and names what nobody said."""

from features.permission.places import PLACES
from features.permission.processing import NEEDED, SECURITY, as_markdown, processing
from features.permission.retention import Retention
from features.permission.settings import parse_permission
from features.tables import TABLES
from features.vocabulary import parse_vocabulary

USE = {"purpose": "campaign_messages", "channel_class": "offline", "sponsor_type": "ngo", "jurisdiction": "be"}
VOCABULARY = parse_vocabulary(
    {
        "kinds": {"gift": {"direction": "in", "en": "gift"}},
        "channels": {"door": {"en": "door"}},
        "topics": {"faith": {"en": "Faith", "sensitivity": "special", "classed_by": "A. Officer", "why": "beliefs"}, "housing": {"en": "Housing"}},
        "attributes": {"household_size": {"type": "numeric", "en": "household size"}},
    }
)
PROCESSING = {
    "controller": {"name": "Housing Now", "address": "1 Street", "contact": "office@example.org"},
    "data_protection_officer": "B. Officer",
    "security": ["disks are encrypted"],
    "transfers": "none outside of the EU",
}


def made(**document):
    recipients = [{"recipient": "Printer", "outside": True}]
    sources = [{"type": "membership", "collected_how": "from_person", "sources": 2}]
    return processing(VOCABULARY, parse_permission(document), sources=sources, recipients=recipients, scores_valid_days=30, name="Us")


def test_it_says_what_is_declared():
    record = made(uses={"doorstep": USE}, processing=PROCESSING, permission={"dpia": "DPIA-1"})
    assert record["missing"] == []
    assert record["purposes"] == [{"use": "doorstep", **USE}]
    assert [each["table"] for each in record["categories_of_data"]] == list(TABLES)
    people = next(each for each in record["categories_of_data"] if each["table"] == "people")
    assert "household_size" in people["columns"]
    assert record["special_categories"] == [{"kind": "topic", "id": "faith", "classed_by": "A. Officer", "why": "beliefs"}]
    assert record["recipients"] == [{"recipient": "Printer", "outside": True}]
    assert record["security"] == [*SECURITY, "disks are encrypted"]
    assert [each["place"] for each in record["places"]] == [place.name for place in PLACES if place.personal]
    text = as_markdown(record)
    for words in (
        "Housing Now",
        "B. Officer",
        "Printer (outside of the organisation)",
        "membership, from_person: 2",
        "topic faith: beliefs (A. Officer)",
        "30 days",
    ):
        assert words in text


def test_how_long_data_are_kept_is_what_audience_toml_says():
    limits = {"interactions": 1825, "kinds": {"gift": 400}, "source_types": {"event": 300}, "inactive_days": 700}
    limited = VOCABULARY.model_copy(update={"retention": Retention(**limits)})
    said = processing(limited, parse_permission({}), sources=[], recipients=[], scores_valid_days=14, name="Us")
    kept = said["retention"]
    assert (kept["every interaction"], kept["interactions of the kind gift"]) == ("1825 days from the day of each", "400 days from the day of each")
    assert kept["interactions from sources of the type event"].startswith("300 days")
    assert kept["people of whom nothing is heard"].startswith("700 days from the last sign of life, members excepted")
    assert "expires_at" in kept["rows"]
    assert kept["scores"] == "valid for 14 days"
    assert all(f"- {name}: {words}" in as_markdown(said) for name, words in kept.items())
    plain = made()["retention"]
    assert not [name for name in plain if "interaction" in name]
    assert plain["people of whom nothing is heard"].startswith("1095 days")


def test_what_nobody_said_is_missing():
    record = made()
    assert record["missing"] == list(NEEDED)
    text = as_markdown(record)
    assert text.count("*not stated*") >= 7
    assert "- controller.name" in text
