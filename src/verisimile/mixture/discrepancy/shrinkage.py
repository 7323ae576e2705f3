r"""The posterior of coefficients in groups whose scales are integrated over, by Gibbs sampling.

Moments of the events tell about the coefficients, m ~ N(C b, C/n); a group's coefficients are
b_g ~ N(0, tau_g^2), and tau_g has a half-Cauchy law.  Setting tau_g to its most likely value,
mostly zero, would claim too much; here it is drawn, from its law given the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.stats.linalg import symmetrise

FLAT = 1e-4
"""Precision of the weights' directions, which have no prior: a hundred standard errors."""

_BURN = 100
_EVERY = 5  # draws between two inverses: tau moves slowly, and an inverse is dear
_JITTER = 1e-10
_LARGEST = 2.0  # scale: beyond, the linear moments say nothing of an exponential


@dataclass(frozen=True, slots=True, eq=False)
class ExcessMoments:
    """Means of functions over `n` events less those of a model ``(P,)``, and their covariance.

    The covariance ``(P, P)`` is that of the model for one event.
    """

    excess: Array
    covariance: Array
    n: float


@dataclass(frozen=True, slots=True, eq=False)
class Shrunken:
    """Posterior of the coefficients.

    Attributes
    ----------
    mean, covariance
        Of the coefficients ``(P,)``, ``(P, P)``.
    scales
        Draws of tau ``(B, G)``.
    effective
        Effective number of penalised coefficients, averaged over the draws.
    """

    mean: Array
    covariance: Array
    scales: Array
    effective: float

    def evidence(self, seen: ExcessMoments, groups: IntArray) -> float:
        r"""Return the log Bayes factor for the penalised coefficients, at the median scales.

        .. math:: \tfrac12 \log\frac{|T^{-1}|\,|A_{\eta\eta}|}{|A|}
                  + \tfrac12 n^2 \big(m^T A^{-1} m - m_\eta^T A_{\eta\eta}^{-1} m_\eta\big),
                  \quad A = nC + T^{-1}
        """
        held = groups >= 0
        if not held.any():
            return 0.0
        precision = prior_precision(np.median(self.scales, axis=0) ** 2, groups)
        whole = _log_evidence(seen, precision, np.ones_like(held))
        bare = _log_evidence(seen, precision, ~held)
        return whole - bare + 0.5 * float(np.log(precision[held]).sum())


def shrunken(
    seen: ExcessMoments, groups: IntArray, scales: Array, *, draws: int, rng: np.random.Generator
) -> Shrunken:
    r"""Return the posterior of coefficients, given the moments of the events.

    .. math:: m \sim N(Cb, C/n), \quad b_k \sim N(0, \tau_{g(k)}^2), \quad
              \tau_g \sim \mathrm{C}^+(0, s_g)

    Mean and covariance are averages of those given tau, to which the scatter of the means is
    added (Rao and Blackwell).

    Parameters
    ----------
    seen
        The moments.
    groups
        Group of each coefficient ``(P,)``, ``-1`` for those without a prior.
    scales
        s of the half-Cauchy law of each group ``(G,)``.
    draws
        Kept draws of tau.
    rng
        Random stream.

    References
    ----------
    E. Makalic, D. Schmidt, IEEE Signal Process. Lett. 23 (2016) 179 (half-Cauchy by two
    inverse gammas); A. Gelman, Bayesian Anal. 1 (2006) 515 (half-Cauchy scales).
    """
    size, count = seen.excess.size, int(groups.max(initial=-1)) + 1
    held = groups >= 0
    numbers = np.bincount(groups[held], minlength=count)
    squares, auxiliary = scales**2, np.ones(count)
    right, information = seen.n * seen.excess, seen.n * seen.covariance
    sums, outer, inner = np.zeros(size), np.zeros((size, size)), np.zeros((size, size))
    kept, effective = [], 0.0
    inverse = np.empty((0, 0))
    for step in range(-_BURN, draws):
        precision = prior_precision(squares, groups)
        factor, unit = _factor(information, precision)
        mean = unit * linalg.cho_solve((factor, True), unit * right, check_finite=False)
        noise = linalg.solve_triangular(
            factor, rng.standard_normal(size), lower=True, trans="T", check_finite=False
        )
        b = mean + unit * noise
        lengths = np.bincount(groups[held], weights=b[held] ** 2, minlength=count)
        squares = (1.0 / auxiliary + 0.5 * lengths) / rng.gamma(0.5 * (numbers + 1.0))
        squares = np.minimum(squares, _LARGEST**2)
        auxiliary = (1.0 / scales**2 + 1.0 / squares) / rng.gamma(1.0, size=count)
        if step < 0:
            continue
        if step % _EVERY == 0:
            half = linalg.solve_triangular(factor, np.diag(unit), lower=True, check_finite=False)
            inverse = half.T @ half
            effective += float(held.sum() - precision[held] @ np.diag(inverse)[held])
        sums += mean
        outer += np.outer(mean, mean)
        inner += inverse
        kept.append(np.sqrt(squares))
    centre = sums / draws
    return Shrunken(
        centre,
        symmetrise(inner / draws + outer / draws - np.outer(centre, centre)),
        np.array(kept),
        effective / len(range(0, draws, _EVERY)),
    )


def prior_precision(squares: Array, groups: IntArray) -> Array:
    """Return the prior precision of each coefficient ``(P,)``, given the squared scales."""
    if not squares.size:
        return np.full(groups.size, FLAT)
    return np.where(groups >= 0, 1.0 / squares[groups], FLAT)


def _factor(information: Array, precision: Array) -> tuple[Array, Array]:
    """Return the Cholesky factor of a scaled sum, and the scale by which it is to be undone."""
    whole = information + np.diag(precision)
    unit = 1.0 / np.sqrt(np.diag(whole))
    scaled = whole * np.outer(unit, unit)
    scaled[np.diag_indices_from(scaled)] += _JITTER
    return linalg.cholesky(scaled, lower=True, overwrite_a=True, check_finite=False), unit


def _log_evidence(seen: ExcessMoments, precision: Array, used: BoolArray) -> float:
    part = np.ix_(used, used)
    factor, unit = _factor(seen.n * seen.covariance[part], precision[used])
    along = linalg.solve_triangular(factor, unit * seen.n * seen.excess[used], lower=True)
    half_log = float(np.log(np.diag(factor)).sum() - np.log(unit).sum())
    return 0.5 * float(along @ along) - half_log
