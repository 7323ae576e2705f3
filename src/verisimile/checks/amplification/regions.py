"""Regions of the feature space in which events are counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, IntArray, as_vector
from verisimile.core.errors import InputError, require
from verisimile.core.random import Seeds
from verisimile.data.events import Events


class Regions(Protocol):
    """A division of the feature space that was made without the events counted in it."""

    @property
    def count(self) -> int:
        """Number of regions."""

    def of(self, x: Array, /) -> IntArray:
        """Return the region numbers ``(n,)`` of events ``(n, d)``, from 0 to count - 1.

        Regions that scatter is measured in need not cover the space: -1 is an event in none.
        """


AnyRegions = Sequence[int] | Sequence[Regions] | Regions
"""Numbers of regions to be made, or regions of the caller's."""


def tally(labels: IntArray, count: int, n: int) -> IntArray:
    """Return how many labels, one for each of `n` events, are -1, 0, ... ``(count + 1,)``."""
    require(
        labels.shape == (n,) and (not n or (labels.min() >= -1 and labels.max() < count)),
        "regions.of(x)",
        got=f"labels of shape {labels.shape}",
        expected=f"one number for each of {n} events, from -1 to {count - 1}",
    )
    return np.bincount(labels + 1, minlength=count + 1).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class QuantileRegions:
    """Intervals of one feature, each with its upper edge; inner edges ``(count - 1,)``."""

    edges: Array

    @property
    def count(self) -> int:
        """Number of intervals."""
        return self.edges.size + 1

    def of(self, x: Array) -> IntArray:
        """Return the number of the interval that each event of one feature lies in."""
        return np.searchsorted(self.edges, _single(x), side="left").astype(np.int64, copy=False)


