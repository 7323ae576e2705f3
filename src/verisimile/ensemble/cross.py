"""Ensembles over folds: each event has flows that did not see it, and all events train some."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

import numpy as np

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import NumericsError, StoreError, require
from verisimile.core.random import Seeds
from verisimile.core.records import Record
from verisimile.core.run import Run
from verisimile.core.tasks import Failure, Task
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature
from verisimile.data.groups import parts_of_groups
from verisimile.data.inputs import EventsLike, as_events
from verisimile.data.provenance import Provenance, Seen
from verisimile.density.average import AveragedDensity
from verisimile.density.protocol import Trainer, TrainingEngine
from verisimile.ensemble.ensemble import Ensemble, MemberRecord
from verisimile.ensemble.fit import (
    Manifest,
    assemble,
    check_manifest,
    check_training,
    load_ensemble,
    load_footprint,
    load_members,
    manifest_of,
    member_task,
    read_manifest,
    train,
)
from verisimile.ensemble.plan import Plan
from verisimile.ensemble.training import check_engine

ROLE = "training and weight-fit"
"""Role of the events that a cross-fitted mixture was made from."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CrossEnsemble:
    r"""K ensembles of M densities, each trained on the events outside of one fold.

    .. math:: g_i(x) = \frac1K \sum_k f_{i,k}(x)

    Attributes
    ----------
    folds
        The ensembles: the k-th has not seen the events of fold k.
    fold
        Fold of each training event ``(n,)``.
    failures
        Flows whose training failed.  So that all folds have equally many, the last ones of the
        others are left out.
    training_digest
        Digest of the events.
    """

    folds: tuple[Ensemble, ...]
    fold: IntArray
    failures: tuple[Failure, ...]
    training_digest: str

    @property
    def members(self) -> tuple[AveragedDensity, ...]:
        """The M averages over the folds: the members of a mixture."""
        return tuple(
            AveragedDensity(parts)
            for parts in zip(*(each.members for each in self.folds), strict=True)
        )

    @property
    def records(self) -> tuple[MemberRecord, ...]:
        """How the K M flows were trained, fold after fold."""
        return tuple(chain.from_iterable(each.records for each in self.folds))

    @property
    def features(self) -> tuple[Feature, ...]:
        """Specifications of the features ``(d,)``."""
        return self.folds[0].features

    @property
    def provenance(self) -> Provenance:
        """Footprint of the events."""
        return self.folds[0].provenance

    def out_of_fold(self, events: EventsLike) -> Array:
        """Return the natural log-densities ``(n, M)`` of the flows that did not see the event.

        Parameters
        ----------
        events
            The events of the training, in the same order.

        Raises
        ------
        InputError
            If they are others: it is not known which flows saw them.
        """
        matched = match_features(as_events(events, "events"), self.features)
        require(
            matched.digest == self.training_digest,
            "events",
            got="a sample that the ensemble was not trained on",
            expected="the events of its training, in the same order",
            remedy="Use fit_ensemble and fit_mixture for separate samples.",
        )
        out = np.empty((matched.n, len(self)))
        for k, each in enumerate(self.folds):
            rows = np.flatnonzero(self.fold == k)
            out[rows] = each.log_densities(matched.take(rows))
        return out

    def __len__(self) -> int:
        """Return M, the number of averaged members."""
        return len(self.folds[0])

    def __repr__(self) -> str:
        """Return one line: members, folds, features, failures."""
        names = ", ".join(feature.name for feature in self.features)
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"CrossEnsemble(M={len(self)}, folds={len(self.folds)}, features=({names}){failed})"


Trained: TypeAlias = Ensemble | CrossEnsemble
"""What a run folder may hold."""


def fit_cross_ensemble(
    run: Run,
    events: EventsLike,
    plan: Plan,
    trainer: Trainer,
    *,
    folds: int = 4,
    engine: TrainingEngine | None = None,
) -> CrossEnsemble:
    """Train one ensemble outside of each fold of the events, so that one sample suffices.

    Every event trains the flows of K - 1 folds and is new to those of its own:
    :func:`~verisimile.mixture.cross.fit_cross_mixture` can fit weights and discrepancy to all
    events.  Rows of a group stay together.  Records, resumption and damage are as for
    :func:`~verisimile.ensemble.fit.fit_ensemble`; flow i of fold k is at the address
    ``members/<k M + i>``.

    Parameters
    ----------
    run
        Streams (``"folds"`` and ``"fold", k, "ensemble"``), workers, store and progress.
    events
        All events ``(n, d)``.
    plan
        Of each fold: K times as many flows are trained.
    trainer
        What turns one training sample into one estimator.
    folds
        K.
    engine
        What takes the steps; see :func:`~verisimile.ensemble.fit.fit_ensemble`.

    Raises
    ------
    InputError
        If there are fewer than two folds or two events for each, the trainer has a context, or
        it cannot use the events.
    StoreError
        If the store holds an ensemble with other settings; nothing is trained then.
    NumericsError
        If more than ``plan.max_failed`` of the flows failed, or all of one fold.

    References
    ----------
    D. Wolpert, Neural Networks 5 (1992) 241 (stacking);
    M. van der Laan, E. Polley, A. Hubbard, Stat. Appl. Genet. Mol. Biol. 6 (2007) 25;
    V. Chernozhukov et al., Econometrics J. 21 (2018) C1 (cross-fitting).

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> events = vs.Events(np.random.default_rng(1).normal(size=(400, 1)), names=("m",))
    >>> trainer = vs.density.GaussianMixtureTrainer(components=(1,))
    >>> run = vs.Run(vs.Seeds(1))
    >>> ensemble = vs.fit_cross_ensemble(run, events, vs.BootstrapPlan(members=2), trainer, folds=2)
    >>> len(ensemble.members)
    2
    """
    events = as_events(events, "events")
    fold, tasks, manifest = _checked(run, events, plan, trainer, folds)
    check_engine(trainer, events, engine)
    seen = Seen.of(ROLE, events)
    finished, outcomes = train(
        run,
        tasks,
        manifest,
        seen,
        max_failed=plan.max_failed,
        engine=engine,
        also={"fold": fold},
    )
    records = [outcome if isinstance(outcome, Record) else None for outcome in outcomes]
    return _gathered(run, finished, records, seen, fold)


