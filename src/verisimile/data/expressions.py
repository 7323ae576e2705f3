"""Safe expressions over named columns: numbers per event, and conditions on events.

A text becomes a checked syntax tree, and the tree values; nothing is ever executed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from verisimile.core.arrays import Array, BoolArray, frozen
from verisimile.core.errors import InputError
from verisimile.data.evaluation import excesses
from verisimile.data.formulas import Formula

if TYPE_CHECKING:
    # Events read files, and files compute columns with expressions.
    from verisimile.data.events import Events


class Quantity(Protocol):
    """A number per event, computed from named columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are read."""

    def of(self, events: Events) -> Array:
        """Return the values ``(n,)``, all finite."""


@dataclass(frozen=True, slots=True)
class Expression(Formula):
    """A number per event, written in the columns' names.

    Numbers, names (also ``Jet.PT``), ``pi``; ``+ - * / ** %``; comparisons, also chained;
    ``and or not`` or ``& | ~``; ``abs sqrt exp log log10 sin cos tan arcsin arccos arctan sinh
    cosh tanh floor ceil arctan2 hypot pow minimum maximum delta_phi where``, ``otherwise(a, b)``
    for b where a is missing.  Where an event holds a list: ``pt[0]``, ``pt[pt > 30]``, and
    ``count sum mean min max any all``; the sum of no elements is 0, their mean, least and
    largest are missing.  C++ and ROOT are understood: ``&& || !``, ``TMath::Abs``, ``fabs``,
    ``Sum$ Length$ Max$ Min$ Alt$``, and ``^`` as a power.  The text is parsed, checked and
    interpreted, never executed.  A condition counts as 1 where true and 0 where false, and a
    column of 0 and 1 only, such as a trigger, as a condition.

    Parameters
    ----------
    text
        At most 2000 characters; line breaks and spaces do not matter.  An InputError
        has a caret under what is not allowed.

    Examples
    --------
    >>> from verisimile.data.events import Events
    >>> events = Events([[3.0, 4.0]], names=("px", "py"))
    >>> Expression("hypot(px, py)").of(events)
    array([5.])
    """

    def of(self, events: Events, *, finite: bool = True) -> Array:
        """Return the values ``(n,)``; with ``finite=False`` NaN and infinities stay."""
        values = self.values(_columns(self, events), events.n)
        if finite:
            _check_defined(self, values, int((~np.isfinite(values)).sum()))
        return frozen(values)


@dataclass(frozen=True, slots=True)
class Condition(Formula):
    """True or false per event, written in the columns' names as an :class:`Expression`.

    Whatever is compared with NaN is undefined; ``false and undefined`` is false,
    ``true or undefined`` is true, so that ``x > 0 and log(x) < 1`` is defined for every x.

    Examples
    --------
    >>> from verisimile.data.events import Events
    >>> events = Events([[15.0], [30.0]], names=("pt",))
    >>> Condition("20 <= pt < 50").of(events)
    array([False,  True])
    """

    conditional: ClassVar[bool] = True

    def of(self, events: Events, *, defined: bool = True) -> BoolArray:
        """Return where it holds ``(n,)``; with ``defined=False`` undefined counts as false."""
        values = self.values(_columns(self, events), events.n, truth=True)
        if defined:
            _check_defined(self, values, int(np.isnan(values).sum()))
        return np.asarray(values == 1.0)

    def undefined(self, events: Events) -> BoolArray:
        """Return where it is neither true nor false ``(n,)``."""
        return np.isnan(self.values(_columns(self, events), events.n, truth=True))

    def excess(self, events: Events) -> Array | None:
        """Return by how much inequalities fail ``(n,)``, zero where they hold.

        NaN where undefined; None unless the condition is one comparison, chained or not.
        """
        compared = self.sides(_columns(self, events))
        if compared is None:
            return None
        with np.errstate(all="ignore"):
            return frozen(np.broadcast_to(excesses(*compared), (events.n,)).copy())


def _columns(formula: Formula, events: Events) -> dict[str, Array]:
    """Return the columns of `events` that are read, by what they are called in the text."""
    read = formula.inputs(events.names, flat=True)
    return {key: events.column(name) for key, name in read.items()}


def _check_defined(formula: Formula, values: Array, count: int) -> None:
    if count:
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(
            f"expression {formula.text!r}",
            got=f"no finite value for {count} of {values.size} events, the first in row {first}",
            expected="a finite value for every event",
            remedy="Restrict the sample with a selection, or guard the expression with"
            " where(condition, a, b).",
        )
