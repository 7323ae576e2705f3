"""Saturation: nested refits, their shifts, and what is flagged."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analytic import log_densities
from coverage_values import PAPER, spanning_members
from edge_study import SIX, blend, six, twenty
from statistical import assert_within
from verisimile.checks.coverage.retrained import Saturation, saturation
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate, from_dict, to_dict
from verisimile.data.truths import GaussianTruth
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.sampling import member_log_densities


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


def test_a_basis_that_still_moves_is_flagged() -> None:
    logf, means, pseudo = _inputs()
    # Without the first member, which is mostly the truth, until the last size: it moves.
    order = np.roll(np.arange(8), -1)
    logz = Pseudo(pseudo.log_densities[:, order])
    moving = saturation(logf[:, order], {"x0": means[order, 0]}, pseudo=logz)
    assert moving.shifts[-1, 0] > 1.0
    assert moving.flagged == ("x0",)


def test_members_that_span_their_own_fluctuations_are_saturated() -> None:
    # Bootstrap Gaussians fluctuate in four directions: ten of them span that, two do not.
    rng = np.random.default_rng(4)
    members = twenty(rng)
    logf = member_log_densities(members, PAPER.sample(3000, rng))
    means = np.array([member.mu[0] for member in members])
    enough = saturation(logf, {"x0": means})
    assert enough.half_shifts[0] < 0.5
    assert enough.flagged == ()
    few = saturation(logf[:, :4], {"x0": means[:4]})
    assert few.half_shifts[0] > 1.0
    assert few.flagged == ("x0",)


def test_a_half_that_agrees_by_chance_hides_nothing() -> None:
    # Copies of the first half in the second: the first half alone never moves.  Half of
    # the members that there really are does.
    logf, means, _ = _inputs()
    doubled = np.concatenate([logf, logf], axis=1)
    found = saturation(doubled, {"x0": np.concatenate([means[:, 0]] * 2)})
    assert found.shifts[-1, 0] < 1e-3
    assert found.half_shifts[0] > 1.0
    assert found.flagged == ("x0",)


def test_what_all_members_miss_is_seen_in_the_events() -> None:
    # Twelve Gaussians fitted to bootstrap replicas of a Laplace law: too flat in the middle,
    # all of them.  Halves agree, and the estimate is ten of its errors off.
    rng = np.random.default_rng(2)
    train, members = rng.laplace(size=(1000, 1)), []
    for _ in range(12):
        replica = train[rng.integers(1000, size=1000)]
        members.append(GaussianTruth((float(replica.mean()),), (float(replica.std()),)))
    x = rng.laplace(size=(1000, 1))
    z = np.concatenate([member.sample(100, rng) for member in members])
    middle = np.array(
        [np.diff(stats.norm.cdf([-0.3, 0.3], m.mu[0], m.sigma[0]))[0] for m in members]
    )
    logf, pseudo = member_log_densities(members, x), Pseudo(member_log_densities(members, z))
    seen = {"middle": (np.abs(x[:, 0]) < 0.3).astype(float)}
    alone = saturation(logf, {"middle": middle}, pseudo=pseudo)
    found = saturation(logf, {"middle": middle}, pseudo=pseudo, observed=seen)
    off = (found.values[-1, 0] - (1.0 - np.exp(-0.3))) / found.errors[-1, 0]
    assert off < -5.0
    assert found.pulls[0] < -3.0
    assert found.flagged == ("middle",)
    # The defective twin does not look at the events: members agree with each other.
    assert np.isnan(alone.pulls[0])
    assert alone.flagged == ()


def test_pulls_against_the_events_are_standard_normal() -> None:
    pulls = []
    for seed in range(100):
        rng = np.random.default_rng([7, seed])
        members = six()
        x = blend(600, rng)
        h = np.exp(-(x**2).sum(axis=1))  # its expectation is known in closed form
        table = np.array([np.exp(-(m**2).sum() / 3.0) / 3.0 for m in SIX])
        logf = member_log_densities(members, x)
        pulls.append(saturation(logf, {"h": table}, observed={"h": h}).pulls[0])
    assert_within(np.mean(pulls), 0.0, 0.1)
    assert_within(np.var(pulls), 1.0, np.sqrt(2.0 / 99))


def test_draws_of_the_members_enter_the_errors() -> None:
    logf, means, pseudo = _inputs()
    exact = saturation(logf, {"x0": means[:, 0]}, pseudo=pseudo)
    noisy = saturation(
        logf, {"x0": means[:, 0]}, pseudo=pseudo, draw_errors={"x0": np.full(8, 0.01)}
    )
    half = fit_weights(logf[:, :4], pseudo=Pseudo(pseudo.log_densities[:, :4])).weights
    full = fit_weights(logf, pseudo=pseudo).weights
    change = np.concatenate([half, np.zeros(4)]) - full
    added = noisy.shift_errors[1, 0] ** 2 - exact.shift_errors[1, 0] ** 2
    assert added == pytest.approx(0.01**2 * (change @ change) / exact.errors[-1, 0] ** 2)
    assert noisy.half_shifts[0] < exact.half_shifts[0]
    with pytest.raises(InputError, match="names among"):
        saturation(logf, {"x0": means[:, 0]}, draw_errors={"x1": means[:, 0]})


def test_a_mixture_with_its_discrepancy_is_judged_in_its_own_errors() -> None:
    logf, means, pseudo = _inputs()
    order = np.roll(np.arange(8), -1)
    logz = Pseudo(pseudo.log_densities[:, order])
    h = np.random.default_rng(5).normal(-0.5, 1.0, 3000)
    table = {"x0": means[order, 0]}
    seen = {"x0": h}
    narrow = saturation(logf[:, order], table, pseudo=logz, observed=seen)
    counted = float(h.std()) / np.sqrt(3000)
    honest = {"x0": Estimate(float(h.mean()) + 0.4 * counted, 0.8 * counted)}
    found = saturation(logf[:, order], table, pseudo=logz, observed=seen, estimates=honest)
    ratio = narrow.errors[-1, 0] / honest["x0"].error
    assert found.shifts == pytest.approx(narrow.shifts * ratio)
    assert found.shift_errors == pytest.approx(narrow.shift_errors * ratio)
    assert found.half_shifts == pytest.approx(narrow.half_shifts * ratio)
    # The weights' own values and errors are what they were.
    np.testing.assert_array_equal(found.values, narrow.values)
    np.testing.assert_array_equal(found.errors, narrow.errors)
    # The estimate follows the events; how far it may be off is their counting error.
    assert found.pulls[0] == pytest.approx(0.4, rel=1e-6)
    assert np.isnan(saturation(logf[:, order], table, estimates=honest).pulls[0])
    far = {"x0": Estimate(float(h.mean()) + 3.1 * counted, 0.8 * counted)}
    missed = saturation(logf[:, order], table, pseudo=logz, observed=seen, estimates=far)
    assert missed.flagged == ("x0",)
    with pytest.raises(InputError, match="one of each of"):
        saturation(logf[:, order], table, estimates={"x1": honest["x0"]})


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
