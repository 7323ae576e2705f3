"""MINOS intervals of weights and observables against an explicit scan of the profile likelihood."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import null_space
from scipy.optimize import brentq

from analytic import Blend, draw, family, log_densities
from statistical import assert_rate
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.result import from_dict, to_dict
from verisimile.mixture.covariance import fisher
from verisimile.mixture.fit import Pseudo, fit_weights, reduced_problem
from verisimile.mixture.minos import MinosInterval, minos_interval, minos_observable
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.newton import NewtonSolver, minimise

M, N = 5, 150


@pytest.fixture(scope="module")
def logf() -> Array:
    members = family(M)
    return log_densities(
        members, draw(members, np.array([0.6, 0.1, 0.1, 0.1, 0.1]), N, np.random.default_rng(51))
    )


@pytest.fixture(scope="module")
def pseudo() -> Pseudo:
    members = family(M)
    rng = np.random.default_rng(52)
    return Pseudo(log_densities(members, draw(members, np.full(M, 1.0 / M), 300, rng)))


class Profile:
    """Likelihood with one observable fixed, all else refitted by damped Newton steps."""

    def __init__(
        self, logf: Array, values: Array, weights: Array | None = None, pseudo: Pseudo | None = None
    ) -> None:
        reduced = reduced_problem(logf, weights, pseudo, 1e-8)
        self._problem = reduced.problem
        self._row = values @ reduced.basis
        self._rest = null_space(self._row[None, :])
        best = minimise(self._problem, np.zeros(self._row.size), NewtonSolver())
        self._best = best
        _, hessian = self._problem.derivatives(best.density, best.theta)
        self._along = np.linalg.solve(hessian, self._row)
        self.value = float(values @ reduced.weights(best.theta))
        covariance = fit_weights(logf, weights, pseudo=pseudo).covariance
        self.sharper = float(values @ covariance @ values / (self._row @ self._along))
        self.error = float(np.sqrt(self._row @ self._along))

    def rise(self, value: float) -> float:
        """Return how much the objective lies above its minimum with this value."""
        step = (value - self.value) / float(self._row @ self._along)
        theta = self._best.theta + step * self._along
        zero = np.zeros(self._rest.shape[1])
        restricted = LogLinear(
            self._problem.density(theta),
            self._problem.design @ self._rest,
            self._problem.weights,
            zero,
            zero,
        )
        end = minimise(restricted, zero, NewtonSolver())
        assert end.converged
        return end.value - self._best.value

    def interval(self, level: float) -> tuple[float, float]:
        height = 0.5 * self.sharper * float(stats.chi2.ppf(level, 1))
        reach = 1.7 * self.error * np.sqrt(2.0 * height)

        def above(value: float) -> float:
            return self.rise(value) - height

        return (
            float(brentq(above, self.value - reach, self.value, xtol=1e-9)),
            float(brentq(above, self.value, self.value + reach, xtol=1e-9)),
        )


def _unit(index: int) -> Array:
    return np.asarray(np.eye(M)[index])


@pytest.mark.parametrize("index", [0, 3])
@pytest.mark.parametrize("level", [0.5, 0.6827, 0.9])
def test_minos_is_the_profile_scan(logf: Array, index: int, level: float) -> None:
    profile = Profile(logf, _unit(index))
    found = minos_interval(logf, index, level=level)
    assert found.valid
    assert found.value == pytest.approx(profile.value, abs=1e-6)
    assert (found.low, found.high) == pytest.approx(
        profile.interval(level), rel=0.0, abs=1e-3 * profile.error
    )


@pytest.mark.parametrize("with_pseudo", [False, True])
def test_minos_of_an_observable_is_the_profile_scan(
    logf: Array, pseudo: Pseudo, with_pseudo: bool
) -> None:
    values = np.array([member.means[1, 0] * member.shares[1] for member in family(M)])
    barrier = pseudo if with_pseudo else None
    profile = Profile(logf, values, pseudo=barrier)
    found = minos_observable(logf, values, pseudo=barrier)
    assert found.valid
    assert found.value == pytest.approx(profile.value, abs=1e-6)
    assert (found.low, found.high) == pytest.approx(
        profile.interval(0.6827), rel=0.0, abs=1e-3 * profile.error
    )


def test_a_weight_is_the_observable_of_its_unit_vector(logf: Array) -> None:
    assert minos_observable(logf, _unit(2)) == minos_interval(logf, 2)


def test_an_interval_moves_with_the_unit_of_the_observable(logf: Array) -> None:
    values = np.arange(float(M)) ** 2
    plain, other = minos_observable(logf, values), minos_observable(logf, 5.0 - 1e3 * values)
    assert (other.low, other.high) == pytest.approx((5.0 - 1e3 * plain.high, 5.0 - 1e3 * plain.low))


def test_an_observable_that_no_weight_moves_has_no_width(logf: Array) -> None:
    found = minos_observable(logf, np.full(M, 0.3))
    assert (found.low, found.high) == (found.value, found.value)
    assert found.value == pytest.approx(0.3, rel=1e-12)


@pytest.mark.parametrize("values", [np.ones(M - 1), np.full(M, np.nan)])
def test_values_that_are_not_one_number_per_member_are_refused(logf: Array, values: Array) -> None:
    with pytest.raises(InputError, match="values"):
        minos_observable(logf, values)


def test_minos_with_event_weights_and_pseudo_events(logf: Array, pseudo: Pseudo) -> None:
    u = np.random.default_rng(53).uniform(0.5, 2.0, N)
    profile = Profile(logf, _unit(1), u, pseudo)
    found = minos_interval(logf, 1, weights=u, pseudo=pseudo)
    assert (found.low, found.high) == pytest.approx(
        profile.interval(0.6827), rel=0.0, abs=1e-3 * profile.error
    )


def misses(level: float) -> int:
    """Return how often the first weight of 200 weighted samples lies outside its interval."""
    members, truth = family(3), np.array([0.5, 0.3, 0.2])
    outside = 0
    for k in range(200):
        rng = np.random.default_rng(k)
        u = rng.lognormal(0.0, 1.0, 300)
        found = minos_interval(
            log_densities(members, draw(members, truth, 300, rng)), 0, weights=u, level=level
        )
        outside += not (found.valid and found.low <= truth[0] <= found.high)
    return outside


def test_intervals_of_weighted_events_cover(monkeypatch: pytest.MonkeyPatch) -> None:
    assert_rate(misses(0.6827), 200, 0.3173)
    # Defective twin: the weighted likelihood as it is, which counts weights as events.
    monkeypatch.setattr("verisimile.mixture.minos.sandwich", fisher)
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(misses(0.6827), 200, 0.3173)


@pytest.mark.calibration
def test_intervals_cover_where_positivity_binds() -> None:
    # Six equal Gaussians and fifty events.  Ends that MINOS does not find are NaN, not invented.
    means = np.array([[x, y] for x in (-1.0, 0.0, 1.0) for y in (-1.0, 1.0)])
    members = [Blend(m[None], np.ones((1, 2)), np.ones(1)) for m in means]
    truth = np.full(6, 1.0 / 6.0)

    found = []
    for k in range(80):
        rng = np.random.default_rng(k)
        x, z = (draw(members, truth, n, rng) for n in (50, 2000))
        barrier = Pseudo(log_densities(members, z))
        found.append(minos_interval(log_densities(members, x), 0, pseudo=barrier))
    assert all(np.isnan([one.low, one.high]).any() != one.valid for one in found)
    known = [one for one in found if one.valid]
    assert len(known) > 40
    outside = sum(not one.low <= truth[0] <= one.high for one in known)
    assert stats.binom.sf(outside - 1, len(known), 0.3173) > 1e-3


def test_the_symmetric_interval_fails_the_scan(logf: Array) -> None:
    # Defective twin: the parabola of the covariance in place of the profile.
    fit = fit_weights(logf)
    error = float(np.sqrt(fit.covariance[3, 3]))
    low, high = Profile(logf, _unit(3)).interval(0.6827)
    assert abs(fit.weights[3] - error - low) > 1e-2 * error
    assert abs(fit.weights[3] + error - high) > 1e-2 * error


def test_a_single_member_has_no_width() -> None:
    assert minos_interval(np.zeros((4, 1)), 0) == MinosInterval(1.0, 1.0, 1.0, valid=True)


def test_intervals_are_saved() -> None:
    interval = MinosInterval(0.2, 0.1, float("inf"), valid=False)
    assert from_dict(to_dict(interval)) == interval


@pytest.mark.parametrize(("index", "level"), [(M, 0.5), (-1, 0.5), (0, 0.0), (0, 1.0)])
def test_questions_without_meaning_are_refused(logf: Array, index: int, level: float) -> None:
    with pytest.raises(InputError, match=r"index|level"):
        minos_interval(logf, index, level=level)


def test_an_uncertified_fit_has_no_interval(logf: Array) -> None:
    with pytest.raises(NumericsError, match="certified optimum"):
        minos_interval(logf, 0, solver=NewtonSolver(max_iterations=1))
