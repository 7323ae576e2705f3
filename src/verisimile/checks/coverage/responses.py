"""How an observable follows the weights, once its members' part is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from verisimile.core.arrays import Array, digest
from verisimile.mixture.fit import WeightFit

__all__ = ["CrossingResponse", "LinearResponse", "Propagated", "Response"]

_SPAN = 0.2  # of the smaller tail: the probability over which a density is differenced


@dataclass(frozen=True, slots=True)
class Propagated:
    """Value of an observable, its error, and the Monte-Carlo part of that error squared."""

    value: float
    error: float
    sampling: float


class Response(Protocol):
    """An observable as a function of the weights alone."""

    @property
    def digest(self) -> str:
        """Content key of the members' part."""
        ...

    def estimate(self, fit: WeightFit) -> Propagated:
        """Return value and error under fitted weights."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LinearResponse:
    """Expectations of the members ``(M,)`` and the variances of these expectations ``(M,)``."""

    means: Array
    variances: Array

    @property
    def digest(self) -> str:
        """Content key."""
        return digest(self.means, self.variances)

    def estimate(self, fit: WeightFit) -> Propagated:
        r"""Return :math:`O = \sum_i w_i O_i`, :math:`\sigma^2 = O^T C O + \sum_i w_i^2 v_i`."""
        value, variance, sampling = _linear(self.means, self.variances, fit)
        return Propagated(value, math.sqrt(max(variance, 0.0)), sampling)


@dataclass(frozen=True, slots=True, eq=False)
class CrossingResponse:
    r"""Where the marginal distribution function crosses a probability.

    Attributes
    ----------
    probability
        p in (0, 1).
    nodes
        Increasing values of the feature ``(G,)``.
    means, variances
        Members' distribution functions at the nodes ``(M, G)``, and their variances.
    """

    probability: float
    nodes: Array
    means: Array
    variances: Array

    @property
    def digest(self) -> str:
        """Content key."""
        return digest(np.array([self.probability]), self.nodes, self.means, self.variances)

    def estimate(self, fit: WeightFit) -> Propagated:
        r"""Return the quantile with its error by the delta method.

        .. math:: \hat F(\hat q) = p, \quad
                  \sigma_q^2 = \big(F^T C F + \textstyle\sum_i w_i^2 \mathrm{var}(F_i)\big)
                  / \hat f(\hat q)^2

        with :math:`F_i = F_i(\hat q)`, which is linear in the weights, and the density of the
        marginal from the difference of two quantiles around p.  NaN where the
        distribution function does not reach p.
        """
        # A signed mixture's distribution function may dip; its first crossing counts.
        cdf = np.maximum.accumulate(fit.weights @ self.means)
        if not cdf[0] <= self.probability <= cdf[-1]:
            return Propagated(math.nan, math.nan, math.nan)
        half = _SPAN * min(self.probability, 1.0 - self.probability)
        near = self.probability + half * np.array([-1.0, 0.0, 1.0])
        below, value, above = np.interp(near, cdf, self.nodes)
        member = np.array([np.interp(value, self.nodes, row) for row in self.means])
        spread = np.array([np.interp(value, self.nodes, row) for row in self.variances])
        _, variance, sampling = _linear(member, spread, fit)
        slope = (above - below) / (2.0 * half)
        return Propagated(float(value), slope * math.sqrt(max(variance, 0.0)), slope**2 * sampling)


def _linear(means: Array, variances: Array, fit: WeightFit) -> tuple[float, float, float]:
    sampling = float((fit.weights**2) @ variances)
    total = float(means @ fit.covariance @ means) + sampling
    return float(fit.weights @ means), total, sampling
