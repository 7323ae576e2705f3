"""Saturation: nested refits, their shifts, and what is flagged."""

from __future__ import annotations

import numpy as np
import pytest

from analytic import log_densities
from coverage_values import PAPER, spanning_members
from verisimile.checks.coverage.saturation import Saturation, saturation
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict
from verisimile.mixture.fit import Pseudo, fit_weights


def _inputs(seed: int = 1) -> tuple[np.ndarray, np.ndarray, Pseudo]:
    rng = np.random.default_rng(seed)
    members = spanning_members(8)
    logf = log_densities(members, PAPER.sample(3000, rng))
    means = np.array([m.shares @ m.means for m in members])
    z = np.concatenate([m.sample(100, rng) for m in members])
    return logf, means, Pseudo(log_densities(members, z))


def test_sizes_values_and_shifts_are_those_of_nested_fits() -> None:
    logf, means, pseudo = _inputs()
    found = saturation(logf, {"x0": means[:, 0], "x1": means[:, 1]}, pseudo=pseudo)
    assert found.sizes == (2, 4, 8)
    half = fit_weights(logf[:, :4], pseudo=Pseudo(pseudo.log_densities[:, :4]))
    full = fit_weights(logf, pseudo=pseudo)
    np.testing.assert_allclose(found.values[1], means[:4].T @ half.weights)
    error = np.sqrt(np.diag(means.T @ full.covariance @ means))
    np.testing.assert_allclose(found.errors[2], error)
    np.testing.assert_allclose(found.shifts, np.abs(found.values[:2] - found.values[2]) / error)


def test_a_basis_that_still_moves_is_flagged_and_a_saturated_one_is_not() -> None:
    logf, means, pseudo = _inputs()
    # Without the first member, which is mostly the truth, until the last size: it moves.
    order = np.roll(np.arange(8), -1)
    logz = Pseudo(pseudo.log_densities[:, order])
    moving = saturation(logf[:, order], {"x0": means[order, 0]}, pseudo=logz)
    assert moving.shifts[-1, 0] > 1.0
    assert moving.flagged == ("x0",)
    # Members that repeat the first half add nothing.
    doubled = np.concatenate([logf, logf], axis=1)
    twice = saturation(doubled, {"x0": np.concatenate([means[:, 0]] * 2)})
    assert twice.shifts[-1, 0] < 1e-3
    assert twice.flagged == ()


def test_result_survives_the_file() -> None:
    logf, means, _ = _inputs()
    found = saturation(logf, {"x0": means[:, 0]})
    again = from_dict(to_dict(found))
    assert isinstance(again, Saturation)
    assert again.flagged == found.flagged
    np.testing.assert_array_equal(again.shifts, found.shifts)
    assert "M=(2, 4, 8)" in repr(found)


def test_too_few_members_and_wrong_lengths_are_refused() -> None:
    logf, means, _ = _inputs()
    with pytest.raises(InputError, match="at least 4"):
        saturation(logf[:, :3], {"x0": means[:3, 0]})
    with pytest.raises(InputError, match="8 values"):
        saturation(logf, {"x0": means[:3, 0]})
    with pytest.raises(InputError, match="at least one"):
        saturation(logf, {})
