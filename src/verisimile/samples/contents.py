r"""Bin contents of weighted events, normalised by the same events, and their chi-squared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse, special

from verisimile.core.arrays import Array, BoolArray, IntArray, frozen
from verisimile.core.errors import require
from verisimile.core.result import Result, register
from verisimile.data.feature import Feature
from verisimile.samples.weighted import pulls
from verisimile.stats.linalg import solve_spd

LEAST, LEAST_WEIGHTED = 5.0, 10.0
"""Effective events of either sample that a cell of chi-squared must expect."""

_SMALLEST = float(np.finfo(np.float64).tiny)


@register("bin-contents", 2)
@dataclass(frozen=True, slots=True, eq=False)
class Contents(Result):
    """A histogram of weighted events; the first cell is the underflow, the last the overflow.

    Attributes
    ----------
    events
        Number of events per cell ``(G + 2,)``.
    sumw, sumw2
        Sums of weights and of their squares per cell ``(G + 2,)``.
    weighted
        Whether the events have weights.
    shared
        What rows of one group add to the squares, by pairs of cells ``(G + 2, G + 2)``: the
        sum over groups of the products of their weights in both cells, less `sumw2` on the
        diagonal.  None where every event stands alone.
    """

    events: Array
    sumw: Array
    sumw2: Array
    weighted: bool
    shared: Array | None = None
    listed: ClassVar[tuple[str, ...]] = ("events", "sumw", "sumw2")

    @classmethod
    def of(
        cls, cells: IntArray, weights: Array | None, count: int, *, group: IntArray | None = None
    ) -> Contents:
        """Return the contents of `count` cells from the cell number of each event ``(n,)``."""
        events = np.bincount(cells, minlength=count).astype(np.float64)
        w = np.ones(cells.size) if weights is None else weights
        sumw, sumw2 = (
            (events, events)
            if weights is None
            else (np.bincount(cells, w**k, minlength=count) for k in (1, 2))
        )
        shared = None if group is None else frozen(_shared(cells, w, group, count))
        return cls(frozen(events), frozen(sumw), frozen(sumw2), weights is not None, shared)

    @property
    def underflow(self) -> tuple[float, float]:
        """Sum of weights and its error below the bins."""
        return float(self.sumw[0]), float(np.sqrt(self.sumw2[0]))

    @property
    def overflow(self) -> tuple[float, float]:
        """Sum of weights and its error above the bins."""
        return float(self.sumw[-1]), float(np.sqrt(self.sumw2[-1]))

    @property
    def shares(self) -> Array:
        """Normalised contents ``(G + 2,)``, of sum one."""
        return np.asarray(self.sumw / self.sumw.sum())

    @property
    def covariance(self) -> Array:
        r"""Covariance of `shares` ``(G + 2, G + 2)``.

        .. math:: C_{ab} = \sum_i v_i^2 ([i \in a] - p_a)([i \in b] - p_b)

        Its rows sum to zero: the sum of all cells is one in every sample.  Rows of one group
        add up before they are multiplied.
        """
        return self._with_groups(share_covariance(self.shares, self._squares), self.shares)

    @property
    def errors(self) -> Array:
        """Standard deviations of `shares` ``(G + 2,)``."""
        if self.shared is None:
            return np.sqrt(_variance(self.shares, self._squares))
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    def density(self, edges: Array) -> tuple[Array, Array]:
        """Return the normalised density in the inner bins and its errors, both ``(G,)``."""
        widths = np.diff(edges)
        return self.shares[1:-1] / widths, self.errors[1:-1] / widths

    def merged(self, groups: IntArray) -> Contents:
        """Return the contents of groups of cells, by their numbers ``(G + 2,)``."""
        events, sumw, sumw2 = (
            np.bincount(groups, values).astype(np.float64)
            for values in (self.events, self.sumw, self.sumw2)
        )
        shared = None
        if self.shared is not None:
            member = np.eye(sumw.size)[groups]
            shared = member.T @ self.shared @ member
        return Contents(events, sumw, sumw2, self.weighted, shared)

    def squares_for(self, expected: Array) -> Array:
        r"""Return :math:`\sum_{i \in a} v_i^2` as expected for the shares `expected`.

        The squares per share are the sample's own, averaged over two cells on either
        side after division by a typical weight g: those of one cell with few events
        fluctuate together with its content, and chi-squared would be too large too often.
        """
        own, share, total = self._squares, self.shares, self._squares.sum()
        if not self.weighted:
            return np.asarray(np.maximum(expected, 0.0) * total)
        scale = self._typical_weight
        square, content = _around(own / scale), _around(share)
        plain = _around(own)
        known = (content > 0.0) & (content**2 >= LEAST_WEIGHTED * plain)
        ratio = np.divide(scale * square, content, out=np.full(own.size, total), where=known)
        near = np.maximum(expected, 0.0) * ratio
        return np.where((known & (expected > 0.0)) | (self.events == 0), near, own)

    @property
    def least(self) -> float:
        """Effective events that a cell of chi-squared must expect."""
        return LEAST_WEIGHTED if self.weighted else LEAST

    def enough(self, expected: Array) -> BoolArray:
        """Return where the shares `expected` stand for events enough for a normal law."""
        squares = self.design * self.squares_for(expected)
        return np.asarray((expected > 0.0) & (expected**2 >= self.least * squares))

    @property
    def design(self) -> Array:
        """By what factor groups of rows multiply the variance around each cell ``(G + 2,)``.

        The variances of five cells are added, as in `squares_for`.  At least one: fewer
        pairs than expected are chance.
        """
        alone = _variance(self.shares, self._squares)
        if self.shared is None:
            return np.ones(alone.size)
        base = _around(alone)
        true = _around(np.diag(self.covariance))
        ratio = np.divide(true, base, out=np.ones(alone.size), where=base > 0.0)
        return np.asarray(np.maximum(ratio, 1.0))

    def covariance_for(self, expected: Array) -> Array:
        """Return the covariance of `shares` as expected for the shares `expected`."""
        return self._with_groups(share_covariance(expected, self.squares_for(expected)), expected)

    def _with_groups(self, alone: Array, share: Array) -> Array:
        """Return a covariance ``(G + 2, G + 2)`` at shares with what groups add to it."""
        if self.shared is None:
            return alone
        both = self.shared / self.sumw.sum() ** 2
        mixed = np.outer(share, both.sum(axis=0))
        return np.asarray(alone + both - mixed - mixed.T + both.sum() * np.outer(share, share))

    @property
    def _typical_weight(self) -> Array:
        """The root mean square weight around each cell, a geometric mean of five cells'."""
        square = np.divide(
            self.sumw2, self.events, out=np.ones(self.events.size), where=self.sumw2 > 0.0
        )
        number = np.where(self.sumw2 > 0.0, self.events, 0.0)
        return np.exp(0.5 * _around(number * np.log(square)) / np.maximum(_around(number), 1.0))

    @property
    def _squares(self) -> Array:
        return np.asarray(self.sumw2 / self.sumw.sum() ** 2)


