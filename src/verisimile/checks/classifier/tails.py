"""Where the largest and smallest weights lie: what the generator lacks and what it overdoes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.checks.classifier.crossfit import ClassifierPool
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.result import Estimate, register

_INSIDE = 0.8


@register("weight-tail-range", 1)
@dataclass(frozen=True, slots=True)
class TailRange:
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
class WeightTail:
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


def tails_of(
    pool: ClassifierPool, log_weights: Array, *, fraction: float
) -> tuple[WeightTail, WeightTail]:
    """Return both tails, each with the given fraction of the pooled events."""
    ordered = np.sort(log_weights)
    count = max(1, int(fraction * ordered.size))
    high, low = float(ordered[-count]), float(ordered[count - 1])
    return (
        _tail(pool, log_weights, "missing", high, log_weights >= high),
        _tail(pool, log_weights, "excess", low, log_weights <= low),
    )


def _tail(
    pool: ClassifierPool, log_weights: Array, side: str, cut: float, inside: BoolArray
) -> WeightTail:
    theirs = inside & ~pool.truth
    weights = pool.weights[theirs]
    predicted = np.average(np.exp(log_weights[theirs]), weights=weights) if theirs.any() else np.nan
    ranges = [_range(pool, j, inside) for j in range(pool.x.shape[1])]
    return WeightTail(
        side=side,
        cut=cut,
        truth=_share(pool, inside, pool.truth),
        generated=_share(pool, inside, ~pool.truth),
        predicted=float(predicted),
        ratio=_ratio(pool, inside),
        ranges=tuple(sorted(ranges, key=lambda found: -found.distance)),
    )


def _range(pool: ClassifierPool, j: int, inside: BoolArray) -> TailRange:
    column = pool.x[:, j]
    low, high = _tightest(pool, column, inside)
    within = (column >= low) & (column <= high)
    # Of truth and generated events alike, however many there are of either.
    everywhere = 0.5 * (_share(pool, within, pool.truth) + _share(pool, within, ~pool.truth))
    return TailRange(
        feature=pool.names[j],
        low=low,
        high=high,
        concentration=_INSIDE / everywhere,
        distance=_distance(column, pool.weights, inside),
        ratio=_ratio(pool, within),
    )


def _tightest(pool: ClassifierPool, column: Array, inside: BoolArray) -> tuple[float, float]:
    """Return the range with 80 % of the tail that holds the fewest of all events."""
    order = np.argsort(column[inside], kind="stable")
    values, weights = column[inside][order], pool.weights[inside][order]
    ends = np.cumsum(weights)
    last = np.searchsorted(ends, ends - weights + _INSIDE * ends[-1] * (1.0 - 1e-12))
    first = np.flatnonzero(last < ends.size)
    low, high = values[first], values[last[first]]
    # Counted and not measured: no feature's scale or logarithm changes the answer.
    everything = np.argsort(column, kind="stable")
    content = np.concatenate([[0.0], np.cumsum(pool.weights[everything])])
    above = content[np.searchsorted(column[everything], high, "right")]
    best = int(np.argmin(above - content[np.searchsorted(column[everything], low, "left")]))
    return float(low[best]), float(high[best])


def _distance(column: Array, weights: Array, inside: BoolArray) -> float:
    _, group = np.unique(column, return_inverse=True)
    everything = np.cumsum(np.bincount(group, weights=weights))
    tail = np.cumsum(np.bincount(group, weights=weights * inside))
    return float(np.abs(everything / everything[-1] - tail / tail[-1]).max())


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
