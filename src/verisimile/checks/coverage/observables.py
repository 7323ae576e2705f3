"""Observables whose coverage can be asked for, and what is computed of members and truth.

A new one takes a frozen dataclass whose ``bind`` returns a `BoundObservable`: for an
expectation ``Mean.of(function, columns.pilot)``, which does the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np

from verisimile.checks.coverage.corrected import CorrectedLaw, Tangent
from verisimile.checks.coverage.responses import (
    SPAN,
    CalibratedPool,
    CrossingResponse,
    LinearResponse,
    Response,
)
from verisimile.core.arrays import Array, as_vector, digest, frozen, require_fraction
from verisimile.core.errors import InputError, require
from verisimile.core.hists import EdgesLike, as_edges
from verisimile.core.result import Estimate
from verisimile.density.protocol import DensityEstimator, Sampler

_NODES = 49
_NEAR = 0.6  # of the smaller tail, where nodes are close


@dataclass(frozen=True, slots=True, eq=False)
class FeatureColumns:
    """Names of the features, and a pilot sample ``(n, d)`` that shows where events lie."""

    names: tuple[str, ...]
    pilot: Array

    def index(self, feature: str) -> int:
        """Return the column of a feature."""
        expected = f"one of {list(self.names)}"
        known = feature in self.names
        require(known, "observable.feature", got=repr(feature), expected=expected)
        return self.names.index(feature)


@runtime_checkable
class Observable(Protocol):
    """A number that a density has."""

    def bind(self, columns: FeatureColumns) -> BoundObservable:
        """Return the observable for these features."""
        ...


class BoundObservable(Protocol):
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

    def collect(self, pool: CalibratedPool, sums: Array) -> Response:
        """Return the response of all members from these sums over the whole pool."""
        ...

    def tangent(self, law: CorrectedLaw) -> Tangent:
        """Return value and first-order change under a mixture with its discrepancy."""
        ...

    def true_value(self, truth: Sampler, x: Array) -> Estimate:
        """Return the true value, exactly or from a large sample of the truth ``(n, d)``."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    r"""Raw moment :math:`E[x^k]` of one feature, ``k = order``.

    Examples
    --------
    >>> import verisimile as vs
    >>> vs.Moment("m_ll", order=2)
    Moment(feature='m_ll', order=2)
    """

    feature: str
    order: int = 1

    def __post_init__(self) -> None:
        require(self.order > 0, "Moment.order", got=self.order, expected="a positive integer")

    def bind(self, columns: FeatureColumns) -> BoundObservable:
        """Return the mean of powers of the feature, whose squares must be finite numbers."""
        power = _Power(columns.index(self.feature), self.order)
        with np.errstate(over="ignore"):
            squares = power(columns.pilot) ** 2
        require(
            np.isfinite(squares).all(),
            "Moment.order",
            got=f"{self.order}, for which powers of {self.feature} are beyond floating point",
            expected="an order whose powers and their squares are finite",
        )
        return Mean.of(power, columns.pilot, power.closed)


@dataclass(frozen=True, slots=True)
class BinContent:
    r"""Probability of :math:`\mathrm{low} \le x < \mathrm{high}` in one feature's marginal.

    Examples
    --------
    >>> import verisimile as vs
    >>> vs.BinContent("m_ll", low=86.0, high=96.0)
    BinContent(feature='m_ll', low=86.0, high=96.0)
    """

    feature: str
    low: float
    high: float

    def __post_init__(self) -> None:
        got = f"[{self.low}, {self.high})"
        require(self.low < self.high, "BinContent", got=got, expected="low < high")

    @classmethod
    def each(cls, feature: str, edges: EdgesLike) -> dict[str, BinContent]:
        """Return all bins of a feature by name, as `vs.coverage` takes its observables.

        Parameters
        ----------
        feature
            Name.
        edges
            An array, or an axis or histogram of boost-histogram or hist.

        Examples
        --------
        >>> list(BinContent.each("m", [60.0, 80.0, 100.0]))
        ['m in [60, 80)', 'm in [80, 100)']
        """
        found = as_edges(edges, "edges").tolist()
        return {
            f"{feature} in [{low:g}, {high:g})": cls(feature, low, high)
            for low, high in zip(found[:-1], found[1:], strict=True)
        }

    def bind(self, columns: FeatureColumns) -> BoundObservable:
        """Return the mean of the bin's indicator."""
        # The indicator on a finite pilot cannot tell two empty bins apart; its edges do.
        inside = _Inside(columns.index(self.feature), self.low, self.high)
        return Mean(inside, repr(inside), closed=inside.closed)