@dataclass(frozen=True, slots=True)
class ShapeAgreement:
    """Chi-squared of two histograms' shapes, its law under equality, and their separation."""

    chi2: float
    dof: int
    p_value: float
    separation: float
    separation_null: float


def cells_of(column: Array, edges: Array) -> IntArray:
    """Return cell numbers ``(n,)``: 0 below, G + 1 above; the last bin holds its upper edge."""
    cells = np.searchsorted(edges, column, "right")
    cells[column == edges[-1]] = edges.size - 1
    return cells


def agreement(reference: Contents, generated: Contents) -> ShapeAgreement:
    r"""Return how well the shapes of two histograms agree, all cells included.

    .. math:: \chi^2 = \Delta^T D^{-1} \Delta, \quad \Delta = g - f, \quad D = C_f + C_g

    with both covariances at the pooled shares, and without the last cell, which
    normalisation gives.  Neighbouring cells are merged until the pooled shares stand for
    five events of either sample, or ten effective ones if it has weights.  With groups of rows
    :math:`\chi^2` is over the mean eigenvalue of :math:`D^{-1} D_\mathrm{groups}`, and its law
    has two moments of these eigenvalues (Rao and Scott).  The separation power is

    .. math:: S = \frac12 \sum_b \frac{(g_b - f_b)^2}{g_b + f_b}, \quad
              \langle S \rangle_0 = \frac12 \sum_b \frac{D_{bb}}{g_b + f_b}

    of the unmerged cells, the latter its mean for equal laws.

    References
    ----------
    N. Gagunashvili, Nucl. Instrum. Meth. A 596 (2008) 439, for weighted histograms;
    separation: A. Hoecker et al., TMVA (physics/0703039), sec. 3.1;
    groups: J. N. K. Rao, A. J. Scott, J. Am. Stat. Assoc. 76 (1981) 221.
    """
    f, g = reference.shares, generated.shares
    variance = _pooled_variance(reference, generated)
    usable = (f + g) > 0.0
    separation = 0.5 * float(((g - f)[usable] ** 2 / (f + g)[usable]).sum())
    null = 0.5 * float((variance[usable] / (f + g)[usable]).sum())
    chi2, dof, p = _chi2(reference, generated)
    return ShapeAgreement(chi2, dof, p, separation, null)


