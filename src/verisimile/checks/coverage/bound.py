"""Observables bound to the columns of a mixture: what is computed of members and of the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np

from verisimile.checks.coverage.responses import CrossingResponse, LinearResponse, Response
from verisimile.core.arrays import Array, as_vector, digest, frozen
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.result import Estimate
from verisimile.density.protocol import DensityEstimator, Sampler
from verisimile.mixture.objective import scaled

_SPAN = 0.2  # of the smaller tail: the probability over which a density is differenced


def _nothing(model: Sampler) -> float | None:  # noqa: ARG001  (a function without closed form)
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The truth, with a large sample of it ``(n, d)``."""

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

    def exact(self, members: Sequence[DensityEstimator]) -> Response | None:
        """Return the response if all members know it in closed form."""
        ...

    def accumulate(self, x: Array, ratios: Array) -> Array:
        """Return the sums ``(Q, M, M)`` over pooled events ``(n, d)``, ratios ``(n, M)``."""
        ...

    def collect(self, pool: Calibrated, sums: Array) -> Response:
        """Return the response of all members from these sums over the whole pool."""
        ...

    def true_value(self, truth: Drawn) -> Estimate:
        """Return the true value, exactly or from its large sample."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """Expectation of a function of events.

    Attributes
    ----------
    function
        From events ``(n, d)`` to values ``(n,)``.
    key
        Content key.
    shift
        Subtracted from the values before their products are summed: rounding.
    closed
        From a model to its exact expectation, or None.
    """

    function: Callable[[Array], Array]
    key: str
    shift: float = 0.0
    closed: Callable[[Sampler], float | None] = _nothing

    @classmethod
    def of(
        cls,
        function: Callable[[Array], Array],
        pilot: Array,
        closed: Callable[[Sampler], float | None] = _nothing,
    ) -> Mean:
        """Bind a function, with its values on the pilot sample as identity."""
        values = _values(function, pilot)
        return cls(function, digest(values), float(values.mean()), closed)

    def exact(self, members: Sequence[DensityEstimator]) -> Response | None:
        """Return the linear response of exact expectations."""
        found = [self.closed(member) for member in members]
        known = [value for value in found if value is not None]
        return _certain(np.array(known)) if len(known) == len(found) else None

    def accumulate(self, x: Array, ratios: Array) -> Array:
        """Return T(h) and T(h squared), ``(2, M, M)``."""
        values = _values(self.function, x) - self.shift
        weighted = ratios * values[:, None]
        return np.stack([weighted.T @ ratios, weighted.T @ weighted])

    def collect(self, pool: Calibrated, sums: Array) -> Response:
        """Return the linear response."""
        means = self.shift + pool.expectations(sums[0])
        return LinearResponse(frozen(means), frozen(pool.covariances(sums[0], sums[1])))

    def true_value(self, truth: Drawn) -> Estimate:
        """Return the exact expectation, or the mean over the sample of the truth."""
        exact = self.closed(truth.model)
        if exact is not None:
            return Estimate(exact, 0.0)
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

    def exact(self, members: Sequence[DensityEstimator]) -> Response | None:
        """Return the crossing of exact distribution functions."""
        known = [member for member in members if isinstance(member, KnowsMarginals)]
        if len(known) != len(members):
            return None
        cdf = np.array([member.marginal_cdf(self.column, self.nodes) for member in known])
        free = np.zeros((self.nodes.size, len(members), len(members)))
        return CrossingResponse(self.probability, self.nodes, frozen(cdf), frozen(free))

    def accumulate(self, x: Array, ratios: Array) -> Array:
        """Return the sums between neighbouring nodes, ``(G, M, M)``."""
        place = np.searchsorted(self.nodes, x[:, self.column], side="left")
        order = np.argsort(place, kind="stable")
        edges = np.searchsorted(place[order], np.arange(self.nodes.size + 1))
        parts = [ratios[order[a:b]] for a, b in pairwise(edges)]
        return np.stack([part.T @ part for part in parts])

    def collect(self, pool: Calibrated, sums: Array) -> Response:
        """Return the crossing of the mixture's distribution function."""
        below = np.cumsum(sums, axis=0)  # an indicator is its own square
        means = pool.expectations(below).T
        spread = pool.covariances(below, below)
        return CrossingResponse(self.probability, self.nodes, frozen(means), frozen(spread))

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

    def exact(self, members: Sequence[DensityEstimator]) -> Response | None:
        """Return the linear response of the members' densities."""
        return _certain(np.exp([self._log_prob(member)[0] for member in members]))

    def accumulate(self, x: Array, ratios: Array) -> Array:  # noqa: ARG002
        """Return no sums: densities are exact."""
        return np.zeros((0, ratios.shape[1], ratios.shape[1]))

    def collect(self, pool: Calibrated, sums: Array) -> Response:  # noqa: ARG002
        """Refuse: nothing is estimated."""
        raise TypeError("a density at a point is known exactly")

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


def _certain(means: Array) -> LinearResponse:
    return LinearResponse(frozen(means), frozen(np.zeros((means.size, means.size))))


def _values(function: Callable[[Array], Array], x: Array) -> Array:
    return as_vector(function(x), "observable(x)", length=x.shape[0])


def _moments(values: Array) -> tuple[float, float]:
    return float(values.mean()), float(values.var(ddof=1)) / values.size


_RTOL = 1e-10
_UNDEFINED = 1e-3  # share of draws without any density beyond which nothing is believed


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    r"""Sums of products of ratios over a pool, and estimates that are calibrated on them.

    The exact expectations :math:`E_{\bar f}[r_j] = 1` serve as control variates:
    with :math:`T(h) = \sum_z h\, r r^T` and :math:`A = T(1)`,

    .. math:: O = T(h)\, A^{-1} 1, \qquad
              V = \frac{T(h^2) - T(h)\, A^{-1}\, T(h)}{N (N - M)}

    so that :math:`\sum_i w_i O_i = \sum_i w_i` exactly for :math:`h = 1`, and
    the error of any signed sum is :math:`w^T V w`.  Residuals of the regression
    are orthogonal to every :math:`r_j`, so that equal shares bring no further gain.

    Attributes
    ----------
    base
        A, ``(M, M)``.
    count
        N, events of the pool.
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


def density_ratios(logf: Array) -> tuple[Array, Array]:
    r"""Return :math:`r = f / \bar f` where any member has density, and where that is.

    Raises
    ------
    NumericsError
        If so many draws have no density that sampler and density do not belong together.
    """
    defined = logf.max(axis=1) > -np.inf
    if defined.mean() < 1.0 - _UNDEFINED:
        raise NumericsError(
            "draws of the members",
            got=f"{int((~defined).sum())} of {defined.size} without any density",
            expected="draws where their own member has density",
            remedy="vs.check_estimator tells whether sampler and density belong together.",
        )
    density, _ = scaled(logf[defined])
    return density / density.mean(axis=1, keepdims=True), defined


def stratified(members: Sequence[Sampler], each: int, rng: np.random.Generator) -> Array:
    """Return `each` draws of every member, one member after the other."""
    return np.concatenate([member.sample(each, rng) for member in members])


@runtime_checkable
class KnowsMoments(Protocol):
    """A member or truth with exact moments."""

    def moment(self, column: int, order: int) -> float:
        """Return the raw moment of one feature."""
        ...


@runtime_checkable
class KnowsMarginals(Protocol):
    """A member or truth with exact distribution functions of its features."""

    def marginal_cdf(self, column: int, x: Array) -> Array:
        """Return the distribution function of one feature at `x`, ``(G,)``."""
        ...
