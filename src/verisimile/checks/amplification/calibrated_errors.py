"""Claimed errors of region contents, against counts that the generator has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize, stats

from verisimile.checks.amplification.result import Interval, normal_reach
from verisimile.core.arrays import Array, as_matrix
from verisimile.core.errors import require
from verisimile.core.result import Estimate, Result, register

_RANGE = 1e6  # of the scale, to either side of where claimed and binomial errors are equal
_GRID = 200


@register("bin-coverage", 1)
@dataclass(frozen=True, slots=True)
class BinCoverage(Result):
    """Fraction of bins whose count lies within the error band of content `level`."""

    level: float
    claimed: float
    scaled: float


@register("error-scale", 1)
@dataclass(frozen=True, slots=True, eq=False)
class ErrorScale(Result):
    r"""One factor for all claimed errors.

    Attributes
    ----------
    scale
        Maximum-likelihood :math:`\tau` and its error from the curvature; NaN error at zero.
    intervals
        Profile intervals on it.  Zero is in them where the binomial noise alone
        would do; the upper limit is infinite where the errors claimed are too
        small against that noise to matter.
    coverage
        Over bins and runs, with the errors as claimed and with :math:`\tau` times them.
    correlated
        Whether the correlations of the bins were known.
    """

    scale: Estimate
    intervals: tuple[Interval, ...]
    coverage: tuple[BinCoverage, ...]
    runs: int
    bins: int
    correlated: bool
    warnings: tuple[str, ...] = ()


def calibrate_errors(
    counts: npt.ArrayLike,
    totals: npt.ArrayLike,
    contents: npt.ArrayLike,
    errors: npt.ArrayLike,
    *,
    levels: Sequence[float] = (0.68, 0.95),
) -> ErrorScale:
    r"""Return the factor :math:`\tau` that the claimed errors of region contents need.

    The likelihood of the held-out counts :math:`c_b` is normal, with the
    binomial noise of the counts beside the scaled error:

    .. math:: c_b - n \hat p_b \sim N\big(0,\; n \hat p_b (1 - \hat p_b)
              + (\tau n \sigma_b)^2\big)

    Bins of one run move together, because few parameters move them.  With the
    covariance of the contents, the likelihood has the multinomial covariance of
    the counts and this one, and the interval covers; with standard errors only,
    bins count as independent, and the interval of few runs is too narrow.

    Parameters
    ----------
    counts
        Held-out counts ``(R, K)`` of R runs, each with **its own** held-out events.
    totals
        Their numbers of events ``(R,)``.
    contents
        Claimed contents ``(R, K)``.
    errors
        Claimed standard errors ``(R, K)``, or covariances ``(R, K, K)``.
    levels
        Contents of the intervals and bands.

    References
    ----------
    S. Bieringer et al., arXiv:2408.00838, section on calibration.
    """
    c, p = as_matrix(counts, "counts"), as_matrix(contents, "contents")
    n = np.asarray(totals, dtype=np.float64)
    sigma = np.asarray(errors, dtype=np.float64)
    _check(c, n, p, sigma)
    correlated = sigma.ndim == 3
    pulls, ratios = (_rotated if correlated else _separate)(c, n, p, sigma)
    profile = _Profile(pulls, ratios)
    tau, error = profile.best()
    single = _separate(c, n, p, _standard(sigma))
    notes = {
        "Bins count as independent: give covariances, or the interval of few runs is "
        "too narrow.": not correlated,
        "Some bins hold fewer than five events, where the normal law is rough.": (c < 5.0).any(),
    }
    return ErrorScale(
        scale=Estimate(tau, error),
        intervals=tuple(profile.interval(level) for level in levels),
        coverage=tuple(_coverage(single, tau, level) for level in levels),
        runs=c.shape[0],
        bins=c.shape[1],
        correlated=correlated,
        warnings=tuple(text for text, holds in notes.items() if holds),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Profile:
    """Independent normal pulls with variances ``1 + tau^2 ratio``."""

    pulls: Array
    ratios: Array

    def deviance(self, tau: float) -> float:
        """Return minus twice the log-likelihood."""
        variance = 1.0 + tau * tau * self.ratios
        return float((np.log(variance) + self.pulls**2 / variance).sum())

    def best(self) -> tuple[float, float]:
        """Return the maximum and its error."""
        grid = np.concatenate([[0.0], self._grid()])
        values = [self.deviance(tau) for tau in grid]
        k = int(np.argmin(values))
        if k == 0:
            return 0.0, math.nan
        ends = (grid[k - 1], grid[min(k + 1, grid.size - 1)])
        found = optimize.minimize_scalar(
            self.deviance, bounds=ends, method="bounded", options={"xatol": 1e-10 * grid[k]}
        )
        tau = float(found.x)
        slope = 2.0 * tau * self.ratios / (1.0 + tau * tau * self.ratios)
        return tau, float(math.sqrt(2.0 / (slope**2).sum()))

    def interval(self, level: float) -> Interval:
        """Return where the deviance is within the chi-square quantile of its minimum."""
        best = self.best()[0]
        allowed = self.deviance(best) + float(stats.chi2.ppf(level, 1))

        def excess(tau: float) -> float:
            return self.deviance(tau) - allowed

        grid = self._grid()
        low = optimize.brentq(excess, 0.0, best) if excess(0.0) > 0.0 else 0.0
        high = optimize.brentq(excess, best, grid[-1]) if excess(grid[-1]) > 0.0 else math.inf
        return Interval(level, float(low), float(high))

    def _grid(self) -> Array:
        centre = 1.0 / math.sqrt(float(self.ratios[self.ratios > 0.0].mean()))
        return np.geomspace(centre / _RANGE, centre * _RANGE, _GRID)


def _separate(c: Array, n: Array, p: Array, sigma: Array) -> tuple[Array, Array]:
    """Return pulls ``(R, K)`` by the binomial error, and claimed over binomial variance."""
    scale = n[:, None] * p * (1.0 - p)
    return (c - n[:, None] * p) / np.sqrt(scale), (n[:, None] * sigma) ** 2 / scale


def _rotated(c: Array, n: Array, p: Array, covariance: Array) -> tuple[Array, Array]:
    """Return pulls in the axes in which multinomial and claimed covariance are both diagonal."""
    parts = [_axes(*row) for row in zip(c, n, p, covariance, strict=True)]
    pulls, ratios = (np.concatenate(item) for item in zip(*parts, strict=True))
    return pulls, ratios


def _axes(c: Array, n: float, p: Array, covariance: Array) -> tuple[Array, Array]:
    # Without its last bin the multinomial covariance of all bins has an inverse.
    kept = p.size - (abs(p.sum() - 1.0) < 1e-6)
    q = p[:kept]
    noise = n * (np.diag(q) - np.outer(q, q))
    ratios, axes = linalg.eigh(n * n * covariance[:kept, :kept], noise)
    return axes.T @ (c[:kept] - n * q), np.clip(ratios, 0.0, None)


def _standard(sigma: Array) -> Array:
    return np.sqrt(np.diagonal(sigma, axis1=1, axis2=2)) if sigma.ndim == 3 else sigma


def _coverage(single: tuple[Array, Array], tau: float, level: float) -> BinCoverage:
    pulls, ratios = single
    reach = normal_reach(level)
    claimed, scaled = (np.sqrt(1.0 + scale**2 * ratios) for scale in (1.0, tau))
    inside = [float((np.abs(pulls) <= reach * width).mean()) for width in (claimed, scaled)]
    return BinCoverage(level, *inside)


def _check(c: Array, n: Array, p: Array, sigma: Array) -> None:
    runs, bins = c.shape
    shapes = sigma.shape in {c.shape, (runs, bins, bins)}
    require(
        p.shape == c.shape and n.shape == (runs,) and shapes,
        "calibrate_errors",
        got=f"counts {c.shape}, totals {n.shape}, contents {p.shape}, errors {sigma.shape}",
        expected="(R, K), (R,), (R, K), and (R, K) or (R, K, K)",
    )
    inside = ((p > 0.0) & (p < 1.0)).all()
    require(inside, "contents", got="some at or beyond 0 or 1", expected="inside (0, 1)")
    claimed = _standard(sigma)
    usable = np.isfinite(sigma).all() and (claimed >= 0.0).all() and (claimed > 0.0).any()
    require(usable, "errors", got="unusable ones", expected="finite, >= 0, not all zero")
