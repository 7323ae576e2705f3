"""The area below a precision–recall frontier and what a finite test sample does to it."""

from __future__ import annotations

import numpy as np

from verisimile.checks.precision_recall.envelope import Envelope, cosine
from verisimile.core.arrays import Array


def curve_area(radii: Array, theta: Array) -> Array:
    r"""Return the area below the frontier, of radii ``(..., L)``.

    .. math:: A = \tfrac12 \sum_i R_i R_{i+1} \sin(\theta_{i+1} - \theta_i)

    The area is star-shaped, so that its polygon needs neither sorting nor interpolation.
    """
    sines = np.sin(np.diff(theta))
    return np.asarray(0.5 * (radii[..., 1:] * radii[..., :-1] * sines).sum(axis=-1))


def area_slopes(radii: Array, theta: Array) -> Array:
    """Return the derivatives of the area by the radii ``(L,)``."""
    sines, slopes = np.sin(np.diff(theta)), np.zeros(theta.size)
    slopes[:-1] += 0.5 * radii[1:] * sines
    slopes[1:] += 0.5 * radii[:-1] * sines
    return slopes


def area_variances(frontier: Envelope, theta: Array) -> tuple[float, float]:
    r"""Return the variances of the area per reference and per generated test event.

    A minimum does not move to first order when its argument does, so that the
    best threshold of each angle may be held:

    .. math:: \delta A = \sum_i \frac{\partial A}{\partial R_i} \left[
              \frac{\delta\,\mathrm{fpr}_i}{\cos\theta_i}
              + \frac{\delta\,\mathrm{fnr}_i}{\sin\theta_i} \right]

    which is a mean over events.  Divide by the numbers of test events.  Of two samples of one
    distribution all thresholds are equally good, and the order is not the first.
    """
    at = frontier.corners(theta)
    slopes = area_slopes(frontier.radii(theta), theta)
    count = frontier.fpr.size
    true, fake = (
        np.bincount(at, _over(slopes, scale), minlength=count).astype(np.float64)
        for scale in (cosine(theta), np.sin(theta))
    )
    # A true event between thresholds v - 1 and v is mistaken at corners v and beyond.
    of_true = _variance(np.diff(frontier.fpr), np.cumsum(true[::-1])[::-1][1:])
    of_fake = _variance(-np.diff(frontier.fnr), np.cumsum(fake)[:-1])
    return of_true, of_fake


def _over(slopes: Array, scale: Array) -> Array:
    # At the ends of the grid the rate that would be divided by zero is itself zero.
    return np.divide(slopes, scale, out=np.zeros_like(slopes), where=scale > 0.0)


def _variance(shares: Array, values: Array) -> float:
    mean = float(shares @ values)
    return max(0.0, float(shares @ values**2) - mean**2)
