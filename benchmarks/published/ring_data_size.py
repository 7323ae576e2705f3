"""Diffusion networks on the ring of eight: fewer training events, and the paired t-test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

import verisimile as vs
from published import _ring_page as page
from published._ring_cells import Cell, draws_of, sample
from published._trend import distances_from_median, ratio_interval, trend
from published.registry import Json, Size, Study
from verisimile.checks import precision_recall as pr
from verisimile.checks.precision_recall.band import Band
from verisimile.core.arrays import Array, digest
from verisimile.core.canonical import JSON
from verisimile.core.records import Payload, Record
from verisimile.core.tasks import Task

TRAINING = (10_000, 7_500, 5_000, 2_500)  # half of the published 20, 15, 10 and 5 thousand
DEPTH, SMALLER = 4, 2
_RELABELINGS = 999
_LEVEL = 0.05
_PAIRINGS = 999
_PERFECT = 12


def measure(run: vs.Run, size: Size) -> Json:
    """Train the cells, trace their curves, and test what was concluded of them."""
    return found_of(run, cells(size), 10_000 if size == "full" else 1_500)


def cells(size: Size) -> list[Cell]:
    """Return what is trained: the sizes, then the smallest for fewer steps, and another depth.

    With the published length the networks have converged, whatever the number of steps; with a
    reduced one it is the same for all sizes, and the first of the two controls has as many epochs.
    """
    full = size == "full"
    few, many = TRAINING[-1], TRAINING[0]

    def cell(name: str, depth: int, events: int, epochs: int) -> Cell:
        return Cell(
            name,
            depth,
            events,
            epochs,
            batch=500 if full else 125,
            decay=not full,
            samples=6 if full else 4,
            initialisations=5 if full else 2,
            draws=10_000 if full else 1_500,
        )

    deep, shallow = (15_001, 10_001) if full else (30, 30)
    return [
        *(cell(f"{n}", DEPTH, n, deep if full else deep * many // n) for n in TRAINING),
        cell(f"{few}-control", DEPTH, few, deep * many // few if full else deep),
        cell(f"{many}-depth-{SMALLER}", SMALLER, many, shallow),
    ]


def found_of(run: vs.Run, trained: Sequence[Cell], n_reference: int) -> Json:
    """Return the numbers of the page; the last two cells are the controls."""
    draws, minutes = draws_of(run, trained)
    truth = vs.Events(sample(run.seeds, n_reference, "reference"))
    perfect = [sample(run.seeds, trained[0].draws, "perfect", i) for i in range(_PERFECT)]
    families = [*draws, perfect]
    as_published = pr.precision_recall_bands(
        run.at("published"), truth, families, score=pr.PooledNeighbours(), null_draws=0
    )
    bounds = _bounds(run, truth, families, [*(cell.name for cell in trained), "perfect"])
    sizes = trained[:-2]
    traced = [0, len(sizes) - 1]  # by the best of nine scores, which takes long
    best = _best(run, truth, [_median(draws[i], bounds[i]) for i in traced])
    areas = [band.auc for band in as_published]
    return {
        "reference": n_reference,
        "training_minutes": round(minutes, 2),
        "perfect": {"published": _rounded(as_published[-1].auc), "bound": _rounded(bounds[-1])},
        "cells": [
            _cell(cell, plain, bound) | {"best": best[traced.index(i)] if i in traced else {}}
            for i, (cell, plain, bound) in enumerate(
                zip(trained, as_published[:-1], bounds[:-1], strict=True)
            )
        ],
        "trends": {
            name: _trends(run.at("trend", name), found[: len(sizes)], sizes)
            for name, found in (("published", areas), ("bound", bounds))
        },
        "steps": _as_long(run, trained, areas, bounds),
        "parts": _parts(trained, as_published),
        "pair": _pair(run.at("pair"), as_published[0], as_published[len(sizes) + 1], trained[0]),
    }


def _bounds(
    run: vs.Run, truth: vs.Events, families: Sequence[list[Array]], names: Sequence[str]
) -> list[Array]:
    """Return held-out bounds of each family's areas."""
    tasks = [
        Task(f"bounds/{name}", _seen(truth, family), run.seeds.at("bounds", name), (truth, family))
        for name, family in zip(names, families, strict=True)
    ]
    records = run.map(bounds_of, tasks, label="bounds")
    return [np.asarray(each.arrays["areas"]) for each in records if isinstance(each, Record)]