def quantile_regions(sample: Array, count: int) -> QuantileRegions:
    r"""Return intervals of one feature with equal shares of a sample.

    .. math:: q_j = x_{(\lceil j n / N_Q \rceil)}, \qquad R_j = (q_j, q_{j+1}]

    Edges are values of the sample: the share of the true distribution between two of
    them fluctuates exactly as a share of n + 1 events, whatever the distribution, if it has
    no ties.  Ties are never divided; where they allow no more, there are fewer intervals.

    Parameters
    ----------
    sample
        Events ``(n, 1)`` that are counted nowhere, as many as intervals or more.
    count
        Intervals wanted.
    """
    values = np.sort(_single(sample))
    _check_count(count, values.size)
    rank = -(-np.arange(1, count) * values.size // count) - 1
    edges = np.unique(values[rank])
    return QuantileRegions(edges[edges < values[-1]])


@dataclass(frozen=True, slots=True, eq=False)
class UserRegions:
    """Regions of the user's own: `assign` takes events ``(n, d)`` to region numbers ``(n,)``."""

    assign: Callable[[Array], npt.ArrayLike]
    count: int

    def of(self, x: Array) -> IntArray:
        """Return the region numbers ``(n,)``, each an integer from 0 to count - 1."""
        labels = as_vector(np.asarray(self.assign(x)), "region numbers", length=len(x))
        numbers = labels.astype(np.int64)
        if ((numbers != labels) | (numbers < 0) | (numbers >= self.count)).any():
            raise InputError(
                "region numbers",
                got=f"numbers from {labels.min():g} to {labels.max():g}",
                expected=f"integers from 0 to {self.count - 1}",
                remedy="Regions must cover the whole space: add one for the events beyond.",
            )
        return numbers


def product_regions(edges: Sequence[npt.ArrayLike | None]) -> UserRegions:
    """Return all combinations of the intervals between the inner edges of each feature.

    Parameters
    ----------
    edges
        Of each feature, ascending; the first and last interval reach to infinity.  None
        leaves a feature undivided.
    """
    inner = [
        np.unique(as_vector([] if each is None else each, f"edges[{column}]"))
        for column, each in enumerate(edges)
    ]
    shape = tuple(each.size + 1 for each in inner)

    def assign(x: Array) -> IntArray:
        got, expected = f"edges of {len(inner)} features", f"those of {x.shape[1]} features"
        require(x.shape[1] == len(inner), "edges", got=got, expected=expected)
        cells = [np.searchsorted(e, x[:, j], side="left") for j, e in enumerate(inner)]
        return np.ravel_multi_index(tuple(cells), shape).astype(np.int64, copy=False)

    return UserRegions(assign, int(np.prod(shape)))


def _check_count(count: int, n: int) -> None:
    require(
        2 <= count <= n,
        "regions",
        got=f"{count} regions to be made of {n} events",
        expected="at least two, and no more than events",
        remedy="Ask for fewer regions or generate more events.",
    )


def _single(x: Array) -> Array:
    require(
        x.ndim == 2 and x.shape[1] == 1,
        "sample",
        got=f"shape {x.shape}",
        expected="one feature, (n, 1)",
        remedy="Use median_split_regions for several features.",
    )
    return x[:, 0]


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
        got, expected = f"shape {x.shape}", f"(n, {self.n_features})"
        require(x.ndim == 2 and x.shape[1] == self.n_features, "events", got=got, expected=expected)
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
        Events ``(n, d)`` that are counted nowhere, as many as regions or more.
    count
        Regions wanted; any number, a power of two or not.

    References
    ----------
    .. [1] D. A. S. Fraser, Ann. Math. Stat. 24 (1953) 44.
    """
    x = np.asarray(sample, dtype=np.float64)
    _check_count(count, len(x))
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
    d = len(node.cuts)
    for column in sorted(range(d), key=lambda j: (node.cuts[j], (j - node.first) % d)):
        found = _cut(x[node.rows, column], wanted)
        if found is None:
            continue
        value, share = found
        if abs(share - wanted) <= _CLOSE + 1.0 / node.rows.size:
            return column, value
        if abs(share - wanted) < least:
            best, least = (column, value), abs(share - wanted)
    return best


def _cut(values: Array, wanted: float) -> tuple[float, float] | None:
    """Return the value with the share nearest to `wanted` at or below it, and that share."""
    n = values.size
    if n < 2:
        return None
    rank = min(max(math.ceil(wanted * n), 1), n) - 1
    value = float(np.partition(values, rank)[rank])
    choices = [(value, int((values <= value).sum()))]
    below = values[values < value]
    if below.size:
        choices.append((float(below.max()), below.size))
    found = [(cut, count / n) for cut, count in choices if count < n]
    return min(found, key=lambda each: (abs(each[1] - wanted), each[0]), default=None)


PER_REGION = 200
"""Events for each region's edges; its share is then right within 7 %."""


@dataclass(frozen=True, slots=True, eq=False)
class Resolutions:
    """Regions in ascending number, and generated samples less the `used` events of the edges."""

    regions: tuple[Regions, ...]
    counted: tuple[Events, ...]
    used: int
    warnings: tuple[str, ...]


def equal_regions(sample: Array, count: int) -> Regions:
    """Return quantile intervals of one feature, or boxes by median splits of several."""
    return (quantile_regions if sample.shape[1] == 1 else median_split_regions)(sample, count)


def resolutions_of(seeds: Seeds, generated: Sequence[Events], wanted: AnyRegions) -> Resolutions:
    """Return regions of equal generated share, or the caller's own.

    Up to half of each generated sample, and no more than 200 events for each of the finest
    regions, makes the edges and is not counted.
    """
    each: list[int | Regions] = list(wanted) if isinstance(wanted, Sequence) else [wanted]
    counts = sorted({int(item) for item in each if isinstance(item, int | np.integer)})
    own = [item for item in each if not isinstance(item, int | np.integer)]
    expected = "numbers of regions, or regions"
    require(bool(counts) ^ bool(own), "regions", got=repr(wanted), expected=expected)
    if own:
        return Resolutions(_ascending(own), tuple(generated), 0, ())
    sample, counted = _apart(seeds, generated, counts[-1])
    made = _ascending([equal_regions(sample, count) for count in counts])
    found = [each.count for each in made]
    note = f"repeated values allow only {found} regions where {counts} were asked for"
    return Resolutions(made, counted, len(sample), () if found == counts else (note,))


def _ascending(made: Sequence[Regions]) -> tuple[Regions, ...]:
    """Return one of each number of regions; ties may have made several into the same."""
    distinct = {each.count: each for each in made if each.count > 1}
    require(
        distinct,
        "regions",
        got="a single one, as the generated events are all alike",
        expected="two or more",
        remedy="Nothing can be said at this resolution but that the generator is constant.",
    )
    return tuple(distinct[count] for count in sorted(distinct))


def _apart(
    seeds: Seeds, generated: Sequence[Events], finest: int
) -> tuple[Array, tuple[Events, ...]]:
    """Return events for the edges, equally many of each sample, and the rest."""
    share = math.ceil(finest * PER_REGION / len(generated))
    edges, counted = [], []
    for number, events in enumerate(generated):
        rng = seeds.at("edges", number).numpy()
        order = rng.permutation(events.n)
        size = min(share, events.n // 2)
        require(size, "generated", got=f"{events.n} events", expected="two or more")
        edges.append(_plain(events, order[:size], rng))
        counted.append(events.take(order[size:]))
    return np.concatenate(edges), tuple(counted)


def _plain(events: Events, rows: IntArray, rng: np.random.Generator) -> Array:
    """Return rows, drawn with replacement in proportion to their weights if they have any."""
    if events.weights is None:
        return np.asarray(events.x[rows])
    weights = np.maximum(events.weights[rows], 0.0)
    require(weights.any(), "generated.weights", got="none positive", expected="positive weights")
    drawn = rng.choice(rows, size=rows.size, p=weights / weights.sum())
    return np.asarray(events.x[drawn])
