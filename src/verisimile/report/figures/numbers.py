"""Numbers with their intervals, as points in rows: estimates, rates, strengths, distances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from verisimile.checks.amplification.analytic import MixtureWorth, ObservableWorth
from verisimile.checks.amplification.calibrated_errors import ErrorScale
from verisimile.checks.amplification.forecast import Forecast
from verisimile.checks.amplification.study import EntropyLabel
from verisimile.checks.goodness.localise import Hotspots, Localisation
from verisimile.checks.known_truth.likelihood import Likelihood
from verisimile.checks.physics.moments import MomentComparison
from verisimile.checks.physics.selections import Efficiency, EfficiencyComparison
from verisimile.checks.precision_recall.variance import VarianceParts
from verisimile.checks.ratings.agreement import Agreement
from verisimile.checks.ratings.forced_choice import ForcedChoice
from verisimile.checks.ratings.preference import Preference
from verisimile.checks.ratings.scale import ScaleComparison
from verisimile.checks.support.inception import InceptionScore
from verisimile.checks.support.study import Support, SupportMetric
from verisimile.checks.twosample.statistics.frechet import FrechetDistance
from verisimile.checks.twosample.windows import Window, Windows
from verisimile.core.arrays import Array
from verisimile.core.result import Estimate
from verisimile.density.check import EstimatorCheck
from verisimile.mixture.minos import MinosInterval
from verisimile.mixture.ratio_fit import RatioFit
from verisimile.mixture.sampling import SampleAudit
from verisimile.ranking.result import ArenaCosts, Found, ShownAgain, Standing
from verisimile.report import style
from verisimile.report.drawing import canvas, draws
from verisimile.report.numbers import percent, plain_number
from verisimile.stats.pvalues import Significance
from verisimile.stats.tails import Tail

_MOST = 40
_MOMENTS = ("mean", "standard deviation", "skewness", "kurtosis")


@dataclass(frozen=True, slots=True)
class Point:
    """A number with the ends of its interval, infinite ends included; NaN is no end."""

    name: str
    value: float
    low: float = np.nan
    high: float = np.nan

    @classmethod
    def of(cls, name: str, found: Estimate) -> Point:
        """Return an estimate, one standard error to either side."""
        return cls(name, found.value, found.value - found.error, found.value + found.error)


@dataclass(frozen=True, slots=True)
class PointRows:
    """Points in rows below each other.

    Attributes
    ----------
    points
        From above to below.
    label
        Of their common axis, with the unit.
    at
        What the numbers are compared with, None for nothing.
    """

    points: Sequence[Point]
    label: str
    at: float | None = None


def plot_points(
    points: Sequence[Point], *, label: str, at: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw numbers with their intervals, one in each row.

    Parameters
    ----------
    points
        From above to below; arrows mark ends that are infinite.
    label
        Of the axis, with the unit.
    at
        Where a line is drawn; None for nowhere.
    ax
        Where to draw; None for a new figure.
    """
    with canvas(ax, width=6.4, height=1.2 + 0.3 * max(len(points), 1)) as axes:
        if at is not None:
            axes.axvline(at, color=style.MUTED, lw=1.0, ls=(0, (4, 2)))
        _rows(axes, points)
        axes.set_xlabel(style.readable(label))
    return axes


def _rows(axes: Axes, points: Sequence[Point]) -> None:
    places = np.arange(len(points))
    value = np.array([point.value for point in points], dtype=np.float64)
    low = np.array([point.low for point in points], dtype=np.float64)
    high = np.array([point.high for point in points], dtype=np.float64)
    axes.plot(value, places, "o", color=style.DATA, ms=4.0)
    shown = np.concatenate([each[np.isfinite(each)] for each in (value, low, high)])
    if shown.size:
        room = 0.08 * float(np.ptp(shown)) or 0.1 * abs(float(shown[0])) or 0.1
        ends = [float(shown.min()) - room, float(shown.max()) + room, *axes.get_xlim()]
        axes.set_xlim(min(ends), max(ends))
    left, right = axes.get_xlim()
    known = ~(np.isnan(low) | np.isnan(high))
    axes.hlines(
        places[known],
        np.maximum(low, left)[known],
        np.minimum(high, right)[known],
        color=style.REFERENCE,
        lw=2.0,
        zorder=1,
    )
    _arrows(axes, places[low == -np.inf], left, "<")
    _arrows(axes, places[high == np.inf], right, ">")
    axes.set_yticks(places, [style.short(point.name) for point in points])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(points) - 0.4, -0.6)


