"""Two samples, and a statistic whose null distribution is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array
from verisimile.data.events import Events
from verisimile.samples.pool import Labels


@dataclass(frozen=True)
class SumOfFirst:
    """The weighted sum over the first sample: whatever it is, its null is known."""

    weights: str = "positive"
    signs: int = 1

    @property
    def name(self) -> str:
        return f"sum {self.signs}"

    def prepare(self, pooled: Array, weights: Array, rng: object) -> _Sums:  # noqa: ARG002
        return _Sums(self.signs * pooled[:, 0] * weights)


@dataclass(frozen=True)
class _Sums:
    terms: Array

    def values(self, labels: Labels) -> Array:
        return np.asarray(labels @ self.terms)


def samples(seed: int = 1, n: int = 60, shift: float = 0.0) -> tuple[Events, Events]:
    rng = np.random.default_rng(seed)
    return Events(rng.normal(size=(n, 2))), Events(rng.normal(size=(n + 10, 2)) + shift)
