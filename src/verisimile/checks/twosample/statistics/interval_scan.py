"""The largest deviation of any interval of any feature: narrow excesses and deficits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy import stats

from verisimile.checks.twosample.statistics.protocol import in_battery
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError
from verisimile.samples.coordinates import Angle
from verisimile.samples.pair_sums import row_blocks
from verisimile.samples.pool import Labels, MassRows
from verisimile.samples.walks import Order, cell_sums

_ENTRIES = 4_000_000  # 32 MiB of deviations at a time


@dataclass(frozen=True, slots=True)
class IntervalScan:
    r"""Largest standardised difference of the samples' shares in any window of any feature.

    Each feature is cut into G cells of equally many pooled events; windows are 1, 2, 3,
    4, 6, 8, 12, … up to G/2 neighbouring cells, a quarter of their width apart.  With
    the pooled share p of a window's weights,

    .. math:: T = \max_{j, W} \Big[|z_W| - \sqrt{2 \log\frac{e}{h (1 - h)}}\Big], \qquad
              z_W = \frac{\sum_{i \in 1} d_i}{\sqrt{\frac{n_1 n_2}{N (N - 1)} \sum_i d_i^2}},
              \qquad d_i = w_i (1[i \in W] - p)

    where h is the window's share of the events.  The numerator of z is the difference of
    the samples' weighted shares times :math:`W_1 W_2 / (W_1 + W_2)`, and its denominator
    the exact standard deviation over relabelings, for weights of either sign.  Narrow
    windows are many; what is subtracted is how far the largest of them goes by chance,
    so that broad windows are not drowned.

    Equal values share a cell.  A window that holds no event, or all, has z = 0.  With
    weights whose null is that of multiplied masses, z is the difference of the shares over
    :math:`\sqrt{p (1 - p) (\sum_i a_i^2 + \sum_j b_j^2)}`, and windows expecting less than
    ten effective events are left out.  Windows of a periodic feature go around its circle.

    Attributes
    ----------
    cells
        G, the most cells of a feature; fewer where they would hold less than eight events.

    References
    ----------
    L. Dümbgen, V. G. Spokoiny, Ann. Stat. 29 (2001) 124 (the scale-dependent term);
    on this principle: C. Rivera, G. Walther, Scand. J. Stat. 40 (2013) 752.
    """

    name: ClassVar[str] = "interval scan"
    weights: ClassVar[str] = "signed"

    cells: int = 256

    def __post_init__(self) -> None:
        if self.cells < 2:
            raise InputError("IntervalScan.cells", got=self.cells, expected="two cells or more")

    def prepare(
        self,
        pooled: Array,
        weights: Array,
        rng: np.random.Generator,  # noqa: ARG002  (protocol)
    ) -> PreparedScan:
        """Return the cells of the pooled events and the windows of every feature."""
        return PreparedScan.of(pooled, weights, self.cells)

    def prepare_around(
        self, pooled: Array, weights: Array, angles: Sequence[Angle]
    ) -> PreparedScan:
        """Return the scan whose last features are angles, with windows around their circles."""
        circular = [column for angle in angles for column in angle.columns]
        turns = [angle.turn for angle in angles]
        return PreparedScan.of(np.delete(pooled, circular, axis=1), weights, self.cells, turns)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedScan:
    """Cells and windows of the pooled events.

    Attributes
    ----------
    weights
        Event weights ``(N,)``.
    cells
        Cell of every event ``(N,)``, for each feature.
    windows
        Windows of each feature.
    order, ends
        Events by their cell ``(F, N)``, and where each cell has ended in that order ``(F, C)``.
    """

    weights: Array
    cells: tuple[IntArray, ...]
    windows: tuple[FeatureWindows, ...]
    order: Order
    ends: IntArray

    @classmethod
    def of(
        cls, pooled: Array, weights: Array, cells: int, turns: Sequence[Array] = ()
    ) -> PreparedScan:
        """Return the scan of pooled events ``(N, d)`` with at most so many cells.

        Further features are positions on a circle in turns, each ``(N,)``.
        """
        found = [cells_of(column, cells) for column in (*pooled.T, *turns)]
        around = [False] * pooled.shape[1] + [True] * len(turns)
        windows = [
            windows_of(cell, weights, around=on_circle)
            for cell, on_circle in zip(found, around, strict=True)
        ]
        most = max(one.cells for one in windows)
        order = np.argsort(found, axis=1, kind="stable").astype(np.int32)
        counts = [np.bincount(cell, minlength=most) for cell in found]
        return cls(weights, tuple(found), tuple(windows), order, np.cumsum(counts, axis=1))

    def values(self, labels: Labels) -> Array:
        """Return the largest deviation, less its allowance, of each relabeling ``(R,)``."""
        blocks = row_blocks(len(labels), self._scanned, _ENTRIES, least=1)
        return np.concatenate([self._largest(self.scores(labels[rows])) for rows in blocks])

    def scores(self, labels: Labels) -> tuple[Array, ...]:
        """Return z of every window of each feature, ``(W, R)``; positive: more in the first."""
        counts = np.count_nonzero(labels, axis=1)
        total = labels.shape[1]
        spread = np.sqrt(counts * (total - counts) / (total * (total - 1.0)))
        # No relabeling of the engine leaves a sample empty; such a one has no deviation.
        per_spread = np.divide(1.0, spread, out=np.zeros(spread.shape), where=spread > 0.0)
        table = cell_sums(self.order, self.ends, self.weights, labels)
        mass = table[0].sum(axis=0)
        return tuple(
            windows.deviations(sums[: windows.cells], mass) * per_spread
            for windows, sums in zip(self.windows, table, strict=True)
        )

    def of_masses(self, rows: MassRows) -> Array:
        """Return the largest deviation, less its allowance, of each pair of mass rows ``(R,)``."""
        return self._largest(self.mass_scores(rows))

    def mass_scores(self, rows: MassRows) -> tuple[Array, ...]:
        """Return z of every window of each feature, ``(W, R)``; positive: more in the first.

        The difference of the shares in units of :meth:`FeatureWindows.of_masses`.
        """
        spread = float((rows.base**2).sum())
        signed = rows.signed.T
        found = []
        for windows, order, ends in zip(self.windows, self.order, self.ends, strict=True):
            starts = np.append(0, ends[: windows.cells - 1])
            sums = np.add.reduceat(signed[order], starts, axis=0)
            scaled = windows.of_masses(spread)
            found.append(scaled.deviations(sums, np.zeros(signed.shape[1])))
        return tuple(found)

    def details(self, labels: Labels) -> Mapping[str, float]:
        """Return ``|z|`` and the pooled share of the window that decides."""
        z = np.concatenate([np.abs(table[:, 0]) for table in self.scores(labels)])
        allowance = np.concatenate([windows.allowance for windows in self.windows])
        share = np.concatenate([windows.share for windows in self.windows])
        best = int(np.argmax(z - allowance))
        return {"largest |z|": float(z[best]), "share of the pool": float(share[best])}

    def _largest(self, scores: Sequence[Array]) -> Array:
        each = [
            (np.abs(z) - windows.allowance[:, None]).max(axis=0)
            for z, windows in zip(scores, self.windows, strict=True)
        ]
        return np.asarray(np.max(each, axis=0))

    @property
    def _scanned(self) -> int:
        return sum(windows.low.size for windows in self.windows)


_FEWEST = 8  # pooled events in a cell, on average
_FEWEST_MASSES = 10.0  # effective events that both samples expect in a window
_FLAT = 1e-12  # of the sum of squared weights: a variance that is rounding


@dataclass(frozen=True, slots=True, eq=False)
class FeatureWindows:
    r"""Windows of one feature, with what no relabeling changes.

    Attributes
    ----------
    low, high
        First cell, and first cell beyond it ``(W,)``; on a circle cell C is the first again.
    share
        Pooled share of the weights, :math:`p = \sum_W w / \sum w`, ``(W,)``.
    per_deviation
        :math:`1 / \sqrt V` with :math:`V = \sum_i w_i^2 (1[i \in W] - p)^2`; zero
        for windows that hold nothing or everything ``(W,)``.
    allowance
        What a window of this share of events is allowed, ``(W,)``.
    cells
        C, their number.
    around
        Whether they lie on a circle.
    """

    low: IntArray
    high: IntArray
    share: Array
    per_deviation: Array
    allowance: Array
    cells: int
    around: bool = False

    def of_masses(self, spread: float) -> FeatureWindows:
        r"""Return the same windows with deviations in units of :math:`\sqrt{p (1 - p) S}`.

        S = `spread` is the sum of squared masses of both samples.  The unit is that of
        the pool: a window's own squares are small just where a sample happens to have
        few events, and a deficit would be measured by what is missing.  Windows, or
        complements, whose share is less than ten times S are too few events to be scanned.
        """
        inside = np.minimum(self.share, 1.0 - self.share)
        enough = inside >= _FEWEST_MASSES * spread
        variance = np.where(enough, self.share * (1.0 - self.share) * spread, 1.0)
        return replace(self, per_deviation=np.where(enough, 1.0 / np.sqrt(variance), 0.0))

    def deviations(self, sums: Array, mass: Array) -> Array:
        """Return D / sqrt(V) of every window ``(W, R)``.

        Sums of weights of the first sample in every cell ``(C, R)``, and in all ``(R,)``.
        """
        running = _running(sums, around=self.around)
        excess = running[self.high] - running[self.low] - self.share[:, None] * mass
        return np.asarray(excess * self.per_deviation[:, None])


def cells_of(values: Array, cells: int) -> IntArray:
    r"""Return the cell of each event ``(N,)``, numbered from zero without gaps.

    The cell is :math:`\lfloor G (r - 1/2) / N \rfloor` with the mid-rank r of the
    value: equal values share a cell, however many they are.
    """
    count = max(2, min(cells, values.size // _FEWEST))
    ranks = stats.rankdata(values, method="average")
    raw = np.floor((ranks - 0.5) * (count / values.size)).astype(np.int64)
    return np.asarray(np.unique(raw, return_inverse=True)[1], dtype=np.int64)


def windows_of(cell: IntArray, weights: Array, *, around: bool = False) -> FeatureWindows:
    """Return the windows of a feature whose events lie in these cells ``(N,)``.

    With `around` the cells lie on a circle, and windows go over its cut.
    """
    count = int(cell.max()) + 1
    low, high = _edges(count, around=around)

    def within(terms: Array) -> Array:
        content = np.bincount(cell, terms, minlength=count).astype(np.float64)
        running = _running(content[:, None], around=around)
        return np.asarray(running[high, 0] - running[low, 0])

    squares = weights**2
    share = within(weights) / weights.sum()
    variance = within(squares) * (1.0 - 2.0 * share) + share**2 * squares.sum()
    varies = variance > _FLAT * squares.sum()
    scale = np.where(varies, 1.0 / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
    allowance = _allowance(within(np.ones(cell.size)), cell.size)
    return FeatureWindows(low, high, share, scale, allowance, count, around)


def _running(sums: Array, *, around: bool) -> Array:
    """Return sums over the cells ``(C, R)`` before each, on a circle for two turns."""
    terms = np.concatenate([sums, sums]) if around else sums
    return np.concatenate([np.zeros((1, sums.shape[1])), np.cumsum(terms, axis=0)])


def _allowance(events: Array, total: int) -> Array:
    r"""Return :math:`\sqrt{2 \log(e / h(1 - h))}` for the share h of events in each window."""
    share = np.clip(events / total, 1.0 / total, 1.0 - 1.0 / total)
    return np.asarray(np.sqrt(2.0 * (1.0 - np.log(share * (1.0 - share)))))


def _edges(count: int, *, around: bool) -> tuple[IntArray, IntArray]:
    """Return the windows among `count` cells: widths 1, 2, 3, 4, 6, 8, … to half of them."""
    low, high = [], []
    for width in _widths(count // 2):
        step = max(1, width // 4)
        starts = (
            np.arange(0, count, step)
            if around
            else np.append(np.arange(0, count - width, step), count - width)
        )
        low.append(starts)
        high.append(starts + width)
    return np.concatenate(low), np.concatenate(high)


def _widths(most: int) -> list[int]:
    powers = [2**k for k in range(most.bit_length())]
    return sorted({1, *(w for power in powers for w in (power, 3 * power) if w <= most)})


in_battery("interval-scan", IntervalScan(), sees="a local excess in one feature")
