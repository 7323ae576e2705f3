"""The score test of the events near each kernel, with the weights profiled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.checks.goodness.kernels import Kernels
from verisimile.checks.goodness.observed import observed
from verisimile.checks.goodness.result import FittedRatio
from verisimile.core.arrays import Array, BoolArray
from verisimile.mixture.objective import mixed_log_density
from verisimile.stats.linalg import solve_spd

__all__ = ["Information", "Tangents", "information", "nearness", "tangents"]

_STEEP = 200.0  # kernel over null beyond e^200 is as good as infinite, and squares must not be


@dataclass(frozen=True, slots=True, eq=False)
class Tangents:
    r"""The fitted null at events, and how it changes with the weights.

    Attributes
    ----------
    possible
        Events at which the fitted null :math:`p_0` is positive ``(n,)``; the
        other entries are of these n' events alone.
    log_null
        :math:`\log p_0` ``(n',)``.
    weights
        :math:`B / p_0`, along the variations of the weights ``(n', r)``.
    """

    possible: BoolArray
    log_null: Array
    weights: Array


def tangents(fitted: FittedRatio, x: Array, logf: Array) -> Tangents:
    """Return the tangents of a fitted null at events ``(n, d)``, of log-densities ``(n, M)``."""
    setup = fitted.setup
    null = setup.null
    relative, _ = observed(setup, x, logf).relative(fitted.profile)
    top = np.maximum(logf.max(axis=1), np.finfo(np.float64).min)  # -inf: impossible, no NaN
    density = np.exp(logf - top[:, None])
    at_null = relative * (density @ null.weights)
    possible = at_null > 0.0  # NaN, where the mixture itself is not positive, is not
    return Tangents(
        possible,
        top[possible] + np.log(at_null[possible]),
        (density[possible] @ null.variations) / at_null[possible, None],
    )


@dataclass(frozen=True, slots=True, eq=False)
class Information:
    """Moments of the null, for one event.

    Attributes
    ----------
    expected, error
        Mean of each kernel scaled to one at its centre, and the standard error
        of its estimate, ``(K,)``.
    kernels
        Variance of the scaled kernels ``(K,)``.
    cross
        Covariance of scaled kernels and B/p0 ``(K, r)``.
    weights
        Covariance of B/p0 ``(r, r)``.
    """

    expected: Array
    error: Array
    kernels: Array
    cross: Array
    weights: Array

    def variance(self, n: int, *, profiled: str) -> Array:
        r"""Return the variance of the scores at n events, ``(K,)``.

        .. math:: V_k = n I_{kk} - n I_{k\eta} (n I_{\eta\eta} + 1)^{-1} n I_{\eta k}

        where the weights are profiled under their constraint, and
        :math:`n I_{kk} + |n I_{k\eta}|^2` where they are frozen while the truth
        differs from them by a draw of their covariance; to both the error of
        the expectation is added.

        Parameters
        ----------
        n
            Number of events.
        profiled
            ``"weights"`` or ``"nothing"``.
        """
        cross = n * self.cross
        if profiled == "weights":
            absorbed = -np.einsum("kr,rk->k", cross, solve_spd(self._curvature(n), cross.T))
        else:
            absorbed = (cross * cross).sum(axis=1)
        return np.asarray(n * self.kernels + absorbed + (n * self.error) ** 2)

    def efficient(self, score: Array, slope: Array, n: int) -> Array:
        r"""Return :math:`s_k - n I_{k\eta} (n I_{\eta\eta} + 1)^{-1} s_\eta`, ``(K,)``.

        Parameters
        ----------
        score
            Scores of the kernels ``(K,)``.
        slope
            Gradient of the constrained log-likelihood along the weights
            ``(r,)``: zero at the optimum, but for the barrier.
        n
            Number of events.
        """
        return np.asarray(score - n * self.cross @ solve_spd(self._curvature(n), slope))

    def _curvature(self, n: int) -> Array:
        return np.asarray(n * self.weights + np.eye(self.weights.shape[0]))


def information(
    fitted: FittedRatio, kernels: Kernels, draws: int, rng: np.random.Generator
) -> Information:
    r"""Estimate the moments of the fitted null from events of the null and of the kernels.

    Half of the events come from the mixture at the null's weights,
    :math:`f_0`, as many from the kernels, each weighted by

    .. math:: \omega = \frac{p_0}{\frac12 f_0 + \frac1{2K} \sum_k k_k},

    so that kernels which the null rarely reaches are known as well as others.
    The test sample is not used: a deviation must not enlarge its own error.

    References
    ----------
    E. Veach, L. Guibas, SIGGRAPH (1995), sec. 3 (the balance heuristic).
    """
    null, at = fitted.setup.null, fitted.profile.null
    count = kernels.widths.size
    each = max(draws // (2 * count), 1)
    own = null.sample(at, each * count, rng)
    x = _kernel_events(kernels, each, rng)
    logf = null.log_densities(x)
    held = logf.max(axis=1) > -np.inf
    pool = np.concatenate([own.x, x[held]])
    logs = np.concatenate([own.log_densities, logf[held]])
    seen = tangents(fitted, pool, logs)
    inside = pool[seen.possible]
    proposed = mixed_log_density(logs[seen.possible], null.weights + null.variations @ at)
    share = _share(seen, proposed, kernels.log_density(inside))
    near = nearness(kernels, inside)
    expected = share @ near
    return Information(
        expected=expected,
        error=np.sqrt((share * share) @ (near - expected) ** 2),
        kernels=share @ (near * near) - expected**2,
        cross=_covariance(near, seen.weights, share),
        weights=_covariance(seen.weights, seen.weights, share),
    )


def nearness(kernels: Kernels, x: Array) -> Array:
    """Return the kernels at events ``(n, d)``, scaled to one at their centres, ``(n, K)``."""
    y, _ = kernels.transform.forward(x)
    out = np.empty((x.shape[0], kernels.widths.size))
    for k, (centre, width) in enumerate(zip(kernels.centres, kernels.widths, strict=True)):
        out[:, k] = np.exp(-0.5 * (((y - centre) / width) ** 2).sum(axis=1))
    return out


def _kernel_events(kernels: Kernels, each: int, rng: np.random.Generator) -> Array:
    """Return `each` events of every kernel, ``(K each, d)``."""
    count, d = kernels.centres.shape
    steps = kernels.widths[:, None, None] * rng.standard_normal((count, each, d))
    return kernels.transform.inverse((kernels.centres[:, None, :] + steps).reshape(-1, d))


def _share(seen: Tangents, proposed: Array, log_kernels: Array) -> Array:
    """Return the weights of the events, which sum to one, from the null's own log-density."""
    own = np.exp(proposed - seen.log_null)  # 1, unless the null is no mixture of the members
    ratios = np.exp(np.minimum(log_kernels - seen.log_null[:, None], _STEEP))
    weight = 2.0 / (own + ratios.mean(axis=1))
    return np.asarray(weight / weight.sum())


def _covariance(left: Array, right: Array, share: Array) -> Array:
    mean = np.outer(share @ left, share @ right)
    return np.asarray((left * share[:, None]).T @ right - mean)
