"""The averaging measure: 50 members of a million events each, five features, 1024 regions.

The members draw their events while they are counted, so that one chunk is in memory at a
time; the second row has the same events held by the caller, of fewer members.  Each
measurement in a fresh process.  The budget is 60 s and 4 GiB.

    python benchmarks/amplification_averaging.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataclasses import dataclass

import numpy as np
from _peers import HEAD, measured
from scipy import stats

from verisimile.checks.amplification.averaging import averaging
from verisimile.checks.amplification.member_counts import Draws
from verisimile.core.arrays import Array, IntArray
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events

MEMBERS, EVENTS, D, BINS = 50, 1_000_000, 5, 4
HELD = 10


@dataclass(frozen=True)
class Grid:
    """Boxes between quartiles of a normal distribution."""

    count: int = BINS**D

    def of(self, x: Array) -> IntArray:
        """Return the box of each event."""
        inner = stats.norm.ppf(np.arange(1, BINS) / BINS)
        boxes = [np.searchsorted(inner, column) for column in x.T]
        return np.asarray(np.ravel_multi_index(boxes, (BINS,) * D), dtype=np.int64)


@dataclass(frozen=True)
class Member:
    """A normal distribution with the centre of one training sample."""

    centre: Array
    n_features: int = D

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events."""
        return np.asarray(rng.normal(size=(n, D)) + self.centre)


def main() -> None:
    """Print time and memory of drawn and of held members."""
    print(f"{EVENTS} events x {D} per member, {BINS**D} regions")
    print(HEAD)
    for name, call in (("drawn, 50 members", _drawn), ("held, 10 members", _held)):
        found = measured(call, warm=_warm)
        print(f"{found.line(name)}   {found.value}")


def _drawn(members: int = MEMBERS, events: int = EVENTS) -> str:
    samples = [Draws(_member(index), events) for index in range(members)]
    run = Run(Seeds(1))
    return repr(averaging(run, samples, n_train=1000, regions=Grid()).amplification)


def _held(members: int = HELD, events: int = EVENTS) -> str:
    rng = np.random.default_rng(2)
    samples = [Events(_member(index).sample(events, rng)) for index in range(members)]
    run = Run(Seeds(1))
    return repr(averaging(run, samples, n_train=1000, regions=Grid()).amplification)


def _member(index: int) -> Member:
    return Member(np.random.default_rng(index).normal(size=D) / np.sqrt(1000))


def _warm() -> None:
    _drawn(3, 1000)


if __name__ == "__main__":
    main()
