"""Amplification as a function of a condition, with bands that hold in all its bins together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from verisimile.checks.amplification.quantile import (
    quantile,
    quantile_of_trainings,
    require_holdout,
)
from verisimile.checks.amplification.regions import (
    AnyRegions,
    QuantileRegions,
    quantile_regions,
)
from verisimile.checks.amplification.result import Amplification, Interval, check_plan
from verisimile.checks.amplification.shares import reject_signed
from verisimile.core.arrays import Array, IntArray, as_vector, frozen
from verisimile.core.errors import InputError, require
from verisimile.core.result import Result, register
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.inputs import EventsLike, as_events, as_samples

BINS = 5
"""Bins of a condition if no number is asked for."""
REGIONS = 10
_FEWEST = 2


@register("conditional-amplification", 1)
@dataclass(frozen=True, slots=True, eq=False)
class ConditionalAmplification(Result):
    """Amplification in bins of a condition.

    Attributes
    ----------
    feature
        The condition.
    edges
        Inner edges of the B bins ``(B - 1,)``; the outer ones reach to infinity.
    centres
        Median of the condition over held-out events in each bin ``(B,)``.
    points
        The measure in each bin, with intervals that hold for this bin alone.
    levels
        Contents of the bands ``(L,)``.
    low, high
        Bands on 1/G ``(L, B)``: that all bins lie in them has at least the content of the band.
    """

    feature: str
    edges: Array
    centres: Array
    points: tuple[Amplification, ...]
    levels: tuple[float, ...]
    low: Array
    high: Array
    warnings: tuple[str, ...] = ()
    listed: ClassVar[tuple[str, ...]] = ("points",)

    def __repr__(self) -> str:
        """Return one line: the condition, and G of each bin in the widest band."""
        low, high = self.gain_band(max(self.levels))
        said = ", ".join(f"{a:.2g} to {b:.2g}" for a, b in zip(low, high, strict=True))
        return f"ConditionalAmplification({self.feature}, G in {len(self.points)} bins: {said})"

    def band(self, level: float) -> tuple[Array, Array]:
        """Return both ends ``(B,)`` of the band on 1/G of content `level`, one of those stated."""
        for place, known in enumerate(self.levels):
            if math.isclose(known, level):
                return self.low[place], self.high[place]
        stated = ", ".join(f"{each:g}" for each in self.levels)
        raise InputError("level", got=level, expected=f"one of {stated}")

    def gain_band(self, level: float) -> tuple[Array, Array]:
        """Return both ends ``(B,)`` of the band on G; infinite where 1/G may be zero."""
        low, high = self.band(level)
        with np.errstate(divide="ignore"):
            return 1.0 / high, 1.0 / low

    def constant(self, level: float) -> Interval | None:
        """Return the values of 1/G that lie in the band in every bin; None if there are none.

        None rejects one G for all bins at the significance 1 - `level`.
        """
        low, high = self.band(level)
        least, most = float(low.max()), float(high.min())
        return Interval(level, least, most) if least <= most else None


def conditional(  # noqa: PLR0913  (samples, the condition, and sizes with defaults)
    run: Run,
    generated: Sequence[EventsLike],
    holdout: EventsLike | None,
    feature: str,
    *,
    n_train: int,
    train: EventsLike | None = None,
    bins: int | Sequence[float] = BINS,
    regions: AnyRegions = (REGIONS,),
    levels: Sequence[float] = (0.68, 0.95),
) -> ConditionalAmplification:
    r"""Return the amplification of a generator as a function of one feature, its condition.

    .. math:: G(c) = n_\mathrm{equiv}(c) / n_\mathrm{train}(c)

    in each bin of c is that of the law of all other features given the bin, by the quantile
    measure, with the training events that lie there.  A condition that is the only feature is
    resolved itself, inside of each bin.

    Bins have no events in common, and given how many lie in each, B intervals of content
    :math:`\beta` hold for this generator in all bins at once with probability
    :math:`\beta^B`; bands of content L therefore take

    .. math:: \beta = L^{1/B}, \qquad \beta = 1 - (1 - L) / B,

    the second (Bonferroni's, for any dependence) for a procedure, whose trainings err in several
    bins together.

    Parameters
    ----------
    run
        Gives the streams that set events aside for the regions' edges.
    generated
        A sample of one generator, which is then measured as it is, or samples of several
        trainings: of the procedure (:func:`.quantile_of_trainings`).
    holdout
        True events that no generator has seen; required.
    feature
        The condition; generated and true events have it from the same law in each bin, or
        what differs is counted as an error of the generator.
    n_train
        Training events in all bins.
    train
        The training events of a single generator, whose number in each bin is then counted; else
        it is `n_train` times the bin's share of the holdout.
    bins
        How many, with equal shares of the holdout, or their inner edges.
    regions
        In each bin: their number, which is one, or regions of the caller's.
    levels
        Contents of the bands, and of the intervals of single bins.

    References
    ----------
    VERaiPHY section 6.3 (an open question there); Z. Šidák, J. Am. Stat. Assoc. 62 (1967) 626.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=(2, 4000, 2))
    >>> generated, holdout = (vs.Events(each, names=["x", "c"]) for each in x)
    >>> found = vs.amplification.conditional(
    ...     vs.Run(vs.Seeds(1)), [generated], holdout, "c", n_train=500, bins=2
    ... )
    >>> len(found.points), found.constant(0.95).low
    (2, 0.0)
    """
    check_plan(n_train, levels, fewest=2)
    samples, known = as_samples(generated, "generated"), require_holdout(holdout)
    require(samples, "generated", got="no sample", expected="one or more")
    samples = [match_features(each, known.features) for each in samples]
    trained = None if train is None else match_features(as_events(train, "train"), known.features)
    cut = check_condition(samples, known, feature, bins=bins, regions=regions)
    sizes = _training_sizes(cut, known, trained if len(samples) == 1 else None, feature, n_train)
    joint = [_alone(level, cut.count, independent=len(samples) == 1) for level in levels]
    points = [
        _point(
            run.at("amplification", "condition", number),
            [_rows(each, cut, feature, number) for each in samples],
            _rows(known, cut, feature, number),
            n_train=sizes[number],
            regions=regions,
            levels=(*joint, *levels),
        )
        for number in range(cut.count)
    ]
    ends = [[(each.low, each.high) for each in point.intervals[: len(joint)]] for point in points]
    low, high = np.moveaxis(np.array(ends), 0, -1).swapaxes(0, 1)
    return ConditionalAmplification(
        feature=feature,
        edges=frozen(cut.edges),
        centres=frozen(
            [np.median(_of_bin(known, cut, feature, b).column(feature)) for b in range(cut.count)]
        ),
        points=tuple(replace(each, intervals=each.intervals[len(joint) :]) for each in points),
        levels=tuple(levels),
        low=frozen(low),
        high=frozen(high),
        warnings=_notes(points, feature, bins, cut.count),
    )


def check_condition(
    generated: Sequence[Events],
    holdout: Events,
    feature: str,
    *,
    bins: int | Sequence[float] = BINS,
    regions: AnyRegions = (REGIONS,),
) -> QuantileRegions:
    """Return the bins of a condition, or raise what :func:`conditional` would before it measures.

    Without generated samples only the holdout is looked at.
    """
    require(
        feature in holdout.names,
        "feature",
        got=repr(feature),
        expected=f"one of {', '.join(map(repr, holdout.names))}",
    )
    reject_signed(holdout.weights, "holdout")
    cut = _bins(holdout.column(feature), bins)
    wanted = regions if isinstance(regions, Sequence) else [regions]
    require(len(wanted) == 1, "regions", got=f"{len(wanted)} resolutions", expected="one")
    # Half of the generated events make the edges of as many regions.
    least = 2 * int(wanted[0]) if isinstance(wanted[0], int | np.integer) else _FEWEST
    named = [("holdout", holdout, _FEWEST), *(("generated", each, least) for each in generated)]
    for name, events, fewest in named:
        counts = np.bincount(cut.of(events.column(feature)[:, None]), minlength=cut.count)
        require(
            counts.min() >= fewest,
            name,
            got=f"{counts.min()} events in bin {int(counts.argmin()) + 1} of {feature!r}",
            expected=f"at least {fewest} in each of {cut.count} bins",
            remedy="Ask for fewer bins or regions, or for bins within the range of both samples.",
        )
    return cut


def _bins(values: Array, bins: int | Sequence[float]) -> QuantileRegions:
    if isinstance(bins, int | np.integer):
        found = quantile_regions(values[:, None], int(bins))
        got, expected = "a condition with one value", "one that varies"
        require(found.count > 1, "feature", got=got, expected=expected)
        return found
    edges = as_vector(bins, "bins")
    ascending = edges.size and (np.diff(edges) > 0.0).all()
    require(ascending, "bins", got=edges.tolist(), expected="a number, or ascending inner edges")
    return QuantileRegions(edges)


def _alone(level: float, bins: int, *, independent: bool) -> float:
    """Return the content that each of the bins' intervals needs."""
    return level ** (1.0 / bins) if independent else 1.0 - (1.0 - level) / bins


