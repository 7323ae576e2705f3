"""What the toys of the profile test are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, digest
from verisimile.core.store import JSON
from verisimile.data.feature import Feature
from verisimile.density.protocol import DensityEstimator
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import SignedSample, member_log_densities, sample_signed
from verisimile.stats.linalg import whitening

__all__ = ["NullModel"]


@dataclass(frozen=True, slots=True, eq=False)
class NullModel:
    """Members, weights and their eigen-variations ``C = L L^T``."""

    members: tuple[DensityEstimator, ...]
    weights: Array
    variations: Array
    features: tuple[Feature, ...]

    @classmethod
    def of(cls, mixture: Mixture) -> NullModel:
        """Return the null model of a mixture."""
        return cls(
            mixture.members, mixture.weights, whitening(mixture.fit.covariance), mixture.features
        )

    @property
    def rank(self) -> int:
        """Number of independent variations r."""
        return int(self.variations.shape[1])

    def log_densities(self, x: Array) -> Array:
        """Return log-densities ``(n, M)``."""
        return member_log_densities(self.members, x)

    def sample(self, truth: Array, n: int, rng: np.random.Generator) -> SignedSample:
        """Return `n` events of the model with weights ``w + L truth``."""
        return sample_signed(self.members, self.weights + self.variations @ truth, n, rng)

    def identity(self) -> dict[str, JSON]:
        """Return what tells two null models apart."""
        return {"weights": digest(self.weights, self.variations)}
