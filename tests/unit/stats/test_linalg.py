"""Tangent basis, whitening, and solving."""

from __future__ import annotations

import numpy as np
import pytest

from verisimile.core.errors import NumericsError
from verisimile.stats.linalg import solve_spd, tangent_basis, whitening


@pytest.mark.parametrize("size", [1, 2, 7, 60])
def test_the_tangent_basis_is_orthonormal_and_sums_to_zero(size: int) -> None:
    basis = tangent_basis(size)
    assert basis.shape == (size, size - 1)
    assert np.abs(basis.sum(axis=0)).max(initial=0.0) < 1e-12
    assert basis.T @ basis == pytest.approx(np.eye(size - 1), abs=1e-12)


def test_whitening_recovers_a_singular_covariance(rng: np.random.Generator) -> None:
    half = tangent_basis(6) @ rng.normal(size=(5, 3))
    factor = whitening(half @ half.T)
    assert factor.shape == (6, 3)
    assert factor @ factor.T == pytest.approx(half @ half.T, abs=1e-12)


def test_whitening_of_no_variance_has_no_columns() -> None:
    assert whitening(np.zeros((1, 1))).shape == (1, 0)


def test_an_indefinite_system_is_refused() -> None:
    with pytest.raises(NumericsError, match="not positive definite"):
        solve_spd(np.diag([1.0, -1.0]), np.ones(2))
