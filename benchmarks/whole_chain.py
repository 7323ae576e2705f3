"""Errors of a fitted mixture against the whole chain redone on resampled events: coverage, cost.

    python benchmarks/whole_chain.py --sets 12 --replicas 12 --out FOLDER

Each data set has its own events of a known truth: one part trains M flows on bootstrap replicas,
the other fits their weights and the discrepancy.  The reference answer is the bootstrap of
everything: both parts resampled, members trained anew, weights fitted anew, B times; its error is
the standard deviation of the B answers, around the answer of the chain itself, with Student's
quantiles for B - 1.  Asked for are 32 contents, exactly known: bins of both features between the
quantiles 0, 2, 10, 25, 50, 75, 90, 98 and 100 %, and 16 boxes of four cells of these.  With
``--out`` finished data sets are kept, and the same command does the rest.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from _boxes import TRUTH
from scipy import stats

from verisimile.checks.coverage.spread import (
    BinErrors,
    BinIntervals,
    normal_intervals,
    summarise_bins,
)
from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore, write_atomic
from verisimile.core.tasks import Task
from verisimile.data.events import Events
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.ensemble.fit import fit_ensemble
from verisimile.ensemble.plan import BootstrapPlan
from verisimile.mixture.bind import PseudoEvents, fit_mixture
from verisimile.mixture.discrepancy.corrected import correct_mixture
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.model import Mixture

LEVELS = (0.68, 0.95)
FLOW = SplineFlowTrainer(layers=2, hidden=16, learning_rate=5e-3, epochs=10, patience=10)
CORRECTION = Discrepancy(reference=20_000, draws=150)
AUDIT = PseudoEvents(audit=1000)
METHODS = {
    "events of the fit, counted": "counted",
    "weights alone": "weights",
    "weights and discrepancy": "discrepancy",
    "whole chain, bootstrap": "bootstrap",
}
HEAD = (
    "errors from", "68 %", "95 %", "claimed", "actual", "actual / claimed", "CPU seconds"
)  # fmt: skip
_QUANTILES = np.array([0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0])
_CELLS = _QUANTILES.size - 1
_ORDER = 12
_GRID = np.linspace(-9.0, 9.0, 200_001)


@dataclass(frozen=True)
class Settings:
    """Sizes of the study; `events` train the members, and as many fit the weights."""

    sets: int
    replicas: int
    members: int
    events: int


@cache
def nodes() -> tuple[Array, Array]:
    """Return Gauss-Legendre nodes ``(n, 2)`` in all cells and the observables there ``(n, O)``.

    An observable of a density is the sum over nodes of its value times these, which hold the
    weights of the nodes.
    """
    x, y = (_axis(column) for column in (0, 1))
    points = np.stack(np.meshgrid(x[0], y[0], indexing="ij"), axis=-1).reshape(-1, 2)
    weights = np.outer(x[1], y[1]).reshape(-1, 1)
    return points, weights * observables(points)


@cache
def edges(column: int) -> Array:
    """Return the truth's quantiles of a feature, between infinities."""
    cdf = _cdf(column, _GRID) @ TRUTH.weights
    inner = np.interp(_QUANTILES[1:-1], cdf, _GRID)
    return np.array([-np.inf, *inner, np.inf])


