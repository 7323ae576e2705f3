"""Safe expressions over named columns: numbers per event, and conditions on events.

A text becomes a checked syntax tree, and the tree values; nothing is ever executed.
"""

from __future__ import annotations

import ast
import math
import sys
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Protocol

import numpy as np

from verisimile.core.arrays import Array, BoolArray, frozen
from verisimile.core.errors import InputError, require
from verisimile.data.events import Events
from verisimile.data.feature import listing, suggestion

_LONGEST = 2000  # characters
_DEEPEST = 100  # levels
_LOGICAL = "a condition such as pt > 20"
_HINTS = (
    ("&&", "Write & or and."),
    ("||", "Write | or or."),
    ("!", "Write not or ~, and != for unequal."),
    ("=", "Write == for equal."),
)


class Quantity(Protocol):
    """A number per event, computed from named columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are read."""

    def of(self, events: Events) -> Array:
        """Return the values ``(n,)``, all finite."""


@dataclass(frozen=True, slots=True)
class _Formula:
    text: str
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        line, tree, logical = _parse(self.text)
        if isinstance(self, Condition) and not logical:
            raise _fault(line, tree, "a number", _LOGICAL)
        object.__setattr__(self, "text", line)
        object.__setattr__(self, "names", _columns_read(tree))
        object.__setattr__(self, "_tree", tree)

    def _columns(self, events: Events) -> dict[str, Array]:
        # Python's parser normalises identifiers; a micro sign in a column's name is no fault.
        spelled = {unicodedata.normalize("NFKC", name): name for name in events.names}
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Name) and node.id in self.names and node.id not in spelled:
                got, expected = f"no column {node.id!r}", f"columns among {listing(events.names)}"
                near = suggestion(node.id, events.names)
                raise _fault(self.text, node, got, expected, near)
        return {name: events.column(spelled[name]) for name in self.names}

    def _values(self, events: Events) -> Array:
        columns = self._columns(events)
        with np.errstate(all="ignore"):  # what is not finite is counted instead
            return np.asarray(np.broadcast_to(_value(self._tree, columns), (events.n,)))

    def _check_finite(self, values: Array, count: int) -> None:
        if count:
            first = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InputError(
                f"expression {self.text!r}",
                got=f"no finite value for {count} of {values.size} events,"
                f" the first in row {first}",
                expected="a finite value for every event",
                remedy="Restrict the sample with a selection, or guard the expression with"
                " where(condition, a, b).",
            )


@dataclass(frozen=True, slots=True)
class Expression(_Formula):
    """A number per event, written in the columns' names.

    Numbers, names, ``pi``; ``+ - * / ** %``; comparisons, also chained; ``and or not`` or
    ``& | ~``; ``abs sqrt exp log log10 sin cos tan sinh cosh tanh floor arctan2 hypot
    minimum maximum delta_phi where``.  The text is parsed, checked and interpreted, never
    executed.  A condition counts as 1 where true and 0 where false.

    Parameters
    ----------
    text
        At most 2000 characters; line breaks and spaces do not matter.  An InputError
        has a caret under what is not allowed.

    Examples
    --------
    >>> events = Events([[3.0, 4.0]], names=("px", "py"))
    >>> Expression("hypot(px, py)").of(events)
    array([5.])
    """

    def of(self, events: Events, *, finite: bool = True) -> Array:
        """Return the values ``(n,)``; with ``finite=False`` NaN and infinities stay."""
        values = self._values(events)
        if finite:
            self._check_finite(values, int((~np.isfinite(values)).sum()))
        return frozen(values)