def check_cross_ensemble(
    run: Run, events: Events, plan: Plan, trainer: Trainer, *, folds: int
) -> None:
    """Raise what :func:`fit_cross_ensemble` would before it trains; nothing is written."""
    _checked(run, events, plan, trainer, folds)


def load_cross_ensemble(run: Run) -> CrossEnsemble:
    """Return the ensemble over folds in the run's store, without training anything.

    Raises
    ------
    StoreError
        If there is none, its training was not finished, or a flow's file is missing or damaged.
    """
    manifest = read_manifest(run.store)
    if manifest.folds is None:
        raise StoreError(
            f"manifest in {run.store!r}",
            got="an ensemble without folds",
            expected="an ensemble over folds",
            remedy="Read it with load_ensemble(run).",
        )
    kept = load_footprint(run, manifest)
    seen = Seen(ROLE, manifest.training_digest, np.asarray(kept["rows"], dtype=np.uint64))
    fold = np.asarray(kept["fold"], dtype=np.int64)
    return _gathered(run, manifest, load_members(run, manifest), seen, fold)


def load_trained(run: Run) -> Trained:
    """Return the ensemble in the run's store, whether it was trained over folds or not."""
    over_folds = read_manifest(run.store).folds is not None
    return load_cross_ensemble(run) if over_folds else load_ensemble(run)


def folds_of(events: Events, folds: int, seeds: Seeds) -> IntArray:
    """Return the fold ``0 … K − 1`` of each event ``(n,)``, at random; whole groups alike."""
    rng = seeds.numpy()
    fold = np.empty(events.n, dtype=np.int64)
    if events.group is None:
        fold[rng.permutation(events.n)] = np.arange(events.n) % folds
        return fold
    for k, rows in enumerate(parts_of_groups(events.group, np.full(folds, 1.0 / folds), rng)):
        fold[rows] = k
    return fold


def _checked(
    run: Run, events: Events, plan: Plan, trainer: Trainer, folds: int
) -> tuple[IntArray, list[Task], Manifest]:
    enough = f"2 or more, and at most half as many as there are events ({events.n})"
    require(2 <= folds <= events.n // 2, "folds", got=folds, expected=enough)
    require(
        not getattr(trainer, "context", ()),
        "trainer",
        got="one of conditional densities f(x | c)",
        expected="a trainer of densities without context",
        remedy="Use fit_ensemble and fit_conditional_mixture.",
    )
    check_training(events, trainer)
    fold = folds_of(events, folds, run.seeds.at("folds"))
    tasks: list[Task] = []
    for k in range(folds):
        others = events.take(np.flatnonzero(fold != k))
        check_training(others, trainer)
        seeds = run.seeds.at("fold", k, "ensemble")
        first = k * plan.members
        tasks += [
            member_task(first + m, seeds, others, plan, trainer, m) for m in range(plan.members)
        ]
    manifest = manifest_of(run, events, plan, trainer, tasks, {"folds": folds})
    check_manifest(run.store, manifest)
    return fold, tasks, manifest


def _gathered(
    run: Run,
    manifest: Manifest,
    records: list[Record | None],
    seen: Seen,
    fold: IntArray,
) -> CrossEnsemble:
    """Return the ensembles of the folds, with as many members as the smallest has."""
    count = int(fold.max()) + 1
    size = len(records) // count
    trained = [
        [
            (number, record)
            for number in range(k * size, (k + 1) * size)
            if (record := records[number])
        ]
        for k in range(count)
    ]
    least = min(len(each) for each in trained)
    if least == 0:
        raise NumericsError(
            "folds",
            got="a fold in which every training failed",
            expected="at least one flow outside of each fold",
            remedy="More members, or fewer folds.",
        )
    return CrossEnsemble(
        folds=tuple(_of_fold(run, manifest, each[:least], seen) for each in trained),
        fold=fold,
        failures=manifest.failures or (),
        training_digest=manifest.training_digest,
    )


def _of_fold(
    run: Run, manifest: Manifest, numbered: list[tuple[int, Record]], seen: Seen
) -> Ensemble:
    ensemble = assemble(run, manifest, [record for _, record in numbered], seen)
    # A member's number is the address of its densities at a sample, which two folds may share.
    records = [
        replace(record, member=number)
        for (number, _), record in zip(numbered, ensemble.records, strict=True)
    ]
    return replace(ensemble, records=tuple(records), failures=())
