"""The only place where strangers' arrays become ours: float64, finite, shaped, read-only."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from verisimile.core.errors import InputError, require

Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


EXACT = 2**53
"""The integers up to here are doubles."""


def frozen(values: npt.ArrayLike) -> Array:
    """Return a C-ordered float64 copy that cannot be written to."""
    array = np.array(values, dtype=np.float64, order="C", copy=True)
    array.setflags(write=False)
    return array


def as_matrix(values: npt.ArrayLike, name: str, *, columns: int | None = None) -> Array:
    """Return `values` as a finite, read-only float64 matrix ``(n, d)``, of `columns` columns."""
    array = _numeric(values, name)
    require(
        array.ndim == 2,
        name,
        got=f"an array of shape {array.shape}",
        expected="a matrix of shape (events, features)",
        remedy="A single feature is np.reshape(x, (-1, 1)).",
    )
    d = array.shape[1]
    require(columns in (None, d), name, got=f"{d} columns", expected=f"{columns} columns")
    return _finite(array, name)


def as_vector(values: npt.ArrayLike, name: str, *, length: int | None = None) -> Array:
    """Return `values` as a finite, read-only float64 vector ``(n,)``, of `length` numbers."""
    array = _numeric(values, name)
    require(array.ndim == 1, name, got=f"an array of shape {array.shape}", expected="a vector")
    n = len(array)
    require(length in (None, n), name, got=f"{n} values", expected=f"{length} values")
    return _finite(array, name)


def require_positive(value: npt.ArrayLike, name: str, *, remedy: str = "") -> None:
    """Raise an InputError unless all numbers of `value` are finite and above zero.

    Examples
    --------
    >>> require_positive([0.5, -1.0], "widths")
    Traceback (most recent call last):
    verisimile.core.errors.InputError: widths: got [0.5, -1.0]; expected positive numbers.
    """
    numbers = np.asarray(value, dtype=np.float64)
    fine = np.isfinite(numbers) & (numbers > 0.0)
    expected = "positive numbers" if numbers.ndim else "a positive number"
    require(fine.all(), name, got=value, expected=expected, remedy=remedy)


def require_fraction(value: npt.ArrayLike, name: str, *, remedy: str = "") -> None:
    """Raise an InputError unless all numbers of `value` are between zero and one, neither of them.

    Examples
    --------
    >>> require_fraction(1.0, "level")
    Traceback (most recent call last):
    verisimile.core.errors.InputError: level: got 1.0; expected a number in (0, 1).
    """
    numbers = np.asarray(value, dtype=np.float64)
    fine = (numbers > 0.0) & (numbers < 1.0)
    expected = "numbers in (0, 1)" if numbers.ndim else "a number in (0, 1)"
    require(fine.all(), name, got=value, expected=expected, remedy=remedy)


def digest(*arrays: npt.NDArray[Any] | None) -> str:
    """Return the sha256 of dtypes, shapes and bytes: the content key of the arrays."""
    sha = hashlib.sha256()
    for array in arrays:
        if array is None:
            sha.update(b"none;")
            continue
        contiguous = np.ascontiguousarray(array)
        sha.update(f"{contiguous.dtype.str}{contiguous.shape};".encode())
        sha.update(contiguous.data)
    return sha.hexdigest()


def _numeric(values: npt.ArrayLike, name: str) -> Array:
    """Return a double-precision copy of real numbers, of which none changes its meaning."""
    require(
        not (hasattr(values, "features") and hasattr(values, "n_effective")),
        name,
        got="events, whose names and weights an array would lose",
        expected="numbers",
        remedy="Say events.x, or events['name'] for one column.",
    )
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise _no_numbers(name, f"{int(np.ma.getmaskarray(values).sum())} masked values")
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O" and any(isinstance(one, str | bytes) for one in array.flat):
            raise _no_numbers(name, "text")
        copy = frozen(array) if array.dtype.kind in "biufO" else None
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # tensors raise the last
        raise _no_numbers(name, f"values that are not numbers ({error})") from None
    if copy is None:
        raise _no_numbers(name, f"values of type {array.dtype}, which are no real numbers")
    if array.dtype.kind in "iu" and array.dtype.itemsize > 4:
        large = (array > EXACT) | (array < -EXACT)
        require(
            not large.any(),
            name,
            got=f"integers such as {array[large][:1].tolist()}, beyond 2**53",
            expected="numbers that a double holds exactly",
        )
    return copy


def _no_numbers(name: str, got: str) -> InputError:
    return InputError(
        name,
        got=got,
        expected="an array of real numbers",
        remedy="Select the numeric columns, and fill or drop what is missing.",
    )


def _finite(array: Array, name: str) -> Array:
    bad = ~np.isfinite(array)
    if bad.any():
        first = int(np.argwhere(bad)[0][0])
        raise InputError(
            name,
            got=f"{int(bad.sum())} non-finite values, the first in row {first}",
            expected="finite numbers",
            remedy="Remove or repair these rows before the analysis.",
        )
    return array