@dataclass(frozen=True, slots=True)
class Quantile:
    r"""Value q of a feature with :math:`F(q) = p`, ``p = probability``.

    Its error follows from that of the distribution function at q, which is linear in the
    weights, divided by the marginal's density there (delta method).

    Examples
    --------
    >>> import verisimile as vs
    >>> vs.Quantile("m_ll", probability=0.5)
    Quantile(feature='m_ll', probability=0.5)
    """

    feature: str
    probability: float

    def __post_init__(self) -> None:
        require_fraction(self.probability, "Quantile.probability")

    def bind(self, columns: FeatureColumns) -> BoundObservable:
        """Return the crossing, with nodes at quantiles of the pilot sample, dense near p."""
        index, p = columns.index(self.feature), self.probability
        near = p + _NEAR * min(p, 1.0 - p) * np.linspace(-1.0, 1.0, _NODES)
        grid = np.concatenate([np.linspace(0.0, 1.0, _NODES), near])
        nodes = np.unique(np.quantile(columns.pilot[:, index], grid))
        return _QuantileCrossing(index, p, frozen(nodes))


@dataclass(frozen=True, slots=True)
class DensityAt:
    """Density at one point ``(d,)``, in original units.

    Examples
    --------
    >>> import verisimile as vs
    >>> vs.DensityAt((91.2, 12.0))
    DensityAt(x=(91.2, 12.0))
    """

    x: tuple[float, ...]

    def bind(self, columns: FeatureColumns) -> BoundObservable:
        """Return the pointwise density."""
        point = as_vector(self.x, "DensityAt.x", length=len(columns.names))
        return _Pointwise(frozen(point[None, :]))


@dataclass(frozen=True, slots=True)
class Expectation:
    """Expectation of a function of events ``(n, d)`` with values ``(n,)``.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> tail = vs.Expectation("tail", lambda x: (x[:, 0] > 100.0).astype(float))
    >>> tail.function(np.array([[90.0], [110.0]]))
    array([0., 1.])
    """

    name: str
    function: Callable[[Array], Array]

    def bind(self, columns: FeatureColumns) -> BoundObservable:
        """Return the mean of the function."""
        return Mean.of(self.function, columns.pilot)


def bind_all(
    observables: Mapping[str, Observable], columns: FeatureColumns
) -> dict[str, BoundObservable]:
    """Bind every observable to the features, by name."""
    require(observables, "observables", got="none", expected="at least one, by name")
    for name, item in observables.items():
        require(
            isinstance(item, Observable),
            f"observables[{name!r}]",
            got=f"a {type(item).__name__}",
            expected="Moment, BinContent, Quantile, DensityAt or Expectation",
        )
    return {name: item.bind(columns) for name, item in observables.items()}


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


@dataclass(frozen=True, slots=True)
class _Power:
    column: int
    order: int

    def __call__(self, x: Array) -> Array:
        return np.asarray(x[:, self.column] ** self.order)

    def closed(self, model: Sampler) -> float | None:
        if not isinstance(model, KnowsMoments):
            return None
        return float(model.moment(self.column, self.order))


