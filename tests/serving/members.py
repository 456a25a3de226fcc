"""A workspace in which everybody is a member and was scored today, and the parts of a server on a copy of it: for runs over everybody and for exports."""

import shutil
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from features.database.store import Store
from features.permission.use import Use
from features.publication import publish
from features.workspace import Workspace
from models import artefact
from serving import loaded as loading
from serving.champion import load_champion
from serving.server import Server
from serving.settings import Settings
from tests.serving.conftest import make_vectors
from tests.serving.ruled import DOORSTEP, copy_ruled, put_members

PEOPLE = [f"van:{number:04d}" for number in range(600)]
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DOORS = Use(**DOORSTEP)
MEMBERS = Use(**DOORSTEP | {"jurisdiction": "be"})
EXPLICIT = {"legal_basis": "gdpr_9_2_a", "wording_hash": "a" * 64}

_champions = {}


def _champion(folder, key, *, threads):
    """The champion of that pointer, loaded once for all the copies of a workspace."""
    pointer = (folder / "champion.json").read_text()
    if pointer not in _champions:
        _champions[pointer] = load_champion(folder, key, threads=threads)
    return _champions[pointer]


@contextmanager
def opened(workspace):
    """The parts of a server of a workspace, without HTTP, that has loaded everything."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(artefact, "try_in_process", lambda _folder: None)
        patched.setattr(loading, "load_champion", _champion)
        server = Server.open(Settings(workspace=workspace.root, threads=1))
        server.reloader.refresh()
    yield server
    server.store.close()


def membered_copy(made, place):
    """A copy of the made workspace in which everybody is a member, whose vectors are of today, and whose database is there."""
    workspace = copy_ruled(made.workspace.root, place)
    put_members(workspace, PEOPLE)
    publish(make_vectors(workspace.vocabulary, as_of=TODAY), workspace.vectors)
    Store(workspace.database_url).close()
    return workspace


def copy_of(workspace, place):
    shutil.copytree(workspace.root, place)
    return Workspace.open(place)


def stored(server, table):
    with server.store.read() as connection:
        return [row._asdict() for row in connection.execute(select(table))]
