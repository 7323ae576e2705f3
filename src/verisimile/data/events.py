"""Events: a matrix of named features with optional weights and groups, immutable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, overload

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, IntArray, digest
from verisimile.core.errors import InputError, require
from verisimile.core.frames import pandas_frame
from verisimile.core.random import Seeds
from verisimile.data.account import Account, combined
from verisimile.data.checked import (
    check_support,
    ignored,
    matrix_of,
    name_list,
    nameless,
    numbered,
    refuse_names,
    same_names,
    specs_of,
    stacked_weights,
    weights_of,
)
from verisimile.data.feature import Feature, listing, require_columns
from verisimile.data.groups import compact, group_codes, parts_of_groups, stacked_groups
from verisimile.data.held import Held, plain_array
from verisimile.data.losses import LostRows, stacked_losses
from verisimile.data.request import Missing, ReadTable
from verisimile.data.row_hashes import row_hashes, shared_rows
from verisimile.data.rows import counted_rows, row_numbers, split_edges
from verisimile.data.source import arrays_source
from verisimile.data.sources import is_table
from verisimile.data.tables import table_of

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class Events:
    """Events with named features, immutable and identified by their content.

    Parameters
    ----------
    x
        Values ``(n, d)``: finite, inside the support of their features; a tensor is detached.  Or
        whatever has columns with names: a path, a pattern or a list of files (see
        :func:`~verisimile.data.files.read_events`), a pandas or polars frame, an Arrow table, a
        dict of columns, a structured or flat awkward array, a table of astropy, other events;
        their numeric columns become the features, matched by name.
    weights
        Event weights ``(n,)`` or None; any sign, finite, not all zero.  Of a table also the name
        of its column.
    names
        Feature names; by default ``x0, x1, …`` of a matrix, all numeric columns of a table.
    features
        Full specifications instead of bare names.
    ignore
        Columns of a table to leave out, whatever they hold.
    missing
        ``refuse`` rows without a value (NaN, null, masked), or ``drop`` and count them.
    group
        Which rows belong together, such as the number of the physics event that several
        rows come from: integers or strings ``(n,)``.  Rows of one group may depend on each
        other, groups do not; `split`, cross-fitting and the nulls of tests keep them whole.
        None if all rows are independent.  Kept as codes ``0 … G−1``.  Of a table also the name
        of its column.

    Attributes
    ----------
    account
        What became of the columns and rows of a table; None of an array.

    Raises
    ------
    InputError
        For no events, non-numeric or non-finite values (naming the column), repeated
        names, lengths that do not agree, or labels of groups that are missing or not whole.
    SupportError
        For values outside the stated support of their feature.

    Examples
    --------
    >>> Events([[91.2, 12.0], [90.8, 3.5]], names=("m", "pt"))
    Events(n=2, d=2, names=('m', 'pt'), unweighted)
    >>> Events([[1.0], [2.0], [5.0]], names=("pt",), group=[7, 7, 9]).n_groups
    2
    """

    x: Array
    weights: Array | None
    features: tuple[Feature, ...]
    group: IntArray | None
    account: Account | None
    _digest: str

    def __init__(
        self,
        x: Events | Held,
        weights: npt.ArrayLike | str | None = None,
        *,
        names: Sequence[str] | None = None,
        features: Sequence[Feature | str] | None = None,
        group: npt.ArrayLike | str | None = None,
        ignore: Sequence[str] = (),
        missing: Missing = "refuse",
    ) -> None:
        specs = specs_of(names, features)
        if isinstance(x, Events):
            self._set_again(x, specs, weights, group, ignore)
            return
        values: Any = x if is_table(x) else plain_array(x)
        if is_table(values) or str(missing) != "refuse" or np.ma.is_masked(values):
            read = events_of_table(table_of(values, weights, specs, group, ignore, missing))
            self._set(read.x, read.weights, read.features, read.group, read.account)
            return
        refuse_names({"weights": weights, "group": group, "ignore": ignored(ignore) or None})
        matrix = matrix_of(values, None if specs is None else [spec.name for spec in specs])
        specs = specs or tuple(map(Feature, numbered(matrix.shape[1])))
        check_support(matrix, specs)
        self._set(
            matrix,
            None
            if weights is None
            else weights_of(plain_array(weights, "events.weights"), len(matrix)),
            specs,
            None if group is None else group_codes(group, len(matrix)),
            None,
        )

    @property
    def n(self) -> int:
        """Return the number of events."""
        return int(self.x.shape[0])

    @property
    def n_groups(self) -> int:
        """Return the number of groups, that of events if every row stands alone."""
        return self.n if self.group is None else int(self.group.max()) + 1

    @property
    def d(self) -> int:
        """Return the number of features."""
        return int(self.x.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """Return the feature names, in column order."""
        return tuple(feature.name for feature in self.features)

    @property
    def nameless(self) -> bool:
        """Return whether columns are known by their place only, as those of a bare array."""
        return nameless(self.names)

    @property
    def signed(self) -> bool:
        """Return whether any event has a negative weight."""
        return self.weights is not None and bool((self.weights < 0).any())

    @property
    def n_effective(self) -> float:
        """Return ``(Σu)² / Σu²``, the number of events for unit weights."""
        if self.weights is None:
            return float(self.n)
        scaled = self.weights / np.abs(self.weights).max()
        return float(scaled.sum() ** 2 / (scaled**2).sum())

    @property
    def digest(self) -> str:
        """Return the sha256 of values, weights, names and groups: the key of cached results."""
        if not self._digest:
            names = np.frombuffer("\x1f".join(self.names).encode(), np.uint8)
            groups = () if self.group is None else (self.group,)
            object.__setattr__(self, "_digest", digest(names, self.x, self.weights, *groups))
        return self._digest

    def column(self, name: str) -> Array:
        """Return the values ``(n,)`` of one feature."""
        require_columns([name], self.names, "events")
        return self.x[:, self.names.index(name)]

    def take(self, index: npt.ArrayLike) -> Events:
        """Return the events at the given rows: integers (repeats allowed) or a mask.

        A repeated row stays in its group.  At least one row is asked for.
        """
        rows = row_numbers(index, self.n)
        weights = None if self.weights is None else self.weights[rows]
        group = None if self.group is None else compact(self.group[rows])
        return _trusted(self.x[rows], weights, self.features, group, self.account)

    def select(self, names: Sequence[str]) -> Events:
        """Return the same events with the named features only, in the given order."""
        wanted = name_list(names, "events.select")
        require_columns(wanted, dict.fromkeys(self.names), "events")
        places = {name: j for j, name in enumerate(self.names)}
        columns = [places[name] for name in wanted]
        features = tuple(self.features[j] for j in columns)
        x = np.ascontiguousarray(self.x[:, columns])
        account = None if self.account is None else self.account.of_columns(wanted, listed=True)
        return _trusted(x, self.weights, features, self.group, account)

    def with_features(self, features: Sequence[Feature]) -> Events:
        """Return the same events with other specifications of the same columns, in their order."""
        specs = tuple(features)
        if specs == self.features:
            return self
        names = tuple(spec.name for spec in specs)
        expected = listing(self.names)
        require(names == self.names, "events.features", got=listing(names), expected=expected)
        check_support(self.x, specs)
        return _trusted(self.x, self.weights, specs, self.group, self.account)

    def split(self, fractions: Sequence[float], seeds: Seeds) -> tuple[Events, ...]:
        """Return disjoint random parts with the given fractions of the events.

        Fractions that add up to less than one leave the rest unused.  All rows of a group
        go into the same part, whose size is then only about its fraction.  No part may
        stay empty.
        """
        edges = split_edges(fractions, self.n)
        rng = seeds.at("split").numpy()
        if self.group is not None:
            shares = np.asarray(fractions, dtype=np.float64)
            return tuple(self.take(rows) for rows in parts_of_groups(self.group, shares, rng))
        order = rng.permutation(self.n)
        return tuple(self.take(order[a:b]) for a, b in zip(edges[:-1], edges[1:], strict=True))

    def overlap(self, other: Events | Held) -> int:
        """Return how many rows of `other` occur in these events, byte for byte.

        Columns are matched by name, weights do not count, and both need the
        same columns.  A number above the rare coincidence of continuous values
        says that the samples share events.
        """
        theirs = match_features(_events(other), self.features)
        return shared_rows(row_hashes(theirs.x), row_hashes(self.x))

    @staticmethod
    def concatenate(samples: Sequence[Events | Held]) -> Events:
        """Return samples one below the other, columns matched by name to those of the first.

        All have weights or none has.  Groups of different samples are different, and rows of a
        sample without groups are groups of their own.
        """
        parts = [_events(sample) for sample in samples]
        require(parts, "Events.concatenate", got="no sample", expected="one or more")
        features = parts[0].features
        parts = [match_features(part, features) for part in parts]
        x = np.concatenate([part.x for part in parts])
        check_support(x, features)
        return _trusted(
            x,
            stacked_weights([part.weights for part in parts]),
            features,
            stacked_groups([part.group for part in parts], [part.n for part in parts]),
            combined(
                [part.account for part in parts],
                parts[0].names,
                sum,
                lost=stacked_losses([part._rows_of_source() for part in parts]),
            ),
        )

    def join(self, other: Events | Held) -> Events:
        """Return the same events with the further columns of `other`, which has the same rows.

        `other` is whatever `Events` takes, such as a dict of new columns.  Weights and groups stay;
        those of `other`, if it has any, must be the same.
        """
        more = _events(other)
        shared = [name for name in more.names if name in self.names]
        require(
            more.n == self.n and not shared,
            "events.join",
            got=f"{more.n} rows, columns {listing(shared)} twice" if shared else f"{more.n} rows",
            expected=f"further columns for the same {self.n} rows",
            remedy="Events.concatenate([a, b]) puts samples one below the other.",
        )
        for role in ("weights", "group"):
            ours, theirs = getattr(self, role), getattr(more, role)
            require(
                theirs is None or np.array_equal(ours, theirs),
                f"events.join, {role}",
                got="others than the events have",
                expected="the same, or none",
            )
        names = (*self.names, *more.names)
        return _trusted(
            np.hstack([self.x, more.x]),
            self.weights,
            (*self.features, *more.features),
            self.group,
            combined([self.account, more.account], names, max, lost=self._lost),
        )

    def to_dict(self) -> dict[str, Array | IntArray]:
        """Return the columns by name, last the weights as ``weight``, groups as ``group``.

        An InputError says that a feature has one of these names beside them.
        """
        columns: dict[str, Array | IntArray] = {
            name: np.ascontiguousarray(self.column(name)) for name in self.names
        }
        for name, values, meaning in (
            ("weight", self.weights, "event weights"),
            ("group", self.group, "groups of rows"),
        ):
            require(
                values is None or name not in columns,
                "events",
                got=f"a feature named {name!r} beside {meaning}",
                expected=f"that name to be free for the {meaning}",
                remedy="Rename the feature.",
            )
            if values is not None:
                columns[name] = values
        return columns

    def to_frame(self) -> DataFrame:
        """Return a pandas frame of the columns of :meth:`to_dict`.

        ``Events(frame, weights="weight", group="group")`` reads it back.
        """
        return pandas_frame(self.to_dict(), "events.to_frame", instead="events.to_dict()")

    @overload
    def __getitem__(self, key: str) -> Array: ...

    @overload
    def __getitem__(
        self, key: int | slice | list[Any] | tuple[str, ...] | npt.NDArray[Any]
    ) -> Events: ...

    def __getitem__(self, key: Any) -> Array | Events:
        """Return one column by its name, several as events, or rows as `take` does.

        ``events["pt"]`` is an array ``(n,)``; ``events[["m", "pt"]]``, ``events[10:20]``,
        ``events[-1]``, ``events[[3, 1]]`` and ``events[events["pt"] > 30.0]`` are events.
        """
        if isinstance(key, str):
            return self.column(key)
        if isinstance(key, list | tuple) and key and all(isinstance(name, str) for name in key):
            return self.select(key)
        require(
            not isinstance(key, tuple),
            "events[...]",
            got="rows and columns at once",
            expected="a name, names, rows or a mask",
            remedy="One after the other, events[rows][names], or of the values events.x[rows, j].",
        )
        return self.take(counted_rows(key, self.n))

    def __iter__(self) -> NoReturn:
        """Refuse: events are rows to some and columns to others."""
        raise InputError(
            "events",
            got="a loop over them",
            expected="a loop over events.x, row by row, or over events.names",
        )

    def __array__(
        self,
        dtype: npt.DTypeLike | None = None,
        copy: bool | None = None,  # noqa: FBT001  (NumPy's protocol)
    ) -> npt.NDArray[Any]:
        """Return the values ``(n, d)`` alone, without names, weights and groups."""
        return np.array(self.x, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        """Return the number of events."""
        return self.n

    def __repr__(self) -> str:
        """Return size, names and kind of weights on one line."""
        kind = "unweighted" if self.weights is None else "weighted"
        groups = "" if self.group is None else f", {self.n_groups} groups"
        return f"Events(n={self.n}, d={self.d}, names={self.names}, {kind}{groups})"

    def __reduce__(self) -> tuple[object, ...]:
        # Default unpickling would leave the arrays writeable in a worker.
        return (_trusted, (self.x, self.weights, self.features, self.group, self.account))

    @property
    def _lost(self) -> LostRows | None:
        return None if self.account is None else self.account.lost

    def _rows_of_source(self) -> LostRows:
        return self._lost or LostRows.none(self.n, self.weights, self.group)

    def _set_again(
        self,
        events: Events,
        specs: tuple[Feature, ...] | None,
        weights: npt.ArrayLike | str | None,
        group: npt.ArrayLike | str | None,
        ignore: Sequence[str],
    ) -> None:
        """Take everything that is not given anew from `events`."""
        read = events_of_table(
            table_of(
                arrays_source(
                    {name: events.column(name) for name in events.names},
                    {spec.name: spec for spec in events.features},
                ),
                events.weights if weights is None else weights,
                events.features if specs is None else specs,
                events.group if group is None else group,
                ignore,
                "refuse",
            )
        )
        old = events.account
        account = None if old is None else old.of_columns(read.names, listed=specs is not None)
        self._set(read.x, read.weights, read.features, read.group, account)

    def _set(
        self,
        x: Array,
        weights: Array | None,
        features: tuple[Feature, ...],
        group: IntArray | None,
        account: Account | None,
    ) -> None:
        for array in (x, weights, group):
            if array is not None:
                array.setflags(write=False)
        values = (x, weights, features, group, account, "")
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)


def _events(value: Events | Held) -> Events:
    return value if isinstance(value, Events) else Events(value)


def match_features(
    events: Events, features: Sequence[Feature | str], *, where: str = "events", of: str = ""
) -> Events:
    """Return `events` with its columns in the order of `features`, matched by name.

    The events keep their own specifications.  The sets of names must agree, and so must
    two stated units; errors call the events `where`, and what the features are `of`.
    """
    specs = [Feature(spec) if isinstance(spec, str) else spec for spec in features]
    names = tuple(spec.name for spec in specs)
    same_names(events.names, names, where=where, of=of, account=events.account)
    matched = events if names == events.names else events.select(names)
    for mine, theirs in zip(matched.features, specs, strict=True):
        require(
            not (mine.unit and theirs.unit) or mine.unit == theirs.unit,
            f"{where}, column {mine.name!r}",
            got=f"the unit {mine.unit!r}",
            expected=f"the unit {theirs.unit!r}",
            remedy="Convert one of the samples.",
        )
    return matched


def _trusted(
    x: Array,
    weights: Array | None,
    features: tuple[Feature, ...],
    group: IntArray | None = None,
    account: Account | None = None,
) -> Events:
    """Build events from parts of checked ones, without checking again."""
    events = object.__new__(Events)
    events._set(x, weights, features, group, account)
    return events


def events_of_table(table: ReadTable) -> Events:
    """Return what was read of a source as events, after the checks that all events pass."""
    check_support(table.x, table.specs)
    n = len(table.x)
    return _trusted(
        table.x,
        None if table.weights is None else weights_of(table.weights, n),
        table.specs,
        None if table.group is None else group_codes(table.group, n),
        table.account,
    )
