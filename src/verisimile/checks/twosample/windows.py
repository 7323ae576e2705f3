"""Where two samples differ: the intervals of features with the largest excesses and deficits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from verisimile.checks.twosample.interval_scan import IntervalScan, PreparedScan
from verisimile.checks.twosample.outcome import tie_threshold
from verisimile.checks.twosample.result import TwoSample
from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate, register
from verisimile.data.events import Events, match_features
from verisimile.samples.coordinates import Standardised, varying
from verisimile.samples.pool import Pool, pooled
from verisimile.stats.nulls import Empirical
from verisimile.stats.pvalues import PValue

__all__ = ["Window", "Windows", "deviating_windows"]

_NEAR = 0.05  # standard deviations: coordinates may round neighbouring values together


@register("deviating-window", 1)
@dataclass(frozen=True, slots=True)
class Window:
    """An interval of one feature in which the samples' shares differ.

    Attributes
    ----------
    feature
        Its name.
    low, high
        Events with ``low <= value < high``, in the feature's units.  Both are values of
        events; the last window of a feature ends just beyond its largest value.
    first_share, second_share
        Weighted shares of the samples, with standard errors.
    ratio
        Second over first share, with its standard error; NaN without events of the first.
    z
        Difference in standard deviations over relabelings; positive: more of the second sample.
    kind
        ``"excess"`` or ``"deficit"`` of the second sample.
    deviation
        What the scan compares: |z| less the allowance of the window's width.
    p_value
        Share of relabelings in which *any* window deviates as much, add-one; None
        without a scan.
    """

    feature: str
    low: float
    high: float
    first_share: Estimate
    second_share: Estimate
    ratio: Estimate
    z: float
    kind: Literal["excess", "deficit"]
    deviation: float
    p_value: PValue | None = None

    def __repr__(self) -> str:
        """Return one line: where, how much, how unlikely."""
        said = "" if self.p_value is None else f", p={self.p_value.value:.4g}"
        return (
            f"Window({self.feature} in [{self.low:.6g}, {self.high:.6g}): {self.kind}, "
            f"ratio {self.ratio.value:.4g} ± {self.ratio.error:.2g}, z={self.z:+.2f}{said})"
        )


@register("deviating-windows", 1)
@dataclass(frozen=True, slots=True)
class Windows:
    """The strongest windows of a scan, at most one of those that overlap.

    Attributes
    ----------
    windows
        Strongest first.
    scanned
        Windows that were looked at.
    features
        Features that were looked at; constant ones are not.
    n_first, n_second
        Events of each sample.
    warnings
        What a reader must know.
    """

    windows: tuple[Window, ...]
    scanned: int
    features: tuple[str, ...]
    n_first: int
    n_second: int
    warnings: tuple[str, ...] = ()

    def significant(self, level: float = 0.05) -> tuple[Window, ...]:
        """Return the windows whose p-value, corrected for the whole scan, is `level` or less."""
        return tuple(w for w in self.windows if w.p_value and w.p_value.value <= level)


def deviating_windows(
    first: Events,
    second: Events,
    *,
    count: int = 3,
    cells: int = 256,
    scan: TwoSample | None = None,
) -> Windows:
    r"""Return the windows that deviate most, in the features' own units.

    The windows are those of :class:`~verisimile.checks.twosample.interval_scan.IntervalScan`.
    The strongest is taken, those of the same feature that overlap it are dropped, and
    so on.  With the null values :math:`T_b` of that statistic,

    .. math:: p_W = \frac{1 + \#\{b : T_b \ge |z_W| - a_W\}}{B + 1}

    with the allowance a of the window's width: each :math:`T_b` is the largest over all
    windows of all features, so that the chance to report any window with
    :math:`p_W \le \alpha` is at most :math:`\alpha` if the samples agree.  Where one window
    deviates for a reason, others may follow: shares add up to one, and features depend
    on each other.

    Parameters
    ----------
    first, second
        The samples, features matched by name; an excess is one of the second.
    count
        The most windows of a feature.
    cells
        As for the statistic.
    scan
        The result of the statistic, with as many cells, on the same samples.

    Raises
    ------
    InputError
        If the samples cannot be compared, `count` is not positive, or `scan` is the result of
        another statistic, other samples or other cells.
    """
    if count < 1:
        raise InputError("count", got=count, expected="at least one window of a feature")
    relabeled = scan is not None and scan.p_value.null == "relabelings"
    pool = pooled(first, second, Standardised(), exchangeable_weights=relabeled)
    x = np.concatenate([first.x, match_features(second, first.features).x])
    kept = np.flatnonzero(varying(x))
    names = tuple(first.names[j] for j in kept)
    prepared = PreparedScan.of(x[:, kept], pool.weights, cells)
    places = _places(prepared, pool)
    if scan is not None:
        _check(scan, pool, places[0].deviation)
    return Windows(
        windows=tuple(
            _described(names[place.feature], place, x[:, kept[place.feature]], pool, scan)
            for place in _apart(places, count)
        ),
        scanned=len(places),
        features=names,
        n_first=first.n,
        n_second=second.n,
        warnings=pool.warnings,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """A window of a feature: its cells, and how much more of the second sample it holds."""

    feature: int
    low: int
    high: int
    z: float
    deviation: float
    cell: IntArray

    def overlaps(self, other: _Place) -> bool:
        return self.feature == other.feature and self.low < other.high and other.low < self.high


def _places(prepared: PreparedScan, pool: Pool) -> list[_Place]:
    """Return all windows, the most deviating first; in the order of features if equal."""
    found = []
    scores = (
        prepared.scores(pool.observed())
        if pool.null == "relabelings"
        else prepared.mass_scores(pool.observed_masses())
    )
    for feature, table in enumerate(scores):
        windows, z = prepared.windows[feature], -table[:, 0]
        for low, high, value, allowance in zip(
            windows.low.tolist(), windows.high.tolist(), z, windows.allowance, strict=True
        ):
            deviation = float(abs(value) - allowance)
            cell = prepared.cells[feature]
            found.append(_Place(feature, low, high, float(value), deviation, cell))
    return sorted(found, key=lambda place: -place.deviation)


def _apart(places: list[_Place], count: int) -> list[_Place]:
    """Return the strongest windows that do not overlap, at most `count` of a feature."""
    kept: list[_Place] = []
    full = {place.feature: count for place in places}
    for place in places:
        if full[place.feature] and not any(place.overlaps(other) for other in kept):
            kept.append(place)
            full[place.feature] -= 1
    return kept


def _described(
    name: str, place: _Place, column: Array, pool: Pool, scan: TwoSample | None
) -> Window:
    inside = (place.cell >= place.low) & (place.cell < place.high)
    above = place.cell >= place.high
    end = column[above].min() if above.any() else np.nextafter(column.max(), np.inf)
    shares = [
        _share(inside[sample], pool.weights[sample])
        for sample in (pool.observed()[0], ~pool.observed()[0])
    ]
    return Window(
        feature=name,
        low=float(column[inside].min()),
        high=float(end),
        first_share=shares[0],
        second_share=shares[1],
        ratio=_ratio(*shares),
        z=place.z,
        kind="excess" if place.z > 0.0 else "deficit",
        deviation=place.deviation,
        p_value=None if scan is None else _p_value(place.deviation, scan),
    )


def _share(inside: BoolArray, weights: Array) -> Estimate:
    r"""Return the weighted share p and its error, :math:`\sqrt{\sum w^2 (1[W] - p)^2} / \sum w`."""
    share = float(weights[inside].sum() / weights.sum())
    error = np.sqrt((weights**2 * (inside - share) ** 2).sum()) / weights.sum()
    return Estimate(share, float(error))


def _ratio(first: Estimate, second: Estimate) -> Estimate:
    if not first.value > 0.0:
        return Estimate(np.nan, np.nan)
    ratio = second.value / first.value
    return Estimate(ratio, float(np.hypot(second.error, ratio * first.error) / first.value))


def _p_value(deviation: float, scan: TwoSample) -> PValue:
    threshold = tie_threshold(np.array([deviation]), scan.null[:, None])
    return Empirical(scan.null, scan.p_value.null).p_value(float(threshold[0]))


def _check(scan: TwoSample, pool: Pool, deviation: float) -> None:
    """Raise unless `scan` can be the result of this scan."""
    same = (scan.n_first, scan.n_second) == pool.sizes
    near = abs(scan.observed - deviation) <= _NEAR
    if not (scan.statistic == IntervalScan().name and same and near):
        raise InputError(
            "scan",
            got=f"{scan!r}",
            expected=f"an interval scan of these {pool.sizes} events with the value "
            f"{deviation:.4g}",
            remedy="Pass the result of IntervalScan(cells) on the same samples and cells.",
        )
