"""Fréchet distance between the Gaussians of two samples, of many relabelings at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.checks.twosample.weighted_moments import MomentSums, pair_chunk, subset_sums
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import InputError

__all__ = ["Frechet", "distance_of_sums", "gaussian_frechet"]


def gaussian_frechet(mean_1: Array, cov_1: Array, mean_2: Array, cov_2: Array) -> Array:
    r"""Return squared Fréchet (2-Wasserstein) distances between Gaussians, ``(R,)``.

    .. math:: d^2 = |\mu_1 - \mu_2|^2
              + \mathrm{tr}\big(S_1 + S_2 - 2 (S_1^{1/2} S_2 S_1^{1/2})^{1/2}\big)

    The trace of the root is the sum of the roots of the eigenvalues of a
    symmetric matrix: no square root of the non-symmetric :math:`S_1 S_2` is
    taken, which has spurious imaginary parts where the covariances are singular.

    Parameters
    ----------
    mean_1, mean_2
        ``(R, d)``.
    cov_1, cov_2
        Symmetric positive semi-definite, ``(R, d, d)``.

    References
    ----------
    D. C. Dowson, B. V. Landau, J. Multivariate Anal. 12 (1982) 450, eq. 16;
    as FID: M. Heusel et al., arXiv:1706.08500, eq. 6; as FPD: R. Kansal et al.,
    arXiv:2211.10295.
    """
    shift = ((mean_1 - mean_2) ** 2).sum(axis=1)
    traces = np.trace(cov_1, axis1=1, axis2=2) + np.trace(cov_2, axis1=1, axis2=2)
    root = _root(cov_1)
    spectrum = _positive(np.asarray(np.linalg.eigvalsh(root @ cov_2 @ root), dtype=np.float64))
    return np.asarray(shift + traces - 2.0 * np.sqrt(spectrum).sum(axis=1))


def distance_of_sums(first: MomentSums, second: MomentSums) -> Array:
    """Return the squared distance of each pair of subsets, ``(R,)``."""
    return gaussian_frechet(first.mean(), first.covariance(), second.mean(), second.covariance())


@dataclass(frozen=True, slots=True)
class Frechet:
    r"""Squared Fréchet distance of the two samples' means and unbiased covariances.

    It sees means, variances and correlations, and nothing else.  Its value is
    biased upwards: by :math:`(1/n + 1/m)(d + d(d + 1)/4)` for equal Gaussians of
    identity covariance.  Permutations share that bias, so the p-value is
    valid; for a value without it, see
    :func:`~verisimile.checks.twosample.extrapolation.frechet_distance`.

    References
    ----------
    As :func:`gaussian_frechet`.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> pooled = rng.normal(size=(400, 2))
    >>> prepared = Frechet().prepare(pooled, np.ones(400), rng)
    >>> bool(prepared.values(np.arange(400)[None] < 200)[0] < 0.1)
    True
    """

    @property
    def name(self) -> str:
        """Name in results."""
        return "frechet"

    @property
    def weights(self) -> str:
        """A covariance with negative weights need not be one."""
        return "positive"

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> PreparedFrechet:  # noqa: ARG002  (the protocol's)
        """Return the statistic of a pooled sample ``(N, d)`` with weights ``(N,)``.

        Raises
        ------
        InputError
            For negative weights.
        """
        if (weights < 0.0).any():
            raise InputError(
                "weights",
                got=f"{int((weights < 0.0).sum())} negative weights",
                expected="weights >= 0: the covariance of a signed sample need not be one",
                remedy="Use a statistic that takes signed weights, such as the kernel distance.",
            )
        centre = np.average(pooled, axis=0, weights=weights)
        return PreparedFrechet(pooled - centre, weights)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFrechet:
    """The pooled sample around its mean, so that sums of squares lose no digits."""

    centred: Array
    weights: Array

    def values(self, labels: BoolArray) -> Array:
        """Return the squared distance ``(R,)`` of relabelings ``(R, N)``."""
        everything = subset_sums(self.centred, self.weights, np.ones_like(labels[:1]))
        chunk = pair_chunk(self.centred.shape[1])
        parts = [labels[start : start + chunk] for start in range(0, labels.shape[0], chunk)]
        return np.concatenate([self._chunk(part, everything) for part in parts])

    def _chunk(self, labels: BoolArray, everything: MomentSums) -> Array:
        first = subset_sums(self.centred, self.weights, labels)
        return distance_of_sums(first, everything.without(first))


def _root(cov: Array) -> Array:
    values, vectors = np.linalg.eigh(cov)
    scaled = vectors * np.sqrt(_positive(values))[:, None, :]
    return np.asarray(scaled @ np.swapaxes(vectors, 1, 2))


def _positive(values: Array) -> Array:
    # Rounding alone makes an eigenvalue of eps * largest, whose root is not small.
    floor = np.finfo(np.float64).eps * values.shape[-1] * values[..., -1:]
    return np.where(values > floor, values, 0.0)
