"""Observables bound to the columns of a mixture: what is computed of members and of the truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from verisimile.checks.coverage.responses import CrossingResponse, LinearResponse, Response
from verisimile.core.arrays import Array, as_vector, digest
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate
from verisimile.density.protocol import DensityEstimator, Sampler

__all__ = ["Bound", "Columns", "Crossing", "Drawn", "Mean", "Pointwise"]

_SPAN = 0.2  # of the smaller tail: the probability over which a density is differenced


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A member or the truth, with a large sample of it ``(n, d)``."""

    model: Sampler
    x: Array


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Names of the features, and a pilot sample ``(n, d)`` that shows where events lie."""

    names: tuple[str, ...]
    pilot: Array

    def index(self, feature: str) -> int:
        """Return the column of a feature.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        if feature not in self.names:
            raise InputError(
                "observable.feature", got=repr(feature), expected=f"one of {list(self.names)}"
            )
        return self.names.index(feature)


class Bound(Protocol):
    """An observable that knows its columns."""

    @property
    def key(self) -> str:
        """Content key: two observables with the same key are the same."""
        ...

    def respond(self, member: Drawn) -> tuple[Array, Array]:
        """Return one member's expectations ``(Q,)`` and their Monte-Carlo variances ``(Q,)``."""
        ...

    def collect(self, means: Array, variances: Array) -> Response:
        """Return the response of all members from their rows ``(M, Q)``."""
        ...

    def true_value(self, truth: Drawn) -> Estimate:
        """Return the true value, from its large sample or exactly."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """Expectation of a function of events, identified by its values at some of them."""

    function: Callable[[Array], Array]
    key: str

    @classmethod
    def of(cls, function: Callable[[Array], Array], pilot: Array) -> Mean:
        """Bind a function, with its values on the pilot sample as identity."""
        return cls(function, digest(_values(function, pilot)))

    def respond(self, member: Drawn) -> tuple[Array, Array]:
        """Return mean and variance of the mean over the member's draws."""
        values = _values(self.function, member.x)
        return np.array([values.mean()]), np.array([values.var(ddof=1) / values.size])

    def collect(self, means: Array, variances: Array) -> Response:
        """Return the linear response."""
        return LinearResponse(means[:, 0].copy(), variances[:, 0].copy())

    def true_value(self, truth: Drawn) -> Estimate:
        """Return the mean over the sample of the truth."""
        mean, variance = _moments(_values(self.function, truth.x))
        return Estimate(mean, math.sqrt(variance))


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """Quantile of one column, from distribution functions at fixed nodes ``(G,)``."""

    column: int
    probability: float
    nodes: Array

    @property
    def key(self) -> str:
        """Content key."""
        return digest(np.array([self.column, self.probability]), self.nodes)

    def respond(self, member: Drawn) -> tuple[Array, Array]:
        """Return the member's distribution function at the nodes and its variance."""
        ordered = np.sort(member.x[:, self.column])
        cdf = np.searchsorted(ordered, self.nodes, side="right") / ordered.size
        return cdf, cdf * (1.0 - cdf) / ordered.size

    def collect(self, means: Array, variances: Array) -> Response:
        """Return the crossing of the mixture's distribution function."""
        return CrossingResponse(self.probability, self.nodes, means, variances)

    def true_value(self, truth: Drawn) -> Estimate:
        """Return the quantile of the sample of the truth, with its delta-method error."""
        p = self.probability
        half = _SPAN * min(p, 1.0 - p)
        below, value, above = np.quantile(truth.x[:, self.column], [p - half, p, p + half])
        slope = (above - below) / (2.0 * half)
        return Estimate(float(value), float(slope) * math.sqrt(p * (1.0 - p) / truth.x.shape[0]))


@dataclass(frozen=True, slots=True, eq=False)
class Pointwise:
    """Density at a point ``(1, d)``: no Monte Carlo."""

    point: Array

    @property
    def key(self) -> str:
        """Content key."""
        return digest(self.point)

    def respond(self, member: Drawn) -> tuple[Array, Array]:
        """Return the member's density, which has no Monte-Carlo error."""
        return np.exp(self._log_prob(member.model)), np.zeros(1)

    def collect(self, means: Array, variances: Array) -> Response:
        """Return the linear response."""
        return LinearResponse(means[:, 0].copy(), variances[:, 0].copy())

    def true_value(self, truth: Drawn) -> Estimate:
        """Return the density of a truth that knows it."""
        return Estimate(float(np.exp(self._log_prob(truth.model)[0])), 0.0)

    def _log_prob(self, model: Sampler) -> Array:
        if not isinstance(model, DensityEstimator):
            raise InputError(
                "truth",
                got=f"a {type(model).__name__} without log_prob",
                expected="a known density, for an observable DensityAt",
                remedy="Give the true value: KnownTruth(truth, {name: value}).",
            )
        return np.asarray(model.log_prob(self.point))


def _values(function: Callable[[Array], Array], x: Array) -> Array:
    return as_vector(function(x), "observable(x)", length=x.shape[0])


def _moments(values: Array) -> tuple[float, float]:
    return float(values.mean()), float(values.var(ddof=1)) / values.size
