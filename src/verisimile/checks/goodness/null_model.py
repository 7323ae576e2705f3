"""The null hypothesis as toys see it: a mixture whose weights are uncertain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.data.feature import Feature
from verisimile.density.protocol import DensityEstimator
from verisimile.mixture.law import WeightLaw
from verisimile.mixture.model import Mixture
from verisimile.mixture.objective import mixed_log_density
from verisimile.mixture.sampling import SignedSample, member_log_densities, sample_signed

__all__ = ["Null", "NullModel"]


class Null(Protocol):
    r"""A density :math:`p_0 = \sum_i (\hat w + L\eta)_i f_i`, with :math:`\eta \sim N(0, 1)`."""

    @property
    def weights(self) -> Array:
        """Fitted weights ``(M,)``."""

    @property
    def variations(self) -> Array:
        """L, eigen-variations of the weights ``(M, r)``: covariance = L L^T."""

    @property
    def features(self) -> tuple[Feature, ...]:
        """Names and supports of the features ``(d,)``."""

    def identity(self) -> dict[str, JSON]:
        """Return what, beside the members that a run is bound to, determines the toys."""

    def log_densities(self, x: Array) -> Array:
        """Return the members' log-densities ``(n, M)`` at events ``(n, d)``."""

    def log_prob(self, x: Array) -> Array:
        """Return the fitted log-density ``(n,)``, minus infinity where it is not positive."""

    def sample(self, truth: Array, n: int, rng: np.random.Generator) -> SignedSample:
        """Draw `n` events of the density whose weights are varied by `truth` ``(r,)``."""


@dataclass(frozen=True, slots=True, eq=False)
class NullModel:
    """A fitted mixture as the null hypothesis.

    Attributes
    ----------
    members
        M density estimators.
    weights
        Fitted weights ``(M,)``.
    variations
        L, eigen-variations of the weights ``(M, r)``: covariance = L L^T.
    features
        Names and supports of the features ``(d,)``.
    fingerprint
        Content key of members, weights and covariance.
    law
        What the true weights may be.
    """

    members: tuple[DensityEstimator, ...]
    weights: Array
    variations: Array
    features: tuple[Feature, ...]
    fingerprint: str
    law: WeightLaw

    @classmethod
    def of(cls, mixture: Mixture) -> NullModel:
        """Return the null hypothesis that a mixture describes the data."""
        law = WeightLaw.of(mixture.fit)
        return cls(
            mixture.members,
            mixture.weights,
            law.variations,
            mixture.features,
            mixture.fingerprint,
            law,
        )

    def identity(self) -> dict[str, JSON]:
        """Return the content keys of members, weights and their law."""
        return {"mixture": self.fingerprint, "weights": self.law.digest}

    def log_densities(self, x: Array) -> Array:
        """Return the members' log-densities ``(n, M)`` at events ``(n, d)``."""
        return member_log_densities(self.members, x)

    def log_prob(self, x: Array) -> Array:
        """Return the fitted log-density ``(n,)``, minus infinity where it is not positive."""
        return mixed_log_density(self.log_densities(x), self.weights)

    def sample(self, truth: Array, n: int, rng: np.random.Generator) -> SignedSample:
        """Draw `n` events of the mixture whose weights are varied by `truth` ``(r,)``."""
        return sample_signed(self.members, self.law.varied(truth, rng), n, rng)
