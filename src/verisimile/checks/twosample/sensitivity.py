"""The smallest effect that a two-sample test would have seen at this number of events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, stats

from verisimile.checks.twosample.permutation import Job, accepts, null_values
from verisimile.checks.twosample.result import TwoSample, tie_threshold
from verisimile.checks.twosample.statistics.protocol import Statistic, Tabulated
from verisimile.checks.twosample.tilts import Local, Shift, TiltFamily, tilt_labels, tilted_masses
from verisimile.core.arrays import Array, BoolArray, IntArray, frozen
from verisimile.core.canonical import JSON
from verisimile.core.dispatch import Task
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.result import Estimate, register
from verisimile.core.run import Run
from verisimile.data.events import match_features
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import Coordinates, Standardised, circles, in_turns, periodic
from verisimile.samples.pool import MassRows, Pool, pool_samples
from verisimile.stats.aggregate import min_p
from verisimile.stats.pvalues import Empirical

_LABELINGS = 24  # at each strength
_STEPS = 1.5 ** np.arange(8)  # strengths, in standard errors of a mean difference
_MOST = 8.0  # log odds beyond which a labeling hardly changes
_HALF, _NINETY = 0.5, 0.9


@register("sensitivity", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """What one statistic would have seen, had the samples differed by one known effect.

    Attributes
    ----------
    statistic
        Its name.
    effect
        ``"shift"`` of one feature, or ``"local"`` excess in an interval.
    unit
        What the effect is counted in.
    level
        Of the test.
    at_half, at_ninety
        The effect that is seen with a power of 50 % and of 90 %, with the error that the
        number of labelings leaves; None for more than the largest of `effects`.
    effects
        Effects that were achieved ``(K,)``, ascending.
    power, smoothed
        Share of labelings that were seen at each, and a curve through them that
        never falls ``(K,)``.
    labelings
        At each effect.
    n_failed
        Labelings without a finite statistic, counted as not seen.
    n_first, n_second
        Events of each sample.
    warnings
        What a reader must know.
    """

    statistic: str
    effect: Literal["shift", "local"]
    unit: str
    level: float
    at_half: Estimate | None
    at_ninety: Estimate | None
    effects: Array
    power: Array
    smoothed: Array
    labelings: int
    n_failed: int
    n_first: int
    n_second: int
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return one line: the effects seen with 50 % and with 90 %."""
        half, ninety = (self._said(value) for value in (self.at_half, self.at_ninety))
        return (
            f"Sensitivity({self.statistic}, {self.effect} seen at level {self.level:g} with 50 %: "
            f"{half}, with 90 %: {ninety})"
        )

    def _said(self, value: Estimate | None) -> str:
        if value is None:
            return f"more than {self.effects[-1]:.3g}"
        return f"{value.value:.3g} ± {value.error:.1g}"


def smallest_effects(
    run: Run,
    reference: EventsLike,
    generated: EventsLike,
    statistics: Sequence[Statistic],
    found: Sequence[TwoSample],
    *,
    level: float = 0.05,
    coordinates: Coordinates = Standardised(),  # noqa: B008  (frozen)
) -> tuple[Sensitivity, ...]:
    r"""Return the smallest effects that a permutation test would have seen.

    The pooled events stay as they are, and with them all that was prepared.  Labelings
    are drawn in which the odds to belong to the second sample depend on the event,

    .. math:: \frac{P(i \in 2)}{P(i \in 1)} \propto e^{\epsilon u_i},

    with u the normal score of one feature (``"shift"``) or one within an interval that
    holds 1 % of the events (``"local"``), sizes of the samples kept.  Each is judged as the data
    were, by its rank among the relabelings of `found`, and the share with
    :math:`p \le \alpha` is the power.  Effects are those that the labelings have, with
    the events' weights, not :math:`\epsilon`.

    Parameters
    ----------
    run
        As in the call of `permutation_test`: records of its store are used.
    reference, generated, statistics, coordinates
        As there.
    found
        What it returned.
    level
        Of the test.

    Returns
    -------
    tuple of Sensitivity
        A shift and a local effect of each statistic in turn.

    Raises
    ------
    InputError
        If the level is not between 0 and 0.5, or `found` are other results.
    """
    reference, generated = comparable(reference=reference, generated=generated)
    if not 0.0 < level < _HALF:
        raise InputError("level", got=level, expected="a number between 0 and 0.5")
    relabeled = all(result.p_value.null == "relabelings" for result in found)
    pool = pool_samples(reference, generated, coordinates, exchangeable_weights=relabeled)
    _check(statistics, found, pool)
    x = in_turns(
        np.concatenate([reference.x, match_features(generated, reference.features).x]),
        reference.features,
    )
    at = run.at("two-sample")
    # Along an angle its cosine and sine are shifted; an interval is one of the circle.
    spread = circles(x, periodic(reference.features)).x
    tilts: tuple[TiltFamily, ...] = (Shift.of(spread, pool.weights), Local.of(x))
    jobs = [Job(pool, statistic, at.seeds) for statistic in statistics]
    first_look = [(job, tilt, _strengths(job, tilt)) for job in jobs for tilt in tilts]
    keep_tilted_values(at, first_look, labelings=_LABELINGS)
    return tuple(
        _measured(at, job, tilt, result, level)
        for job, result in zip(jobs, found, strict=True)
        for tilt in tilts
    )


