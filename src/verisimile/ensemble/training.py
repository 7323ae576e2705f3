"""Train the members whose records are missing: each as a task, or several as one job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from verisimile.core.canonical import JSON
from verisimile.core.checkpoint import FOLDER, Checkpoint
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Failure, Task, fingerprint
from verisimile.data.events import Events
from verisimile.density.check import precision_gap
from verisimile.density.protocol import (
    AnyTrainer,
    EngineTrainer,
    Fitted,
    TrainingEngine,
    density_arguments,
)
from verisimile.density.registry import below, pack, under
from verisimile.ensemble.plan import Plan

LABEL = "members"
SCHEMA = 1
MODEL = "model."
CURVES = ("training_curve", "validation_curve")
_GAP_EVENTS = 2000
_STACKS = "stacks"
_SECONDS = 5.0  # between two checkpoints


def check_engine(trainer: AnyTrainer, events: Events, engine: TrainingEngine | None) -> None:
    """Raise an InputError if the engine that is wanted cannot train such members."""
    if isinstance(trainer, EngineTrainer):
        trainer.engine(events.d, engine)
    elif engine is not None:
        raise InputError(
            "engine",
            got=f"{engine!r} for a {type(trainer).__name__}",
            expected="a trainer of spline flows",
            remedy="Leave the engine out: this trainer has one way only.",
        )


def train_members(
    run: Run, tasks: Sequence[Task], engine: TrainingEngine | None, *, max_failed: float
) -> list[Record | Failure]:
    """Train what is missing; return a record or a failure for each task, of `fit.member_task`.

    What an engine trains as one job is kept as one record until each member has its own.  A
    training that was killed goes on after the last epoch that it kept.
    """
    made = _trained_together(run, tasks, engine)
    given = [
        replace(task, args=(made[task.address],))
        if task.address in made
        else replace(task, args=(*task.args, engine, _checkpoint(run, task)))
        for task in tasks
    ]
    outcomes = run.map(train_member, given, label=LABEL, schema=SCHEMA, max_failed=max_failed)
    for folder in (FOLDER, _STACKS):
        for address in run.store.addresses(folder):
            run.store.discard(address)
    return outcomes


def train_member(seeds: Seeds, *given: Any) -> Payload:  # noqa: ANN401  (a made member, or a task)
    """Train one member on the events of its plan, or return it if it is made already."""
    if len(given) == 1:
        (made,) = given
        if isinstance(made, NumericsError):
            raise made
        return cast(Payload, made)
    *job, engine, checkpoint = given
    (outcome,) = _fit([(seeds, *job)], engine, checkpoint)
    if isinstance(outcome, NumericsError):
        raise outcome
    return outcome


_Job = tuple[Seeds, Events, Plan, AnyTrainer, int]


def _trained_together(
    run: Run, tasks: Sequence[Task], engine: TrainingEngine | None
) -> dict[str, Payload | NumericsError]:
    """Return what became of the members that one job can train, by their addresses.

    Those of a job that failed as a whole are not among them: they go alone.
    """
    events, _, trainer, _ = tasks[0].args
    if not isinstance(trainer, EngineTrainer):
        return {}
    chosen = trainer.engine(events.d, engine)
    missing = [task for task in tasks if not _done(run, task)]
    if chosen.together == 1 or len(missing) < 2:
        return {}
    jobs = [missing[at : at + chosen.together] for at in range(0, len(missing), chosen.together)]
    outcomes = run.map(
        _train_stack,
        [_stack_task(run, job, chosen) for job in jobs],
        label=_STACKS,
        max_failed=1.0,
    )
    made: dict[str, Payload | NumericsError] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        if isinstance(outcome, Record):
            made |= {t.address: _one_of(outcome, number) for number, t in enumerate(job)}
    return made


def _done(run: Run, task: Task) -> bool:
    return run.store.state(task.address, fingerprint(LABEL, task, SCHEMA)) == "valid"


def _stack_task(run: Run, job: Sequence[Task], engine: TrainingEngine) -> Task:
    task = Task(
        address=f"{_STACKS}/{job[0].address.rpartition('/')[2]}",
        config={
            "members": [fingerprint(LABEL, task, SCHEMA) for task in job],
            "engine": engine.name,
        },
        seeds=job[0].seeds,
    )
    jobs = [(task.seeds, *task.args) for task in job]
    return replace(task, args=(jobs, engine, _checkpoint(run, task)))


def _train_stack(
    _: Seeds, jobs: Sequence[_Job], engine: TrainingEngine, checkpoint: Checkpoint | None
) -> Payload:
    """Train several members as one job; what failed has its error in place of arrays."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    meta: dict[str, JSON] = {}
    for number, outcome in enumerate(_fit(jobs, engine, checkpoint)):
        if isinstance(outcome, NumericsError):
            meta[str(number)] = {"error": _told(outcome)}
            continue
        arrays.update(under(f"{number}.", outcome.arrays))
        meta[str(number)] = dict(outcome.meta)
    return Payload(arrays, meta)