def _labels(events: Events, cut: QuantileRegions, feature: str) -> IntArray:
    return cut.of(events.column(feature)[:, None])


def _of_bin(events: Events, cut: QuantileRegions, feature: str, number: int) -> Events:
    return events.take(np.flatnonzero(_labels(events, cut, feature) == number))


def _rows(events: Events, cut: QuantileRegions, feature: str, number: int) -> Events:
    """Return a bin's events, without the condition if there are other features."""
    others = [name for name in events.names if name != feature]
    return _of_bin(events, cut, feature, number).select(others or [feature])


def _training_sizes(
    cut: QuantileRegions, holdout: Events, train: Events | None, feature: str, n_train: int
) -> list[int]:
    """Return the training events in each bin, counted or by the shares of the holdout."""
    known = train or holdout
    labels = _labels(known, cut, feature)
    if train is not None:
        counts = np.bincount(labels, minlength=cut.count)
    else:
        held = np.bincount(labels, holdout.weights, minlength=cut.count)
        counts = np.rint(n_train * held / held.sum()).astype(np.int64)
    require(
        counts.min() >= _FEWEST,
        "train" if train is not None else "n_train",
        got=f"{counts.min()} training events in bin {int(counts.argmin()) + 1} of {feature!r}",
        expected=f"at least {_FEWEST}",
        remedy="Ask for fewer bins.",
    )
    return [int(each) for each in counts]


def _point(
    run: Run,
    generated: Sequence[Events],
    holdout: Events,
    *,
    n_train: int,
    regions: AnyRegions,
    levels: Sequence[float],
) -> Amplification:
    if len(generated) == 1:
        curve = quantile(
            run, generated[0], holdout, n_train=n_train, regions=regions, levels=levels
        )
    else:
        curve = quantile_of_trainings(
            run, generated, holdout, n_train=n_train, regions=regions, levels=levels
        )
    (point,) = curve.points
    return replace(point, warnings=(*point.warnings, *curve.warnings))


def _notes(
    points: Sequence[Amplification], feature: str, bins: int | Sequence[float], found: int
) -> tuple[str, ...]:
    said = [
        f"bin {number} of {feature}: {note}"
        for number, point in enumerate(points, 1)
        for note in point.warnings
    ]
    if isinstance(bins, int | np.integer) and found != bins:
        said.insert(0, f"repeated values of {feature} allow only {found} bins of {bins} asked for")
    return tuple(said)