def bin_pulls(reference: Contents, generated: Contents) -> Array:
    """Return difference over error for equal laws ``(G + 2,)``; NaN where both are empty."""
    error = np.sqrt(_pooled_variance(reference, generated))
    empty = (reference.events + generated.events) == 0
    return np.where(empty, np.nan, pulls(generated.shares - reference.shares, error, scale=0.0))


def ratio_of(reference: Contents, other: Contents) -> tuple[Array, Array]:
    r"""Return the ratio of normalised contents and its error in the inner bins, ``(G,)``.

    .. math:: r = g / f, \quad \sigma_r^2 = (\sigma_g^2 + r^2 \sigma_f^2) / f^2

    NaN where the reference is not positive; the error alone is NaN where the other
    sample has no events, which tells nothing of its variance.
    """
    f, g = reference.shares[1:-1], other.shares[1:-1]
    positive = f > 0.0
    ratio, error = np.full(f.size, np.nan), np.full(f.size, np.nan)
    ratio[positive] = g[positive] / f[positive]
    both = positive & (other.events[1:-1] > 0)
    spread = np.hypot(other.errors[1:-1], ratio * reference.errors[1:-1])
    error[both] = spread[both] / f[both]
    return ratio, error


def _chi2(reference: Contents, generated: Contents) -> tuple[float, int, float]:
    groups = _groups(reference, generated)
    pair = reference.merged(groups), generated.merged(groups)
    dof = pair[0].sumw.size - 1
    if dof < 1:
        return 0.0, 0, float("nan")
    expected = pool_contents(*pair)
    first, second = (share_covariance(expected, one.squares_for(expected)) for one in pair)
    # Units of the expected share keep the matrix well conditioned.
    scale = 1.0 / np.sqrt(np.diag(first + second))[:-1]
    unit = np.outer(scale, scale)
    alone = unit * (first + second)[:-1, :-1]
    apart = scale * (pair[1].shares - pair[0].shares)[:-1]
    chi2 = float(apart @ solve_spd(alone, apart))
    if all(one.shared is None for one in pair):
        return chi2, dof, max(float(special.chdtrc(dof, chi2)), _SMALLEST)
    first, second = (one.covariance_for(expected) for one in pair)
    true = unit * (first + second)[:-1, :-1]
    effect = solve_spd(alone, true)
    mean, square = float(np.trace(effect)) / dof, float(np.sum(effect * effect.T))
    # Equal eigenvalues have mean square over squared mean of one.
    unequal = square / (dof * mean**2)
    chi2 /= mean
    return chi2, dof, max(float(special.chdtrc(dof / unequal, chi2 / unequal)), _SMALLEST)


