"""What is asked of a source of events, and what comes of it: numbers, and an account of columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.errors import InputError, require, require_one_of
from verisimile.core.memory import require_memory
from verisimile.data.account import Account, LeftOut
from verisimile.data.cells import read_cells
from verisimile.data.cut import CUT, GUARD, missing_among, passed_rows
from verisimile.data.description import Description
from verisimile.data.expressions import Condition
from verisimile.data.feature import Feature, ignoring, listing, require_columns, say_columns, unique
from verisimile.data.losses import lost_rows
from verisimile.data.numbers import Place, check_cells, check_infinite, first_few, numbers_of
from verisimile.data.source import Column, Source, Values

Missing = Literal["refuse", "drop"]

_DOUBTFUL = 0.5
_TEXT = 64  # bytes in memory of a cell that holds text
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
        Specifications that go instead of those of the source, and descriptions, which go before
        them part by part.
    ignore
        Columns that are left out, although they hold numbers.
    missing
        ``refuse`` rows without a value, or ``drop`` and count them.
    cut
        A condition that events must fulfil; it may read columns that are not asked for.
    """

    features: tuple[str, ...] | None = None
    weights: str | None = None
    specs: Mapping[str, Feature | Description] = field(default_factory=dict)
    group: str | None = None
    ignore: tuple[str, ...] = ()
    missing: Missing = "refuse"
    cut: str | None = None

    def __post_init__(self) -> None:
        for role, name in (("weights", self.weights), ("group", self.group)):
            require(
                name is None or isinstance(name, str),
                role,
                got=repr(name),
                expected="the name of a column",
            )
        described = isinstance(self.specs, Mapping) and all(
            isinstance(name, str) and isinstance(spec, Feature | Description)
            for name, spec in self.specs.items()
        )
        require(described, "specs", got=repr(self.specs), expected="a Feature by column name")
        require_one_of(str(self.missing), get_args(Missing), "missing")
        both = [name for name in self._roles if name in self.ignore]
        require(
            not both,
            "ignore",
            got=f"{listing(both)}, which is claimed as weights or group",
            expected="columns without a role",
        )
        if self.cut is not None:
            Condition(self.cut)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Return the names of a bare matrix's columns: features, then weights, then groups."""
        if self.features is None:
            return None
        return tuple(dict.fromkeys((*self.features, *self._roles)))

    @property
    def asked(self) -> tuple[str, ...]:
        """Return all that is asked for by name."""
        cut = () if self.cut is None else (CUT,)
        return (*(self.features or ()), *self._roles, *cut)

    @property
    def _roles(self) -> tuple[str, ...]:
        """Return the columns that are no features."""
        return tuple(name for name in (self.weights, self.group) if name is not None)

    def table(self, source: Source) -> ReadTable:
        """Return the requested columns of `source`, all finite values kept as they are."""
        loaded = self._loaded(source)
        passed = np.ones(len(loaded.x), np.bool_)
        if self.cut is not None:
            passed, undefined = passed_rows(source, self.cut, len(loaded.x))
            gaps = missing_among(passed, {self.cut: undefined, **loaded.missing})
            loaded = replace(loaded, missing=gaps)
        self._check_missing(loaded, source.place)
        check_infinite(loaded.infinite, passed, source.place)
        lost = loaded.lost()
        rows = passed & ~lost
        account = replace(
            loaded.account,
            rows=len(lost),
            dropped=int(lost.sum()),
            missing=loaded.missing_counts(),
            cut=int((~passed).sum()),
            condition=self.cut or "",
        )
        require(
            rows.any(),
            "events",
            got=f"no row of {int(passed.sum())} without a missing value "
            f"({first_few(loaded.missing_counts())})",
            expected="at least one event",
        )
        kept = slice(None) if rows.all() else rows
        if lost.any():
            of_passed = (
                None if one is None else one[passed] for one in (loaded.weights, loaded.group)
            )
            account = replace(account, lost=lost_rows(lost[passed], *of_passed))
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

    def _check_missing(self, loaded: _Loaded, place: Place) -> None:
        if self.missing == "drop" or not loaded.missing:
            return
        worst, rows = next(iter(loaded.missing.items()))
        columns = [name for name in loaded.missing if name != self.cut]
        raise InputError(
            f"cut {worst!r}" if worst == self.cut else f"column {worst!r}",
            got=f"missing values (NaN, null or empty; per column: "
            f"{first_few(loaded.missing_counts())}), "
            f"the first in {place(int(np.flatnonzero(rows)[0]))}",
            expected="a value in every cell",
            remedy="Drop and count these rows with missing='drop' (--missing drop), or "
            f"{GUARD if worst == self.cut else f'{ignoring(columns)} to leave the columns out'}.",
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
        require_columns(list(self.specs), source.columns, "described features")
        wanted = features if self.weights is None else (*features, self.weights)
        for name in (*wanted, *self._roles):
            _check_readable(name, source.columns[name], role=name == self.group)
        specs = tuple(self._spec(name, source) for name in features)
        numbers = numbers_of(source, wanted, len(features), parsed)
        labels = None if self.group is None else _labels(self.group, source, len(numbers.x))
        return _Loaded(
            numbers.x,
            numbers.last if self.weights is not None else None,
            specs,
            labels,
            Account(features, left_out),
            numbers.missing,
            numbers.infinite,
        )

    def _features(
        self, source: Source
    ) -> tuple[tuple[str, ...], dict[str, Values], tuple[LeftOut, ...]]:
        """Return the features' names, values loaded to know them, and what is left out."""
        require_columns(self.ignore, source.columns, "ignore")
        if self.features is not None:
            others = {*self._roles, *self.ignore}
            names = tuple(name for name in self.features if name not in others)
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
            got=f"no numeric feature among {first_few(held)}",
            expected="at least one flat numeric column",
            remedy="Nested columns must be flattened, and text turned into numbers.",
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
            if name in roles or name == CUT:
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
                found = _texts(name, column, source)
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
            ("group", looks_like_groups, "groups of rows"),
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
                    f"{ignoring(unclaimed)} to leave out the others.",
                )

    def _spec(self, name: str, source: Source) -> Feature:
        own, said = source.specs.get(name) or Feature(name), self.specs.get(name)
        spec = said.onto(own) if isinstance(said, Description) else said or own
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


