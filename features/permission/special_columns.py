"""Columns that tell of a special category of data (GDPR, articles 9 and 10; rule L15), found by their name or by what most of their values say.

Pure. The words stand in `special_words`, in English, French and Dutch. What is found is a suspicion that a person has to settle: a name in another
language, a code such as `R1`, or free text is not found.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from features.permission.special_words import CATEGORIES, EXEMPT, NEUTRAL, Category

CODE = "special_category_column"
RULE = "L15"
SHARE = 0.6
"""Of the distinct values, or of the rows, that have to be in a category's list; answers such as "yes", "other" or "unknown" are not counted."""
_TELLING, _WITH_COMMON = 2, 3
"""So many distinct words of a list settle it: two that mean nothing else, or three of which at least one does."""
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PARTS = re.compile(r"[a-z]+|[0-9]+")
_SEPARATORS = re.compile(r"[;|,/]")


@dataclass(frozen=True, slots=True)
class Special:
    """A column that tells of a special category: which, how that was found, and in which file."""

    column: str
    category: str
    found: Literal["name", "content"]
    file: str = ""

    def __str__(self) -> str:
        how = "its name tells" if self.found == "name" else "most of its values tell"
        return f"{how} of {self.category}, {CODE}, rule {RULE}"


def by_name(name: str) -> str | None:
    """Return the category that a column's name tells of, in words, or None. `Political party`, `politicalParty` and `political_party` are one name."""
    words = _singular(_words(name))
    for exempt in _names().exempt:
        words = _without(words, exempt)
    glued = "".join(words)
    for category in CATEGORIES:
        known = _names().phrases[category.id]
        if glued in known.glued or any(stem in word for stem in category.stems for word in words) or any(_holds(words, phrase) for phrase in known.phrases):
            return category.words
    return None


def by_content(values: Mapping[str, int]) -> str | None:
    """Return the category that most of the values tell of, in words, or None.

    Parameters
    ----------
    values
        Distinct values of a column, or of a sample of its rows, each with the number of its rows. Lists in one cell (`a;b`) count one by one.

    """
    rows: Counter[str] = Counter()
    for value, count in values.items():
        for part in _parts(value):
            rows[part] += count
    if not rows:
        return None
    for category in CATEGORIES:
        told, common = _values()[category.id]
        telling = [word for word in rows if word in told]
        hits = telling + [word for word in rows if word in common]
        enough = len(telling) >= _TELLING or (len(telling) == 1 and (len(hits) >= _WITH_COMMON or (len(rows) == 1 and category.alone)))
        if enough and (len(hits) >= SHARE * len(rows) or sum(rows[word] for word in hits) >= SHARE * rows.total()):
            return category.words
    return None


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a name or value: without accents, in lower case, cut at signs, at camelCase and before numbers."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return tuple(_PARTS.findall(_CAMEL.sub(" ", plain).lower()))


def _singular(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_one, words))


def _one(word: str) -> str:
    if word.endswith("ies") and len(word) > len("ties"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > len("ras") and word.endswith("s") and not word.endswith("ss") else word


def _holds(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    size = len(phrase)
    return any(words[first : first + size] == phrase for first in range(len(words) - size + 1))


def _without(words: tuple[str, ...], phrase: tuple[str, ...]) -> tuple[str, ...]:
    size = len(phrase)
    for first in range(len(words) - size + 1):
        if words[first : first + size] == phrase:
            return (*words[:first], "", *words[first + size :])
    return words


def _parts(value: str) -> Iterator[str]:
    whole = " ".join(_words(value))
    if whole in _neutral():
        return
    for part in _SEPARATORS.split(value):
        found = " ".join(_words(part))
        if found and found not in _neutral():
            yield found


@dataclass(frozen=True, slots=True)
class _Phrases:
    """`phrases` may stand anywhere among a name's words; `glued` are all of them written as one word."""

    phrases: frozenset[tuple[str, ...]]
    glued: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Names:
    phrases: Mapping[str, _Phrases]
    exempt: tuple[tuple[str, ...], ...]


def _listed(text: str) -> Iterator[str]:
    return (entry.strip() for entry in text.replace("\n", " ").split(",") if entry.strip())


@cache
def _names() -> _Names:
    return _Names({one.id: _phrases(one) for one in CATEGORIES}, tuple(_singular(_words(entry)) for entry in _listed(EXEMPT)))


def _phrases(category: Category) -> _Phrases:
    phrases, whole = (frozenset(_singular(_words(entry)) for entry in _listed(text)) for text in (category.names, category.whole))
    return _Phrases(phrases, frozenset("".join(phrase) for phrase in phrases | whole))


@cache
def _values() -> Mapping[str, tuple[frozenset[str], frozenset[str]]]:
    def words(text: str) -> frozenset[str]:
        return frozenset(" ".join(_words(entry)) for entry in _listed(text))

    return {category.id: (words(category.telling), words(category.common)) for category in CATEGORIES}


@cache
def _neutral() -> frozenset[str]:
    return frozenset(" ".join(_words(entry)) for entry in _listed(NEUTRAL))
