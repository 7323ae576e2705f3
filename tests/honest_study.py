"""What the errors of mixtures of trained flows cover: many observables, data sets, ensembles."""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from honest_page import write_table
from honest_processes import ENSEMBLES, PROCESSES, Process
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore
from verisimile.core.tasks import Task
from verisimile.data.events import Events
from verisimile.ensemble.ensemble import Ensemble
from verisimile.mixture.bind import fit_mixture
from verisimile.mixture.discrepancy.corrected import correct_mixture
from verisimile.mixture.discrepancy.fit import Discrepancy

SETTINGS = Discrepancy(draws=150)
_LEVELS = np.array([0.005, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 0.995])
_BOXES, _POINTS = 24, 16
_STORE = Path(__file__).parent.parent / "build" / "honest"


@dataclass(frozen=True)
class Questions:
    """Means, bins, quantiles and boxes of a process, with their true values and errors.

    A quantile is covered where the distribution function at the true quantile is.
    """

    names: tuple[str, ...]
    edges: tuple[Array, ...]
    boxes: tuple[tuple[int, int, Array], ...]
    values: Array
    errors: Array
    deviations: Array
    kept: Array

    @classmethod
    def of(cls, process: Process) -> Questions:
        """Return the questions of a process, fixed before any fit."""
        x, rng = process.truth(), Seeds(21).at(process.name, "boxes").numpy()
        edges = tuple(np.quantile(column, _LEVELS) for column in x.T)
        boxes = []
        for _ in range(_BOXES):
            i, j = (int(k) for k in rng.choice(x.shape[1], 2, replace=False))
            low, width = rng.uniform(0.0, 0.7, 2), rng.uniform(0.1, 0.3, 2)
            ends = [
                np.quantile(x[:, k], [a, a + w]) for k, a, w in zip((i, j), low, width, strict=True)
            ]
            boxes.append((i, j, np.array(ends)))
        bare = cls(
            process_names(process),
            edges,
            tuple(boxes),
            np.empty(0),
            np.empty(0),
            np.empty(0),
            np.empty(0),
        )
        means, squares = np.zeros(len(bare.names)), np.zeros(len(bare.names))
        for part in np.array_split(x, math.ceil(len(x) / 50_000)):
            table = bare.table(part)
            means += table.sum(axis=0)
            squares += (table**2).sum(axis=0)
        means /= len(x)
        spread = np.sqrt(np.clip(squares / len(x) - means**2, 0.0, None))
        # Boxes that hardly an event is in ask for nothing.
        kept = np.array(
            [
                not n.startswith("box") or m >= _LEVELS[0]
                for n, m in zip(bare.names, means, strict=True)
            ]
        )
        return cls(bare.names, edges, tuple(boxes), means, spread / math.sqrt(len(x)), spread, kept)

    def table(self, x: Array) -> Array:
        """Return the functions whose means are asked for ``(n, O)``."""
        parts: list[npt.NDArray[Any]] = [x]  # means, bins, quantiles, boxes
        for j, edges in enumerate(self.edges):
            place = np.searchsorted(edges, x[:, j], side="right")
            parts += [place[:, None] == np.arange(edges.size + 1), x[:, j, None] < edges[1:-1]]
        for i, j, ends in self.boxes:
            inside = (x[:, i] >= ends[0, 0]) & (x[:, i] < ends[0, 1])
            parts.append((inside & (x[:, j] >= ends[1, 0]) & (x[:, j] < ends[1, 1]))[:, None])
        return np.hstack([np.asarray(part, dtype=np.float64) for part in parts])


def process_names(process: Process) -> tuple[str, ...]:
    """Return the names of the questions."""
    names = [f"mean {feature.name}" for feature in process.features]
    ends = ["0", *(f"{100 * p:g}" for p in _LEVELS), "100"]
    for feature in process.features:
        names += [f"{feature.name} {a} to {b} %" for a, b in zip(ends[:-1], ends[1:], strict=True)]
        names += [f"{feature.name} quantile {100 * p:g} %" for p in _LEVELS[1:-1]]
    return (*names, *(f"box {k}" for k in range(_BOXES)))


