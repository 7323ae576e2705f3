"""What events must be: names once, finite numbers, weights not all zero, values in support."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Sized
from typing import Any

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, as_matrix, as_vector
from verisimile.core.errors import InputError, SupportError, require
from verisimile.data.account import Account
from verisimile.data.feature import Feature, listing, say_columns, suggestion, unique


def numbered(d: int) -> tuple[str, ...]:
    """Return the names of columns that have none."""
    return tuple(f"x{j}" for j in range(d))


def nameless(names: Collection[str]) -> bool:
    """Return whether names only count: ``x0, x1, …`` of an array, ``0, 1, …`` of a bare frame."""
    return tuple(names) in (numbered(len(names)), tuple(str(j) for j in range(len(names))))


def specs_of(
    names: Sequence[str] | None, features: Sequence[Feature | str] | None
) -> tuple[Feature, ...] | None:
    """Return the specifications that `names` or `features` give, or None if neither does."""
    if features is None:
        return None if names is None else tuple(map(Feature, name_list(names, "events.names")))
    given = () if isinstance(features, str) else features
    several = list(given) if isinstance(given, Iterable) else []
    require(
        several and all(isinstance(one, Feature | str) for one in several),
        "events.features",
        got=repr(features),
        expected="a sequence of Feature, or of names",
    )
    specs = [Feature(str(one)) if isinstance(one, str) else one for one in several]
    listed = name_list([spec.name for spec in specs], "events.features")
    require(
        names is None or tuple(names) == listed,
        "events.names",
        got=listing(names or ()),
        expected=f"the names of the features, {listing(listed)}",
        remedy="Give names or features, not both.",
    )
    return tuple(specs)


def same_names(
    got: tuple[str, ...],
    expected: tuple[str, ...],
    *,
    where: str = "events",
    of: str = "",
    account: Account | None = None,
) -> None:
    """Raise an InputError unless two samples have columns of the same names.

    It calls the one that got them `where`, the other `of`, and says of the first's `account` why
    it has no more columns.
    """
    if set(got) == set(expected):
        return
    missing = [name for name in expected if name not in got]
    more = [name for name in got if name not in expected]
    left_out = () if account is None else account.left_out
    why = "".join(f"; {one.name!r} was {one}" for one in left_out if one.name in missing)
    hint = suggestion(missing[0], more) if missing else f"Use events.select({list(expected)})."
    if nameless(got) != nameless(expected) and len(got) == len(expected):
        hint = f"Name the columns of the array: vs.Events(x, names={_named(got, expected)})."
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


def _named(*samples: tuple[str, ...]) -> list[str]:
    """Return the names of the sample that has some."""
    return list(next(names for names in samples if not nameless(names)))


def refuse_names(given: Mapping[str, object]) -> None:
    """Raise an InputError for weights, groups or ignored columns of an array given by name."""
    for role, value in given.items():
        named = isinstance(value, str) or role == "ignore"
        require(
            value is None or not named,
            f"events.{role}",
            got=f"the column {value!r} of an array, whose columns have no names",
            expected="numbers" if role != "ignore" else "a table with named columns",
            remedy="Pass a frame or a dict of columns, or the values themselves.",
        )


def name_list(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Return distinct names as a tuple; one string or none at all is an `InputError`."""
    given = () if isinstance(names, str) or not isinstance(names, Iterable) else tuple(names)
    if not given or not all(isinstance(name, str) for name in given):
        raise InputError(where, got=repr(names), expected="a sequence of column names")
    unique(given, where)
    return tuple(map(str, given))


def ignored(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of columns to leave out; one string is an `InputError`."""
    none_given = isinstance(names, Sized) and not isinstance(names, str) and not len(names)
    return () if none_given else name_list(names, "ignore")


def matrix_of(x: npt.NDArray[Any], names: Sequence[str] | None) -> Array:
    """Return `x` as a finite, read-only matrix ``(n, d)`` with at least one event."""
    objects = {type(one).__name__ for one in x.flat} if x.dtype.kind == "O" else set()
    require(
        not objects,
        "events.x",
        got=f"objects of the types {', '.join(sorted(objects))}",
        expected="numbers",
        remedy="Pass a dict of columns, or a frame such as pandas.DataFrame(rows).",
    )
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


def _reject_non_finite(x: npt.NDArray[Any], names: Sequence[str] | None) -> None:
    if x.ndim == 2 and x.dtype.kind == "f" and (names is None or len(names) == x.shape[1]):
        check_finite(np.asarray(x, dtype=np.float64), names or numbered(x.shape[1]))


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


def stacked_weights(weights: Sequence[Array | None]) -> Array | None:
    """Return the weights of samples one below the other; all have some, or none has."""
    given = [one for one in weights if one is not None]
    require(
        len(given) in (0, len(weights)),
        "Events.concatenate",
        got=f"{len(given)} samples with weights, {len(weights) - len(given)} without",
        expected="weights in all samples or in none",
        remedy="Give the others weights of one: vs.Events(events, np.ones(events.n)).",
    )
    return np.concatenate(given) if given else None


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
