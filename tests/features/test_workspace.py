"""One organisation's folder: where things stand, and what is said when it cannot be used."""

import os
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from features.history import History
from features.tables import TABLES, arrow_schema
from features.workspace import VocabularyError, Workspace, WorkspaceError, create

WORDS = '[kinds.gift]\ndirection = "in"\nen = "gift"\n[channels.door]\nen = "door"\n'
NAMED = f'[workspace]\nname = "Us"\n{WORDS}'
USE = """[channels.email]
en = "e-mail"
[uses.letters]
purpose = "research"
channel_class = "offline"
sponsor_type = "ngo"
jurisdiction = "none"
channel = "emial"
"""


@pytest.fixture
def write(tmp_path):
    def run(text):
        (tmp_path / "audience.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return run


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b"a%20b", "a%20b/inner: .* cannot hold '%20': rename"),
        (b"a\\b", r"cannot hold '\\\\': rename"),
        (b"a\nb", r"a\\x0ab.* cannot hold '\\n'"),
        (b"caf\xe9", r"caf\\xe9/inner: .* not in UTF-8"),
    ],
)
def test_a_folder_that_tables_cannot_lie_under_is_refused(tmp_path, name, words):
    root = tmp_path / os.fsdecode(name) / "inner"
    root.mkdir(parents=True)
    with pytest.raises(WorkspaceError, match=words):
        create(root)
    assert not list(root.iterdir())
    (root / "audience.toml").write_text(NAMED)
    with pytest.raises(WorkspaceError, match=words) as told:
        Workspace.open(root)
    assert str(told.value).encode("utf-8").isascii(), "it can be printed anywhere"


@pytest.mark.parametrize("name", ["a b", "100%", "50%off", "café", "a#b", "x=y", "a?b*[c]"])
def test_other_names_of_folders_will_do(tmp_path, name):
    root = tmp_path / name
    create(root)
    (root / "audience.toml").write_text(NAMED)
    workspace = Workspace.open(root)
    history = History(workspace.tables, workspace.vocabulary)
    schema = arrow_schema(TABLES["people"], workspace.vocabulary)
    person = {"person_id": "van:1", "status": "member", "source_id": "s"}
    history.append("people", [pa.RecordBatch.from_pylist([{column: person.get(column) for column in schema.names}], schema)])
    assert history.read("people").column("person_id").to_pylist() == ["van:1"]
    assert history.delete_people(["van:1"])["people"] == 1


def test_everything_stands_in_the_folder(write):
    root = write(NAMED)
    workspace = Workspace.open(str(root))
    for name in ("tables", "vectors", "models", "rejects", "artifacts"):
        assert getattr(workspace, name) == root.resolve() / name
    assert workspace.database_url == f"sqlite:///{root.resolve()}/audience.db"
    assert workspace.tracking_url == f"sqlite:///{root.resolve()}/mlflow.db"
    assert (workspace.settings.name, workspace.settings.language, workspace.settings.scores_valid_days) == ("Us", "en", 30)
    assert workspace.vocabulary.kind("gift").direction == "in"


def test_opening_writes_nothing(write):
    root = write(NAMED)
    Workspace.open(root)
    assert [path.name for path in root.iterdir()] == ["audience.toml"]


def test_urls_may_point_elsewhere(write):
    workspace = Workspace.open(write(NAMED.replace('name = "Us"', 'name = "Us"\ndatabase_url = "postgresql://db"\ntracking_url = "http://mlflow"')))
    assert (workspace.database_url, workspace.tracking_url) == ("postgresql://db", "http://mlflow")


def test_the_signing_key_is_made_once_for_the_owner_only(write):
    workspace = Workspace.open(write(NAMED))
    key = workspace.signing_key()
    assert len(key) == 32
    assert workspace.signing_key() == key
    assert os.stat(workspace.root / "signing.key").st_mode & 0o777 == 0o600  # noqa: PTH116


def test_every_workspace_has_a_key_of_its_own(tmp_path):
    keys = set()
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "audience.toml").write_text(NAMED, encoding="utf-8")
        keys.add(Workspace.open(tmp_path / name).signing_key())
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[workspace", WorkspaceError, "is not TOML in UTF-8"),
        (b"\xff\xfe", WorkspaceError, "is not TOML in UTF-8"),
        (WORDS, WorkspaceError, r"workspace\.name: Field required"),
        (NAMED + "[kindss]\n", WorkspaceError, r"unknown table\(s\) kindss; allowed: aggregates, attributes, audit"),
        (NAMED.replace("name =", "nam = 'x'\nname ="), WorkspaceError, r"workspace\.nam.*allowed: database_url"),
        (NAMED.replace("name =", "language = 'de'\nname ="), WorkspaceError, r"workspace\.language"),
        (NAMED.replace("name =", "scores_valid_days = 0\nname ="), WorkspaceError, "scores_valid_days"),
        (NAMED + "[aggregates]\nk = 9\n", WorkspaceError, r"aggregates\.k.*allowed: area_characters, k"),
        ('[workspace]\nname = "Us"\n', VocabularyError, "at least one"),
        (NAMED + USE, WorkspaceError, r"uses\.letters\.channel: there is no such channel \(given: 'emial'\); allowed: .*Did you mean 'email'"),
    ],
)
def test_what_cannot_be_used_is_told(write, text, error, message):
    with pytest.raises(error, match=message):
        Workspace.open(write(text))


def test_a_use_of_a_channel_that_is_there_opens(write):
    assert Workspace.open(write(NAMED + USE.replace("emial", "email"))).permission.use("letters").channel == "email"


def test_a_folder_without_a_workspace(tmp_path):
    with pytest.raises(WorkspaceError, match="--workspace or AUDIENCE_WORKSPACE"):
        Workspace.open(tmp_path)


def test_several_openers_agree_on_the_signing_key(write):
    workspace = Workspace.open(write(NAMED))
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: workspace.signing_key(), range(16)))) == 1


def test_a_new_workspace_opens_as_it_is(tmp_path):
    path = create(tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "audience.toml"
    assert Workspace.open(path.parent).vocabulary.kinds


def test_a_workspace_is_never_made_over_something(write):
    root = write(NAMED)
    for folder in (root, root / "audience.toml"):
        with pytest.raises(WorkspaceError, match="is not empty"):
            create(folder)
    assert (root / "audience.toml").read_text(encoding="utf-8") == NAMED
