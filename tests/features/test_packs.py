"""Law packs: what ships, how packs are made of one another, and what is said of a pack that cannot be used."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from features.permission.packs import FOLDER, Confirmation, PackError, load_pack, merged, parse_confirmations, parse_pack, shipped
from features.permission.rules import PERSON_CHECKS, USE_CHECKS
from features.permission.use import JURISDICTIONS
from features.vocabulary import LANGUAGES

GOLDEN = Path(__file__).parent / "packs.txt"
ANSWERS = {
    "L2": ("no_live_political_consent", 409),
    "L3": ("third_party_source", 409),
    "L4": ("special_category_profiling", 451),
    "L6": ("under_age", 409),
    "L7": ("exemption_lost", 403),
    "L9": ("no_art9_basis", 409),
    "L12": ("forbidden_source", 409),
    "L12b": ("unknown_source", 409),
    "L13": ("source_purpose_missing", 409),
    "L14": ("roll_expired", 409),
    "L17": ("consent_withdrawn", 409),
    "L17b": ("consent_refused", 409),
    "L18": ("objected", 409),
    "L19": ("erased", 410),
    "L24": ("not_informed", 409),
    "L25": ("source_expired", 409),
    "L28": ("risk_assessment_stale", 451),
    "L29": ("no_dpia", 409),
    "L30": ("demobilisation", 403),
}
"""Code and status of each rule, as the tables of the law have them."""

RULE = """
[[rules]]
id = "L6"
code = "under_age"
status = 409
check = "under_age"
source = "somewhere"
sure = "[M]"
parameters = { voting_age = 18 }
text = { en = "a", fr = "b", nl = "c" }
"""
HEAD = 'id = "x"\ntitle = "X"\nversion = "2026.1"\nstate = "unconfirmed"\norder = ["L30", "L6"]\n'
CASE = """
[uses]
letter = { purpose = "service", channel_class = "offline", sponsor_type = "ngo" }

