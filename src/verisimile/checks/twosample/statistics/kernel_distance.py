"""Kernel distance (KPD, KID): unbiased squared MMD with a polynomial kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import comb, factorial
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import linalg

from verisimile.checks.twosample.statistics.protocol import in_battery
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate
from verisimile.data.events import match_features
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import NormalScores
from verisimile.samples.moments import checked_sample, jackknife_error, membership
from verisimile.samples.pair_sums import row_blocks
from verisimile.samples.pool import MassRows

_BLOCKS = 32
_ENTRIES = 1 << 22
_FEWEST_EFFECTIVE, _QUADRATIC = 50.0, 2


@dataclass(frozen=True, slots=True, eq=False)
class _PairSums:
    r"""Sums that determine the statistic, one entry per relabeling ``(R,)``.

    Attributes
    ----------
    weight, square
        :math:`W = \sum w` and :math:`\sum w^2` of one sample.
    own
        :math:`\sum_{ij} w_i w_j k_{ij}`, the diagonal included.
    diagonal
        :math:`\sum_i w_i^2 k_{ii}`.
    """

    weight: Array
    square: Array
    own: Array
    diagonal: Array

    def mean(self) -> Array:
        return np.asarray((self.own - self.diagonal) / (self.weight**2 - self.square))


def _unbiased(first: _PairSums, second: _PairSums, across: Array) -> Array:
    return np.asarray(first.mean() + second.mean() - 2.0 * across / (first.weight * second.weight))


@dataclass(frozen=True, slots=True)
class KernelDistance:
    r"""Unbiased squared MMD with the kernel :math:`k(x, y) = (x \cdot y / d + 1)^p`.

    .. math:: D^2 = \frac{\sum_{i \ne j} w_i w_j k(x_i, x_j)}{W_x^2 - \sum w_i^2}
              + \frac{\sum_{i \ne j} v_i v_j k(y_i, y_j)}{W_y^2 - \sum v_i^2}
              - \frac{2 \sum_{ij} w_i v_j k(x_i, y_j)}{W_x W_y}

    It compares all moments up to order p, with p = 3 for the KID and 4 for
    JetNet's KPD.  While there are fewer monomials than events, the sums over
    pairs come from sums over events: memory and time are linear.  Else blocks of
    the Gram matrix are used, in quadratic time.

    References
    ----------
    M. Binkowski et al., arXiv:1801.01401, sec. 4 (KID); R. Kansal et al.,
    arXiv:2211.10295 (KPD); A. Gretton et al., JMLR 13 (2012) 723, eq. 3.
    """

    name: ClassVar[str] = "kernel distance"
    weights: ClassVar[str] = "signed"

    degree: int = 3

    @property
    def fewest_effective(self) -> float:
        """With weights, 50 above the second degree: moments of that order rest on few events."""
        return _FEWEST_EFFECTIVE if self.degree > _QUADRATIC else 0.0

    def prepare(
        self, pooled: Array, weights: Array, rng: np.random.Generator
    ) -> PreparedKernelDistance:
        """Return the statistic of a pooled sample ``(N, d)`` with weights ``(N,)``."""
        kernel = PolynomialKernel(pooled.shape[1], _checked_degree(self.degree))
        return PreparedKernelDistance(pooled, weights, kernel, int(rng.integers(2**63)))


@dataclass(frozen=True, slots=True, eq=False)
class PreparedKernelDistance:
    """The pooled sample and its kernel; nothing of quadratic size is kept."""

    pooled: Array
    weights: Array
    kernel: PolynomialKernel
    seed: int

    def values(self, labels: BoolArray) -> Array:
        """Return the squared MMD ``(R,)`` of relabelings ``(R, N)``."""
        n = self.pooled.shape[0]
        own, cross, total = (self._explicit if self.kernel.size < n else self._gram)(labels)
        first, second = self._both(labels, own, total - 2.0 * cross + own)
        return _unbiased(first, second, cross - own)

    def of_masses(self, rows: MassRows) -> Array:
        """Return v'Kv of each row v of signed masses ``(R,)``, pairs of an event with itself in."""
        signed = rows.signed
        if self.kernel.size < self.pooled.shape[0]:
            sums = np.zeros((len(signed), self.kernel.size))
            for part in _rows(self.pooled, len(signed)):
                sums += self.kernel.sums(self.pooled[part], signed[:, part].T)
            return np.asarray((sums**2).sum(axis=1))
        total = np.zeros(len(signed))
        for part in _rows(self.pooled):
            block = self.kernel.gram(self.pooled[part], self.pooled)
            total += np.einsum("rb,rb->r", signed[:, part], signed @ block.T)
        return total

    def details(self, labels: BoolArray) -> Mapping[str, float]:
        """Return the error for one labeling ``(1, N)``; nothing if a sample is too small."""
        chosen = labels[0]
        if min(chosen.sum(), (~chosen).sum()) < 2 * _BLOCKS:
            return {}
        found = kernel_distance(
            self.pooled[chosen],
            self.pooled[~chosen],
            np.random.default_rng(self.seed),
            reference_weights=self.weights[chosen],
            generated_weights=self.weights[~chosen],
            degree=self.kernel.degree,
        )
        return {"error": found.error}

    def _explicit(self, labels: BoolArray) -> tuple[Array, Array, float]:
        """Return a'Ka, a'K1 and 1'K1 for weighted labels a, from the monomials' sums."""
        chosen = np.zeros((labels.shape[0], self.kernel.size))
        for rows in _rows(self.pooled, labels.shape[0]):
            chosen += self.kernel.sums(self.pooled[rows], (labels[:, rows] * self.weights[rows]).T)
        everything = self.kernel.sums(self.pooled, self.weights[:, None])[0]
        own = np.einsum("rp,rp->r", chosen, chosen)
        return own, chosen @ everything, float(everything @ everything)

    def _gram(self, labels: BoolArray) -> tuple[Array, Array, float]:
        own, cross, total = np.zeros(labels.shape[0]), np.zeros(labels.shape[0]), 0.0
        whole = labels.T.astype(np.float64)
        for rows in _rows(self.pooled):
            block = self.kernel.gram(self.pooled[rows], self.pooled) * self.weights
            w = self.weights[rows]
            chosen = labels[:, rows] * w
            # (rows, R): what each event of the block sees of the first sample.
            own += np.einsum("rb,br->r", chosen, block @ whole)
            seen = block.sum(axis=1)
            cross += chosen @ seen
            total += float(w @ seen)
        return own, cross, total

    def _both(self, labels: BoolArray, own: Array, other: Array) -> tuple[_PairSums, _PairSums]:
        w = self.weights
        columns = np.stack([w, w**2, w**2 * self.kernel.diagonal(self.pooled)], axis=1)
        first = np.zeros((labels.shape[0], columns.shape[1]))
        for rows in _rows(columns, labels.shape[0]):
            first += labels[:, rows].astype(np.float64) @ columns[rows]
        second = columns.sum(axis=0) - first
        return (
            _PairSums(first[:, 0], first[:, 1], own, first[:, 2]),
            _PairSums(second[:, 0], second[:, 1], other, second[:, 2]),
        )


