"""Events of a mixture that a run keeps: drawn once, in blocks that its workers share."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.mixture.sampling import SignedSample

_BLOCK = 4096
_BYTES = 2**28  # that are kept of one mixture; where more are wanted, all are drawn each time


class Drawable(Protocol):
    """A mixture, corrected or not, that is told apart by its content."""

    @property
    def fingerprint(self) -> str:
        """Content key."""

    def drawn(self, n: int, rng: np.random.Generator) -> SignedSample:
        """Draw `n` events with their members' log-densities."""


def kept_draws(run: Run, mixture: Drawable, n: int) -> tuple[Array, Array]:
    """Return `n` events of a mixture ``(n, d)`` and the log-densities of its members ``(n, M)``.

    Block k of 4096 events has the random stream ``("draws", "mixture", k)`` of the run: who asks
    for fewer events is given the first of the same ones.
    """
    require(n >= 2, "draws", got=n, expected="at least two events")
    tasks = [
        Task(
            address=f"draws/{mixture.fingerprint[:16]}/mixture/{k:05d}",
            config={"mixture": mixture.fingerprint, "block": k, "events": _BLOCK},
            seeds=run.seeds.at("draws", "mixture", k),
            args=(mixture, _BLOCK),
        )
        for k in range(-(-n // _BLOCK))
    ]
    found = _arrays(run, tasks[:1])
    if sum(part.nbytes for part in found[0]) * len(tasks) <= _BYTES:
        found += _arrays(run, tasks[1:])
    else:
        drawn = (_draw(task.seeds, *task.args).arrays for task in tasks[1:])
        found += [(block["x"], block["log_densities"]) for block in drawn]
    x, logf = (np.concatenate(parts)[:n] for parts in zip(*found, strict=True))
    return x, logf


def _arrays(run: Run, tasks: list[Task]) -> list[tuple[Array, Array]]:
    records = run.map(_draw, tasks, label="draws", everywhere=True)
    # With no failures allowed, every outcome is a record.
    arrays = (record.arrays for record in records if isinstance(record, Record))
    return [(np.asarray(each["x"]), np.asarray(each["log_densities"])) for each in arrays]


def _draw(seeds: Seeds, mixture: Drawable, n: int) -> Payload:
    sample = mixture.drawn(n, seeds.numpy())
    return Payload({"x": sample.x, "log_densities": sample.log_densities}, {})
