r"""Functions along which a fitted density may be wrong: bumps in normal scores, by groups.

A continuous feature is seen in the scores :math:`u_j = \Phi^{-1}(\hat F_j(x_j))` of the mixture:
there an edge and a tail have as much room as the bulk.  A periodic feature is seen on its
circle, a discrete one by its values, a spike by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from verisimile.core.arrays import Array, IntArray
from verisimile.core.result import Result, register
from verisimile.data.feature import Feature

_KNOTS = 2001
_EDGE = 5e-5  # probability beyond which a score does not grow: u = 3.9
_SPACINGS = (1.0, 0.5, 0.25)  # of bumps between -3 and 3, each as wide as it is apart
_FINEST = _SPACINGS[-1]
_END = 1.75  # scores beyond which the finest bumps have groups of their own, one for each end
_OUTER = np.arange(_END + _FINEST, 3.51, _FINEST)  # the centres of these, at the upper end
_RAMPS = (1.5, 2.0, 2.5)  # where one-sided functions of the outermost events begin
_PAIRS = ((1.0, 2.0), (0.5, 2.0))  # spacings of the factors of pairs, and how far they go
_FEW = 3  # features, up to which pairs have the finer spacing too, and are had with the density
_TURNS = (4, 8, 16, 32)  # bumps around a circle
_SHARP = 4.0  # scale of the ends of a feature over that of its bulk
_MOST_VALUES = 12  # of a discrete feature, that have a function of their own
_LEAST_SHARE = 2e-3  # of the events, for a value to be one of them or a spike
_FEWEST_SAME = 10  # events at a value, for the same: few events have large shares
_FEWEST_VALUES = 20  # different values that make a feature continuous

_LOW, _HIGH = "low end", "high end"

Scale = Literal["scores", "circle", "values"]


class AxisPlaces(NamedTuple):
    """Where values lie: whether on the line, where there, and at which marked value ``(k, n)``.

    Functions are rows and events columns here and below: a product of two functions is then one of
    two contiguous rows, four times faster than one of two columns.
    """

    there: Array
    at: Array
    marks: Array


@register("discrepancy-axis", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Axis(Result):
    """How one feature is seen.

    Attributes
    ----------
    feature
        Its specification.
    scale
        ``scores``, ``circle`` or ``values``.
    knots
        Quantiles of the mixture ``(K,)``, without its spikes; for ``values`` those that have a
        function of their own.
    spikes
        Values of a continuous feature that many events have exactly.
    """

    feature: Feature
    scale: Scale
    knots: Array
    spikes: Array

    @classmethod
    def of(cls, feature: Feature, column: Array) -> Axis:
        """Return the axis of a feature, from the values ``(R,)`` of the mixture's events."""
        none = np.empty(0)
        if feature.kind == "periodic":
            turned = _unwound(column, feature)
            return cls(feature, "circle", np.quantile(turned, np.linspace(0, 1, _KNOTS)), none)
        values, counts = np.unique(column, return_counts=True)
        least = max(_LEAST_SHARE * column.size, _FEWEST_SAME)
        if feature.kind == "discrete" or len(values) < _FEWEST_VALUES:
            many = np.argsort(-counts, kind="stable")[:_MOST_VALUES]
            kept = many[counts[many] >= least]
            return cls(feature, "values", np.sort(values[kept]), none)
        spikes = values[counts >= least]
        rest = column[~np.isin(column, spikes)]
        if not rest.size:
            return cls(feature, "values", spikes, none)
        return cls(feature, "scores", np.quantile(rest, np.linspace(0, 1, _KNOTS)), spikes)

    def places(self, column: Array) -> AxisPlaces:
        """Return where values ``(n,)`` lie on the axis."""
        marks = _indicators(column, self.knots if self.scale == "values" else self.spikes)
        if self.scale == "values":
            nowhere = np.zeros(column.size)
            return AxisPlaces(nowhere, nowhere, marks)
        values = _unwound(column, self.feature) if self.scale == "circle" else column
        share = np.interp(values, self.knots, np.linspace(0.0, 1.0, _KNOTS))
        scores = np.asarray(ndtri(np.clip(share, _EDGE, 1.0 - _EDGE)))
        return AxisPlaces(1.0 - marks.sum(axis=0), scores, marks)

    def groups(self, places: AxisPlaces, *, ends: bool = True) -> list[tuple[str, Array]]:
        """Return functions ``(k, n)`` at places by the name of their group."""
        found: list[tuple[str, Array]] = []
        if self.scale == "circle":
            found = [(f"{count} parts of a turn", _around(places.at, count)) for count in _TURNS]
        elif self.scale == "scores":
            found = [
                (f"{spacing:g} sigma", _bumps(places.at, _centres(spacing), spacing))
                for spacing in _SPACINGS
            ]
        if ends and self.scale != "values":
            # Also of a circle: what learned it on a line has errors of its own where that is cut.
            for name, u in ((_LOW, -places.at), (_HIGH, places.at)):
                found += [(f"{name}, tail", _ramps(u)), (name, _bumps(u, _OUTER, _FINEST))]
        if len(places.marks):
            found = [(name, part * places.there) for name, part in found]
            found.append(("values", places.marks))
        return found

    def factors(self, places: AxisPlaces, spacing: float, reach: float) -> Array:
        """Return the functions ``(k, n)`` whose products with another feature's are a pair's."""
        if self.scale == "circle":
            parts = _around(places.at, round(_TURNS[0] / spacing))
        elif self.scale == "scores":
            parts = _bumps(places.at, np.arange(-reach, reach + 0.01, spacing), spacing)
        else:
            parts = np.empty((0, places.at.size))
        if not len(places.marks):
            return parts
        return np.concatenate([parts * places.there, places.marks])