def kernel_distance(
    reference: EventsLike,
    generated: EventsLike,
    rng: np.random.Generator,
    *,
    reference_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    degree: int = 3,
    blocks: int = _BLOCKS,
) -> Estimate:
    r"""Return the kernel distance of two samples and its error.

    The value is :class:`KernelDistance` of *all* events, each pair once: it needs
    no extrapolation, :math:`E[D^2]` is the squared MMD at any size.  (Batches
    drawn with replacement contain pairs of an event with itself and are biased
    by :math:`(E k(x,x) - E k(x,x')) (1/n + 1/m)`; the median of batches is
    negative for equal distributions.)  The error is the jackknife over disjoint
    random blocks of both samples: right for distances that differ from zero, up
    to :math:`\sqrt 2` too large for equal distributions.

    Parameters
    ----------
    reference, generated
        Features ``(n, d)`` and ``(m, d)``, scaled with the same numbers.
    rng
        Divides the samples into blocks.
    reference_weights, generated_weights
        Event weights, by default those of the events of any sign, with a positive sum.
    degree
        p of the kernel.
    blocks
        At least 4.

    Raises
    ------
    InputError
        For unusable samples, a degree below 1, or blocks of fewer than two events.

    References
    ----------
    As :class:`KernelDistance`; B. Efron, C. Stein, Ann. Stat. 9 (1981) 586.
    """
    first, second = comparable(reference=reference, generated=generated)
    second = match_features(second, first.features)
    ours = first.weights if reference_weights is None else reference_weights
    theirs = second.weights if generated_weights is None else generated_weights
    x, wx = checked_sample(first.x, ours, "reference", blocks)
    y, wy = checked_sample(second.x, theirs, "generated", blocks)
    kernel = PolynomialKernel(x.shape[1], _checked_degree(degree))
    members = [membership(z.shape[0], blocks, rng) for z in (x, y)]
    pooled, weights = np.vstack([x, y]), np.concatenate([wx, wy])
    sums = _BlockSums.of(kernel, pooled, weights, linalg.block_diag(*members))
    replicas = sums.distances(np.tile(1.0 - np.eye(blocks), (1, 2)))
    value = float(sums.distances(np.ones((1, 2 * blocks)))[0])
    return Estimate(value, jackknife_error(replicas))


