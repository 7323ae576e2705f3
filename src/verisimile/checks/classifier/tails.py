"""Where the largest and smallest weights lie: what the generator lacks and what it overdoes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from verisimile.checks.classifier.crossfit import ClassifierPool
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.result import Estimate, Result, register

_INSIDE = 0.8


@register("weight-tail-range", 1)
@dataclass(frozen=True, slots=True)
class TailRange(Result):
    """Where the events of a tail lie in one feature.

    Attributes
    ----------
    feature
        Its name.
    low, high
        The range that holds 80 % of the tail and the fewest of all events.
    concentration
        80 % over the share of all events in that range: 1 if the tail is anywhere.
    distance
        Kolmogorov distance between the tail and all events, in [0, 1].
    ratio
        True over generated events in that range, both shares of their samples.
    """

    feature: str
    low: float
    high: float
    concentration: float
    distance: float
    ratio: Estimate


@register("weight-tail", 1)
@dataclass(frozen=True, slots=True)
class WeightTail(Result):
    r"""The events with the largest or the smallest weights.

    Attributes
    ----------
    side
        ``"missing"``: largest w, too few generated events; ``"excess"``: smallest w.
    cut
        log w at the edge of the tail.
    truth, generated
        Share of either sample in the tail.
    predicted
        Mean weight of the generated events there: what `ratio` is if w is right.
    ratio
        `truth` over `generated`.
    ranges
        The features, the one with the largest distance first.
    """

    side: str
    cut: float
    truth: float
    generated: float
    predicted: float
    ratio: Estimate
    ranges: tuple[TailRange, ...]
    listed: ClassVar[tuple[str, ...]] = ("ranges",)


def tails_of(
    pool: ClassifierPool, log_weights: Array, *, fraction: float
) -> tuple[WeightTail, WeightTail]:
    """Return both tails, each with the given fraction of the pooled events."""
    ordered = np.sort(log_weights)
    count = max(1, int(fraction * ordered.size))
    high, low = float(ordered[-count]), float(ordered[count - 1])
    columns = [_Ordered(column, pool.weights) for column in pool.x.T]
    return (
        _tail(pool, columns, log_weights, "missing", high, log_weights >= high),
        _tail(pool, columns, log_weights, "excess", low, log_weights <= low),
    )


class _Ordered:
    """A feature of the pooled events in its order, with their weights: once for both tails."""

    def __init__(self, values: Array, weights: Array) -> None:
        self.values = np.ascontiguousarray(values)
        self.order = np.argsort(self.values, kind="stable")
        self.ordered = self.values[self.order]
        self.content = np.concatenate([[0.0], np.cumsum(weights[self.order])])
        self.ends = np.flatnonzero(np.append(self.ordered[1:] > self.ordered[:-1], True))

    def distance(self, weights: Array, inside: BoolArray) -> float:
        """Return the largest difference of the distribution functions of the tail and of all."""
        tail = np.cumsum((weights * inside)[self.order])
        everything = self.content[1:]
        apart = everything / everything[-1] - tail / tail[-1]
        return float(np.abs(apart[self.ends]).max())

    def tightest(self, weights: Array, inside: BoolArray) -> tuple[float, float]:
        """Return the range with 80 % of the tail that holds the fewest of all events."""
        among = self.order[inside[self.order]]
        values, own = self.values[among], weights[among]
        ends = np.cumsum(own)
        last = np.searchsorted(ends, ends - own + _INSIDE * ends[-1] * (1.0 - 1e-12))
        first = np.flatnonzero(last < ends.size)
        low, high = values[first], values[last[first]]
        # Counted and not measured: no feature's scale or logarithm changes the answer.
        above = self.content[np.searchsorted(self.ordered, high, "right")]
        best = int(np.argmin(above - self.content[np.searchsorted(self.ordered, low, "left")]))
        return float(low[best]), float(high[best])


def _tail(
    pool: ClassifierPool,
    columns: Sequence[_Ordered],
    log_weights: Array,
    side: str,
    cut: float,
    inside: BoolArray,
) -> WeightTail:
    theirs = inside & ~pool.truth
    weights = pool.weights[theirs]
    predicted = np.average(np.exp(log_weights[theirs]), weights=weights) if theirs.any() else np.nan
    ranges = [
        _range(pool, name, column, inside) for name, column in zip(pool.names, columns, strict=True)
    ]
    return WeightTail(
        side=side,
        cut=cut,
        truth=_share(pool, inside, pool.truth),
        generated=_share(pool, inside, ~pool.truth),
        predicted=float(predicted),
        ratio=_ratio(pool, inside),
        ranges=tuple(sorted(ranges, key=lambda found: -found.distance)),
    )


def _range(pool: ClassifierPool, name: str, column: _Ordered, inside: BoolArray) -> TailRange:
    low, high = column.tightest(pool.weights, inside)
    within = (column.values >= low) & (column.values <= high)
    # Of truth and generated events alike, however many there are of either.
    everywhere = 0.5 * (_share(pool, within, pool.truth) + _share(pool, within, ~pool.truth))
    return TailRange(
        feature=name,
        low=low,
        high=high,
        concentration=_INSIDE / everywhere,
        distance=column.distance(pool.weights, inside),
        ratio=_ratio(pool, within),
    )


def _share(pool: ClassifierPool, inside: BoolArray, side: BoolArray) -> float:
    return float(pool.weights[inside & side].sum() / pool.weights[side].sum())


def _ratio(pool: ClassifierPool, inside: BoolArray) -> Estimate:
    """Return the ratio of the shares, with the errors of sums of weights."""
    truth, generated = (_share(pool, inside, side) for side in (pool.truth, ~pool.truth))
    if not truth > 0.0 or not generated > 0.0:
        return Estimate(np.inf if truth > 0.0 else 0.0, np.inf)
    relative = 0.0
    for side in (pool.truth, ~pool.truth):
        u = pool.weights[inside & side]
        relative += float((u**2).sum() / u.sum() ** 2)
    return Estimate(truth / generated, truth / generated * float(np.sqrt(relative)))
