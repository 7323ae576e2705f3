"""A cut applied at reading: which rows it leaves, and where it is undefined."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from verisimile.core.arrays import BoolArray
from verisimile.core.errors import require
from verisimile.data.source import Source

CUT = "(cut)"
"""The column of a source that says which events fulfil the cut: 1, 0, or NaN if undefined."""

GUARD = "guard it, as in count(pt) > 0 && pt[0] > 20"


def passed_rows(source: Source, cut: str, n: int) -> tuple[BoolArray, BoolArray]:
    """Return which rows are not cut, and for which of them the cut is undefined, ``(n,)`` each."""
    (values,) = source.load([CUT])
    require(len(values) == n, "cut", got=f"{len(values)} values", expected=f"{n} events")
    passed = np.asarray(values != 0.0)
    require(
        passed.any(),
        "cut",
        got=f"none of {n} events that fulfils {cut!r}",
        expected="events",
        remedy="Check the cut, and the units of the columns in it.",
    )
    return passed, np.isnan(values)


def missing_among(passed: BoolArray, gaps: Mapping[str, BoolArray]) -> dict[str, BoolArray]:
    """Return where values are missing in rows that are not cut; in others they do not matter."""
    found = {name: rows & passed for name, rows in gaps.items()}
    return {name: rows for name, rows in found.items() if rows.any()}
