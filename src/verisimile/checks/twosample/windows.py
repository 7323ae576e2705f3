"""Where two samples differ: the intervals of features with the largest excesses and deficits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from verisimile.checks.twosample.result import TwoSample, tie_threshold
from verisimile.checks.twosample.statistics.interval_scan import IntervalScan, PreparedScan
from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate, Result, register
from verisimile.data.events import match_features
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.contents import into_period
from verisimile.samples.coordinates import Standardised, in_turns, periodic, varying
from verisimile.samples.pool import Pool, pool_samples
from verisimile.stats.pvalues import Empirical, PValue

_NEAR = 0.05  # standard deviations: coordinates may round neighbouring values together


@register("deviating-window", 1)
@dataclass(frozen=True, slots=True)
class Window(Result):
    """An interval of one feature in which the samples' shares differ.

    Attributes
    ----------
    feature
        Its name.
    low, high
        Events with ``low <= value < high``, in the feature's units.  Both are values of
        events; the last window of a feature ends just beyond its largest value.  A window of
        a periodic feature begins within its period, and may end in the next one.
    first_share, second_share
        Weighted shares of the samples, with standard errors.
    ratio
        Second over first share, with its standard error; NaN without events of the first.
    z
        Difference in standard deviations over relabelings; positive: more of the second sample.
    kind
        ``"excess"`` or ``"deficit"`` of the second sample.
    deviation
        What the scan compares: ``|z|`` less the allowance of the window's width.
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
class Windows(Result):
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
    listed: ClassVar[tuple[str, ...]] = ("windows",)

    def significant(self, level: float = 0.05) -> tuple[Window, ...]:
        """Return the windows whose p-value, corrected for the whole scan, is `level` or less."""
        return tuple(w for w in self.windows if w.p_value and w.p_value.value <= level)


def deviating_windows(
    reference: EventsLike,
    generated: EventsLike,
    *,
    count: int = 3,
    cells: int = 256,
    scan: TwoSample | None = None,
    pool: Pool | None = None,
) -> Windows:
    r"""Return the windows that deviate most, in the features' own units.

    The windows are those of the interval scan.
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
    reference, generated
        The samples, features matched by name; an excess is one of the second.
    count
        The most windows of a feature.
    cells
        As for the statistic.
    scan
        The result of the statistic, with as many cells, on the same samples.
    pool
        These samples in standardised coordinates, if they are pooled already.

    Raises
    ------
    InputError
        If the samples cannot be compared, `count` is not positive, or `scan` is the result of
        another statistic, other samples or other cells.
    """
    reference, generated = comparable(reference=reference, generated=generated)
    if count < 1:
        raise InputError("count", got=count, expected="at least one window of a feature")
    relabeled = scan is not None and scan.p_value.null == "relabelings"
    if pool is None:
        pool = pool_samples(reference, generated, Standardised(), exchangeable_weights=relabeled)
    x = np.concatenate([reference.x, match_features(generated, reference.features).x])
    unrolled = in_turns(x, reference.features)
    kept = np.flatnonzero(varying(unrolled))
    circular = periodic(reference.features)[kept]
    # Angles come last, as in the scan itself.
    plain, around = kept[~circular], kept[circular]
    columns = [_Column(reference.features[j], x[:, j]) for j in plain]
    columns += [_Column(reference.features[j], x[:, j], unrolled[:, j]) for j in around]
    names = tuple(column.feature.name for column in columns)
    prepared = PreparedScan.of(x[:, plain], pool.weights, cells, list(unrolled[:, around].T))
    places = _places(prepared, pool)
    if scan is not None:
        _check(scan, pool, places[0].deviation)
    return Windows(
        windows=tuple(
            _described(columns[place.feature], place, pool, scan) for place in _apart(places, count)
        ),
        scanned=len(places),
        features=names,
        n_first=reference.n,
        n_second=generated.n,
        warnings=pool.warnings,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """A feature, its pooled values, and their positions on the circle if it is periodic."""

    feature: Feature
    values: Array
    turn: Array | None = None

    def ends(self, place: _Place, inside: BoolArray) -> tuple[float, float]:
        """Return where a window begins and ends, in the feature's units."""
        if self.turn is not None:
            return _arc(self.feature, self.values, self.turn, place)
        above = place.cell >= place.high
        end = self.values[above].min() if above.any() else np.nextafter(self.values.max(), np.inf)
        return float(self.values[inside].min()), float(end)


def _arc(feature: Feature, values: Array, turn: Array, place: _Place) -> tuple[float, float]:
    """Return where a window begins, within the period, and ends along the circle."""
    first, last = (
        rows[np.argmin(turn[rows])]
        for rows in (
            np.flatnonzero(place.cell == at % place.count) for at in (place.low, place.high)
        )
    )
    start = feature.low if feature.bounds == 2 else -np.pi
    begin = float(into_period(values[[first]], feature, start)[0])
    return begin, begin + float((turn[last] - turn[first]) % 1.0) * feature.period


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """A window of a feature: its cells, and how much more of the second sample it holds.

    `around` is whether its cells lie on a circle.
    """

    feature: int
    low: int
    high: int
    z: float
    deviation: float
    cell: IntArray
    around: bool

    @property
    def count(self) -> int:
        """Cells of the feature."""
        return int(self.cell.max()) + 1

    @property
    def inside(self) -> BoolArray:
        """Which events it holds ``(N,)``."""
        after = self.cell - self.low
        if self.around:
            after = after % self.count
        return np.asarray((after >= 0) & (after < self.high - self.low))

    def overlaps(self, other: _Place) -> bool:
        turns = (-self.count, 0, self.count) if self.around else (0,)
        return self.feature == other.feature and any(
            self.low < other.high + turn and other.low + turn < self.high for turn in turns
        )


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
            around = windows.around
            found.append(_Place(feature, low, high, float(value), deviation, cell, around))
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


def _described(column: _Column, place: _Place, pool: Pool, scan: TwoSample | None) -> Window:
    inside = place.inside
    low, high = column.ends(place, inside)
    shares = [
        _share(inside[sample], pool.weights[sample])
        for sample in (pool.observed()[0], ~pool.observed()[0])
    ]
    return Window(
        feature=column.feature.name,
        low=low,
        high=high,
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