def _groups(*samples: Contents) -> IntArray:
    """Return group numbers ``(cells,)`` of neighbours that expect enough events in each."""
    expected = pool_contents(*samples)
    squares = [one.design * one.squares_for(expected) for one in samples]
    groups, current, start = np.zeros(expected.size, dtype=np.int64), 0, 0
    for cell in range(expected.size):
        groups[cell] = current
        inside = slice(start, cell + 1)
        content = float(expected[inside].sum())
        worth = [
            content**2 >= one.least * s[inside].sum()
            for s, one in zip(squares, samples, strict=True)
        ]
        if content > 0.0 and all(worth):
            current, start = current + 1, cell + 1
    # What is left at the end joins the last full group.
    return np.minimum(groups, max(current - 1, 0))


def pool_contents(*samples: Contents) -> Array:
    """Return the shares of all samples together, each by its effective number of events."""
    sizes = [float(one.sumw.sum() ** 2 / one.sumw2.sum()) for one in samples]
    parts = [size * one.shares for size, one in zip(sizes, samples, strict=True)]
    return np.asarray(np.sum(parts, axis=0) / sum(sizes))


def _pooled_variance(reference: Contents, generated: Contents) -> Array:
    expected = pool_contents(reference, generated)
    return np.asarray(
        sum(c.design * _variance(expected, c.squares_for(expected)) for c in (reference, generated))
    )


