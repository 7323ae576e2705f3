"""Toy truths: densities that are known exactly and can be sampled exactly."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, ndtr

from verisimile.core.arrays import Array, as_matrix, as_vector, frozen
from verisimile.core.errors import InputError, require
from verisimile.core.random import Seeds

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True, slots=True)
class GaussianTruth:
    r"""Independent Gaussians: :math:`p(x) = \prod_j N(x_j; \mu_j, \sigma_j)`.

    Parameters
    ----------
    mu, sigma
        Means and standard deviations, length d.

    Examples
    --------
    >>> GaussianTruth((0.0,), (1.0,)).log_prob([[0.0]]).round(4)
    array([-0.9189])
    """

    mu: tuple[float, ...]
    sigma: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "mu", tuple(as_vector(self.mu, "mu").tolist()))
        sigma = as_vector(self.sigma, "sigma", length=len(self.mu))
        fine = len(sigma) and (sigma > 0).all()
        require(fine, "sigma", got=self.sigma, expected="positive numbers")
        object.__setattr__(self, "sigma", tuple(sigma.tolist()))

    @classmethod
    def paper(cls) -> GaussianTruth:
        """Return the two-dimensional Gaussian that Badaracco et al. study."""
        return cls((-0.5, 0.6), (0.25, 0.4))

    @property
    def n_features(self) -> int:
        """Return d."""
        return len(self.mu)

    def mean(self) -> Array:
        """Return the expectation ``(d,)``."""
        return frozen(self.mu)

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return the log-density ``(n,)``; minus infinity where it is below any double."""
        matrix = as_matrix(x, "x", columns=self.n_features)
        with np.errstate(over="ignore", under="ignore"):
            distance = (((matrix - self.mu) / self.sigma) ** 2).sum(axis=1)
        norm = np.log(self.sigma).sum() + 0.5 * self.n_features * _LOG_2PI
        return np.asarray(-0.5 * distance - norm)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return independent draws ``(n, d)``."""
        return np.asarray(rng.normal(self.mu, self.sigma, size=(n, self.n_features)))

    def moment(self, column: int, order: int) -> float:
        """Return the raw moment of one feature."""
        # E[x^k] = mu E[x^(k-1)] + (k - 1) sigma^2 E[x^(k-2)]
        before, value = 0.0, 1.0
        for k in range(1, order + 1):
            step = self.mu[column] * value + (k - 1) * self.sigma[column] ** 2 * before
            before, value = value, step
        return value

    def marginal_cdf(self, column: int, x: npt.ArrayLike) -> Array:
        """Return the distribution function of one feature at `x`."""
        return np.asarray(ndtr((np.asarray(x) - self.mu[column]) / self.sigma[column]))


@dataclass(frozen=True, slots=True)
class Camel:
    r"""Two humps in one dimension: :math:`\frac12 N(-c, \sigma) + \frac12 N(c, \sigma)`.

    References
    ----------
    Butter et al., *GANplifying event samples* (2021), section 2.
    """

    centre: float = 4.0
    width: float = 1.0

    def __post_init__(self) -> None:
        fine, got = self.centre >= 0 and self.width > 0, f"centre {self.centre}, width {self.width}"
        require(fine, "Camel", got=got, expected="a centre >= 0 and a width > 0")

    @property
    def n_features(self) -> int:
        """Return 1."""
        return 1

    def mean(self) -> Array:
        """Return the expectation ``(1,)``, zero."""
        return frozen([0.0])

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return the log-density ``(n,)``; minus infinity where it is below any double."""
        # By symmetry only the nearer hump's distance is large; the other is a correction.
        near = np.abs(as_matrix(x, "x", columns=1)[:, 0])
        with np.errstate(over="ignore", under="ignore"):
            hump = -0.5 * ((near - self.centre) / self.width) ** 2
            other = np.log1p(np.exp(-2 * near * self.centre / self.width**2))
        return np.asarray(hump + other - math.log(2 * self.width) - 0.5 * _LOG_2PI)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return independent draws ``(n, 1)``."""
        sign = np.where(rng.random(n) < 0.5, -1.0, 1.0)
        return np.asarray((rng.normal(self.centre, self.width, size=n) * sign)[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class GaussianMixtureTruth:
    r"""A Gaussian mixture: :math:`p(x) = \sum_k w_k N(x; \mu_k, \Sigma_k)`.

    Parameters
    ----------
    weights
        Positive, summing to one, ``(K,)``.
    means
        ``(K, d)``.
    covariances
        Positive definite, ``(K, d, d)``.
    """

    weights: Array
    means: Array
    covariances: Array
    _roots: Array = field(init=False, repr=False)
    _whiten: Array = field(init=False, repr=False)

    def __init__(
        self, weights: npt.ArrayLike, means: npt.ArrayLike, covariances: npt.ArrayLike
    ) -> None:
        object.__setattr__(self, "means", as_matrix(means, "means"))
        object.__setattr__(self, "weights", as_vector(weights, "weights", length=len(self.means)))
        fine = (self.weights > 0).all() and abs(self.weights.sum() - 1) <= 1e-9
        require(fine, "weights", got=self.weights, expected="positive numbers with sum one")
        object.__setattr__(self, "covariances", frozen(covariances))
        object.__setattr__(self, "_roots", _cholesky(self.covariances, *self.means.shape))
        object.__setattr__(self, "_whiten", frozen(np.linalg.inv(self._roots)))

    @property
    def n_features(self) -> int:
        """Return d."""
        return int(self.means.shape[1])

    def mean(self) -> Array:
        """Return the expectation ``(d,)``."""
        return np.asarray(self.weights @ self.means)

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return the log-density ``(n,)``; minus infinity where it is below any double."""
        matrix = as_matrix(x, "x", columns=self.n_features)
        terms = np.empty((len(matrix), len(self.weights)))
        for k, (centre, whiten) in enumerate(zip(self.means, self._whiten, strict=True)):
            terms[:, k] = -0.5 * _squared_norm(matrix - centre, whiten)
        volume = np.log(np.diagonal(self._roots, axis1=1, axis2=2)).sum(axis=1)
        terms += np.log(self.weights) - volume - 0.5 * self.n_features * _LOG_2PI
        return np.asarray(logsumexp(terms, axis=1))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return independent draws ``(n, d)``."""
        which = rng.choice(len(self.weights), size=n, p=self.weights)
        normal = rng.standard_normal((n, self.n_features))
        return np.asarray(self.means[which] + np.einsum("nij,nj->ni", self._roots[which], normal))


@dataclass(frozen=True, slots=True)
class RingOfEight:
    r"""Eight sharp-edged discs on a circle of radius 5, equally weighted.

    Disc i is an isotropic Gaussian of **variance** (not width)
    :math:`s_i = 0.3125\,(1 + 0.5\,(u_i - 0.5))` around its centre
    :math:`c_i`, truncated at :math:`\|x - c_i\| \le 3 s_i`, which keeps the
    fraction :math:`1 - e^{-9 s_i / 2}` of it.

    Parameters
    ----------
    u
        The eight :math:`u_i` in [0, 1].

    References
    ----------
    The ring data set of Morales et al., as its published generator makes it:
    the text calls :math:`s_i` a standard deviation.
    """

    u: tuple[float, ...] = (0.5,) * 8

    def __post_init__(self) -> None:
        u = as_vector(self.u, "u", length=8)
        inside = ((u >= 0) & (u <= 1)).all()
        require(inside, "u", got=self.u, expected="eight numbers in [0, 1]")
        object.__setattr__(self, "u", tuple(u.tolist()))

    @classmethod
    def published(cls, seeds: Seeds) -> RingOfEight:
        """Return a ring with uniform random :math:`u_i`, as in the publication."""
        return cls(tuple(seeds.at("ring of eight").numpy().random(8).tolist()))

    @property
    def n_features(self) -> int:
        """Return 2."""
        return 2

    @property
    def variances(self) -> Array:
        """Return the :math:`s_i`, ``(8,)``."""
        return 0.3125 * (1 + 0.5 * (np.asarray(self.u) - 0.5))

    @property
    def centres(self) -> Array:
        """Return the :math:`c_i`, ``(8, 2)``."""
        angles = 2 * np.pi * np.arange(8) / 8
        return 5.0 * np.column_stack([np.cos(angles), np.sin(angles)])

    def mean(self) -> Array:
        """Return the expectation ``(2,)``, zero: every disc is symmetric about its centre."""
        return frozen([0.0, 0.0])

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return the log-density ``(n,)``; minus infinity outside all discs."""
        matrix = as_matrix(x, "x", columns=2)
        s = self.variances
        with np.errstate(over="ignore", under="ignore"):
            delta = matrix[:, None, :] - self.centres
            distance = np.hypot(delta[..., 0], delta[..., 1])
            gauss = -0.5 * distance**2 / s - np.log(2 * np.pi * s) - np.log(self._kept(s))
        # The discs are disjoint, so that at most one term is finite.
        return np.asarray(np.where(distance <= 3 * s, gauss, -np.inf).max(axis=1) - math.log(8))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return independent draws ``(n, 2)``, radii by inverting their distribution."""
        which = rng.integers(8, size=n)
        s = self.variances[which]
        radius = np.sqrt(-2 * s * np.log1p(-rng.random(n) * self._kept(s)))
        # Rounding of centre + offset must not carry a draw over the edge of its disc.
        radius = np.minimum(radius, 3 * s * (1 - 2.0**-40))
        angle = 2 * np.pi * rng.random(n)
        offset = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        return np.asarray(self.centres[which] + offset)

    @staticmethod
    def _kept(s: Array) -> Array:
        return -np.expm1(-4.5 * s)


def _cholesky(covariances: Array, count: int, d: int) -> Array:
    shape = covariances.shape
    expected = f"shape {(count, d, d)}"
    require(shape == (count, d, d), "covariances", got=f"shape {shape}", expected=expected)
    with contextlib.suppress(np.linalg.LinAlgError):
        if np.allclose(covariances, covariances.swapaxes(1, 2), rtol=1e-12):
            return frozen(np.linalg.cholesky(covariances))
    raise InputError(
        "covariances", got="a matrix that is not", expected="symmetric, positive definite matrices"
    )


def _squared_norm(delta: Array, whiten: Array) -> Array:
    """Return ``|whiten · delta|²`` per row without inf − inf for huge rows."""
    largest = np.abs(delta).max(axis=1)
    size = np.where(largest > 1e100, largest, 1.0)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray((((delta / size[:, None]) @ whiten.T) ** 2).sum(axis=1) * size * size)
