"""A band that holds a mean curve at all of its points together."""

from __future__ import annotations

import math

import numpy as np

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.random import Seeds

__all__ = ["simultaneous_band"]

_RESAMPLES = 999


def simultaneous_band(
    seeds: Seeds, curves: Array, *, level: float = 0.95, resamples: int = _RESAMPLES
) -> tuple[Array, Array]:
    r"""Return lower and upper ends ``(L,)`` of the mean of independent curves ``(J, L)``.

    .. math:: \bar R(\theta) \pm c\, s(\theta) / \sqrt J, \quad
              c = \text{quantile of } \max_\theta
              \frac{|\bar R^*(\theta) - \bar R(\theta)|}{s^*(\theta) / \sqrt J}

    over bootstrap resamples of whole curves, each with its own deviation s*.  Points where all
    curves agree have no width.  Below about ten curves c is large and unsteady, and infinite
    for three or four.

    References
    ----------
    A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application (1997), section 4.2.4.
    """
    count = len(curves)
    mean, spread = curves.mean(axis=0), curves.std(axis=0, ddof=1)
    moves = spread > 1e-9 * np.abs(mean).max()
    if not moves.any():
        return mean, mean
    deviations = curves[:, moves] - mean[moves]
    rows = seeds.numpy().multinomial(count, np.full(count, 1.0 / count), size=resamples)
    largest = _largest(rows / count, deviations, _varied(rows))
    # No interpolation: a resample without spread is infinite, and so is the band with many.
    factor = float(np.quantile(largest, level, method="higher"))
    width = np.zeros_like(mean)
    width[moves] = factor * spread[moves] / math.sqrt(count)
    return mean - width, mean + width


def _largest(shares: Array, deviations: Array, usable: BoolArray) -> Array:
    """Return the largest studentised deviation of each resample, infinite where unusable."""
    count = len(deviations)
    shift = shares @ deviations
    variance = np.maximum(shares @ deviations**2 - shift**2, 0.0) / (count - 1)
    scale = np.sqrt(variance)
    ratio = np.divide(np.abs(shift), scale, out=np.full_like(shift, np.inf), where=scale > 0.0)
    return np.where(usable, ratio.max(axis=1), np.inf)


def _varied(rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> BoolArray:
    # A resample of one curve alone has no spread.
    return np.asarray((rows > 0).sum(axis=1) > 1)