def observables(x: Array) -> Array:
    """Return indicators ``(n, O)`` of bins of both features and of boxes."""
    i, j = (np.searchsorted(edges(k)[1:-1], x[:, k], side="right") for k in (0, 1))
    k = np.arange(_CELLS)
    boxes = (i // 2 * (_CELLS // 2) + j // 2)[:, None] == np.arange((_CELLS // 2) ** 2)
    return np.hstack([i[:, None] == k, j[:, None] == k, boxes]).astype(np.float64)


def truth() -> Array:
    """Return the true contents ``(O,)``, in closed form."""
    a, b = (np.diff(_cdf(k, edges(k)), axis=0) for k in (0, 1))  # cells, components
    cells = np.einsum("ik,jk,k->ij", a, b, TRUTH.weights)
    half = _CELLS // 2
    boxes = cells.reshape(half, 2, half, 2).sum(axis=(1, 3)).ravel()
    return np.concatenate([cells.sum(axis=1), cells.sum(axis=0), boxes])


def _cdf(column: int, x: Array) -> Array:
    widths = np.sqrt(TRUTH.covariances[:, column, column])
    return np.asarray(stats.norm.cdf(x[:, None], TRUTH.means[:, column], widths))


def _axis(column: int) -> tuple[Array, Array]:
    """Return nodes and weights dx of one feature, in each of its cells."""
    t, w = np.polynomial.legendre.leggauss(_ORDER)
    cuts = np.clip(edges(column), _GRID[0], _GRID[-1])
    # The outermost cells are long and steep: nodes follow their probability there.
    cdf = _cdf(column, _GRID) @ TRUTH.weights
    x, dx = [], []
    for a, b in zip(cuts[:-1], cuts[1:], strict=True):
        low, high = np.interp([a, b], _GRID, cdf)
        at = np.interp(low + 0.5 * (t + 1.0) * (high - low), cdf, _GRID)
        widths = np.sqrt(TRUTH.covariances[:, column, column])
        density = stats.norm.pdf(at[:, None], TRUTH.means[:, column], widths) @ TRUTH.weights
        x.append(at)
        dx.append(0.5 * w * (high - low) / density)
    return np.concatenate(x), np.concatenate(dx)


def main(settings: Settings, run: Run, folder: Path | None) -> None:
    """Train, resample, print; write Markdown and JSON into the folder."""
    start = time.perf_counter()
    config: dict[str, JSON] = {
        "replicas": settings.replicas,
        "members": settings.members,
        "events": settings.events,
        "flow": FLOW.config(),
        "discrepancy": repr(CORRECTION),
    }
    tasks = [
        Task(f"sets/{r:04d}", {**config, "set": r}, run.seeds.at("study", r), (settings,))
        for r in range(settings.sets)
    ]
    found = run.map(data_set, tasks, label="whole chain", max_failed=0.1)
    records = [item for item in found if isinstance(item, Record)]
    results = _summaries(records, settings)
    text = _page(records, results, settings, failed=len(found) - len(records))
    print(text)
    print(f"{time.perf_counter() - start:.0f} s for what was not there already")
    if folder is not None:
        write_atomic(folder / "whole_chain.md", text.encode())
        tables: dict[str, JSON] = {name: to_dict(each) for name, each in results.items()}
        run.store.write_json("whole_chain.json", {"settings": config, "errors": tables})


def data_set(seeds: Seeds, settings: Settings) -> Payload:
    """Return contents and errors by every method, and the CPU seconds that they took."""
    training = TRUTH.sample(settings.events, seeds.at("training").numpy())
    fitting = TRUTH.sample(settings.events, seeds.at("fitting").numpy())
    nodes()  # before the clock runs
    clock = time.process_time()
    mixture = _chain(training, fitting, settings.members, seeds.at("chain"))
    values, errors = _weighted(mixture)
    chained = time.process_time()
    run = Run(seeds.at("discrepancy"))
    corrected, honest = _corrected(run, mixture, Events(fitting))
    done = time.process_time()
    answers = []
    for b in range(settings.replicas):
        rng = seeds.at("resampled", b).numpy()
        parts = [x[rng.integers(len(x), size=len(x))] for x in (training, fitting)]
        again = _chain(parts[0], parts[1], settings.members, seeds.at("chain", b))
        answers.append(_weighted(again)[0])
    resampled = time.process_time()
    content = observables(fitting).mean(axis=0)
    return Payload(
        {
            "counted/values": content,
            "counted/errors": np.sqrt(content * (1.0 - content) / settings.events),
            "weights/values": values,
            "weights/errors": errors,
            "discrepancy/values": corrected,
            "discrepancy/errors": honest,
            "bootstrap/answers": np.array(answers),
        },
        {
            "counted": 0.0,
            "weights": chained - clock,
            "discrepancy": chained - clock + done - chained,
            "correction": done - chained,
            "bootstrap": chained - clock + resampled - done,
        },
    )


def _chain(training: Array, fitting: Array, members: int, seeds: Seeds) -> Mixture:
    run = Run(seeds)
    ensemble = fit_ensemble(run, Events(training), BootstrapPlan(members), FLOW)
    return fit_mixture(run, ensemble, Events(fitting), pseudo=AUDIT, discrepancy=None)


def _weighted(mixture: Mixture) -> tuple[Array, Array]:
    """Return contents and the errors that the covariance of the weights claims ``(O,)``."""
    points, table = nodes()
    contents = np.exp(mixture.log_densities(points)).T @ table
    variance = np.einsum("io,ij,jo->o", contents, mixture.fit.covariance, contents)
    return mixture.weights @ contents, np.sqrt(np.clip(variance, 0.0, None))


def _corrected(run: Run, mixture: Mixture, events: Events) -> tuple[Array, Array]:
    """Return contents and errors ``(O,)`` of weights and correction together."""
    found = correct_mixture(run, mixture, events, CORRECTION)
    points, table = nodes()
    fit = found.discrepancy
    rows = fit.functions.at(points, found.log_densities(points))
    density = np.exp(found.log_prob(points))[:, None] * table
    values = density.sum(axis=0)
    # The norm is a mean over draws: the sum over one feature's bins is one up to their noise.
    total = float(values[:_CELLS].sum())
    gradient = rows.T @ density / total - np.outer(fit.means, values / total)
    variance = np.einsum("po,pq,qo->o", gradient, fit.covariance, gradient)
    return values / total, np.sqrt(np.clip(variance, 0.0, None))


def _summaries(records: Sequence[Record], settings: Settings) -> Mapping[str, BinErrors]:
    true = truth()
    counting = np.sqrt(true * (1.0 - true) / settings.events)
    return {
        name: summarise_bins([_intervals(record, key) for record in records], true, counting)
        for name, key in METHODS.items()
    }


def _intervals(record: Record, key: str) -> BinIntervals:
    arrays = {name: np.asarray(values) for name, values in record.arrays.items()}
    if key != "bootstrap":
        return normal_intervals(arrays[f"{key}/values"], arrays[f"{key}/errors"], LEVELS)
    answers, values = arrays["bootstrap/answers"], arrays["weights/values"]
    errors = answers.std(axis=0, ddof=1)
    reach = stats.t.isf(0.5 * (1.0 - np.array(LEVELS)), len(answers) - 1)
    half = np.outer(reach, errors)
    return BinIntervals(values, errors, values - half, values + half)


def _page(
    records: Sequence[Record],
    results: Mapping[str, BinErrors],
    settings: Settings,
    *,
    failed: int,
) -> str:
    costs = [cast(Mapping[str, Any], record.meta) for record in records]
    lines = [
        f"{len(records)} data sets ({failed} failed) of {settings.events} events for training and"
        f" as many for the fit, {settings.members} members, {settings.replicas} replicas of the"
        " chain; errors in counting errors of the events of the fit.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|---" * len(HEAD) + "|",
    ]
    for name, found in results.items():
        rates = [f"{100 * r.value:.0f} ± {100 * r.error:.0f}" for r in found.rates]
        others = [
            f"{e.value:.2f} ± {e.error:.2f}" for e in (found.claimed, found.actual, found.scale)
        ]
        spent = float(np.mean([cost[METHODS[name]] for cost in costs]))
        lines.append(f"| {' | '.join([name, *rates, *others])} | {spent:.1f} |")
    extra = float(np.mean([cost["correction"] for cost in costs]))
    lines += ["", f"Of these, fit and errors of the discrepancy take {extra:.1f} s."]
    return "\n".join(lines) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=2)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--executor", default="serial", help="serial or loky:2")
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    asked = _arguments()
    main(
        Settings(asked.sets, asked.replicas, asked.members, asked.events),
        Run(
            Seeds(20261130),
            executor=asked.executor,
            store=None if asked.out is None else DirectoryStore(asked.out),
        ),
        asked.out,
    )
