"""Spline flows trained together: schedule, early stopping of each, checkpoints after an epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.checkpoint import Checkpoint
from verisimile.core.errors import NumericsError
from verisimile.core.records import Payload, Record
from verisimile.density.flows.engines import Compiled, Stacked, begin
from verisimile.density.flows.epochs import AdamState
from verisimile.density.flows.packed import Floats, PackedLayout
from verisimile.density.training import Curves, Schedule, Student, batch_size, lost, rate_share

_OWN = ("best", "best_epoch", "curves", "trained", "open", "shuffles")


class Descended(NamedTuple):
    """Packed parameters of one member at the epoch that is kept, and its curves."""

    parameters: Floats
    curves: Curves


@dataclass(slots=True, eq=False)
class _Progress:
    """Everything that changes in a training, of M members.

    `best` holds the packed parameters of each member's best epoch, `curves`
    ``(M, E, 2)`` training and validation losses of the `trained` ``(M,)`` epochs; `open` tells
    who is still in training, `shuffles` the states of the streams.
    """

    adam: AdamState
    best: Floats
    best_epoch: IntArray
    curves: Array
    trained: IntArray
    open: BoolArray
    shuffles: npt.NDArray[np.uint8]
    epoch: int = 0

    @classmethod
    def fresh(cls, starts: Floats, students: Sequence[Student], epochs: int) -> _Progress:
        members = len(starts)
        return cls(
            AdamState.fresh(starts.copy()),
            starts.copy(),
            np.zeros(members, dtype=np.int64),
            np.full((members, epochs, 2), math.nan),
            np.zeros(members, dtype=np.int64),
            np.ones(members, dtype=bool),
            np.stack([s.seeds.at("shuffle").torch().get_state().numpy() for s in students]),
        )

    @classmethod
    def restored(cls, record: Record) -> _Progress:
        arrays = {name: np.array(values) for name, values in record.arrays.items()}
        adam = AdamState(*(arrays.pop(name) for name in AdamState.__slots__))
        return cls(adam, **arrays, epoch=cast(int, record.meta["epoch"]))

    def payload(self) -> Payload:
        own = {name: getattr(self, name) for name in _OWN}
        adam = {name: getattr(self.adam, name) for name in AdamState.__slots__}
        return Payload({**own, **adam}, {"epoch": self.epoch})


def train_together(
    layout: PackedLayout,
    starts: Floats,
    students: Sequence[Student],
    schedule: Schedule,
    engine: Stacked | Compiled,
    checkpoint: Checkpoint | None = None,
) -> list[Descended | NumericsError]:
    r"""Minimise each member's mean negative log-density, as `training.train` does for one.

    .. math:: L_m = -\tfrac{1}{n} \sum_n u_n
              \left[ \log N(f_m(z_n); 0, 1) + \log |\det f_m'(z_n)| \right]

    A member leaves after `patience` epochs without a smaller validation loss, or with an
    error once its loss is no longer finite; the others go on.  A schedule that keeps the last
    epoch does not look at the validation loss.

    Parameters
    ----------
    layout
        Of the packed parameters.
    starts
        Initial parameters ``(M, P)``.
    students
        Events and streams of each member.
    schedule
        How long and how fast.
    engine
        What takes the steps.
    checkpoint
        Where to keep unfinished work, and to look for it.
    """
    return _Training(layout, starts, students, schedule, engine, checkpoint).run()


class _Training:
    def __init__(
        self,
        layout: PackedLayout,
        starts: Floats,
        students: Sequence[Student],
        schedule: Schedule,
        engine: Stacked | Compiled,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.students = students
        self.schedule = schedule
        self.checkpoint = checkpoint
        kept = checkpoint.load() if checkpoint else None
        self.now = (
            _Progress.restored(kept) if kept else _Progress.fresh(starts, students, schedule.epochs)
        )
        self.sizes = [len(student.training.z) for student in students]
        self.batches = [batch_size(schedule, n) for n in self.sizes]
        self.epochs = begin(engine, layout, self.now.adam, students, self.batches, schedule.clip)

    def run(self) -> list[Descended | NumericsError]:
        while self.now.open.any() and self.now.epoch < self.schedule.epochs:
            self._epoch(np.flatnonzero(self.now.open).tolist())
            self.now.epoch += 1
            if self.checkpoint:
                self.checkpoint.offer(self.now.payload)
        return [self._outcome(member) for member in range(len(self.students))]

    def _epoch(self, members: list[int]) -> None:
        now, epoch = self.now, self.now.epoch
        orders = [self._order(member) for member in members]
        rates = [self._rates(member) for member in members]
        now.curves[members, epoch, 0] = self.epochs.epoch(members, orders, rates)
        now.curves[members, epoch, 1] = self.epochs.losses(members)
        now.trained[members] += 1
        for member in members:
            losses = now.curves[member, epoch]
            best = now.curves[member, now.best_epoch[member], 1]
            if not np.isfinite(losses).all():
                now.open[member] = False
            elif losses[1] < best or epoch == 0 or self.schedule.keep == "last":
                now.best_epoch[member] = epoch
                now.best[member] = now.adam.parameters[member]
            elif epoch - now.best_epoch[member] >= self.schedule.patience:
                now.open[member] = False

    def _order(self, member: int) -> IntArray:
        stream = torch.Generator()
        stream.set_state(torch.from_numpy(self.now.shuffles[member]))
        order = torch.randperm(self.sizes[member], generator=stream)
        self.now.shuffles[member] = stream.get_state().numpy()
        return np.asarray(order.numpy(), dtype=np.int64)

    def _rates(self, member: int) -> Array:
        """Return the step size of each batch of the coming epoch."""
        per_epoch = math.ceil(self.sizes[member] / self.batches[member])
        steps = self.now.adam.taken[member] + np.arange(per_epoch)
        total, decay = per_epoch * self.schedule.epochs, self.schedule.decay
        shares = [rate_share(step, total, decay=decay) for step in steps.tolist()]
        return self.schedule.learning_rate * np.array(shares)

    def _outcome(self, member: int) -> Descended | NumericsError:
        curves = self.now.curves[member, : self.now.trained[member]]
        if not np.isfinite(curves).all():
            return lost(tuple(curves[-1].tolist()), len(curves) - 1)
        student = self.students[member]
        training, validation = curves.T
        return Descended(
            self.now.best[member],
            Curves(
                training - student.training.offset,
                validation - student.validation.offset,
                int(self.now.best_epoch[member]),
            ),
        )
