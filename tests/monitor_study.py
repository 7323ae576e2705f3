"""Many nights of a surrogate that is right, or begins to drift: how often, and when, it is told."""

from __future__ import annotations

import numpy as np

from verisimile.core.arrays import Array
from verisimile.validation.monitor import Monitored, look


def night(
    rng: np.random.Generator, n: int, *, scale: float = 1.0, d: int = 2
) -> tuple[Array, Array]:
    """Return reference and generated events: a resonance and exponentials, energies scaled."""

    def draw() -> Array:
        x = rng.exponential(size=(n, d))
        x[:, 0] = 91.2 + 2.5 * rng.normal(size=n)
        return x

    generated = draw()
    generated[:, 0] *= scale
    return draw(), generated


def watched(seed: int, nights: int, n: int, *, scale: float = 1.0, since: int = 0) -> Monitored:
    """Return what is known after so many nights, or at the first alarm."""
    rng, state = np.random.default_rng(seed), None
    for k in range(nights):
        x, y = night(rng, n, scale=scale if k >= since else 1.0)
        state = look(state, x, y, level=0.05, seed=seed)
        if state.result.alarm:
            break
    assert state is not None
    return state.result
