"""Neighbours and events within radii: trees in few dimensions, blocks of distances in many."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.errors import require
from verisimile.samples.pair_sums import row_blocks

_DISTANCES = 1 << 20  # of a block of distances: 8 MiB
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
    for rows in row_blocks(len(points), len(centres), _DISTANCES):
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
    for rows in row_blocks(len(points), len(centres), _DISTANCES):
        found[rows] = np.partition(cdist(points[rows], centres), k - 1, axis=1)[:, k - 1]
    return found


def counts_within(points: Array, centres: Array, radii: Array) -> Array:
    """Return how many centres lie at most so far from each point, ``(n,)``.

    Radii are one of each point ``(n, 1)``, of each centre ``(1, c)``, or of all ``(1, 1)``.
    """
    found = np.empty(len(points))
    for rows in row_blocks(len(points), len(centres), _DISTANCES):
        around = radii[rows] if len(radii) > 1 else radii
        found[rows] = np.count_nonzero(cdist(points[rows], centres) <= around, axis=1)
    return found


def _enough(centres: Array, k: int) -> None:
    require(
        1 <= k <= len(centres),
        "neighbours",
        got=f"{k} of {len(centres)} events",
        expected="at least one, and no more than the events",
        remedy="Use more events, or fewer neighbours.",
    )


_SQUARES = 1 << 19  # of a block of squared distances: 4 MiB, near the processor
_FAR = 1e300
_ROUNDING = 16 * float(np.finfo(np.float64).eps)
# Values of a lattice that were shifted and scaled tie no longer bit by bit.
_CLOSED = 1.0 + 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """Which events lie in the balls around the other sample's.

    Attributes
    ----------
    fake_in_real
        Generated events inside at least one true event's ball ``(m,)``.
    real_in_fake
        True events inside at least one generated event's ball ``(n,)``.
    covered
        True events with a generated event in their own ball ``(n,)``.
    counts
        Generated events in the ball of each true event ``(n,)``.
    """

    fake_in_real: BoolArray
    real_in_fake: BoolArray
    covered: BoolArray
    counts: IntArray


def neighbour_balls(x: Array, k: int) -> tuple[Array, IntArray]:
    """Return squared distances to the k-th nearest neighbours, and how many are so near, ``(n,)``.

    The event itself is not its neighbour; another one with the same values is.  Where
    events ``(n, d)`` tie, more than k are as near as the k-th.  Memory is linear in n.

    Raises
    ------
    InputError
        If there are not more than k events.
    """
    n = x.shape[0]
    require(
        1 <= k < n,
        "neighbours",
        got=f"{k} of {n} events",
        expected="at least one, and fewer than the events",
    )
    groups = max(1, isqrt(n // k))
    width = -(-n // groups)
    left, right = _factors(x - x.mean(axis=0))
    norms = left[:, -2]
    beyond = np.zeros((groups * width - n, right.shape[1]))
    beyond[:, -1] = _FAR
    right = np.vstack([right, beyond])
    radii, within = np.empty(n), np.empty(n, dtype=np.int64)
    for rows in row_blocks(n, groups * width, _SQUARES):
        squares = left[rows] @ right.T
        size = squares.shape[0]
        squares[np.arange(size), rows.start + np.arange(size)] = _FAR
        nearest = _nearest(squares.reshape(size, groups, width), k)
        radii[rows] = ((x[nearest] - x[rows, None]) ** 2).sum(axis=2).max(axis=1)
        around = radii[rows, None], _slack(norms[rows], radii[rows])[:, None]
        within[rows] = np.count_nonzero(_inside(squares, around, x[rows], x), axis=1)
    return radii, within


def membership(real: Array, fake: Array, real_radii: Array, fake_radii: Array) -> Membership:
    """Return which events lie in the other sample's closed balls.

    Distances come from a matrix product; those that rounding could put on
    either side of a ball's surface are computed again from differences.
    """
    centre = real.mean(axis=0)
    left, right = _factors(real - centre)[0], _factors(fake - centre)[1]
    slack = [_slack(left[:, -2], real_radii), _slack(right[:, -1], fake_radii)]
    fake_in_real = np.zeros(fake.shape[0], dtype=bool)
    real_in_fake = np.zeros(real.shape[0], dtype=bool)
    counts = np.zeros(real.shape[0], dtype=np.int64)
    for rows in row_blocks(real.shape[0], fake.shape[0], _SQUARES):
        squares = left[rows] @ right.T
        around = real_radii[rows, None], slack[0][rows, None]
        inside = _inside(squares, around, real[rows], fake)
        fake_in_real |= inside.any(axis=0)
        counts[rows] = np.count_nonzero(inside, axis=1)
        around = fake_radii[None], slack[1][None]
        real_in_fake[rows] = _inside(squares, around, real[rows], fake).any(axis=1)
    return Membership(fake_in_real, real_in_fake, counts > 0, counts)


def _inside(squares: Array, around: tuple[Array, Array], x: Array, y: Array) -> BoolArray:
    radii, slack = around
    inside = squares <= radii * _CLOSED + slack
    surely = squares < radii - slack
    if np.count_nonzero(inside) != np.count_nonzero(surely):
        i, j = np.nonzero(inside & ~surely)
        exact = ((x[i] - y[j]) ** 2).sum(axis=1)
        inside[i, j] = exact <= _CLOSED * np.broadcast_to(radii, squares.shape)[i, j]
    return inside


def _nearest(squares: Array, k: int) -> IntArray:
    """Return the columns of the k smallest of each row, of squares ``(b, groups, width)``.

    They lie in the k groups with the smallest minima, a group being every
    width-th column: minima are one pass over memory, sorting is not.
    """
    size, groups, width = squares.shape
    best = np.argpartition(squares.min(axis=1), k - 1, axis=1)[:, :k] if k < width else None
    group = np.broadcast_to(np.arange(width), (size, width)) if best is None else best
    columns = (group[:, :, None] + width * np.arange(groups)).reshape(size, -1)
    values = np.take_along_axis(squares.reshape(size, -1), columns, axis=1)
    first = np.argpartition(values, k - 1, axis=1)[:, :k]
    return np.asarray(np.take_along_axis(columns, first, axis=1))


def _factors(x: Array) -> tuple[Array, Array]:
    r"""Return L, R with :math:`(L R^T)_{ij} = |x_i|^2 + |x_j|^2 - 2 x_i \cdot x_j`."""
    norms, ones = (x * x).sum(axis=1)[:, None], np.ones((x.shape[0], 1))
    return np.hstack([x, norms, ones]), np.hstack([-2.0 * x, ones, norms])


def _slack(norms: Array, radii: Array) -> Array:
    # Near the surface of a ball |y|^2 <= 2 |x|^2 + 2 r^2.
    return np.asarray(_ROUNDING * (3.0 * norms + 2.0 * radii))
