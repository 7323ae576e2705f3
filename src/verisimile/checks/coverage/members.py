"""The members' part of all observables, computed once from large samples of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verisimile.checks.coverage.bound import Bound, Columns, Drawn
from verisimile.checks.coverage.responses import Response
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run, Task
from verisimile.core.store import Payload, Record
from verisimile.density.protocol import DensityEstimator
from verisimile.mixture.model import Mixture

__all__ = ["draws_for", "member_responses", "pilot_columns", "pooled"]

_PILOT = 20_000
_FACTOR = 100


def draws_for(events: int, weights: Array, *, least: int, most: int) -> int:
    r"""Return how many draws of each member make their Monte-Carlo error small.

    Its share of the variance is about :math:`n \sum_i w_i^2 / n_{draws}`, which
    is one per cent until the draws reach `most`.
    """
    size = float(weights @ weights)
    return min(max(int(_FACTOR * events * size), least), most)


def pooled(members: Sequence[DensityEstimator], n: int, rng: np.random.Generator) -> Array:
    """Return `n` events drawn from the members in equal shares."""
    counts = rng.multinomial(n, np.full(len(members), 1.0 / len(members)))
    parts = [m.sample(int(k), rng) for m, k in zip(members, counts, strict=True) if k]
    return np.concatenate(parts)


def pilot_columns(mixture: Mixture, seeds: Seeds) -> Columns:
    """Return the features with pooled draws that show where the members' events lie."""
    names = tuple(feature.name for feature in mixture.features)
    return Columns(names, pooled(mixture.members, _PILOT, seeds.at("pilot").numpy()))


def member_responses(
    run: Run, mixture: Mixture, observables: Sequence[Bound], draws: int
) -> tuple[Response, ...]:
    """Return the response of every observable, from `draws` events of each member.

    Only expectations are kept, so memory does not grow with the members.
    """
    keys = [item.key for item in observables]
    tasks = [
        Task(
            address=f"coverage/{mixture.fingerprint[:16]}/members/{draws}/{i:04d}",
            config={
                "mixture": mixture.fingerprint,
                "member": i,
                "draws": draws,
                "observables": keys,
            },
            seeds=run.seeds.at("coverage", "members", i),
            args=(member, tuple(observables), draws),
        )
        for i, member in enumerate(mixture.members)
    ]
    records = run.map(_respond, tasks, label="coverage-members")
    rows = [record for record in records if isinstance(record, Record)]
    return tuple(
        item.collect(
            np.array([row.arrays[f"mean{k}"] for row in rows]),
            np.array([row.arrays[f"variance{k}"] for row in rows]),
        )
        for k, item in enumerate(observables)
    )


def _respond(
    seeds: Seeds, member: DensityEstimator, observables: tuple[Bound, ...], draws: int
) -> Payload:
    drawn = Drawn(member, member.sample(draws, seeds.numpy()))
    arrays = {}
    for k, item in enumerate(observables):
        arrays[f"mean{k}"], arrays[f"variance{k}"] = item.respond(drawn)
    return Payload(arrays, {})
