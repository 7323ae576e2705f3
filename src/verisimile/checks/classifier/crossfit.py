"""Scores of a classifier on events it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from verisimile.checks.classifier.auc import auc
from verisimile.checks.classifier.samples import Pool
from verisimile.core.arrays import Array, BoolArray, IntArray, digest
from verisimile.core.canonical import JSON
from verisimile.core.dispatch import Failure, Task
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.samples.learners import Classifier, identity, scores

_SCHEMA = 2  # of stored fits


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Scores of events that their classifiers have not seen.

    Attributes
    ----------
    scores
        D of the events ``(n,)``.
    rows
        Which events of the pool ``(n,)``.
    fits
        Number of classifiers.
    unfinished
        How many of them did not converge.
    """

    scores: Array
    rows: IntArray
    fits: int
    unfinished: int


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """One learner on one pool: cached, seeded, and out of fold; `folder` is where fits are kept."""

    run: Run
    pool: Pool
    learner: Classifier
    folder: str = "classifier"

    def cross_fitted(self, folds: int) -> Scored:
        """Score all events, each by a classifier that never saw its fold."""
        part = self.pool.folds(folds, self.run.seeds.at("folds").numpy())
        tasks = [self._task("fold", k, part != k, np.flatnonzero(part == k)) for k in range(folds)]
        return self._scored(tasks)

    def split(self) -> Scored:
        """Score the test half after training on the other."""
        part = self.pool.folds(2, self.run.seeds.at("split").numpy())
        return self._scored([self._task("split", 0, part == 0, np.flatnonzero(part == 1))])

    def _scored(self, tasks: Sequence[Task]) -> Scored:
        found = self.run.map(_fit, tasks, label="classifier", schema=_SCHEMA)
        return _collect(found, self.pool.truth.size)

    def permuted(self, folds: int, permutations: int) -> Array:
        """Return the cross-fitted AUC of permuted labels ``(B,)``, each refitted from scratch."""
        tasks = [
            Task(
                f"{self._folder()}/refit-{b:05d}",
                {**self._identity(), "folds": folds},
                self.run.seeds.at("refit", b),
                (self.pool, self.learner, folds),
            )
            for b in range(permutations)
        ]
        found = self.run.map(_refit, tasks, label="classifier refits")
        return np.array([one.meta["auc"] for one in found if isinstance(one, Record)], np.float64)

    def _task(self, word: str, index: int, train: BoolArray, rows: IntArray) -> Task:
        pool = self.pool
        weights = pool.weights[train] if pool.weighted else None
        return Task(
            f"{self._folder()}/{word}-{index:04d}",
            {**self._identity(), "rows": digest(rows)},
            self.run.seeds.at(word, index),
            (self.learner, pool.inputs[train], pool.truth[train], weights, pool.inputs[rows], rows),
        )

    def _identity(self) -> dict[str, JSON]:
        pool = self.pool
        circled = () if pool.circled is None else (pool.circled.x,)
        events = digest(pool.x, pool.truth, pool.weights, *circled)
        return {"events": events, **identity(self.learner)}

    def _folder(self) -> str:
        return f"{self.folder}/{str(self._identity()['events'])[:16]}"


def unfinished_note(*fits: Scored) -> tuple[str, ...]:
    """Return a warning if a training did not converge."""
    count, total = sum(one.unfinished for one in fits), sum(one.fits for one in fits)
    if not count:
        return ()
    return (
        f"{count} of {total} trainings of the classifier did not converge: the p-value is"
        " valid and its power lower than need be, the weights are worse. Train longer.",
    )


def _fit(
    seeds: Seeds,
    learner: Classifier,
    x: Array,
    truth: BoolArray,
    weights: Array | None,
    test: Array,
    rows: IntArray,
) -> Payload:
    found, finished = scores(learner, seeds, x, truth, weights, test)
    return Payload({"rows": rows, "scores": found}, {"finished": finished})


def _refit(seeds: Seeds, pool: Pool, learner: Classifier, folds: int) -> Payload:
    rng = seeds.at("labels").numpy()
    # Weights stay with their events; only the names of the samples move, of whole groups.
    side = np.zeros(pool.n_units, dtype=np.bool_)
    side[pool.units[pool.truth]] = True
    shuffled = replace(pool, truth=rng.permutation(side)[pool.units])
    found = Scorer(Run(seeds), shuffled, learner).cross_fitted(folds).scores
    return Payload(meta={"auc": auc(found, shuffled.truth, shuffled.masses)})


def _collect(records: Sequence[Record | Failure], size: int) -> Scored:
    out, seen, unfinished = np.full(size, np.nan), np.zeros(size, dtype=np.bool_), 0
    for record in records:
        if isinstance(record, Record):
            out[record.arrays["rows"]] = record.arrays["scores"]
            seen[record.arrays["rows"]] = True
            unfinished += not record.meta["finished"]
    rows = np.flatnonzero(seen)
    return Scored(out[rows], rows, len(records), unfinished)
