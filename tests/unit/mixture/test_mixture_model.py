"""The mixture as a density: values, errors, observables and samples against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analytic import Blend, draw, family, log_densities
from statistical import assert_within
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.feature import Feature
from verisimile.mixture.fit import Pseudo, WeightFit, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import negative_mass, sample_signed
from verisimile.mixture.solvers.newton import NewtonSolver

M = 5
TRUTH = np.array([0.4, 0.3, 0.1, 0.1, 0.1])


@pytest.fixture(scope="module")
def members() -> list[Blend]:
    return family(M)


@pytest.fixture(scope="module")
def mixture(members: list[Blend]) -> Mixture:
    rng = np.random.default_rng(21)
    data = draw(members, TRUTH, 5000, rng)
    return Mixture(members, fit_weights(log_densities(members, data)))


def _signed(members: list[Blend]) -> Mixture:
    """Return a mixture with large negative weights: broad minus narrow, a hole in the middle."""
    narrow = Blend(np.zeros((1, 2)), np.full((1, 2), 0.7), np.ones(1))
    broad = Blend(np.zeros((1, 2)), np.ones((1, 2)), np.ones(1))
    fit = fit_weights(np.zeros((2, 2)))
    weights = np.array([2.0, -1.0])
    return Mixture(
        [broad, narrow],
        WeightFit(weights, fit.covariance, fit.inverse_hessian, fit.nll, fit.record),
    )


def test_log_prob_is_log_of_weighted_sum(
    mixture: Mixture, members: list[Blend], rng: np.random.Generator
) -> None:
    x = rng.normal(size=(50, 2))
    density = np.exp(log_densities(members, x)) @ mixture.weights
    assert mixture.log_prob(x) == pytest.approx(np.log(density), rel=1e-12)


def test_log_prob_survives_far_out_events(mixture: Mixture) -> None:
    # exp(-1e6 / 2) is zero in float64; its logarithm is not minus infinity.
    value = mixture.log_prob(np.array([[1e3, 0.0]]))
    assert value == pytest.approx(-0.5e6, rel=0.02)


def test_negative_density_has_log_prob_minus_infinity(members: list[Blend]) -> None:
    hole = _signed(members)
    assert hole.log_prob(np.zeros((1, 2))).tolist() == [-np.inf]


def test_pointwise_std_matches_fluctuated_weights(
    mixture: Mixture, members: list[Blend], rng: np.random.Generator
) -> None:
    x = rng.normal(size=(4, 2))
    density = np.exp(log_densities(members, x))
    weights = rng.multivariate_normal(mixture.weights, mixture.fit.covariance, size=20_000)
    spread = (weights @ density.T).std(axis=0)
    assert_within(mixture.std(x), spread, spread / np.sqrt(2 * 20_000))


def test_expectation_has_its_closed_form(mixture: Mixture, members: list[Blend]) -> None:
    means = np.array([m.shares @ m.means[:, 0] for m in members])
    found = mixture.expectation(lambda x: x[:, 0], Run(Seeds(1)), draws=50_000)
    exact = float(means @ mixture.weights)
    weight_error = np.sqrt(means @ mixture.fit.covariance @ means)
    assert found.error > weight_error
    assert_within(found.value, exact, np.sqrt(found.error**2 - weight_error**2))


def test_histogram_matches_normal_integrals(mixture: Mixture, members: list[Blend]) -> None:
    edges = np.array([-np.inf, -1.0, 0.0, 0.5, np.inf])
    edges_finite = np.array([-50.0, -1.0, 0.0, 0.5, 50.0])
    found = mixture.histogram(edges_finite, feature="x1", run=Run(Seeds(2)), draws=50_000)
    contents = np.array(
        [
            m.shares @ np.diff(stats.norm.cdf(edges, m.means[:, 1:], m.sigmas[:, 1:]), axis=1)
            for m in members
        ]
    )
    assert found.values.sum() == pytest.approx(1.0, abs=1e-12)
    assert found.covariance.sum() == pytest.approx(0.0, abs=1e-12)
    scatter = contents * (1 - contents) / 50_000
    sampling = np.sqrt(mixture.weights**2 @ scatter)
    assert_within(found.values, contents.T @ mixture.weights, sampling)
    exact = np.diag(contents.T @ mixture.fit.covariance @ contents) + sampling**2
    # In the third bin all members agree to within their Monte-Carlo error.
    apart = [0, 1, 3]
    assert found.errors[apart] == pytest.approx(np.sqrt(exact)[apart], rel=0.1)


def test_the_same_run_draws_the_same_events(mixture: Mixture) -> None:
    first, again = (mixture.sample(100, Run(Seeds(3))) for _ in range(2))
    other = mixture.sample(100, Run(Seeds(4)))
    assert first.digest == again.digest != other.digest


def test_samples_of_a_signed_mixture_follow_its_positive_part(members: list[Blend]) -> None:
    # 2 N(0, 1) - N(0, 0.7^2) in two dimensions: radial cdf in closed form.
    # The density is negative for r < a, with a^2 = r0^2 below.
    hole = _signed(members)
    s2 = 0.7**2
    edge = np.sqrt(2 * np.log(1 / (2 * s2)) / (1 / s2 - 1))

    def mass(r: Array) -> Array:
        return np.asarray(2 * (1 - np.exp(-(r**2) / 2)) - (1 - np.exp(-(r**2) / (2 * s2))))

    drawn = hole.draw(20_000, Run(Seeds(5)))
    radius = np.sqrt((drawn.x**2).sum(axis=1))
    negative = -float(mass(np.array(edge)))
    assert radius.min() >= edge
    cdf = (mass(radius) + negative) / (1 + negative)
    assert stats.kstest(cdf, "uniform").pvalue > 1e-6
    audit = drawn.audit
    assert_within(audit.negative_mass.value, negative, audit.negative_mass.error)
    accepted = audit.accepted / audit.proposed
    expected = (1 + negative) / 2.0
    assert_within(accepted, expected, np.sqrt(expected * (1 - expected) / audit.proposed))


def test_ignoring_the_negative_weights_fails_that_test(members: list[Blend]) -> None:
    # Defective twin: sampling the positive part alone puts events into the hole.
    hole = _signed(members)
    x = sample_signed(hole.members, np.array([1.0, 0.0]), 20_000, np.random.default_rng(6)).x
    assert np.sqrt((x**2).sum(axis=1)).min() < 0.1


def test_log_densities_come_with_the_sample(mixture: Mixture) -> None:
    drawn = mixture.draw(200, Run(Seeds(7)))
    assert drawn.log_densities == pytest.approx(mixture.log_densities(drawn.x), abs=1e-12)


def test_positive_weights_have_no_negative_mass(members: list[Blend]) -> None:
    mass = negative_mass(members, TRUTH, 1000, np.random.default_rng(8))
    assert (mass.value, mass.error) == (0.0, 0.0)


def test_pseudo_events_force_positivity_where_members_live(members: list[Blend]) -> None:
    rng = np.random.default_rng(9)
    data = members[0].sample(300, rng)
    z = draw(members, np.full(M, 1 / M), 500, rng)
    logz = log_densities(members, z)
    solver = NewtonSolver()
    barrier = fit_weights(log_densities(members, data), pseudo=Pseudo(logz), solver=solver)
    assert (np.exp(logz) @ barrier.weights).min() > 0


def test_members_and_weights_must_match(members: list[Blend], mixture: Mixture) -> None:
    with pytest.raises(InputError, match="one weight per member"):
        Mixture(members[:3], mixture.fit)


def test_features_must_match(members: list[Blend], mixture: Mixture) -> None:
    with pytest.raises(InputError, match="2 features"):
        Mixture(members, mixture.fit, features=[Feature("a")])


def test_unknown_feature_is_named(mixture: Mixture) -> None:
    with pytest.raises(InputError, match="one of \\['x0', 'x1'\\]"):
        mixture.histogram(np.array([0.0, 1.0]), feature="pt", run=Run(Seeds(1)))


def test_edges_must_increase(mixture: Mixture) -> None:
    with pytest.raises(InputError, match="increasing edges"):
        mixture.histogram(np.array([0.0, 0.0, 1.0]), feature="x0", run=Run(Seeds(1)))


def test_the_fingerprint_sees_members_and_weights(members: list[Blend], mixture: Mixture) -> None:
    same = Mixture(members, mixture.fit)
    other = Mixture([*members[1:], members[0]], mixture.fit)
    assert same.fingerprint == mixture.fingerprint != other.fingerprint


def test_the_last_bit_of_a_weight_does_not_change_the_sample() -> None:
    members, weights = family(3), np.array([0.5, 0.25, 0.25])
    nearby = np.nextafter(weights, 1.0)
    there, here = (
        sample_signed(members, w, 200, np.random.default_rng(7)).x for w in (nearby, weights)
    )
    assert (there == here).all()
