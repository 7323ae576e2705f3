"""Events: a matrix of named features with optional weights and groups, immutable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, IntArray, as_matrix, as_vector, digest
from verisimile.core.errors import InputError, SupportError, require
from verisimile.core.random import Seeds
from verisimile.data.account import Account
from verisimile.data.feature import (
    Feature,
    listing,
    require_columns,
    say_columns,
    suggestion,
    unique,
)
from verisimile.data.groups import compact, group_codes, parts_of_groups
from verisimile.data.request import Missing, ReadTable, Request
from verisimile.data.row_hashes import row_hashes, shared_rows
from verisimile.data.sources import is_table, opened, plain_array


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class Events:
    """Events with named features, immutable and identified by their content.

    Parameters
    ----------
    x
        Values ``(n, d)``: finite, inside the support of their features.  Or whatever has columns
        with names: a path, a pattern or a list of files (see
        :func:`~verisimile.data.files.read_events`), a pandas or polars frame, an Arrow table, a
        dict of columns, a structured or flat awkward array; their numeric columns become the
        features, matched by name.
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
        x: object,
        weights: npt.ArrayLike | str | None = None,
        *,
        names: Sequence[str] | None = None,
        features: Sequence[Feature | str] | None = None,
        group: npt.ArrayLike | str | None = None,
        ignore: Sequence[str] = (),
        missing: Missing = "refuse",
    ) -> None:
        specs = specs_of(names, features)
        values: Any = x if is_table(x) else plain_array(x)
        if is_table(x) or missing != "refuse" or np.ma.is_masked(values):
            table = _table_of(values, weights, specs, group, ignore, missing)
            masses: Any = table.weights if isinstance(weights, str) else weights
            labels: Any = table.group if isinstance(group, str) else group
            matrix, specs, account = table.x, table.specs, table.account
            check_finite(matrix, [spec.name for spec in specs])
        else:
            named = {"weights": weights, "group": group, "ignore": tuple(ignore) or None}
            _refuse_names(named)
            matrix = matrix_of(values, None if specs is None else [spec.name for spec in specs])
            specs = specs or tuple(Feature(name) for name in _numbered(matrix.shape[1]))
            masses, labels, account = weights, group, None
        check_support(matrix, specs)
        self._set(
            matrix,
            None if masses is None else weights_of(plain_array(masses), len(matrix)),
            specs,
            None if labels is None else group_codes(labels, len(matrix)),
            account,
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
        rows = _rows(index, self.n)
        weights = None if self.weights is None else self.weights[rows]
        group = None if self.group is None else compact(self.group[rows])
        return _trusted(self.x[rows], weights, self.features, group, self.account)

    def select(self, names: Sequence[str]) -> Events:
        """Return the same events with the named features only, in the given order."""
        wanted = name_list(names, "events.select")
        require_columns(wanted, self.names, "events")
        columns = [self.names.index(name) for name in wanted]
        features = tuple(self.features[j] for j in columns)
        x = np.ascontiguousarray(self.x[:, columns])
        account = None if self.account is None else replace(self.account, kept=wanted, left_out=())
        return _trusted(x, self.weights, features, self.group, account)

    def split(self, fractions: Sequence[float], seeds: Seeds) -> tuple[Events, ...]:
        """Return disjoint random parts with the given fractions of the events.

        Fractions that add up to less than one leave the rest unused.  All rows of a group
        go into the same part, whose size is then only about its fraction.  No part may
        stay empty.
        """
        edges = _split_edges(fractions, self.n)
        rng = seeds.at("split").numpy()
        if self.group is not None:
            shares = np.asarray(fractions, dtype=np.float64)
            return tuple(self.take(rows) for rows in parts_of_groups(self.group, shares, rng))
        order = rng.permutation(self.n)
        return tuple(self.take(order[a:b]) for a, b in zip(edges[:-1], edges[1:], strict=True))

    def overlap(self, other: Events) -> int:
        """Return how many rows of `other` occur in these events, byte for byte.

        Columns are matched by name, weights do not count, and both need the
        same columns.  A number above the rare coincidence of continuous values
        says that the samples share events.
        """
        theirs = match_features(other, self.features)
        return shared_rows(row_hashes(theirs.x), row_hashes(self.x))

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


def match_features(
    events: Events, features: Sequence[Feature | str], *, where: str = "events", of: str = ""
) -> Events:
    """Return `events` with its columns in the order of `features`, matched by name.

    The events keep their own specifications.  The sets of names must agree, and so must
    two stated units; errors call the events `where`, and what the features are `of`.
    """
    specs = [Feature(spec) if isinstance(spec, str) else spec for spec in features]
    names = tuple(spec.name for spec in specs)
    _same_names(events, names, where, of)
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


def _same_names(events: Events, expected: tuple[str, ...], where: str, of: str) -> None:
    got = events.names
    if set(got) == set(expected):
        return
    missing = [name for name in expected if name not in got]
    more = [name for name in got if name not in expected]
    left_out = () if events.account is None else events.account.left_out
    why = "".join(f"; {one.name!r} was {one}" for one in left_out if one.name in missing)
    hint = suggestion(missing[0], more) if missing else f"Use events.select({list(expected)})."
    raise InputError(
        where,
        got=f"columns {listing(got)} (missing: {listing(missing)}; too many: {listing(more)}{why})",
        expected=f"the columns {listing(expected)}{f' of the {of}' if of else ''}",
        remedy=hint or _common([name for name in expected if name in got], [*missing, *more]),
    )


def _common(shared: Sequence[str], others: Sequence[str]) -> str:
    """Return how two samples are read with the same columns."""
    both = say_columns("features", shared) if shared else "the same features=[...]"
    return f"Read both samples with {both}, or with {say_columns('ignore', others)}."


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
    check_finite(table.x, [spec.name for spec in table.specs])
    check_support(table.x, table.specs)
    n = len(table.x)
    return _trusted(
        table.x,
        None if table.weights is None else weights_of(table.weights, n),
        table.specs,
        None if table.group is None else group_codes(table.group, n),
        table.account,
    )


def _table_of(
    values: object,
    weights: object,
    specs: tuple[Feature, ...] | None,
    group: object,
    ignore: Sequence[str],
    missing: Missing,
) -> ReadTable:
    """Return the columns of a table, or of a matrix with missing values, that are asked for."""
    names = None if specs is None else tuple(spec.name for spec in specs)
    if names is None and isinstance(values, np.ndarray) and values.ndim == 2:
        names = _numbered(values.shape[1])
    asked = Request(
        names,
        weights if isinstance(weights, str) else None,
        # A bare name leaves what the source itself says of the column.
        {spec.name: spec for spec in specs or () if spec != Feature(spec.name)},
        group if isinstance(group, str) else None,
        tuple(ignore),
        missing,
    )
    with opened(values, asked) as source:
        return asked.table(source)


def _numbered(d: int) -> tuple[str, ...]:
    """Return the names of columns that have none."""
    return tuple(f"x{j}" for j in range(d))


def _refuse_names(given: Mapping[str, object]) -> None:
    for role, value in given.items():
        named = isinstance(value, str) or role == "ignore"
        require(
            value is None or not named,
            f"events.{role}",
            got=f"the column {value!r} of an array, whose columns have no names",
            expected="numbers" if role != "ignore" else "a table with named columns",
            remedy="Pass a frame or a dict of columns, or the values themselves.",
        )


def _rows(index: npt.ArrayLike, n: int) -> IntArray:
    rows = np.asarray(index)
    if rows.dtype == np.bool_ and rows.shape == (n,):
        rows = np.flatnonzero(rows)
    require(rows.size, "events.take", got="no rows", expected="at least one event")
    require(
        rows.ndim == 1 and rows.dtype.kind in "iu",
        "events.take",
        got=f"an index of type {rows.dtype} and shape {rows.shape}",
        expected=f"row numbers, or a mask of shape ({n},)",
    )
    require(
        rows.min() >= 0 and rows.max() < n,
        "events.take",
        got=f"rows from {rows.min()} to {rows.max()}",
        expected=f"rows from 0 to {n - 1}",
    )
    return rows.astype(np.int64, copy=False)


def _split_edges(fractions: Sequence[float], n: int) -> IntArray:
    parts = np.asarray(fractions, dtype=np.float64)
    require(
        parts.ndim == 1 and parts.size and (parts > 0).all() and parts.sum() <= 1 + 1e-9,
        "events.split",
        got=f"fractions {fractions}",
        expected="positive fractions with a sum of at most one",
    )
    edges = np.rint(np.concatenate([[0.0], np.cumsum(parts)]) * n).astype(np.int64)
    require(
        np.diff(edges).all(),
        "events.split",
        got=f"{n} events for fractions {fractions}",
        expected="at least one event in every part",
    )
    return np.asarray(np.minimum(edges, n), dtype=np.int64)


def specs_of(
    names: Sequence[str] | None, features: Sequence[Feature | str] | None
) -> tuple[Feature, ...] | None:
    """Return the specifications that `names` or `features` give, or None if neither does."""
    if features is None:
        return None if names is None else tuple(map(Feature, name_list(names, "events.names")))
    require(
        not isinstance(features, str) and all(isinstance(one, Feature | str) for one in features),
        "events.features",
        got=repr(features),
        expected="a sequence of Feature, or of names",
    )
    specs = [Feature(one) if isinstance(one, str) else one for one in features]
    listed = name_list([spec.name for spec in specs], "events.features")
    require(
        names is None or tuple(names) == listed,
        "events.names",
        got=listing(names or ()),
        expected=f"the names of the features, {listing(listed)}",
        remedy="Give names or features, not both.",
    )
    return tuple(specs)


def name_list(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Return distinct names as a tuple; one string or none at all is an `InputError`."""
    if isinstance(names, str) or not len(names):
        raise InputError(where, got=repr(names), expected="a sequence of column names")
    unique(names, where)
    return tuple(names)


def matrix_of(x: npt.ArrayLike, names: Sequence[str] | None) -> Array:
    """Return `x` as a finite, read-only matrix ``(n, d)`` with at least one event."""
    try:
        matrix = as_matrix(x, "events.x", columns=None if names is None else len(names))
    except InputError:
        _reject_non_finite(x, names)  # names the column; any other fault is told as it is
        raise
    require(
        matrix.size,
        "events.x",
        got=f"{matrix.shape[0]} events with {matrix.shape[1]} features",
        expected="at least one of each",
        remedy="Check the selection that made this sample.",
    )
    return matrix


def _reject_non_finite(x: npt.ArrayLike, names: Sequence[str] | None) -> None:
    try:
        array = np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError):
        return
    if array.ndim == 2 and (names is None or len(names) == array.shape[1]):
        check_finite(array, names or _numbered(array.shape[1]))


def check_finite(x: Array, names: Sequence[str]) -> None:
    """Raise an InputError that names the columns unless all values ``(n, d)`` are finite."""
    if np.isfinite(x).all():
        return
    found = {name: np.flatnonzero(~np.isfinite(x[:, j])) for j, name in enumerate(names)}
    counts = {name: len(rows) for name, rows in found.items() if len(rows)}
    if counts:
        worst = next(iter(counts))
        raise InputError(
            f"events.x, column {worst!r}",
            got=f"NaN or infinite values (per column: {counts}), the first in row "
            f"{found[worst][0]}",
            expected="finite numbers",
            remedy="Remove or repair these rows before the analysis.",
        )


def weights_of(weights: npt.ArrayLike, n: int) -> Array:
    """Return `weights` as a finite, read-only vector ``(n,)``, of any sign but not all zero."""
    vector = as_vector(weights, "events.weights", length=n)
    require(vector.any(), "events.weights", got="only zeros", expected="some non-zero weight")
    return vector


def check_support(x: Array, features: tuple[Feature, ...]) -> None:
    """Raise a SupportError unless every value lies in the closed support of its feature."""
    for feature, column in zip(features, x.T, strict=True):
        if not feature.bounds:
            continue
        rows = np.flatnonzero((column < feature.low) | (column > feature.high))
        if rows.size:
            first = float(column[rows[0]])
            raise SupportError(
                f"events.x, column {feature.name!r}",
                got=f"{len(rows)} values outside, the first {first} in row {rows[0]}",
                expected=f"values in [{feature.low}, {feature.high}]",
                remedy="Cut the events or widen the bounds"
                " (also if float32 rounded a value past an edge).",
            )
