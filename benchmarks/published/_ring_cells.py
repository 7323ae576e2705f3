"""Trainings of diffusion networks on the ring of eight, one batched job for each cell.

A cell is a depth, a number of training events and a number of epochs.  Its members are
`initialisations` networks on each of several training samples, so that the spread can be divided;
each task trains all members of a cell at once and draws from them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

import verisimile as vs
from verisimile.core.arrays import Array
from verisimile.core.records import Payload, Record
from verisimile.core.tasks import Task
from verisimile.data.truths import RingOfEight
from verisimile.density.paths.diffusion import DiffusionTrainer
from verisimile.density.torch_scope import CPU, Placement

_VALIDATION = 200  # events of the loss curve, which decides nothing


@dataclass(frozen=True)
class Cell:
    """Members trained alike.

    Attributes
    ----------
    samples, initialisations
        Training samples, and networks trained on each of them.
    decay
        Whether the step size falls along half a cosine.
    draws
        Events that each member makes.
    """

    name: str
    depth: int
    events: int
    epochs: int
    batch: int
    decay: bool
    samples: int
    initialisations: int
    draws: int

    @property
    def sample_of(self) -> list[int]:
        """Training sample of each member."""
        return [k for k in range(self.samples) for _ in range(self.initialisations)]

    @property
    def steps(self) -> int:
        """Steps of the optimiser."""
        return self.epochs * -(-self.events // self.batch)


def draws_of(run: vs.Run, cells: Sequence[Cell]) -> tuple[list[list[Array]], float]:
    """Return the draws of all members of each cell, and the CPU minutes that they took.

    Rows that diverged are not finite.
    """
    tasks = [Task(cell.name, asdict(cell), run.seeds, (cell,)) for cell in cells]
    records = run.map(_trained_and_drawn, tasks, label="ring cells")
    done = [each for each in records if isinstance(each, Record)]
    minutes = sum(float(str(each.meta["cpu seconds"])) for each in done) / 60.0
    return [list(each.arrays["x"]) for each in done], minutes


def sample(seeds: vs.Seeds, n: int, *words: str | int) -> Array:
    """Return events that no network has seen."""
    return RingOfEight.published(seeds).sample(n, seeds.at(*words).numpy())


def _trained_and_drawn(seeds: vs.Seeds, cell: Cell) -> Payload:
    began = time.process_time()
    ring = RingOfEight.published(seeds)
    validation = vs.Events(ring.sample(_VALIDATION, seeds.at("validation").numpy()))
    # Cells with as many events share their training samples.
    training = [
        vs.Events(ring.sample(cell.events, seeds.at("training", cell.events, k).numpy()))
        for k in range(cell.samples)
    ]
    trainer = DiffusionTrainer(
        depth=cell.depth, epochs=cell.epochs, batch=cell.batch, decay=cell.decay
    )
    own = seeds.at("networks", cell.name)
    members = [(training[k], validation, own.at(m)) for m, k in enumerate(cell.sample_of)]
    placement = Placement("cuda") if torch.cuda.is_available() else CPU
    fits = trainer.fit_many(members, placement)
    drawn = [fit.model.sample(cell.draws, own.at(m, "draws").numpy()) for m, fit in enumerate(fits)]
    return Payload({"x": np.array(drawn)}, {"cpu seconds": time.process_time() - began})
