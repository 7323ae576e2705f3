"""Truth and generated events in one pool, and scores of classifiers that have not seen them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from verisimile.checks.classifier.auc import auc
from verisimile.core.arrays import Array, BoolArray, IntArray, digest
from verisimile.core.canonical import JSON
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.data.events import Events, match_features
from verisimile.data.groups import compact
from verisimile.samples.coordinates import Circles, Standardised, circles, in_turns, periodic
from verisimile.samples.learners import Classifier, identity, scores
from verisimile.samples.pool import Pool, pool_samples

_SCHEMA = 2  # of stored fits
_LEAST = 40


@dataclass(frozen=True, slots=True, eq=False)
class ClassifierPool:
    """Both samples, truth first.

    Attributes
    ----------
    x
        Events ``(N, d)``.
    truth
        Which are true ``(N,)``.
    weights
        What a classifier learns with ``(N,)``: absolute event weights, scaled to mean one in
        either sample.
    weighted
        Whether either sample has weights.
    names
        Feature names.
    samples
        The same events as two-sample tests see them: their signed weights, groups and null.
        None for events that are relabeled one by one.
    circled
        Events with their periodic features on circles; None without such features.
    """

    x: Array
    truth: BoolArray
    weights: Array
    weighted: bool
    names: tuple[str, ...]
    samples: Pool | None = field(default=None, kw_only=True)
    circled: Circles | None = field(default=None, kw_only=True)

    @property
    def n_truth(self) -> int:
        """Number of true events."""
        return int(self.truth.sum())

    @property
    def n_generated(self) -> int:
        """Number of generated events."""
        return int(self.truth.size - self.truth.sum())

    @property
    def inputs(self) -> Array:
        """What a classifier sees of the events ``(N, d')``."""
        return self.x if self.circled is None else self.circled.x

    @property
    def masses(self) -> Array:
        """Event weights of either sign ``(N,)``, of mean one in either sample."""
        return self.weights if self.samples is None else self.samples.weights

    @property
    def units(self) -> IntArray:
        """What is drawn as a whole ``(N,)``: the group of each event, or its place."""
        return np.arange(self.truth.size) if self.samples is None else self.samples.units

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.truth.size if self.samples is None else self.samples.n_units

    @property
    def grouped(self) -> bool:
        """Whether some events belong together."""
        return self.n_units < self.truth.size

    def folds(self, count: int, rng: np.random.Generator) -> IntArray:
        """Return a fold number for each event ``(N,)``; every fold has its share of both.

        Groups stay whole.
        """
        out = np.empty(self.truth.size, dtype=np.int64)
        for side in (self.truth, ~self.truth):
            units = compact(self.units[side]) if self.grouped else np.arange(int(side.sum()))
            out[side] = rng.permutation(np.arange(int(units.max()) + 1) % count)[units]
        return out


def pool_of(
    truth: Events, generated: Events, *, exchangeable_weights: bool = False
) -> ClassifierPool:
    """Return both samples in one pool, with features matched by name.

    With `exchangeable_weights` one law made the weights of both, and labels may be permuted.
    """
    matched = match_features(generated, truth.features)
    for name, events in (("truth", truth), ("generated", matched)):
        what = "events" if events.group is None else "groups"
        require(
            events.n_groups >= _LEAST,
            name,
            got=f"{events.n_groups} {what}",
            expected=f"{_LEAST} {what} or more for a classifier",
        )
    x, around = np.concatenate([truth.x, matched.x]), periodic(truth.features)
    return ClassifierPool(
        x=x,
        truth=np.arange(truth.n + matched.n) < truth.n,
        weights=np.concatenate([_scaled(truth), _scaled(matched)]),
        weighted=truth.weights is not None or matched.weights is not None,
        names=truth.names,
        samples=pool_samples(
            truth, matched, Standardised(), exchangeable_weights=exchangeable_weights
        ),
        circled=circles(in_turns(x, truth.features), around) if around.any() else None,
    )


def _scaled(events: Events) -> Array:
    if events.weights is None:
        return np.ones(events.n)
    size = np.abs(events.weights)
    return np.asarray(size / size.mean())


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
    pool: ClassifierPool
    learner: Classifier
    folder: str = "classifier"

    def cross_fitted(self, folds: int) -> Scored:
        """Score all events, each by a classifier that never saw its fold."""
        part = self.pool.folds(folds, self.run.seeds.at("folds").numpy())
        return self._scored([self._task("fold", k, part != k, part == k) for k in range(folds)])

    def split(self) -> Scored:
        """Score the test half after training on the other."""
        part = self.pool.folds(2, self.run.seeds.at("split").numpy())
        return self._scored([self._task("split", 0, part == 0, part == 1)])

    def _scored(self, tasks: Sequence[Task]) -> Scored:
        records = self.run.map(_fit, tasks, label="classifier", schema=_SCHEMA, everywhere=True)
        out, unfinished = np.full(self.pool.truth.size, np.nan), 0
        seen = np.zeros(out.size, dtype=np.bool_)
        for record in records:
            if isinstance(record, Record):
                out[record.arrays["rows"]] = record.arrays["scores"]
                seen[record.arrays["rows"]] = True
                unfinished += not record.meta["finished"]
        rows = np.flatnonzero(seen)
        return Scored(out[rows], rows, len(records), unfinished)

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

    def _task(self, word: str, index: int, train: BoolArray, test: BoolArray) -> Task:
        pool, rows = self.pool, np.flatnonzero(test)
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


def _refit(seeds: Seeds, pool: ClassifierPool, learner: Classifier, folds: int) -> Payload:
    rng = seeds.at("labels").numpy()
    # Weights stay with their events; only the names of the samples move, of whole groups.
    side = np.zeros(pool.n_units, dtype=np.bool_)
    side[pool.units[pool.truth]] = True
    shuffled = replace(pool, truth=rng.permutation(side)[pool.units])
    found = Scorer(Run(seeds), shuffled, learner).cross_fitted(folds).scores
    return Payload(meta={"auc": auc(found, shuffled.truth, shuffled.masses)})
