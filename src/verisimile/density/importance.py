r"""Does a density integrate to one, and do its samples follow it? By importance sampling.

The proposal is a mixture of multivariate Student distributions around some of
the model's own draws: wider than the model, with heavy tails, and known exactly.

.. math:: \int p = E_q[p/q], \qquad
          E_p[\log p] = \frac{E_q[(p/q) \log p]}{E_q[p/q]}

The second, compared with the mean log-density of the model's draws, shows
whether sampler and density belong together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp

from verisimile.core.arrays import Array
from verisimile.core.result import Estimate
from verisimile.density.protocol import DensityEstimator

__all__ = ["Proposal", "entropy_gap", "integral"]

_FREEDOM = 5.0
_CENTRES = 256


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """Student kernels with scale matrix ``root rootᵀ`` at `centres` ``(K, d)``."""

    centres: Array
    root: Array

    @classmethod
    def around(cls, draws: Array) -> Proposal:
        """Return kernels at the first draws, as wide as a kernel estimate would have them.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the draws lie in a subspace.
        """
        centres = draws[:_CENTRES]
        k, d = centres.shape
        # Silverman's width, and half as much again.
        width = 1.5 * (4.0 / ((d + 2.0) * k)) ** (1.0 / (d + 4.0))
        covariance = np.atleast_2d(np.cov(draws, rowvar=False))
        return cls(centres, width * np.linalg.cholesky(covariance))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` draws ``(n, d)``."""
        which = rng.integers(len(self.centres), size=n)
        normal = rng.standard_normal((n, self.centres.shape[1]))
        scale = np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, size=n))
        return self.centres[which] + (normal * scale[:, None]) @ self.root.T

    def log_prob(self, x: Array) -> Array:
        """Return log-densities ``(n,)``."""
        k, d = self.centres.shape
        white = np.linalg.solve(self.root, x.T).T
        nodes = np.linalg.solve(self.root, self.centres.T).T
        distance = ((white[:, None, :] - nodes) ** 2).sum(axis=2)
        half = 0.5 * (_FREEDOM + d)
        norm = gammaln(half) - gammaln(0.5 * _FREEDOM) - 0.5 * d * math.log(_FREEDOM * math.pi)
        norm -= float(np.log(np.diagonal(self.root)).sum())
        kernels = norm - half * np.log1p(distance / _FREEDOM)
        return np.asarray(logsumexp(kernels, axis=1) - math.log(k))


def integral(model: DensityEstimator, proposal: Proposal, x: Array) -> Estimate:
    """Return the integral of the model's density from draws `x` of the proposal."""
    ratio = np.exp(model.log_prob(x) - proposal.log_prob(x))
    return Estimate(float(ratio.mean()), float(ratio.std(ddof=1)) / math.sqrt(len(x)))


def entropy_gap(model: DensityEstimator, proposal: Proposal, x: Array, own: Array) -> Estimate:
    """Return mean log-density of the model's draws `own`, minus what it should be."""
    log_p = model.log_prob(x)
    inside = log_p > -np.inf
    log_p, ratio = log_p[inside], np.exp(log_p[inside] - proposal.log_prob(x[inside]))
    expected = float((ratio * log_p).sum() / ratio.sum())
    residual = ratio * (log_p - expected)
    error = math.sqrt(float((residual**2).sum())) / float(ratio.sum())
    seen = model.log_prob(own)
    spread = float(seen.std(ddof=1)) / math.sqrt(len(own))
    return Estimate(float(seen.mean()) - expected, math.hypot(error, spread))
