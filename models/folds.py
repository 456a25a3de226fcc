"""Folds of assignment units, and an order of rows that depends on what the rows hold and not on how they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_CHUNK = 16_384
_MIXING_SEED = 20_220_908
"""Any fixed number: it only has to be the same tomorrow."""


def row_order(X: NDArray[np.float32], *columns: NDArray[np.float64], groups: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return the permutation (n,) that sorts rows by group, then by a 64-bit fingerprint of X (n, F), then of the further `columns` (n,).

    Rows that hold the same keep their order, which then makes no difference; so whoever fits on sorted rows gets the same bits for
    every order of the input. What stands in `columns` (an outcome) only decides between rows of equal X.
    """
    keys: list[NDArray[Any]] = [_fingerprints(np.column_stack(columns)), _fingerprints(X)] if columns else [_fingerprints(X)]
    return np.lexsort(keys if groups is None else [*keys, groups]).astype(np.int64)


def _fingerprints(matrix: NDArray[Any]) -> NDArray[np.uint64]:
    """Return one number (n,) per row, that follows from its values alone."""
    seeds = np.random.default_rng(_MIXING_SEED).integers(1, 2**63, size=2 * matrix.shape[1], dtype=np.uint64)
    mix = seeds * np.uint64(2) + np.uint64(1)
    fingerprints = np.empty(len(matrix), dtype=np.uint64)
    for start in range(0, len(matrix), _CHUNK):
        rows = slice(start, start + _CHUNK)
        bits = np.ascontiguousarray(matrix[rows].astype(np.float64) + 0.0).view(np.uint64)
        fingerprints[rows] = np.concatenate([bits >> np.uint64(32), bits & np.uint64(0xFFFF_FFFF)], axis=1) @ mix
    return fingerprints


def group_codes(groups: Any, n_rows: int) -> NDArray[np.int64]:
    """Return the position (n,) of each row's group in the sorted list of groups.

    Raises ValueError for a wrong length, a missing group, or groups that are neither text nor numbers. Groups may be personal: none is named.
    """
    values = np.asarray(groups)
    if values.ndim != 1 or len(values) != n_rows:
        raise ValueError(f"groups must be one value per row: given shape {values.shape}, expected ({n_rows},)")
    try:
        codes, _ = pd.factorize(values, sort=True)
    except TypeError:
        raise ValueError("groups must be text or numbers. Hint: groups.astype(str)") from None
    if (codes < 0).any():
        raise ValueError(f"{int((codes < 0).sum())} rows have no group (missing value). Hint: give a person that was drawn alone a group of its own")
    return codes.astype(np.int64)


def grouped_folds(codes: NDArray[np.int64], n_folds: int, random_state: int = 0) -> NDArray[np.int64]:
    """Return the fold (n,) in 0 … n_folds - 1 of each row; rows of one group share a fold, folds differ by at most one group.

    `codes` are positions in the sorted list of groups (`group_codes`), so the folds follow from the set of groups and the seed
    alone. Raises ValueError when there are fewer groups than folds.
    """
    n_groups = int(codes.max()) + 1 if len(codes) else 0
    if n_groups < n_folds:
        raise ValueError(f"{n_groups} assignment units (groups) cannot be cut into {n_folds} folds. Hint: a smaller n_folds, or more data")
    return np.asarray(np.random.default_rng(random_state).permutation(n_groups) % n_folds, dtype=np.int64)[codes]
