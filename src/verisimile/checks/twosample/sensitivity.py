"""The smallest effect that a two-sample test would have seen at this number of events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from verisimile.checks.twosample.bundles import Bundles, events_together
from verisimile.checks.twosample.permutation import Job, accepts, null_values
from verisimile.checks.twosample.power_curve import HALF, NINETY, PowerCurve, next_look
from verisimile.checks.twosample.result import TwoSample, tie_threshold
from verisimile.checks.twosample.statistics.protocol import Statistic
from verisimile.checks.twosample.tilts import Local, Shift, TiltFamily, tilt_labels, tilted_masses
from verisimile.core.arrays import Array, BoolArray, digest, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.data.events import Events, match_features
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import Coordinates, Standardised, circles, in_turns, periodic
from verisimile.samples.pool import MassRows, Pool, pool_samples
from verisimile.stats.aggregate import smallest_p
from verisimile.stats.pvalues import matches

_LABELINGS = 24  # at each strength
_STEPS = 1.5 ** np.arange(32)  # strengths, in standard errors of a mean difference
_MOST = 8.0  # log odds beyond which a labeling hardly changes


@register("sensitivity", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity(Result):
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
    together
        Events of a random bundle that the labelings exchanged as one: one of most samples.
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
    together: int = 1
    listed: ClassVar[tuple[str, ...]] = ("effects", "power", "smoothed")

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
    if not 0.0 < level < HALF:
        raise InputError("level", got=level, expected="a number between 0 and 0.5")
    relabeled = all(result.p_value.null == "relabelings" for result in found)
    pool = pool_samples(reference, generated, coordinates, exchangeable_weights=relabeled)
    return effects_on(run, pool, tilts_of(reference, generated, pool), statistics, found, level)


def tilts_of(reference: Events, generated: Events, pool: Pool) -> tuple[TiltFamily, ...]:
    """Return the tilts of the events of a pool, whatever its coordinates."""
    x = in_turns(
        np.concatenate([reference.x, match_features(generated, reference.features).x]),
        reference.features,
    )
    # Along an angle its cosine and sine are shifted; an interval is one of the circle.
    spread = circles(x, periodic(reference.features)).x
    return Shift.of(spread, pool.weights), Local.of(x)


def effects_on(
    run: Run,
    pool: Pool,
    tilts: tuple[TiltFamily, ...],
    statistics: Sequence[Statistic],
    found: Sequence[TwoSample],
    level: float,
) -> tuple[Sensitivity, ...]:
    """Return what :func:`smallest_effects` does for samples that are pooled already."""
    _check(statistics, found, pool)
    at = run.at("two-sample")
    jobs = [Job(pool, statistic, at.seeds) for statistic in statistics]
    nulls = [null_table(at, job, one, level) for job, one in zip(jobs, found, strict=True)]
    searches = [
        _Search(job, *own, null, level, _LABELINGS)
        for job, own, null in zip(jobs, _tilts_at(jobs, tilts, at.seeds), nulls, strict=True)
    ]
    records = at.map(_searched, [search.task() for search in searches], label=_LABEL, schema=2)
    return tuple(
        _result(search, tilt, record)
        for search, record in zip(searches, records, strict=True)
        for tilt in tilts
        if isinstance(record, Record)
    )


def _tilts_at(
    jobs: Sequence[Job], tilts: tuple[TiltFamily, ...], seeds: Seeds
) -> Iterator[tuple[tuple[TiltFamily, ...], Bundles | None]]:
    """Yield for each job the tilts at the events that it takes, and the bundles of these."""
    made: dict[tuple[int, int], tuple[tuple[TiltFamily, ...], Bundles | None]] = {}
    for job in jobs:
        events = job.events
        if events.sizes not in made:
            bundles = None
            if (together := events_together(events)) > 1:
                bundles = Bundles.of(events, together, seeds)
            here = tilts if not job.thinned else tuple(tilt.at(events.rows) for tilt in tilts)
            made[events.sizes] = (
                here if bundles is None else tuple(map(bundles.tilt, here)),
                bundles,
            )
        yield made[events.sizes]


def _result(search: _Search, tilt: TiltFamily, record: Record) -> Sensitivity:
    achieved, seen, failed = (
        np.asarray(record.arrays[f"{tilt.name} {what}"]) for what in ("effect", "seen", "failed")
    )
    # Means over other features and places need not ascend strictly.
    effects = np.maximum.accumulate(achieved)
    labelings, pool = search.labelings, search.job.pool
    curve = PowerCurve(effects, seen, labelings, search.level)
    rng = search.job.seeds.at("tilt", tilt.name, "replicas").numpy()
    half, ninety = curve.crossings((HALF, NINETY), rng)
    return Sensitivity(
        statistic=search.job.statistic.name,
        effect=tilt.name,
        unit=tilt.unit,
        level=search.level,
        at_half=half,
        at_ninety=ninety,
        effects=frozen(effects),
        power=frozen(curve.power),
        smoothed=frozen(curve.smoothed),
        labelings=labelings,
        n_failed=int(failed.sum()),
        n_first=pool.sizes[0],
        n_second=pool.sizes[1],
        warnings=pool.warnings,
        together=events_together(search.job.events),
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


_LABEL = "tilted relabelings"
_ENTRIES = 4_000_000  # 32 MiB for each of a few arrays of masses at a time
_FEWEST = 99  # relabelings that make a critical value


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """What is needed to find the effects that one statistic sees: one task for all tilts.

    `null` holds the plain relabelings' values ``(B, J)``.
    """

    job: Job
    tilts: tuple[TiltFamily, ...]
    bundles: Bundles | None
    null: Array
    level: float
    labelings: int

    def task(self) -> Task:
        strengths = [_strengths(self.job, tilt).tolist() for tilt in self.tilts]
        config: dict[str, JSON] = {
            "pool": self.job.pool.key,
            "statistic": repr(self.job.statistic),
            "tilts": [tilt.key for tilt in self.tilts],
            "strengths": strengths,
            "labelings": self.labelings,
            "null": digest(self.null),
            "level": self.level,
            "together": events_together(self.job.events),
        }
        return Task(
            address=f"{self.job.address}/tilted/{self.level:.6g}",
            config=config,
            seeds=self.job.seeds,
            args=(self,),
        )


def _strengths(job: Job, tilt: TiltFamily) -> Array:
    unit = np.sqrt(sum(1.0 / n for n in job.events.n_effective)) / tilt.scale
    return np.unique(np.minimum(unit * _STEPS, _MOST))


def null_table(run: Run, job: Job, found: TwoSample, level: float) -> Array:
    """Return the values of plain relabelings ``(B, J)`` that judge the tilted ones.

    They are those of `found` unless they are columns, which a result does not hold, or an
    early end left too few: then the records of `run` are read, and what is missing is made.
    """
    fewest = max(_FEWEST, int(np.ceil(1.0 / level)) - 1)
    if not found.columns and found.null.size >= fewest:
        return found.null[:, None]
    return null_values(run, job, max(found.null.size, fewest), None).relabeled


def rejections(values: Array, null: Array, level: float) -> BoolArray:
    """Return which rows ``(L, J)`` have a p-value of `level` or less among `null` ``(B, J)``.

    The rule is that of the test: add-one ranks among the relabelings, columns combined by
    min-p together with them.  A labeling without a finite statistic is not seen.
    """
    p_values = [
        _p_value(tie_threshold(row, null), null) if np.isfinite(row).all() else np.inf
        for row in values
    ]
    # Multiples of 1 / (B + 1) may exceed the level by a rounding.
    return np.asarray(p_values) <= level * (1.0 + 1e-12)


def _p_value(threshold: Array, null: Array) -> float:
    if null.shape[1] > 1:
        smallest = smallest_p(threshold, null)
        extreme = int((smallest[1:] <= smallest[0]).sum())
    else:
        extreme = int(matches(threshold[0], null[:, 0]).sum())
    return (extreme + 1) / (len(null) + 1)


def _searched(seeds: Seeds, search: _Search) -> Payload:
    """Look at tilted labelings of one strength after the other until all crossings are known."""
    # What is prepared goes with this task: the driver's jobs would keep it for all statistics.
    search = replace(search, job=search.job.fresh())
    looks: dict[str, dict[int, _Look]] = {tilt.name: {} for tilt in search.tilts}
    while asked := list(_asked(search, looks)):
        # All tilts at once: some statistics make their functions of the events in every call.
        for (tilt, place, _), look in zip(asked, _look(seeds, search, asked), strict=True):
            looks[tilt.name][place] = look
    arrays = {
        f"{name} {what}": np.array([getattr(found[place], what) for place in sorted(found)])
        for name, found in looks.items()
        for what in _Look.__slots__
    }
    return Payload(arrays)


_Asked = tuple[TiltFamily, int, float]


@dataclass(frozen=True, slots=True)
class _Look:
    """The mean effect of labelings of one strength, how many were seen, and how many failed."""

    effect: float
    seen: int
    failed: int


def _asked(search: _Search, looks: Mapping[str, Mapping[int, _Look]]) -> Iterator[_Asked]:
    """Yield the tilts that need a further look, with the place of the strength and itself."""
    for tilt in search.tilts:
        strengths = _strengths(search.job, tilt).tolist()
        shares = {place: look.seen / search.labelings for place, look in looks[tilt.name].items()}
        place = next_look(shares, len(strengths))
        if place is not None:
            yield tilt, place, strengths[place]


def _look(seeds: Seeds, search: _Search, asked: Sequence[_Asked]) -> Iterator[_Look]:
    """Yield what labelings of each strength show."""
    streams = [
        (tilt, strength, seeds.at("tilt", tilt.name, f"{strength:.12g}").at(labeling))
        for tilt, _, strength in asked
        for labeling in range(search.labelings)
    ]
    values, effects = (
        _labeled(search, streams)
        if search.job.pool.null == "relabelings"
        else _massed(search.job, streams)
    )
    for some, achieved in zip(
        np.split(values, len(asked)), np.split(np.array(effects), len(asked)), strict=True
    ):
        yield _Look(
            effect=float(achieved.mean()),
            seen=int(rejections(some, search.null, search.level).sum()),
            failed=int((~np.isfinite(some).all(axis=1)).sum()),
        )


def _labeled(
    search: _Search, streams: Sequence[tuple[TiltFamily, float, Seeds]]
) -> tuple[Array, list[float]]:
    job, bundles = search.job, search.bundles
    labels = np.empty((len(streams), len(job.events.x)), dtype=np.bool_)
    effects = []
    for row, (tilt, strength, at) in zip(labels, streams, strict=True):
        row[:], effect = (
            tilt_labels(tilt, strength, job.events, at)
            if bundles is None
            else bundles.labels(tilt, strength, at)
        )
        effects.append(effect)
    return job.relabeled(labels), effects


def _massed(
    job: Job, streams: Sequence[tuple[TiltFamily, float, Seeds]]
) -> tuple[Array, list[float]]:
    values: list[Array] = []
    effects: list[float] = []
    step = max(1, _ENTRIES // len(job.events.x))
    for start in range(0, len(streams), step):
        drawn = [
            tilted_masses(tilt, strength, job.events, at)
            for tilt, strength, at in streams[start : start + step]
        ]
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
    return np.concatenate(values), effects
