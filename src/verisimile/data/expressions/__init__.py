"""Safe expressions over named columns: numbers per event, and conditions on events."""

from __future__ import annotations

import ast
import math
import unicodedata
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from verisimile.core.arrays import Array, BoolArray, frozen
from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.data.expressions.tree import columns_of, fault, parsed, value_of
from verisimile.data.feature import listing, suggestion


class Quantity(Protocol):
    """A number per event, computed from named columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are read."""

    def of(self, events: Events) -> Array:
        """Return the values ``(n,)``, all finite."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A number per event, written in the columns' names.

    Numbers, names, ``pi``; ``+ - * / ** %``; comparisons, also chained; ``and or not`` or
    ``& | ~``; ``abs sqrt exp log log10 sin cos tan sinh cosh tanh floor arctan2 hypot
    minimum maximum delta_phi where``.  The text is parsed, checked and interpreted, never
    executed.  A condition counts as 1 where true and 0 where false.

    Parameters
    ----------
    text
        At most 2000 characters; line breaks and spaces do not matter.

    Raises
    ------
    InputError
        With a caret under what is not allowed.

    Examples
    --------
    >>> events = Events([[3.0, 4.0]], names=("px", "py"))
    >>> Expression("hypot(px, py)").of(events)
    array([5.])
    """

    text: str
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        line, tree, _ = parsed(self.text)
        _assign(self, line, tree)

    def of(self, events: Events, *, finite: bool = True) -> Array:
        """Return the values ``(n,)``; with ``finite=False`` NaN and infinities stay.

        Raises
        ------
        InputError
            If a name is no column, or a value is not finite.
        """
        values = _values(self.text, self._tree, events)
        if finite:
            _check_finite(self.text, values, int((~np.isfinite(values)).sum()))
        return frozen(values)


@dataclass(frozen=True, slots=True)
class Condition:
    """True or false per event, written in the columns' names as an :class:`Expression`.

    Whatever is compared with NaN is undefined; ``false and undefined`` is false,
    ``true or undefined`` is true, so that ``x > 0 and log(x) < 1`` is defined for every x.

    Raises
    ------
    InputError
        If the text is no condition, or not allowed.

    Examples
    --------
    >>> events = Events([[15.0], [30.0]], names=("pt",))
    >>> Condition("20 <= pt < 50").of(events)
    array([False,  True])
    """

    text: str
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        line, tree, logical = parsed(self.text)
        if not logical:
            raise fault(line, tree, "a number", "a condition such as pt > 20")
        _assign(self, line, tree)

    def of(self, events: Events, *, defined: bool = True) -> BoolArray:
        """Return where it holds ``(n,)``; with ``defined=False`` undefined counts as false.

        Raises
        ------
        InputError
            If a name is no column, or the condition is undefined somewhere.
        """
        values = _values(self.text, self._tree, events)
        if defined:
            _check_finite(self.text, values, int(np.isnan(values).sum()))
        return np.asarray(values == 1.0)

    def undefined(self, events: Events) -> BoolArray:
        """Return where it is neither true nor false ``(n,)``."""
        return np.isnan(_values(self.text, self._tree, events))

    def excess(self, events: Events) -> Array | None:
        """Return by how much inequalities fail ``(n,)``, zero where they hold.

        NaN where undefined; None unless the condition is one comparison, chained or not.
        """
        if not isinstance(self._tree, ast.Compare):
            return None
        tree, columns = self._tree, _columns(self.text, self._tree, events)
        out = np.zeros(events.n)
        left = tree.left
        with np.errstate(all="ignore"):
            for op, right in zip(tree.ops, tree.comparators, strict=True):
                gap = value_of(left, columns) - value_of(right, columns)
                out = np.maximum(out, _sign(op, gap))
                left = right
        return frozen(out)


def _sign(op: ast.cmpop, gap: Array) -> Array:
    if isinstance(op, ast.Lt | ast.LtE):
        return gap
    if isinstance(op, ast.Gt | ast.GtE):
        return -gap
    return np.abs(gap) if isinstance(op, ast.Eq) else np.where(np.isnan(gap), math.nan, 0.0)


def _assign(target: object, line: str, tree: ast.expr) -> None:
    object.__setattr__(target, "text", line)
    object.__setattr__(target, "names", columns_of(tree))
    object.__setattr__(target, "_tree", tree)


def _values(text: str, tree: ast.expr, events: Events) -> Array:
    columns = _columns(text, tree, events)
    with np.errstate(all="ignore"):  # what is not finite is counted instead
        return np.asarray(np.broadcast_to(value_of(tree, columns), (events.n,)))


def _columns(text: str, tree: ast.expr, events: Events) -> dict[str, Array]:
    # Python's parser normalises identifiers; a micro sign in a column's name is no fault.
    spelled = {unicodedata.normalize("NFKC", name): name for name in events.names}
    wanted = columns_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in wanted and node.id not in spelled:
            near = suggestion(node.id, events.names)
            raise fault(
                text, node, f"no column {node.id!r}", f"columns among {listing(events.names)}", near
            )
    return {name: events.column(spelled[name]) for name in wanted}


def _check_finite(text: str, values: Array, count: int) -> None:
    if count:
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(
            f"expression {text!r}",
            got=f"no finite value for {count} of {values.size} events, the first in row {first}",
            expected="a finite value for every event",
            remedy="Restrict the sample with a selection, or guard the expression with"
            " where(condition, a, b).",
        )
