"""The stages of the ring study: train all members of a depth at once, draw, trace curves.

Each stage is stored, so that an interrupted study goes on where it was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from verisimile.checks.precision_recall.curve import precision_recall
from verisimile.checks.precision_recall.scores import PooledNeighbours
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Task, fingerprint
from verisimile.data.events import Events
from verisimile.data.truths import RingOfEight
from verisimile.density.paths.diffusion import DiffusionTrainer
from verisimile.density.protocol import Sampler
from verisimile.density.registry import pack, unpack_any
from verisimile.density.torch_scope import Placement

N = 10_000
PIECES = 2  # disjoint generated samples, and reference samples, of the variance study

# The published lengths; a reduced schedule has one for all depths.
PUBLISHED_EPOCHS = {1: 10_001, 2: 10_001, 4: 15_001, 8: 20_001}


@dataclass(frozen=True)
class Plan:
    """One arm of the study at one depth."""

    arm: str
    depth: int
    members: int
    epochs: int

    def trainer(self) -> DiffusionTrainer:
        """Return the settings of the arm."""
        if self.arm == "full":
            return DiffusionTrainer(depth=self.depth, epochs=PUBLISHED_EPOCHS[self.depth])
        decay = self.arm == "decay"
        return DiffusionTrainer(depth=self.depth, epochs=self.epochs, batch=125, decay=decay)

    @property
    def name(self) -> str:
        """Return the folder of the arm."""
        return f"{self.arm}/depth{self.depth}"


class Data(NamedTuple):
    """Training, validation and reference events, as in the publication 10 000 each."""

    training: Events
    validation: Events
    truth: Events


def data(seeds: Seeds) -> Data:
    """Return independent samples of one ring; 500 events are enough for a loss curve."""
    ring = RingOfEight.published(seeds)
    names = {"training": N, "validation": 500, "truth": N}
    return Data(*(Events(ring.sample(n, seeds.at(name).numpy())) for name, n in names.items()))


def trained(run: Run, plan: Plan, placement: Placement) -> tuple[list[Record], float]:
    """Return the stored members of a depth, trained as one batched job, and its seconds."""
    trainer, known = plan.trainer(), data(run.seeds)
    tasks = [
        Task(
            f"{plan.name}/network{m:02d}",
            {**trainer.config(), "training": known.training.digest},
            run.seeds.at(plan.name, m),
        )
        for m in range(plan.members)
    ]
    marks = [fingerprint("networks", task, 1) for task in tasks]
    kept = [run.store.load(task.address, mark) for task, mark in zip(tasks, marks, strict=True)]
    done = [record for record in kept if record is not None]
    if len(done) < len(kept):
        start = time.perf_counter()
        fits = trainer.fit_many(
            [(known.training, known.validation, task.seeds) for task in tasks], placement
        )
        seconds = time.perf_counter() - start
        for task, mark, fit in zip(tasks, marks, fits, strict=True):
            payload = pack(fit.model)
            meta = {**payload.meta, "seconds of all": seconds}
            run.store.save(task.address, mark, "networks", Payload(payload.arrays, meta))
        return trained(run, plan, placement)
    return done, float(str(done[0].meta["seconds of all"]))


def drawn(run: Run, plan: Plan, networks: list[Record]) -> tuple[list[Array], float]:
    """Return `N` draws of each member, rows that diverged being NaN, and the seconds it took."""
    start = time.perf_counter()
    tasks = [
        Task(
            f"{plan.name}/draws{m:02d}",
            {"network": record.fingerprint, "n": N},
            run.seeds.at(plan.name, m, "draws"),
            (record,),
        )
        for m, record in enumerate(networks)
    ]
    records = run.map(draw, tasks, label="draws")
    return [np.asarray(r.arrays["x"]) for r in records if isinstance(r, Record)], (
        time.perf_counter() - start
    )


def draw(seeds: Seeds, record: Record) -> Payload:
    """Return draws of one stored member."""
    model = unpack_any(record.meta, record.arrays)
    assert isinstance(model, Sampler)
    return Payload({"x": model.sample(N, seeds.numpy())}, {})


def areas_of_pieces(run: Run, plan: Plan, draws: list[Array], truth: Events) -> Array:
    """Return areas ``(members, PIECES, PIECES)``: draws by truth, in pieces."""
    tasks = [
        Task(
            f"{plan.name}/pieces{m:02d}",
            {"pieces": PIECES, "n": N},
            run.seeds.at(plan.name, m, "pieces"),
            (x, truth),
        )
        for m, x in enumerate(draws)
    ]
    records = run.map(piecewise, tasks, label="pieces")
    return np.array([r.arrays["areas"] for r in records if isinstance(r, Record)])


def piecewise(seeds: Seeds, x: Array, truth: Events) -> Payload:
    """Return one member's areas ``(PIECES, PIECES)``."""
    references = [Events(part) for part in np.array_split(truth.x, PIECES)]
    areas = [
        [
            precision_recall(
                Run(seeds.at(i, j)), reference, part, score=PooledNeighbours(), null_draws=0
            ).auc.value
            for j, reference in enumerate(references)
        ]
        for i, part in enumerate(np.array_split(x, PIECES))
    ]
    return Payload({"areas": np.array(areas)}, {})
