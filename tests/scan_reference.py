"""The interval scan by loops over features, windows and events."""

from __future__ import annotations

import math

import numpy as np

from verisimile.core.arrays import Array, BoolArray, IntArray


def reference_cells(column: Array, cells: int) -> IntArray:
    """Return the cell of each event: equal values in one, numbered without gaps."""
    n = len(column)
    count = max(2, min(cells, n // 8))
    raw = []
    for value in column:
        below, equal = int((column < value).sum()), int((column == value).sum())
        raw.append(math.floor((below + (equal + 1) / 2 - 0.5) * (count / n)))
    kept = sorted(set(raw))
    return np.array([kept.index(cell) for cell in raw])


def reference_windows(count: int) -> list[tuple[int, int]]:
    """Return first and last + 1 cell of every window, from the words of the documentation."""
    found = set()
    for width in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128):
        if width <= max(1, count // 2):
            starts = [*range(0, count - width, max(1, width // 4)), count - width]
            found |= {(start, start + width) for start in starts}
    return sorted(found)


def reference_z(inside: BoolArray, weights: Array, first: BoolArray) -> float:
    """Return the difference of shares over its standard deviation among relabelings."""
    share = weights[inside].sum() / weights.sum()
    d = weights * (inside - share)
    n, n1 = len(weights), int(first.sum())
    variance = n1 * (n - n1) / (n * (n - 1)) * (d**2).sum()
    return 0.0 if variance < 1e-12 else float(d[first].sum() / math.sqrt(variance))


def reference_scan(x: Array, weights: Array, first: BoolArray, cells: int) -> float:
    """Return the statistic of one labeling."""
    best = -math.inf
    for column in x.T:
        cell = reference_cells(column, cells)
        for low, high in reference_windows(int(cell.max()) + 1):
            inside = (cell >= low) & (cell < high)
            h = min(max(inside.mean(), 1 / len(x)), 1 - 1 / len(x))
            allowance = math.sqrt(2 * math.log(math.e / (h * (1 - h))))
            best = max(best, abs(reference_z(inside, weights, first)) - allowance)
    return best
