"""Who is drawn into which arm: by a keyed hash, or in blocks of equal units; and who is kept out of every experiment.

Everything follows from a secret key, so that the same key draws the same people again, and nobody without it can know or choose an arm beforehand. The
hash is HMAC-SHA256 (RFC 2104) of what is drawn for (an experiment, the holdout) and the unit's id.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

KEY_BYTES = 32
_OTHERS = 0o077
_HOLDOUT, _BLOCKS, _CHECK, _DRAW = "holdout", "blocks", "check", "experiment"
"""What a hash is for: one use says nothing of another."""


class RandomiseError(ValueError):
    """People cannot be drawn like that; the message says what to mend. It holds no id and nothing of the key."""


def read_key(path: Path) -> bytes:
    """Return the key in `path`, which is made of 32 random bytes, readable by its owner only, if there is no such file.

    Raises RandomiseError for a file that others may read, or that is too short to be a key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)  # whole or not at all: nobody draws with a key that is half written
        fresh.unlink()
    if path.stat().st_mode & _OTHERS:
        raise RandomiseError(f"{path} can be read by others than its owner: whoever has the key knows the arms beforehand. Hint: chmod 600 {path}")
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise RandomiseError(f"{path} holds {len(key)} bytes; a key has {KEY_BYTES} at least. Hint: name a new file, and it is made")
    return key


def key_check(key: bytes) -> str:
    """Return 16 hexadecimal digits by which two draws can be seen to have used one key, and from which the key cannot be found."""
    return _digest(key, _CHECK, "").hex()[:16]


def uniforms(key: bytes, experiment: str, units: Iterable[str]) -> Floats:
    """Return a number in [0, 1) for each unit (u,), which nobody without the key can tell from a random one; other experiments have others."""
    return _uniforms(key, f"{_DRAW}\0{experiment}", units)


def held_out(key: bytes, units: Iterable[str], share: float) -> NDArray[np.bool_]:
    """Return which rows (n,), by the unit of each, belong to the `share` of units kept out of every experiment.

    It depends on the key and the unit only: the same units in each experiment that draws such, and those of a smaller share are among those of a larger one.
    """
    return _uniforms(key, _HOLDOUT, units) < share


def by_hash(uniform: Floats, shares: Sequence[float]) -> Integers:
    """Return the arm (u,) of each unit, the position in `shares`: each unit by itself, so that arms are equal on average only."""
    return _arm_at(uniform, shares)


def in_blocks(uniform: Floats, strata: Integers, offsets: Floats, shares: Sequence[float]) -> Integers:
    """Return the arm (u,) of each unit, so that in every stratum each arm has its share of the units, rounded up or down.

    `strata` (u,) are codes from 0, `offsets` (n_strata,) numbers in [0, 1), which settle the rounding. Units of a stratum are put in the order of
    `uniform`; the j-th of m gets the arm at (j + offset)/m of the way through the shares, so that each unit's probability is exactly the arm's share.
    """
    order = np.lexsort((uniform, strata))
    ranked = strata[order]
    size = np.bincount(strata, minlength=len(offsets))
    place = np.arange(len(order)) - (np.cumsum(size) - size)[ranked]
    arms = np.empty(len(order), dtype=np.int64)
    arms[order] = _arm_at((place + offsets[ranked]) / size[ranked], shares)
    return arms


def draw(people: pd.DataFrame, shares: Mapping[str, float], *, key: bytes, experiment: str, blocked: bool, batch: int = 1) -> pd.DataFrame:
    """Return `people` (person_id, unit_id, stratum) with their `arm` and its `probability`, rows in their order.

    A unit is drawn as one, within the stratum of its first person by id; every person of it gets that stratum. The order of rows changes nothing.
    `batch` numbers the draws of one experiment: each rounds its blocks anew, or newcomers who come one by one would all get the same arm.
    """
    first = people.sort_values("person_id", kind="stable").drop_duplicates("unit_id").sort_values("unit_id", kind="stable")
    uniform = uniforms(key, experiment, first["unit_id"])
    arms, probability = list(shares), list(shares.values())
    if blocked:
        strata, names = pd.factorize(first["stratum"].to_numpy(dtype=object), sort=True)
        offsets = _uniforms(key, f"{_BLOCKS}\0{experiment}\0{batch}", [str(name) for name in names])
        chosen = in_blocks(uniform, strata.astype(np.int64), offsets, probability)
    else:
        chosen = by_hash(uniform, probability)
    place = pd.Series(np.arange(len(first)), index=first["unit_id"]).loc[people["unit_id"]].to_numpy()
    arm = np.asarray(chosen)[place]
    stratum = first["stratum"].to_numpy(dtype=object)[place]
    return people.assign(stratum=stratum, arm=np.array(arms, dtype=object)[arm], probability=np.asarray(probability)[arm])


def _arm_at(point: Floats, shares: Sequence[float]) -> Integers:
    edges = np.cumsum(shares)[:-1]
    return np.searchsorted(edges, point, side="right").astype(np.int64)


def _uniforms(key: bytes, purpose: str, names: Iterable[str]) -> Floats:
    """Return the first 53 bits of each hash as a number in [0, 1)."""
    first = b"".join(_digest(key, purpose, name)[:8] for name in names)
    return np.asarray((np.frombuffer(first, dtype=">u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _digest(key: bytes, purpose: str, name: str) -> bytes:
    return hmac.digest(key, f"{purpose}\0{name}".encode(), "sha256")