def _strengths(job: Job, tilt: TiltFamily) -> Array:
    unit = np.sqrt(sum(1.0 / n for n in job.events.n_effective)) / tilt.scale
    return np.unique(np.minimum(unit * _STEPS, _MOST))


def _measured(run: Run, job: Job, tilt: TiltFamily, found: TwoSample, level: float) -> Sensitivity:
    strengths = _strengths(job, tilt)
    tilts = tilted_values(run, job, tilt, strengths, labelings=_LABELINGS)
    null = null_table(run, job, found, level, several=tilts.several)
    seen = rejections(tilts, null, level)
    if seen[-1].mean() < _NINETY and strengths[-1] < _MOST:
        # What is not seen at these is looked for at strengths up to 26 times as large.
        more = np.unique(np.minimum(strengths[-1] * 1.5 * _STEPS, _MOST))
        further = tilted_values(run, job, tilt, more, labelings=_LABELINGS)
        tilts, seen = tilts.then(further), np.vstack([seen, rejections(further, null, level)])
    return _result(job, tilt, tilts, seen, level)


def _result(
    job: Job, tilt: TiltFamily, tilts: TiltedValues, seen: BoolArray, level: float
) -> Sensitivity:
    # Means over other features and places need not ascend strictly.
    effects = np.maximum.accumulate(tilts.effects.mean(axis=1))
    curve = PowerCurve(effects, seen.sum(axis=1), seen.shape[1], level)
    rng = job.seeds.at("tilt", tilt.name, "replicas").numpy()
    half, ninety = curve.crossings((_HALF, _NINETY), rng)
    return Sensitivity(
        statistic=job.statistic.name,
        effect=tilt.name,
        unit=tilt.unit,
        level=level,
        at_half=half,
        at_ninety=ninety,
        effects=frozen(effects),
        power=frozen(curve.power),
        smoothed=frozen(curve.smoothed),
        labelings=seen.shape[1],
        n_failed=int((~np.isfinite(tilts.values).all(axis=2)).sum()),
        n_first=job.pool.sizes[0],
        n_second=job.pool.sizes[1],
        warnings=job.pool.warnings,
    )


def _check(statistics: Sequence[Statistic], found: Sequence[TwoSample], pool: Pool) -> None:
    """Raise unless the results can be those of the statistics on this pool."""
    for statistic in statistics:
        accepts(statistic, pool)
    names = [statistic.name for statistic in statistics]
    same = all(
        (result.n_first, result.n_second) == pool.sizes and result.coordinates == pool.coordinates
        for result in found
    )
    if not same or not names or [result.statistic for result in found] != names:
        raise InputError(
            "found",
            got=f"{list(found)}",
            expected=f"results of {names} in {pool.coordinates} coordinates on {pool.sizes} events",
            remedy="Pass what permutation_test returned for the same arguments.",
        )


_REPLICAS = 200


