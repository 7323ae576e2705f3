"""The members' part of all observables, from exact values or one pooled sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from verisimile.checks.coverage.observables import BoundObservable, FeatureColumns
from verisimile.checks.coverage.responses import CalibratedPool, Response
from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError, require
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.density.protocol import DensityEstimator, Sampler
from verisimile.mixture.fit import Pseudo, WeightFit
from verisimile.mixture.model import Mixture
from verisimile.mixture.objective import scale_rows
from verisimile.mixture.sampling import member_log_densities

_PILOT = 20_000
_FIRST = 50_000
_BLOCK = 25_000  # events in memory at a time
_TASKS = 16
_ROUNDS = 6
_UNDEFINED = 1e-3  # share of draws without any density beyond which nothing is believed


@dataclass(frozen=True, slots=True)
class PooledDraws:
    """How many events are drawn from the members, together, for their expectations.

    Attributes
    ----------
    share
        Part of the claimed variance of every observable that their Monte-Carlo
        error may have; it is a common offset of all data sets.  A closure has none: there it is
        the part of the variance, claimed and actual alike, that this error makes up.
    most
        Draws after which it is left as it is, with a warning.
    """

    share: float = 0.005
    most: int = 4_000_000

    def __post_init__(self) -> None:
        fine = 0.0 < self.share < 1.0 and self.most > 1
        expected = "a share in (0, 1) and a number of draws"
        require(fine, "PooledDraws", got=repr(self), expected=expected)


def draw_pool(members: Sequence[DensityEstimator], n: int, rng: np.random.Generator) -> Array:
    """Return `n` events drawn from the members in equal shares."""
    counts = rng.multinomial(n, np.full(len(members), 1.0 / len(members)))
    parts = [m.sample(int(k), rng) for m, k in zip(members, counts, strict=True) if k]
    return np.concatenate(parts)


def pseudo_events(mixture: Mixture, count: int, strength: float, seeds: Seeds) -> Pseudo | None:
    """Return `count` pseudo-events that weigh `strength` together; None for none."""
    if not count:
        return None
    z = draw_pool(mixture.members, count, seeds.numpy())
    return Pseudo(mixture.log_densities(z), strength)


def pilot_columns(mixture: Mixture, seeds: Seeds) -> FeatureColumns:
    """Return the features with pooled draws that show where the members' events lie."""
    names = tuple(feature.name for feature in mixture.features)
    return FeatureColumns(names, draw_pool(mixture.members, _PILOT, seeds.at("pilot").numpy()))


def density_ratios(logf: Array) -> tuple[Array, Array]:
    r"""Return :math:`r = f / \bar f` where any member has density, and where that is."""
    defined = logf.max(axis=1) > -np.inf
    if defined.mean() < 1.0 - _UNDEFINED:
        raise NumericsError(
            "draws of the members",
            got=f"{int((~defined).sum())} of {defined.size} without any density",
            expected="draws where their own member has density",
            remedy="vs.check_estimator tells whether sampler and density belong together.",
        )
    density, _ = scale_rows(logf[defined])
    return density / density.mean(axis=1, keepdims=True), defined


def draw_strata(members: Sequence[Sampler], each: int, rng: np.random.Generator) -> Array:
    """Return `each` draws of every member, one member after the other."""
    return np.concatenate([member.sample(each, rng) for member in members])


@dataclass(frozen=True, slots=True, eq=False)
class _PoolSums:
    """Additive sums over a pool: A, and those of each observable."""

    count: int
    base: Array
    parts: tuple[Array, ...]

    def plus(self, other: _PoolSums) -> _PoolSums:
        parts = tuple(a + b for a, b in zip(self.parts, other.parts, strict=True))
        return _PoolSums(self.count + other.count, self.base + other.base, parts)

    @classmethod
    def of(cls, record: Record) -> _PoolSums:
        base, count = np.asarray(record.arrays["base"]), int(str(record.meta["count"]))
        parts = (record.arrays[f"part{k}"] for k in range(len(record.arrays) - 1))
        return cls(count, base, tuple(np.asarray(part) for part in parts))

    def responses(self, bound: Sequence[BoundObservable]) -> tuple[Response, ...]:
        pool = CalibratedPool(self.base, self.count)
        return tuple(item.collect(pool, part) for item, part in zip(bound, self.parts, strict=True))


