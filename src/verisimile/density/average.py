"""`AveragedDensity`: the plain average of densities, itself a density."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from verisimile.core.arrays import Array
from verisimile.core.errors import require
from verisimile.density.protocol import DensityEstimator


@dataclass(frozen=True, slots=True, eq=False)
class AveragedDensity:
    r"""The average of K densities of the same features.

    .. math:: g(x) = \frac1K \sum_k f_k(x)

    Attributes
    ----------
    parts
        The K densities.
    """

    parts: tuple[DensityEstimator, ...]

    def __post_init__(self) -> None:
        widths = {part.n_features for part in self.parts}
        got = f"{len(self.parts)} densities of {sorted(widths)} features"
        require(len(widths) == 1, "AveragedDensity.parts", got=got, expected="one number")

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.parts[0].n_features

    def log_prob(self, x: Array) -> Array:
        """Return natural log-densities ``(n,)``; minus infinity where no part has a density."""
        parts = np.stack([part.log_prob(x) for part in self.parts])
        return np.asarray(logsumexp(parts, axis=0) - np.log(len(self.parts)))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw events ``(n, d)``, each of a part at random, in random order."""
        counts = rng.multinomial(n, np.full(len(self.parts), 1.0 / len(self.parts)))
        drawn = [part.sample(int(k), rng) for part, k in zip(self.parts, counts, strict=True) if k]
        if not drawn:
            return np.zeros((0, self.n_features))
        return np.asarray(np.concatenate(drawn)[rng.permutation(n)])
