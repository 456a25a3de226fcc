"""What scores, sources, attributes, channels and codes of refusals are called in a public notice, from the organisation's words and the law packs (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from features.permission.packs import load_pack
from features.permission.use import JURISDICTIONS
from features.vocabulary import Language, Vocabulary


def labels(vocabulary: Vocabulary, jurisdictions: Iterable[str], language: Language) -> dict[str, str]:
    """Return names and what they are called; a code is called by the words of its rule, in the pack of the first of `jurisdictions` that has it."""
    found: dict[str, str] = {}
    for name, words in [*_scores(vocabulary, language), *_words(vocabulary, language)]:
        found.setdefault(name, words)
    for jurisdiction in jurisdictions:
        if jurisdiction in JURISDICTIONS:
            for rule in load_pack(jurisdiction).rules:
                found.setdefault(rule.code, rule.text.words(language))
    return found


def _scores(vocabulary: Vocabulary, language: Language) -> Iterator[tuple[str, str]]:
    for topic in vocabulary.topics:
        yield f"affinity:{topic.id}", topic.label(language)
    for experiment in vocabulary.experiments:
        for arm, words in experiment.arms.items():
            yield f"persuadability:{experiment.id}:{arm}", f"{experiment.label(language)}: {words}"


def _words(vocabulary: Vocabulary, language: Language) -> Iterator[tuple[str, str]]:
    for group in (vocabulary.source_types, vocabulary.attributes, vocabulary.channels):
        for item in group:
            yield item.id, item.label(language)
