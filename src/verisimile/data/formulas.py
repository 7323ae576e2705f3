"""Texts as formulas: parsed, checked node by node, and interpreted over columns of any kind."""

from __future__ import annotations

import ast
import sys
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.data.evaluation import (
    BINARY,
    COMPARISONS,
    CONSTANTS,
    FUNCTIONS,
    TRUTHS,
    Evaluation,
    column_name,
    is_condition,
    is_reduction,
    may_be_condition,
)
from verisimile.data.feature import listing, suggestion
from verisimile.data.lists import REDUCTIONS, Lists
from verisimile.data.wording import Wording, wording_of

_DEEPEST = 100  # levels
_LOGICAL = "a condition such as pt > 20"
_WORDS = sorted({*FUNCTIONS, *REDUCTIONS})


@dataclass(frozen=True, slots=True)
class Formula:
    """A checked text that computes a number, or a condition, for each event.

    Attributes
    ----------
    text
        The text on one line.
    names
        The columns that are read, in order: also elements and reductions of lists, as they are
        written, since a sample holds those and no lists.
    """

    text: str
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _wording: Wording = field(init=False, repr=False, compare=False)
    _tree: ast.expr = field(init=False, repr=False, compare=False)
    conditional: ClassVar[bool] = False

    def __post_init__(self) -> None:
        wording = wording_of(self.text)
        tree = wording.parsed()
        _Checker(wording).check(tree)
        names = {ast.unparse(node): wording.text(node) for node in _parts(tree)}
        object.__setattr__(self, "text", wording.line)
        object.__setattr__(self, "names", tuple(names.values()))
        object.__setattr__(self, "_wording", wording)
        object.__setattr__(self, "_tree", tree)
        if self.conditional and not may_be_condition(tree):
            raise wording.fault(tree, "a number", _LOGICAL)

    @property
    def plain(self) -> str:
        """Return the same without the spellings of ROOT."""
        return ast.unparse(self._tree)

    def inputs(self, available: Collection[str], *, flat: bool = False) -> dict[str, str]:
        """Return which of the available columns are read, by what they are called here.

        An element or a reduction of a list may be a column by itself, and has to be where all
        columns are `flat`.
        """
        # Python's parser normalises identifiers; a micro sign in a column's name is no fault.
        spelled = {unicodedata.normalize("NFKC", name): name for name in available}
        found: dict[str, str] = {}
        for part in _parts(self._tree):
            key = ast.unparse(part)
            whole = spelled.get(key)
            if whole is None and column_name(part) is None:
                whole = next((name for name in available if _says(name, key)), None)
            if whole is not None:
                found[key] = whole
                continue
            for node in _columns_below(part):
                name = ast.unparse(node)
                if name not in spelled:
                    raise self._absent(node, list(available), part if flat else node)
                found[name] = spelled[name]
        return found

    def _absent(self, node: ast.expr, available: list[str], part: ast.expr) -> InputError:
        """Return the error that a column, needed for a part, is not there."""
        name = ast.unparse(node)
        remedy = suggestion(name, available)
        if part is not node:
            remedy = f"Read {self._wording.text(part)!r} as a feature: there are no lists here."
        got, expected = f"no column {name!r}", f"columns among {listing(available)}"
        return self._wording.fault(node, got, expected, remedy)

    def values(self, columns: Mapping[str, Lists], n: int, *, truth: bool = False) -> Array:
        """Return a number ``(n,)``, or 1, 0 and NaN of a condition; NaN where undefined.

        `columns` are those of `inputs`, by what they are called here.
        """
        with np.errstate(all="ignore"):  # what is not finite is counted instead
            found = Evaluation(self._wording, columns).number(self._tree, truth=truth)
        return np.asarray(np.broadcast_to(found, (n,)))

    def sides(self, columns: Mapping[str, Lists]) -> tuple[list[ast.cmpop], list[Array]] | None:
        """Return the operators and the sides of a comparison, None of anything else."""
        if not isinstance(self._tree, ast.Compare):
            return None
        evaluation, tree = Evaluation(self._wording, columns), self._tree
        with np.errstate(all="ignore"):
            return tree.ops, [evaluation.number(one) for one in (tree.left, *tree.comparators)]


def _says(name: str, key: str) -> bool:
    """Return whether a column's name is the text of an element or a reduction."""
    if not any(mark in name for mark in "(["):
        return False
    try:
        return ast.unparse(wording_of(name).parsed()) == key
    except InputError:
        return False


def _columns_below(node: ast.AST) -> list[ast.expr]:
    """Return the columns in an element or a reduction of lists."""
    if _is_column(node):
        return [node]  # type: ignore[list-item]
    below = ast.iter_child_nodes(node)
    return [
        each for child in below if not _is_called(child, node) for each in _columns_below(child)
    ]