@register("discrepancy-basis", 1)
@dataclass(frozen=True, slots=True, eq=False)
class DiscrepancyBasis(Result):
    """The functions of all features and of their pairs ``(P,)``, in groups.

    Attributes
    ----------
    axes
        One per feature.
    level
        That of log f itself: sharp structures that all members smear alike have lost events where
        the density is high and have them where it is low, in any number of dimensions.
    pairs
        Numbers of the axes of each pair ``(Q, 2)``.
    groups
        Number of the group of each function ``(P,)``.
    names
        What each group is.
    stretches
        By how much each group's scale is larger than that of the bulk ``(G,)``.
    given
        How many of the axes, the last ones, are context: functions of it alone say nothing of a
        density of the other features, and there are none.
    context
        Values of these ``(given,)`` where they are fixed: events then come without.
    """

    axes: tuple[Axis, ...]
    level: Axis
    pairs: IntArray
    groups: IntArray
    names: tuple[str, ...]
    stretches: Array
    given: int = 0
    context: Array | None = None

    @classmethod
    def of(
        cls, features: Sequence[Feature], x: Array, log_f: Array, *, given: int = 0
    ) -> DiscrepancyBasis:
        """Return the basis for events ``(R, d)`` of a mixture with log-densities ``(R,)``.

        The last columns are those `given`.
        """
        axes = tuple(Axis.of(spec, x[:, j]) for j, spec in enumerate(features))
        level = Axis.of(Feature("density"), log_f)
        d = len(axes)
        found = [(i, j) for j in range(d) for i in range(min(j, d - given))]
        pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
        bare = cls(axes, level, pairs, np.empty(0, np.int64), (), np.empty(0), given)
        parts = list(bare._parts(x[:1], log_f[:1]))
        sizes = [len(part) for _, part in parts]
        names = tuple(name for name, _ in parts)
        sharp = [_SHARP if name.endswith((_LOW, _HIGH)) else 1.0 for name in names]
        groups = np.repeat(np.arange(len(sizes)), sizes)
        return cls(axes, level, bare.pairs, groups, names, np.array(sharp), given)

    def fixed(self, context: Array) -> DiscrepancyBasis:
        """Return the basis at one context ``(given,)``, for events without it."""
        return replace(self, context=context)

    def fill(self, x: Array, log_f: Array, out: Array) -> None:
        """Put the functions at events ``(n, d)`` of log-densities ``(n,)`` into `out` (P, n)."""
        start = 0
        for _, part in self._parts(x, log_f):
            out[start : start + len(part)] = part
            start += len(part)

    def _parts(self, x: Array, log_f: Array) -> Iterator[tuple[str, Array]]:
        if self.context is not None:
            x = np.hstack([x, np.tile(self.context, (len(x), 1))])
        places = [axis.places(x[:, j]) for j, axis in enumerate(self.axes)]
        own, level = len(self.axes) - self.given, self.level.places(log_f)
        everything = [*zip(self.axes[:own], places[:own], strict=True), (self.level, level)]
        for axis, at in everything:
            for name, part in axis.groups(at, ends=axis is not self.level):
                yield f"{axis.feature.name}: {name}", part
        yield from self._products(places, level)

    def _products(self, places: list[AxisPlaces], level: AxisPlaces) -> Iterator[tuple[str, Array]]:
        few = len(self.axes) <= _FEW
        for spacing, reach in _PAIRS[: 2 if few else 1]:
            factors = [
                a.factors(at, spacing, reach) for a, at in zip(self.axes, places, strict=True)
            ]
            for i, j in self.pairs:
                both = " and ".join(self.axes[k].feature.name for k in (i, j))
                yield f"{both}: {spacing:g} sigma", _product(factors[i], factors[j])
        if few:
            high = self.level.factors(level, *_PAIRS[0])
            for axis, at in zip(self.axes, places, strict=True):
                own = axis.factors(at, *_PAIRS[0])
                yield f"{axis.feature.name} and density", _product(own, high)


def _product(left: Array, right: Array) -> Array:
    return np.asarray((left[:, None] * right).reshape(-1, left.shape[1]))


def _bumps(u: Array, centres: Array, width: float) -> Array:
    z = u - centres[:, None]
    z /= width
    z *= z
    z *= -0.5
    return np.asarray(np.exp(z, out=z))


def _centres(spacing: float) -> Array:
    last = _END if spacing == _FINEST else 3.0
    return np.arange(-last, last + 0.01, spacing)


def _ramps(u: Array) -> Array:
    """Return what grows beyond the upper end of scores, or of their negatives.

    Their scale is not that of the bumps there: the last events see several times a ramp.
    """
    return np.array([np.maximum(u - start, 0.0) for start in _RAMPS])


def _around(u: Array, count: int) -> Array:
    """Return von Mises bumps around a circle of equal probability, each as wide as they are apart.

    A score u lies there at the angle of its share of the events.
    """
    angle = 2.0 * np.pi * ndtr(u)
    centres = 2.0 * np.pi * np.arange(count) / count
    sharpness = (count / (2.0 * np.pi)) ** 2
    return np.asarray(np.exp(sharpness * (np.cos(angle - centres[:, None]) - 1.0)))


def _unwound(column: Array, feature: Feature) -> Array:
    """Return a periodic feature in its own period, or between minus and plus pi."""
    low = feature.low if feature.bounds == 2 else -np.pi
    return np.asarray(low + np.mod(column - low, feature.period))


def _indicators(column: Array, values: Array) -> Array:
    return np.asarray(column == values[:, None], dtype=np.float64)
