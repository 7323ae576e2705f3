"""Ensembles of spline flows for benchmarks: a trained one, and siblings that differ as replicas."""

from __future__ import annotations

import numpy as np

from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.density.flows.spline import SplineFlow
from verisimile.density.flows.trainer import SplineFlowTrainer

_HELD_OUT = 2000


def trained_flow(training: Events, trainer: SplineFlowTrainer) -> SplineFlow:
    """Return one flow, trained on all but some events."""
    rows = np.arange(training.n)
    kept, held = training.take(rows[_HELD_OUT:]), training.take(rows[:_HELD_OUT])
    return trainer.fit(kept, held, Seeds(1)).model


def siblings(flow: SplineFlow, count: int, spread: float) -> tuple[SplineFlow, ...]:
    """Return flows with parameters that are scattered by `spread` times their own size."""

    def sibling(number: int) -> SplineFlow:
        rng = np.random.default_rng([2, number])
        scattered = {
            name: (part * (1.0 + spread * rng.standard_normal(part.shape))).astype(np.float32)
            for name, part in flow.parameters.items()
        }
        return SplineFlow(flow.shape, scattered, flow.input_map, precision=flow.precision)

    return tuple(sibling(number) for number in range(count))
