"""Neighbours and events within radii: trees in few dimensions, blocks of distances in many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError

__all__ = ["counts_within", "nearest", "reach"]

_ENTRIES = 1 << 20  # of a block of distances: 8 MiB
_TREE_FEATURES = 8  # above, a tree looks at nearly every event


def nearest(points: Array, centres: Array, k: int) -> IntArray:
    """Return the rows of the k centres nearest to each point, in any order, ``(n, k)``.

    Raises
    ------
    InputError
        If there are fewer than k centres.
    """
    _enough(centres, k)
    if points.shape[1] <= _TREE_FEATURES:
        return np.asarray(cKDTree(centres).query(points, k=range(1, k + 1))[1], dtype=np.int64)
    found = np.empty((len(points), k), dtype=np.int64)
    for rows in _blocks(len(points), len(centres)):
        squares = cdist(points[rows], centres, "sqeuclidean")
        found[rows] = np.argpartition(squares, k - 1, axis=1)[:, :k]
    return found


def reach(points: Array, centres: Array, k: int) -> Array:
    """Return the distance of each point to its k-th nearest centre, ``(n,)``.

    Raises
    ------
    InputError
        If there are fewer than k centres.
    """
    _enough(centres, k)
    if points.shape[1] <= _TREE_FEATURES:
        return np.asarray(cKDTree(centres).query(points, k=[k])[0][:, 0])
    found = np.empty(len(points))
    for rows in _blocks(len(points), len(centres)):
        found[rows] = np.partition(cdist(points[rows], centres), k - 1, axis=1)[:, k - 1]
    return found


def counts_within(points: Array, centres: Array, radii: Array) -> Array:
    """Return how many centres lie at most so far from each point, ``(n,)``.

    Parameters
    ----------
    points, centres
        ``(n, d)`` and ``(c, d)``.
    radii
        One of each point ``(n, 1)``, of each centre ``(1, c)``, or of all ``(1, 1)``.
    """
    found = np.empty(len(points))
    for rows in _blocks(len(points), len(centres)):
        around = radii[rows] if len(radii) > 1 else radii
        found[rows] = np.count_nonzero(cdist(points[rows], centres) <= around, axis=1)
    return found


def _blocks(n: int, columns: int) -> Iterator[slice]:
    step = max(16, _ENTRIES // columns)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _enough(centres: Array, k: int) -> None:
    if not 1 <= k <= len(centres):
        raise InputError(
            "neighbours",
            got=f"{k} of {len(centres)} events",
            expected="at least one, and no more than the events",
            remedy="Use more events, or fewer neighbours.",
        )
