r"""The posterior of coefficients in groups whose scales are integrated over, by Gibbs sampling.

Moments of the events tell about the coefficients, m ~ N(C b, C/n); a group's coefficients are
b_g ~ N(0, tau_g^2), and tau_g has a half-Cauchy law.  Setting tau_g to its most likely value,
mostly zero, would claim too much; here it is drawn, from its law given the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.stats.linalg import symmetrise

FLAT = 1e-4
"""Precision of the weights' directions, which have no prior: a hundred standard errors."""

_BURN = 100
_SHORT_BURN = 30
_EVERY = 10  # draws between two inverses: tau moves slowly, and an inverse is dear
_JITTER = 1e-10
_LARGEST = 10.0  # scales over s: beyond, linear moments say nothing of an exponential


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


# Hundreds of small factorisations: threads of the BLAS would wait for one another most of the time.
@threadpool_limits.wrap(limits=1, user_api="blas")  # type: ignore[untyped-decorator,unused-ignore]
def shrunken(
    seen: ExcessMoments,
    groups: IntArray,
    scales: Array,
    *,
    draws: int,
    rng: np.random.Generator,
    start: Shrunken | None = None,
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
    start
        A posterior of nearly the same moments, whose scales need no long approach.

    References
    ----------
    E. Makalic, D. Schmidt, IEEE Signal Process. Lett. 23 (2016) 179 (half-Cauchy by two
    inverse gammas); A. Gelman, Bayesian Anal. 1 (2006) 515 (half-Cauchy scales).
    """
    held, count = groups >= 0, scales.size
    numbers = np.bincount(groups[held], minlength=count)
    squares = scales**2 if start is None else np.median(start.scales, axis=0) ** 2
    auxiliary = np.ones(count)
    scaled = _Scaled.of(seen)
    means, kept, inner, effective = [], [], np.zeros_like(seen.covariance), 0.0
    for step in range(-(_BURN if start is None else _SHORT_BURN), draws):
        precision = prior_precision(squares, groups)
        factor = scaled.factor(precision)
        mean = scaled.mean(factor)
        b = mean + scaled.noise(factor, rng)
        lengths = np.bincount(groups[held], weights=b[held] ** 2, minlength=count)
        squares = (1.0 / auxiliary + 0.5 * lengths) / rng.gamma(0.5 * (numbers + 1.0))
        squares = np.minimum(squares, (_LARGEST * scales) ** 2)
        auxiliary = (1.0 / scales**2 + 1.0 / squares) / rng.gamma(1.0, size=count)
        if step < 0:
            continue
        if step % _EVERY == 0:
            inverse = scaled.inverse(factor)
            inner += inverse
            effective += float(held.sum() - precision[held] @ np.diag(inverse)[held])
        means.append(mean)
        kept.append(np.sqrt(squares))
    inverses = len(range(0, draws, _EVERY))
    table = np.array(means)
    centre = table.mean(axis=0)
    scatter = (table - centre).T @ (table - centre) / draws
    return Shrunken(
        centre, symmetrise(inner / inverses + scatter), np.array(kept), effective / inverses
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scaled:
    """n C and n m in units in which the diagonal of n C is one: what the draws share."""

    information: Array
    right: Array
    unit: Array

    @classmethod
    def of(cls, seen: ExcessMoments) -> _Scaled:
        size = seen.n * np.diag(seen.covariance)
        # A function that never varies has no information, and keeps its prior.
        unit = 1.0 / np.sqrt(np.where(size > 0.0, size, 1.0))
        information = seen.n * seen.covariance * unit[:, None] * unit
        return cls(information, seen.n * seen.excess * unit, unit)

    def factor(self, precision: Array) -> Array:
        """Return the lower Cholesky factor of the scaled n C + diag(precision)."""
        whole = self.information.copy(order="F")
        added = precision * self.unit**2
        whole[np.diag_indices_from(whole)] += added + _JITTER * (1.0 + added)
        return np.asarray(linalg.cholesky(whole, lower=True, overwrite_a=True, check_finite=False))

    def mean(self, factor: Array) -> Array:
        solved = linalg.cho_solve((factor, True), self.right, check_finite=False)
        return np.asarray(self.unit * solved)

    def noise(self, factor: Array, rng: np.random.Generator) -> Array:
        white = rng.standard_normal(self.unit.size)
        return np.asarray(
            self.unit
            * linalg.solve_triangular(factor, white, lower=True, trans="T", check_finite=False)
        )

    def inverse(self, factor: Array) -> Array:
        lower, _ = linalg.lapack.dpotri(factor, lower=1)
        full = np.tril(lower) + np.tril(lower, -1).T
        return np.asarray(full * self.unit[:, None] * self.unit)

    def log_evidence(self, precision: Array) -> float:
        factor = self.factor(precision)
        along = linalg.solve_triangular(factor, self.right, lower=True, check_finite=False)
        half_log = float(np.log(np.diag(factor)).sum() - np.log(self.unit).sum())
        return 0.5 * float(along @ along) - half_log


def prior_precision(squares: Array, groups: IntArray) -> Array:
    """Return the prior precision of each coefficient ``(P,)``, given the squared scales."""
    if not squares.size:
        return np.full(groups.size, FLAT)
    return np.where(groups >= 0, 1.0 / squares[groups], FLAT)


def _log_evidence(seen: ExcessMoments, precision: Array, used: BoolArray) -> float:
    part = ExcessMoments(seen.excess[used], seen.covariance[np.ix_(used, used)], seen.n)
    return _Scaled.of(part).log_evidence(precision[used])
