"""Generators that remember more or less of what they were trained with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from verisimile.core.arrays import Array
from verisimile.data.events import Events

D = 3


def _copies(train: Array, n: int, rng: np.random.Generator) -> Array:
    return np.asarray(train[rng.integers(len(train), size=n)])


def _independent(train: Array, n: int, rng: np.random.Generator) -> Array:
    return rng.normal(size=(n, D))


def _smeared(train: Array, n: int, rng: np.random.Generator) -> Array:
    return np.asarray(_copies(train, n, rng) + 0.01 * rng.normal(size=(n, D)))


def _few(train: Array, n: int, rng: np.random.Generator) -> Array:
    some = rng.random(n) < 0.05
    return np.where(some[:, None], _copies(train, n, rng), rng.normal(size=(n, D)))


def _density(train: Array, n: int, rng: np.random.Generator) -> Array:
    """Draw from a kernel density estimate with Silverman's width."""
    width = (4.0 / (D + 2) / len(train)) ** (1.0 / (D + 4))
    return np.asarray(_copies(train, n, rng) + width * rng.normal(size=(n, D)))


KINDS: dict[str, Callable[[Array, int, np.random.Generator], Array]] = {
    "independent": _independent,
    "copies": _copies,
    "smeared copies": _smeared,
    "few copies": _few,
    "kernel density": _density,
}


def samples(kind: str, n: int, rng: np.random.Generator) -> tuple[Events, Events, Events]:
    """Return n generated, held-out and training events."""
    train = rng.normal(size=(n, D))
    generated = KINDS[kind](train, n, rng)
    return Events(generated), Events(rng.normal(size=(n, D))), Events(train)