@dataclass(frozen=True, slots=True)
class Condition(_Formula):
    """True or false per event, written in the columns' names as an :class:`Expression`.

    Whatever is compared with NaN is undefined; ``false and undefined`` is false,
    ``true or undefined`` is true, so that ``x > 0 and log(x) < 1`` is defined for every x.

    Examples
    --------
    >>> events = Events([[15.0], [30.0]], names=("pt",))
    >>> Condition("20 <= pt < 50").of(events)
    array([False,  True])
    """

    def of(self, events: Events, *, defined: bool = True) -> BoolArray:
        """Return where it holds ``(n,)``; with ``defined=False`` undefined counts as false."""
        values = self._values(events)
        if defined:
            self._check_finite(values, int(np.isnan(values).sum()))
        return np.asarray(values == 1.0)

    def undefined(self, events: Events) -> BoolArray:
        """Return where it is neither true nor false ``(n,)``."""
        return np.isnan(self._values(events))

    def excess(self, events: Events) -> Array | None:
        """Return by how much inequalities fail ``(n,)``, zero where they hold.

        NaN where undefined; None unless the condition is one comparison, chained or not.
        """
        if not isinstance(self._tree, ast.Compare):
            return None
        tree, columns = self._tree, self._columns(events)
        out = np.zeros(events.n)
        with np.errstate(all="ignore"):
            values = [_value(one, columns) for one in (tree.left, *tree.comparators)]
            for op, (left, right) in zip(tree.ops, pairwise(values), strict=True):
                out = np.maximum(out, _sign(op, left - right))
        return frozen(out)


def _sign(op: ast.cmpop, gap: Array) -> Array:
    if isinstance(op, ast.Lt | ast.LtE):
        return gap
    if isinstance(op, ast.Gt | ast.GtE):
        return -gap
    return np.abs(gap) if isinstance(op, ast.Eq) else np.where(np.isnan(gap), math.nan, 0.0)


def _parse(text: str) -> tuple[str, ast.expr, bool]:
    """Return the text on one line, its checked tree, and whether it is a condition.

    An InputError has a caret under what is wrong.
    """
    is_text = isinstance(text, str)
    require(is_text, "expression", got=repr(text), expected="text such as 'hypot(px, py)'")
    line = " ".join(text.split())
    fits, got = 0 < len(line) <= _LONGEST, f"{len(line)} characters"
    require(fits, "expression", got=got, expected=f"1 to {_LONGEST} characters")
    tree = _tree(line)
    return line, tree, _Checker(line).logical(tree)


