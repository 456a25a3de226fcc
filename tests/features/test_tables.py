"""The declarations, what derives from them, and the document that is made of them."""

from pathlib import Path

import pyarrow as pa
import pytest

from features.tables import COLLECTED_HOW, STATUSES, TABLES, arrow_schema, columns, data_dictionary
from features.vocabulary import VocabularyError, parse_vocabulary

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "data.md"
WORDS = {"kinds": {"gift": {"direction": "in", "en": "gift"}}, "channels": {"door": {"en": "door"}}}


def test_the_document_is_the_one_made_of_the_declarations():
    assert DOCUMENT.read_text(encoding="utf-8") == data_dictionary(), "make it anew: audience data --write"


def test_the_document_says_how_it_is_made_and_names_every_column():
    text = data_dictionary()
    assert "`audience data --write`" in text.splitlines()[0]
    for table in TABLES.values():
        assert f"## {table.name}" in text
        assert all(f"`{column.name}`" in text for column in table.columns)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_keys_are_columns_and_never_empty(table):
    for name in table.key:
        assert not table.column(name).nullable


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_defaults_name_a_column_or_a_known_rule(table):
    names = {column.name for column in table.columns}
    for column in table.columns:
        assert column.default is None or column.default in names | {"false", "kind's direction"}


def test_the_schema_of_interactions():
    schema = arrow_schema(TABLES["interactions"], parse_vocabulary(WORDS))
    assert schema.names[:3] == ["interaction_id", "person_id", "occurred_at"]
    assert schema.field("occurred_at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("value").type == pa.float64()
    assert schema.field("value").nullable
    assert not schema.field("kind").nullable


def test_one_column_holds_several_and_the_document_says_so():
    several = [(table.name, column.name) for table in TABLES.values() for column in table.columns if column.several]
    assert several == [("interactions", "topic")]
    assert "| *topics*, one or more | what it was about; several topics separated by `;`, the main one first |" in data_dictionary()


def test_peoples_attributes_come_from_the_vocabulary():
    attributes = {"size": {"type": "numeric", "en": "size"}, "gender": {"type": "category", "categories": ["f", "m"], "en": "gender"}}
    vocabulary = parse_vocabulary({**WORDS, "attributes": attributes})
    *_, size, gender = columns(TABLES["people"], vocabulary)
    assert (size.name, size.type, size.nullable, size.allowed) == ("size", "float", True, None)
    assert (gender.name, gender.type, gender.allowed) == ("gender", "text", ("f", "m"))
    assert columns(TABLES["outcomes"], vocabulary) == TABLES["outcomes"].columns


def test_an_attribute_may_not_take_the_name_of_a_column():
    vocabulary = parse_vocabulary({**WORDS, "attributes": {"area": {"type": "numeric", "en": "area"}}})
    with pytest.raises(VocabularyError, match=r"attributes\.area.*another"):
        arrow_schema(TABLES["people"], vocabulary)


def test_an_unknown_column_is_a_key_error():
    with pytest.raises(KeyError, match="colour"):
        TABLES["people"].column("colour")


def test_the_words_that_rules_rest_on_stay_as_they_are():
    assert COLLECTED_HOW == ("from_person", "observed", "third_party", "public")
    assert STATUSES == ("member", "former_member", "regular_contact", "contact")
