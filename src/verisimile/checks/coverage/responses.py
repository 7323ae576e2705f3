"""How an observable follows the weights, once its members' part is known or estimated."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from verisimile.core.arrays import Array, digest
from verisimile.mixture.fit import WeightFit

SPAN = 0.2  # of the smaller tail: the probability over which a density is differenced
_RTOL = 1e-10


@dataclass(frozen=True, slots=True)
class ObservableEstimate:
    """Value of an observable, its error, and the Monte-Carlo part of that error squared."""

    value: float
    error: float
    sampling: float

    def plus_variance(self, variance: float) -> ObservableEstimate:
        """Return the same with another variance added to the error."""
        return ObservableEstimate(self.value, math.sqrt(self.error**2 + variance), self.sampling)

    def with_share(self, share: float) -> ObservableEstimate:
        """Return the same with only a share of the statistical variance."""
        variance = share * (self.error**2 - self.sampling) + self.sampling
        return ObservableEstimate(self.value, math.sqrt(max(variance, 0.0)), self.sampling)


class Response(Protocol):
    """An observable as a function of the weights alone."""

    @property
    def digest(self) -> str:
        """Content key of the members' part."""
        ...

    def value(self, weights: Array) -> float:
        """Return the value for weights ``(M,)``; NaN where there is none."""
        ...

    def variation(self, weights: Array, direction: Array) -> float:
        """Return the derivative of the value along a change of the weights ``(M,)``."""
        ...

    def estimate(self, fit: WeightFit) -> ObservableEstimate:
        """Return value and error under fitted weights."""
        ...

    def spread_noise(self, fit: WeightFit) -> float:
        """Return what the members' Monte-Carlo errors add to the variance that the weights have."""
        ...

    def certain(self) -> Response:
        """Return the same without Monte-Carlo error, for comparisons that share it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LinearResponse:
    """Expectations of the members ``(M,)`` and their Monte-Carlo covariance ``(M, M)``."""

    means: Array
    covariance: Array

    @property
    def digest(self) -> str:
        """Content key."""
        return digest(self.means, self.covariance)

    def value(self, weights: Array) -> float:
        r"""Return :math:`O = \sum_i w_i O_i`."""
        return float(weights @ self.means)

    def variation(self, weights: Array, direction: Array) -> float:  # noqa: ARG002
        """Return the same sum over the change: the response is linear."""
        return float(direction @ self.means)

    def estimate(self, fit: WeightFit) -> ObservableEstimate:
        r"""Return O with :math:`\sigma^2 = O^T C O + w^T V w`."""
        variance, sampling = _variances(self.means, self.covariance, fit)
        return ObservableEstimate(self.value(fit.weights), math.sqrt(variance), sampling)

    def spread_noise(self, fit: WeightFit) -> float:
        r"""Return :math:`E[\delta O^T C\, \delta O] = \mathrm{tr}(C V)`."""
        return max(float((fit.covariance * self.covariance).sum()), 0.0)

    def certain(self) -> LinearResponse:
        """Return the same without Monte-Carlo error."""
        return replace(self, covariance=np.zeros_like(self.covariance))


@dataclass(frozen=True, slots=True, eq=False)
class CrossingResponse:
    r"""Where the marginal distribution function crosses a probability.

    Attributes
    ----------
    nodes
        Increasing values of the feature ``(G,)``.
    means, covariances
        Members' distribution functions at the nodes ``(M, G)``, and their
        Monte-Carlo covariances ``(G, M, M)``.
    """

    probability: float
    nodes: Array
    means: Array
    covariances: Array

    @property
    def digest(self) -> str:
        """Content key."""
        return digest(np.array([self.probability]), self.nodes, self.means, self.covariances)

    def value(self, weights: Array) -> float:
        """Return the quantile; NaN where the distribution function does not reach p."""
        return float(self._quantiles(weights, np.array([self.probability]))[0])

    def variation(self, weights: Array, direction: Array) -> float:
        r"""Return :math:`-\,v^T F(q) / f(q)`, the change of the quantile."""
        value, slope = self._crossing(weights)
        return -slope * float(direction @ self._at(value))

    def estimate(self, fit: WeightFit) -> ObservableEstimate:
        r"""Return the quantile with its error by the delta method.

        .. math:: \hat F(\hat q) = p, \quad
                  \sigma_q^2 = \big(F^T C F + w^T V w\big) / \hat f(\hat q)^2

        with :math:`F_i = F_i(\hat q)`, which is linear in the weights, V its
        Monte-Carlo covariance, and the density of the marginal from the
        difference of two quantiles around p.
        """
        value, slope = self._crossing(fit.weights)
        if math.isnan(value):
            return ObservableEstimate(math.nan, math.nan, math.nan)
        variance, sampling = _variances(self._at(value), self._covariance(value), fit)
        return ObservableEstimate(value, slope * math.sqrt(variance), slope**2 * sampling)

    def spread_noise(self, fit: WeightFit) -> float:
        r"""Return :math:`\mathrm{tr}(C V) / \hat f(\hat q)^2`; NaN where there is no quantile."""
        value, slope = self._crossing(fit.weights)
        if math.isnan(value):
            return math.nan
        return slope**2 * max(float((fit.covariance * self._covariance(value)).sum()), 0.0)

    def certain(self) -> CrossingResponse:
        """Return the same without Monte-Carlo error."""
        return replace(self, covariances=np.zeros_like(self.covariances))

    def _crossing(self, weights: Array) -> tuple[float, float]:
        """Return the quantile and the inverse of the marginal density there."""
        half = SPAN * min(self.probability, 1.0 - self.probability)
        near = self.probability + half * np.array([-1.0, 0.0, 1.0])
        below, value, above = self._quantiles(weights, near)
        return float(value), float(above - below) / (2.0 * half)

    def _at(self, value: float) -> Array:
        return np.array([np.interp(value, self.nodes, row) for row in self.means])

    def _quantiles(self, weights: Array, probabilities: Array) -> Array:
        # A signed mixture's distribution function may dip; its first crossing counts.
        cdf = np.maximum.accumulate(weights @ self.means)
        if not cdf[0] <= self.probability <= cdf[-1]:
            return np.full(probabilities.shape, np.nan)
        return np.interp(probabilities, cdf, self.nodes)

    def _covariance(self, value: float) -> Array:
        place = np.interp(value, self.nodes, np.arange(self.nodes.size, dtype=np.float64))
        left = min(int(place), self.nodes.size - 2)
        share = place - left
        return np.asarray(
            (1.0 - share) * self.covariances[left] + share * self.covariances[left + 1]
        )


def _variances(means: Array, covariance: Array, fit: WeightFit) -> tuple[float, float]:
    """Return the whole variance and its Monte-Carlo part; rounding may not make them negative."""
    sampling = max(float(fit.weights @ covariance @ fit.weights), 0.0)
    return max(float(means @ fit.covariance @ means), 0.0) + sampling, sampling


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedPool:
    r"""Sums of products of ratios over a pool, and estimates that are calibrated on them.

    The exact expectations :math:`E_{\bar f}[r_j] = 1` serve as control variates:
    with :math:`T(h) = \sum_z h\, r r^T` and :math:`A = T(1)`,

    .. math:: O = T(h)\, A^{-1} 1, \qquad
              V = \frac{T(h^2) - T(h)\, A^{-1}\, T(h)}{N (N - M)}

    so that :math:`\sum_i w_i O_i = \sum_i w_i` exactly for :math:`h = 1`, and
    the error of any signed sum is :math:`w^T V w`.  Residuals of the regression
    are orthogonal to every :math:`r_j`, so that equal shares bring no further gain.

    `base` is A, ``(M, M)``, of a pool of `count` events, N.
    """

    base: Array
    count: int

    def expectations(self, first: Array) -> Array:
        """Return members' expectations ``(..., M)`` from T(h), ``(..., M, M)``."""
        return np.asarray(first @ (self._inverse() @ np.ones(self.base.shape[0])))

    def covariances(self, first: Array, second: Array) -> Array:
        """Return their covariances ``(..., M, M)`` from T(h) and T(h squared)."""
        residual = second - first @ self._inverse() @ first
        return np.asarray(residual / (self.count * max(self.count - self.base.shape[0], 1)))

    def _inverse(self) -> Array:
        # Members that repeat each other leave the constant inside the span.
        return np.asarray(np.linalg.pinv(self.base, rcond=_RTOL, hermitian=True))