@dataclass(frozen=True, slots=True)
class _Inside:
    column: int
    low: float
    high: float

    def __call__(self, x: Array) -> Array:
        values = x[:, self.column]
        return np.asarray(((values >= self.low) & (values < self.high)).astype(np.float64))

    def closed(self, model: Sampler) -> float | None:
        if not isinstance(model, KnowsMarginals):
            return None
        below, above = model.marginal_cdf(self.column, np.array([self.low, self.high]))
        return float(above - below)


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """Expectation of a function of events.

    Attributes
    ----------
    function
        From events ``(n, d)`` to values ``(n,)``.
    shift
        Subtracted from the values before their products are summed: rounding.
    closed
        From a model to its exact expectation, or None.
    """

    function: Callable[[Array], Array]
    key: str
    shift: float = 0.0
    closed: Callable[[Sampler], float | None] | None = None

    @classmethod
    def of(
        cls,
        function: Callable[[Array], Array],
        pilot: Array,
        closed: Callable[[Sampler], float | None] | None = None,
    ) -> Mean:
        """Bind a function, with its values on the pilot sample as identity."""
        values = _values(function, pilot)
        return cls(function, digest(values), float(values.mean()), closed)

    def exact(self, members: Sequence[DensityEstimator]) -> Response | None:
        """Return the linear response of exact expectations."""
        found = [self.closed(member) if self.closed else None for member in members]
        known = [value for value in found if value is not None]
        return _certain(np.array(known)) if len(known) == len(found) else None

    def accumulate(self, x: Array, ratios: Array) -> Array:
        """Return T(h) and T(h squared), ``(2, M, M)``."""
        values = _values(self.function, x) - self.shift
        weighted = ratios * values[:, None]
        return np.stack([weighted.T @ ratios, weighted.T @ weighted])

    def collect(self, pool: CalibratedPool, sums: Array) -> Response:
        """Return the linear response."""
        means = self.shift + pool.expectations(sums[0])
        return LinearResponse(frozen(means), frozen(pool.covariances(sums[0], sums[1])))

    def tangent(self, law: CorrectedLaw) -> Tangent:
        """Return the weighted mean over the draws, and their values."""
        values = _values(self.function, law.x)
        return Tangent(float(law.shares @ values), values)

    def true_value(self, truth: Sampler, x: Array) -> Estimate:
        """Return the exact expectation, or the mean over the sample of the truth."""
        exact = self.closed(truth) if self.closed else None
        if exact is not None:
            return Estimate(exact, 0.0)
        values = _values(self.function, x)
        return Estimate(float(values.mean()), math.sqrt(float(values.var(ddof=1)) / values.size))


@dataclass(frozen=True, slots=True, eq=False)
class _QuantileCrossing:
    """Quantile of one column, from distribution functions at fixed nodes ``(G,)``."""

    column: int
    probability: float
    nodes: Array

    @property
    def key(self) -> str:
        return digest(np.array([self.column, self.probability]), self.nodes)

    def exact(self, members: Sequence[DensityEstimator]) -> Response | None:
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

    def collect(self, pool: CalibratedPool, sums: Array) -> Response:
        below = np.cumsum(sums, axis=0)  # an indicator is its own square
        means = pool.expectations(below).T
        spread = pool.covariances(below, below)
        return CrossingResponse(self.probability, self.nodes, frozen(means), frozen(spread))

    def tangent(self, law: CorrectedLaw) -> Tangent:
        r"""Return the quantile of the draws, and :math:`-1[x \le q] / p(q)` of each of them.

        The density of the marginal is taken as for a mixture without discrepancy.
        """
        p = self.probability
        half = SPAN * min(p, 1.0 - p)
        below, value, above = law.quantiles(self.column, np.array([p - half, p, p + half]))
        slope = float(above - below) / (2.0 * half)
        return Tangent(float(value), -slope * (law.x[:, self.column] <= value))

    def true_value(self, truth: Sampler, x: Array) -> Estimate:  # noqa: ARG002
        """Return the quantile of the sample of the truth, with its delta-method error."""
        p = self.probability
        half = SPAN * min(p, 1.0 - p)
        below, value, above = np.quantile(x[:, self.column], [p - half, p, p + half])
        slope = (above - below) / (2.0 * half)
        return Estimate(float(value), float(slope) * math.sqrt(p * (1.0 - p) / len(x)))


@dataclass(frozen=True, slots=True, eq=False)
class _Pointwise:
    """Density at a point ``(1, d)``: no Monte Carlo."""

    point: Array

    @property
    def key(self) -> str:
        return digest(self.point)

    def exact(self, members: Sequence[DensityEstimator]) -> Response | None:
        return _certain(np.exp([self._log_prob(member)[0] for member in members]))

    def accumulate(self, x: Array, ratios: Array) -> Array:  # noqa: ARG002
        return np.zeros((0, ratios.shape[1], ratios.shape[1]))

    def collect(self, pool: CalibratedPool, sums: Array) -> Response:  # noqa: ARG002
        raise TypeError("a density at a point is known exactly")

    def tangent(self, law: CorrectedLaw) -> Tangent:
        """Return the density and its error."""
        value, error = law.mixture.log_prob(self.point), law.mixture.std(self.point)
        return Tangent(float(np.exp(value[0])), error=float(error[0]))

    def true_value(self, truth: Sampler, x: Array) -> Estimate:  # noqa: ARG002
        return Estimate(float(np.exp(self._log_prob(truth)[0])), 0.0)

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