@dataclass(frozen=True, slots=True)
class Aim:
    r"""What the draws have to be precise for.

    Against a truth, :math:`w^T V w` is an offset beside the error of data sets of `events` events.
    In a closure the true values are sums of the same expectations, and only their differences
    count,

    .. math:: \hat O - O = (\hat w - w)^T O_\cdot, \qquad
              E[\sigma^2] = O_\cdot^T C O_\cdot + \mathrm{tr}(C V)

    of which interval and distance have the same share: some hundred times fewer draws do.
    """

    events: int
    closure: bool = False

    def worst_share(self, responses: Sequence[Response], fit: WeightFit) -> float:
        """Return the largest ratio of Monte-Carlo to statistical variance of the observables."""
        return max((self._share(response, fit) for response in responses), default=0.0)

    def _share(self, response: Response, fit: WeightFit) -> float:
        found = response.estimate(fit)
        statistical = found.error**2 - found.sampling
        if self.closure:
            noise = response.spread_noise(fit)
            statistical -= noise
        else:
            noise, statistical = found.sampling, statistical * fit.record.n_events / self.events
        # Without a value in the mixture's own fit there is nothing to aim at.
        return noise / statistical if statistical > 0.0 else 0.0


_Draw = Callable[[Sequence[BoundObservable], int, int], _PoolSums]
"""From observables, the number of the round, and events to the sums over them."""


def member_responses(
    run: Run,
    mixture: Mixture,
    bound: Sequence[BoundObservable],
    draws: PooledDraws,
    aim: Aim,
) -> tuple[Response, ...]:
    """Return the response of every observable, as precise as the study needs it.

    Sums are kept by the run, and memory does not grow with the draws.
    """

    def draw(items: Sequence[BoundObservable], number: int, count: int) -> _PoolSums:
        size = max(_FIRST, math.ceil(count / _TASKS))
        sizes = [min(size, count - start) for start in range(0, count, size)]
        tasks = [
            Task(
                address=f"coverage/{mixture.fingerprint[:16]}/pool/{number}-{block:04d}-{n}",
                config={
                    "mixture": mixture.fingerprint,
                    "round": number,
                    "block": block,
                    "count": n,
                    "observables": [item.key for item in items],
                },
                seeds=run.seeds.at("coverage", "pool", number, block),
                args=(mixture.members, tuple(items), n),
            )
            for block, n in enumerate(sizes)
        ]
        records = run.map(_pool_sums, tasks, label="coverage-members", small=True, everywhere=True)
        # With no failures allowed, every outcome is a record.
        found = (_PoolSums.of(record) for record in records if isinstance(record, Record))
        return reduce(_PoolSums.plus, found)

    return _until_precise(draw, mixture, bound, draws, aim)


def local_responses(
    seeds: Seeds,
    mixture: Mixture,
    bound: Sequence[BoundObservable],
    draws: PooledDraws,
    aim: Aim,
) -> tuple[Response, ...]:
    """Return the same inside one task, without storage."""

    def draw(items: Sequence[BoundObservable], number: int, count: int) -> _PoolSums:
        return _summed(mixture.members, items, count, seeds.at("pool", number).numpy())

    return _until_precise(draw, mixture, bound, draws, aim)


def _until_precise(
    draw: _Draw, mixture: Mixture, bound: Sequence[BoundObservable], draws: PooledDraws, aim: Aim
) -> tuple[Response, ...]:
    """Draw until the Monte-Carlo share of all observables is small, or there are too many."""
    exact = [item.exact(mixture.members) for item in bound]
    open_ = [item for item, known in zip(bound, exact, strict=True) if known is None]
    if open_:
        sums = draw(open_, 0, min(_FIRST, draws.most))
        for number in range(1, _ROUNDS):
            share = aim.worst_share(sums.responses(open_), mixture.fit)
            wanted = min(draws.most, math.ceil(1.1 * sums.count * share / draws.share))
            if share <= draws.share or wanted <= sums.count:
                break
            sums = sums.plus(draw(open_, number, wanted - sums.count))
        estimated = iter(sums.responses(open_))
    return tuple(next(estimated) if known is None else known for known in exact)


def _pool_sums(
    seeds: Seeds,
    members: tuple[DensityEstimator, ...],
    bound: tuple[BoundObservable, ...],
    count: int,
) -> Payload:
    sums = _summed(members, bound, count, seeds.numpy())
    parts = {f"part{k}": part for k, part in enumerate(sums.parts)}
    return Payload({"base": sums.base, **parts}, {"count": sums.count})


def _summed(
    members: Sequence[DensityEstimator],
    bound: Sequence[BoundObservable],
    count: int,
    rng: np.random.Generator,
) -> _PoolSums:
    blocks = max(1, round(count / _BLOCK))
    each = math.ceil(count / (blocks * len(members)))

    def block() -> _PoolSums:
        x = draw_strata(members, each, rng)
        ratios, defined = density_ratios(member_log_densities(members, x))
        parts = tuple(item.accumulate(x[defined], ratios) for item in bound)
        return _PoolSums(ratios.shape[0], ratios.T @ ratios, parts)

    return reduce(_PoolSums.plus, (block() for _ in range(blocks)))
