"""The document says the same on a page and on paper, in the person's language, and needs nothing from outside."""

import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime
from html import unescape

import pytest

from features.phrases import NARROW_NBSP, NBSP
from features.vocabulary import LANGUAGES, parse_vocabulary
from serving import access_pdf
from serving.access_document import document
from serving.access_html import html
from serving.access_pdf import PdfError, pdf
from serving.access_schemas import (
    CheckedPlace,
    HandedOut,
    HeldAnswer,
    HeldData,
    HeldEvent,
    HeldExport,
    HeldFeature,
    HeldFile,
    HeldNotice,
    HeldReason,
    HeldRetention,
    HeldRow,
    HeldScore,
    HeldSource,
    HeldUse,
    OtherBand,
)
from serving.access_words import day, moment, number, percent, say
from serving.console.numbers import MINUS
from tests.conftest import missing_tool
from tests.serving.conftest import AUDIENCE_TOML, DOORSTEP

HANDED = [HandedOut("affinity:housing", 0.437, None, None)]
VOCABULARY = parse_vocabulary(tomllib.loads(AUDIENCE_TOML))
AT = datetime(2026, 11, 1, 9, 5, tzinfo=UTC)
UNTIL = datetime(2031, 3, 1, tzinfo=UTC)
NASTY = "<script>alert(1)</script> & Œuvre Łódź"
LETTER = {"interaction_id": "i-1", "person_id": "van:1", "occurred_at": AT, "received_at": AT, "kind": "letter_open", "channel": "email", "topic": "housing"}


def whole(language="en"):
    other = OtherBand(["3 letters opened"], ["no letter opened"], 0.71, "high", "If it were so, high instead of low.")
    reasons = [HeldReason("2 letters opened", "makes engaging more likely", 0.4)]
    made = ("affinity:housing", "Housing", 0.345, "probability", 0.2, 0.5, AT, [AT, AT], "affinity", "1", "d" * 64, "again", None, None, "low")
    refused = ("a1", AT, "api", "mail tool", DOORSTEP, "affinity:housing", "objected", "This person objected.", None, None, None, None, None, None, AT, "L18")
    return HeldData(
        "van:1",
        "Housing Now",
        AT,
        language,
        "held",
        say("held", language, controller="Housing Now"),
        answer_id="0f" * 16,
        known_since=AT,
        token="ab" * 16,
        rows=(
            HeldRow("people", {"person_id": "van:1", "area": NASTY, "status": "former_member", "birth_year": 1975}, "forms", None),
            HeldRow("people", {"person_id": "van:1", "area": "older area"}, "forms", None, earlier=True),
            HeldRow(
                "interactions", LETTER | {"direction": "in", "collected_how": "observed", "is_machine": False, "value": 12.5}, "forms", UNTIL, kept_by="kind"
            ),
            HeldRow("assignments", {"experiment_id": "rent", "arm": "story", "probability": 0.5, "assigned_at": AT}, None, None),
            HeldRow("outcomes", {"experiment_id": "rent", "outcome": "signed", "value": 1.0, "measured_at": AT}, None, None),
        ),
        sources=(HeldSource("forms", "membership", "from_person", AT, "hash-of-notice", political_purpose_stated=True, kept_until=AT), HeldSource("gone")),
        retention=HeldRetention(None, {}, {}, 1095, AT, None, member=False, words=[say("inactive_on", language, date=day(UNTIL, language), days="1,095")]),
        uses=(HeldUse("doorstep", DOORSTEP, "none 2026.1", allowed=False, code="objected", rule="L18", words="This person objected.", event=1, source=None),),
        vector_as_of=AT,
        vector=(HeldFeature("a", "frequency", 2.0, "2 letters opened so far"), HeldFeature("b", "frequency", 0.0, "no letter sent so far")),
        own_vector_as_of=AT,
        own_vector=(HeldFeature("a", "frequency", 1.0, "1 letter opened of own rows"),),
        events=(HeldEvent(1, "objected", "any", "email", AT, AT, None, AT, "gdpr_9_2_a", "wording-hash", None, None, "form 12", "http"),),
        answers=(HeldAnswer(*refused),),
        scores=(HeldScore(*made, reasons, "The parts add up.", other, other.words),),
        exports=(
            HeldExport(
                "e",
                "ref-7",
                AT,
                "Printer & Sons",
                outside=True,
                approver="A. Lead",
                use=DOORSTEP | {"election": "be-2026-10"},
                scores=["affinity:housing"],
                as_of=AT,
                values=HANDED,
                notices=[HeldNotice("objected", AT, None)],
            ),
        ),
        files=(HeldFile("draws", "experiments/rent/assignments.csv", ["person_id,arm", "van:1,story"]),),
        checked=(CheckedPlace("tables", "the stored tables", "looked through; rows: 5"),),
        notes=(say("beyond", language),),
    )


SAID = (
    *("Housing Now", "van:1", "0f" * 16, "ab" * 16, "Łódź", "older area", "12", "hash-of-notice", "gone", "This person objected.", "2 letters opened so far"),
    *("form 12", "mail tool", "2 letters opened", "If it were so, high instead of low.", "The parts add up.", "Printer & Sons"),
    *("A. Lead", "ref-7", "2031", "1,095", "1 letter opened of own rows", "be-2026-10"),
    *("experiments/rent/assignments.csv", "van:1,story", "looked through; rows: 5", "a neighbour's story"),
)
"""What stands in the data and has to be on page and paper."""
TECHNICAL = (
    "gdpr_9_2_a",
    "former_member",
    "letter_open",
    "from_person",
    "campaign_messages",
    "occurred_at",
    "is_machine",
    "person_id:",
    "(permission)",
    "frequency",
    "None",
    "True",
)


