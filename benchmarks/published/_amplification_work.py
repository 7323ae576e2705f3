"""What the study of amplification measures: one function for each part, each of its own streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import special

import verisimile as vs
from published import _amplification_truths as toys
from published.registry import Json, Size
from verisimile.checks.amplification.averaging import averaging, averaging_of_counts
from verisimile.checks.amplification.conditional import ConditionalAmplification
from verisimile.checks.amplification.member_counts import member_counts
from verisimile.checks.amplification.regions import median_split_regions
from verisimile.checks.amplification.result import Amplification
from verisimile.core.arrays import Array
from verisimile.core.records import Payload
from verisimile.core.result import to_dict
from verisimile.core.tasks import Failure, Task
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.protocol import Sampler

LEVEL = 0.95
SIDES = (2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 200)
"""Cells along radius and along angle, of the published code; the last eight are fitted."""
FITTED = 8
CAMEL_REGIONS = (10, 20, 50, 100)
SERIES = (83, 233)
"""1 / a of the published fits: the free coefficients that a generator of this a would have."""
GAINS = (0.5, 1.0, 2.0, 5.0, 20.0)
"""Known G in five rings of the donut."""


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    n_train: int = 10_000
    draws: int = 50
    per_region: int = 1000
    repetitions: int = 8
    camel_train: int = 1000
    trainings: int = 20
    flows: int = 10
    epochs: int = 40
    flow_sides: tuple[int, ...] = (3, 4, 5, 7, 10, 15, 20)
    flow_events: int = 200_000
    dimensions: tuple[int, ...] = (2, 3, 5, 7, 10)
    shell_train: int = 1000
    shell_trainings: int = 10
    shell_events: int = 10_000
    pseudo: int = 100
    parabolas: int = 20_000
    ks: int = 4000

    @classmethod
    def of(cls, size: Size) -> Plan:
        """Return the published sizes, or those for two cores."""
        if size == "reduced":
            return cls()
        return cls(
            repetitions=50,
            trainings=100,
            flows=50,
            epochs=200,
            flow_sides=SIDES,
            flow_events=40_000_000,
            dimensions=tuple(range(2, 11)),
            shell_trainings=30,
            pseudo=1000,
            parabolas=200_000,
            ks=40_000,
        )


def measured(run: vs.Run, plan: Plan) -> Json:
    """Return the numbers of all parts."""
    parts: list[tuple[str, Callable[..., Payload], tuple[object, ...]]] = [
        *((f"camel/{k}", camel_scatter, ()) for k in range(plan.repetitions)),
        ("camel-distance/0", camel_distance, ()),
        *((f"series/{s}-{k}", series, (s,)) for s in SERIES for k in range(plan.repetitions)),
        ("flows/independent", flows, ("independent",)),
        ("flows/bootstrap", flows, ("bootstrap",)),
        *((f"shell/{d}", shells, (d,)) for d in plan.dimensions),
        ("parabola/0", parabola, ()),
        ("kolmogorov/0", kolmogorov, ()),
        ("along/0", along, ()),
        *((f"joint/{k}", joint, (plan.pseudo // 4,)) for k in range(4)),
    ]
    found: dict[str, list[Json]] = {}
    for stage in dict.fromkeys(address.split("/")[0] for address, _, _ in parts):
        chosen = [part for part in parts if part[0].split("/")[0] == stage]
        tasks = [
            Task(address, {"plan": _plain(plan)}, run.seeds.at(*address.split("/")), (plan, *more))
            for address, _, more in chosen
        ]
        records = run.map(chosen[0][1], tasks, label=stage)
        found[stage] = [dict(each.meta) for each in records if not isinstance(each, Failure)]
        print(f"  {stage}", flush=True)
    return {"plan": _plain(plan), **found}


def _plain(plan: Plan) -> Json:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(plan).items()}


def _point(found: Amplification) -> Json:
    ends = found.interval(LEVEL)
    return {
        "regions": found.resolution,
        "inverse": found.inverse_gain.value,
        "error": found.inverse_gain.error,
        "low": ends.low,
        "high": ends.high,
    }


def _scatter(fractions: Callable[[int], Array], count: int, n_train: int, seeds: vs.Seeds,
             plan: Plan) -> Json:  # fmt: skip
    """Return both averaging estimates at `count` regions: as published, and without its biases."""
    rng = seeds.numpy()
    n = plan.per_region * count
    contents = np.clip(fractions(count), 0.0, None)
    drawn = np.array([rng.multinomial(n, each / each.sum()) for each in contents])
    pooled = averaging_of_counts(member_counts(drawn), rng, n_train=n_train, levels=(LEVEL,))
    return {
        "published": toys.published_estimate(drawn / n) / n_train,
        **_point(pooled.amplification),
    }


def camel_scatter(seeds: vs.Seeds, plan: Plan) -> Payload:
    """Five-parameter fits of the camel: averaging estimates from one ensemble."""
    fits = [
        toys.fit_camel(toys.camel(plan.camel_train, seeds.at("train", k).numpy()))
        for k in range(plan.draws)
    ]

    def fractions(count: int) -> Array:
        edges = toys.camel_edges(count)
        return np.array([fit.contents(edges) for fit in fits])

    return Payload(meta={
        str(count): _scatter(fractions, count, plan.camel_train, seeds.at("draws", count), plan)
        for count in CAMEL_REGIONS
    })  # fmt: skip


def camel_distance(seeds: vs.Seeds, plan: Plan) -> Payload:
    """Quantile and differential measures of the fits, a memoriser and five times the events."""
    rng, n = seeds.numpy(), plan.camel_train
    holdout = vs.Events(toys.camel(20_000, rng))
    regions = [vs.amplification.product_regions([toys.camel_edges(c)]) for c in CAMEL_REGIONS]
    made: dict[str, list[vs.Events]] = {"fit": [], "memoriser": [], "five samples": []}
    for _ in range(plan.trainings):
        x = toys.camel(n, rng)
        made["fit"].append(vs.Events(toys.fit_camel(x).draw(20_000, rng)))
        made["memoriser"].append(vs.Events(toys.repeated(x, 20_000, rng)))
        made["five samples"].append(vs.Events(toys.repeated(toys.camel(5 * n, rng), 20_000, rng)))
    found: Json = {}
    for name, samples in made.items():
        run = vs.Run(seeds.at(name))
        curve = vs.amplification.quantile_of_trainings(
            run, samples, holdout, n_train=n, regions=regions, levels=(LEVEL,)
        )
        limit = vs.amplification.kolmogorov_features(samples[0], holdout, n, levels=(LEVEL,))
        found[name] = {
            "quantile": [_point(point) for point in curve.points],
            "energy": _point(
                vs.amplification.quadratic_procedure(
                    run, samples[:6], holdout, n, most=4000, levels=(LEVEL,)
                )
            ),
            "KS": _point(limit["x0"]),
        }
    return Payload(meta=found)


def series(seeds: vs.Seeds, plan: Plan, size: int) -> Payload:
    """Measure a density of `size` free coefficients on the donut, and fit G = a N^b."""
    law = toys.Series.of(size)
    fitted = [law.fitted(plan.n_train, seeds.at("train", k).numpy()) for k in range(plan.draws)]
    points = []
    for side in SIDES:

        def fractions(count: int, side: int = side) -> Array:
            return np.array([law.contents(each, side) for each in fitted]).reshape(-1, count)

        one = _scatter(fractions, side * side, plan.n_train, seeds.at("draws", side), plan)
        points.append({**one, "exact": law.exact_gain(side)})
    last = points[-FITTED:]
    counts = [point["regions"] for point in last]
    laws = {
        "exact": toys.power_law(counts, [point["exact"] for point in last]),
        "published": toys.power_law(counts, [point["published"] for point in last]),
        "pooled": toys.power_law(counts, [1.0 / point["inverse"] for point in last]),
    }
    return Payload(meta={
        "size": size, "points": points, **{name: list(value) for name, value in laws.items()},
    })  # fmt: skip


def trained(plan: Plan, seeds: vs.Seeds, sample: Array) -> Sampler:
    """Return a spline flow trained on events of the donut."""
    trainer = SplineFlowTrainer(
        layers=4, hidden=32, bins=8, epochs=plan.epochs, patience=plan.epochs
    )
    held = vs.Events(toys.shell(len(sample) // 5, 2, seeds.at("validation").numpy()))
    return trainer.fit(vs.Events(sample), held, seeds.at("training")).model


def flows(seeds: vs.Seeds, plan: Plan, kind: str) -> Payload:
    """Flows on the donut: scatter of trainings, and their distance from the truth."""
    holdout = vs.Events(toys.shell(plan.flow_events, 2, seeds.at("holdout").numpy()))
    sample = toys.shell(plan.n_train, 2, seeds.at("sample").numpy())
    members = []
    for k in range(plan.flows):
        at = seeds.at("flow", k)
        x = (
            toys.shell(plan.n_train, 2, at.at("events").numpy())
            if kind == "independent"
            else toys.repeated(sample, plan.n_train, at.at("replica").numpy())
        )
        model = trained(plan, at, x)
        members.append(vs.Events(model.sample(plan.flow_events, at.at("draws").numpy())))
    run = vs.Run(seeds.at("measure"))
    points = []
    for side in plan.flow_sides:
        regions = toys.polar_regions(side)
        pooled = averaging(run, members, n_train=plan.n_train, regions=regions, levels=(LEVEL,))
        (distance,) = vs.amplification.quantile_of_trainings(
            run, members, holdout, n_train=plan.n_train, regions=regions, levels=(LEVEL,)
        ).points
        cells = np.array([np.bincount(regions.of(m.x), minlength=side * side) for m in members])
        points.append({
            "regions": side * side,
            "published": toys.published_estimate(cells / plan.flow_events) / plan.n_train,
            "scatter": _point(pooled.amplification),
            "distance": _point(distance),
            "common": distance.details["common to trainings"],
            "cells": _left_out(cells / plan.flow_events, plan),
        })  # fmt: skip
    beyond = float(np.mean([(toys.radii(each.x) < toys.EDGE).mean() for each in members]))
    return Payload(meta={"kind": kind, "points": points, "inside the edge": beyond})


def _left_out(fractions: Array, plan: Plan) -> list[float]:
    """Return 1/G of the scatter without each of the members, for the errors of a fit."""
    found = []
    for k in range(len(fractions)):
        rest = np.delete(fractions, k, axis=0)
        mean = rest.mean(axis=0)
        noise = (rest * (1.0 - rest)).sum() / len(rest) / (plan.flow_events - 1)
        between = rest.var(axis=0, ddof=1).sum() - noise
        found.append(float(plan.n_train * between / (mean * (1.0 - mean)).sum()))
    return found


def shells(seeds: vs.Seeds, plan: Plan, d: int) -> Payload:
    """Measure a fit, a memoriser and a kernel density of a shell by every measure."""
    rng, n, size = seeds.numpy(), plan.shell_train, plan.shell_events
    regions = median_split_regions(toys.shell(100_000, d, rng), 64)
    truth = toys.shell(100_000, d, rng)
    holdout = vs.Events(toys.shell(size, d, rng))
    makers: Mapping[str, Callable[[Array], Array]] = {
        "fit": lambda x: toys.fit_shell(x).draw(size, rng),
        "memoriser": lambda x: toys.repeated(x, size, rng),
        "kernel density": lambda x: toys.smeared(x, size, rng),
    }
    found: Json = {
        "d": d,
        "exact": toys.exact_shell_gain(truth, regions.of(truth), regions.count),
    }
    for name, make in makers.items():
        made = [vs.Events(make(toys.shell(n, d, rng))) for _ in range(plan.shell_trainings)]
        run = vs.Run(seeds.at(name))
        (quantile,) = vs.amplification.quantile_of_trainings(
            run, made, holdout, n_train=n, regions=regions, levels=(LEVEL,)
        ).points
        scatter = averaging(run, made, n_train=n, regions=regions, levels=(LEVEL,))
        found[name] = {
            "quantile": _point(quantile),
            "averaging": _point(scatter.amplification),
            "energy": _point(
                vs.amplification.quadratic_procedure(
                    run, made, holdout, n, most=3000, levels=(LEVEL,)
                )
            ),
            "classifier": _limit(
                vs.amplification.kolmogorov_classifier(run, made[0], holdout, n, levels=(LEVEL,))
            ),
        }
    return Payload(meta=found)


def _limit(found: Amplification) -> Json:
    return {
        **_point(found),
        "above": found.details["gain_above_95"],
        "scored": found.n_holdout,
        "learnt": found.details["learnt from, of each"],
    }


def parabola(seeds: vs.Seeds, plan: Plan) -> Payload:
    """Where the minimum is: by the lowest of ten points, a fit, and a fit to generated points."""
    rng, found = seeds.numpy(), []
    for noise in (0.0, 0.03, 0.1):
        x, y = toys.parabolas(plan.parabolas, 10, noise, rng)
        fitted, terms = toys.vertex(x, y)
        spread = np.sqrt(((y - _curve(terms, x)) ** 2).sum(axis=1, keepdims=True) / 7.0)
        where = rng.uniform(
            x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True), (len(x), 200)
        )
        made = _curve(terms, where) + spread * rng.normal(size=where.shape)
        again, _ = toys.vertex(where, made)
        fine = (np.abs(fitted) < 2.0) & (np.abs(again) < 2.0)  # a fit may have no minimum at all
        worth = []
        for points in (10, 20, 40, 80, 160, 320):
            more = toys.parabolas(plan.parabolas // 4, points, noise, rng)
            worth.append([points, *_rms(toys.lowest(*more))])
        found.append({
            "noise": noise,
            "lowest": _rms(toys.lowest(x, y)),
            "fit": _rms(fitted[fine]),
            "again": _rms(again[fine]),
            "far": float(1.0 - fine.mean()),
            "lowest of more": worth,
        })  # fmt: skip
    return Payload(meta={"levels": found})


def _curve(terms: Array, x: Array) -> Array:
    return np.asarray(terms[:, :1] + terms[:, 1:2] * x + terms[:, 2:] * x**2)


def _rms(values: Array) -> list[float]:
    """Return the root mean square and its standard error."""
    square = values**2
    mean = float(square.mean())
    if mean == 0.0:
        return [0.0, 0.0]
    return [mean**0.5, float(square.std()) / len(values) ** 0.5 / (2.0 * mean**0.5)]


def kolmogorov(seeds: vs.Seeds, plan: Plan) -> Payload:
    """Mean KS distance of two samples of one law, over the square root of 1/n + 1/m."""
    rng, rows = seeds.numpy(), []
    for n, m in ((50, 50), (100, 100), (100, 1000), (1000, 1000)):
        scale = (1.0 / n + 1.0 / m) ** 0.5
        label = np.zeros((1, n + m))
        label[:, :n] = 1.0
        step = np.where(label > 0.0, 1.0 / n, -1.0 / m)
        shuffled = (rng.permuted(np.repeat(step, plan.ks // 10, 0), axis=1) for _ in range(10))
        far = np.concatenate([np.abs(np.cumsum(each, axis=1)).max(axis=1) for each in shuffled])
        rows.append([n, m, float(far.mean()) / scale, float(far.std()) / scale / len(far) ** 0.5])
    return Payload(meta={"rows": rows})


def _rings(
    n: int, gains: Sequence[float], rng: np.random.Generator
) -> tuple[vs.Events, list[float]]:
    """Return a generator of known G in five rings, and its own 1/G in ten sectors of each.

    In each ring its angles are those of G times the ring's training events, drawn again and again.
    """
    size, parts, truth = n // len(gains), [], []
    for ring, gain in enumerate(gains):
        known = rng.random(round(gain * size))
        share = np.bincount((10 * known).astype(int), minlength=10) / len(known)
        truth.append(float(size * ((share - 0.1) ** 2).sum() / 0.9))
        below = (ring + rng.random(8000)) / len(gains)
        parts.append(np.column_stack([np.sort(below), known[rng.integers(len(known), size=8000)]]))
    return _polar(np.concatenate(parts)), truth


def _polar(uniform: Array) -> vs.Events:
    r = toys.EDGE + toys.SCALE * special.gammaincinv(toys.SHAPE, uniform[:, 0])
    return vs.Events(np.column_stack([r, 2.0 * np.pi * uniform[:, 1]]), names=["r", "angle"])


def _conditional(generated: vs.Events, seeds: vs.Seeds, plan: Plan) -> ConditionalAmplification:
    holdout = _polar(seeds.at("holdout").numpy().random((20_000, 2)))
    edges = _polar(np.column_stack([np.arange(1, 5) / 5.0, np.zeros(4)])).column("r")
    return vs.amplification.conditional(
        vs.Run(seeds.at("measure")),
        [generated],
        holdout,
        "r",
        n_train=plan.n_train,
        bins=edges.tolist(),
        regions=vs.amplification.product_regions([2.0 * np.pi * np.arange(1, 10) / 10.0]),
    )


def joint(seeds: vs.Seeds, plan: Plan, count: int) -> Payload:
    """How often the bands hold all rings' own 1/G, and intervals of single rings do."""
    hits = np.zeros((2, 2), dtype=int)
    for k in range(count):
        at = seeds.at(k)
        generated, truth = _rings(plan.n_train, GAINS, at.at("events").numpy())
        found = _conditional(generated, at, plan)
        scale = [point.n_train * len(GAINS) / plan.n_train for point in found.points]
        own = np.array(truth) * scale
        for row, level in enumerate(found.levels):
            low, high = found.band(level)
            single = [point.interval(level) for point in found.points]
            hits[row, 0] += bool(((low <= own) & (own <= high)).all())
            hits[row, 1] += all(
                each.low <= value <= each.high for each, value in zip(single, own, strict=True)
            )
    return Payload(meta={"count": count, "hits": hits.tolist()})


