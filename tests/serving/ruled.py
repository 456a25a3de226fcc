"""A workspace with rules to meet: a special topic, uses under several laws, an assessment of today; and what tests say and ask there."""

import shutil
from datetime import UTC, datetime

import pyarrow as pa

from features.database.store import Store
from features.history import History
from features.permission.ledger import Event, Ledger
from features.publication import publish
from features.tables import TABLES, arrow_schema
from features.workspace import Workspace
from tests.serving.conftest import DOORSTEP, make_vectors

ONLINE = DOORSTEP | {"channel_class": "online_targeted", "jurisdiction": "fr"}
PARTY = ONLINE | {"purpose": "political_ads", "sponsor_type": "political_actor"}
BROADCAST = ONLINE | {"purpose": "member_information", "channel_class": "online_member_broadcast"}
LANGUAGES = ("en", "fr", "nl")
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


def copy_ruled(root, place):
    """A copy of a workspace in which `schools` is a special topic, and where all is done that has to be done before a use."""
    shutil.copytree(root, place, ignore=shutil.ignore_patterns("audience.db*", "database.id"))
    text = (place / "audience.toml").read_text().replace("[topics.schools]\n", '[topics.schools]\nsensitivity = "special"\n')
    today = datetime.now(UTC).date()
    (place / "audience.toml").write_text(f'{text}\n[permission]\ndpia = "DPIA-1"\nrisk_assessment = {today}\n')
    return Workspace.open(place)


def own_published(workspace, **more):
    """Publish vectors for online targeting, with nothing of the topics that are withheld: the same as those of all rows, unless `more` says otherwise."""
    publish(make_vectors(workspace.vocabulary, own=True, **more), workspace.own_vectors)


def say(workspace, person, event, purpose="campaign_messages", **more):
    """Record what a person says, through a connection of its own, as another process would; returns the event's number."""
    store, now = Store(workspace.database_url), datetime.now(UTC)
    try:
        return Ledger(store, workspace.signing_key()).append([Event(person, event, purpose, "any", now, **more)], now=now, door="command").last
    finally:
        store.close()


def erase(workspace, person):
    store, now = Store(workspace.database_url), datetime.now(UTC)
    try:
        ledger = Ledger(store, workspace.signing_key())
        with store.write(serial=True) as connection:
            return ledger.erase(connection, person, now=now, door="command")
    finally:
        store.close()


def only(answer):
    """The one person of an answer."""
    (person,) = answer.json()["results"]
    return person


def put(workspace, table, rows):
    """Store rows of a table."""
    schema = arrow_schema(TABLES[table], workspace.vocabulary)
    arrays = [pa.array([row.get(field.name) for row in rows], type=field.type) for field in schema]
    History(workspace.tables, workspace.vocabulary).append(table, iter([pa.record_batch(arrays, schema=schema)]))


def put_members(workspace, people, **more):
    """Store people as members who gave their data themselves."""
    asked = {"collected_how": "from_person", "collected_at": LONG_AGO, "political_purpose_stated": False, "supports_sponsor": False}
    put(workspace, "sources", [asked | {"source_id": "forms", "type": "membership"}])
    put(workspace, "people", [{"person_id": person, "status": "member", "source_id": "forms", "joined_at": LONG_AGO, **more} for person in people])
