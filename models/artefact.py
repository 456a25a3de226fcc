"""A model on disk: LightGBM text, JSON and a manifest of digests; nothing in it is code, and nothing is loaded unchecked.

The folder holds `model.txt` (the booster), `model.json` (which estimator, its parameters, what it learned), further files such as a model card,
`manifest.json` (SHA-256 of each, and what the model was made of) and, once promoted, `signature` (HMAC-SHA256 of the manifest).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import lightgbm as lgb
import numpy as np
import pandas as pd

from models.affinity import TopicAffinity
from models.booster_text import MAX_BYTES, BoosterTextError, check_booster_text
from models.persuadability import Persuadability

FORMAT = "audience-scoring model 1"
MODEL, STATE, MANIFEST, SIGNATURE = "model.txt", "model.json", "manifest.json", "signature"
ESTIMATORS: Mapping[str, type[TopicAffinity | Persuadability]] = {"TopicAffinity": TopicAffinity, "Persuadability": Persuadability}
MOST_BYTES = {MODEL: MAX_BYTES, MANIFEST: 4 * 2**20, SIGNATURE: 200}
MOST_OTHER_BYTES = 64 * 2**20
SHORTEST_KEY = 16
TRIAL_SECONDS = 120.0
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "LANG")
"""All that a process which tries a model gets to see of the environment."""


class ArtefactError(ValueError):
    """The folder is not a model that can be used; the message says which file and why."""


class Model(Protocol):
    """What an estimator offers to be stored."""

    booster_: lgb.Booster

    def to_state(self) -> dict[str, Any]:
        """Return what was learned, beside the booster, as JSON-able values."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """The contents of a folder that passed `check`: what is loaded is exactly what was checked."""

    manifest: dict[str, Any]
    booster: str
    estimator: str
    state: dict[str, Any]

    @property
    def metadata(self) -> dict[str, Any]:
        """What the model was made of: name, as_of, hashes, versions of tables."""
        return dict(self.manifest["metadata"])


def save(model: Model, folder: str | Path, *, metadata: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> Path:
    """Write the model to `folder`, which must not exist or be empty, in one step; return the folder.

    `metadata` is JSON-able; `files` are further files by name, such as `card.md`: the manifest covers them too. What was written is
    checked before the folder gets its name. Raises ArtefactError.
    """
    folder = Path(folder)
    name = type(model).__name__
    if name not in ESTIMATORS:
        raise ArtefactError(f"a {name} cannot be stored; allowed: {', '.join(ESTIMATORS)}")
    contents = {MODEL: model.booster_.model_to_string().encode(), STATE: _json({"estimator": name, "state": model.to_state()})}
    contents |= dict(files or {})
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtefactError(f"{folder.name} is there already: a stored model is never overwritten")
    digests = {file: hashlib.sha256(content).hexdigest() for file, content in sorted(contents.items())}
    manifest = {"format": FORMAT, "files": digests, "metadata": dict(metadata)}
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    fresh.mkdir()
    try:
        for file, content in contents.items():
            (fresh / _named(file)).write_bytes(content)
        (fresh / MANIFEST).write_bytes(_json(manifest))
        check(fresh)
        fresh.replace(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def check(folder: str | Path) -> Checked:
    """Return the folder's contents after checking files, digests, JSON and the structure of every tree.

    Nothing reaches LightGBM here. Files the manifest does not list are refused, as are links. Raises ArtefactError.
    """
    folder = Path(folder)
    manifest = _document(MANIFEST, _bytes(folder, MANIFEST))
    digests = manifest.get("files")
    if manifest.get("format") != FORMAT or not isinstance(digests, dict) or not isinstance(manifest.get("metadata"), dict):
        raise ArtefactError(f"{MANIFEST}: it must say format {FORMAT!r}, files and metadata; was it written by another release?")
    if not {MODEL, STATE} <= set(digests):
        raise ArtefactError(f"{MANIFEST}: it must list {MODEL} and {STATE}")
    unlisted = {path.name for path in folder.iterdir()} - set(digests) - {MANIFEST, SIGNATURE}
    if unlisted:
        raise ArtefactError(f"files that the manifest does not list: {', '.join(sorted(unlisted)[:5])}. Hint: save(…, files=…) lists them")
    contents = {file: _bytes(folder, _named(file)) for file in digests}
    for file, content in contents.items():
        if not isinstance(digests[file], str) or not hmac.compare_digest(hashlib.sha256(content).hexdigest().encode(), digests[file].encode()):
            raise ArtefactError(f"{file}: its SHA-256 is not the one in the manifest: the file was changed or damaged")
    document = _document(STATE, contents[STATE])
    estimator, state = document.get("estimator"), document.get("state")
    if estimator not in ESTIMATORS or not isinstance(state, dict):
        raise ArtefactError(f"{STATE}: it must name an estimator ({', '.join(ESTIMATORS)}) and hold its state")
    try:
        text = contents[MODEL].decode("ascii")
        check_booster_text(text)
    except (UnicodeDecodeError, BoosterTextError) as error:
        raise ArtefactError(f"{MODEL}: {error}") from None
    return Checked(manifest, text, str(estimator), state)


def load(folder: str | Path) -> TopicAffinity | Persuadability:
    """Return the stored estimator, after `check`; it predicts the same bits as the one that was saved. Raises ArtefactError."""
    checked = check(folder)
    try:
        booster = lgb.Booster(model_str=checked.booster)
        return ESTIMATORS[checked.estimator].from_state(checked.state, booster)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, lgb.basic.LightGBMError) as error:
        raise ArtefactError(f"{STATE} and {MODEL} do not make a {checked.estimator}: {type(error).__name__}: {error}") from error


def digest(folder: str | Path) -> str:
    """Return the SHA-256 (hex) of the manifest, which covers every other file but the signature."""
    return hashlib.sha256(_bytes(Path(folder), MANIFEST)).hexdigest()


def sign(folder: str | Path, key: bytes) -> None:
    """Write `signature`, the HMAC-SHA256 of the manifest under `key`. Raises ArtefactError for a key that is too short."""
    folder = Path(folder)
    (folder / SIGNATURE).write_text(_signature(folder, key) + "\n", encoding="ascii")


def verify(folder: str | Path, key: bytes) -> str:
    """Return the digest of the manifest if its signature under `key` is right; raises ArtefactError if it is missing or wrong."""
    folder = Path(folder)
    if not hmac.compare_digest(_bytes(folder, SIGNATURE).strip(), _signature(folder, key).encode()):
        raise ArtefactError("the signature is not this workspace's: the model was changed, or signed elsewhere. Hint: promote it again")
    return digest(folder)


def try_in_process(folder: str | Path, *, timeout: float = TRIAL_SECONDS) -> None:
    """Load the model, predict and explain with it in a process of its own, so that a crash stays there.

    Raises ArtefactError when the process ends by a signal, by an error or not within `timeout` seconds.
    """
    root = Path(__file__).resolve().parents[1]
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    command = [sys.executable, "-m", "models.artefact", str(Path(folder).resolve())]
    try:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=timeout, check=False)  # noqa: S603 - our own module
    except subprocess.TimeoutExpired:
        raise ArtefactError(f"the trial prediction did not end within {timeout:g} seconds") from None
    if done.returncode < 0:
        raise ArtefactError(f"the trial prediction crashed its process (signal {-done.returncode})")
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise ArtefactError(f"the trial prediction failed: {last[0][:500]}")


def exercise(model: TopicAffinity | Persuadability) -> None:
    """Predict and explain a few rows: zeros, missing values, extremes, noise. Raises ArtefactError when a result is not finite."""
    width = len(model.columns_)
    noise = np.random.default_rng(0).normal(scale=100.0, size=(29, width))
    rows = np.vstack([np.zeros((1, width)), np.full((1, width), np.nan), np.full((1, width), 3e38), noise]).astype(np.float32)
    X = pd.DataFrame(rows, columns=list(model.columns_))
    if isinstance(model, TopicAffinity):
        found = [model.predict_margin(X), model.predict_interval(X), *(model.contributions(X, topic).values for topic in model.topics_)]
    else:
        found = [model.predict_uplift(X), model.predict_interval(X), model.contributions(X).values]
    if not all(np.isfinite(part).all() for part in found):
        raise ArtefactError("a trial prediction is not a finite number")


def _signature(folder: Path, key: bytes) -> str:
    if len(key) < SHORTEST_KEY:
        raise ArtefactError(f"a signing key has at least {SHORTEST_KEY} bytes: given {len(key)}")
    return hmac.new(key, _bytes(folder, MANIFEST), hashlib.sha256).hexdigest()


def _named(file: str) -> str:
    if not _FILE_NAME.fullmatch(file) or file in {MANIFEST, SIGNATURE}:
        raise ArtefactError(f"{file[:80]!r} is not allowed as the name of a file: letters, digits and ._- (at most 64), in no folder")
    return file


def _bytes(folder: Path, file: str) -> bytes:
    """Read an ordinary file of allowed size."""
    path, most = folder / file, MOST_BYTES.get(file, MOST_OTHER_BYTES)
    try:
        status = path.lstat()
    except OSError:
        raise ArtefactError(f"{file} is missing in {folder.name}") from None
    if not stat.S_ISREG(status.st_mode):
        raise ArtefactError(f"{file} must be an ordinary file, no link and no folder")
    if status.st_size > most:
        raise ArtefactError(f"{file} has {status.st_size} bytes; at most {most} are allowed")
    return path.read_bytes()


def _document(file: str, content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{file} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ArtefactError(f"{file} must hold one JSON object")
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _json(document: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ArtefactError(f"only finite numbers, text, lists and objects can be stored: {error}") from None


if __name__ == "__main__":
    exercise(load(sys.argv[1]))
