"""Columns computed from others, conditions on events, periods: what a user says of columns."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

import numpy as np

from verisimile.core.arrays import Array, BoolArray, frozen
from verisimile.core.errors import InputError, require
from verisimile.data.description import Description, worded
from verisimile.data.events import Events
from verisimile.data.expressions import Condition, Quantity
from verisimile.data.feature import Feature, listing, require_columns, suggestion
from verisimile.data.inputs import EventsLike, as_events


@dataclass(frozen=True, slots=True)
class ColumnFunction:
    """A function of columns, named by its arguments, that returns ``(n,)``.

    Attributes
    ----------
    name
        Where it comes from, for messages.
    function
        The function.
    names
        The columns it takes, its arguments.
    """

    name: str
    function: Callable[..., object]
    names: tuple[str, ...]

    def __call__(self, *columns: Array) -> Array:
        """Return the values ``(n,)`` for columns in the order of `names`.

        An InputError says that the function fails, or returns something else than numbers.
        """
        try:
            values = np.asarray(self.function(*columns), dtype=np.float64)
        # The user's code may raise anything, and its author wants to know where.
        except Exception as error:
            raise InputError(
                self.name, got=f"{type(error).__name__}: {error}", expected="numbers for each event"
            ) from error
        shape = columns[0].shape[:1]
        got = f"an array of shape {values.shape}"
        require(values.shape == shape, self.name, got=got, expected=f"shape {shape}")
        return frozen(values)

    def of(self, events: Events) -> Array:
        """Return the values ``(n,)``, all finite."""
        for name in self.names:
            require(
                name in events.names,
                self.name,
                got=f"the argument {name!r}, which is no column",
                expected=f"arguments among {listing(events.names)}",
                remedy=suggestion(name, events.names),
            )
        values = self(*[events.column(name) for name in self.names])
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise InputError(
                self.name,
                got=f"{bad.size} of {events.n} values not finite, the first in row {bad[0]}",
                expected="finite numbers",
                remedy="Restrict the sample with a selection, or mend the function.",
            )
        return values


def derived(events: EventsLike, columns: Mapping[str, Quantity | Callable[..., object]]) -> Events:
    """Return the events with further columns, in the order given; weights and groups stay.

    Every column is computed from those of `events`, not from one another.

    Parameters
    ----------
    events
        A sample.
    columns
        Name and expression, or function whose arguments are names of columns.

    Examples
    --------
    >>> from verisimile.data.expressions import Expression
    >>> events = Events([[3.0, 4.0]], names=("px", "py"))
    >>> derived(events, {"pt": Expression("hypot(px, py)")}).names
    ('px', 'py', 'pt')
    """
    events = as_events(events, "events")
    taken = [name for name in columns if name in events.names]
    require(
        not taken,
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


def _values(name: str, quantity: Quantity | Callable[..., object], events: Events) -> Array:
    known = hasattr(quantity, "of")
    column = quantity if known else column_function(quantity, f"derived column {name!r}")  # type: ignore[arg-type]
    return column.of(events)  # type: ignore[union-attr]


def select(events: Events, condition: Condition | ColumnFunction) -> BoolArray:
    """Return which events fulfil a condition, or get 1 and not 0 from a function ``(n,)``."""
    if isinstance(condition, Condition):
        return condition.of(events)
    values = condition.of(events)
    other = values[(values != 0.0) & (values != 1.0)]
    if other.size:
        raise InputError(
            condition.name, got=f"the value {other[0]}", expected="true or false, 1 or 0"
        )
    return np.asarray(values == 1.0)


def functions_of(path: str | Path) -> dict[str, ColumnFunction]:
    """Return the public functions that a Python file defines, by name.

    The file is run: it must be one that you trust.  Imported functions and
    those whose names begin with an underscore are left out.
    """
    file = Path(path)
    module = _imported(file)
    own = {
        name: column_function(function, f"{file}: {name}")
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and not name.startswith("_")
        and function.__module__ == module.__name__
    }
    require(own, str(file), got="no public function", expected="def name(column, …): …")
    return own


def column_function(function: Callable[..., object], name: str) -> ColumnFunction:
    """Return a function with its columns, which are its arguments without defaults.

    ``*args``, ``**kwargs`` and keyword-only arguments are refused, and so is no argument.
    """
    parameters = inspect.signature(function).parameters.values()
    needed = [one for one in parameters if one.default is one.empty]
    require(
        needed and all(one.kind is one.POSITIONAL_OR_KEYWORD for one in needed),
        name,
        got=f"arguments {inspect.signature(function)}",
        expected="plain arguments that are names of columns",
    )
    return ColumnFunction(name, function, tuple(one.name for one in needed))


class _Fresh(importlib.machinery.SourceFileLoader):
    """Reads the source each time: cached bytecode misses an edit within the same second."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _imported(file: Path) -> ModuleType:
    require(file.is_file(), str(file), got="no such file", expected="a Python file")
    suffix = file.suffix
    require(suffix == ".py", str(file), got=f"the suffix {suffix!r}", expected="a .py file")
    loader = _Fresh("verisimile_user_file", str(file))
    spec = importlib.machinery.ModuleSpec(loader.name, loader, origin=str(file))
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    try:
        loader.exec_module(module)
    except SyntaxError as error:
        raise InputError(
            f"{file}, line {error.lineno}", got=f"{error.msg}", expected="valid Python"
        ) from error
    # The user's file may raise anything.
    except Exception as error:
        raise InputError(
            str(file), got=f"{type(error).__name__}: {error}", expected="a file that can be run"
        ) from error
    return module


