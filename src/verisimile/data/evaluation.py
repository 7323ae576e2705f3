"""What a checked expression is for given columns: numbers, conditions, lists of either.

A condition is 1 where it is true, 0 where it is false, and NaN where it is undefined.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.data.lists import (
    REDUCTIONS,
    ListFault,
    Lists,
    as_doubles,
    both,
    choose,
    either,
    filtered,
    is_flags,
    is_list,
    picked,
)
from verisimile.data.wording import Wording

_PER_EVENT = "one number per event"
_REMEDY = f"Take an element, pt[0], or reduce the list: {', '.join(REDUCTIONS)}."


def column_name(node: ast.AST) -> str | None:
    """Return the column that a name, or names joined by dots, mean; None for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=owner, attr=name):
            first = column_name(owner)
            return None if first is None else f"{first}.{name}"
    return None


def is_condition(node: ast.expr) -> bool:
    """Return whether a node is true or false by what is written, and no number."""
    match node:
        case ast.Compare() | ast.BoolOp():
            return True
        case ast.Constant(value=value):
            return isinstance(value, bool)
        case ast.UnaryOp(op=op):
            return isinstance(op, ast.Not | ast.Invert)
        case ast.BinOp(op=op):
            return isinstance(op, ast.BitAnd | ast.BitOr)
        case ast.Subscript(value=lists):
            return is_condition(lists)
        case ast.Call(func=ast.Name(id="where"), args=arguments):
            return all(map(is_condition, arguments[1:]))
        case ast.Call(func=ast.Name(id=name)):
            return name in TRUTHS
    return False


def may_be_condition(node: ast.expr) -> bool:
    """Return whether a node is a condition, or a column that may hold one, such as a trigger."""
    return is_condition(node) or isinstance(node, ast.Name | ast.Attribute | ast.Subscript)


def is_reduction(node: ast.AST) -> bool:
    """Return whether a node makes one number of each list."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[_]):
            return name in REDUCTIONS
    return False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Walks a tree that has been checked, and computes; nothing is executed.

    Parameters
    ----------
    wording
        The text, for faults.
    columns
        Numbers ``(n,)`` or lists by name, or by the whole text of an element or a reduction.
    """

    wording: Wording
    columns: Mapping[str, Lists]

    def number(self, node: ast.expr, *, truth: bool = False) -> Array:
        """Return one number per event, or one for all; 1, 0 and NaN if a `truth` is meant."""
        found = self._truth(node) if truth else self.value(node)
        if is_list(found):
            got = f"a list in each event, {self.wording.described(node)}"
            raise self.wording.fault(node, got, _PER_EVENT, _REMEDY)
        return np.asarray(found, dtype=np.float64)

    def value(self, node: ast.expr) -> Lists:
        """Return numbers, or lists of numbers."""
        try:
            return self._value(node)
        except ListFault as error:
            raise self.wording.fault(node, *error.told) from None
        except ValueError as error:
            if isinstance(error, InputError) or "cannot broadcast" not in str(error):
                raise
            got = f"lists of different lengths in {self.wording.text(node)!r}"
            raise self.wording.fault(node, got, "lists of the same objects", _REMEDY) from None

    def _value(self, node: ast.expr) -> Lists:
        if (known := self._known(node)) is not None:
            return known
        match node:
            case ast.Constant(value=bool() | int() | float() as number):
                return np.asarray(float(number))
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                return 1.0 - self._truth(operand)
            case ast.UnaryOp(op=op, operand=operand):
                return _UNARY[type(op)](self.value(operand))
            case ast.BoolOp(op=op, values=values):
                return _logic(op, [self._truth(value) for value in values])
            case ast.BinOp(left=left, op=op, right=right):
                return BINARY[type(op)](self.value(left), self.value(right))
            case ast.Compare(left=left, ops=ops, comparators=others):
                return _comparison(ops, [self.value(one) for one in (left, *others)])
            case ast.Subscript(value=lists, slice=where):
                return self._subscript(lists, where)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, arguments)
        raise self.wording.fault(node, self.wording.described(node), "a checked expression")

    def _known(self, node: ast.expr) -> Lists | None:
        """Return a column or a constant by its name, an element or a reduction by its text."""
        if (name := column_name(node)) is not None:
            values = CONSTANTS[name] if name in CONSTANTS else self.columns[name]
            return as_doubles(values) if is_list(values) else np.asarray(values)
        if isinstance(node, ast.Subscript) or is_reduction(node):
            return self.columns.get(ast.unparse(node))
        return None

    def _truth(self, node: ast.expr) -> Lists:
        """Return the values of a condition, or of a column that holds nothing but 0 and 1."""
        values = self.value(node)
        if is_condition(node):
            return values
        if is_list(values):
            if not is_flags(self.columns.get(column_name(node) or "")):
                got = f"a list of numbers, {self.wording.described(node)}"
                raise self.wording.fault(node, got, "a condition", "Compare it: … == 1.")
            return values
        other = values[(values != 0.0) & (values != 1.0) & ~np.isnan(values)]
        if other.size:
            got = f"the value {other.flat[0]:g} of {self.wording.text(node)} where true or false"
            remedy = "Write a condition such as pt > 20."
            raise self.wording.fault(node, f"{got} belongs", "0 or 1", remedy)
        return values

    def _subscript(self, lists: ast.expr, where: ast.expr) -> Lists:
        values = self._list(lists)
        flags = is_flags(self.columns.get(column_name(where) or ""))
        if flags or is_condition(where):
            return filtered(values, self._truth(where))
        position = self.value(where)
        if is_list(position):
            got = f"a list of numbers in brackets, {self.wording.described(where)}"
            raise self.wording.fault(where, got, "one position per event, or a condition")
        return picked(values, position)

    def _call(self, name: str, arguments: Sequence[ast.expr]) -> Lists:
        if name in REDUCTIONS and len(arguments) == 1:
            return REDUCTIONS[name](self._list(arguments[0], truth=name in TRUTHS))
        values = map(self.value, arguments)
        if name == "where":
            values = map(self.value, arguments[1:])
            return _where(self._truth(arguments[0]), *values)
        return FUNCTIONS[name][0](*values)

    def _list(self, node: ast.expr, *, truth: bool = False) -> Lists:
        values = self._truth(node) if truth else self.value(node)
        if not is_list(values):
            got = f"{_PER_EVENT}, {self.wording.described(node)}"
            raise self.wording.fault(node, got, "a list of numbers in each event")
        return values


