"""From the tables to the facts: whose interactions are not this organisation's own, and from when on."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from features.history import History
from features.permission.facts import ALWAYS, NEVER, UNKNOWN
from features.permission.gathering import gather
from tests.features.test_live import put

THEN = datetime(2026, 9, 1, tzinfo=UTC)
ENDS = datetime(2027, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ENDS_US = (ENDS - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND
SOURCES = [
    ("forms", "membership", "from_person", None),
    ("counter", "web", "observed", None),
    ("pooled", "list", "third_party", None),
    ("found", "list", "public", None),
    *((kind, kind, "from_person", None) for kind in ("broker", "contest", "quiz", "partner")),
    ("roll", "voter_roll", "from_person", ENDS),
    ("petition", "petition", "from_person", ENDS),
    ("petition 2", "petition", "from_person", ENDS + MICROSECOND),
]
DONE = {
    "van:own": [("forms", "from_person"), ("counter", "observed")],
    "van:row": [("forms", "from_person"), ("forms", "third_party")],
    "van:web": [("forms", "public")],
    "van:source": [("pooled", "observed")],
    "van:found": [("found", "from_person")],
    **{f"van:{kind}": [(kind, "from_person")] for kind in ("broker", "contest", "quiz", "partner", "roll")},
    "van:lost": [("forms", "from_person"), ("nowhere", "from_person")],
    "van:over": [("petition 2", "from_person"), ("petition", "observed"), ("forms", "from_person")],
}
SINCE = {"van:own": NEVER, "van:over": ENDS_US, "van:none": NEVER}
"""From when on; all others have something from elsewhere from the beginning."""


@pytest.fixture
def history(workspace):
    told = {"collected_at": THEN, "political_purpose_stated": True, "supports_sponsor": False, "notice_hash": "a" * 64}
    put(workspace, "sources", [told | {"source_id": name, "type": kind, "collected_how": how, "expires_at": end} for name, kind, how, end in SOURCES])
    kind, channel = next(iter(workspace.vocabulary.kinds)).id, next(iter(workspace.vocabulary.channels)).id
    fixed = {"occurred_at": THEN, "received_at": THEN, "kind": kind, "channel": channel, "direction": "in", "is_machine": False}
    done = [(person, *each) for person, listed in DONE.items() for each in listed]
    rows = [fixed | {"interaction_id": str(n), "person_id": person, "source_id": source, "collected_how": how} for n, (person, source, how) in enumerate(done)]
    put(workspace, "interactions", rows[::2])
    put(workspace, "interactions", rows[1::2])
    return History(workspace.tables, workspace.vocabulary)


def test_interactions_are_from_elsewhere_by_their_row_their_source_its_type_and_its_end(history):
    people = sorted([*DONE, "van:none"])
    facts = gather(history, pa.array(people, pa.large_string()))
    assert dict(zip(people, facts.elsewhere_us.tolist(), strict=True)) == {person: SINCE.get(person, ALWAYS) for person in people}


def test_without_the_table_of_sources_nothing_is_known_to_be_own(workspace, history):
    facts = gather(history, pa.array(["van:none", "van:own"], pa.large_string()), versions={"sources": -1})
    assert facts.elsewhere_us.tolist() == [NEVER, ALWAYS]
    assert facts.sources.ids == ()


def test_a_person_whose_source_is_not_in_the_table_has_none(workspace, history):
    put(workspace, "people", [{"person_id": name, "status": "member", "source_id": source} for name, source in (("van:1", "nowhere"), ("van:2", "forms"))])
    facts = gather(history, pa.array(["van:1", "van:2"], pa.large_string()))
    assert facts.source.tolist() == [UNKNOWN, facts.sources.ids.index("forms")]