@dataclass(frozen=True, slots=True, eq=False)
class _BlockSums:
    """Kernel sums between blocks ``(2B, 2B)``; and W, sum of squares, diagonal ``(2B, 3)``."""

    pairs: Array
    columns: Array

    @classmethod
    def of(
        cls, kernel: PolynomialKernel, pooled: Array, weights: Array, member: BoolArray
    ) -> _BlockSums:
        columns = np.stack([weights, weights**2, weights**2 * kernel.diagonal(pooled)], axis=1)
        pairs = _explicit_pairs if kernel.size < pooled.shape[0] else _gram_pairs
        sums = np.array([columns[block].sum(axis=0) for block in member])
        return cls(pairs(kernel, pooled, weights, member), sums)

    def distances(self, kept: Array) -> Array:
        """Return the statistic of the blocks that are kept ``(K, 2B)``."""
        half = kept.shape[1] // 2
        sides = [kept.copy(), kept.copy()]
        sides[0][:, half:] = 0.0
        sides[1][:, :half] = 0.0
        first, second = (self._side(side) for side in sides)
        across = np.einsum("ka,ab,kb->k", sides[0], self.pairs, sides[1])
        return _unbiased(first, second, across)

    def _side(self, side: Array) -> _PairSums:
        own = np.einsum("ka,ab,kb->k", side, self.pairs, side)
        weight, square, diagonal = (side @ self.columns).T
        return _PairSums(weight, square, own, diagonal)


def _explicit_pairs(
    kernel: PolynomialKernel, pooled: Array, weights: Array, member: BoolArray
) -> Array:
    # Block by block: the weights of all blocks at all events would be a table of mostly zeros.
    sums = [kernel.sums(pooled[block], weights[block, None])[0] for block in member]
    return np.asarray(np.array(sums) @ np.array(sums).T)


def _gram_pairs(
    kernel: PolynomialKernel, pooled: Array, weights: Array, member: BoolArray
) -> Array:
    chosen = member * weights
    pairs = np.zeros((chosen.shape[0], chosen.shape[0]))
    for rows in _rows(pooled):
        pairs += chosen[:, rows] @ (kernel.gram(pooled[rows], pooled) @ chosen.T)
    return pairs


