"""Profile intervals of a mixture with its discrepancy, against a constrained minimum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import logsumexp

from biased_ensemble import corrected, fitted, members, truth
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.discrepancy.profile import minos_expectation
from verisimile.mixture.discrepancy.shrinkage import FLAT

RUN = Run(Seeds(1))


@pytest.fixture(scope="module")
def mixture() -> CorrectedMixture:
    rng = np.random.default_rng(3)
    events = Events(truth(1000, rng), names=("a", "b"))
    settings = Discrepancy(reference=4000, draws=60)
    return corrected(fitted(members(3, 3000, rng), events), events, 1, settings)


def _mean(x: Array) -> Array:
    return np.asarray(x[:, 0])


def _rare(x: Array) -> Array:
    return np.asarray((x[:, 0] > 7.0).astype(np.float64))


class Objective:
    """F, the expectation of h, and their gradients, from the equations of the interval."""

    def __init__(self, mixture: CorrectedMixture, values: Array) -> None:
        fit = mixture.discrepancy
        _, self._rows = mixture.weighted_draws(RUN)
        self._values = values
        self._n = 1.0 / (1.0 / fit.record.n_events + 1.0 / fit.record.reference)
        groups = fit.functions.groups
        self._precision = np.where(groups < 0, FLAT, 1.0 / fit.scales[groups] ** 2)
        self.centre = fit.coefficients
        self._means = self._shares(self.centre) @ self._rows

    def _shares(self, theta: Array) -> Array:
        logits = self._rows @ theta
        return np.asarray(np.exp(logits - logsumexp(logits)))

    def __call__(self, theta: Array) -> float:
        moved = theta - self.centre
        log_norm = logsumexp(self._rows @ theta) - logsumexp(self._rows @ self.centre)
        return float(self._n * (log_norm - moved @ self._means) + 0.5 * self._precision @ moved**2)

    def gradient(self, theta: Array) -> Array:
        apart = self._shares(theta) @ self._rows - self._means
        return np.asarray(self._n * apart + self._precision * (theta - self.centre))

    def value(self, theta: Array) -> float:
        return float(self._shares(theta) @ self._values)

    def slope(self, theta: Array) -> Array:
        share = self._shares(theta)
        return np.asarray((share * (self._values - share @ self._values)) @ self._rows)

    def hessian(self) -> Array:
        share = self._shares(self.centre)
        centred = self._rows - self._means
        covariance = (centred * share[:, None]).T @ centred
        return np.asarray(self._n * covariance + np.diag(self._precision))

    def rise(self, value: float) -> float:
        """Return the least F with this expectation, by sequential quadratic programming."""
        # In units of the curvature, or the steps are of very different sizes.
        half = np.linalg.inv(np.linalg.cholesky(self.hessian())).T
        scale = np.linalg.norm(half.T @ self.slope(self.centre))

        def at(y: Array) -> Array:
            return np.asarray(self.centre + half @ y)

        found = optimize.minimize(
            lambda y: self(at(y)),
            np.zeros(self.centre.size),
            jac=lambda y: half.T @ self.gradient(at(y)),
            method="SLSQP",
            constraints={
                "type": "eq",
                "fun": lambda y: (self.value(at(y)) - value) / scale,
                "jac": lambda y: half.T @ self.slope(at(y)) / scale,
            },
            options={"ftol": 1e-10, "maxiter": 200},
        )
        assert found.success
        return float(found.fun)


def _sharpness(mixture: CorrectedMixture, objective: Objective) -> float:
    slope = objective.slope(objective.centre)
    claimed = slope @ mixture.discrepancy.covariance @ slope
    return float(claimed / (slope @ np.linalg.solve(objective.hessian(), slope)))


def test_ends_are_those_of_the_profile(mixture: CorrectedMixture) -> None:
    x, _ = mixture.weighted_draws(RUN)
    objective = Objective(mixture, _rare(x))
    found = minos_expectation(mixture, _rare, RUN, level=0.95)
    assert found.valid
    assert found.value == pytest.approx(mixture.expectation(_rare, RUN).value, rel=1e-9)
    # The scales are not known exactly: the curvature at their median claims too much.
    sharpness = _sharpness(mixture, objective)
    assert sharpness > 1.0
    expected = 0.5 * sharpness * float(stats.chi2.ppf(0.95, 1))
    for end in (found.low, found.high):
        assert objective.rise(end) == pytest.approx(expected, rel=1e-4)
    # Few events lie there: there may well be more of them, hardly fewer.
    assert found.high - found.value > 1.2 * (found.value - found.low)


def test_where_all_is_normal_it_is_the_error(mixture: CorrectedMixture) -> None:
    x, rows = mixture.weighted_draws(RUN)
    _, whole, drawn = mixture.discrepancy.moments(_mean(x)[:, None], x, rows)
    error = float(np.sqrt(whole - drawn)[0, 0])
    for level in (0.1, 0.6827):
        found = minos_expectation(mixture, _mean, RUN, level=level)
        reach = float(stats.norm.isf(0.5 * (1.0 - level)))
        assert found.high - found.low == pytest.approx(2.0 * reach * error, rel=0.01)
        assert found.high - found.value == pytest.approx(reach * error, rel=0.05)


def test_it_goes_with_scale_and_shift(mixture: CorrectedMixture) -> None:
    plain = minos_expectation(mixture, _rare, RUN)
    other = minos_expectation(mixture, lambda x: 5.0 - 1e3 * _rare(x), RUN)
    assert other.low == pytest.approx(5.0 - 1e3 * plain.high, rel=1e-5)
    assert other.high == pytest.approx(5.0 - 1e3 * plain.low, rel=1e-5)


def test_a_constant_has_no_width(mixture: CorrectedMixture) -> None:
    found = minos_expectation(mixture, lambda x: np.full(len(x), 3.0), RUN)
    assert found.low == found.value == found.high == pytest.approx(3.0)
    assert found.valid


def test_levels_are_checked(mixture: CorrectedMixture) -> None:
    with pytest.raises(InputError, match="level: got 1.5"):
        minos_expectation(mixture, _mean, RUN, level=1.5)
    with pytest.raises(InputError, match="h\\(x\\)"):
        minos_expectation(mixture, lambda x: x[:5, 0], RUN)