@dataclass(frozen=True, slots=True, eq=False)
class PowerCurve:
    """Detections among so many labelings at each of K growing effects.

    Attributes
    ----------
    effects
        ``(K,)``, ascending, above zero.
    seen
        Detections at each ``(K,)``.
    labelings
        Labelings at each effect.
    level
        The power at effect zero.
    """

    effects: Array
    seen: IntArray
    labelings: int
    level: float

    @property
    def power(self) -> Array:
        """Shares of labelings that were seen ``(K,)``."""
        return np.asarray(self.seen / self.labelings)

    @property
    def smoothed(self) -> Array:
        """The nearest curve that never falls and is nowhere below the level ``(K,)``."""
        return self._monotone(self.power)

    def crossings(
        self, targets: Sequence[float], rng: np.random.Generator
    ) -> tuple[Estimate | None, ...]:
        """Return the effects at which the power is each target above the level, None if nowhere.

        Between effects the power's normal quantile is linear, as it is for a test of a
        mean.  The error is the spread over binomial replicas of the detections.
        """
        smoothed = self.smoothed
        # A share of 0 or 1 of few labelings is not certain.
        rates = (smoothed * self.labelings + 0.5) / (self.labelings + 1.0)
        draws = rng.binomial(self.labelings, rates, size=(_REPLICAS, rates.size)) / self.labelings
        curves = [self._monotone(draw) for draw in draws]
        return tuple(self._estimate(smoothed, curves, target) for target in targets)

    def _estimate(self, smoothed: Array, curves: list[Array], target: float) -> Estimate | None:
        value = self._cross(smoothed, target)
        if value is None:
            return None
        replicas = [self._cross(curve, target) for curve in curves]
        ends = [self.effects[-1] if replica is None else replica for replica in replicas]
        return Estimate(value, float(np.std(ends, ddof=1)))

    def _monotone(self, power: Array) -> Array:
        return np.asarray(np.maximum(optimize.isotonic_regression(power).x, self.level))

    def _cross(self, smoothed: Array, target: float) -> float | None:
        if smoothed[-1] < target:
            return None
        effects = np.append(0.0, self.effects)
        edge = 0.5 / self.labelings
        quantiles = stats.norm.ppf(np.clip(np.append(self.level, smoothed), edge, 1.0 - edge))
        wanted = stats.norm.ppf(target)
        above = 1 + int(np.argmax(smoothed >= target))
        low, high = quantiles[above - 1], quantiles[above]
        share = (wanted - low) / (high - low)
        return float(effects[above - 1] + share * (effects[above] - effects[above - 1]))


_LABEL = "tilted relabelings"
_ENTRIES = 4_000_000  # 32 MiB for each of a few arrays of masses at a time
_FEWEST = 99  # relabelings that make a critical value


@dataclass(frozen=True, slots=True, eq=False)
class TiltedValues:
    """Tilted labelings of K strengths, L of each.

    Attributes
    ----------
    values
        ``(K, L, J)``, J = 1 unless min-p combines columns.
    effects
        Achieved effects ``(K, L)``.
    several
        Whether the columns are combined by min-p.
    """

    values: Array
    effects: Array
    several: bool

    def then(self, other: TiltedValues) -> TiltedValues:
        """Return these strengths followed by those of `other`."""
        return TiltedValues(
            np.concatenate([self.values, other.values]),
            np.concatenate([self.effects, other.effects]),
            self.several,
        )


def tilted_values(
    run: Run, job: Job, tilt: TiltFamily, strengths: Array, *, labelings: int
) -> TiltedValues:
    """Return values and effects of labelings at these strengths, kept in the store of `run`.

    The labelings of a strength are the same for every statistic.
    """
    (record,) = run.map(_value, [_task(job, tilt, strengths, labelings)], label=_LABEL)
    if not isinstance(record, Record):
        raise InputError("tilted relabelings", got=f"{record}", expected="a record")
    shape = (strengths.size, labelings)
    return TiltedValues(
        np.asarray(record.arrays["values"]).reshape(*shape, -1),
        np.asarray(record.arrays["effects"]).reshape(shape),
        bool(record.meta["several"]),
    )


