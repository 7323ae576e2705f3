"""Which rows of a sample are meant: numbers, masks, slices, random parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import IntArray
from verisimile.core.errors import require
from verisimile.data.held import plain_array


def row_numbers(index: npt.ArrayLike, n: int) -> IntArray:
    """Return the rows ``(k,)`` of `n` that a list of numbers or a mask ``(n,)`` means."""
    rows = np.asarray(index)
    if rows.dtype == np.bool_ and rows.shape == (n,):
        rows = np.flatnonzero(rows)
    require(rows.size, "events.take", got="no rows", expected="at least one event")
    require(
        rows.ndim == 1 and rows.dtype.kind in "iu",
        "events.take",
        got=f"an index of type {rows.dtype} and shape {rows.shape}",
        expected=f"row numbers, or a mask of shape ({n},)",
    )
    require(
        rows.min() >= 0 and rows.max() < n,
        "events.take",
        got=f"rows from {rows.min()} to {rows.max()}",
        expected=f"rows from 0 to {n - 1}",
    )
    return rows.astype(np.int64, copy=False)


def counted_rows(key: Any, n: int) -> IntArray:  # noqa: ANN401  (see `Events.__getitem__`)
    """Return the rows that a number, a slice, numbers or a mask mean; negative ones from the end.

    Examples
    --------
    >>> counted_rows(-1, 5).tolist(), counted_rows(slice(3), 5).tolist()
    ([4], [0, 1, 2])
    """
    if isinstance(key, slice):
        return row_numbers(np.arange(n)[key], n)
    rows = np.atleast_1d(plain_array([key] if np.ndim(key) == 0 else key))
    if rows.dtype.kind in "iu":
        rows = rows.astype(np.int64)
        rows = np.where(rows < 0, rows + n, rows)
    return row_numbers(rows, n)


def split_edges(fractions: Sequence[float], n: int) -> IntArray:
    """Return where random parts with the given fractions of `n` events begin and end."""
    parts = np.asarray(fractions, dtype=np.float64)
    require(
        parts.ndim == 1 and parts.size and (parts > 0).all() and parts.sum() <= 1 + 1e-9,
        "events.split",
        got=f"fractions {fractions}",
        expected="positive fractions with a sum of at most one",
    )
    edges = np.rint(np.concatenate([[0.0], np.cumsum(parts)]) * n).astype(np.int64)
    require(
        np.diff(edges).all(),
        "events.split",
        got=f"{n} events for fractions {fractions}",
        expected="at least one event in every part",
    )
    return np.asarray(np.minimum(edges, n), dtype=np.int64)