def answer(
    seeds: Seeds, process: Process, ensemble: Ensemble, k: int, questions: Questions
) -> Payload:
    """Return estimates, errors, and those of the weights alone, of one data set."""
    pool = np.delete(
        process.events(), slice(k * process.n_train, (k + 1) * process.n_train), axis=0
    )
    x = pool[seeds.at("events").numpy().choice(len(pool), process.n_fit, replace=False)]
    run, events = Run(seeds), Events(x, features=process.features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = fit_mixture(run, ensemble, events, discrepancy=None)
        found = correct_mixture(run, plain, events, SETTINGS)
    fit = found.discrepancy
    at, rows = found.weighted_draws(run)
    table = questions.table(at)
    values, covariance, noise = fit.moments(table, at, rows)
    s = rows[:, : fit.functions.free]
    gradient = (s - s.mean(axis=0)).T @ (table - table.mean(axis=0)) / len(s)
    alone = np.sqrt((gradient**2).sum(axis=0))
    return Payload(
        {
            "values": values,
            "errors": np.sqrt(np.diag(covariance)),
            "noise": np.sqrt(np.diag(noise)),
            "plain": table.mean(axis=0),
            "plain_errors": np.sqrt(alone**2 + table.var(axis=0) / len(at)),
        },
        {"effective": float(fit.record.effective), "claimed": float(fit.claimed)},
    )


@dataclass(frozen=True)
class Answers:
    """Of all ensembles and data sets: pulls, and errors over counting errors ``(E, S, O)``."""

    names: tuple[str, ...]
    pulls: Array
    claimed: Array
    actual: Array
    plain_pulls: Array
    plain_claimed: Array

    def row(self, name: str) -> list[str]:
        """Return the rates of one process, as the page has them."""

        def shares(pulls: Array) -> str:
            return " / ".join(f"{100.0 * (np.abs(pulls) < z).mean():.0f}" for z in (1.0, 1.96))

        def rms(values: Array) -> float:
            return math.sqrt(float((values**2).mean()))

        inside = np.abs(self.pulls) < 1.0
        each, by_ensemble = inside.mean(axis=(0, 1)), inside.mean(axis=(1, 2))
        least, claimed, actual = int(each.argmin()), rms(self.claimed), rms(self.actual)
        return [
            name,
            f"{each.size}",
            f"{self.pulls.shape[0]} × {self.pulls.shape[1]}",
            shares(self.plain_pulls),
            f"{rms(self.plain_claimed):.2f}",
            f"**{shares(self.pulls)}**",
            " ".join(f"{100 * rate:.0f}" for rate in by_ensemble),
            f"{claimed:.2f} / {actual:.2f}",
            f"{100 * each[least]:.0f} ({self.names[least]})",
        ]

    def line(self, name: str) -> str:
        """Return the same on one line."""
        return "  ".join(f"{head}: {cell}" for head, cell in zip(HEAD, self.row(name), strict=True))


HEAD = (
    "process",
    "observables",
    "ensembles × data sets",
    "weights alone, % at 68 / 95",
    "their claim",
    "with the discrepancy",
    "at 68 by ensemble",
    "claimed / actual",
    "worst at 68",
)


def study(name: str, sets: int, ensembles: range, executor: str = "") -> Answers:
    """Return the answers of one process; finished data sets are kept."""
    process = PROCESSES[name]
    questions = Questions.of(process)
    counted = questions.deviations / math.sqrt(process.n_fit)
    tables = []
    for k in ensembles:
        ensemble = process.ensemble(k)
        run = Run(Seeds(31).at(name, k), store=DirectoryStore(_STORE / f"{name}-{k}"))
        tasks = [
            Task(
                address=f"answers/{number:04d}",
                config={"settings": repr(SETTINGS), "version": VERSION},
                seeds=run.seeds.at("answers", number),
                args=(process, ensemble, k, questions),
            )
            for number in range(sets)
        ]
        records = [r for r in run.map(answer, tasks, label="answers") if isinstance(r, Record)]
        tables.append([{key: np.asarray(v) for key, v in r.arrays.items()} for r in records])

    def stacked(key: str) -> Array:
        return np.array([[row[key] for row in table] for table in tables])[..., questions.kept]

    true, uncertain, counted = (
        part[questions.kept] for part in (questions.values, questions.errors, counted)
    )
    off, plain_off = stacked("values") - true, stacked("plain") - true
    errors = np.hypot(stacked("errors"), uncertain)
    plain_errors = np.hypot(stacked("plain_errors"), uncertain)
    return Answers(
        tuple(np.array(questions.names)[questions.kept]),
        off / errors,
        stacked("errors") / counted,
        off / counted,
        plain_off / plain_errors,
        stacked("plain_errors") / counted,
    )


VERSION = 22

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("processes", nargs="*", default=list(PROCESSES))
    parser.add_argument("--sets", type=int, default=30)
    parser.add_argument("--ensembles", type=int, default=ENSEMBLES)
    parser.add_argument("--page", action="store_true", help="write the table of the page")
    told = parser.parse_args()
    rows = []
    for each in told.processes:
        found = study(each, told.sets, range(told.ensembles))
        rows.append(found.row(each))
        sys.stdout.write(found.line(each) + "\n")
        sys.stdout.flush()
    if told.page:
        write_table("coverage", HEAD, rows)
