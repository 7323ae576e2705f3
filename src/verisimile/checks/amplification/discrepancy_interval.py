"""Confidence intervals on a squared discrepancy, also where it is hardly different from zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array
from verisimile.samples.pair_sums import Kernel, kernel_matrix

_STEPS = 45
_SMALL = 3e-3  # of the largest variance
_RANGE = 30.0  # of the logarithm of what is varied


class Realised:
    r"""Intervals on the discrepancy that one given generator has.

    With d and c of the `Spectrum`, a hypothetical discrepancy :math:`D^2` is shared out
    over directions as d suggests, allowing for the noise of d,

    .. math:: \delta_l^2 = \rho^2 d_l^2 + \rho c_l \quad (\rho \le 1), \qquad
              \delta_l^2 = d_l^2 + c_l + (\rho - 1)\, c_l^2 / c_{\max} \quad (\rho > 1),

    with :math:`\sum_l \delta_l^2 = D^2`.  The first is the posterior mean of
    :math:`\delta_l^2` if true differences are spread like the noise; distance beyond that goes
    where noise may have hidden it.  The hypothesis is in the interval unless
    :math:`D^2_u = \sum_l (\delta_l + \sqrt{c_l} z_l)^2 - c_l` is less (or more) than the
    observed one in fewer than :math:`\alpha / 2` of draws of normal z.  Nothing here
    assumes that D² is far from zero, or near it.  With the plain :math:`\delta \propto d`
    the many directions that hold only noise would claim the distance for themselves,
    and intervals be too short.

    Parameters
    ----------
    spectrum, observed
        Differences and their noise; the unbiased discrepancy.
    rng, draws
        Normal draws; the same ones at every hypothesis.
    """

    def __init__(
        self, spectrum: Spectrum, observed: float, rng: np.random.Generator, *, draws: int = 4000
    ) -> None:
        roots = np.sqrt(spectrum.variances)
        noise = rng.normal(size=(draws, roots.size)) * roots
        rest = np.sqrt(spectrum.rest_variance) * rng.normal(size=draws)
        self._spectrum, self._observed = spectrum, observed
        self._large = spectrum.variances > _SMALL * spectrum.variances[-1]
        self._noise, self._single = noise[:, self._large], rng.normal(size=draws)
        self._null = (noise**2).sum(axis=1) - spectrum.variances.sum() + rest

    def interval(self, level: float) -> tuple[float, float]:
        """Return the limits of content `level`, cut at zero."""
        tail = 0.5 * (1.0 - level)
        return self._limit(1.0 - tail), self._limit(tail)

    def _limit(self, below: float) -> float:
        """Return the discrepancy at which the observed one is the quantile `below`."""
        if np.quantile(self._null, below) >= self._observed:
            return 0.0

        def values(log_rho: float) -> Array:
            return self._values(self._shared_out(log_rho))

        log_rho = _bisected(values, self._observed, below)
        return float((self._shared_out(log_rho) ** 2).sum())

    def _values(self, differences: Array) -> Array:
        """Return draws of the unbiased discrepancy."""
        small = ~self._large
        # Products with the many small noises add up to one normal number.
        rest = np.sqrt(self._spectrum.variances[small] @ differences[small] ** 2)
        products = self._noise @ differences[self._large] + rest * self._single
        return np.asarray(self._null + 2.0 * products + differences @ differences)

    def _shared_out(self, log_rho: float) -> Array:
        """Return hypothetical differences; their signs do not matter."""
        rho, d, c = np.exp(log_rho), self._spectrum.differences, self._spectrum.variances
        known = min(rho, 1.0)
        return np.asarray(np.sqrt(known**2 * d**2 + known * c + (rho - known) * c**2 / c[-1]))


class Repeated:
    r"""Intervals on 1/n_equiv of a way to train, from the generators of one or more trainings.

    A training is taken to err as a true sample of n_equiv events does, so that

    .. math:: \overline{D^2_u} \sim \frac1J \sum_{j,l} \lambda_l
        \Big(\sqrt{\tfrac{1}{n_\mathrm{equiv}} + \tfrac{1}{n_\mathrm{gen}}}\, z_{jl}
        + \tfrac{1}{\sqrt m} z_{0l}\Big)^2 - \lambda_l
        \Big(\tfrac{1}{n_\mathrm{gen}} + \tfrac1m\Big)

    with the holdout's noise z₀ common to all J.

    Parameters
    ----------
    spectrum
        Of any of the generators against the holdout.
    sizes
        Generated events of each and events of the holdout.
    trainings
        J.
    rng, draws
        Normal draws; the same ones at every hypothesis.
    """

    def __init__(
        self,
        spectrum: Spectrum,
        sizes: tuple[int, int],
        trainings: int,
        rng: np.random.Generator,
        *,
        draws: int = 4000,
    ) -> None:
        weights = spectrum.single
        shape = (draws, weights.size)
        mean = rng.normal(size=shape) / np.sqrt(trainings)
        square = mean**2
        if trainings > 1:
            square += rng.chisquare(trainings - 1, size=shape) / trainings
        common = rng.normal(size=shape)
        self._rest = spectrum.single_rest
        self._rest_square = max(0.0, spectrum.square - float((weights**2).sum()))
        self._normal, self._trainings = rng.normal(size=draws), trainings
        self._own = square @ weights
        self._mixed = (common * mean) @ weights
        self._common = (common**2) @ weights
        self._total = float(weights.sum())
        self._sizes = sizes

    def interval(self, observed: float, level: float) -> tuple[float, float]:
        """Return limits on 1/n_equiv given the mean unbiased discrepancy, cut at zero."""
        tail = 0.5 * (1.0 - level)
        return self._limit(observed, 1.0 - tail), self._limit(observed, tail)

    def error(self, inverse: float) -> float:
        """Return the standard deviation of the mean discrepancy at a value of 1/n_equiv."""
        return float(self._values(inverse).std())

    def _limit(self, observed: float, below: float) -> float:
        if np.quantile(self._values(0.0), below) >= observed:
            return 0.0
        return float(np.exp(_bisected(lambda log: self._values(np.exp(log)), observed, below)))

    def _values(self, inverse: float) -> Array:
        """Return draws of the mean discrepancy at a value of 1/n_equiv."""
        generated, holdout = self._sizes
        own = inverse + 1.0 / generated
        drawn = own * self._own + 2.0 * np.sqrt(own / holdout) * self._mixed
        known = (1.0 / generated + 1.0 / holdout) * self._total
        # The many small eigenvalues outside the features: a normal number.
        ours = (own**2 + 2.0 * own / holdout) / self._trainings + 1.0 / holdout**2
        rest = inverse * self._rest + np.sqrt(2.0 * self._rest_square * ours) * self._normal
        return np.asarray(drawn + self._common / holdout - known + rest)


def _bisected(values: Callable[[float], Array], observed: float, below: float) -> float:
    """Return the logarithm of the hypothesis whose draws have `observed` as quantile `below`."""
    low, high = -_RANGE, _RANGE
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if np.quantile(values(middle), below) < observed:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


_LEAST = 1e-9  # of the largest eigenvalue


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkFeatures:
    r"""Finite features whose scalar product is nearly the centred kernel.

    .. math:: \phi(x) = \Lambda^{-1/2} U^T H k(Z, x), \qquad H k(Z, Z) H = U \Lambda U^T

    with L landmarks Z and the centring H (Nyström).  Any kernel of a discrepancy
    becomes positive by the centring, which does not change the discrepancy.

    `landmarks` are ``(L, d)``, the `map` :math:`H U \Lambda^{-1/2}` is ``(L, r)``.
    """

    landmarks: Array
    map: Array
    kernel: Kernel

    @classmethod
    def of(cls, landmarks: Array, kernel: Kernel) -> LandmarkFeatures:
        """Return the features of landmarks ``(L, d)``."""
        matrix = kernel_matrix(landmarks, landmarks, kernel)
        np.fill_diagonal(matrix, kernel.diagonal)
        matrix = _centred(matrix)
        values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
        kept = values > _LEAST * values[-1]
        scaled = vectors[:, kept] / np.sqrt(values[kept])
        return cls(landmarks, scaled - scaled.mean(axis=0), kernel)

    def moments(self, x: Array) -> tuple[Array, Array]:
        """Return mean ``(r,)`` and covariance ``(r, r)`` of the features of events ``(n, d)``."""
        # Relative to the first landmark: adding a constant to the features changes neither
        # the covariance nor differences of means, but large constants would cost digits.
        features = kernel_matrix(x, self.landmarks, self.kernel) @ self.map
        return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    r"""Difference of mean features along the axes of its own noise.

    .. math:: D^2_u = \sum_l (d_l^2 - c_l), \qquad d_l \sim N(\delta_l, c_l)

    Attributes
    ----------
    differences
        d ``(r,)``.
    variances
        c ``(r,)``, ascending.
    single
        Eigenvalues of the covariance of one true event's features, ``(r,)``.
    rest_variance
        Variance of the discrepancy outside the features: many directions, none large.
    total, single_rest
        Trace :math:`E\,k(x, x) - E\,k(x, x')` of that covariance, and its part outside them.
    square
        Sum of squares of all its eigenvalues.
    """

    differences: Array
    variances: Array
    single: Array
    rest_variance: float
    total: float
    single_rest: float
    square: float

    @classmethod
    def of(
        cls,
        generated: Array,
        holdout: Array,
        features: LandmarkFeatures,
        total: float,
        square: float,
    ) -> Spectrum:
        """Return the spectrum of two samples whose `mean_square` and trace are known."""
        n, m = len(generated), len(holdout)
        first, spread = features.moments(generated)
        second, true_spread = features.moments(holdout)
        variances, axes = np.linalg.eigh(spread / n + true_spread / m)
        variances = np.maximum(variances, _LEAST * variances[-1])
        single = np.maximum(np.linalg.eigvalsh(true_spread), 0.0)
        return cls(
            differences=axes.T @ (first - second),
            variances=variances,
            single=single,
            rest_variance=2.0
            * max(0.0, square * (1.0 / n + 1.0 / m) ** 2 - float((variances**2).sum())),
            square=max(square, float((single**2).sum())),
            total=total,
            single_rest=max(0.0, total - float(single.sum())),
        )

    @property
    def error(self) -> float:
        """Standard error of the unbiased discrepancy at the estimated differences."""
        null = 2.0 * float((self.variances**2).sum()) + self.rest_variance
        excess = float((self.variances * (self.differences**2 - self.variances)).sum())
        return float(np.sqrt(null + 4.0 * max(0.0, excess)))

    @property
    def effective_dimensions(self) -> float:
        r""":math:`(\sum \lambda)^2 / \sum \lambda^2`: how many directions share the noise."""
        return float((self.single.sum() + self.single_rest) ** 2 / self.square)


def mean_square(first: Array, second: Array, kernel: Kernel) -> float:
    r"""Return :math:`\sum \lambda^2` of the centred kernel, from events of disjoint samples."""
    return float((_centred(kernel_matrix(first, second, kernel)) ** 2).mean())


def _centred(matrix: Array) -> Array:
    matrix = matrix - matrix.mean(axis=0)
    matrix -= matrix.mean(axis=1)[:, None]
    return matrix
