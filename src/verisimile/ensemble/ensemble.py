"""`Ensemble`: trained members, how they came about, and their densities at events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, require
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Failure, Task
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike, as_events
from verisimile.data.provenance import Provenance
from verisimile.density.check import precision_gap
from verisimile.density.protocol import (
    ConditionalDensity,
    DensityEstimator,
    NamedConditional,
    Sampler,
    density_arguments,
)
from verisimile.density.registry import Model

S = TypeVar("S")

_PROBED = 1000  # events at which a precision gap is noted


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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ensemble:
    """M density estimators of the same features, trained on replicas of the same events.

    Attributes
    ----------
    models
        The estimators, in the plan's order, without those that failed: densities,
        conditional densities, or samplers whose density nobody knows.
    features
        Specifications of the features ``(d,)``; those of the context are among them.
    records
        How each member was trained, one per member.
    failures
        Members whose training failed.
    training_digest
        Digest of the events that the replicas were drawn from.
    provenance
        Footprint of these events, to notice when a later sample shares some.
    run
        Where densities are computed and kept.
    """

    models: tuple[Model, ...]
    features: tuple[Feature, ...]
    records: tuple[MemberRecord, ...]
    failures: tuple[Failure, ...]
    training_digest: str
    provenance: Provenance
    run: Run

    @property
    def members(self) -> tuple[DensityEstimator, ...]:
        """The estimators; an InputError if they have a context, or no density."""
        return self._without_context(m for m in self.models if isinstance(m, DensityEstimator))

    @property
    def samplers(self) -> tuple[Sampler, ...]:
        """The members, as far as they draw events; an InputError if they have a context."""
        return self._without_context(m for m in self.models if isinstance(m, Sampler))

    def _without_context(self, found: Iterable[S]) -> tuple[S, ...]:
        """Return the models that were found, if they are all, and without context."""
        own = tuple(m for m in found if not isinstance(m, ConditionalDensity))
        if len(own) < len(self.models):
            raise _no_densities(self.models)
        return own

    @property
    def conditionals(self) -> tuple[NamedConditional, ...]:
        """The members of an ensemble with context; an InputError if they have none."""
        conditionals = tuple(m for m in self.models if isinstance(m, NamedConditional))
        require(
            len(conditionals) == len(self.models),
            "ensemble.conditionals",
            got="densities without context",
            expected="conditional densities f(x | c)",
            remedy="Use fit_mixture, or train with SplineFlowTrainer(...).given('column').",
        )
        return conditionals

    @property
    def precision_gap(self) -> float:
        """Largest ``|log f − log f₆₄|`` seen at the members' out-of-bag events."""
        return max(record.precision_gap for record in self.records)

    def log_densities(self, events: EventsLike) -> Array:
        """Return the members' natural log-densities ``(n, M)`` in original units.

        Columns are matched by name.  The run keeps the matrix: the same events
        are evaluated once.

        Raises
        ------
        InputError
            If the features differ, or the members are samplers without density.
        """
        known = [m for m in self.models if isinstance(m, ConditionalDensity | DensityEstimator)]
        if len(known) < len(self.models):
            raise _no_densities(self.models)
        matched = match_features(as_events(events, "events"), self.features)
        return log_density_matrix(self.run, known, self.records, matched)

    def __len__(self) -> int:
        """Return the number of members M."""
        return len(self.models)

    def __repr__(self) -> str:
        """Return one line: members, features, failures."""
        names = ", ".join(feature.name for feature in self.features)
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"Ensemble(M={len(self.models)}, features=({names}){failed})"


def _no_densities(models: tuple[Model, ...]) -> InputError:
    if any(isinstance(m, ConditionalDensity) for m in models):
        return InputError(
            "ensemble.members",
            got="conditional densities f(x | c)",
            expected="densities without context",
            remedy="Fit their weights with fit_conditional_mixture(run, ensemble, events).",
        )
    return InputError(
        "ensemble.members",
        got="samplers without density",
        expected="densities",
        remedy="Draw from ensemble.samplers, and compare samples with samples.",
    )


_NO_SEEDS = Seeds(0)  # nothing random: a record is good for every run


def log_density_matrix(
    run: Run,
    members: Sequence[DensityEstimator | ConditionalDensity],
    records: Sequence[MemberRecord],
    events: Events,
) -> Array:
    """Return natural log-densities ``(n, M)``, computed once per member and sample.

    The record of member 7 is at ``density/<first 16 digits of the events'
    digest>/0007``; it also notes the precision gap at the first 1000 events.

    The columns of `events` are in the members' order, with the context of members that have
    one; `records` identify the members.
    """
    tasks = [
        Task(
            address=f"density/{events.digest[:16]}/{record.member:04d}",
            config={"model": record.sha256, "events": events.digest},
            seeds=_NO_SEEDS,
            args=(member, *density_arguments(member, events)),
        )
        for member, record in zip(members, records, strict=True)
    ]
    outcomes = run.map(_evaluate, tasks, label="density", everywhere=True)
    columns = [o.arrays["log_density"] for o in outcomes if isinstance(o, Record)]
    return np.ascontiguousarray(np.stack(columns, axis=1))


def _evaluate(
    _: Seeds, member: DensityEstimator | ConditionalDensity, *arguments: Array
) -> Payload:
    return Payload(
        {"log_density": np.asarray(member.log_prob(*arguments), dtype=np.float64)},
        {"precision_gap": precision_gap(member, *(values[:_PROBED] for values in arguments))},
    )
