"""Kinds of sources that the law has rules for, checked before their row is stored (rules L12, L13 and L14). Pure, on Arrow columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.permission.retention import OWN

Mask = NDArray[np.bool_]

FORBIDDEN = ("public_authority_file", "employer_file", "scraped_public")
"""Never stored (rule L12): people did not give their data to a campaign, and no consent given elsewhere mends that."""
TOLD = ("broker", "contest", "quiz", "partner")
"""Stored only where people were shown that it would serve politics, with the hash of that wording (rule L13)."""
ROLL = "voter_roll"
"""Serves the election that it was issued for, until the day of it (rule L14)."""
ELSEWHERE = (*FORBIDDEN, *TOLD, ROLL)
"""What came by such a source is from elsewhere, however its rows say that they were collected (rule L3)."""

_ALSO = {
    "public_authority_file": "public_authority, authority_file, municipal_file, municipality, school_file, benefits_file, population_register, fichier_public",
    "employer_file": "employer, employee_file, staff_file, fichier_employeur, werkgeversbestand",
    "scraped_public": "scraped, scraping, scrape, web_scrape, web_scraping, crawled, public_web, social_media_scrape",
    "broker": "brokers, data_broker, list_broker, bought_list, purchased_list, rented_list, courtier, courtier_en_donnees, databroker",
    "contest": "contests, competition, prize_draw, sweepstake, sweepstakes, raffle, concours, jeu_concours, wedstrijd, prijsvraag",
    "quiz": "quizzes, quizz, online_quiz",
    "partner": "partners, partner_list, partner_file, partenaire, partenaires",
    "voter_roll": "voter_rolls, voterroll, voter_file, voter_list, voters_list, electoral_roll, electoral_register, liste_electorale, listes_electorales, "
    "liste_des_electeurs, listes_des_electeurs, kiezerslijst, kiezerslijsten",
}
LAW = tuple(_ALSO)
"""The types that the law has rules for."""
_WORD_OF = {other: word for word, others in _ALSO.items() for other in others.split(", ")} | {word: word for word in _ALSO}

RULES = (
    f"A source of the types {', '.join(f'`{word}`' for word in FORBIDDEN)} is refused (rule L12, `forbidden_source`).",
    f"One of the types {', '.join(f'`{word}`' for word in TOLD)} needs `political_purpose_stated` and a `notice_hash` (rule L13, `source_purpose_missing`).",
    f"One of the type `{ROLL}` needs an `election_id` and an `expires_at` (rule L14); it serves only uses whose `election` is that one.",
    "Other words for these types are refused with the word to write, because the rules go by it.",
)


@dataclass(frozen=True, slots=True)
class Refused:
    """Rows of `sources` that a rule keeps out: `rows` (n,) true where it does, the column to mend, and why."""

    rows: Mask
    column: str
    reason: str


def is_own(kind: str, collected_how: str) -> bool:
    """Return whether what a source of this type gave is this organisation's own collection: a contest's answers are not, though people gave them themselves."""
    return collected_how in OWN and kind not in ELSEWHERE


def refused(columns: Mapping[str, pa.Array]) -> Iterator[Refused]:
    """Yield what the rules keep out of `sources`; `columns` are those of the table, parsed, (n,) each.

    A cell that is empty, or was refused before, is as good as missing.
    """
    types = columns["type"].to_pylist()
    meant = [_meant(word) for word in types]
    for word in _ALSO:
        is_it = np.array([one == word for one in meant], dtype=np.bool_)
        if not is_it.any():
            continue
        otherwise = is_it & np.array([one != word for one in types], dtype=np.bool_)
        yield from _of_type(word, is_it, columns)
        if word not in FORBIDDEN:
            yield Refused(otherwise, "type", f"is another word for {word!r}: write that one, because the rules of law go by it")


def written(word: str) -> str:
    """Return the word to write for a type of source: the law's own where it is another word for that, else the word itself."""
    return _meant(word) or word


def _of_type(word: str, is_it: Mask, columns: Mapping[str, pa.Array]) -> Iterator[Refused]:
    if word in FORBIDDEN:
        yield Refused(is_it, "type", f"means {word!r}: data of this kind of source may not be stored (rule L12, forbidden_source)")
    elif word in TOLD:
        why = f"and data of a source of type {word!r} may be stored only where people were shown its political purpose (rule L13, source_purpose_missing)"
        stated = np.asarray(pc.fill_null(columns["political_purpose_stated"], fill_value=False).to_numpy(zero_copy_only=False), dtype=np.bool_)
        yield Refused(is_it & ~stated, "political_purpose_stated", f"is not true, {why}")
        yield Refused(is_it & _empty(columns["notice_hash"]), "notice_hash", f"is empty, {why}")
    else:
        yield Refused(
            is_it & _empty(columns["election_id"]), "election_id", "is empty: a voter roll serves only the election that it was issued for (rule L14)"
        )
        yield Refused(is_it & _empty(columns["expires_at"]), "expires_at", "is empty: a voter roll expires on the day of its election (rule L14)")


def _meant(word: str | None) -> str | None:
    if word is None:
        return None
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))
    return _WORD_OF.get(re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_"))


def _empty(column: pa.Array) -> Mask:
    empty = column.is_null()
    if column.type == pa.string():
        empty = pc.or_kleene(empty, pc.equal(pc.utf8_trim_whitespace(column), ""))
    return np.asarray(empty.to_numpy(zero_copy_only=False), dtype=np.bool_)
