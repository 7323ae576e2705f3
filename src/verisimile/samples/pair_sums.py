"""Sums of a kernel over pairs of events: of all of them in blocks, or in linear time by waves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from scipy import special
from scipy.spatial.distance import cdist, pdist

from verisimile.core.arrays import Array
from verisimile.core.errors import require
from verisimile.samples.pool import Labels

Kernels = Callable[[Array], list[Array]]
"""Squared distances ``(a, b)`` to J kernel matrices of the same shape."""

KEPT_EVENTS = 10_000  # 400 MiB of kernel in memory
_STRIP_ENTRIES = 2_000_000  # 16 MiB
_FEWEST_ROWS = 32


def row_blocks(n: int, width: int, entries: int, *, least: int = 16) -> Iterator[slice]:
    """Return slices of n rows of `width` numbers, some `entries` in each but `least` rows."""
    step = max(least, entries // width)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    r"""Kernel sums :math:`\sum w_i w_j k(x_i, x_j)` of each kernel and relabeling, all ``(J, R)``.

    Attributes
    ----------
    first, second
        Over pairs within a sample, an event with itself included.
    across
        Over pairs of one event of each.
    """

    first: Array
    second: Array
    across: Array


@dataclass(slots=True, eq=False)
class Pairs:
    r"""Kernels of all pairs of pooled events, in strips of the upper triangle.

    With weights u of the first sample (zero elsewhere) and w of all,

    .. math:: S_{11} = u^T K u, \quad S_{12} = u^T K w - S_{11}, \quad
              S_{22} = w^T K w - 2 u^T K w + S_{11},

    so that R relabelings cost one product ``(R + 1, N) @ (N, N)``, and half of it
    by symmetry.  Every kernel entry is computed once for a call, whatever R is.
    Up to `kept` events the strips also stay in memory for the next call; beyond,
    a strip is gone once it is used, and memory is that of the labels.

    Attributes
    ----------
    x
        Coordinates ``(N, d)``.
    weights
        ``(N,)``.
    kernels
        From squared distances to J kernels.
    kept
        Most events whose kernels stay in memory, N² / 2 numbers each.
    """

    x: Array
    weights: Array
    kernels: Kernels
    kept: int = KEPT_EVENTS
    _strips: list[list[Array]] = field(default_factory=list, init=False, repr=False)

    def sums(self, labels: Labels) -> Sums:
        """Return the pair sums of relabelings ``(R, N)``."""
        mine = np.vstack([np.where(labels, self.weights, 0.0), self.weights])
        within: list[Array] = []
        cross: list[Array] = []
        for start, strips in self._walk():
            for j, strip in enumerate(strips):
                if len(within) <= j:
                    within.append(np.zeros(len(mine)))
                    cross.append(np.zeros(len(mine)))
                _add(within[j], cross[j], mine, strip, start)
        return _resolved(np.array(within), np.array(cross))

    def quadratic(self, signed: Array) -> Array:
        """Return v'Kv of each kernel and row of signed masses v ``(R, N)``, ``(J, R)``."""
        total: list[Array] = []
        for start, strips in self._walk():
            for j, strip in enumerate(strips):
                if len(total) <= j:
                    total.append(np.zeros(len(signed)))
                product = signed[:, start:] @ strip.T
                here = signed[:, start : start + len(strip)]
                total[j] += 2.0 * np.einsum("rb,rb->r", here, product)
        return np.array(total)

    def _walk(self) -> Iterator[tuple[int, list[Array]]]:
        rows = max(_FEWEST_ROWS, _STRIP_ENTRIES // len(self.x))
        starts = range(0, len(self.x), rows)
        if self._strips:
            yield from zip(starts, self._strips, strict=True)
            return
        keeping = len(self.x) <= self.kept
        made = []
        for start in starts:
            strips = self._strip(start, rows)
            if keeping:
                made.append(strips)
            yield start, strips
        self._strips = made

    def _strip(self, start: int, rows: int) -> list[Array]:
        """Return kernels of some events with those from them on, the diagonal block halved."""
        block = self.x[start : start + rows]
        strips = self.kernels(cdist(block, self.x[start:], "sqeuclidean"))
        for strip in strips:
            strip[:, : len(block)] *= 0.5
        return strips


def _add(within: Array, cross: Array, mine: Array, strip: Array, start: int) -> None:
    """Add a strip's share of u'Ku to `within` and of u'Kw to `cross`, for all rows u."""
    product = mine[:, start:] @ strip.T
    here = mine[:, start : start + len(strip)]
    within += 2.0 * np.einsum("rb,rb->r", here, product)
    cross += here @ product[-1] + product @ here[-1]


def _resolved(within: Array, cross: Array) -> Sums:
    first, total, mixed = within[:, :-1], within[:, -1:], cross[:, :-1]
    return Sums(first=first, second=total - 2.0 * mixed + first, across=mixed - first)


@dataclass(frozen=True, slots=True, eq=False)
class Masses:
    r"""Sums of weights and of their squares of each relabeling, all ``(R,)``.

    A sample whose weights have no positive sum cannot be normalised: NaN,
    which makes the statistic of such a relabeling count as extreme.
    """

    first: Array
    second: Array
    first_squares: Array
    second_squares: Array

    @classmethod
    def of(cls, labels: Labels, weights: Array) -> Masses:
        """Return the masses of relabelings ``(R, N)`` of weights ``(N,)``."""
        if (weights == 1.0).all():
            first = squares = np.count_nonzero(labels, axis=1).astype(np.float64)
        else:
            first, squares = labels @ weights, labels @ weights**2
        return cls(
            _positive(first),
            _positive(weights.sum() - first),
            squares,
            (weights**2).sum() - squares,
        )

    def mean_across(self, across: Array) -> Array:
        """Return the mean over pairs of one event of each sample."""
        return np.asarray(across / (self.first * self.second))

    def mean_within(self, first: Array, second: Array) -> tuple[Array, Array]:
        r"""Return the means over pairs of different events of one sample.

        .. math:: \sum_{i \ne j} w_i w_j k_{ij} / ((\sum w)^2 - \sum w^2)

        from sums that hold no pair of an event with itself.
        """
        return (
            np.asarray(first / _positive(self.first**2 - self.first_squares)),
            np.asarray(second / _positive(self.second**2 - self.second_squares)),
        )


def _positive(values: Array) -> Array:
    return np.where(values > 0.0, values, np.nan)


_WAVE_ENTRIES = 1_000_000  # 4 MiB of cosines, and of sines, at a time
_FINE = 2.0**14  # cosines and sines are multiples of one over this
_EXACT = 1_024  # events whose sum float32 holds exactly: of its 24 bits 14 are behind the point


@dataclass(frozen=True, slots=True, eq=False)
class Waves:
    r"""Kernels that are means of waves, of all pairs of pooled events.

    .. math:: k_j(x, y) = c_j + \sum_f m_{jf} \cos \omega_f \cdot (x - y), \qquad
              \sum_{il} u_i u_l k_j(x_i, x_l)
              = c_j \Big(\sum_i u_i\Big)^2
              + \sum_f m_{jf} \Big|\sum_i u_i e^{i \omega_f \cdot x_i}\Big|^2

    Time goes with the number of events, and every event counts.  Cosines and sines are rounded
    to multiples of 2^-14, no more than 3e-5 away, which makes their sums over a thousand
    unweighted events exact in float32: products take half of the time, and no p-value depends
    on it, nor on the order of a sum.

    Attributes
    ----------
    x
        Coordinates ``(N, d)``.
    weights
        ``(N,)``.
    frequencies
        :math:`\omega`, ``(F, d)``.
    measure
        m ``(J, F)``.
    constant
        c ``(J,)``.

    References
    ----------
    A. Rahimi, B. Recht, NeurIPS 20 (2007) 1177.
    """

    x: Array
    weights: Array
    frequencies: Array
    measure: Array
    constant: Array

    def sums(self, labels: Labels) -> Sums:
        """Return the pair sums of relabelings ``(R, N)``, as :class:`Pairs` does."""
        count, plain = len(self.frequencies), bool((self.weights == 1.0).all())
        chosen, total = np.zeros((len(labels), 2 * count)), np.zeros(2 * count)
        for rows, waves in self._waves():
            if plain:
                chosen += labels[:, rows].astype(np.float32) @ waves
                total += waves.sum(axis=0, dtype=np.float64)
            else:
                scaled = waves * self.weights[rows, None]
                chosen += labels[:, rows].astype(np.float64) @ scaled
                total += scaled.sum(axis=0)
        mass, other = Masses.of(labels, self.weights), total - chosen
        return Sums(
            first=self._kernel(chosen, chosen) + self.constant[:, None] * mass.first**2,
            second=self._kernel(other, other) + self.constant[:, None] * mass.second**2,
            across=self._kernel(chosen, other)
            + self.constant[:, None] * (mass.first * mass.second),
        )

    def quadratic(self, signed: Array) -> Array:
        """Return v'Kv ``(J, R)`` of rows of signed masses with the sum zero ``(R, N)``."""
        total = np.zeros((len(signed), 2 * len(self.frequencies)))
        for rows, waves in self._waves():
            total += signed[:, rows] @ waves.astype(np.float64)
        return self._kernel(total, total)

    def _kernel(self, left: Array, right: Array) -> Array:
        cosines, sines = np.split(left * right, 2, axis=1)
        return np.asarray(self.measure @ (cosines + sines).T)

    def _waves(self) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
        count = len(self.frequencies)
        entries = min(_WAVE_ENTRIES, _EXACT * count)
        for rows in row_blocks(len(self.x), count, entries, least=64):
            phase = (self.x[rows] @ self.frequencies.T).astype(np.float32)
            waves = np.empty((len(phase), 2 * count), dtype=np.float32)
            np.cos(phase, out=waves[:, :count])
            np.sin(phase, out=waves[:, count:])
            waves *= _FINE
            np.rint(waves, out=waves)
            waves /= _FINE
            yield rows, waves


def check_waves(count: int) -> None:
    """Raise unless a kernel can be a mean of so many waves."""
    require(count >= 1, "waves", got=count, expected="at least one wave")


def gaussian_waves(
    x: Array, weights: Array, widths: tuple[float, ...], count: int, rng: np.random.Generator
) -> Waves:
    r"""Return J kernels :math:`e^{-|x - y|^2 / 2 h_j^2}`, each a mean of `count` waves.

    Frequencies of a width h are normal with the standard deviation 1/h, in orthogonal
    directions as far as there are.
    """
    d = x.shape[1]
    parts = [
        _directions(count, d, rng) * (np.sqrt(rng.chisquare(d, size=count)) / width)[:, None]
        for width in widths
    ]
    measure = np.kron(np.eye(len(widths)), np.full((1, count), 1.0 / count))
    return Waves(x, weights, np.concatenate(parts), measure, np.zeros(len(widths)))


def distance_waves(x: Array, weights: Array, count: int, rng: np.random.Generator) -> Waves:
    r"""Return the kernel :math:`\|x - y\|`, up to what distinguishes `count` waves from all.

    .. math:: \|z\| = \frac{A_d}{C_d} \int d\theta \int_0^\infty ds\,
              \big(1 - \cos(\theta \cdot z / s)\big), \qquad
              \frac{A_d}{C_d} = \frac{2\,\Gamma((d + 1)/2)}{\sqrt\pi\,\Gamma(d/2)}

    with directions uniform on the sphere and s, one over the radius of a frequency, half
    Cauchy in equal strata: wave lengths of all sizes, those far beyond the sample as well.

    References
    ----------
    G. J. Székely, M. L. Rizzo, J. Stat. Plan. Inference 143 (2013) 1249 (the energy
    distance as an integral over characteristic functions).
    """
    d = x.shape[1]
    # The middle of each stratum: the last of them would otherwise have any weight.
    scale = np.tan(0.5 * np.pi * (rng.permutation(count) + 0.5) / count)
    ratio = np.exp(special.gammaln(0.5 * (d + 1)) - special.gammaln(0.5 * d))
    measure = np.sqrt(np.pi) * ratio * (1.0 + scale**2) / count
    frequencies = _directions(count, d, rng) / scale[:, None]
    return Waves(x, weights, frequencies, -measure[None], np.array([measure.sum()]))


def _directions(count: int, d: int, rng: np.random.Generator) -> Array:
    """Return unit vectors ``(count, d)`` uniform on the sphere, orthogonal in groups of d."""
    groups = rng.normal(size=(-(-count // d), d, d))
    turned, upper = np.linalg.qr(groups)
    signs = np.sign(np.diagonal(upper, axis1=1, axis2=2))
    return np.asarray((turned * signs[:, None, :]).transpose(0, 2, 1).reshape(-1, d)[:count])


_ENTRIES = 500_000  # 4 MB: a block stays near the processor


class Kernel(Protocol):
    """A kernel of the distance of two events."""

    @property
    def diagonal(self) -> float:
        """Return k(x, x)."""

    def of(self, squared: Array) -> Array:
        """Return k at squared distances, which may be overwritten."""


@dataclass(frozen=True, slots=True)
class Energy:
    r"""The kernel of the energy distance, :math:`-\|x - y\|`."""

    diagonal: ClassVar[float] = 0.0

    def of(self, squared: Array) -> Array:
        """Return the negative distance."""
        np.sqrt(squared, out=squared)
        return np.negative(squared, out=squared)


@dataclass(frozen=True, slots=True)
class Gaussian:
    r"""The kernel :math:`\exp(-\|x - y\|^2 / 2 h^2)` of bandwidth h."""

    diagonal: ClassVar[float] = 1.0

    bandwidth: float

    def of(self, squared: Array) -> Array:
        """Return the Gaussian of the distance."""
        squared *= -0.5 / self.bandwidth**2
        return np.exp(squared, out=squared)


@dataclass(frozen=True, slots=True)
class PairMeans:
    """Mean kernels over pairs of different events.

    Attributes
    ----------
    first, second
        Within each sample.
    across
        Over pairs of one event of each.
    """

    first: float
    second: float
    across: float

    @classmethod
    def of(cls, first: Array, second: Array, kernel: Kernel) -> PairMeans:
        """Return the means of samples ``(n, d)`` and ``(m, d)`` in common coordinates."""
        n, m = len(first), len(second)
        return cls(
            first=2.0 * _total(first, first, kernel, within=True) / (n * (n - 1)),
            second=2.0 * _total(second, second, kernel, within=True) / (m * (m - 1)),
            across=_total(first, second, kernel, within=False) / (n * m),
        )

    @property
    def discrepancy(self) -> float:
        """The unbiased squared discrepancy; it may be negative."""
        return self.first + self.second - 2.0 * self.across


def kernel_matrix(first: Array, second: Array, kernel: Kernel) -> Array:
    """Return the kernel of all pairs ``(n, m)``."""
    return kernel.of(_squares(first, second))


def median_distance(x: Array) -> float:
    """Return the median distance of different events, of those that are not zero."""
    apart = pdist(x)
    apart = apart[apart > 0.0]
    return float(np.median(apart)) if apart.size else 1.0


def _total(first: Array, second: Array, kernel: Kernel, *, within: bool) -> float:
    """Return the sum over all pairs; within one sample over each pair of different ones once."""
    total = 0.0
    for rows in row_blocks(len(first), len(second), _ENTRIES):
        beyond = rows.stop if within else 0
        total += float(kernel_matrix(first[rows], second[beyond:], kernel).sum())
        if within:
            block = kernel_matrix(first[rows], first[rows], kernel)
            total += 0.5 * float(block.sum() - np.trace(block))
    return total


def _squares(first: Array, second: Array) -> Array:
    """Return squared distances; a product of matrices, as coordinates are of order one."""
    squares = first @ (-2.0 * second.T)
    squares += (first * first).sum(axis=1)[:, None]
    squares += (second * second).sum(axis=1)
    return np.maximum(squares, 0.0, out=squares)
