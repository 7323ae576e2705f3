"""What a file holds (columns that can be loaded) and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, require
from verisimile.data.events import Events
from verisimile.data.feature import Feature, listing, require_columns, unique

_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an open file.

    Parameters
    ----------
    load
        Returns its values ``(n,)``; called only if the column is wanted.
    fault
        Why it cannot be a feature (``"strings"``), empty if it can.
    """

    load: Callable[[], npt.NDArray[Any]]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """An open file: columns by name, in file order, and the specifications it carries."""

    columns: Mapping[str, Column]
    specs: Mapping[str, Feature] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """Which columns are features, which hold weights and groups, and the specifications."""

    features: tuple[str, ...] | None = None
    weights: str | None = None
    specs: Mapping[str, Feature] = field(default_factory=dict)
    group: str | None = None

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Return the names of a bare matrix's columns: features, then weights, then groups."""
        if self.features is None:
            return None
        return tuple(dict.fromkeys((*self.features, *self._roles)))

    @property
    def _roles(self) -> tuple[str, ...]:
        """Return the columns that are no features."""
        return tuple(name for name in (self.weights, self.group) if name is not None)

    def events(self, source: Source) -> Events:
        """Return the requested columns of `source` as events."""
        loaded, specs = self._columns(source)
        return Events(
            np.column_stack([loaded[spec.name] for spec in specs]),
            None if self.weights is None else loaded[self.weights],
            features=specs,
            group=None if self.group is None else _labels(self.group, source.columns),
        )

    def finite_events(self, source: Source) -> tuple[Events, int]:
        """Return the rows that are finite in all features, and the number of the others."""
        loaded, specs = self._columns(source)
        x = np.column_stack([loaded[spec.name] for spec in specs])
        finite = np.isfinite(x).all(axis=1)
        require(
            finite.any(),
            "events",
            got=f"no finite row among {len(x)}",
            expected="at least one finite event",
        )
        return Events(x[finite], features=specs), int((~finite).sum())

    def _columns(self, source: Source) -> tuple[dict[str, Array], list[Feature]]:
        """Return features and weights by name, and the features' specifications."""
        features = self._features(source)
        wanted = features if self.weights is None else (*features, self.weights)
        require_columns([*wanted, *self._roles], source.columns, "columns")
        require_columns(list(self.specs), source.columns, "specs")
        loaded = {name: _loaded(name, source.columns[name]) for name in wanted}
        _check_lengths(loaded)
        return loaded, [self._spec(name, source) for name in features]

    def _features(self, source: Source) -> tuple[str, ...]:
        names = self.features
        if names is None:
            names = tuple(name for name, column in source.columns.items() if not column.fault)
            self._check_unclaimed(names)
        names = tuple(name for name in names if name not in self._roles)
        unique(names, "features")
        faults = {name: column.fault for name, column in source.columns.items()}
        require(
            names,
            "columns",
            got=f"no numeric feature among {faults}",
            expected="at least one flat numeric column",
            remedy="A CSV file needs a header and commas; nested columns must be flattened.",
        )
        return names

    def _check_unclaimed(self, names: tuple[str, ...]) -> None:
        # Neither reading weights as a feature nor dropping them in silence is right.
        for role, claimed, known, meaning in (
            ("weights", self.weights, ("weight", "weights"), "event weights"),
            ("group", self.group, ("group", "groups"), "groups of rows"),
        ):
            unclaimed = [name for name in names if name in known and name not in self._roles]
            if unclaimed and claimed is None:
                raise InputError(
                    "columns",
                    got=f"a column {unclaimed[0]!r} whose role is not stated",
                    expected=f"{meaning} by name, or a list of features",
                    remedy=f"Say {role}={unclaimed[0]!r}, or list features=[...] to leave it out.",
                )

    def _spec(self, name: str, source: Source) -> Feature:
        spec = self.specs.get(name) or source.specs.get(name) or Feature(name)
        require(
            spec.name == name,
            f"specs[{name!r}]",
            got=f"a feature named {spec.name!r}",
            expected="the specification of that column",
        )
        return spec


def _loaded(name: str, column: Column) -> Array:
    require(
        not column.fault,
        f"column {name!r}",
        got=column.fault,
        expected="a flat column of integers or floats",
        remedy="Choose other columns, or convert this one beforehand.",
    )
    values = column.load()
    if values.dtype.kind in "iu" and values.dtype.itemsize > 4:
        _check_exact(name, values)
    return values.astype(np.float64)


def _labels(name: str, columns: Mapping[str, Column]) -> npt.NDArray[Any]:
    """Return the labels of groups: numbers of any size, or text, as they are in the file."""
    values = np.asarray(columns[name].load())
    if values.dtype.kind == "S" or (
        values.dtype.kind == "O" and all(isinstance(label, bytes) for label in values.flat)
    ):
        # HDF5 gives its strings as bytes.
        return np.array([bytes(label).decode(errors="replace") for label in values.flat])
    return values


def _check_exact(name: str, values: npt.NDArray[np.integer[Any]]) -> None:
    large = (values > _EXACT) | (values < -_EXACT)
    if large.any():
        raise InputError(
            f"column {name!r}",
            got=f"integers such as {int(values[large][0])}, beyond 2**53",
            expected="numbers that a double holds exactly",
            remedy="Is it an event number? List the features to read.",
        )


def _check_lengths(columns: Mapping[str, Array]) -> None:
    lengths = {name: len(values) for name, values in columns.items()}
    equal = len(set(lengths.values())) == 1
    require(equal, "columns", got=f"lengths {lengths}", expected="equally long columns")
    require(
        any(lengths.values()),
        "events",
        got=f"no events in {listing(lengths)}",
        expected="at least one event",
        remedy="Check the selection that made this file.",
    )