[[cases]]
id = "a"
rule = "L6"
why = "b"
use = "letter"
expected = "allowed"
"""


def pack(**files):
    """Return pack `x` made of these texts by id."""
    return merged("x", {name: parse_pack(text, name) for name, text in files.items()})


@pytest.mark.parametrize("name", JURISDICTIONS)
def test_every_jurisdiction_has_a_pack_that_rests_on_the_base_and_is_unconfirmed(name):
    found = load_pack(name)
    assert (found.id, found.chain[0], found.chain[-1], found.state) == (name, name, "base", "unconfirmed")
    assert {"L18", "L19", "L30"} <= {rule.id for rule in found.in_force(date(1990, 1, 1))}


def test_every_file_is_a_pack_that_some_jurisdiction_needs():
    assert {name for jurisdiction in JURISDICTIONS for name in load_pack(jurisdiction).chain} == {path.stem for path in FOLDER.glob("*.toml")}


@pytest.mark.parametrize("name", JURISDICTIONS)
def test_rules_answer_as_the_tables_of_the_law_say(name):
    for rule in load_pack(name).rules:
        assert (rule.code, rule.status) == ANSWERS[rule.id]


def test_the_european_packs_hold_every_rule_and_the_others_what_is_theirs():
    for name in ("eu", "fr", "be"):
        assert {rule.id for rule in load_pack(name).rules} == set(ANSWERS)
    assert {rule.id for rule in load_pack("none").rules} == {"L30", "L19", "L18", "L17", "L17b", "L25"}
    assert {rule.id for rule in load_pack("uk").rules} == {"L30", "L29", "L19", "L18", "L17", "L17b", "L12b", "L13", "L25", "L24", "L9"}


def test_every_check_serves_a_rule():
    assert {rule.check for name in JURISDICTIONS for rule in load_pack(name).rules} == set(USE_CHECKS) | set(PERSON_CHECKS)


@pytest.mark.parametrize("name", JURISDICTIONS)
def test_every_rule_is_told_in_three_languages(name):
    for rule in load_pack(name).rules:
        told = [rule.text.words(language) for language in LANGUAGES]
        assert len(set(told)) == 3
        assert all(text.endswith(".") and "  " not in text and "—" not in text for text in told)
        assert not re.search(r"(?<! )[;:!?]", rule.text.fr), "French has a space before ; : ! and ?"


def test_whatever_changes_in_a_pack_changes_its_version():
    """The digests of the versions that were shipped. Who changes a pack raises `version` in it, and in all that extend it, and adds lines here."""
    found = dict(re.findall(r"^(\w+ [0-9.]+) ([0-9a-f]{64})$", GOLDEN.read_text(encoding="utf-8"), re.MULTILINE))
    now = {f"{name} {load_pack(name).version}": load_pack(name).digest for name in JURISDICTIONS}
    assert {version: found.get(version) for version in now} == now


def test_the_digest_is_of_what_decides_and_not_of_the_cases():
    files = {"x": HEAD + RULE + CASE}
    digest = pack(**files).digest
    assert digest == pack(x=HEAD + RULE).digest
    assert re.fullmatch("[0-9a-f]{64}", digest)
    others = [files["x"].replace(*change) for change in (("= 18", "= 17"), ('"a"', '"d"'), ("2026.1", "2026.2"), ("[M]", "[S]"))]
    assert len({digest, *(pack(x=text).digest for text in others)}) == 5


def test_a_pack_takes_the_place_of_what_it_extends_while_it_is_in_force():
    newer = RULE.replace("voting_age = 18", "voting_age = 16").replace("status = 409", "status = 409\nfrom = 2026-01-01\nuntil = 2027-01-01")
    found = pack(x=HEAD.replace("order", 'extends = "y"\norder') + newer, y=HEAD.replace('"x"', '"y"') + RULE)
    ages = [found.in_force(date(*day))[0].parameters["voting_age"] for day in ((2025, 12, 31), (2026, 1, 1), (2026, 12, 31), (2027, 1, 1))]
    assert ages == [18, 16, 16, 18]
    assert (found.chain, found.declared_by) == (("x", "y"), ("x", "y"))


def test_a_changed_rule_stands_beside_the_one_before():
    old, new = RULE.replace("sure", "until = 2026-01-01\nsure", 1), RULE.replace("sure", "from = 2026-01-01\nsure", 1).replace("= 18", "= 16")
    found = pack(x=HEAD + old + new)
    assert [rule.parameters["voting_age"] for day in (date(2025, 12, 31), date(2026, 1, 1)) for rule in found.in_force(day)] == [18, 16]


def test_cases_of_the_same_id_take_the_place_of_those_of_the_pack_below():
    below, above = HEAD.replace('"x"', '"y"') + RULE + CASE, 'id = "x"\ntitle = "X"\nversion = "2026.1"\nstate = "unconfirmed"\nextends = "y"\n'
    [case] = pack(x=above + CASE.replace('"allowed"', '"under_age"'), y=below).cases
    assert case.expected == "under_age"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("id =", "id ="), None),
        (('id = "x"\n', 'id = "z"\n'), "pack x: id = 'z' is not the name of its file"),
        (('title = "X"', "title = "), "pack x: not TOML"),
        (('title = "X"', 'titel = "X"'), r"pack x: titel: Extra inputs.*given: 'X'.*allowed: .*title.* Did you mean 'title'\?"),
        (('version = "2026.1"', 'version = "new"'), "pack x: version: .*given: 'new'"),
        (('"unconfirmed"', '"confirmed"'), "pack x: state: Input should be 'unconfirmed' .given: 'confirmed'"),
        (('["L30", "L6"]', '["L30"]'), "pack x: order leaves out L6"),
        (('["L30", "L6"]', '["L6", "L6"]'), "pack x: order: L6 is there more than once"),
        (('id = "L6"', 'id = "law6"'), "pack x: rule law6: id: .*given: 'law6'"),
        (("status = 409", "status = 200"), r"pack x: rule L6: status: Input should be 403, 409, 410 or 451 \(given: 200\)"),
        (('check = "under_age"', 'check = "underage"'), "pack x: rule L6: check = 'underage' is not known; allowed: .* Did you mean 'under_age'"),
        (("voting_age = 18", "votingage = 18"), "pack x: rule L6: parameters.votingage: .*allowed: voting_age. Did you mean 'voting_age'"),
        (("voting_age = 18", "voting_age = 5"), r"pack x: rule L6: parameters.voting_age: .*16 \(given: 5\)"),
        (('fr = "b", ', ""), "pack x: rule L6: text.fr: Field required"),
        (('sure = "[M]"', 'sure = "[M]"\nuntl = 2026-01-01'), "pack x: rule L6: untl: .*allowed: .*from.* Did you mean 'until'"),
        (('sure = "[M]"', 'sure = "[M]"\nfrom = "soon"'), "pack x: rule L6: from: .*given: 'soon'"),
        (('sure = "[M]"', 'sure = "[M]"\nfrom = 2026-01-01\nuntil = 2026-01-01'), "pack x: rule L6: until = 2026-01-01 is not after from = 2026-01-01"),
        (
            ('sure = "[M]"', 'sure = "[M]"\nwhen = [{ purpose = ["service"] }]'),
            "pack x: rule L6: when.0.purpose: .*allowed: .*purposes.*Did you mean 'purposes'",
        ),
        (
            ('sure = "[M]"', 'sure = "[M]"\nwhen = [{ purposes = ["servce"] }]'),
            "pack x: rule L6: when.0.purposes.0: Input should be .*'service'.*given: 'servce'",
        ),
        (('use = "letter"', 'use = "leter"'), "pack x: case 'a': use = 'leter'; allowed: letter. Did you mean 'letter'"),
        (('rule = "L6"', 'rule = "L99"'), "pack x: case 'a': rule = 'L99'; allowed: L30, L6"),
        (('why = "b"', 'why = "b"\nperson = { age = 3 }'), "pack x: case a: person.age: .*allowed: birth_year"),
        (('why = "b"', 'why = "b"\nevents = [{ event = "give", at = 2026-01-01 }]'), "pack x: case a: events.0.event: Input should be 'given'"),
        (('sponsor_type = "ngo"', 'sponsor = "ngo"'), "pack x: uses.letter.sponsor: .*allowed: .*sponsor_type"),
        (("2026.1", '2026.1"\nextends = "ecks'), "pack x: extends = 'ecks' is not there; there are x"),
        (("2026.1", '2026.1"\nextends = "x'), "pack x: extends goes in a circle by way of x"),
    ],
)
def test_each_fault_names_pack_rule_and_key(change, message):
    text = HEAD + RULE + CASE
    assert change[0] in text
    if message is None:
        assert len(pack(x=text.replace(*change, 1)).rules) == 1
        return
    with pytest.raises(PackError, match=message):
        pack(x=text.replace(*change, 1))


def test_two_rules_of_one_id_do_not_hold_on_the_same_days():
    with pytest.raises(PackError, match="rule L6 is there twice for the same days"):
        parse_pack(HEAD + RULE + RULE.replace("sure", "from = 2026-01-01\nsure", 1), "x")


def test_rules_about_the_use_come_before_those_about_people():
    use = RULE.replace('"L6"', '"L30"').replace('check = "under_age"', 'check = "always"').replace("parameters = { voting_age = 18 }", "")
    assert [rule.id for rule in pack(x=HEAD + RULE + use).rules] == ["L30", "L6"]
    with pytest.raises(PackError, match="a rule about people before one about the use"):
        pack(x=HEAD.replace('["L30", "L6"]', '["L6", "L30"]') + RULE + use)


def test_there_is_no_other_pack():
    with pytest.raises(PackError, match=r"pack 'frr' is not there; there are .*Did you mean 'fr'"):
        merged("frr", shipped())


def test_a_named_person_confirms_a_version():
    document = tomllib.loads('[permission.confirmed.eu]\nversion = "2026.3"\nby = "A. Jurist"\non = 2026-11-30\n')
    given = parse_confirmations(document)
    assert given == {"eu": Confirmation(version="2026.3", by="A. Jurist", on=date(2026, 11, 30))}
    eu, fr = load_pack("eu"), load_pack("fr")
    assert eu.confirmation(given).by == "A. Jurist"
    assert fr.confirmation(given) is None
    assert eu.confirmation({"eu": Confirmation(version="2025.9", by="A. Jurist", on=date(2026, 11, 30))}) is None
    assert parse_confirmations({}) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('eux = { version = "2026.1", by = "A", on = 2026-11-30 }', r"\[permission.confirmed.eux\]: there is no such pack; allowed: eu, fr, be, uk, none"),
        ('base = { version = "2026.1", by = "A", on = 2026-11-30 }', "there is no such pack"),
        ('eu = { version = "2026.1", by = " ", on = 2026-11-30 }', r"\[permission.confirmed.eu\] by: "),
        ('eu = { version = "2026.1", by = "A" }', r"\[permission.confirmed.eu\] on: Field required"),
        ('eu = { version = "2026.1", by = "A", on = "soon" }', r"\[permission.confirmed.eu\] on: .*given: 'soon'"),
        ('eu = { version = "2026.1", by = "A", On = 2026-11-30 }', r"\[permission.confirmed.eu\] On: .*allowed: by, on, version. Did you mean 'on'"),
        ('eu = "yes"', r"\[permission.confirmed.eu\] "),
    ],
)
def test_a_confirmation_that_cannot_be_read_names_its_key(text, message):
    with pytest.raises(PackError, match=message):
        parse_confirmations(tomllib.loads(f"[permission.confirmed]\n{text}"))


def test_a_pack_cannot_be_changed():
    with pytest.raises(ValidationError):
        load_pack("eu").rules = ()