def _columns_read(tree: ast.expr) -> tuple[str, ...]:
    """Return the names of the columns that a checked tree reads, in order of appearance."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    nodes = [node for node in nodes if id(node) not in called and node.id not in _CONSTANTS]
    return tuple(dict.fromkeys(n.id for n in sorted(nodes, key=lambda node: node.col_offset)))


def _fault(line: str, node: ast.expr, got: str, expected: str, remedy: str = "") -> InputError:
    """Return the error that points at a node of an expression."""
    position = len(line.encode()[: node.col_offset].decode(errors="ignore"))
    return _pointing(line, position, got, expected, remedy)


def _value(node: ast.expr, columns: Mapping[str, Array]) -> Array:
    """Return the values of a checked tree: numbers, or 1, 0 and NaN for a condition."""
    match node:
        case ast.Constant(value=bool() | int() | float() as number):
            return np.asarray(float(number))
        case ast.Name(id=name):
            return np.asarray(_CONSTANTS[name]) if name in _CONSTANTS else columns[name]
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_value(operand, columns))
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_value(left, columns), _value(right, columns))
        case ast.BoolOp(op=op, values=values):
            return _logic(op, [_value(value, columns) for value in values])
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _comparison(ops, [_value(one, columns) for one in (left, *others)])
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name][0](*[_value(one, columns) for one in arguments])
    raise InputError("expression", got=ast.unparse(node), expected="a checked expression")


def _logic(op: ast.boolop, values: list[Array]) -> Array:
    return reduce(both if isinstance(op, ast.And) else either, values)


def _comparison(ops: list[ast.cmpop], values: list[Array]) -> Array:
    links = []
    for op, (left, right) in zip(ops, pairwise(values), strict=True):
        holds = _COMPARISONS[type(op)](left, right)
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
        children, conditions, logical = self._rule(node)
        kinds = [self.logical(child, depth + 1) for child in children]
        for child, kind in zip(children[:conditions], kinds[:conditions], strict=True):
            if not kind:
                remedy = "& and | bind more tightly than comparisons: write (a > 1) & (b < 2)."
                raise self.fault(child, "a number where a condition belongs", _LOGICAL, remedy)
        if isinstance(node, ast.BinOp | ast.Call | ast.UnaryOp) and not _columns_read(node):
            with np.errstate(all="ignore"):
                finite = np.isfinite(_value(node, {})).all()
            if not finite:
                raise self.fault(node, "a constant without finite value", "a finite number")
        return all(kinds[1:]) if logical is None else logical

    def _rule(self, node: ast.expr) -> tuple[list[ast.expr], int, bool | None]:
        """Return a node's parts, how many of the first are conditions, and whether it is one.

        None: it is one if all parts but the first are.
        """
        match node:
            case ast.Constant(value=value):
                self._check_number(node, value)
                return [], 0, isinstance(value, bool)
            case ast.Name():
                if node.id in _FUNCTIONS:
                    raise self.fault(node, f"the function {node.id} alone", f"{node.id}(…)")
                return [], 0, False
            case ast.UnaryOp(op=op, operand=operand):
                logical = isinstance(op, ast.Not | ast.Invert)
                return [operand], int(logical), logical
            case ast.BinOp(left=left, op=op, right=right):
                if type(op) not in _BINARY:
                    remedy = "Write ** for a power." if isinstance(op, ast.BitXor) else ""
                    got = f"the operator {type(op).__name__}"
                    raise self.fault(node, got, "+ - * / ** % & or |", remedy)
                logical = isinstance(op, ast.BitAnd | ast.BitOr)
                return [left, right], 2 * logical, logical
            case ast.BoolOp(values=values):
                return values, len(values), True
            case ast.Compare(left=left, ops=ops, comparators=others):
                if not all(type(op) in _COMPARISONS for op in ops):
                    raise self.fault(node, "'in' or 'is'", "< <= > >= == or !=")
                return [left, *others], 0, True
            case ast.Call():
                where = self._function(node) == "where"
                return node.args, int(where), None if where else False
        expected = "numbers, columns, operators and the listed functions"
        raise self.fault(node, _described(self.line, node), expected)

    def _check_number(self, node: ast.expr, value: object) -> None:
        if not isinstance(value, int | float):
            raise self.fault(node, f"the {type(value).__name__} {value!r:.40}", "a real number")
        # Comparing does not overflow, converting a long integer would.
        if not abs(value) <= sys.float_info.max:
            raise self.fault(node, "a number beyond all doubles", "a finite number")

    def _function(self, node: ast.Call) -> str:
        """Return the name of the function, called with as many arguments as it takes."""
        if not isinstance(node.func, ast.Name):
            raise self.fault(node, _described(self.line, node.func), "the name of a function")
        name = node.func.id
        if name not in _FUNCTIONS:
            raise self.fault(
                node, f"the function {name!r}", f"one of {listing(_FUNCTIONS)}",
                suggestion(name, _FUNCTIONS),
            )  # fmt: skip
        count = _FUNCTIONS[name][1]
        if node.keywords or len(node.args) != count:
            got = f"{len(node.args)} plain and {len(node.keywords)} named arguments of {name}"
            raise self.fault(node, got, f"{count} plain")
        return name

    def fault(self, node: ast.expr, got: str, expected: str, remedy: str = "") -> InputError:
        return _fault(self.line, node, got, expected, remedy)


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
_FUNCTIONS: dict[str, tuple[Callable[..., Array], int]] = {
    **{name: (getattr(np, name), 1) for name in _OF_ONE},
    **{name: (getattr(np, name), 2) for name in ("arctan2", "hypot", "minimum", "maximum")},
    "delta_phi": (delta_phi, 2),
    "where": (_where, 3),
}
"""Name, function and number of arguments; the first argument of ``where`` is a condition."""

_CONSTANTS = {"pi": math.pi}

_UNARY: dict[type[ast.unaryop], Callable[[Array], Array]] = {
    ast.Not: lambda value: 1.0 - value,
    ast.Invert: lambda value: 1.0 - value,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}

_BINARY: dict[type[ast.operator], Callable[[Array, Array], Array]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
    ast.BitAnd: both,
    ast.BitOr: either,
}

_COMPARISONS: dict[type[ast.cmpop], Callable[[Array, Array], Array]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
