"""How small an effect each statistic sees: mixtures of Gaussians in 5, 20 and 100 dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import verisimile as vs
from published._sensitivity_effects import GaussianModes, strengths
from published._sensitivity_page import (
    DIMENSIONS,
    EFFECTS,
    PUBLISHED,
    PUBLISHED_EVENTS,
    paint_effects,
    paint_published,
    takeaway,
    words,
)
from published._sensitivity_work import (
    LEVEL,
    POWER,
    Entered,
    Problem,
    confirmed,
    nulls,
    searched,
    smallest,
    widened,
)
from published.registry import Json, Size, Study
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.mmd import AggregatedMMD
from verisimile.checks.twosample.statistics.protocol import entries
from verisimile.core.arrays import Array
from verisimile.core.records import Record
from verisimile.core.tasks import Task

_SIZES: Mapping[Size, Mapping[str, int]] = {
    "reduced": {
        "n": 1000,
        "pairs": 8,
        "pools": 12,
        "relabelings": 100,
        "mixtures": 3,
        "theirs": 5,
        "again": 30,
    },
    "full": {
        "n": 10_000,
        "pairs": 40,
        "pools": 40,
        "relabelings": 250,
        "mixtures": 20,
        "theirs": 10,
        "again": 400,
    },
}


def _battery() -> tuple[Entered, ...]:
    """Return the permutation statistics of the battery; pairs as random waves for all sizes."""
    found = []
    for name, entry in entries().items():
        statistic = entry.statistic
        if isinstance(statistic, EnergyDistance | AggregatedMMD):
            statistic = replace(statistic, most=1000)
        found.append(Entered(name, statistic, entry.coordinates))
    return tuple(found)


def _as_published() -> tuple[Entered, ...]:
    known = entries()
    names = tuple(PUBLISHED["mean"])
    return tuple(Entered(name, known[name].statistic, None) for name in names)


def _measure(run: vs.Run, size: Size) -> Json:
    asked = _SIZES[size]
    grid = [_problem(run, asked, d, effect) for d in DIMENSIONS for effect in EFFECTS]
    theirs = [
        replace(
            _problem(run, asked, DIMENSIONS[0], effect, mixture=place),
            n=PUBLISHED_EVENTS,
            pairs=asked["theirs"],
            power=None,
            steps=15,
            ratio=1.6,
            statistics=_as_published(),
        )
        for place in range(asked["mixtures"])
        for effect in PUBLISHED
    ]
    theirs += [
        replace(each, modes=replace(each.modes, single=True))
        for each in theirs
        if each.effect == "correlation"
    ]
    resumed = bool(run.store.addresses())
    ours, laws = _found(run.at("battery"), "", grid)
    published, _ = _found(run.at("published"), "published/", theirs)
    return {
        "level": LEVEL,
        "power": POWER,
        **asked,
        "weights": {str(each.modes.mean.size): each.modes.weights.tolist() for each in grid},
        "narrowest": {
            str(each.modes.mean.size): float(each.modes.scales[:, 0].min() / each.modes.sd[0])
            for each in grid
        },
        "smallest": [
            {
                "d": each.modes.mean.size,
                "effect": each.effect,
                "least": _reach(each)[0],
                "most": _reach(each)[1],
                "of": found,
            }
            for each, found in zip(grid, ours, strict=True)
        ],
        "published": [
            {
                "effect": each.effect,
                "single": each.modes.single,
                "scale": float(each.modes.scales.min()),
                "of": found,
            }
            for each, found in zip(theirs, published, strict=True)
        ],
        "resumed": resumed,
        "again": _again(run, grid[0], ours[0], laws[0], asked["again"]),
    }


def _problem(
    run: vs.Run, asked: Mapping[str, int], d: int, effect: str, *, mixture: int = 0
) -> Problem:
    modes = GaussianModes.random(d, run.seeds.at("mixture", d, mixture).numpy())
    return Problem(
        modes=modes,
        effect=effect,
        n=asked["n"],
        pairs=asked["pairs"],
        pools=asked["pools"],
        relabelings=asked["relabelings"],
        steps=17,
        ratio=1.45,
        power=POWER,
        statistics=_battery(),
    )


def _reach(problem: Problem) -> tuple[float, float]:
    """Return the least and the largest strength."""
    sizes = strengths(problem.effect, problem.modes, problem.steps, problem.ratio)
    return float(sizes[0]), float(sizes[-1])


Law = Mapping[str, Array]


def _found(run: vs.Run, prefix: str, problems: Sequence[Problem]) -> tuple[list[Json], list[Law]]:
    """Return the smallest effects of each problem by statistic, and the laws of equal samples."""
    mixtures = {_key(each): each for each in problems}
    keys = list(mixtures)
    records = run.map(
        nulls,
        [
            _task(run, f"{prefix}null/{place:02d}", mixtures[key], (mixtures[key],))
            for place, key in enumerate(keys)
        ],
        label="values of equal samples",
    )
    laws = dict(zip(keys, map(_arrays, records), strict=True))
    own = [laws[_key(each)] for each in problems]
    streams = [f"{prefix}search/{place:02d}" for place in range(len(problems))]
    cases = list(zip(streams, problems, own, strict=True))
    tasks = [_task(run, stream, each, (each, law)) for stream, each, law in cases]
    looked = [_arrays(each) for each in run.map(searched, tasks, label="pairs")]
    tasks = [  # the same pairs, at further strengths
        replace(
            _task(run, stream, each, (each, law, seen)),
            address=stream.replace("search", "widened"),
        )
        for (stream, each, law), seen in zip(cases, looked, strict=True)
    ]
    looked = [_arrays(each) for each in run.map(widened, tasks, label="further strengths")]
    found = [
        {
            one.name: smallest(
                seen[f"{one.name} at"], seen[f"{one.name} values"], law[one.name], each.power
            )
            for one in each.statistics
        }
        for each, seen, law in zip(problems, looked, own, strict=True)
    ]
    return found, own


def _key(problem: Problem) -> tuple[bytes, bool]:
    return problem.modes.centres.tobytes(), problem.modes.single


def _again(run: vs.Run, problem: Problem, found: Json, law: Law, pairs: int) -> Json:
    """Return how many of fresh pairs are seen at the effects that were found."""
    at = {name: each["value"] for name, each in found.items() if each["value"] is not None}
    task = _task(run, "again", problem, (replace(problem, pairs=pairs), law, at))
    (record,) = run.map(confirmed, [task], label="fresh pairs")
    seen = {name: int(values.sum()) for name, values in _arrays(record).items()}
    return {"pairs": pairs, "effect": problem.effect, "d": problem.modes.mean.size, "seen": seen}


def _task(run: vs.Run, address: str, problem: Problem, args: tuple[object, ...]) -> Task:
    config = {
        "effect": problem.effect,
        "centres": problem.modes.centres[0].tolist(),
        "n": problem.n,
        "pairs": problem.pairs,
        "pools": [problem.pools, problem.relabelings],
        "strengths": [problem.steps, problem.ratio],
        "power": problem.power,
        "statistics": [repr(each.statistic) for each in problem.statistics],
    }
    return Task(address=address, config=config, seeds=run.seeds.at(address), args=args)


def _arrays(record: object) -> Mapping[str, Array]:
    assert isinstance(record, Record)
    return record.arrays


STUDY = Study(
    name="sensitivity",
    letter="g",
    title="Sensitivity of every statistic",
    question="How small a shift, width, correlation, tail, bump or missing mode does each "
    "two-sample statistic see in 5, 20 and 100 dimensions?",
    source="S. Grossi, M. Letizia, R. Torre, Mach. Learn.: Sci. Technol. 6 (2025) 015062, "
    "arXiv:2409.16336, as cited by VERaiPHY for tests that need no classifier",
    measure=_measure,
    words=words,
    takeaway=takeaway,
    figures={"effects": paint_effects, "published": paint_published},
)
