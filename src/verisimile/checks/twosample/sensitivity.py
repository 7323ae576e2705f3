"""The smallest effect that a two-sample test would have seen at this number of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from verisimile.checks.twosample.permutation import Job, accepts
from verisimile.checks.twosample.power_curve import PowerCurve
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.statistic import Statistic
from verisimile.checks.twosample.tilted_values import (
    TiltedValues,
    keep_tilted_values,
    null_table,
    rejected,
    tilted_values,
)
from verisimile.checks.twosample.tilts import Local, Shift, Tilt
from verisimile.core.arrays import Array, BoolArray, frozen
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate, register
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.samples.angles import circles, periodic, turned
from verisimile.samples.coordinates import Coordinates, Standardised
from verisimile.samples.pool import Pool, pooled

__all__ = ["Sensitivity", "smallest_effects"]

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
    first: Events,
    second: Events,
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
    first, second, statistics, coordinates
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
    if not 0.0 < level < _HALF:
        raise InputError("level", got=level, expected="a number between 0 and 0.5")
    relabeled = all(result.p_value.null == "relabelings" for result in found)
    pool = pooled(first, second, coordinates, exchangeable_weights=relabeled)
    _check(statistics, found, pool)
    x = turned(np.concatenate([first.x, match_features(second, first.features).x]), first.features)
    at = run.at("two-sample")
    # Along an angle its cosine and sine are shifted; an interval is one of the circle.
    spread = circles(x, periodic(first.features)).x
    tilts: tuple[Tilt, ...] = (Shift.of(spread, pool.weights), Local.of(x))
    jobs = [Job(pool, statistic, at.seeds) for statistic in statistics]
    first_look = [(job, tilt, _strengths(job, tilt)) for job in jobs for tilt in tilts]
    keep_tilted_values(at, first_look, labelings=_LABELINGS)
    return tuple(
        _measured(at, job, tilt, result, level)
        for job, result in zip(jobs, found, strict=True)
        for tilt in tilts
    )


def _strengths(job: Job, tilt: Tilt) -> Array:
    unit = np.sqrt(sum(1.0 / n for n in job.events.n_effective)) / tilt.scale
    return np.unique(np.minimum(unit * _STEPS, _MOST))


def _measured(run: Run, job: Job, tilt: Tilt, found: TwoSample, level: float) -> Sensitivity:
    strengths = _strengths(job, tilt)
    tilts = tilted_values(run, job, tilt, strengths, labelings=_LABELINGS)
    null = null_table(run, job, found, level, several=tilts.several)
    seen = rejected(tilts, null, level)
    if seen[-1].mean() < _NINETY and strengths[-1] < _MOST:
        # What is not seen at these is looked for at strengths up to 26 times as large.
        more = np.unique(np.minimum(strengths[-1] * 1.5 * _STEPS, _MOST))
        further = tilted_values(run, job, tilt, more, labelings=_LABELINGS)
        tilts, seen = tilts.then(further), np.vstack([seen, rejected(further, null, level)])
    return _result(job, tilt, tilts, seen, level)


def _result(
    job: Job, tilt: Tilt, tilts: TiltedValues, seen: BoolArray, level: float
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
