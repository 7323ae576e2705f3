"""Error rates of two scored samples at all exchange rates: the best, or of rules learned apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError, NumericsError, require

_BETA = 8.0
_ALWAYS = math.pi  # beyond the grid: called generated at every angle
_HALF = 0.5  # an event more of each kind, so that no block of scores is certain


def angle_grid(count: int = 201) -> Array:
    r"""Return angles from 0 to :math:`\pi/2`, both included, and the diagonal among them.

    Without the middle one, where :math:`1 - \alpha` is the total variation distance, or without
    ends, an InputError.
    """
    fine = count >= 3 and count % 2 == 1
    require(fine, "angles", got=count, expected="an odd number of angles, at least 3")
    return np.linspace(0.0, 0.5 * math.pi, count)


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    r"""Corners of the lower convex hull of all (fpr, fnr), fpr ascending.

    Attributes
    ----------
    fpr
        Share of reference events called generated, from zero ``(v,)``.
    fnr
        Share of generated events called true, down to zero ``(v,)``.
    """

    fpr: Array
    fnr: Array

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
        fpr, fnr = self.fpr[at], self.fnr[at]
        with np.errstate(divide="ignore", invalid="ignore"):
            right = np.where(fpr == 0.0, 0.0, fpr / cosine(theta))
            left = np.where(fnr == 0.0, 0.0, fnr / np.sin(theta))
        return np.asarray(right + left)


def envelope(reference: Array, generated: Array) -> Envelope:
    r"""Return the frontier of held-out scores, larger for events more like the reference.

    Sajjadi's frontier of precision and recall is the lower envelope of error rates,

    .. math:: \alpha(\lambda) = \min_\gamma\,[\lambda\,\mathrm{fpr}_\gamma
              + \mathrm{fnr}_\gamma], \quad \beta(\lambda) = \alpha(\lambda) / \lambda,

    over all thresholds :math:`\gamma` of a score that orders events by their likelihood ratio;
    only the order of scores ``(n,)`` and ``(m,)`` matters, and infinite ones are larger or smaller
    than all others.  Minima of lines lie on the convex hull of the rates, which is the isotonic
    regression of the labels on the score: :math:`O(n \log n)`, and memory linear in n.

    Raises
    ------
    InputError, NumericsError
        If a sample is empty; if a score is NaN.

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
    for name, scores in (("reference", reference), ("generated", generated)):
        _check(f"scores of {name} events", scores)
    _, true, fake, last = _blocks(reference, generated)
    # Sums of integers keep the rates exact.
    fpr = np.append(0, np.cumsum(true)[last]) / reference.size
    fnr = 1.0 - np.append(0, np.cumsum(fake)[last]) / generated.size
    # Corners that others beat at no cost are beyond the ends of the frontier.
    start = int(np.flatnonzero(fpr == 0.0)[-1])
    stop = int(np.flatnonzero(fnr == 0.0)[0]) + 1
    return Envelope(fpr[start:stop], fnr[start:stop])


def _check(name: str, scores: Array) -> None:
    if scores.ndim != 1 or scores.size == 0:
        raise InputError(
            name,
            got=f"an array of shape {scores.shape}",
            expected="one score per event, of at least one event",
        )
    if np.isnan(scores).any():
        raise NumericsError(
            name,
            got=f"{int(np.isnan(scores).sum())} that are NaN",
            expected="numbers, infinite ones included",
            remedy="Events that are themselves not finite are counted as misses beforehand.",
        )


def _blocks(true: Array, fake: Array) -> tuple[Array, IntArray, IntArray, IntArray]:
    """Return distinct scores, events of each sample there, and the last score of each block.

    A block is an edge of the hull: scores of one share in the labels' isotonic regression.
    """
    values, place = np.unique(np.concatenate([true, fake]), return_inverse=True)
    n, m = true.size, fake.size
    of_true = np.bincount(place[:n], minlength=values.size)
    of_fake = np.bincount(place[n:], minlength=values.size)
    mass = of_true / n + of_fake / m
    share = isotonic_regression(of_true / n / mass, weights=mass).x
    return values, of_true, of_fake, np.flatnonzero(np.append(np.diff(share) > 1e-12, True))


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
    recalling, precise = (
        float(_over((1.0 + b**2) * precision * recall, b**2 * precision + recall).max())
        for b in (_BETA, 1.0 / _BETA)
    )
    return recalling, precise


def cosine(theta: Array) -> Array:
    """Return the cosine, exactly zero at the end of the grid."""
    # cos(pi / 2) is 6e-17 in floating point.
    return np.where(theta >= 0.5 * math.pi, 0.0, np.cos(theta))


def _over(values: float | Array, scale: Array) -> Array:
    # At the ends of the grid the rate that would be divided by zero is itself zero.
    return np.divide(values, scale, out=np.zeros_like(scale), where=scale > 0.0)


