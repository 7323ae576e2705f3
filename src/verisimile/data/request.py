"""What is asked of a source of events, and what comes of it: numbers, and an account of columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import EXACT, Array, BoolArray
from verisimile.core.errors import InputError, require, require_one_of
from verisimile.core.memory import require_memory
from verisimile.data.account import Account, LeftOut
from verisimile.data.cells import read_cells
from verisimile.data.feature import Feature, listing, require_columns, say_columns, unique
from verisimile.data.losses import lost_rows
from verisimile.data.source import Column, Source, Values

Missing = Literal["refuse", "drop"]

_DOUBTFUL = 0.5
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_WEIGHTS = {"weight", "weights", "wgt", "wgts", "genweight", "mcweight", "eventweight", "evtweight"}
_GROUPS = {"group", "groups"}


@dataclass(frozen=True, slots=True, eq=False)
class ReadTable:
    """What was asked for: values ``(n, d)``, weights, labels of groups, and the account."""

    x: Array
    weights: Array | None
    specs: tuple[Feature, ...]
    group: Values | None
    account: Account


@dataclass(frozen=True, slots=True)
class Request:
    """Which columns are features, which hold weights and groups, what to do without a value.

    Attributes
    ----------
    features
        Names of columns, in the order wanted; None for all that hold numbers.
    weights, group
        Columns of these roles.
    specs
        Specifications that go before those of the source.
    ignore
        Columns that are left out, although they hold numbers.
    missing
        ``refuse`` rows without a value, or ``drop`` and count them.
    """

    features: tuple[str, ...] | None = None
    weights: str | None = None
    specs: Mapping[str, Feature] = field(default_factory=dict)
    group: str | None = None
    ignore: tuple[str, ...] = ()
    missing: Missing = "refuse"

    def __post_init__(self) -> None:
        require_one_of(self.missing, get_args(Missing), "missing")
        both = [name for name in self._roles if name in self.ignore]
        require(
            not both,
            "ignore",
            got=f"{listing(both)}, which is claimed as weights or group",
            expected="columns without a role",
        )

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

    def table(self, source: Source) -> ReadTable:
        """Return the requested columns of `source`, all finite values kept as they are."""
        loaded = self._loaded(source)
        self._check_missing(loaded)
        lost = loaded.lost()
        rows = ~lost
        account = replace(
            loaded.account,
            rows=len(lost),
            dropped=int(lost.sum()),
            missing=loaded.missing_counts(),
        )
        require(
            rows.any(),
            "events",
            got=f"no row of {len(lost)} without a missing value",
            expected="at least one event",
        )
        kept = slice(None) if rows.all() else rows
        if lost.any():
            everything = lost_rows(lost, loaded.weights, loaded.group)
            account = replace(account, lost=everything)
        return ReadTable(
            loaded.x[kept],
            None if loaded.weights is None else loaded.weights[kept],
            loaded.specs,
            None if loaded.group is None else loaded.group[kept],
            account,
        )

    def rows(self, source: Source) -> tuple[ReadTable, int]:
        """Return the rows that are finite in all features, and the number of the others."""
        loaded = self._loaded(source)
        finite = np.asarray(np.isfinite(loaded.x).all(axis=1))
        require(
            finite.any(),
            "events",
            got=f"no finite row among {len(loaded.x)}",
            expected="at least one finite event",
        )
        lost = int((~finite).sum())
        x = loaded.x[finite] if lost else loaded.x
        account = replace(loaded.account, rows=len(loaded.x))
        return ReadTable(x, None, loaded.specs, None, account), lost

    def _check_missing(self, loaded: _Loaded) -> None:
        if self.missing == "drop" or not loaded.missing:
            return
        worst, rows = next(iter(loaded.missing.items()))
        raise InputError(
            f"column {worst!r}",
            got=f"missing values (NaN, null or empty; per column: {loaded.missing_counts()}), "
            f"the first in row {int(np.flatnonzero(rows)[0])}",
            expected="a value in every cell",
            remedy="Drop and count these rows with missing='drop' (--missing drop), or "
            f"{_ignoring(list(loaded.missing))} to leave the columns out.",
        )

    def _loaded(self, source: Source) -> _Loaded:
        features, parsed, left_out = self._features(source)
        held = [name for name in features if name in source.columns]
        require_columns(
            [*features, *self._roles],
            source.columns,
            "columns",
            remedy=f"Name columns that all have: {say_columns('features', held)}." if held else "",
        )
        require_columns(list(self.specs), source.columns, "specs")
        wanted = features if self.weights is None else (*features, self.weights)
        for name in (*wanted, *self._roles):
            _check_readable(name, source.columns[name], role=name == self.group)
        specs = tuple(self._spec(name, source) for name in features)
        numbers = _numbers(source, wanted, parsed)
        weights = numbers.values[:, len(features)].copy() if self.weights is not None else None
        x = numbers.values[:, : len(features)]
        return _Loaded(
            x if weights is None else np.ascontiguousarray(x),
            weights,
            specs,
            None if self.group is None else _labels(self.group, source, len(x)),
            Account(features, left_out),
            numbers.missing,
        )

    def _features(
        self, source: Source
    ) -> tuple[tuple[str, ...], dict[str, Values], tuple[LeftOut, ...]]:
        """Return the features' names, values loaded to know them, and what is left out."""
        require_columns(self.ignore, source.columns, "ignore")
        if self.features is not None:
            names = tuple(n for n in self.features if n not in (*self._roles, *self.ignore))
            parsed: dict[str, Values] = {}
            left_out: tuple[LeftOut, ...] = ()
        else:
            names, parsed, left_out = self._chosen(source)
            self._check_unclaimed(names)
        unique(names, "features")
        held = {name: column.about or "numbers" for name, column in source.columns.items()}
        require(
            names,
            "columns",
            got=f"no numeric feature among {_first(held)}",
            expected="at least one flat numeric column",
            remedy="A CSV file needs a header and commas; nested columns must be flattened.",
        )
        return names, parsed, left_out

    def _chosen(
        self, source: Source
    ) -> tuple[tuple[str, ...], dict[str, Values], tuple[LeftOut, ...]]:
        """Go through all columns: each is a feature, has a role, or is accounted for."""
        chosen: list[str] = []
        parsed: dict[str, Values] = {}
        left_out: list[LeftOut] = []
        roles, ignored = set(self._roles), set(self.ignore)
        for name, column in source.columns.items():
            if name in roles:
                continue
            if name in ignored:
                left_out.append(LeftOut(name, "on request"))
                continue
            _check_refused(name, column)
            if column.index:
                left_out.append(LeftOut(name, column.index))
            elif column.content == "other":
                left_out.append(LeftOut(name, column.about, 1.0 if column.numeric else None))
            elif column.content == "numbers":
                chosen.append(name)
            else:
                (texts,) = source.load([name])
                found = _texts(name, column, texts)
                if isinstance(found, LeftOut):
                    left_out.append(found)
                else:
                    parsed[name] = found
                    chosen.append(name)
        return tuple(chosen), parsed, tuple(left_out)

    def _check_unclaimed(self, names: tuple[str, ...]) -> None:
        # Neither reading weights as a feature nor dropping them in silence is right.
        for role, known, meaning in (
            ("weights", looks_like_weights, "event weights"),
            ("group", lambda name: name in _GROUPS, "groups of rows"),
        ):
            unclaimed = [name for name in names if known(name)]
            if unclaimed:
                claimed = getattr(self, role)
                raise InputError(
                    "columns",
                    got=f"a column {unclaimed[0]!r} whose role is not stated",
                    expected=f"{meaning} by name, or a list of features",
                    remedy=_claim(role, unclaimed[0])
                    if claimed is None
                    else f"The {role} are {claimed!r} already: "
                    f"{_ignoring(unclaimed)} to leave out the others.",
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


def _claim(role: str, name: str) -> str:
    """Return how a role is stated or a column left out, in Python and on the command line."""
    return (
        f"Say {role}={name!r}, or ignore=[{name!r}] to leave it out, or list the features=[...] "
        f"(on the command line --{role} {name}, where there is one, --ignore {name}, or "
        "--features)."
    )


def _ignoring(names: Sequence[str]) -> str:
    return f"say {say_columns('ignore', names)}"


def looks_like_weights(name: str) -> bool:
    """Return whether a column's name says that it holds event weights.

    Examples
    --------
    >>> [looks_like_weights(name) for name in ("genWeight", "mc_weight_up", "weightless")]
    [True, True, False]
    """
    return any(word.lower() in _WEIGHTS for word in _WORDS.findall(name))


@dataclass(frozen=True, slots=True, eq=False)
class _Numbers:
    """Columns side by side ``(n, k)``, and by name where values are missing."""

    values: Array
    missing: dict[str, BoolArray]


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    x: Array
    weights: Array | None
    specs: tuple[Feature, ...]
    group: Values | None
    account: Account
    missing: dict[str, BoolArray]

    def lost(self) -> BoolArray:
        """Return the rows with a missing value ``(n,)``."""
        lost = np.zeros(len(self.x), np.bool_)
        for rows in self.missing.values():
            lost |= rows
        return lost

    def missing_counts(self) -> dict[str, int]:
        return {name: int(rows.sum()) for name, rows in self.missing.items()}


def _numbers(source: Source, names: Sequence[str], parsed: Mapping[str, Values]) -> _Numbers:
    """Return the named columns as one matrix; memory is asked for before it is taken."""
    declared = [source.columns[name].rows or 0 for name in names]
    # The matrix, its copy where rows are dropped, and one column of the file's own type.
    need = 8 * (sum(declared) + 2 * max(declared, default=0))
    require_memory(need, "events", stored=source.stored, what=f"{len(names)} columns")
    values, missing = np.empty((0, 0)), {}
    lengths: dict[str, int] = {}
    later = [name for name in names if name not in parsed]
    loaded = source.load(later)
    for j, name in enumerate(names):
        raw = parsed[name] if name in parsed else next(loaded)
        numbers, gaps = as_numbers(name, raw)
        lengths[name] = len(numbers)
        if j == 0:
            values = np.empty((len(numbers), len(names)))
        if len(numbers) != len(values):
            lengths |= {n: source.columns[n].rows or 0 for n in names[j + 1 :]}
            break
        values[:, j] = numbers
        if gaps is not None:
            missing[name] = gaps
    _check_lengths(lengths)
    return _Numbers(values, missing)


def as_numbers(name: str, raw: Values) -> tuple[Array, BoolArray | None]:
    """Return a loaded column as doubles, exactly, and where values are missing, if any are.

    NaN counts as missing; what is under a mask is never used.
    """
    if raw.ndim == 2 and raw.shape[1] == 1:
        raw = raw[:, 0]
    if raw.dtype.kind in "SUOT":
        cells = read_cells(raw)
        _check_cells(name, cells.wrong, cells.first_wrong, "text")
        return cells.values, cells.missing if cells.missing.any() else None
    gaps = np.ma.getmaskarray(raw) if isinstance(raw, np.ma.MaskedArray) else None
    filled = np.ma.filled(raw, 0) if isinstance(raw, np.ma.MaskedArray) else raw
    if filled.dtype.kind in "iu" and filled.dtype.itemsize > 4:
        _check_exact(name, filled)
    numbers = filled.astype(np.float64)
    nan = np.isnan(numbers)
    gaps = nan if gaps is None else gaps | nan
    if not gaps.any():
        return numbers, None
    numbers[gaps] = np.nan
    return numbers, gaps


def _texts(name: str, column: Column, texts: Values) -> Values | LeftOut:
    """Return text that stands for numbers as it is, to be read; otherwise why it is left out."""
    cells = read_cells(texts)
    if cells.missing.all():
        return LeftOut(name, "no value in any row")
    if column.content == "text":
        return LeftOut(name, column.about, cells.share)
    if cells.share < _DOUBTFUL:
        return LeftOut(name, f"text such as {cells.first_wrong}", cells.share)
    _check_cells(name, cells.wrong, cells.first_wrong, "text")
    return texts


def _check_cells(name: str, wrong: BoolArray, first: str | None, what: str) -> None:
    if wrong.any():
        raise InputError(
            f"column {name!r}",
            got=f"{what} {first} in row {int(np.flatnonzero(wrong)[0])}"
            f" ({int(wrong.sum())} of {len(wrong)} cells are no numbers)",
            expected="a number in every cell",
            remedy=f"Mend the cell, or {_ignoring([name])} to leave the column out, or list the "
            "features to read (--features).",
        )


def _check_refused(name: str, column: Column) -> None:
    require(
        not column.refused,
        f"column {name!r}",
        got=column.refused,
        expected="values that the file itself holds",
        remedy="List the features to read, or copy the values into the file.",
    )


def _check_readable(name: str, column: Column, *, role: bool) -> None:
    _check_refused(name, column)
    readable = column.content in ("numbers", "cells") or (role and column.content == "text")
    require(
        readable,
        f"column {name!r}",
        got=column.about,
        expected="a flat column of integers or floats",
        remedy="Choose other columns, or convert this one beforehand.",
    )


def _labels(name: str, source: Source, n: int) -> Values:
    """Return the labels of groups: numbers of any size, or text, as they are in the source."""
    (values,) = source.load([name])
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    require(
        len(values) == n,
        f"column {name!r}",
        got=f"{len(values)} labels",
        expected=f"one for each of the {n} events",
    )
    if values.dtype.kind == "S" or (
        values.dtype.kind == "O" and all(isinstance(label, bytes) for label in values.flat)
    ):
        # HDF5 gives its strings as bytes.
        return np.array([bytes(label).decode(errors="replace") for label in values.flat])
    return values


def _check_exact(name: str, values: npt.NDArray[np.integer[Any]]) -> None:
    large = (values > EXACT) | (values < -EXACT)
    if large.any():
        raise InputError(
            f"column {name!r}",
            got=f"integers such as {int(values[large][0])}, beyond 2**53",
            expected="numbers that a double holds exactly",
            remedy=f"Is it an event number? List the features to read, or {_ignoring([name])}.",
        )


def _check_lengths(lengths: Mapping[str, int]) -> None:
    equal = len(set(lengths.values())) == 1
    require(equal, "columns", got=f"lengths {lengths}", expected="equally long columns")
    require(
        any(lengths.values()),
        "events",
        got=f"no events in {listing(lengths)}",
        expected="at least one event",
        remedy="Check the selection that made this file.",
    )


def _first(held: Mapping[str, str]) -> dict[str, str]:
    return dict(list(held.items())[:20])
