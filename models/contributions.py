"""What each column adds to a prediction, exactly. Their words are in `models.explanation`, which needs the catalogue of features; learning does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Contributions:
    """Additive parts of n predictions: `base` (n,) + `values` (n, n_columns) summed over columns is the prediction's margin.

    `columns` name the second axis. The unit is the margin's: logits of the calibrated probability for affinity, the uplift itself
    for persuadability. Source: path-dependent TreeSHAP (Lundberg et al. 2020), as LightGBM computes it.
    """

    base: NDArray[np.float64]
    values: NDArray[np.float64]
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.base)

    def margin(self) -> NDArray[np.float64]:
        """Return base + sum of the values, (n,): the margin that is explained."""
        return np.asarray(self.base + self.values.sum(axis=1))
