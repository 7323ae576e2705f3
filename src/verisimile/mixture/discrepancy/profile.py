"""Profile intervals of observables of a mixture with its discrepancy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array, as_vector, require_fraction
from verisimile.core.run import Run
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.discrepancy.posterior import DiscrepancyFit
from verisimile.mixture.discrepancy.shrinkage import prior_precision
from verisimile.mixture.minos import MinosInterval
from verisimile.mixture.tilt_fit import Tilt, TiltPoint
from verisimile.stats.linalg import solve_rounded

_ITERATIONS = 50
_TOLERANCE = 1e-6  # of the rise, and of the half width
_FARTHEST = 4.0  # rises that a step may overshoot to
_SHORTEST = 1e-6
_NO_MOTION = 1e-12  # of the largest value: the error of a constant by rounding


def minos_expectation(
    mixture: CorrectedMixture,
    h: Callable[[Array], Array],
    run: Run,
    *,
    level: float = 0.6827,
    draws: int | None = None,
) -> MinosInterval:
    r"""Return the interval of :math:`O = E_p[h]`, weights and discrepancy profiled.

    .. math:: \Big\{O : \min_{\theta | E_\theta[h] = O} F(\theta) \le \tfrac12 k \chi^2_{1,level}
              \Big\}, \quad
              F = n \Big[\log \frac{Z(\theta)}{Z(\hat\theta)} - (\theta - \hat\theta) \cdot
              \langle (s, \varphi) \rangle_{\hat\theta}\Big]
              + \tfrac12 (\theta - \hat\theta)^T T^{-1} (\theta - \hat\theta)

    with :math:`\theta = (\eta, b)` and T the squares of the groups' median scales: the exact
    objective of the fit, for moments of events whose optimum is the posterior mean.  The scales
    are uncertain too, which widens the posterior; as in
    :func:`~verisimile.mixture.minos.minos_observable` the objective is divided by
    :math:`k = g^T \Sigma g / g^T H^{-1} g`, the fit's own variance of O over that of the
    curvature.  For many events the ends are ``expectation(h).value`` plus and minus its error,
    without the part of the draws.

    An end is found by Newton steps on :math:`F = F_0 + \Delta,\ \nabla F \parallel \nabla O`; each
    takes one Hessian, as a fit of the discrepancy does, and there are about ten.

    Parameters
    ----------
    mixture
        Mixture with its discrepancy.
    h
        Function of events ``(n, d)`` to values ``(n,)``.
    run, draws
        As for :meth:`~verisimile.mixture.discrepancy.corrected.CorrectedMixture.expectation`.
    level
        Content, in (0, 1).

    Raises
    ------
    InputError
        If there is no such level, or h does not give one number per event.

    References
    ----------
    D. J. Venzon, S. H. Moolgavkar, Appl. Statist. 37 (1988) 87 (ends without a scan);
    R. E. Chandler, S. Bate, Biometrika 94 (2007) 167 (the division).
    """
    require_fraction(level, "level")
    x, rows = mixture.weighted_draws(run, draws)
    values = as_vector(h(x), "h(x)", length=len(x))
    fit = mixture.discrepancy
    problem = _about_the_fit(fit, rows)
    start = problem.at(fit.coefficients)
    value, gradient = _expectation(rows, values, start)
    variance = float(gradient @ fit.covariance @ gradient)
    if variance <= (_NO_MOTION * float(np.abs(values).max())) ** 2:
        return MinosInterval(value, value, value, valid=True)
    sharpness = variance / float(gradient @ solve_rounded(problem.hessian(start), gradient))
    rise = 0.5 * sharpness * float(stats.chi2.ppf(level, 1))
    low, high = (_end(problem, values, start, rise, side) for side in (-1.0, 1.0))
    return MinosInterval(value, low, high, valid=math.isfinite(low) and math.isfinite(high))


def _about_the_fit(fit: DiscrepancyFit, rows: Array) -> Tilt:
    """Return the objective whose optimum, in these draws, is the posterior mean."""
    events, reference = fit.record.n_events, fit.record.reference
    n = events * reference / (events + reference)  # as in the fit
    precision = prior_precision(fit.scales**2, fit.functions.groups)
    means = fit.shares(rows) @ rows
    return Tilt(rows, n * means, n, precision, fit.coefficients, slice(0, precision.size))


def _expectation(rows: Array, values: Array, point: TiltPoint) -> tuple[float, Array]:
    """Return the expectation of values ``(R,)`` at a point, and its gradient ``(r + P,)``."""
    share = np.exp(point.logits) / point.logits.size
    mean = float(share @ values)
    return mean, np.asarray((share * (values - mean)) @ rows)


def _end(problem: Tilt, values: Array, start: TiltPoint, rise: float, side: float) -> float:
    """Return the farthest expectation whose objective is `rise` above the start; or NaN."""
    here = start
    for _ in range(_ITERATIONS):
        mean, gradient = _expectation(problem.reference, values, here)
        along, back = solve_rounded(
            problem.hessian(here), np.column_stack([gradient, here.gradient])
        ).T
        width = float(gradient @ along)
        left = start.value + rise - here.value
        push = side * math.sqrt(max(2.0 * left + float(here.gradient @ back), 0.0) / width)
        step = push * along - back
        near = abs(float(gradient @ step)) < _TOLERANCE * math.sqrt(2.0 * rise * width)
        if near and abs(left) < _TOLERANCE * rise:
            return mean
        moved = _within(problem, here, step, start.value + _FARTHEST * rise)
        if moved is None:
            break
        here = moved
    return math.nan


def _within(problem: Tilt, here: TiltPoint, step: Array, highest: float) -> TiltPoint | None:
    """Return the point a step away, shortened until its objective is not above `highest`."""
    length = 1.0
    while length > _SHORTEST:
        there = problem.moved(here, length * step)
        if there.value <= highest:
            return there
        length *= 0.5
    return None
