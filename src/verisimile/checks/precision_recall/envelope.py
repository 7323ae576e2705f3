"""The precision–recall frontier of two scored samples, over all thresholds at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError

_BETA = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    r"""Corners of the lower convex hull of all (fpr, fnr), fpr ascending.

    Attributes
    ----------
    fpr
        Share of reference events called generated, from zero ``(v,)``.
    fnr
        Share of generated events called true, down to zero ``(v,)``.
    thresholds
        Largest score that is called generated ``(v,)``; NaN if no event is.
    """

    fpr: Array
    fnr: Array
    thresholds: Array

    def corners(self, theta: Array) -> npt.NDArray[np.intp]:
        r"""Return the corner that minimises :math:`\lambda\,fpr + fnr` at each angle, ``(L,)``.

        At :math:`\lambda = \tan\theta = \infty` it is the last one without false positives, at
        zero the first without false negatives: the limits of the interior.
        """
        # Corner v is left for v + 1 when lambda < (fnr_v - fnr_v+1) / (fpr_v+1 - fpr_v).
        turn = np.arctan2(-np.diff(self.fnr), np.diff(self.fpr))
        return np.searchsorted(-turn, -np.asarray(theta), side="left")

    def radii(self, theta: Array) -> Array:
        r"""Return the frontier's distance from the origin at each angle, ``(L,)``.

        .. math:: R(\theta) = \min_\gamma
                  \frac{\mathrm{fpr}_\gamma}{\cos\theta} + \frac{\mathrm{fnr}_\gamma}{\sin\theta}
        """
        at = self.corners(theta)
        return radii_of(self.fpr[at], self.fnr[at], theta)


def angles(count: int = 201) -> Array:
    r"""Return angles from 0 to :math:`\pi/2`, both included, and the diagonal among them.

    Raises
    ------
    InputError
        If the number is even or below three: without the middle one, where
        :math:`1 - \alpha` is the total variation distance, or without ends.
    """
    if count < 3 or count % 2 == 0:
        raise InputError("angles", got=count, expected="an odd number of angles, at least 3")
    return np.linspace(0.0, 0.5 * math.pi, count)


def envelope(reference: Array, generated: Array) -> Envelope:
    r"""Return the frontier of held-out scores, larger for events more like the reference.

    Sajjadi's frontier of precision and recall is the lower envelope of error rates,

    .. math:: \alpha(\lambda) = \min_\gamma\,[\lambda\,\mathrm{fpr}_\gamma
              + \mathrm{fnr}_\gamma], \quad \beta(\lambda) = \alpha(\lambda) / \lambda,

    over all thresholds :math:`\gamma` of a score that orders events by their likelihood ratio;
    only the order of scores matters.  Minima of lines lie on the convex hull of the
    rates, which is the isotonic regression of the labels on the score: :math:`O(n \log n)`, and
    memory linear in n.

    Parameters
    ----------
    reference, generated
        Scores ``(n,)`` and ``(m,)``; infinite ones are larger or smaller than all others.

    Raises
    ------
    InputError
        If a sample is empty.
    NumericsError
        If a score is NaN.

    References
    ----------
    M. Sajjadi et al., NeurIPS 2018, eqs. 3-4; L. Simon et al., ICML 2019, theorem 1 (error
    rates); T. Fawcett, A. Niculescu-Mizil, Mach. Learn. 68 (2007) 97 (hull and isotonic
    regression).

    Examples
    --------
    >>> found = envelope(np.array([0.9, 0.8, 0.3]), np.array([0.2, 0.1, 0.4]))
    >>> found.fpr, found.fnr
    (array([0.        , 0.33333333]), array([0.33333333, 0.        ]))
    """
    _check(reference, generated)
    scores = np.concatenate([reference, generated])
    values, place = np.unique(scores, return_inverse=True)
    n, m = reference.size, generated.size
    true = np.bincount(place[:n], minlength=values.size)
    fake = np.bincount(place[n:], minlength=values.size)
    mass = true / n + fake / m
    share = isotonic_regression(true / n / mass, weights=mass).x
    # Equal shares are one edge of the hull; sums of integers keep the rates exact.
    last = np.flatnonzero(np.append(np.diff(share) > 1e-12, True))
    fpr = np.append(0, np.cumsum(true)[last]) / n
    fnr = 1.0 - np.append(0, np.cumsum(fake)[last]) / m
    return _hull(fpr, fnr, np.append(np.nan, values[last]))


def _hull(fpr: Array, fnr: Array, thresholds: Array) -> Envelope:
    # Corners that others beat at no cost are beyond the ends of the frontier.
    start = int(np.flatnonzero(fpr == 0.0)[-1])
    stop = int(np.flatnonzero(fnr == 0.0)[0]) + 1
    return Envelope(fpr[start:stop], fnr[start:stop], thresholds[start:stop])


def radii_of(fpr: Array, fnr: Array, theta: Array) -> Array:
    """Return the distance from the origin, along `theta`, of the lines of given rates."""
    with np.errstate(divide="ignore", invalid="ignore"):
        right = np.where(fpr == 0.0, 0.0, fpr / cosine(theta))
        left = np.where(fnr == 0.0, 0.0, fnr / np.sin(theta))
    return np.asarray(right + left)


def points_at(radii: Array, theta: Array) -> tuple[Array, Array]:
    """Return precision and recall at given distances from the origin."""
    return radii * np.sin(theta), radii * cosine(theta)


def f_beta_pair(precision: Array, recall: Array) -> tuple[float, float]:
    r"""Return the largest :math:`F_8` and :math:`F_{1/8}` of a curve: recall and precision in one.

    .. math:: F_b = (1 + b^2) \frac{\alpha \beta}{b^2 \alpha + \beta}

    References
    ----------
    M. Sajjadi et al., NeurIPS 2018, section 4.
    """
    return _largest(precision, recall, _BETA), _largest(precision, recall, 1.0 / _BETA)


def _largest(precision: Array, recall: Array, beta: float) -> float:
    below = beta**2 * precision + recall
    above = (1.0 + beta**2) * precision * recall
    return float(np.divide(above, below, out=np.zeros_like(below), where=below > 0.0).max())


def cosine(theta: Array) -> Array:
    """Return the cosine, exactly zero at the end of the grid."""
    # cos(pi / 2) is 6e-17 in floating point.
    return np.where(theta >= 0.5 * math.pi, 0.0, np.cos(theta))


def _check(reference: Array, generated: Array) -> None:
    for name, scores in (("reference", reference), ("generated", generated)):
        if scores.ndim != 1 or scores.size == 0:
            raise InputError(
                f"scores of {name} events",
                got=f"an array of shape {scores.shape}",
                expected="one score per event, of at least one event",
            )
        if np.isnan(scores).any():
            raise NumericsError(
                f"scores of {name} events",
                got=f"{int(np.isnan(scores).sum())} that are NaN",
                expected="numbers, infinite ones included",
                remedy="Events that are themselves not finite are counted as misses beforehand.",
            )
