"""Safe expressions over named columns: numbers per event, and conditions on events."""

from __future__ import annotations

import ast
import math
import unicodedata
from dataclasses import dataclass, field
from itertools import pairwise
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
class _Parsed:
    text: str
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        line, tree, logical = parsed(self.text)
        if isinstance(self, Condition) and not logical:
            raise fault(line, tree, "a number", "a condition such as pt > 20")
        object.__setattr__(self, "text", line)
        object.__setattr__(self, "names", columns_of(tree))
        object.__setattr__(self, "_tree", tree)

    def _columns(self, events: Events) -> dict[str, Array]:
        # Python's parser normalises identifiers; a micro sign in a column's name is no fault.
        spelled = {unicodedata.normalize("NFKC", name): name for name in events.names}
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Name) and node.id in self.names and node.id not in spelled:
                got, expected = f"no column {node.id!r}", f"columns among {listing(events.names)}"
                near = suggestion(node.id, events.names)
                raise fault(self.text, node, got, expected, near)
        return {name: events.column(spelled[name]) for name in self.names}

    def _values(self, events: Events) -> Array:
        columns = self._columns(events)
        with np.errstate(all="ignore"):  # what is not finite is counted instead
            return np.asarray(np.broadcast_to(value_of(self._tree, columns), (events.n,)))

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
class Expression(_Parsed):
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
class Condition(_Parsed):
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
            values = [value_of(one, columns) for one in (tree.left, *tree.comparators)]
            for op, (left, right) in zip(tree.ops, pairwise(values), strict=True):
                out = np.maximum(out, _sign(op, left - right))
        return frozen(out)


def _sign(op: ast.cmpop, gap: Array) -> Array:
    if isinstance(op, ast.Lt | ast.LtE):
        return gap
    if isinstance(op, ast.Gt | ast.GtE):
        return -gap
    return np.abs(gap) if isinstance(op, ast.Eq) else np.where(np.isnan(gap), math.nan, 0.0)