def _rows(x: Array, width: int | None = None) -> Iterator[slice]:
    """Return slices of rows such that (rows, width), or (rows, n), stays in working memory."""
    return row_blocks(len(x), len(x) if width is None else width, _ENTRIES, least=64)


def _checked_degree(degree: int) -> int:
    if degree < 1:
        raise InputError("degree", got=degree, expected="an integer >= 1")
    return degree


_NEAR = 1 << 18  # monomials of a block of events: 2 MiB, near the processor


class PolynomialKernel:
    r"""The kernel :math:`k(x, y) = (x \cdot y / d + 1)^p` and its monomials.

    With :math:`\tilde x = (1, x / \sqrt d)` the kernel is :math:`(\tilde x \cdot
    \tilde y)^p = \varphi(x) \cdot \varphi(y)`, where

    .. math:: \varphi_\alpha(x) = \sqrt{p! / \alpha!}\; \tilde x^\alpha, \quad |\alpha| = p

    has :math:`\binom{d + p}{p}` components: 286 for ten features and p = 3.

    Parameters
    ----------
    d
        Number of features.
    degree
        p, at least 1.
    """

    def __init__(self, d: int, degree: int) -> None:
        self.d = d
        self.degree = degree

    @property
    def size(self) -> int:
        """Number of monomials."""
        return comb(self.d + self.degree, self.degree)

    def gram(self, x: Array, y: Array) -> Array:
        """Return the kernel between all pairs, ``(n, m)``."""
        return np.asarray((x @ y.T / self.d + 1.0) ** self.degree)

    def diagonal(self, x: Array) -> Array:
        """Return the kernel of each event with itself, ``(n,)``."""
        return np.asarray(((x * x).sum(axis=1) / self.d + 1.0) ** self.degree)

    def monomials(self, x: Array) -> Array:
        """Return the monomials ``(P, n)`` of events ``(n, d)``."""
        return self._products(x) * _plan(self.d + 1, self.degree)[1][:, None]

    def sums(self, x: Array, columns: Array) -> Array:
        r"""Return :math:`\sum_i c_{ir} \varphi(x_i)`, ``(R, P)``, for columns ``(n, R)``."""
        total = np.zeros((columns.shape[1], self.size))
        for rows in row_blocks(x.shape[0], self.size, _NEAR, least=64):
            total += (self._products(x[rows]) @ columns[rows]).T
        return total * _plan(self.d + 1, self.degree)[1]

    def _products(self, x: Array) -> Array:
        base = np.vstack([np.ones((1, x.shape[0])), x.T / np.sqrt(self.d)])
        values = base
        for starts in _plan(self.d + 1, self.degree)[0]:
            # Variable a times the monomials that contain none before a: each product once.
            parts = [row * values[start:] for row, start in zip(base, starts, strict=True)]
            values = np.vstack(parts)
        return values


@lru_cache(maxsize=16)
def _plan(variables: int, degree: int) -> tuple[list[list[int]], Array]:
    """Return, degree by degree, where the monomials without variables before a start.

    And the square roots of the multinomial coefficients ``(P,)``.  Kept, and made
    only where monomials are used: their exponents can be a large table.
    """
    unit = np.eye(variables, dtype=np.int64)
    exponents, plan = unit, []
    for _ in range(degree - 1):
        first = np.argmax(exponents > 0, axis=1)
        starts = np.searchsorted(first, np.arange(variables)).tolist()
        plan.append(starts)
        exponents = np.vstack([unit[a] + exponents[start:] for a, start in enumerate(starts)])
    table = np.array([factorial(k) for k in range(degree + 1)], dtype=np.float64)
    return plan, np.sqrt(table[-1] / table[exponents].prod(axis=1))


in_battery(
    "kernel-distance",
    KernelDistance(degree=4),
    sees="moments up to the fourth",
    coordinates=NormalScores(),
)
