"""Running sums along events in order, for many relabelings at once: compiled, or by NumPy."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, IntArray
from verisimile.core.native import library, pointer
from verisimile.samples.pool import Labels

Order = npt.NDArray[np.int32]
"""Places of events ``(K, N)``: half the memory of int64, and what the compiled walks read."""

_COLUMNS = 64  # relabelings side by side, as of a compiled walk
_EVENTS = 1_000  # 512 kB of differences at a time: they stay near the processor


class Reduction(IntEnum):
    r"""What becomes of the differences D along a line, each with its measure m."""

    SUPREMUM = 0
    r""":math:`\max |D|` where m is not zero."""
    AREA = 1
    r""":math:`\sum m |D|`."""
    SQUARES = 2
    r""":math:`\sum m D^2`."""


def walk_labels(
    reduction: Reduction,
    order: Order,
    measure: Array,
    weights: Array,
    labels: Labels,
    rates: tuple[Array, Array],
) -> Array:
    r"""Return the reduced running sums of every relabeling along every line, ``(R, K)``.

    .. math:: D_k = \sum_{l \le k} w_l \, (\text{up if } l \in 1 \text{ else } -\text{down})

    Sums run in the order of the events and in double precision, compiled or not: both agree to
    rounding.

    Parameters
    ----------
    reduction
        From the differences of a line to a number.
    order, measure
        Events along each line, and the measure at each of them ``(K, N)``.
    weights
        w ``(N,)``.
    labels
        ``(R, N)``.
    rates
        Up and down ``(R,)``; NaN for a relabeling makes all its numbers NaN.
    """
    up, down, measure, weights = map(_doubles, (*rates, measure, weights))
    order, labels, compiled = _places(order), np.ascontiguousarray(labels), library()
    if compiled is None:
        signs = (np.where(labels[rows].T, up[rows], -down[rows]) for rows in _blocks(len(labels)))
        steps = (np.ascontiguousarray(weights[:, None] * sign) for sign in signs)
        found = _by_columns(reduction, order, measure, steps)
    else:
        found = np.empty((len(labels), len(order)))
        compiled.vs_walk_labels(
            ctypes.c_int32(reduction),
            *_sizes(*order.shape, len(labels)),
            *(pointer(a) for a in (order, measure, weights, labels, up, down, found)),
        )
    found[np.isnan(up) | np.isnan(down)] = np.nan
    return found


def walk_masses(reduction: Reduction, order: Order, measure: Array, masses: Array) -> Array:
    """Return the same ``(R, K)`` where the steps are rows of signed masses ``(R, N)``."""
    order, measure, masses = _places(order), _doubles(measure), _doubles(masses)
    compiled = library()
    if compiled is None:
        steps = (np.ascontiguousarray(masses[rows].T) for rows in _blocks(len(masses)))
        return _by_columns(reduction, order, measure, steps)
    found = np.empty((len(masses), len(order)))
    compiled.vs_walk_masses(
        ctypes.c_int32(reduction),
        *_sizes(*order.shape, len(masses)),
        *(pointer(a) for a in (order, measure, masses, found)),
    )
    return found


def cell_sums(order: Order, ends: IntArray, weights: Array, labels: Labels) -> Array:
    """Return the sum of weights of the first sample in every cell of F features, ``(F, C, R)``.

    Parameters
    ----------
    order
        Events by their cell, those of a cell as they are in the pool ``(F, N)``.
    ends
        Place in `order` beyond the last event of each cell ``(F, C)``.
    weights
        ``(N,)``.
    labels
        ``(R, N)``.
    """
    found = np.zeros((*ends.shape, len(labels)))
    order, weights = _places(order), _doubles(weights)
    labels, compiled = np.ascontiguousarray(labels), library()
    if compiled is not None:
        compiled.vs_cell_sums(
            *_sizes(*ends.shape, labels.shape[1], len(labels)),
            *(pointer(a) for a in (order, ends, weights, labels, found)),
        )
        return found
    for rows in _blocks(len(labels)):
        mine = np.ascontiguousarray(weights[:, None] * labels[rows].T)
        for line, edges, sums in zip(order, ends, found, strict=True):
            starts = np.append(0, edges[:-1])
            filled = edges > starts  # an empty cell would get its neighbour's first event
            sums[filled, rows] = np.add.reduceat(mine[line], starts[filled], axis=0)
    return found


def _by_columns(
    reduction: Reduction, order: Order, measure: Array, blocks: Iterator[Array]
) -> Array:
    """Return the reduced running sums of steps ``(N, R)`` that come in blocks of relabelings."""
    return np.concatenate(
        [
            np.stack(
                [
                    _reduced(reduction, steps, line, weighs)
                    for line, weighs in zip(order, measure, strict=True)
                ],
                axis=1,
            )
            for steps in blocks
        ]
    )


def _reduced(reduction: Reduction, steps: Array, order: Order, measure: Array) -> Array:
    so_far, found = np.zeros(steps.shape[1]), np.zeros(steps.shape[1])
    for start in range(0, order.size, _EVENTS):
        # Events run down the columns: one gather then moves whole rows.
        sums = steps[order[start : start + _EVENTS]]
        sums[0] += so_far
        np.cumsum(sums, axis=0, out=sums)
        so_far, weighs = sums[-1].copy(), measure[start : start + _EVENTS]
        if reduction is Reduction.SUPREMUM:
            inside = sums if weighs.all() else sums[weighs > 0.0]
            if inside.size:
                np.maximum(found, inside.max(axis=0), out=found)
                np.maximum(found, -inside.min(axis=0), out=found)
        else:
            fold = np.abs if reduction is Reduction.AREA else np.square
            found += weighs @ fold(sums, out=sums)
    return found


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _COLUMNS, count)) for start in range(0, count, _COLUMNS))


def _places(order: Order) -> Order:
    return np.ascontiguousarray(order, dtype=np.int32)


def _doubles(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype=np.float64)


def _sizes(*sizes: int) -> Iterator[ctypes.c_int64]:
    return map(ctypes.c_int64, sizes)
