"""What makes strangers' arrays acceptable as events: the checks and their messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, IntArray, as_matrix, as_vector
from verisimile.core.errors import InputError, SupportError
from verisimile.data.feature import Feature
from verisimile.data.names import listing, unique

__all__ = ["check_support", "matrix_of", "name_list", "specs_of", "weights_of"]


def specs_of(
    names: Sequence[str] | None, features: Sequence[Feature] | None
) -> tuple[Feature, ...] | None:
    """Return the specifications that `names` or `features` give, or None if neither does.

    Raises
    ------
    InputError
        If names repeat, or both are given and disagree.
    """
    if features is None:
        listed = None if names is None else name_list(names, "events.names")
        return None if listed is None else tuple(Feature(name) for name in listed)
    specs = tuple(features)
    listed = name_list([spec.name for spec in specs], "events.features")
    if names is not None and tuple(names) != listed:
        raise InputError(
            "events.names",
            got=listing(names),
            expected=f"the names of the features, {listing(listed)}",
            remedy="Give names or features, not both.",
        )
    return specs


def name_list(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Return distinct names as a tuple; one string or none at all is an `InputError`."""
    if isinstance(names, str) or not len(names):
        raise InputError(where, got=repr(names), expected="a sequence of column names")
    unique(names, where)
    return tuple(names)


def matrix_of(x: npt.ArrayLike, names: Sequence[str] | None) -> Array:
    """Return `x` as a finite, read-only matrix ``(n, d)`` with at least one event.

    Raises
    ------
    InputError
        If it is not that; non-finite values are reported with their column.
    """
    try:
        matrix = as_matrix(x, "events.x", columns=None if names is None else len(names))
    except InputError:
        _reject_non_finite(x, names)  # names the column; any other fault is told as it is
        raise
    if 0 in matrix.shape:
        raise InputError(
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
    if array.ndim != 2 or (names is not None and len(names) != array.shape[1]):
        return
    bad = ~np.isfinite(array)
    labels = list(names) if names else [f"x{j}" for j in range(array.shape[1])]
    counts = {labels[j]: int(bad[:, j].sum()) for j in np.flatnonzero(bad.any(axis=0))}
    if counts:
        column = next(iter(counts))
        first = int(np.flatnonzero(bad[:, labels.index(column)])[0])
        raise InputError(
            f"events.x, column {column!r}",
            got=f"NaN or infinite values (per column: {counts}), the first in row {first}",
            expected="finite numbers",
            remedy="Remove or repair these rows before the analysis.",
        )


def weights_of(weights: npt.ArrayLike, n: int) -> Array:
    """Return `weights` as a finite, read-only vector ``(n,)``, of any sign but not all zero.

    Raises
    ------
    InputError
        If it is not that.
    """
    vector = as_vector(weights, "events.weights", length=n)
    if not vector.any():
        raise InputError("events.weights", got="only zeros", expected="some non-zero weight")
    return vector


def check_support(x: Array, features: tuple[Feature, ...]) -> None:
    """Raise unless every value lies in the closed support of its feature.

    Raises
    ------
    SupportError
        With the feature, the number of values outside and the first of them.
    """
    for feature, column in zip(features, x.T, strict=True):
        if not feature.bounds:
            continue
        outside = (column < feature.low) | (column > feature.high)
        if outside.any():
            _reject_outside(feature, column, np.flatnonzero(outside))


def _reject_outside(feature: Feature, column: Array, rows: IntArray) -> None:
    raise SupportError(
        f"events.x, column {feature.name!r}",
        got=f"{len(rows)} values outside, the first {float(column[rows[0]])} in row {rows[0]}",
        expected=f"values in [{feature.low}, {feature.high}]",
        remedy="Cut the events or widen the bounds (also if float32 rounded a value past an edge).",
    )
