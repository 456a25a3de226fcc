"""One organisation's folder: `audience.toml`, tables, vectors, models, databases. Deleting the folder deletes everything."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError

from features.faults import did_you_mean, is_text, path_words
from features.permission.retention import Retention
from features.permission.settings import PermissionFault, PermissionSettings, parse_permission
from features.vocabulary import Frozen, Language, Vocabulary, VocabularyError, parse_vocabulary


class WorkspaceError(ValueError):
    """The folder is not a workspace, or its `audience.toml` cannot be used."""


class Settings(Frozen):
    """The `[workspace]` table of `audience.toml`; URLs left out mean files inside the folder."""

    name: str
    language: Language = "en"
    engine: Literal["duckdb"] = "duckdb"
    database_url: str | None = None
    tracking_url: str | None = None
    scores_valid_days: int = Field(default=30, ge=1, le=366)


class AuditSettings(Frozen):
    """The `[audit]` table: how often the log's checkpoints are written, and to which folder besides the workspace's own."""

    checkpoint_minutes: float = Field(default=60, gt=0, le=24 * 60)
    checkpoint_folder: str | None = Field(default=None, min_length=1)


class ExportSettings(Frozen):
    """The `[exports]` table: the fewest people that a file for a recipient may hold (rule L32); it can be raised, not lowered."""

    floor: int = Field(default=50, ge=50)


class AggregateSettings(Frozen):
    """The `[aggregates]` table: `k`, the smallest group that is told of (rule L32), and how many of an area's first characters make an area, all by default.

    An area is one and the same for every question, and no part of it: of two sizes of areas the one would be subtracted from the other.
    """

    k: int = Field(default=50, ge=10, le=100_000)
    area_characters: int | None = Field(default=None, ge=1, le=100)


@dataclass(frozen=True)
class Workspace:
    """An opened workspace: where things stand, what its words mean."""

    root: Path
    settings: Settings
    vocabulary: Vocabulary
    permission: PermissionSettings = field(default_factory=PermissionSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    exports: ExportSettings = field(default_factory=ExportSettings)
    aggregates: AggregateSettings = field(default_factory=AggregateSettings)

    @classmethod
    def open(cls, root: str | Path) -> Workspace:
        """Return the workspace in `root`. Raises WorkspaceError or VocabularyError, which say what to mend."""
        root = Path(root).resolve()
        _check_place(root)
        path = root / "audience.toml"
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise WorkspaceError(f"{path} does not exist: name a workspace with --workspace or AUDIENCE_WORKSPACE, or make one with `audience init`") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise WorkspaceError(f"{path} is not TOML in UTF-8: {error}") from None
        try:
            permission = parse_permission(document)
        except PermissionFault as error:
            raise WorkspaceError(str(error)) from None
        settings, audit = _table(document, "workspace", Settings), _table(document, "audit", AuditSettings)
        vocabulary = parse_vocabulary(document)
        _check_channels(permission, vocabulary)
        exports, aggregates = _table(document, "exports", ExportSettings), _table(document, "aggregates", AggregateSettings)
        return cls(root, settings, vocabulary, permission, audit, exports, aggregates)

    @property
    def tables(self) -> Path:
        """The Delta tables."""
        return self.root / "tables"

    @property
    def vectors(self) -> Path:
        """Published vectors."""
        return self.root / "vectors"

    @property
    def own_vectors(self) -> Path:
        """Published vectors of this organisation's own rows alone; there when rows from elsewhere are stored, or topics withheld from online targeting."""
        return self.root / "vectors-own"

    @property
    def retention(self) -> Retention:
        """How long rows count: the `[retention]` table."""
        return self.vocabulary.retention

    @property
    def models(self) -> Path:
        """Checked and signed copies of the promoted models: all that the server reads."""
        return self.root / "models"

    @property
    def rejects(self) -> Path:
        """Rows that were refused, with their reasons."""
        return self.root / "rejects"

    @property
    def artifacts(self) -> Path:
        """MLflow's artefacts, unless a tracking server is configured."""
        return self.root / "artifacts"

    @property
    def checkpoints(self) -> Path:
        """The audit log's checkpoints, one line each."""
        return self.root / "audit" / "checkpoints.jsonl"

    @property
    def checkpoint_folder(self) -> Path | None:
        """The other folder that checkpoints go to: one that `[audit]` names relative to the workspace or from the root; it has to be there."""
        folder = self.audit.checkpoint_folder
        return None if folder is None else self.root / Path(folder).expanduser()

    @property
    def database_id(self) -> Path:
        """The id of the database that what people said is in; it is there once that holds anything (`features.permission.opening`)."""
        return self.root / "database.id"

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the store: that of AUDIENCE_DATABASE_URL, the configured one, or `audience.db` in the folder."""
        return os.environ.get("AUDIENCE_DATABASE_URL") or self.settings.database_url or f"sqlite:///{self.root / 'audience.db'}"

    @property
    def tracking_url(self) -> str:
        """MLflow tracking and registry URL: the configured one, or `mlflow.db` in the folder."""
        return self.settings.tracking_url or f"sqlite:///{self.root / 'mlflow.db'}"

    def signing_key(self) -> bytes:
        """Return the 32 bytes with which promoted models are signed and people hashed; made on first use, readable by the owner only.

        Raises WorkspaceError where it is missing and the database holds what was made with it: a new one would find nobody's objection.
        """
        path = self.root / "signing.key"
        if not path.exists():
            if self.database_id.exists():
                raise WorkspaceError("signing.key is missing, and what the database holds was made with it: put it back from a copy; a new one finds nobody")
            fresh = self.root / f".signing.key.{secrets.token_hex(8)}"
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)  # whole or not at all: nobody reads a key that is half written
            fresh.unlink()
        return path.read_bytes()


def create(folder: str | Path) -> Path:
    """Write a commented `audience.toml` into a new or empty folder; returns its path.

    Raises WorkspaceError when the folder holds anything: an organisation's words are never overwritten; and for a name that tables cannot lie under.
    """
    folder = Path(folder)
    _check_place(folder.resolve())
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WorkspaceError(f"{folder} is not empty: name a new or an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "audience.toml"
    path.write_bytes(_STARTER.read_bytes())
    return path


_STARTER = Path(__file__).with_name("starter.toml")
_OWN = {"workspace", "audit", "aggregates", "exports", "permission", "uses", "notices", "processing", "retention", "training"}
_TABLES = _OWN | {"features", "kinds", "channels", "topics", "attributes", "source_types", "experiments"}


_NO_PLACE = re.compile(r"%[0-9A-Fa-f]{2}|\\|[\x00-\x1f\x7f]")
"""What Delta Lake reads as something else in the name of a folder: `%20` as a space, so that it looks into a neighbour's folder, and `\\` as `/`."""


