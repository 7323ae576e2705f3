"""How spline flows are trained: by compiled code, as one stack in torch, or one by one by nflows.

All three minimise the same loss by the same steps, and differ in rounding; what trained a
member is kept with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from verisimile.core.errors import InputError, require, require_at_least
from verisimile.density.flows.compiled import CompiledEpochs, compiles
from verisimile.density.flows.epochs import AdamState, Epochs
from verisimile.density.flows.nflows import Architecture
from verisimile.density.flows.packed import PackedLayout
from verisimile.density.flows.stacked import StackedEpochs
from verisimile.density.torch_scope import CPU, Placement
from verisimile.density.training import Student


@dataclass(frozen=True, slots=True)
class Loop:
    """nflows' modules with automatic derivatives, one member at a time: the reference."""

    name = "loop"
    together = 1


@dataclass(frozen=True, slots=True)
class Stacked:
    """Members as one batched model in plain torch.

    Parameters
    ----------
    together
        Largest number of members in one job.
    placement
        Device, and threads of a CPU.
    """

    name = "stacked"
    together: int = 16
    placement: Placement = CPU

    def __post_init__(self) -> None:
        require_at_least(1, self.together, "Stacked.together")
        require(
            isinstance(self.placement, Placement),
            "Stacked.placement",
            got=repr(self.placement),
            expected="a Placement",
            remedy="For example Stacked(placement=Placement('cuda')).",
        )


@dataclass(frozen=True, slots=True)
class Compiled:
    """Compiled code, a whole epoch of a member per call."""

    name = "compiled"
    together = 1


Engine: TypeAlias = Loop | Stacked | Compiled


def begin(
    engine: Stacked | Compiled,
    layout: PackedLayout,
    state: AdamState,
    students: Sequence[Student],
    batches: Sequence[int],
    clip: float,
) -> Epochs:
    """Return members before their next epoch; arguments as those of `CompiledEpochs`."""
    if isinstance(engine, Stacked):
        return StackedEpochs(layout, state, students, batches, clip, engine.placement)
    return CompiledEpochs(layout, state, students, batches, clip)


def engine_for(shape: Architecture, wanted: Engine | None = None) -> Engine:
    """Return the engine that is wanted, or the fastest one for such a flow on this machine.

    Raises
    ------
    InputError
        If the wanted one is none, or cannot train it here.
    """
    if wanted is None:
        return Loop() if shape.residual else Compiled() if compiles(shape) else Stacked()
    require(
        isinstance(wanted, Loop | Stacked | Compiled),
        "engine",
        got=repr(wanted),
        expected="Compiled(), Stacked() or Loop()",
        remedy="They are in vs.density; leave the engine out for the fastest one.",
    )
    if shape.residual and not isinstance(wanted, Loop):
        raise InputError(
            "engine",
            got=f"{wanted!r} for residual blocks",
            expected="Loop(), which alone knows them",
            remedy="Train without residual blocks, or leave the engine out.",
        )
    if isinstance(wanted, Compiled) and not compiles(shape):
        raise InputError(
            "engine",
            got="Compiled() without a compiled library",
            expected="an engine of this machine",
            remedy="Install with a C++ compiler at hand, or leave the engine out.",
        )
    return wanted