def curve_area(radii: Array, theta: Array) -> Array:
    r"""Return the area below the frontier, of radii ``(..., L)``.

    .. math:: A = \tfrac12 \sum_i R_i R_{i+1} \sin(\theta_{i+1} - \theta_i)

    The area is star-shaped, so that its polygon needs neither sorting nor interpolation.
    """
    sines = np.sin(np.diff(theta))
    return np.asarray(0.5 * (radii[..., 1:] * radii[..., :-1] * sines).sum(axis=-1))


def _area_slopes(radii: Array, theta: Array) -> Array:
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
    at, count = frontier.corners(theta), frontier.fpr.size
    slopes = _area_slopes(frontier.radii(theta), theta)
    true, fake = (
        np.bincount(at, _over(slopes, scale), minlength=count).astype(np.float64)
        for scale in (cosine(theta), np.sin(theta))
    )
    # A true event between thresholds v - 1 and v is mistaken at corners v and beyond.
    of_true = _variance(np.diff(frontier.fpr), np.cumsum(true[::-1])[::-1][1:])
    of_fake = _variance(-np.diff(frontier.fnr), np.cumsum(fake)[:-1])
    return of_true, of_fake


def _variance(shares: Array, values: Array) -> float:
    mean = float(shares @ values)
    return max(0.0, float(shares @ values**2) - mean**2)


def learned_rule(true: Array, fake: Array) -> Callable[[Array], Array]:
    r"""Return the rule of scores ``(n,)`` and ``(m,)``, larger for events more like the truth.

    The isotonic regression of the labels gives blocks with :math:`t_b` true and :math:`f_b`
    generated events; an event of block b is called generated where :math:`\tan\theta` is below

    .. math:: \frac{\hat q_b}{\hat p_b} = \frac{(f_b + \frac12) / (m + \frac12)}
              {(t_b + \frac12) / (n + \frac12)} .

    The rule gives that angle for each of ``(k,)`` scores; minus infinity is generated at all.
    """
    values, of_true, of_fake, last = _blocks(true, fake)
    first = np.append(0, last[:-1] + 1)
    turns = np.arctan2(
        (np.add.reduceat(of_fake, first) + _HALF) / (fake.size + _HALF),
        (np.add.reduceat(of_true, first) + _HALF) / (true.size + _HALF),
    )
    # The half events can turn the order of two small blocks.
    ends, turns = values[last], np.minimum.accumulate(turns)

    def rule(scores: Array) -> Array:
        at = np.minimum(np.searchsorted(ends, scores), len(ends) - 1)
        return np.where(np.isneginf(scores), _ALWAYS, turns[at])

    return rule


def exact_turns(log_ratio: Array) -> Array:
    r"""Return :math:`\arctan(q / p)` of :math:`\log p - \log q` ``(n,)``: no rule to learn."""
    with np.errstate(over="ignore"):
        turns = np.arctan(np.exp(-log_ratio))
    return np.where(np.isneginf(log_ratio), _ALWAYS, turns)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """A curve of events that did not shape the rule.

    Attributes
    ----------
    radii
        Distances from the origin ``(L,)``.
    true, fake
        What each event adds to the area, to first order, ``(n,)`` and ``(m,)``.
    """

    radii: Array
    area: float
    true: Array
    fake: Array

    @property
    def variances(self) -> tuple[float, float]:
        """Variances of the area from either sample, as a mean over its events."""
        return float(self.true.var() / self.true.size), float(self.fake.var() / self.fake.size)


def held_out(true: Array, fake: Array, theta: Array) -> HeldOut:
    r"""Return the curve of turning angles :math:`\phi` of true and generated events.

    .. math:: R(\theta) = \frac{\overline{[\theta < \phi_i]}_\mathrm{true}}{\cos\theta}
              + \frac{\overline{[\theta \ge \phi_j]}_\mathrm{generated}}{\sin\theta}

    Each rate is a mean over events, and its expectation that of a test which these events did not
    shape: at every angle at least the true curve's.
    """
    size = theta.size
    at_true, at_fake = (np.searchsorted(theta, turns, side="left") for turns in (true, fake))
    fpr = 1.0 - np.cumsum(np.bincount(at_true, minlength=size + 1))[:size] / true.size
    fnr = np.cumsum(np.bincount(at_fake, minlength=size + 1))[:size] / fake.size
    right, left = (_over(1.0, scale) for scale in (cosine(theta), np.sin(theta)))
    radii = fpr * right + fnr * left
    # An error that no exchange rate pays for: there the test that calls all alike is better.
    radii[0], radii[-1] = (1.0 if fnr[0] > 0.0 else fpr[0]), (1.0 if fpr[-1] > 0.0 else fnr[-1])
    slopes = _area_slopes(radii, theta)
    of_true = np.append(0.0, np.cumsum(slopes * right))
    of_fake = np.append(np.cumsum((slopes * left)[::-1])[::-1], 0.0)
    return HeldOut(radii, float(curve_area(radii, theta)), of_true[at_true], of_fake[at_fake])
