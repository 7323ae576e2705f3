"""Rows that were dropped: which of a source they were, what they weighed, where they belonged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.data.groups import compact, group_codes, stacked_groups


@dataclass(frozen=True, slots=True, eq=False)
class LostRows:
    """All rows of a source that no cut left out, and which were dropped for a missing value.

    Attributes
    ----------
    lost
        Which were dropped ``(n,)``.
    weights
        Of all rows ``(n,)``; a dropped row without one has the mean of the others.  None
        without weights.
    group
        Codes of all rows' groups ``(n,)``; a dropped row without a label is a group of its own.
        None if rows stand alone.
    """

    lost: BoolArray
    weights: Array | None
    group: IntArray | None

    @classmethod
    def none(cls, n: int, weights: Array | None, group: IntArray | None) -> LostRows:
        """Return the rows of a sample that lost none."""
        return cls(np.zeros(n, np.bool_), weights, group)


def lost_rows(lost: BoolArray, weights: Array | None, labels: npt.NDArray[Any] | None) -> LostRows:
    """Return what is known of all rows, the dropped ones marked, whose weights may be NaN."""
    if weights is not None:
        known = np.isfinite(weights)
        weights = np.where(known, weights, weights[known].mean() if known.any() else 1.0)
    return LostRows(lost, weights, None if labels is None else _codes(lost, labels))


def stacked_losses(parts: Sequence[LostRows]) -> LostRows | None:
    """Return what is known of the rows of samples below one another, None if none was dropped."""
    lost = np.concatenate([part.lost for part in parts])
    if not lost.any():
        return None
    weights = [part.weights for part in parts if part.weights is not None]
    return LostRows(
        lost,
        np.concatenate(weights) if len(weights) == len(parts) else None,
        stacked_groups([part.group for part in parts], [len(part.lost) for part in parts]),
    )


def _codes(lost: BoolArray, labels: npt.NDArray[Any]) -> IntArray:
    absent = lost & _absent(labels)
    codes = np.empty(len(labels), np.int64)
    codes[~absent] = group_codes(labels[~absent], int((~absent).sum()))
    codes[absent] = len(labels) + np.arange(int(absent.sum()))
    return compact(codes)


def _absent(labels: npt.NDArray[Any]) -> BoolArray:
    """Return where there is no label: masked, None or NaN ``(n,)``."""
    if isinstance(labels, np.ma.MaskedArray):
        return np.asarray(np.ma.getmaskarray(labels))
    if labels.dtype.kind == "O":
        return np.array([label is None or label != label for label in labels.flat], np.bool_)
    return np.isnan(labels) if labels.dtype.kind == "f" else np.zeros(len(labels), np.bool_)
