"""The null hypothesis as toys see it: a mixture whose weights are uncertain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy.special import ndtr

from verisimile.core.arrays import Array, digest
from verisimile.core.canonical import JSON
from verisimile.data.feature import Feature
from verisimile.density.protocol import DensityEstimator
from verisimile.mixture.model import Mixture
from verisimile.mixture.objective import mixed_log_density
from verisimile.mixture.sampling import SignedSample, member_log_densities, sample_signed
from verisimile.stats.linalg import whitening

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
    draws
        Weights of the refits of a bootstrap ``(B, M)``: the law that varied weights
        are then drawn from.  Empty: the normal law of `variations`.
    """

    members: tuple[DensityEstimator, ...]
    weights: Array
    variations: Array
    features: tuple[Feature, ...]
    fingerprint: str
    draws: Array = field(default_factory=lambda: np.empty((0, 0)))

    @classmethod
    def of(cls, mixture: Mixture) -> NullModel:
        """Return the null hypothesis that a mixture describes the data."""
        return cls(
            mixture.members,
            mixture.weights,
            whitening(mixture.fit.covariance),
            mixture.features,
            mixture.fingerprint,
            np.empty((0, 0)) if mixture.fit.draws is None else mixture.fit.draws,
        )

    def identity(self) -> dict[str, JSON]:
        """Return the content keys of members, weights and variations."""
        return {
            "mixture": self.fingerprint,
            "weights": digest(self.weights, self.variations, self.draws),
        }

    def log_densities(self, x: Array) -> Array:
        """Return the members' log-densities ``(n, M)`` at events ``(n, d)``."""
        return member_log_densities(self.members, x)

    def log_prob(self, x: Array) -> Array:
        """Return the fitted log-density ``(n,)``, minus infinity where it is not positive."""
        return mixed_log_density(self.log_densities(x), self.weights)

    def sample(self, truth: Array, n: int, rng: np.random.Generator) -> SignedSample:
        """Draw `n` events of the mixture whose weights are varied by `truth` ``(r,)``."""
        return sample_signed(self.members, self.varied(truth), n, rng)

    def varied(self, truth: Array) -> Array:
        r"""Return the weights ``(M,)`` that a standard normal vector ``(r,)`` stands for.

        :math:`\hat w + L\eta`; of a bootstrap the draw of number
        :math:`\lfloor B\,\Phi(\eta_1) \rfloor`.  Zero is the fit itself.
        """
        if not self.draws.size or not truth.any():
            return np.asarray(self.weights + self.variations @ truth)
        number = int(self.draws.shape[0] * float(ndtr(truth[0])))
        return np.asarray(self.draws[min(number, self.draws.shape[0] - 1)])
