"""Generated samples with one known defect each, made from real Z -> mu mu events."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.example import load_example

_MASS, _PT = 0, 1


def truths(n: int, count: int, *, seed: int = 1) -> tuple[Events, ...]:
    """Return disjoint samples of n true events each."""
    truth = load_example()["truth"]
    return truth.split((n / truth.n,) * count, Seeds(seed))


def bump(events: Events, rng: np.random.Generator) -> Events:
    """Move 1.5 % of the events into a narrow bump at 75 GeV."""
    x = events.x.copy()
    moved = rng.random(events.n) < 0.015
    x[moved, _MASS] = rng.normal(75.0, 0.7, int(moved.sum()))
    return _like(events, x)


def smeared(events: Events, rng: np.random.Generator) -> Events:
    """Smear masses by 1.5 %; those beyond the selection are lost."""
    x = events.x.copy()
    x[:, _MASS] *= 1.0 + 0.015 * rng.normal(size=events.n)
    return _like(events, x[(x[:, _MASS] > 60.0) & (x[:, _MASS] < 120.0)])


def lost_tail(events: Events, rng: np.random.Generator) -> Events:
    """Lose half of the events with a transverse momentum above 60 GeV."""
    return events.take((events.x[:, _PT] < 60.0) | (rng.random(events.n) < 0.5))


def no_radiation(events: Events, rng: np.random.Generator) -> Events:
    """Lose half of the events with a mass below 85 GeV."""
    return events.take((events.x[:, _MASS] > 85.0) | (rng.random(events.n) < 0.5))


def softer(events: Events, rng: np.random.Generator) -> Events:
    """Shrink all transverse momenta by 15 %."""
    x = events.x.copy()
    x[:, _PT] *= 0.85
    return _like(events, x)


def signed(events: Events, rng: np.random.Generator) -> Events:
    """Give 15 % of the events the weight -1, the others 1."""
    weights = np.where(rng.random(events.n) < 0.15, -1.0, 1.0)
    return Events(events.x, weights, features=events.features)


def memoriser(train: Events, n: int, rng: np.random.Generator) -> Events:
    """Draw with replacement from the training events."""
    return train.take(rng.integers(train.n, size=n))


DEFECTS: Mapping[str, Callable[[Events, np.random.Generator], Events]] = {
    "bump": bump,
    "smeared": smeared,
    "lost_tail": lost_tail,
    "no_radiation": no_radiation,
    "softer": softer,
}
REGIONS = {
    "bump": ("m_ll", 73.0, 77.0),
    "smeared": ("m_ll", 80.0, 100.0),
    "lost_tail": ("pt_ll", 55.0, np.inf),
    "no_radiation": ("m_ll", 60.0, 90.0),
    "softer": ("pt_ll", 0.0, np.inf),
}
"""Feature, and range in which the place of the largest deviation must lie."""


def _like(events: Events, x: Array) -> Events:
    return Events(x, features=events.features)
