"""One member of an ensemble: how it is trained in a worker, stored, and read back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.data.events import Events
from verisimile.density.check import precision_gap
from verisimile.density.protocol import (
    ConditionalTrainer,
    SamplerTrainer,
    Trainer,
    density_arguments,
)
from verisimile.density.registry import Model, pack, unpack_any
from verisimile.ensemble.plan import Plan

_MODEL = "model."
_GAP_EVENTS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class MemberRecord:
    """How a member came about.

    Attributes
    ----------
    address, sha256
        Where its arrays are kept, and their hash.
    member, replica, initialisation
        Its place in the plan.
    training_curve, validation_curve
        Mean negative log-density per event in original units, ``(epochs,)``, or the
        loss that the trainer's curves hold.
    best_epoch
        Index of the epoch that was kept.
    n_training, n_validation
        Distinct training events, and those left out for early stopping.
    precision_gap
        ``max |log f − log f₆₄|`` over (at most 2000) events left out.
    seconds
        Wall time of the training.
    """

    address: str
    sha256: str
    member: int
    replica: int
    initialisation: int
    training_curve: Array
    validation_curve: Array
    best_epoch: int
    n_training: int
    n_validation: int
    precision_gap: float
    seconds: float


def member_address(member: int) -> str:
    """Return where a member is kept: ``members/0007``."""
    return f"members/{member:04d}"


def train_member(
    seeds: Seeds,
    events: Events,
    plan: Plan,
    trainer: Trainer | ConditionalTrainer | SamplerTrainer,
    member: int,
) -> Payload:
    """Train one member on the events of its plan; a pure function of its arguments."""
    started = time.perf_counter()
    replica, initialisation = plan.replica(member), plan.initialisation(member)
    training, validation = plan.split(events, replica, seeds)
    fitted = trainer.fit(training, validation, seeds.at("member", replica, initialisation))
    packed = pack(fitted.model)
    arrays = {f"{_MODEL}{name}": values for name, values in packed.arrays.items()}
    arrays["training_curve"] = np.asarray(fitted.training_curve)
    arrays["validation_curve"] = np.asarray(fitted.validation_curve)
    probed = validation.take(np.arange(min(_GAP_EVENTS, validation.n)))
    return Payload(
        arrays,
        {
            "model": packed.meta,
            "fit": fitted.meta,
            "member": member,
            "replica": replica,
            "initialisation": initialisation,
            "best_epoch": fitted.best_epoch,
            "n_training": int(
                (plan.counts(events.n, replica, seeds, group=events.group) > 0).sum()
            ),
            "n_validation": validation.n,
            "precision_gap": precision_gap(fitted.model, *density_arguments(fitted.model, probed)),
            "seconds": time.perf_counter() - started,
        },
    )


def model_of(record: Record) -> Model:
    """Return the estimator that a record holds."""
    arrays = {
        name.removeprefix(_MODEL): values
        for name, values in record.arrays.items()
        if name.startswith(_MODEL)
    }
    return unpack_any(cast(Any, record.meta)["model"], arrays)


def record_of(record: Record) -> MemberRecord:
    """Return how the member that a record holds was trained."""
    meta = cast(Any, record.meta)
    return MemberRecord(
        address=record.address,
        sha256=record.sha256,
        member=int(meta["member"]),
        replica=int(meta["replica"]),
        initialisation=int(meta["initialisation"]),
        training_curve=frozen(record.arrays["training_curve"]),
        validation_curve=frozen(record.arrays["validation_curve"]),
        best_epoch=int(meta["best_epoch"]),
        n_training=int(meta["n_training"]),
        n_validation=int(meta["n_validation"]),
        precision_gap=float(meta["precision_gap"]),
        seconds=float(meta["seconds"]),
    )