def keep_tilted_values(
    run: Run, wanted: Iterable[tuple[Job, TiltFamily, Array]], *, labelings: int
) -> None:
    """Make all that :func:`tilted_values` will be asked for at once, side by side."""
    tasks = [_task(job, tilt, strengths, labelings) for job, tilt, strengths in wanted]
    run.map(_value, tasks, label=_LABEL)


def _task(job: Job, tilt: TiltFamily, strengths: Array, labelings: int) -> Task:
    config: dict[str, JSON] = {
        "pool": job.pool.key,
        "statistic": repr(job.statistic),
        "tilt": tilt.key,
        "strengths": strengths.tolist(),
        "labelings": labelings,
    }
    return Task(
        address=f"{job.address}/tilt-{tilt.name}/{strengths[0]:.6g}-{strengths.size}x{labelings}",
        config=config,
        seeds=job.seeds,
        args=(job, tilt, strengths, labelings),
    )


def null_table(run: Run, job: Job, found: TwoSample, level: float, *, several: bool) -> Array:
    """Return the values of plain relabelings ``(B, J)`` that judge the tilted ones.

    They are those of `found` unless they are columns, which a result does not hold, or an
    early end left too few: then the records of `run` are read, and what is missing is made.
    """
    fewest = max(_FEWEST, int(np.ceil(1.0 / level)) - 1)
    if not several and found.null.size >= fewest:
        return found.null[:, None]
    return null_values(run, job, max(found.null.size, fewest), None).relabeled


def rejections(tilts: TiltedValues, null: Array, level: float) -> BoolArray:
    """Return which tilted labelings have a p-value of `level` or less ``(K, L)``.

    The rule is that of the test: add-one ranks among the relabelings, columns combined by
    min-p together with them.  A labeling without a finite statistic is not seen.
    """
    rows = tilts.values.reshape(-1, null.shape[1])
    p_values = [
        _p_value(row, null, several=tilts.several) if np.isfinite(row).all() else np.inf
        for row in rows
    ]
    # Multiples of 1 / (B + 1) may exceed the level by a rounding.
    return np.asarray(p_values).reshape(tilts.effects.shape) <= level * (1.0 + 1e-12)


def _p_value(row: Array, null: Array, *, several: bool) -> float:
    threshold = tie_threshold(row, null)
    if several:
        return min_p(threshold, null).p_value.value
    return Empirical(null[:, 0], "relabelings").p_value(float(threshold[0])).value


def _value(seeds: Seeds, job: Job, tilt: TiltFamily, strengths: Array, labelings: int) -> Payload:
    streams = [
        (strength, seeds.at("tilt", tilt.name, f"{strength:.12g}").at(labeling))
        for strength in strengths.tolist()
        for labeling in range(labelings)
    ]
    made = _labeled if job.pool.null == "relabelings" else _massed
    values, effects = made(job, tilt, streams)
    several = isinstance(job.prepared, Tabulated)
    return Payload({"values": values, "effects": effects}, {"several": several})


def _labeled(
    job: Job, tilt: TiltFamily, streams: Sequence[tuple[float, Seeds]]
) -> tuple[Array, Array]:
    drawn = [tilt_labels(tilt, strength, job.events, at) for strength, at in streams]
    labels, effects = np.stack([row for row, _ in drawn]), np.array([effect for _, effect in drawn])
    prepared = job.prepared
    values = prepared.table(labels) if isinstance(prepared, Tabulated) else prepared.values(labels)
    return values, effects


def _massed(
    job: Job, tilt: TiltFamily, streams: Sequence[tuple[float, Seeds]]
) -> tuple[Array, Array]:
    values, effects = [], []
    step = max(1, _ENTRIES // len(job.events.x))
    for start in range(0, len(streams), step):
        drawn = [tilted_masses(tilt, e, job.events, at) for e, at in streams[start : start + step]]
        rows = [row for row, _ in drawn]
        values.append(
            job.massed(
                MassRows(
                    np.concatenate([row.first for row in rows]),
                    np.concatenate([row.second for row in rows]),
                    rows[0].base,
                )
            )
        )
        effects += [effect for _, effect in drawn]
    return np.concatenate(values), np.array(effects)
