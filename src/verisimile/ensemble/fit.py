"""Train an ensemble of density estimators by a plan, or read one back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, StoreError
from verisimile.core.records import Payload, Record
from verisimile.core.run import Failure, Run, Task
from verisimile.core.store import MemoryStore
from verisimile.core.tasks import fingerprint
from verisimile.data.events import Events
from verisimile.data.provenance import Seen
from verisimile.density.conditional import ConditionalTrainer
from verisimile.density.conditional_flow import ConditionalSplineFlow
from verisimile.density.flow_density import SplineFlow
from verisimile.density.protocol import Checking, SamplerTrainer, Trainer
from verisimile.ensemble.ensemble import Ensemble
from verisimile.ensemble.manifest import Manifest, check_manifest, read_manifest, write_manifest
from verisimile.ensemble.member import member_address, model_of, record_of, train_member
from verisimile.ensemble.plan import Plan

__all__ = ["Ensemble", "fit_ensemble", "load_ensemble"]

_LABEL = "members"
_SCHEMA = 1
_ROLE = "training"
_ROWS = "ensemble/training"
# Importing a class registers how its members are rebuilt from files.
_SHIPPED_FAMILIES = (SplineFlow.family, ConditionalSplineFlow.family)


def fit_ensemble(
    run: Run,
    events: Events,
    plan: Plan,
    trainer: Trainer | ConditionalTrainer | SamplerTrainer,
) -> Ensemble:
    """Train the members of an ensemble, each on what the plan gives it of `events`.

    The same seeds, events, plan and trainer give the same members bit for bit,
    with any executor and after any interruption; finished members are not
    trained again.  A store in memory is simply overwritten by other settings,
    a folder is not.

    Parameters
    ----------
    run
        Streams (``"ensemble"``), workers, store and progress.
    events
        Training sample ``(n, d)``, with the context columns of a conditional trainer.
    plan
        :class:`~verisimile.ensemble.plan.BootstrapPlan` (replicas and initialisations) or
        :class:`~verisimile.ensemble.plan.InitialisationPlan` (the same events for all).
    trainer
        What turns one training sample into one estimator, one conditional density, or one
        sampler without density.

    Raises
    ------
    InputError
        If the trainer cannot use the events.
    StoreError
        If the store holds an ensemble with other settings; nothing is trained then.
    NumericsError
        If more than ``plan.max_failed`` of the members failed.
    """
    _check(events, trainer)
    tasks = [_task(run, events, plan, trainer, member) for member in range(plan.members)]
    manifest = _manifest(run, events, plan, trainer, tasks)
    if not isinstance(run.store, MemoryStore):
        check_manifest(run.store, manifest)
    write_manifest(run.store, manifest)
    seen = Seen.of(_ROLE, events)
    run.store.save(_ROWS, seen.digest, _ROLE, Payload({"rows": seen.rows}))
    outcomes = run.map(
        train_member, tasks, label=_LABEL, schema=_SCHEMA, max_failed=plan.max_failed
    )
    failures = tuple(outcome for outcome in outcomes if isinstance(outcome, Failure))
    finished = replace(manifest, failures=failures)
    write_manifest(run.store, finished)
    records = [outcome for outcome in outcomes if isinstance(outcome, Record)]
    return _assemble(run, finished, records, seen)


def load_ensemble(run: Run) -> Ensemble:
    """Return the ensemble in the run's store, without training anything.

    Raises
    ------
    StoreError
        If there is none, its training was not finished, or a member's file is
        missing or damaged.
    """
    manifest = read_manifest(run.store)
    failed = {failure.address for failure in manifest.failures or ()}
    records = [
        _load(run, address, expected)
        for address, expected in manifest.members
        if address not in failed
    ]
    rows = _load(run, _ROWS, manifest.training_digest).arrays["rows"]
    seen = Seen(_ROLE, manifest.training_digest, np.asarray(rows, dtype=np.uint64))
    return _assemble(run, manifest, records, seen)


def _check(events: Events, trainer: Trainer | ConditionalTrainer | SamplerTrainer) -> None:
    if events.n < 2:
        raise InputError("events", got=f"{events.n} event", expected="at least two events")
    if isinstance(trainer, Checking):
        # Once here, with its own error, instead of once in every worker.
        trainer.check(events)


def _task(
    run: Run,
    events: Events,
    plan: Plan,
    trainer: Trainer | ConditionalTrainer | SamplerTrainer,
    member: int,
) -> Task:
    # Without plan.members: member 7 is the same in an ensemble of 8 and of 20.
    config: dict[str, JSON] = {
        "trainer": trainer.config(),
        "events": events.digest,
        "features": [feature.to_dict() for feature in events.features],
        "member": member,
        **plan.place(member),
    }
    return Task(
        address=member_address(member),
        config=config,
        seeds=run.seeds.at("ensemble"),
        args=(events, plan, trainer, member),
    )


def _manifest(
    run: Run,
    events: Events,
    plan: Plan,
    trainer: Trainer | ConditionalTrainer | SamplerTrainer,
    tasks: Sequence[Task],
) -> Manifest:
    settings: dict[str, JSON] = {
        "trainer": trainer.config(),
        "plan": plan.config(),
        "features": [feature.to_dict() for feature in events.features],
        "training": {"digest": events.digest, "events": events.n},
        "seeds": str(run.seeds),
    }
    members = tuple((task.address, fingerprint(_LABEL, task, _SCHEMA)) for task in tasks)
    return Manifest(settings, members)


def _load(run: Run, address: str, expected: str) -> Record:
    record = run.store.load(address, expected)
    if record is not None:
        return record
    state = run.store.state(address, expected)
    raise StoreError(
        f"{address}.safetensors and {address}.json in {run.store!r}",
        got=f"a {state} record",
        expected="a record as it was written",
        remedy="Run the same fit_ensemble (or `verisimile fit`) again on this store:"
        " it makes what is missing or damaged and keeps the rest.",
    )


def _assemble(run: Run, manifest: Manifest, records: Sequence[Record], seen: Seen) -> Ensemble:
    return Ensemble(
        models=tuple(model_of(record) for record in records),
        features=manifest.features,
        records=tuple(record_of(record) for record in records),
        failures=manifest.failures or (),
        training_digest=manifest.training_digest,
        provenance=(seen,),
        run=run,
    )