def _arrows(axes: Axes, places: Array, where: float, marker: str) -> None:
    if places.size:  # nothing that is not clipped would lie at the corner of the figure
        axes.plot(np.full(places.size, where), places, marker, color=style.REFERENCE, clip_on=False)


def _support(metrics: Sequence[SupportMetric]) -> PointRows:
    points = [Point.of(each.name, each.difference) for each in metrics]
    return PointRows(points, "difference from a perfect generator", 0.0)


def _windows(windows: Sequence[Window]) -> PointRows:
    points = [
        Point(f"{w.feature} {plain_number(w.low)} to {plain_number(w.high)}", w.z) for w in windows
    ]
    return PointRows(points[:_MOST], "z of the window, not corrected for the scan", 0.0)


def _efficiency(name: str, found: Efficiency) -> Point:
    return Point(name, found.value, found.low, found.high)


def _spots(found: Hotspots | Localisation) -> PointRows:
    order = np.argsort(-np.abs(found.z))[:_MOST]
    points = [
        Point(f"at {', '.join(plain_number(float(x), digits=3) for x in found.centres[k])}", z)
        for k, z in zip(order, found.z[order].tolist(), strict=True)
    ]
    return PointRows(points, "z of the place", 0.0)


def _moments(found: MomentComparison) -> PointRows:
    names = _MOMENTS[: found.z.size]
    points = [Point(name, z, z - 1.0, z + 1.0) for name, z in zip(names, found.z, strict=True)]
    return PointRows(points, f"{found.feature.name}: difference / error", 0.0)


def _preference(found: Preference) -> PointRows:
    ends = zip(found.systems, found.strengths, found.low, found.high, strict=True)
    points = [Point(name, *map(float, rest)) for name, *rest in ends]
    return PointRows(points, f"log-strength, {percent(found.level)} interval", 0.0)


def _inception(found: InceptionScore) -> PointRows:
    score = Point.of("mean over the splits", found.score)
    return PointRows([score, Point("all events", found.whole)], "inception score")


def _scaled(found: ErrorScale) -> PointRows:
    own = [Point("standard error", *_ends(found.scale))]
    wider = [
        Point(f"{percent(one.level)} interval", found.scale.value, one.low, one.high)
        for one in found.intervals
    ]
    return PointRows([*own, *wider], "scale of the claimed errors", 1.0)


def _ends(found: Estimate) -> tuple[float, float, float]:
    return found.value, found.value - found.error, found.value + found.error


def _found(name: str, found: Found) -> Point:
    return Point(name, found.share, found.low, found.high)