def looks_like_weights(name: str) -> bool:
    """Return whether a column's name says that it holds event weights.

    Examples
    --------
    >>> [looks_like_weights(name) for name in ("genWeight", "mc_weight_up", "weightless")]
    [True, True, False]
    """
    return any(word.lower() in _WEIGHTS for word in _WORDS.findall(name))


def looks_like_groups(name: str) -> bool:
    """Return whether a column's name says which rows belong together."""
    return name in _GROUPS


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    x: Array
    weights: Array | None
    specs: tuple[Feature, ...]
    group: Values | None
    account: Account
    missing: dict[str, BoolArray]
    infinite: dict[str, IntArray]

    def lost(self) -> BoolArray:
        """Return the rows with a missing value ``(n,)``."""
        lost = np.zeros(len(self.x), np.bool_)
        for rows in self.missing.values():
            lost |= rows
        return lost

    def missing_counts(self) -> dict[str, int]:
        return {name: int(rows.sum()) for name, rows in self.missing.items()}


def _texts(name: str, column: Column, source: Source) -> Values | LeftOut:
    """Return the numbers that cells or text stand for; otherwise why the column is left out."""
    require_memory(
        _TEXT * (column.rows or 0), f"column {name!r}", stored=source.stored, what="text"
    )
    (texts,) = source.load([name])
    cells = read_cells(texts)
    if cells.missing.all():
        return LeftOut(name, "no value in any row")
    if column.content == "text":
        return LeftOut(name, column.about, cells.share)
    if cells.share < _DOUBTFUL:
        return LeftOut(name, f"text such as {cells.first_wrong}", cells.share)
    check_cells(name, cells, source.place)
    return cells.values


def _check_refused(name: str, column: Column) -> None:
    require(
        not column.refused,
        f"column {name!r}",
        got=column.refused,
        expected="values that the file itself holds, readable",
        remedy=f"List the features to read, {ignoring([name])} to leave it out, or write the "
        "values anew.",
    )


def _check_readable(name: str, column: Column, *, role: bool) -> None:
    _check_refused(name, column)
    readable = column.content in ("numbers", "cells") or (role and column.content == "text")
    require(
        readable,
        f"column {name!r}",
        got=column.about,
        expected="a flat column of integers or floats",
        remedy=f"Read one number of each list: {name}[0], count({name}), max({name})."
        if column.lists
        else "Choose other columns, or convert this one beforehand.",
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
