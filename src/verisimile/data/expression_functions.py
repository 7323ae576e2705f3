"""The functions and operators that an expression may use; logic knows true, false and undefined."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable

import numpy as np

from verisimile.core.arrays import Array

__all__ = ["ARITHMETIC", "COMPARISONS", "CONSTANTS", "FUNCTIONS", "both", "delta_phi", "either"]


def delta_phi(first: Array, second: Array) -> Array:
    r"""Return the difference of two angles in :math:`[-\pi, \pi)`."""
    apart = np.mod(first - second + math.pi, 2.0 * math.pi) - math.pi
    # The remainder of a tiny negative number rounds up to the divisor itself.
    return np.asarray(np.where(apart >= math.pi, -math.pi, apart))


def both(first: Array, second: Array) -> Array:
    """Return 1 where both are true, 0 where either is false, else NaN."""
    return np.asarray(np.where((first == 0.0) | (second == 0.0), 0.0, first * second))


def either(first: Array, second: Array) -> Array:
    """Return 1 where either is true, 0 where both are false, else NaN."""
    return np.asarray(np.where((first == 1.0) | (second == 1.0), 1.0, first + second))


def _where(condition: Array, yes: Array, no: Array) -> Array:
    chosen = np.where(condition == 1.0, yes, no)
    return np.asarray(np.where(np.isnan(condition), math.nan, chosen))


FUNCTIONS: dict[str, tuple[Callable[..., Array], int]] = {
    "abs": (np.abs, 1),
    "sqrt": (np.sqrt, 1),
    "exp": (np.exp, 1),
    "log": (np.log, 1),
    "log10": (np.log10, 1),
    "sin": (np.sin, 1),
    "cos": (np.cos, 1),
    "tan": (np.tan, 1),
    "sinh": (np.sinh, 1),
    "cosh": (np.cosh, 1),
    "tanh": (np.tanh, 1),
    "floor": (np.floor, 1),
    "arctan2": (np.arctan2, 2),
    "hypot": (np.hypot, 2),
    "minimum": (np.minimum, 2),
    "maximum": (np.maximum, 2),
    "delta_phi": (delta_phi, 2),
    "where": (_where, 3),
}
"""Name, function and number of arguments; the first argument of ``where`` is a condition."""

CONSTANTS = {"pi": math.pi}

ARITHMETIC: dict[type[ast.operator], Callable[[Array, Array], Array]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}

COMPARISONS: dict[type[ast.cmpop], Callable[[Array, Array], Array]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