def _check_place(root: Path) -> None:
    """Raise WorkspaceError, before anything is written, for a folder that stored tables cannot lie under."""
    found = _NO_PLACE.search(str(root))
    if found is None and is_text(root):
        return
    what = f"{found[0]!r}" if found else "what is not in UTF-8"
    raise WorkspaceError(f"{path_words(root)}: the names of a workspace's folder, and of those above it, cannot hold {what}: rename the folder")


def _check_channels(permission: PermissionSettings, vocabulary: Vocabulary) -> None:
    """Raise WorkspaceError for a use of a channel that is none: nobody's objection to the real one would be heard."""
    known = tuple(channel.id for channel in vocabulary.channels)
    for name, use in permission.uses.items():
        if use.channel is not None and use.channel not in known:
            hint = did_you_mean(use.channel, known)
            raise WorkspaceError(f"audience.toml: uses.{name}.channel: there is no such channel (given: {use.channel!r}); allowed: {', '.join(known)}.{hint}")


_Kind = TypeVar("_Kind", bound=Frozen)


def _table(document: dict[str, Any], name: str, kind: type[_Kind]) -> _Kind:
    unknown = sorted(set(document) - _TABLES)
    if unknown:
        raise WorkspaceError(f"audience.toml: unknown table(s) {', '.join(unknown)}; allowed: {', '.join(sorted(_TABLES))}")
    try:
        return kind.model_validate(document.get(name, {}))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, (name, *fault['loc'])))}: {fault['msg']}" for fault in error.errors())
        raise WorkspaceError(f"audience.toml: {faults}; allowed: {', '.join(sorted(kind.model_fields))}") from None


__all__ = ["Settings", "VocabularyError", "Workspace", "WorkspaceError", "create"]