def _is_called(child: ast.AST, node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and child is node.func


def _parts(tree: ast.expr) -> list[ast.expr]:
    """Return the columns that are read, and the largest parts that make numbers of lists."""
    return sorted(_found_parts(tree), key=lambda node: node.col_offset)


def _found_parts(node: ast.AST) -> Iterator[ast.expr]:
    if _is_column(node) or isinstance(node, ast.Subscript) or is_reduction(node):
        yield node  # type: ignore[misc]
        return
    for child in ast.iter_child_nodes(node):
        if not _is_called(child, node):
            yield from _found_parts(child)


def _is_column(node: ast.AST) -> bool:
    return column_name(node) not in (None, *CONSTANTS)


@dataclass(frozen=True, slots=True)
class _Checker:
    """Walks a tree once: every node is allowed, every condition stands where one belongs."""

    wording: Wording

    def check(self, node: ast.expr, depth: int = 0) -> None:
        """Raise unless a node and all below it are allowed."""
        if depth > _DEEPEST:
            got, expected = "nesting too deep", f"at most {_DEEPEST} levels"
            raise self.wording.fault(node, got, expected, "Split the expression.")
        children, conditions = self._rule(node)
        for child in children:
            self.check(child, depth + 1)
        # Between & and | a column is most often one side of a comparison, which binds less.
        strict = isinstance(node, ast.BinOp)
        for child in children[:conditions]:
            if not (is_condition(child) if strict else may_be_condition(child)):
                remedy = "& and | bind more tightly than comparisons: write (a > 1) & (b < 2)."
                got = "a number where a condition belongs"
                raise self.wording.fault(child, got, _LOGICAL, remedy)
        if isinstance(node, ast.BinOp | ast.Call | ast.UnaryOp | ast.Subscript):
            self._check_constant(node)

    def _check_constant(self, node: ast.expr) -> None:
        """Raise if a part without columns has no finite value."""
        if _columns_below(node):
            return
        with np.errstate(all="ignore"):
            finite = np.isfinite(Evaluation(self.wording, {}).number(node)).all()
        if not finite:
            raise self.wording.fault(node, "a constant without finite value", "a finite number")

    def _rule(self, node: ast.expr) -> tuple[list[ast.expr], int]:
        """Return a node's parts, and how many of the first are conditions."""
        match node:
            case ast.Constant(value=value):
                self._check_number(node, value)
                return [], 0
            case ast.Name(id=name):
                if name in FUNCTIONS and name not in REDUCTIONS:
                    raise self.wording.fault(node, f"the function {name} alone", f"{name}(…)")
                return [], 0
            case ast.Attribute() if column_name(node) is not None:
                return [], 0
            case ast.UnaryOp(op=op, operand=operand):
                return [operand], int(isinstance(op, ast.Not | ast.Invert))
            case ast.BinOp(left=left, op=op, right=right):
                if type(op) not in BINARY:
                    got = f"the operator {type(op).__name__}"
                    raise self.wording.fault(node, got, "+ - * / ** % & or |")
                return [left, right], 2 * isinstance(op, ast.BitAnd | ast.BitOr)
            case ast.BoolOp(values=values):
                return values, len(values)
            case ast.Compare(left=left, ops=ops, comparators=others):
                if not all(type(op) in COMPARISONS for op in ops):
                    raise self.wording.fault(node, "'in' or 'is'", "< <= > >= == or !=")
                return [left, *others], 0
            case ast.Subscript(value=lists, slice=where):
                return [lists, where], 0
            case ast.Call(args=arguments):
                name = self._function(node)
                return arguments, int(name == "where" or (name in TRUTHS and is_reduction(node)))
        expected = "numbers, columns, operators and the listed functions"
        raise self.wording.fault(node, self.wording.described(node), expected)

    def _check_number(self, node: ast.expr, value: object) -> None:
        if not isinstance(value, int | float):
            got = f"the {type(value).__name__} {value!r:.40}"
            raise self.wording.fault(node, got, "a real number")
        # Comparing does not overflow, converting a long integer would.
        if not abs(value) <= sys.float_info.max:
            raise self.wording.fault(node, "a number beyond all doubles", "a finite number")

    def _function(self, node: ast.Call) -> str:
        """Return the name of the function, called with as many arguments as it takes."""
        if not isinstance(node.func, ast.Name):
            got = self.wording.described(node.func)
            raise self.wording.fault(node, got, "the name of a function")
        name = node.func.id
        if name not in _WORDS:
            raise self.wording.fault(
                node, f"the function {name!r}", f"one of {listing(_WORDS)}",
                suggestion(name, _WORDS),
            )  # fmt: skip
        counts = {1} if name in REDUCTIONS else set()
        counts |= {FUNCTIONS[name][1]} if name in FUNCTIONS else set()
        if node.keywords or len(node.args) not in counts:
            got = f"{len(node.args)} plain and {len(node.keywords)} named arguments of {name}"
            raise self.wording.fault(node, got, f"{' or '.join(map(str, counts))} plain")
        if name == "count" and is_condition(node.args[0]):
            got = f"the number of true and false ones, {self.wording.text(node)}"
            remedy = "sum(…) of a condition counts where it holds."
            raise self.wording.fault(node, got, "the number of elements of a list", remedy)
        return name
