"""A conjugate normal model: posteriors that are exact, too narrow, or ignore the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array

_NOISE = 0.5  # of x about theta; theta has unit variance


@dataclass(frozen=True)
class Posterior:
    """theta ~ N(0, 1), x = theta + N(0, 1/4); width scales the exact posterior's spread."""

    width: float = 1.0
    d: int = 2

    @property
    def n_features(self) -> int:
        return self.d

    @property
    def n_context(self) -> int:
        return self.d

    def log_prob(self, x: Array, context: Array) -> Array:
        spread = self.width * _spread()
        pull = (x - _slope() * context) / spread
        norm = self.d * np.log(np.sqrt(2 * np.pi) * spread)
        return np.asarray(-0.5 * (pull**2).sum(axis=1) - norm)

    def sample(self, context: Array, rng: np.random.Generator) -> Array:
        return _slope() * context + self.width * _spread() * rng.normal(size=context.shape)


def conjugate(
    n: int,
    count: int,
    rng: np.random.Generator,
    *,
    width: float = 1.0,
    prior: bool = False,
    d: int = 2,
) -> tuple[Array, Array, Array]:
    """Return draws ``(n, S, d)``, truths and contexts ``(n, d)``; prior: draws ignore x."""
    truths = rng.normal(size=(n, d))
    contexts = truths + _NOISE * rng.normal(size=(n, d))
    if prior:
        return rng.normal(size=(n, count, d)), truths, contexts
    noise = width * _spread() * rng.normal(size=(n, count, d))
    return _slope() * contexts[:, None] + noise, truths, contexts


def _slope() -> float:
    return 1.0 / (1.0 + _NOISE**2)


def _spread() -> float:
    return float(np.sqrt(_NOISE**2 * _slope()))