def along(seeds: vs.Seeds, plan: Plan) -> Payload:
    """G along the radius: a generator of known G, and a flow; the flow's classifier score."""
    known, truth = _rings(plan.n_train, GAINS, seeds.at("rings").numpy())
    rings = _conditional(known, seeds.at("known"), plan)
    train = toys.shell(plan.n_train, 2, seeds.at("train").numpy())
    model = trained(plan, seeds.at("flow"), train)
    made = model.sample(plan.flow_events, seeds.at("draws").numpy())
    held = toys.shell(20_000, 2, seeds.at("held").numpy())
    run = vs.Run(seeds.at("measure"))
    radii = [vs.Events(toys.radii(x)[:, None], names=["r"]) for x in (made, held)]
    flow = vs.amplification.conditional(run, radii[:1], radii[1], "r", n_train=plan.n_train)
    energy = vs.amplification.quadratic(run, made, held, plan.n_train, most=5000)
    score = vs.amplification.kolmogorov_classifier(run, made, held, plan.n_train, levels=(LEVEL,))
    perfect = toys.shell(plan.flow_events, 2, seeds.at("perfect").numpy())
    other = vs.amplification.kolmogorov_classifier(
        run, perfect, held, plan.n_train, levels=(LEVEL,)
    )
    return Payload(meta={
        "truth": [
            value * point.n_train * len(GAINS) / plan.n_train
            for value, point in zip(truth, rings.points, strict=True)
        ],
        "rings": to_dict(rings),
        "flow": to_dict(flow),
        "classifier": _limit(score),
        "classifier of the truth": _limit(other),
        "energy": _point(energy),
    })  # fmt: skip