def excesses(ops: Sequence[ast.cmpop], values: Sequence[Array]) -> Array:
    """Return by how much a chain of comparisons fails, zero where it holds, NaN if undefined."""
    links = zip(ops, pairwise(values), strict=True)
    gaps = [_excess(op, left - right) for op, (left, right) in links]
    return reduce(np.maximum, gaps, np.zeros(()))


def _excess(op: ast.cmpop, gap: Array) -> Array:
    if isinstance(op, ast.Lt | ast.LtE):
        return gap
    if isinstance(op, ast.Gt | ast.GtE):
        return -gap
    return np.abs(gap) if isinstance(op, ast.Eq) else np.where(np.isnan(gap), math.nan, 0.0)


def _logic(op: ast.boolop, values: Sequence[Lists]) -> Lists:
    return reduce(both if isinstance(op, ast.And) else either, values)


def _comparison(ops: Sequence[ast.cmpop], values: Sequence[Lists]) -> Lists:
    links = []
    for op, (left, right) in zip(ops, pairwise(values), strict=True):
        holds = COMPARISONS[type(op)](left, right) * 1.0
        links.append(choose(np.isnan(left) | np.isnan(right), math.nan, holds))
    return _logic(ast.And(), links)


def delta_phi(first: Lists, second: Lists) -> Lists:
    r"""Return the difference of two angles in :math:`[-\pi, \pi)`."""
    apart = np.mod(first - second + math.pi, 2.0 * math.pi) - math.pi
    # The remainder of a tiny negative number rounds up to the divisor itself.
    return choose(apart >= math.pi, -math.pi, apart)


def _where(condition: Lists, yes: Lists, no: Lists) -> Lists:
    return choose(np.isnan(condition), math.nan, choose(condition == 1.0, yes, no))


def _otherwise(first: Lists, second: Lists) -> Lists:
    """Return the second where the first is missing or undefined."""
    return choose(np.isnan(first), second, first)


_OF_ONE = (
    "abs", "sqrt", "exp", "log", "log10", "sin", "cos", "tan", "arcsin", "arccos", "arctan",
    "sinh", "cosh", "tanh", "floor", "ceil",
)  # fmt: skip
_OF_TWO = ("arctan2", "hypot", "minimum", "maximum")
_SYNONYMS = {
    "fabs": "abs", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2",
    "pow": "power", "min": "minimum", "max": "maximum",
}  # fmt: skip
_ARITY = dict.fromkeys(_OF_ONE, 1) | dict.fromkeys((*_OF_TWO, "power"), 2)

FUNCTIONS: dict[str, tuple[Callable[..., Lists], int]] = {
    **{name: (getattr(np, name), _ARITY[name]) for name in (*_OF_ONE, *_OF_TWO)},
    **{name: (getattr(np, same), _ARITY[same]) for name, same in _SYNONYMS.items()},
    "delta_phi": (delta_phi, 2),
    "otherwise": (_otherwise, 2),
    "where": (_where, 3),
}
"""Name, function and number of arguments; the first argument of ``where`` is a condition."""

TRUTHS = ("any", "all")
"""Reductions of conditions to one condition."""

CONSTANTS = {"pi": math.pi}

_UNARY: dict[type[ast.unaryop], Callable[[Lists], Lists]] = {
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}

BINARY: dict[type[ast.operator], Callable[[Lists, Lists], Lists]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
    ast.BitAnd: both,
    ast.BitOr: either,
}

COMPARISONS: dict[type[ast.cmpop], Callable[[Lists, Lists], Lists]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
