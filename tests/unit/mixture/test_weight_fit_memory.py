"""The weight fit keeps one matrix of the size of its input, which may lie in a file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from verisimile.core.arrays import Array
from verisimile.mixture.fit import Pseudo, fit_weights

N, M = 60_000, 24


@pytest.fixture(scope="module")
def logf() -> Array:
    return np.random.default_rng(81).standard_normal((N, M))


@pytest.fixture(scope="module")
def pseudo() -> Pseudo:
    return Pseudo(np.random.default_rng(82).standard_normal((500, M)))


def test_memory_beside_the_input_is_one_matrix_and_blocks(logf: Array, pseudo: Pseudo) -> None:
    tracemalloc.start()
    try:
        fit = fit_weights(logf, np.random.default_rng(83).uniform(0.5, 2.0, N), pseudo=pseudo)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert fit.record.converged
    # One design; up to a fifth of its rows, their numbers and their products, when the
    # Hessian is corrected; a dozen vectors, of which M / 2 make half a matrix.
    assert peak < 2.0 * logf.nbytes


def test_a_mapped_file_gives_the_same_fit(logf: Array, pseudo: Pseudo, tmp_path: Path) -> None:
    np.save(tmp_path / "logf.npy", logf)
    mapped = np.load(tmp_path / "logf.npy", mmap_mode="r")
    there, here = fit_weights(mapped, pseudo=pseudo), fit_weights(logf, pseudo=pseudo)
    assert (there.weights == here.weights).all()
    assert (there.covariance == here.covariance).all()
    assert there.nll == here.nll
