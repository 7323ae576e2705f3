"""From text to a checked syntax tree, and from the tree to values; nothing is ever executed."""

from __future__ import annotations

import ast
import math
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import reduce
from itertools import pairwise

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.require import require
from verisimile.data.feature import listing, suggestion

LONGEST = 2000
"""Characters of an expression."""

_DEEPEST = 100
_LOGICAL = "a condition such as pt > 20"
_HINTS = (
    ("&&", "Write & or and."),
    ("||", "Write | or or."),
    ("!", "Write not or ~, and != for unequal."),
    ("=", "Write == for equal."),
)


def parsed(text: str) -> tuple[str, ast.expr, bool]:
    """Return the text on one line, its checked tree, and whether it is a condition.

    An InputError has a caret under what is wrong.
    """
    is_text = isinstance(text, str)
    require(is_text, "expression", got=repr(text), expected="text such as 'hypot(px, py)'")
    line = " ".join(text.split())
    fits, got = 0 < len(line) <= LONGEST, f"{len(line)} characters"
    require(fits, "expression", got=got, expected=f"1 to {LONGEST} characters")
    tree = _tree(line)
    return line, tree, _Checker(line).logical(tree)


def columns_of(tree: ast.expr) -> tuple[str, ...]:
    """Return the names of the columns that a checked tree reads, in order of appearance."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    nodes = [node for node in nodes if id(node) not in called and node.id not in CONSTANTS]
    return tuple(dict.fromkeys(n.id for n in sorted(nodes, key=lambda node: node.col_offset)))


def fault(line: str, node: ast.expr, got: str, expected: str, remedy: str = "") -> InputError:
    """Return the error that points at a node of an expression."""
    position = len(line.encode()[: node.col_offset].decode(errors="ignore"))
    return _pointing(line, position, got, expected, remedy)


def value_of(node: ast.expr, columns: Mapping[str, Array]) -> Array:
    """Return the values of a checked tree: numbers, or 1, 0 and NaN for a condition."""
    match node:
        case ast.Constant(value=bool() | int() | float() as number):
            return np.asarray(float(number))
        case ast.Name(id=name):
            return np.asarray(CONSTANTS[name]) if name in CONSTANTS else columns[name]
        case ast.UnaryOp(op=op, operand=operand):
            return UNARY[type(op)](value_of(operand, columns))
        case ast.BinOp(left=left, op=op, right=right):
            return BINARY[type(op)](value_of(left, columns), value_of(right, columns))
        case ast.BoolOp(op=op, values=values):
            return _logic(op, [value_of(value, columns) for value in values])
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _comparison(ops, [value_of(one, columns) for one in (left, *others)])
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return FUNCTIONS[name][0](*[value_of(one, columns) for one in arguments])
    raise InputError("expression", got=ast.unparse(node), expected="a checked expression")


def _logic(op: ast.boolop, values: list[Array]) -> Array:
    return reduce(both if isinstance(op, ast.And) else either, values)


def _comparison(ops: list[ast.cmpop], values: list[Array]) -> Array:
    links = []
    for op, (left, right) in zip(ops, pairwise(values), strict=True):
        holds = COMPARISONS[type(op)](left, right)
        links.append(np.where(np.isnan(left) | np.isnan(right), math.nan, holds))
    return _logic(ast.And(), links)


def _tree(line: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a tokenizer's advice on how to write Python
            return ast.parse(line, mode="eval").body
    except SyntaxError as error:
        position = max(0, min((error.offset or 1) - 1, len(line)))
        hint = next((text for mark, text in _HINTS if mark in line), "")
        raise _pointing(line, position, f"{error.msg}", "an expression", hint) from None
    except (ValueError, RecursionError, MemoryError):
        raise InputError(
            f"expression {_short(line)}",
            got="text that cannot be read or is nested too deeply",
            expected="an expression",
        ) from None


class _Checker:
    """Walks a tree once: every node is allowed, every condition stands where one belongs."""

    def __init__(self, line: str) -> None:
        self.line = line

    def logical(self, node: ast.expr, depth: int = 0) -> bool:
        """Return whether a node is a condition, after checking all below it."""
        if depth > _DEEPEST:
            raise self.fault(
                node, "nesting too deep", f"at most {_DEEPEST} levels", "Split the expression."
            )
        kinds = [self.logical(child, depth + 1) for child in self._children(node)]
        logical = self._kind(node, kinds)
        if isinstance(node, ast.BinOp | ast.Call | ast.UnaryOp) and not columns_of(node):
            with np.errstate(all="ignore"):
                finite = np.isfinite(value_of(node, {})).all()
            if not finite:
                raise self.fault(node, "a constant without finite value", "a finite number")
        return logical

    def _children(self, node: ast.expr) -> list[ast.expr]:
        match node:
            case ast.Constant(value=value):
                self._check_number(node, value)
                return []
            case ast.Name():
                if node.id in FUNCTIONS:
                    raise self.fault(node, f"the function {node.id} alone", f"{node.id}(…)")
                return []
            case ast.UnaryOp(operand=operand):
                return [operand]
            case ast.BinOp(left=left, op=op, right=right):
                if type(op) not in BINARY:
                    remedy = "Write ** for a power." if isinstance(op, ast.BitXor) else ""
                    got = f"the operator {type(op).__name__}"
                    raise self.fault(node, got, "+ - * / ** % & or |", remedy)
                return [left, right]
            case ast.BoolOp(values=values):
                return values
            case ast.Compare(left=left, ops=ops, comparators=others):
                if not all(type(op) in COMPARISONS for op in ops):
                    raise self.fault(node, "'in' or 'is'", "< <= > >= == or !=")
                return [left, *others]
            case ast.Call():
                self._check_call(node)
                return node.args
        raise self.fault(
            node,
            _described(self.line, node),
            "numbers, columns, operators and the listed functions",
        )

    def _kind(self, node: ast.expr, kinds: list[bool]) -> bool:
        match node:
            case ast.BoolOp(values=values):
                self._require(values, kinds)
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr(), left=left, right=right):
                self._require([left, right], kinds)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                self._require([operand], kinds)
            case ast.Call(func=ast.Name(id="where"), args=arguments):
                self._require(arguments[:1], kinds[:1])
                return all(kinds[1:])
            case ast.Compare():
                return True
            case ast.Constant(value=value):
                return isinstance(value, bool)
            case _:
                return False
        return True

    def _require(self, nodes: list[ast.expr], kinds: list[bool]) -> None:
        for node, logical in zip(nodes, kinds, strict=True):
            if not logical:
                raise self.fault(
                    node,
                    "a number where a condition belongs",
                    _LOGICAL,
                    "& and | bind more tightly than comparisons: write (a > 1) & (b < 2).",
                )

    def _check_number(self, node: ast.expr, value: object) -> None:
        if not isinstance(value, int | float):
            raise self.fault(node, f"the {type(value).__name__} {value!r:.40}", "a real number")
        # Comparing does not overflow, converting a long integer would.
        if not abs(value) <= sys.float_info.max:
            raise self.fault(node, "a number beyond all doubles", "a finite number")

    def _check_call(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Name):
            raise self.fault(node, _described(self.line, node.func), "the name of a function")
        name = node.func.id
        if name not in FUNCTIONS:
            raise self.fault(
                node, f"the function {name!r}", f"one of {listing(FUNCTIONS)}",
                suggestion(name, FUNCTIONS),
            )  # fmt: skip
        count = FUNCTIONS[name][1]
        if node.keywords or len(node.args) != count:
            got = f"{len(node.args)} plain and {len(node.keywords)} named arguments of {name}"
            raise self.fault(node, got, f"{count} plain")

    def fault(self, node: ast.expr, got: str, expected: str, remedy: str = "") -> InputError:
        return fault(self.line, node, got, expected, remedy)


def _pointing(line: str, position: int, got: str, expected: str, remedy: str) -> InputError:
    # Long lines are cut around the position, so that the caret stays in view.
    start = max(0, position - 60)
    mark = f"\n    {line[start : start + 100]}\n    {' ' * (position - start)}^"
    return InputError(
        f"expression {_short(line)}",
        got=f"{got} at position {position + 1}",
        expected=expected,
        remedy=f"{remedy}{mark}",
    )


def _described(line: str, node: ast.expr) -> str:
    source = ast.get_source_segment(line, node) or ""
    return f"{type(node).__name__.lower()} {_short(source)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}…")


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


_OF_ONE = (
    "abs", "sqrt", "exp", "log", "log10", "sin", "cos", "tan", "sinh", "cosh", "tanh", "floor",
)  # fmt: skip
FUNCTIONS: dict[str, tuple[Callable[..., Array], int]] = {
    **{name: (getattr(np, name), 1) for name in _OF_ONE},
    **{name: (getattr(np, name), 2) for name in ("arctan2", "hypot", "minimum", "maximum")},
    "delta_phi": (delta_phi, 2),
    "where": (_where, 3),
}
"""Name, function and number of arguments; the first argument of ``where`` is a condition."""

CONSTANTS = {"pi": math.pi}

UNARY: dict[type[ast.unaryop], Callable[[Array], Array]] = {
    ast.Not: lambda value: 1.0 - value,
    ast.Invert: lambda value: 1.0 - value,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}

BINARY: dict[type[ast.operator], Callable[[Array, Array], Array]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
    ast.BitAnd: both,
    ast.BitOr: either,
}

COMPARISONS: dict[type[ast.cmpop], Callable[[Array, Array], Array]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
