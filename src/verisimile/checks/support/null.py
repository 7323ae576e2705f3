"""Support metrics at equal sizes, of generated against true and of true against true events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.checks.support.metrics import Balls, evaluate
from verisimile.core.arrays import Array

__all__ = ["Quarters", "matched"]


@dataclass(frozen=True, slots=True, eq=False)
class Quarters:
    """Two halves of the truth and two samples of the generator, of h events each.

    The generator's samples are disjoint if it has 2 h events, and overlap otherwise.
    """

    truths: tuple[Array, Array]
    generated: tuple[Array, Array]

    @classmethod
    def of(cls, truth: Array, generated: Array, rng: np.random.Generator) -> Quarters:
        """Return random halves of the truth, and as many generated events for each."""
        size = min(truth.shape[0] // 2, generated.shape[0])
        x, y = rng.permutation(truth), rng.permutation(generated)
        return cls((x[:size], x[size : 2 * size]), (y[:size], y[-size:]))

    @property
    def size(self) -> int:
        """Number of events in each."""
        return int(self.truths[0].shape[0])

    def piece(self, i: int, pieces: int) -> Quarters:
        """Return the i-th of so many disjoint pieces."""
        size = self.size // pieces
        part = slice(i * size, (i + 1) * size)
        first, second = self.truths
        one, other = self.generated
        return Quarters((first[part], second[part]), (one[part], other[part]))


def matched(quarters: Quarters, *, k: int, beta: float) -> Array:
    """Return the metrics of generated and of true against true events, ``(2, 5)``.

    Each is the mean over the two halves of the truth in the role of the truth.
    """
    first, second = (Balls.of(x, k) for x in quarters.truths)
    one, other = (Balls.of(y, k) for y in quarters.generated)
    pairs = [(first, one), (second, other), (first, second), (second, first)]
    found = np.array([evaluate(real, fake, beta=beta) for real, fake in pairs])
    return np.asarray(found.reshape(2, 2, -1).mean(axis=1))