def bounds_of(seeds: vs.Seeds, truth: vs.Events, draws: list[Array]) -> Payload:
    """Return bounds of one family's areas, by trees of columns and distances."""
    trees = pr.BestScore((pr.BoostedTrees(distances=True),))
    band = vs.precision_recall_band(vs.Run(seeds), truth, draws, score=trees)
    return Payload({"areas": band.auc}, {})


def _seen(truth: vs.Events, draws: Sequence[Array]) -> dict[str, str]:
    return {"reference": truth.digest, "draws": digest(np.array(draws))}


def _median(draws: list[Array], areas: Array) -> Array:
    return draws[int(np.argsort(areas)[len(areas) // 2])]


def _best(run: vs.Run, truth: vs.Events, draws: Sequence[Array]) -> list[Json]:
    """Return bounds by the best of nine scores, and their intervals."""
    tasks = [
        Task(f"best/{i}", _seen(truth, [x]), run.seeds.at("best", i), (truth, x))
        for i, x in enumerate(draws)
    ]
    records = run.map(best_of, tasks, label="best scores")
    return [dict(each.meta) for each in records if isinstance(each, Record)]


def best_of(seeds: vs.Seeds, truth: vs.Events, x: Array) -> Payload:
    """Return the bound of one sample's area and its interval."""
    found = vs.precision_recall(vs.Run(seeds), truth, x)
    meta: dict[str, JSON] = {
        "area": found.auc.value,
        "interval": list(found.interval),
        "score": found.score,
    }
    return Payload({"radii": found.precision}, meta)


def _rounded(areas: Array) -> list[float]:
    return [round(float(area), 6) for area in areas]


def _cell(cell: Cell, plain: Band, bound: Array) -> Json:
    radial = plain.radial
    return {
        "name": cell.name,
        "depth": cell.depth,
        "events": cell.events,
        "epochs": cell.epochs,
        "batch": cell.batch,
        "steps": cell.steps,
        "samples": cell.samples,
        "initialisations": cell.initialisations,
        "draws": cell.draws,
        "sample_of": cell.sample_of,
        "areas": _rounded(plain.auc),
        "bounds": _rounded(bound),
        "missed": float(plain.missed.max()),
        "evaluation": max(0.0, float(plain.spread.evaluation.value)) ** 0.5,
        "width": float(np.mean(plain.recall.high - plain.recall.low)),
        "radial_width": float(np.mean(radial.high - radial.low)),
    }


def _trends(run: vs.Run, areas: Sequence[Array], sizes: Sequence[Cell]) -> Json:
    events = [cell.events for cell in sizes]
    units = [cell.sample_of for cell in sizes]
    values = {"area": list(areas), "spread": [distances_from_median(each) for each in areas]}
    found = {
        name: trend(run.seeds.at(name), each, events, units).as_json()
        for name, each in values.items()
    }
    return found | {"ratio": list(ratio_interval(areas[-1], areas[0]))}


def _as_long(
    run: vs.Run, trained: Sequence[Cell], plain: Sequence[Array], bounds: Sequence[Array]
) -> Json:
    """Return the largest training sample against the smallest with as many epochs."""
    last = len(trained) - 2
    cells = (trained[0], trained[last])
    return {
        name: trend(
            run.seeds.at("steps", name),
            [areas[0], areas[last]],
            [cell.events for cell in cells],
            [cell.sample_of for cell in cells],
        ).as_json()
        for name, areas in (("published", plain), ("bound", bounds))
    }


def _parts(trained: Sequence[Cell], bands: Sequence[Band]) -> Json:
    """Return what training samples, and all else, add to the variance within a cell."""
    areas = np.concatenate([band.auc for band in bands[: len(trained)]])
    cell = [i for i, each in enumerate(trained) for _ in each.sample_of]
    unit = [k for each in trained for k in each.sample_of]
    found = pr.variance_parts(
        areas, {"cell": cell, "training sample": unit}, nested={"training sample": ["cell"]}
    )
    return {
        name: [part.value, part.error] for name, part in found.parts.items() if name != "cell"
    } | {"evaluation": float(np.mean([band.spread.evaluation.value for band in bands]))}


def _pair(run: vs.Run, deep: Band, shallow: Band, cell: Cell) -> Json:
    """Return the published comparison of two depths, and those that hold their level."""
    found = pr.compare_curves(run, deep, shallow, published=True)
    paired = found.published
    assert paired is not None
    gaps = deep.recall.precision.mean(axis=0) - shallow.recall.precision.mean(axis=0)
    better = float(((paired.p < paired.level) & (gaps > 0.0)).mean())
    null = _null_fractions(run.seeds.at("null"), deep, shallow)
    return {
        "fraction": paired.fraction,
        "better": better,
        "pairings": list(paired.fraction_range),
        "null": [float(each) for each in np.quantile(null, [0.5, 0.95])],
        "fraction_p": float((1 + (null >= paired.fraction).sum()) / (1 + null.size)),
        "relabelings": int(null.size),
        "familywise": found.fraction_familywise,
        "discovered": found.fraction_discovered,
        "p": found.p_value.value,
        "area": [found.auc.value, found.auc.low, found.auc.high],
        "area_p": found.auc.p_value.value,
        "areas": _paired_areas(run.seeds.at("areas"), deep.auc, shallow.auc, cell),
    }


def _null_fractions(seeds: vs.Seeds, deep: Band, shallow: Band) -> Array:
    """Return the published number for curves whose labels mean nothing."""
    pool = np.concatenate([deep.recall.precision, shallow.recall.precision])
    rng, half = seeds.numpy(), len(deep.auc)
    found = []
    for _ in range(_RELABELINGS):
        mixed = pool[rng.permutation(len(pool))]
        # NaN where all curves agree: not significant.
        with np.errstate(invalid="ignore"):
            p = stats.ttest_rel(mixed[:half], mixed[half:], axis=0).pvalue
        found.append(float((p < _LEVEL).mean()))
    return np.array(found)


def _paired_areas(seeds: vs.Seeds, deep: Array, shallow: Array, cell: Cell) -> Json:
    """Return the paired t-test of areas, as listed and otherwise, and tests without pairs."""
    rng = seeds.numpy()
    others = [
        float(stats.ttest_rel(deep, shallow[rng.permutation(shallow.size)]).pvalue)
        for _ in range(_PAIRINGS)
    ]
    unit = np.array(cell.sample_of)
    means = [[x[unit == k].mean() for k in range(cell.samples)] for x in (deep, shallow)]
    return {
        "listed": float(stats.ttest_rel(deep, shallow).pvalue),
        "pairings": [float(each) for each in np.quantile(others, [0.05, 0.95])],
        "welch": float(stats.ttest_ind(deep, shallow, equal_var=False).pvalue),
        "by_sample": float(stats.ttest_rel(*means).pvalue),
        "samples": cell.samples,
    }


STUDY = Study(
    name="ring-data-size",
    letter="e",
    title="Fewer training events: diffusion on the ring of eight",
    question="Does a generator scatter more, and fit worse, when it has fewer events to learn from?"
    "  And what does a paired t-test of thirty pairs of curves test?",
    source="Morales et al., *Towards uncertainty quantification in generative model learning*, "
    "section 4, figures 1, 3 and 4",
    measure=measure,
    words=page.words,
    takeaway=page.takeaway,
    figures={"areas": page.areas, "pair": page.pair},
)
