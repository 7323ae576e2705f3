"""Events with columns computed from their own, and events that fulfil a condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.data.expressions import Condition, Quantity
from verisimile.data.feature import Feature, listing
from verisimile.data.user_file import ColumnFunction, column_function


def derived(events: Events, columns: Mapping[str, Quantity | Callable[..., object]]) -> Events:
    """Return the events with further columns, in the order given; weights and groups stay.

    Every column is computed from those of `events`, not from one another.

    Parameters
    ----------
    events
        A sample.
    columns
        Name and expression, or function whose arguments are names of columns.

    Raises
    ------
    InputError
        If a name is taken, or a value is not finite.

    Examples
    --------
    >>> from verisimile.data.expressions import Expression
    >>> events = Events([[3.0, 4.0]], names=("px", "py"))
    >>> derived(events, {"pt": Expression("hypot(px, py)")}).names
    ('px', 'py', 'pt')
    """
    taken = [name for name in columns if name in events.names]
    if taken:
        raise InputError(
            "derived columns",
            got=f"names that the events have already: {listing(taken)}",
            expected="new names",
        )
    if not columns:
        return events
    values = [_values(name, quantity, events) for name, quantity in columns.items()]
    return Events(
        np.column_stack([events.x, *values]),
        events.weights,
        features=(*events.features, *(Feature(name) for name in columns)),
        group=events.group,
    )


def passed(events: Events, condition: Condition | ColumnFunction) -> BoolArray:
    """Return which events fulfil a condition, or get 1 and not 0 from a function ``(n,)``.

    Raises
    ------
    InputError
        If the condition is undefined for an event, or a function returns other values.
    """
    if isinstance(condition, Condition):
        return condition.of(events)
    values = condition.of(events)
    other = (values != 0.0) & (values != 1.0)
    if other.any():
        raise InputError(
            condition.name, got=f"the value {values[other][0]}", expected="true or false, 1 or 0"
        )
    return np.asarray(values == 1.0)


def _values(name: str, quantity: Quantity | Callable[..., object], events: Events) -> Array:
    known = hasattr(quantity, "of")
    column = quantity if known else column_function(quantity, f"derived column {name!r}")  # type: ignore[arg-type]
    return column.of(events)  # type: ignore[union-attr]
