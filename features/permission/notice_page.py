"""A public notice for people to read: the same sections as HTML and as Markdown, in the language wanted (pure)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from features.permission.notice import NEEDED
from features.permission.notice_words import word_of, words
from features.phrases import date_in_words
from features.vocabulary import Language

Labels = Mapping[str, str]
"""What scores, source types, attributes and codes of refusals are called, by name."""
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #c8c8c8; }
.lead { font-weight: 600; padding: .75rem 1rem; border-left: .3rem solid #1f5f8b; background: #eef4f8; }
dl { display: grid; grid-template-columns: 14rem 1fr; gap: .4rem 1.5rem; margin: 0; } dt { color: #4a4a4a; } dd { margin: 0; }
dt, dd { overflow-wrap: anywhere; }
ul { margin: 0; padding-left: 1.1rem; } footer { margin-top: 2.5rem; font-size: .85rem; color: #4a4a4a; } .absent { color: #8a3b12; }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .7rem; } }
@media print { body { margin: 0; max-width: none; } }
""".strip()
_THOUSANDS = {"fr": "\u202f", "nl": ".", "de": "."}
"""What stands between thousands; a comma where a language is not here."""
_BREAKS = re.compile(r"[ \t\r\n]+")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|])")


@dataclass(frozen=True, slots=True)
class Line:
    """What is told of something: no `values` where it is not stated."""

    label: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Some lines under a title."""

    title: str
    lines: tuple[Line, ...]


class _Wording:
    """The words of a notice in a language, and what scores, sources and codes are called."""

    def __init__(self, language: Language, labels: Labels) -> None:
        self.language = language
        self._labels = labels

    def __call__(self, key: str, **filled: object) -> str:
        return words(key, self.language).format(**filled)

    def line(self, key: str, *values: str | None) -> Line:
        return Line(self(key), tuple(value for value in values if value))

    def word(self, group: str, code: str) -> str:
        return word_of(group, code, self.language)

    def label(self, name: str) -> str:
        return self._labels.get(name, name.replace("_", " "))

    def source_type(self, name: str) -> str:
        return self._labels.get(name) or self.word("source_type", name)

    def day(self, on: str | None) -> str | None:
        return None if on is None else date_in_words(date.fromisoformat(on), self.language)

    def between(self, first: str, last: str) -> str | None:
        return self.day(first) if first == last else self("from_to", first=self.day(first), last=self.day(last))

    def count(self, told: Mapping[str, int | None]) -> str:
        if told["number"] is None:
            return self("fewer_than", number=told["fewer_than"])
        return f"{told['number']:,}".replace(",", _THOUSANDS.get(self.language, ","))


def sections(notice: Mapping[str, Any], language: Language, labels: Labels) -> tuple[Section, ...]:
    """Return what a notice says, section by section."""
    say = _Wording(language, labels)
    made = (
        ("who", _who(notice, say)),
        ("link", _link(notice, say)),
        ("money", _money(notice, say)),
        ("targeting", _targeting(notice["targeting"], say)),
        ("reach", _reach(notice["reach"], say)),
        ("care", _care(notice, say)),
        ("rights", _rights(notice["rights"], say)),
        ("more", _more(notice, say)),
        ("missing", iter((Line(say("not_stated"), tuple(say(NEEDED[path]) for path in notice["missing"])),) if notice["missing"] else ())),
    )
    return tuple(Section(say(f"section.{name}"), lines) for name, found in made if (lines := tuple(found)))


def as_markdown(notice: Mapping[str, Any], language: Language, labels: Labels) -> str:
    """Return the notice as Markdown; what the organisation wrote is text, never markup."""
    say = _Wording(language, labels)
    parts = [f"# {_plain(_title(notice, say))}", f"**{_plain(_lead(notice, say))}**"]
    for section in sections(notice, language, labels):
        parts.append(f"## {_plain(section.title)}")
        parts.append("\n".join(_item(line, say) for line in section.lines))
    return "\n\n".join([*parts, _plain(_footer(notice, say))]) + "\n"


def as_html(notice: Mapping[str, Any], language: Language, labels: Labels) -> str:
    """Return the notice as a page of HTML that needs nothing else."""
    say, safe = _Wording(language, labels), html.escape
    body = [f"<h1>{safe(_title(notice, say))}</h1>", f'<p class="lead">{safe(_lead(notice, say))}</p>']
    for section in sections(notice, language, labels):
        rows = "\n".join(f"<dt>{safe(line.label)}</dt><dd>{_values(line, say, safe)}</dd>" for line in section.lines)
        body.append(f"<section>\n<h2>{safe(section.title)}</h2>\n<dl>\n{rows}\n</dl>\n</section>")
    body.append(f"<footer><p>{safe(_footer(notice, say))}</p></footer>")
    head = f'<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{safe(_title(notice, say))}</title>'
    page = "\n".join(body)
    return f'<!doctype html>\n<html lang="{language}">\n<head>\n{head}\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n{page}\n</body>\n</html>\n'


def _title(notice: Mapping[str, Any], say: _Wording) -> str:
    return say("named", what=say("title"), who=notice["campaign"])


def _lead(notice: Mapping[str, Any], say: _Wording) -> str:
    return say("political" if notice["political_advertisement"] else "selected")


def _footer(notice: Mapping[str, Any], say: _Wording) -> str:
    return say("footer", made_at=say.day(notice["made_at"][:10]), entries=len(notice["register"]))


def _who(notice: Mapping[str, Any], say: _Wording) -> Iterator[Line]:
    sponsor, controlling = notice["sponsor"], notice["controlling_entity"]
    yield say.line("sponsor", sponsor["name"])
    yield say.line("sponsor_type", *(say.word("sponsor_type", kind) for kind in sponsor["types"]))
    for key in ("address", "contact", "website"):
        if sponsor[key] or key != "website":
            yield say.line(key, sponsor[key])
    yield say.line("controlling_entity", *(controlling[key] for key in ("name", "address", "contact", "website")))


def _link(notice: Mapping[str, Any], say: _Wording) -> Iterator[Line]:
    period = notice["period"]
    first, last = say.day(period["stated_from"]), say.day(period["stated_until"])
    yield say.line("election_or_process", notice["election_or_process"])
    yield say.line("period_stated", say("from_to", first=first, last=last) if first and last else first or last)
    yield say.line("period_counted", say.between(period["first_targeting"], period["last_targeting"]))


def _money(notice: Mapping[str, Any], say: _Wording) -> Iterator[Line]:
    yield say.line("funding_origin", notice["funding_origin"])
    yield say.line("amounts", notice["amounts"]["stated"])
    yield say.line("amounts_computed", notice["amounts"]["how_computed"])


def _targeting(said: Mapping[str, Any], say: _Wording) -> Iterator[Line]:
    groups, techniques = said["groups"], dict.fromkeys(technique["technique"] for technique in said["techniques"])
    yield say.line("purposes", *(say.word("purpose", purpose) for purpose in said["purposes"]))
    yield say.line("techniques", *(say.word("technique", technique) for technique in techniques))
    yield say.line("main_parameters", *(_main(each, say) for each in said["main_parameters"]))
    yield say.line("groups", *(say.label(score) for score in groups["scores"]))
    signed = any("do not contact" in rule for rule in said["bands"])
    yield say.line("bands", say("bands.text"), say("bands.signed") if signed else None)
    yield say.line("place", *(say.word("jurisdiction", each) for each in groups["jurisdictions"]), *(say.label(channel) for channel in groups["channels"]))
    yield say.line("data_categories", *(_category(each, say) for each in said["data_categories"]))
    yield say.line("special_categories", *([say.label(score) for score in said["special_categories"]] or [say("none")]))
    yield say.line("sources", *(_source(each, say) for each in said["sources"]))
    yield say.line("third_party_data", say("yes" if said["third_party_data"] else "no"))
    yield say.line("ai", say("ai.text") if said["ai"]["used"] else say("no"))


def _main(each: Mapping[str, Any], say: _Wording) -> str:
    shares = ", ".join(f"{say.word('family', part['family'])} ({part['percent']} %)" for part in each["families"])
    what = say("model.affinity") if each["model"] == "affinity" else say.label(each["model"].replace(".", ":"))
    return say("named", what=what, who=shares) if shares else what


def _category(each: Mapping[str, Any], say: _Wording) -> str:
    attributes = ", ".join(say.label(attribute) for attribute in each["attributes"])
    return say.word("family", each["family"]) + (f" ({attributes})" if attributes else "")


def _source(each: Mapping[str, Any], say: _Wording) -> str:
    return say("source", type=say.source_type(each["type"]), how=say.word("how", each["collected_how"]), number=each["sources"])


def _reach(uses: Sequence[Mapping[str, Any]], say: _Wording) -> Iterator[Line]:
    if not uses:
        yield say.line("scored", say("nothing_counted"))
    for each in uses:
        days = f"{say.word('purpose', each['use']['purpose'])}, {say.between(each['first_day'], each['last_day'])}"
        yield Line(f"{say('scored')} ({days})", (say.count(each["people_scored"]),))
        if each["people_refused"]:
            yield say.line("refused", *(say("named", what=say.count(number), who=say.label(code)) for code, number in each["people_refused"].items()))
        if "people_handed_out" in each:
            yield say.line("handed_out", say.count(each["people_handed_out"]))


def _care(notice: Mapping[str, Any], say: _Wording) -> Iterator[Line]:
    yield say.line("risk_assessment", say.day(notice["risk_assessment"]["date"]), notice["risk_assessment"]["url"])
    yield say.line("dpia", notice["dpia"])
    yield say.line("law", *(f"{say.word('jurisdiction', law['pack'])}, {law['version']} ({say('law.' + law['state'])})" for law in notice["law"]))
    yield say.line("legal_basis", *(say.word("basis", basis) for basis in notice["legal_basis"]))
    yield say.line("policy", notice["internal_policy"])


def _rights(rights: Mapping[str, Any], say: _Wording) -> Iterator[Line]:
    yield say.line("rights", say("rights.text"))
    yield say.line("contact", rights["contact"])
    if rights["data_protection_officer"]:
        yield say.line("data_protection_officer", rights["data_protection_officer"])


def _more(notice: Mapping[str, Any], say: _Wording) -> Iterator[Line]:
    yield say.line("reporting", notice["reporting"])
    yield say.line("suspension", notice["suspension"])
    yield say.line("repositories", *notice["repositories"])


def _item(line: Line, say: _Wording) -> str:
    values = [_plain(value) for value in line.values] or [f"*{say('not_stated')}*"]
    if len(values) == 1:
        return "- " + say("named", what=_plain(line.label), who=values[0])
    return "\n".join([say("named", what=f"- {_plain(line.label)}", who="").rstrip(), *(f"  - {value}" for value in values)])


def _values(line: Line, say: _Wording, safe: Callable[[str], str]) -> str:
    if not line.values:
        return f'<span class="absent">{safe(say("not_stated"))}</span>'
    shown = [f'<a href="{safe(value)}" rel="nofollow">{safe(value)}</a>' if value.startswith(("https://", "http://")) else safe(value) for value in line.values]
    return shown[0] if len(shown) == 1 else f"<ul>{''.join(f'<li>{value}</li>' for value in shown)}</ul>"


def _plain(text: str) -> str:
    """Return text in one line in which nothing is Markdown's."""
    return _MARKDOWN.sub(r"\\\1", _BREAKS.sub(" ", text))