def _shared(cells: IntArray, w: Array, group: IntArray, count: int) -> Array:
    """Return the sum over groups of products of weights in two cells, of different rows."""
    places, inverse = np.unique(group * count + cells, return_inverse=True)
    content = sparse.csr_array(
        (np.bincount(inverse, w), (places // count, places % count)),
        shape=(int(group.max()) + 1, count),
    )
    both = (content.T @ content).toarray()
    both[np.diag_indices(count)] -= np.bincount(cells, w**2, minlength=count)
    return np.asarray(both)


def _around(values: Array) -> Array:
    return np.convolve(np.pad(values, 2), np.ones(5), "valid")


def share_covariance(share: Array, square: Array) -> Array:
    """Return the covariance of normalised contents, whose sum does not fluctuate."""
    mixed = np.outer(share, square)
    both = np.diag(square) - mixed - mixed.T + square.sum() * np.outer(share, share)
    return np.asarray(both, dtype=np.float64)


def _variance(share: Array, square: Array) -> Array:
    # (1 - 2p) q + p^2 Q as a sum of squares, which rounding leaves positive.
    rest = square.sum() - square
    return np.asarray((1.0 - share) ** 2 * square + share**2 * np.maximum(rest, 0.0))


_TAIL, _OUTSKIRTS = 0.001, 0.01
_NEAR_BOUND = 0.05
_DECADES = 1000.0  # from the outskirts on one side to those on the other


def bin_edges(feature: Feature, samples: Sequence[Array], *, bins: int) -> Array:
    """Return increasing edges ``(G + 1,)`` that hold each sample but 0.1 % on either side.

    Equal widths; equal ratios for a positive feature that is unfolded by a log, or whose 1 % and
    99 % quantiles are three decades apart, when nearly all events would share one bin of equal
    widths (a stated transform other than ``auto`` and ``log`` keeps those); whole
    numbers for a discrete one, which may need fewer than `bins`.  An end of the
    support within 5 % of the range becomes the outer edge, so that a selection
    cut falls on an edge.  A periodic feature has one whole period, from the lower end of
    its support; without one an angle begins at -π, or at 0 if none is negative.  The zeros of a
    spike at zero have the first bin for themselves.
    """
    require(bins >= 1, "bins", got=bins, expected="at least one bin")
    if feature.kind == "periodic":
        start = _start(feature, samples)
        return frozen(np.linspace(start, start + feature.period, bins + 1))
    if feature.kind == "discrete":
        return _whole(*_range(samples), bins)
    if feature.kind == "spike-at-zero" and bins > 2 and _has_spike(samples):
        return _beside_zero(feature, samples, bins)
    return frozen(_plain(feature, samples, bins))


def is_logarithmic(edges: Array) -> bool:
    """Return whether bins are equally wide in the logarithm, as the last three edges say."""
    if edges.size < 3 or edges[-3] <= 0.0:
        return False
    first, last = np.diff(edges[-3:])
    return bool(last > (1.0 + 1e-9) * first)


def holds_zeros(edges: Array) -> bool:
    """Return whether the first bin is that of exact zeros."""
    return bool(edges[0] < 0.0 and edges[1] == _SMALLEST)


def _plain(feature: Feature, samples: Sequence[Array], bins: int) -> Array:
    low, high = _range(samples)
    if low > 0.0 and (_unfolds(feature) or _spans_decades(feature, samples)):
        first, last = _snapped(*(_log(v) for v in (low, high, feature.low, feature.high)))
        return np.geomspace(math.exp(first), math.exp(last), bins + 1)
    return np.linspace(*_snapped(low, high, feature.low, feature.high), bins + 1)


def _unfolds(feature: Feature) -> bool:
    """Return whether a log unfolds the support of a positive, continuous feature."""
    unfolds = feature.transform == "log" or (feature.transform == "auto" and feature.bounds == 1)
    return unfolds and feature.kind == "continuous" and 0.0 <= feature.low < math.inf


def _spans_decades(feature: Feature, samples: Sequence[Array]) -> bool:
    if feature.transform not in ("auto", "log") or min(map(np.min, samples)) < 0.0:
        return False
    low, high = _quantiles(samples, _OUTSKIRTS)
    return bool(low > 0.0 and high >= _DECADES * low)


def _has_spike(samples: Sequence[Array]) -> bool:
    zeros = any(bool((sample == 0.0).any()) for sample in samples)
    others = any(bool((sample > 0.0).any()) for sample in samples)
    return zeros and others and bool(min(map(np.min, samples)) >= 0.0)


def _beside_zero(feature: Feature, samples: Sequence[Array], bins: int) -> Array:
    """Return edges of a bin of exact zeros, drawn left of zero, and of bins of what is positive."""
    positive = [sample[sample > 0.0] for sample in samples]
    rest = _plain(feature, [sample for sample in positive if sample.size], bins - 2)
    if not is_logarithmic(rest):
        _, high = _quantiles(samples, _TAIL)
        last = rest[-1] if high <= 0.0 else _snapped(0.0, high, 0.0, feature.high)[1]
        rest = np.linspace(0.0, last, bins)[1:]
    return frozen([-rest[0], _SMALLEST, *rest])


def into_period(values: Array, feature: Feature, start: float) -> Array:
    """Return values of a periodic feature in the period from `start`; those of others as given."""
    if feature.kind != "periodic":
        return values
    inside = start + (values - start) % feature.period
    # A tiny distance below the start rounds up to its end.
    return np.asarray(np.where(inside < start + feature.period, inside, start))


def _start(feature: Feature, samples: Sequence[Array]) -> float:
    if feature.bounds == 2:
        return feature.low
    return 0.0 if min(float(sample.min()) for sample in samples) >= 0.0 else -math.pi


def _quantiles(samples: Sequence[Array], tail: float) -> tuple[float, float]:
    """Return the smallest lower and the largest upper quantile of the samples."""
    found = np.array([np.quantile(sample, (tail, 1.0 - tail)) for sample in samples])
    return float(found[:, 0].min()), float(found[:, 1].max())


def _range(samples: Sequence[Array]) -> tuple[float, float]:
    low, high = _quantiles(samples, _TAIL)
    if low < high:
        return low, high
    margin = 0.5 * max(1.0, abs(low))
    return low - margin, high + margin


def _snapped(low: float, high: float, bottom: float, top: float) -> tuple[float, float]:
    near = _NEAR_BOUND * (high - low)
    return bottom if low - bottom <= near else low, top if top - high <= near else high


def _log(value: float) -> float:
    # A bound at zero lies infinitely far down on a logarithmic axis.
    return math.log(value) if value > 0.0 else -math.inf


def _whole(low: float, high: float, bins: int) -> Array:
    first, last = math.floor(low), math.ceil(high)
    step = max(1, math.ceil((last - first + 1) / bins))
    count = math.ceil((last - first + 1) / step)
    return frozen(first - 0.5 + step * np.arange(count + 1))