def _one_of(record: Record, number: int) -> Payload | NumericsError:
    meta = cast(Any, record.meta)[str(number)]
    if "error" in meta:
        return NumericsError(**meta["error"])
    return Payload(below(f"{number}.", record.arrays), meta)


def _told(error: NumericsError) -> dict[str, JSON]:
    return {name: getattr(error, name) for name in ("name", "got", "expected", "remedy")}


def _checkpoint(run: Run, task: Task) -> Checkpoint | None:
    """Return where a training is kept, if the store outlives this process."""
    if not run.store.portable:
        return None
    name = task.address.replace("/", "-")
    return Checkpoint(run.store, name, fingerprint(FOLDER, task, SCHEMA), _SECONDS)


def _fit(
    jobs: Sequence[_Job], engine: TrainingEngine | None, checkpoint: Checkpoint | None
) -> list[Payload | NumericsError]:
    """Train the members of jobs with one trainer; a pure function of their seeds and events."""
    started = time.perf_counter()
    samples = []
    for seeds, events, plan, _, member in jobs:
        replica, initialisation = plan.replica(member), plan.initialisation(member)
        streams = seeds.at("member", replica, initialisation)
        samples.append((*plan.split(events, replica, seeds), streams))
    trainer = jobs[0][3]
    fits: Sequence[Fitted[Any] | NumericsError] = (
        trainer.fit_many(samples, engine, checkpoint)
        if isinstance(trainer, EngineTrainer)
        else [trainer.fit(*sample) for sample in samples]
    )
    seconds = (time.perf_counter() - started) / len(jobs)
    return [
        fit if isinstance(fit, NumericsError) else _payload(job, validation, fit, seconds)
        for job, (_, validation, _), fit in zip(jobs, samples, fits, strict=True)
    ]


def _payload(job: _Job, validation: Events, fitted: Fitted[Any], seconds: float) -> Payload:
    seeds, events, plan, _, member = job
    packed = pack(fitted.model)
    probed = validation.take(np.arange(min(_GAP_EVENTS, validation.n)))
    replica = plan.replica(member)
    counts = plan.counts(events.n, replica, seeds, group=events.group)
    return Payload(
        {
            **under(MODEL, packed.arrays),
            **{name: np.asarray(getattr(fitted, name)) for name in CURVES},
        },
        {
            "model": packed.meta,
            "fit": fitted.meta,
            "member": member,
            "replica": replica,
            "initialisation": plan.initialisation(member),
            "best_epoch": fitted.best_epoch,
            "n_training": int((counts > 0).sum()),
            "n_validation": validation.n,
            "precision_gap": precision_gap(fitted.model, *density_arguments(fitted.model, probed)),
            "seconds": seconds,
        },
    )
