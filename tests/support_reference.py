"""Support metrics from the papers' definitions, with every distance in memory."""

from __future__ import annotations

import numpy as np

from verisimile.core.arrays import Array


def dense_metrics(real: Array, fake: Array, k: int, *, beta: float = 1.0) -> Array:
    """Return precision, recall, density, coverage and F.

    Naeem et al. eqs. 1 to 4 with closed balls, as Kynkäänniemi et al. eqs. 1 and 2: NND_k(x_i)
    is the distance of x_i to its k-th nearest neighbour among the other events, and density
    divides by how many of them are as near.
    """
    between = _distances(real, fake)
    real_ball, fake_ball = _radii(real, k), _radii(fake, k)
    inside = between <= real_ball[:, None]
    precision = inside.any(axis=0).mean()
    recall = (between <= fake_ball[None, :]).any(axis=1).mean()
    own = (_distances(real, real) <= real_ball[:, None]).sum(axis=1) - 1
    density = (inside / own[:, None]).sum(axis=0).mean()
    coverage = (between.min(axis=1) <= real_ball).mean()
    f = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
    return np.array([precision, recall, density, coverage, f])


def _distances(a: Array, b: Array) -> Array:
    return np.asarray(np.sqrt(sum((a[:, None, j] - b[None, :, j]) ** 2 for j in range(a.shape[1]))))


def _radii(x: Array, k: int) -> Array:
    distances = _distances(x, x)
    np.fill_diagonal(distances, np.inf)
    return np.asarray(np.sort(distances, axis=1)[:, k - 1])
