"""Text cells as numbers: what parses, what is missing, what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import EXACT, Array, BoolArray

MISSING = frozenset(
    ("", "-", "--", "---", ".", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "?", "missing")
)
"""What stands for a value that is not there, in lower case."""


_LONGEST = 1000  # characters of a cell that may be a number
_LOGICAL = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True, eq=False)
class ParsedCells:
    """A column of text, read as numbers where that is possible.

    Attributes
    ----------
    values
        Numbers ``(n,)``, NaN where there is none.
    missing
        Where a cell is empty or says that there is no value ``(n,)``.
    wrong
        Where a cell holds something else ``(n,)``.
    first_wrong
        The first such cell, or None.
    inexact
        The first whole number that no double holds, or None.
    """

    values: Array
    missing: BoolArray
    wrong: BoolArray
    first_wrong: str | None = None
    inexact: int | None = None

    @property
    def share(self) -> float:
        """Share of numbers among the cells that are not missing; 0 if all are."""
        there = len(self.values) - int(self.missing.sum())
        return 1.0 - int(self.wrong.sum()) / there if there else 0.0


def read_cells(texts: Sequence[Any] | npt.NDArray[Any]) -> ParsedCells:
    """Return texts as numbers: decimals, exponents with E or Fortran's D, inf; None is missing.

    Examples
    --------
    >>> read_cells(["1.5", "--", "2.0D+03", "oops"]).values.tolist()
    [1.5, nan, 2000.0, nan]
    """
    n = len(texts)
    values, missing, wrong = np.full(n, np.nan), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    first = inexact = None
    for row, text in enumerate(texts):
        number = _number(text)
        if number is None:
            wrong[row] = True
            first = _shown(text) if first is None else first
        elif number == number:  # not NaN
            values[row] = number
            if abs(number) >= EXACT and inexact is None:
                inexact = _inexact(text)
        else:
            missing[row] = True
    return ParsedCells(values, missing, wrong, first, inexact)


def _number(text: object) -> float | None:
    """Return the number in a cell, NaN for a missing one, None for anything else."""
    if text is None:
        return float("nan")
    if isinstance(text, str | bytes) and len(text) > _LONGEST:
        return None
    word = (text.decode(errors="replace") if isinstance(text, bytes) else str(text)).strip()
    if word.lower() in MISSING:
        return float("nan")
    if word.lower() in _LOGICAL:
        return _LOGICAL[word.lower()]
    # Python takes 1_000 and digits of other scripts; a file of numbers means neither.
    if "_" in word or not word.isascii():
        return None
    try:
        return float(word)
    except ValueError:
        pass
    mantissa, exponent, power = word.lower().partition("d")
    try:
        return float(f"{mantissa}e{power}") if exponent else None
    except ValueError:
        return None


def _inexact(text: object) -> int | None:
    """Return the number in a cell if it is written as a whole one, beyond all whole doubles."""
    try:
        number = int(text.decode() if isinstance(text, bytes) else str(text))
    except ValueError:  # a decimal means the nearest double
        return None
    return number if abs(number) > EXACT else None


def _shown(text: object) -> str:
    word = repr(text)
    return word if len(word) <= 40 else f"{word[:37]}..."
