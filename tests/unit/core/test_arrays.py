"""Strangers' arrays become float64, finite, shaped and read-only, or are refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from verisimile.core.arrays import as_matrix, as_vector, digest, frozen
from verisimile.core.errors import InputError


@pytest.mark.parametrize(
    "values", [[[1, 2], [3, 4]], np.array([[1, 2], [3, 4]], dtype=np.float32, order="F")]
)
def test_matrix_is_a_contiguous_float64_copy(values: npt.ArrayLike) -> None:
    matrix = as_matrix(values, "x", columns=2)
    assert matrix.dtype == np.float64
    assert matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix, [[1, 2], [3, 4]])


@pytest.mark.parametrize("make", [frozen, lambda v: as_matrix(v, "x")])
def test_result_is_independent_and_read_only(
    make: Callable[[npt.ArrayLike], npt.ArrayLike],
) -> None:
    original = np.ones((3, 2))
    result = np.asarray(make(original))
    original[0, 0] = 5.0
    assert result[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        result[0, 0] = 2.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 2.0], r"shape \(2,\)"),
        ([[1.0], [np.nan]], "1 non-finite values, the first in row 1"),
        ([[np.inf, -np.inf]], "2 non-finite values, the first in row 0"),
        ([["1.5"]], "type <U3, which are no real numbers"),
        (np.array([["1.5", 2.0]], dtype=object), "got text"),
        ([[1.0 + 2.0j]], "type complex128"),
        ([[np.datetime64("NaT")]], "type datetime64, which are no real numbers"),
        ([[2**53 + 1]], r"integers such as \[9007199254740993\], beyond"),
        (np.ma.masked_equal([[-999.0, 1.0]], -999.0), "1 masked values"),
        ([[1.0, 2.0], [3.0]], "not numbers"),
    ],
)
def test_matrix_refuses(values: npt.ArrayLike, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_matrix(values, "events.x")


def test_matrix_has_the_stated_columns() -> None:
    assert as_matrix([[1.0, 2.0]], "x", columns=2).shape == (1, 2)
    with pytest.raises(InputError, match="3 columns; expected 2 columns"):
        as_matrix([[1.0, 2.0, 3.0]], "x", columns=2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0]], r"shape \(1, 1\)"),
        ([1.0, np.nan, 2.0], "the first in row 1"),
        ([1.0], "1 values; expected 3 values"),
        (["a", "b", "c"], "type <U1, which are no real numbers"),
    ],
)
def test_vector_refuses(values: npt.ArrayLike, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_vector(values, "weights", length=3)


def test_vector_is_float64() -> None:
    vector = as_vector([1, 2, 3], "weights", length=3)
    assert vector.dtype == np.float64
    np.testing.assert_array_equal(vector, [1.0, 2.0, 3.0])


def test_digest_depends_on_content_and_not_on_layout() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert digest(x) == digest(np.asfortranarray(x)) == digest(x.copy())


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((np.arange(6.0).reshape(3, 2),), id="shape"),
        pytest.param((np.arange(6).reshape(2, 3),), id="dtype"),
        pytest.param((np.arange(6.0).reshape(2, 3) + 1e-15,), id="last-bit"),
        pytest.param((np.arange(6.0).reshape(2, 3), None), id="none"),
        pytest.param((np.arange(3.0), np.arange(3.0, 6.0)), id="split"),
    ],
)
def test_digest_tells_arrays_apart(other: tuple[npt.NDArray[np.float64] | None, ...]) -> None:
    assert digest(*other) != digest(np.arange(6.0).reshape(2, 3))
