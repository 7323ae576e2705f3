"""Observables whose coverage can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from verisimile.checks.coverage.bound import (
    Bound,
    Columns,
    Crossing,
    KnowsMarginals,
    KnowsMoments,
    Mean,
    Pointwise,
)
from verisimile.core.arrays import Array, as_vector, frozen
from verisimile.core.errors import InputError
from verisimile.density.protocol import Sampler

_NODES = 49
_NEAR = 0.6  # of the smaller tail, where nodes are close


@runtime_checkable
class Observable(Protocol):
    """A number that a density has."""

    def bind(self, columns: Columns) -> Bound:
        """Return the observable for these features."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    r"""Raw moment :math:`E[x^k]` of one feature, ``k = order``."""

    feature: str
    order: int = 1

    def __post_init__(self) -> None:
        if self.order < 1:
            raise InputError("Moment.order", got=self.order, expected="a positive integer")

    def bind(self, columns: Columns) -> Bound:
        """Return the mean of powers of the feature."""
        power = _Power(columns.index(self.feature), self.order)
        return Mean.of(power, columns.pilot, power.closed)


@dataclass(frozen=True, slots=True)
class BinContent:
    r"""Probability of :math:`\mathrm{low} \le x < \mathrm{high}` in one feature's marginal."""

    feature: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise InputError("BinContent", got=f"[{self.low}, {self.high})", expected="low < high")

    def bind(self, columns: Columns) -> Bound:
        """Return the mean of the bin's indicator."""
        # The indicator on a finite pilot cannot tell two empty bins apart; its edges do.
        inside = _Inside(columns.index(self.feature), self.low, self.high)
        return Mean(inside, repr(inside), closed=inside.closed)


@dataclass(frozen=True, slots=True)
class Quantile:
    r"""Value q of a feature with :math:`F(q) = p`, ``p = probability``.

    Its error follows from that of the distribution function at q, which is linear in the
    weights, divided by the marginal's density there (delta method).
    """

    feature: str
    probability: float

    def __post_init__(self) -> None:
        if not 0.0 < self.probability < 1.0:
            raise InputError(
                "Quantile.probability", got=self.probability, expected="a number in (0, 1)"
            )

    def bind(self, columns: Columns) -> Bound:
        """Return the crossing, with nodes at quantiles of the pilot sample, dense near p."""
        index = columns.index(self.feature)
        nodes = np.unique(np.quantile(columns.pilot[:, index], _grid(self.probability)))
        return Crossing(index, self.probability, frozen(nodes))


@dataclass(frozen=True, slots=True)
class DensityAt:
    """Density at one point ``(d,)``, in original units."""

    x: tuple[float, ...]

    def bind(self, columns: Columns) -> Bound:
        """Return the pointwise density."""
        return Pointwise(
            frozen(as_vector(self.x, "DensityAt.x", length=len(columns.names))[None, :])
        )


@dataclass(frozen=True, slots=True)
class Expectation:
    """Expectation of a function of events ``(n, d)`` with values ``(n,)``."""

    name: str
    function: Callable[[Array], Array]

    def bind(self, columns: Columns) -> Bound:
        """Return the mean of the function."""
        return Mean.of(self.function, columns.pilot)


def bind_all(observables: Mapping[str, Observable], columns: Columns) -> tuple[Bound, ...]:
    """Bind every observable to the features.

    Raises
    ------
    InputError
        If there is none, or one is of an unknown kind or feature.
    """
    if not observables:
        raise InputError("observables", got="none", expected="at least one, by name")
    for name, item in observables.items():
        if not isinstance(item, Observable):
            raise InputError(
                f"observables[{name!r}]",
                got=f"a {type(item).__name__}",
                expected="Moment, BinContent, Quantile, DensityAt or Expectation",
            )
    return tuple(item.bind(columns) for item in observables.values())


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


def _grid(probability: float) -> Array:
    """Return probabilities of nodes: even ones, and closer ones around `probability`."""
    reach = _NEAR * min(probability, 1.0 - probability)
    near = probability + reach * np.linspace(-1.0, 1.0, _NODES)
    return np.concatenate([np.linspace(0.0, 1.0, _NODES), near])
