"""Boxes of nearly equal content in any number of features, by repeated splits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from verisimile.checks.amplification.regions import check_count
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError

__all__ = ["BoxRegions", "median_split_regions"]

_BLOCK = 1 << 15
_CLOSE = 0.02
"""Deviation from the wanted share up to which a feature's ties do not matter."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxRegions:
    """Leaves of a tree of cuts, each parallel to an axis.

    Attributes
    ----------
    feature, cut
        Of each node ``(nodes,)``: an event with ``x[feature] <= cut`` goes left.  A leaf has
        feature -1.
    left
        Of each node, its left child, the right one following; the region number of a leaf.
    count
        Number of regions.
    depth
        Cuts on the longest path.
    n_features
        Features of the space.
    """

    feature: IntArray
    cut: Array
    left: IntArray
    count: int
    depth: int
    n_features: int

    def of(self, x: Array) -> IntArray:
        """Return the number of the box that each event ``(n, d)`` lies in."""
        if x.ndim != 2 or x.shape[1] != self.n_features:
            got, expected = f"shape {x.shape}", f"(n, {self.n_features})"
            raise InputError("events", got=got, expected=expected)
        out = np.empty(len(x), dtype=np.int64)
        for start in range(0, len(x), _BLOCK):
            rows = slice(start, start + _BLOCK)
            out[rows] = self._descend(np.ascontiguousarray(x[rows]))
        return out

    def _descend(self, x: Array) -> IntArray:
        flat, offset = x.ravel(), np.arange(len(x)) * self.n_features
        node = np.zeros(len(x), dtype=np.int64)
        # A leaf sends its events to itself, so that all events take the same steps.
        leaf = self.feature < 0
        feature = np.where(leaf, 0, self.feature)
        cut = np.where(leaf, math.inf, self.cut)
        left = np.where(leaf, np.arange(leaf.size), self.left)
        for _ in range(self.depth):
            node = left[node] + (flat[offset + feature[node]] > cut[node])
        return self.left[node]


@dataclass(frozen=True, slots=True)
class _Node:
    """Rows to be divided into `leaves` boxes, and how often each feature was cut so far."""

    number: int
    rows: IntArray
    leaves: int
    cuts: tuple[int, ...]
    first: int


def median_split_regions(sample: Array, count: int) -> BoxRegions:
    r"""Return boxes with equal shares of a sample, cut in half again and again.

    A box of m future regions is cut where
    :math:`\lfloor m/2 \rfloor / m` of its events lie below, along the feature that was
    cut least often on the way to it; of several such features neighbouring boxes take
    different ones.  Cuts are values of the sample, so that the true shares of the boxes are
    distributed as those between order statistics [1]_.  Ties are never divided: a
    feature that cannot be cut near the wanted share gives way to another, and a box whose
    events are all alike stays one region.

    Parameters
    ----------
    sample
        Events ``(n, d)`` that are counted nowhere.
    count
        Regions wanted; any number, a power of two or not.

    Raises
    ------
    InputError
        If there are fewer events than regions.

    References
    ----------
    .. [1] D. A. S. Fraser, Ann. Math. Stat. 24 (1953) 44.
    """
    x = np.asarray(sample, dtype=np.float64)
    check_count(count, len(x))
    feature, cut, left = [-1], [math.nan], [-1]
    regions, depth = 0, 0
    pending = [_Node(0, np.arange(len(x)), count, (0,) * x.shape[1], 0)]
    while pending:
        node = pending.pop()
        split = _best_split(x, node) if node.leaves > 1 else None
        if split is None:
            left[node.number], regions = regions, regions + 1
            depth = max(depth, sum(node.cuts))
            continue
        column, value = split
        feature[node.number], cut[node.number] = column, value
        left[node.number] = len(feature)
        pending += _children(x, node, column, value, len(feature))
        feature += [-1, -1]
        cut += [math.nan, math.nan]
        left += [-1, -1]
    return BoxRegions(np.array(feature), np.array(cut), np.array(left), regions, depth, x.shape[1])


def _children(x: Array, node: _Node, column: int, value: float, number: int) -> list[_Node]:
    below = x[node.rows, column] <= value
    cuts = tuple(n + (j == column) for j, n in enumerate(node.cuts))
    half, d = node.leaves // 2, len(cuts)
    return [
        _Node(number, node.rows[below], half, cuts, (column + 1) % d),
        _Node(number + 1, node.rows[~below], node.leaves - half, cuts, (column + 2) % d),
    ]


def _best_split(x: Array, node: _Node) -> tuple[int, float] | None:
    """Return feature and cut nearest to the wanted share; None if all events are alike."""
    wanted = (node.leaves // 2) / node.leaves
    best, least = None, math.inf
    for column in _order(node):
        found = _cut(x[node.rows, column], wanted)
        if found is None:
            continue
        value, share = found
        if abs(share - wanted) <= _CLOSE + 1.0 / node.rows.size:
            return column, value
        if abs(share - wanted) < least:
            best, least = (column, value), abs(share - wanted)
    return best


def _order(node: _Node) -> Iterator[int]:
    d = len(node.cuts)
    yield from sorted(range(d), key=lambda j: (node.cuts[j], (j - node.first) % d))


def _cut(values: Array, wanted: float) -> tuple[float, float] | None:
    """Return the value with the share nearest to `wanted` at or below it, and that share."""
    n = values.size
    if n < 2:
        return None
    rank = min(max(math.ceil(wanted * n), 1), n) - 1
    value = float(np.partition(values, rank)[rank])
    choices: list[tuple[float, float, float]] = []
    at_most = np.count_nonzero(values <= value)
    if at_most < n:
        choices.append((float(abs(at_most / n - wanted)), value, float(at_most / n)))
    below = values[values < value]
    if below.size:
        choices.append((float(abs(below.size / n - wanted)), float(below.max()), below.size / n))
    return min(choices)[1:] if choices else None
