"""Bins for one feature's marginal: a rule that looks at ranges and specifications only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import InputError
from verisimile.data.feature import Feature

__all__ = ["bin_edges", "into_period", "is_logarithmic"]

_TAIL = 0.001
_NEAR_BOUND = 0.05


def bin_edges(feature: Feature, samples: Sequence[Array], *, bins: int) -> Array:
    """Return increasing edges ``(G + 1,)`` that hold each sample but 0.1 % on either side.

    Equal widths; equal ratios for a positive feature with a log transform; whole
    numbers for a discrete one, which may need fewer than `bins`.  An end of the
    support within 5 % of the range becomes the outer edge, so that a selection
    cut falls on an edge.  A periodic feature has one whole period, from the lower end of
    its support; without one an angle begins at -π, or at 0 if none is negative.

    Raises
    ------
    InputError
        If `bins` is not positive.
    """
    if bins < 1:
        raise InputError("bins", got=bins, expected="at least one bin")
    if feature.kind == "periodic":
        start = _start(feature, samples)
        return frozen(np.linspace(start, start + feature.period, bins + 1))
    low, high = _range(samples)
    if feature.kind == "discrete":
        return _whole(low, high, bins)
    if is_logarithmic(feature) and low > 0.0:
        first, last = _snapped(*(_log(v) for v in (low, high, feature.low, feature.high)))
        return frozen(np.geomspace(math.exp(first), math.exp(last), bins + 1))
    return frozen(np.linspace(*_snapped(low, high, feature.low, feature.high), bins + 1))


def is_logarithmic(feature: Feature) -> bool:
    """Return whether a feature's natural axis is logarithmic: positive, unfolded by a log."""
    unfolds = feature.transform == "log" or (feature.transform == "auto" and feature.bounds == 1)
    return unfolds and feature.kind == "continuous" and 0.0 <= feature.low < math.inf


def into_period(values: Array, feature: Feature, start: float) -> Array:
    """Return values of a periodic feature in the period from `start`; those of others as given."""
    if feature.kind != "periodic":
        return values
    inside = start + (values - start) % feature.period
    # A tiny distance below the start rounds up to its end.
    return np.asarray(np.where(inside < start + feature.period, inside, start))


def _start(feature: Feature, samples: Sequence[Array]) -> float:
    if feature.bounds == 2:
        return feature.low
    return 0.0 if min(float(sample.min()) for sample in samples) >= 0.0 else -math.pi


def _range(samples: Sequence[Array]) -> tuple[float, float]:
    quantiles = np.array([np.quantile(sample, (_TAIL, 1.0 - _TAIL)) for sample in samples])
    low, high = float(quantiles[:, 0].min()), float(quantiles[:, 1].max())
    if low < high:
        return low, high
    margin = 0.5 * max(1.0, abs(low))
    return low - margin, high + margin


def _snapped(low: float, high: float, bottom: float, top: float) -> tuple[float, float]:
    near = _NEAR_BOUND * (high - low)
    return bottom if low - bottom <= near else low, top if top - high <= near else high


def _log(value: float) -> float:
    # A bound at zero lies infinitely far down on a logarithmic axis.
    return math.log(value) if value > 0.0 else -math.inf


def _whole(low: float, high: float, bins: int) -> Array:
    first, last = math.floor(low), math.ceil(high)
    step = max(1, math.ceil((last - first + 1) / bins))
    count = math.ceil((last - first + 1) / step)
    return frozen(first - 0.5 + step * np.arange(count + 1))
