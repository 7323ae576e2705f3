"""Functions of columns from a small Python file of the user."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.data.feature import listing, suggestion


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

        Raises
        ------
        InputError
            If the function fails, or returns something else than ``(n,)`` numbers.
        """
        try:
            result = self.function(*columns)
            values = np.asarray(result, dtype=np.float64)
        # The user's code may raise anything, and its author wants to know where.
        except Exception as error:
            raise InputError(
                self.name, got=f"{type(error).__name__}: {error}", expected="numbers for each event"
            ) from error
        n = columns[0].shape[0]
        if values.shape != (n,):
            raise InputError(
                self.name, got=f"an array of shape {values.shape}", expected=f"shape ({n},)"
            )
        return frozen(values)

    def of(self, events: Events) -> Array:
        """Return the values ``(n,)``, all finite.

        Raises
        ------
        InputError
            If an argument is no column, or the values are not ``(n,)`` finite numbers.
        """
        for name in self.names:
            if name not in events.names:
                raise InputError(
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


def functions_of(path: str | Path) -> dict[str, ColumnFunction]:
    """Return the public functions that a Python file defines, by name.

    The file is run: it must be one that you trust.  Imported functions and
    those whose names begin with an underscore are left out.

    Raises
    ------
    InputError
        If the file is missing, cannot be run, defines no public function, or a
        function takes no columns or other than plain arguments.
    """
    file = Path(path)
    module = _imported(file)
    own = {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and not name.startswith("_")
        and function.__module__ == module.__name__
    }
    if not own:
        raise InputError(str(file), got="no public function", expected="def name(column, …): …")
    return {name: column_function(function, f"{file}: {name}") for name, function in own.items()}


def column_function(function: Callable[..., object], name: str) -> ColumnFunction:
    """Return a function with its columns, which are its arguments without defaults.

    Raises
    ------
    InputError
        If it takes none, or takes ``*args``, ``**kwargs`` or keyword-only arguments.
    """
    parameters = inspect.signature(function).parameters.values()
    needed = [one for one in parameters if one.default is one.empty]
    if not needed or any(one.kind is not one.POSITIONAL_OR_KEYWORD for one in needed):
        raise InputError(
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
    if not file.is_file():
        raise InputError(str(file), got="no such file", expected="a Python file")
    if file.suffix != ".py":
        raise InputError(str(file), got=f"the suffix {file.suffix!r}", expected="a .py file")
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