_OF: dict[type, Callable[[Any], PointRows]] = {
    ArenaCosts: lambda r: PointRows(
        [Point(*pair) for pair in zip(r.metrics, r.seconds, strict=True)], "CPU time [s]", 0.0
    ),
    Found: lambda r: PointRows([_found("pairs", r)], "called different"),
    ShownAgain: lambda r: PointRows(
        [_found("sorted", r.ordered), _found("itself", r.itself)], "called different"
    ),
    Standing: lambda r: PointRows(
        [_found(defect, r.found(defect)) for defect in r.defects], f"power of {r.metric}"
    ),
    Agreement: lambda r: PointRows(
        [Point("kappa", r.kappa, *r.interval)], f"agreement, {percent(r.level)} interval", 0.0
    ),
    Efficiency: lambda r: PointRows([_efficiency("efficiency", r)], "efficiency"),
    EfficiencyComparison: lambda r: PointRows(
        [_efficiency("reference", r.reference), _efficiency("generated", r.generated)],
        f"efficiency of {r.name}",
    ),
    ErrorScale: _scaled,
    EntropyLabel: lambda r: PointRows(
        [Point("sample", r.exponent)], "exponent M of the resolution (3: the entropy bound)", 3.0
    ),
    Estimate: lambda r: PointRows([Point.of("estimate", r)], "value"),
    EstimatorCheck: lambda r: PointRows(
        [
            Point("integral \N{MINUS SIGN} 1", *(end - 1.0 for end in _ends(r.integral))),
            Point.of("entropy gap", r.entropy_gap),
        ],
        "zero is right",
        0.0,
    ),
    Forecast: lambda r: PointRows(
        [Point(f"{percent(g.level)} interval", np.nan, g.low, g.high) for g in r.gains],
        f"gain in equivalent events by {plain_number(r.factor)} times the training events",
        1.0,
    ),
    ForcedChoice: lambda r: PointRows(
        [Point(r.system, r.rate, *r.interval)],
        f"taken for real, {percent(r.level)} interval",
        0.5,
    ),
    FrechetDistance: lambda r: PointRows(
        [Point.of("extrapolated", r.extrapolated), Point("plain", r.plain)],
        "squared Fréchet distance",
        0.0,
    ),
    Hotspots: _spots,
    InceptionScore: _inception,
    Likelihood: lambda r: PointRows(
        [
            Point.of("nats per event", r.nll),
            Point.of("bits per dimension", r.bits_per_dimension),
        ],
        "negative log-likelihood",
    ),
    Localisation: _spots,
    MinosInterval: lambda r: PointRows(
        [Point("value", r.value, r.low, r.high)], "profile interval"
    ),
    MixtureWorth: lambda r: PointRows(
        [Point.of(each.name, each.inverse_size) for each in r.observables],
        "1 / events of equal error",
    ),
    MomentComparison: _moments,
    ObservableWorth: lambda r: PointRows(
        [Point.of(r.name, r.inverse_size)], "1 / events of equal error"
    ),
    Preference: _preference,
    RatioFit: lambda r: PointRows(
        [
            Point(f"member {m}", w, w - e, w + e)
            for m, (w, e) in enumerate(zip(r.weights, r.errors, strict=True))
        ][:_MOST],
        "weight of a density ratio",
        0.0,
    ),
    SampleAudit: lambda r: PointRows(
        [
            Point("kept of the proposed", r.accepted / max(r.proposed, 1)),
            Point.of("negative mass", r.negative_mass),
        ],
        "share",
        0.0,
    ),
    ScaleComparison: lambda r: PointRows(
        [Point(each.system, each.mean.value, *each.interval) for each in r.systems],
        f"rating, {percent(r.level)} interval",
    ),
    Significance: lambda r: PointRows([Point("Z", r.value, r.low, r.high)], "Z"),
    Support: lambda r: _support(r.metrics),
    SupportMetric: lambda r: _support([r]),
    Tail: lambda r: PointRows([Point(r.family, r.value, r.low, r.high)], "extrapolated p"),
    VarianceParts: lambda r: PointRows(
        [Point.of("total", r.total), *(Point.of(name, part) for name, part in r.parts.items())],
        "variance",
        0.0,
    ),
    Window: lambda r: _windows([r]),
    Windows: lambda r: _windows(r.windows),
}


@draws(*_OF)
def plot_numbers(result: object, *, ax: Axes | None = None) -> Axes:
    """Draw the numbers of a result with their intervals, one in each row.

    Parameters
    ----------
    result
        An estimate or a result of a few numbers: support metrics, windows, moments, rates.
    ax
        Where to draw; None for a new figure.
    """
    found = _OF[type(result)](result)
    return plot_points(found.points, label=found.label, at=found.at, ax=ax)
