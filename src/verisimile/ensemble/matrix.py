"""The matrix of the members' log-densities at given events, kept by the run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run, Task
from verisimile.data.events import Events
from verisimile.density.conditional import ConditionalDensity, density_arguments
from verisimile.density.precision import precision_gap
from verisimile.density.protocol import DensityEstimator
from verisimile.ensemble.member import MemberRecord

__all__ = ["log_density_matrix"]

_GAP_EVENTS = 1000
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

    Parameters
    ----------
    run
        Workers and store.
    members, records
        Estimators, and what identifies them.
    events
        Sample ``(n, d)``, its columns in the members' order; with the context of members
        that have one.
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
    outcomes = run.map(_evaluate, tasks, label="density")
    columns = [o.arrays["log_density"] for o in outcomes if isinstance(o, Record)]
    return np.ascontiguousarray(np.stack(columns, axis=1))


def _evaluate(
    _: Seeds, member: DensityEstimator | ConditionalDensity, *arguments: Array
) -> Payload:
    return Payload(
        {"log_density": np.asarray(member.log_prob(*arguments), dtype=np.float64)},
        {"precision_gap": precision_gap(member, *(values[:_GAP_EVENTS] for values in arguments))},
    )