Ends = tuple[float, float] | None
"""Where one period begins and ends; None for an angle in radians, cut anywhere."""


def periods(texts: Sequence[str]) -> dict[str, Ends]:
    """Return by name the ends of a period in ``name=low:high``, None for a bare ``name``.

    Examples
    --------
    >>> periods(["phi", "angle=0:360"])
    {'phi': None, 'angle': (0.0, 360.0)}
    """
    found: dict[str, Ends] = {}
    for text in texts:
        name, equals, ends = text.rpartition("=") if "=" in text else (text, "", "")
        name, pair = name.strip(), _ends(ends) if equals else None
        if not name or name in found or (equals and pair is None):
            raise InputError(
                "periodic",
                got=repr(text),
                expected="name, or name=low:high with the ends of one period, each name once",
                remedy="For instance phi for an angle in radians, angle=0:360 for one in degrees.",
            )
        found[name] = pair
    return found


def _ends(text: str) -> Ends:
    """Return the numbers of ``low:high``, None if they are no ends of a period."""
    low, _, high = text.partition(":")
    try:
        pair = float(low), float(high)
    except ValueError:
        return None
    return pair if all(map(math.isfinite, pair)) and pair[0] < pair[1] else None


def periodic_descriptions(texts: Sequence[str]) -> dict[str, Description]:
    """Return the features that ``name`` or ``name=low:high`` call periodic."""
    return {
        name: Description(kind="periodic", low=low, high=high)
        for name, ends in periods(texts).items()
        for low, high in (ends or (None, None),)
    }


def described(events: Events, descriptions: Mapping[str, Description]) -> Events:
    """Return `events` with what is said of their features.

    Raises
    ------
    InputError
        With the nearest match, if a name is no feature; if a transform does not fit the bounds.
    SupportError
        If values lie outside of a support.
    """
    require_columns(list(descriptions), events.names, "described features")
    return events.with_features(
        [
            descriptions[spec.name].onto(spec) if spec.name in descriptions else spec
            for spec in events.features
        ]
    )


def worded_by(events: Events, others: Sequence[Events]) -> Events:
    """Return `events` with the units and labels that other samples state and it does not."""
    stated: dict[str, list[Feature]] = {}
    for other in others:
        for spec in other.features:
            stated.setdefault(spec.name, []).append(spec)
    return events.with_features(
        [worded(spec, stated.get(spec.name, ())) for spec in events.features]
    )
