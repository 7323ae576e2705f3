"""The members' part of all observables, from exact values or one pooled sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.coverage.bound import Bound, Calibrated, Columns, density_ratios, stratified
from verisimile.checks.coverage.responses import Response
from verisimile.core.arrays import Array
from verisimile.core.dispatch import Task
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.density.protocol import DensityEstimator
from verisimile.mixture.fit import WeightFit
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import member_log_densities

_PILOT = 20_000
_FIRST = 50_000
_BLOCK = 25_000  # events in memory at a time
_TASKS = 16
_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class PooledDraws:
    """How many events are drawn from the members, together, for their expectations.

    Attributes
    ----------
    share
        Part of the claimed variance of every observable that their Monte-Carlo
        error may have; it is a common offset of all data sets.
    most
        Draws after which it is left as it is, with a warning.
    """

    share: float = 0.005
    most: int = 4_000_000

    def __post_init__(self) -> None:
        if not (0.0 < self.share < 1.0 and self.most > 1):
            raise InputError(
                "PooledDraws", got=repr(self), expected="a share in (0, 1) and a number of draws"
            )


def pooled(members: Sequence[DensityEstimator], n: int, rng: np.random.Generator) -> Array:
    """Return `n` events drawn from the members in equal shares."""
    counts = rng.multinomial(n, np.full(len(members), 1.0 / len(members)))
    parts = [m.sample(int(k), rng) for m, k in zip(members, counts, strict=True) if k]
    return np.concatenate(parts)


def pilot_columns(mixture: Mixture, seeds: Seeds) -> Columns:
    """Return the features with pooled draws that show where the members' events lie."""
    names = tuple(feature.name for feature in mixture.features)
    return Columns(names, pooled(mixture.members, _PILOT, seeds.at("pilot").numpy()))


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Additive sums over a pool: A, and those of each observable."""

    count: int
    base: Array
    parts: tuple[Array, ...]

    def plus(self, other: _Sums) -> _Sums:
        parts = tuple(a + b for a, b in zip(self.parts, other.parts, strict=True))
        return _Sums(self.count + other.count, self.base + other.base, parts)

    def responses(self, bound: Sequence[Bound]) -> tuple[Response, ...]:
        pool = Calibrated(self.base, self.count)
        return tuple(item.collect(pool, part) for item, part in zip(bound, self.parts, strict=True))


_Draw = Callable[[Sequence[Bound], int, int], _Sums]
"""From observables, the number of the round, and events to the sums over them."""


def member_responses(
    run: Run, mixture: Mixture, bound: Sequence[Bound], events: int, draws: PooledDraws
) -> tuple[Response, ...]:
    """Return the response of every observable, for data sets of `events` events.

    Sums are kept by the run, and memory does not grow with the draws.
    """

    def draw(items: Sequence[Bound], number: int, count: int) -> _Sums:
        size = max(_FIRST, math.ceil(count / _TASKS))
        tasks = [
            _task(run, mixture, items, number, k, min(size, count - k * size))
            for k in range(math.ceil(count / size))
        ]
        records = run.map(_sum, tasks, label="coverage-members")
        # With no failures allowed, every outcome is a record.
        found = [_of(record, len(items)) for record in records if isinstance(record, Record)]
        total = found[0]
        for more in found[1:]:
            total = total.plus(more)
        return total

    return _settled(draw, mixture, bound, events, draws)


def local_responses(
    seeds: Seeds, mixture: Mixture, bound: Sequence[Bound], events: int, draws: PooledDraws
) -> tuple[Response, ...]:
    """Return the same inside one task, without storage."""

    def draw(items: Sequence[Bound], number: int, count: int) -> _Sums:
        return _summed(mixture.members, items, count, seeds.at("pool", number).numpy())

    return _settled(draw, mixture, bound, events, draws)


def _settled(
    draw: _Draw, mixture: Mixture, bound: Sequence[Bound], events: int, draws: PooledDraws
) -> tuple[Response, ...]:
    """Draw until the Monte-Carlo share of all observables is small, or there are too many."""
    exact = [item.exact(mixture.members) for item in bound]
    open_ = [item for item, known in zip(bound, exact, strict=True) if known is None]
    if open_:
        sums = draw(open_, 0, min(_FIRST, draws.most))
        for number in range(1, _ROUNDS):
            share = _worst_share(sums.responses(open_), mixture.fit, events)
            wanted = min(draws.most, math.ceil(1.1 * sums.count * share / draws.share))
            if share <= draws.share or wanted <= sums.count:
                break
            sums = sums.plus(draw(open_, number, wanted - sums.count))
        estimated = iter(sums.responses(open_))
    return tuple(next(estimated) if known is None else known for known in exact)


def _worst_share(responses: Sequence[Response], fit: WeightFit, events: int) -> float:
    """Return the largest ratio of Monte-Carlo to statistical variance for so many events."""
    scale = fit.record.n_events / events
    worst = 0.0
    for response in responses:
        found = response.estimate(fit)
        statistical = scale * (found.error**2 - found.sampling)
        # Without a value in the mixture's own fit there is nothing to aim at.
        if statistical > 0.0:
            worst = max(worst, found.sampling / statistical)
    return worst


def _task(
    run: Run, mixture: Mixture, bound: Sequence[Bound], number: int, block: int, count: int
) -> Task:
    return Task(
        address=f"coverage/{mixture.fingerprint[:16]}/pool/{number}-{block:04d}-{count}",
        config={
            "mixture": mixture.fingerprint,
            "round": number,
            "block": block,
            "count": count,
            "observables": [item.key for item in bound],
        },
        seeds=run.seeds.at("coverage", "pool", number, block),
        args=(mixture.members, tuple(bound), count),
    )


def _sum(
    seeds: Seeds, members: tuple[DensityEstimator, ...], bound: tuple[Bound, ...], count: int
) -> Payload:
    sums = _summed(members, bound, count, seeds.numpy())
    parts = {f"part{k}": part for k, part in enumerate(sums.parts)}
    return Payload({"base": sums.base, **parts}, {"count": sums.count})


def _of(record: Record, observables: int) -> _Sums:
    parts = tuple(np.asarray(record.arrays[f"part{k}"]) for k in range(observables))
    return _Sums(int(str(record.meta["count"])), np.asarray(record.arrays["base"]), parts)


def _summed(
    members: Sequence[DensityEstimator],
    bound: Sequence[Bound],
    count: int,
    rng: np.random.Generator,
) -> _Sums:
    blocks = max(1, round(count / _BLOCK))
    each = math.ceil(count / (blocks * len(members)))
    total = _block(members, bound, each, rng)
    for _ in range(blocks - 1):
        total = total.plus(_block(members, bound, each, rng))
    return total


def _block(
    members: Sequence[DensityEstimator],
    bound: Sequence[Bound],
    each: int,
    rng: np.random.Generator,
) -> _Sums:
    x = stratified(members, each, rng)
    ratios, defined = density_ratios(member_log_densities(members, x))
    parts = tuple(item.accumulate(x[defined], ratios) for item in bound)
    return _Sums(ratios.shape[0], ratios.T @ ratios, parts)