def flat(text):
    return re.sub(r"\s+", " ", text.replace(NBSP, " ").replace(NARROW_NBSP, " "))


def words_of(page):
    """The text of a page, without its style."""
    return flat(unescape(re.sub(r"<[^>]+>", " ", page.split("</style>")[1])))


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """A function that makes a PDF's text."""

    def text(content):
        if shutil.which("pdftotext") is None:
            missing_tool("pdftotext is not installed (poppler-utils)")
        path = tmp_path_factory.mktemp("pdf") / "answer.pdf"
        path.write_bytes(content)
        told = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True).stdout
        return re.sub(r"\n\s*\d+\s*\f", "\n", told)  # the numbers of the pages

    return text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_everything_in_plain_words(language):
    shown = words_of(html(document(whole(language), VOCABULARY)))
    for said in SAID:
        assert said in shown, said
    for word in TECHNICAL:
        assert word not in shown, word


def test_the_paper_says_what_the_page_says(printed):
    """Word by word, but for how lines are broken."""
    made = document(whole("fr"), VOCABULARY)
    on_paper = "".join(printed(pdf(made)).split())
    for section in made.sections:
        for block in section.blocks:
            for said in (section.heading, block.heading, *block.sentences, *block.items, *block.closing):
                assert "".join(said.split()) in on_paper, said
            for cell in (cell for row in block.rows for cell in row):
                assert all(word in on_paper for word in cell.split()), cell
    assert "Łódź" in on_paper


def test_the_page_needs_nothing_from_outside_and_runs_nothing():
    page = html(document(whole(), VOCABULARY))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.findall(r"(?:src|href|url|@import)\s*[=(]", page)


def test_the_same_data_make_the_same_bytes():
    made = document(whole(), VOCABULARY)
    assert pdf(made) == pdf(made)
    assert pdf(made) != pdf(replace(made, made_at=datetime(2026, 11, 2, tzinfo=UTC)))


def test_somebody_erased_is_told_that_alone():
    data = HeldData("van:1", "Housing Now", AT, "nl", "erased", say("erased", "nl"), erased_at=AT)
    made = document(data, VOCABULARY)
    assert made.sections == ()
    assert say("erased_on", "nl", date="1 november 2026") in made.sentences
    assert pdf(made).startswith(b"%PDF")


def test_somebody_unknown_is_told_what_was_looked_through():
    data = HeldData("van:1", "Housing Now", AT, "en", "nothing", say("nothing", "en"), checked=whole().checked, notes=whole().notes)
    (section,) = document(data, VOCABULARY).sections
    assert section.blocks[1].rows == (("The stored tables", "looked through; rows: 5"),)


def test_words_that_the_organisation_no_longer_has_stand_as_they_are():
    row = HeldRow("interactions", LETTER | {"kind": "fax_sent", "topic": "fishing", "channel": "fax"}, None, None)
    shown = words_of(html(document(replace(whole(), rows=(row,)), VOCABULARY)))
    assert "fax_sent" in shown
    assert "fishing" in shown


def test_numbers_and_dates_are_those_of_the_language():
    assert [number(-1234.5, 2, language) for language in LANGUAGES] == [f"{MINUS}1,234.5", f"{MINUS}1{NARROW_NBSP}234,5", f"{MINUS}1.234,5"]
    assert [percent(0.085, language) for language in LANGUAGES] == ["8.5%", f"8,5{NBSP}%", "8,5%"]
    assert [percent(0.345, language) for language in LANGUAGES] == ["34.5%", f"34,5{NBSP}%", "34,5%"]
    assert [day(date(2026, 8, 1), language) for language in LANGUAGES] == ["1 August 2026", "1er août 2026", "1 augustus 2026"]
    assert [moment(AT, language) for language in LANGUAGES] == [
        "1 November 2026, 09:05 UTC",
        f"1er novembre 2026, 09{NBSP}h{NBSP}05 UTC",
        "1 november 2026, 09:05 UTC",
    ]
    assert number(0.0, 2, "en") == number(-0.001, 2, "en") == "0"


@pytest.mark.parametrize(
    "area", ["x" * 5000, "word " * 1500, "\N{GRINNING FACE} \u6f22\u5b57 \u202e\u0000\ud800"], ids=["a long word", "many words", "letters that few have"]
)
def test_whatever_is_held_is_written(area, printed):
    """What is longer than a page, has no letter in the font, or is no letter at all."""
    row = HeldRow("interactions", LETTER | {"campaign_id": area, "message_id": "the end"}, None, None)
    made = document(replace(whole(), rows=(row,)), VOCABULARY)
    assert "theend" in "".join(printed(pdf(made)).split())
    assert "the end" in html(made)


def test_without_its_font_no_pdf_is_made_and_it_says_so(monkeypatch):
    monkeypatch.setattr(access_pdf, "_ELSEWHERE", ())
    monkeypatch.setattr(access_pdf.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(PdfError, match="DejaVu"):
        pdf(document(whole(), VOCABULARY))
