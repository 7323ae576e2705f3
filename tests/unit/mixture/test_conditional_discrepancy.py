"""What all conditional members miss alike: density, errors and samples at given contexts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from biased_conditional import corrected as correct
from biased_conditional import fitted, members, truth
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.in_context import ContextBins, goodness_in_context
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.feature import Feature
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.ensemble.fit import fit_ensemble
from verisimile.ensemble.plan import BootstrapPlan
from verisimile.mixture.bind import PseudoEvents, fit_conditional_mixture
from verisimile.mixture.discrepancy.basis import DiscrepancyBasis
from verisimile.mixture.discrepancy.conditional import CorrectedConditionalMixture
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.discrepancy.matched import MatchedTilt, draws_each
from verisimile.mixture.io import load_conditional_mixture, save_mixture

SETTINGS = Discrepancy(draws=60)
GRID = np.linspace(-30.0, 30.0, 6001)[:, None]


@pytest.fixture(scope="module")
def corrected() -> CorrectedConditionalMixture:
    rng = np.random.default_rng(5)
    events = truth(1500, rng)
    return correct(fitted(members(3, 3000, rng), events), events, 1, SETTINGS)


@pytest.mark.parametrize("c", [-1.2, 0.0, 1.3])
def test_the_density_is_normalised_at_every_context(
    corrected: CorrectedConditionalMixture, c: float
) -> None:
    context = np.full(GRID.shape, c)
    log_p, std = corrected.log_prob(GRID, context), corrected.std(GRID, context)
    whole = float(np.exp(log_p).sum()) * 0.01
    # The norm is a mean over 128 draws, whose error is the least that any density has.
    assert abs(whole - 1.0) < 4.0 * float((std / np.exp(log_p)).min())
    more = CorrectedConditionalMixture(corrected.uncorrected, corrected.discrepancy, norm=20_000)
    whole = float(np.exp(more.log_prob(GRID, context)).sum()) * 0.01
    assert whole == pytest.approx(1.0, abs=0.01)


def test_the_same_contexts_have_the_same_norm(corrected: CorrectedConditionalMixture) -> None:
    x, c = np.array([[0.0], [1.0], [-1.0]]), np.array([[0.5], [-0.5], [0.5]])
    first = corrected.log_prob(x, c)
    np.testing.assert_array_equal(corrected.log_prob(x, c), first)
    np.testing.assert_array_equal(corrected.log_prob(x[::-1], c[::-1])[::-1], first)


@pytest.mark.parametrize("c", [-1.2, 1.3])
def test_events_are_drawn_from_the_density(
    corrected: CorrectedConditionalMixture, c: float
) -> None:
    context = np.full((20_000, 1), c)
    drawn = corrected.draw(context, np.random.default_rng(6))
    assert drawn.audit.accepted == len(context)
    assert drawn.audit.overweight < 1e-3
    p = np.exp(corrected.log_prob(GRID, np.full(GRID.shape, c)))
    cumulative = np.cumsum(p)

    def cdf(values: Array) -> Array:
        return np.asarray(np.interp(values, GRID[:, 0] + 0.005, cumulative / cumulative[-1]))

    assert stats.kstest(drawn.x[:, 0], cdf).pvalue > 1e-3
    # The uncorrected mixture is another law.
    plain = corrected.uncorrected.draw(context, np.random.default_rng(6))
    assert stats.kstest(plain.x[:, 0], cdf).pvalue < 1e-3


def test_each_context_keeps_its_row(corrected: CorrectedConditionalMixture) -> None:
    context = np.linspace(-1.4, 1.4, 2000)[:, None]
    drawn = corrected.draw(context, np.random.default_rng(7))
    assert np.polyfit(context[:, 0], drawn.x[:, 0], 1)[0] == pytest.approx(0.8, abs=0.2)
    np.testing.assert_array_equal(drawn.log_densities, corrected.log_densities(drawn.x, context))


def test_at_one_context_it_is_an_ordinary_corrected_mixture(
    corrected: CorrectedConditionalMixture,
) -> None:
    x = np.linspace(-3.0, 4.0, 15)[:, None]
    context = np.full(x.shape, 0.7)
    ordinary = corrected.at([0.7])
    noise = ordinary.log_prob(x) - corrected.log_prob(x, context)
    assert np.ptp(noise) < 1e-9  # the norm alone is from other draws
    assert abs(noise[0]) < 0.1
    # With more draws there, the pointwise errors agree.
    more = CorrectedConditionalMixture(corrected.uncorrected, corrected.discrepancy, norm=20_000)
    assert ordinary.std(x) == pytest.approx(more.std(x, context), rel=0.1)
    found = ordinary.expectation(lambda v: v[:, 0], Run(Seeds(3)))
    p = np.exp(ordinary.log_prob(GRID))
    assert found.value == pytest.approx(float(p @ GRID[:, 0] / p.sum()), abs=0.05)
    assert [band.feature for band in ordinary.discrepancy.bands] == ["x0"]


def test_the_pointwise_error_has_the_noise_of_the_norm(
    corrected: CorrectedConditionalMixture,
) -> None:
    x, context = np.array([[0.5]]), np.array([[0.5]])
    few = CorrectedConditionalMixture(corrected.uncorrected, corrected.discrepancy, norm=4)
    spread = [
        CorrectedConditionalMixture(corrected.uncorrected, corrected.discrepancy, norm=k)
        for k in range(4, 60)
    ]
    values = np.array([each.log_prob(x, context)[0] for each in spread])
    exact = corrected.at([0.5]).log_prob(x)[0]
    errors = np.array(
        [each.std(x, context)[0] / np.exp(v) for each, v in zip(spread, values, strict=True)]
    )
    assert (np.abs(values - exact) < 3.0 * errors).all()
    relative = few.std(x, context) / np.exp(few.log_prob(x, context))
    own = corrected.at([0.5])
    assert relative[0] > own.std(x)[0] / np.exp(own.log_prob(x)[0])


def test_the_fit_is_repeatable_and_survives_a_file(
    corrected: CorrectedConditionalMixture,
) -> None:
    rng = np.random.default_rng(5)
    again = correct(corrected, truth(1500, rng), 1, SETTINGS)
    assert again.fingerprint == corrected.fingerprint
    read = from_dict(to_dict(corrected.discrepancy))
    assert read.digest == corrected.discrepancy.digest  # type: ignore[attr-defined]
    assert corrected.discrepancy.record.gap < 1e-3
    assert corrected.discrepancy.record.effective > 1.0


def test_a_correction_belongs_to_its_mixture(corrected: CorrectedConditionalMixture) -> None:
    rng = np.random.default_rng(10)
    other = fitted(members(3, 1000, rng), truth(500, rng))
    with pytest.raises(InputError, match="the correction of another mixture"):
        CorrectedConditionalMixture(other, corrected.discrepancy)
    with pytest.raises(InputError, match="norm: got 1"):
        CorrectedConditionalMixture(corrected.uncorrected, corrected.discrepancy, norm=1)


def matched(x: Array, draws: Array, theta: float) -> tuple[float, float]:
    """Return gradient and curvature for the function F(x) = x, and N(0, 1) as the mixture."""
    rows = np.concatenate([x[:, None], draws], axis=1)
    n = len(x)
    problem = MatchedTilt(
        rows.reshape(-1, 1),
        np.array([x.sum()]),
        float(n),
        np.zeros(1),
        np.zeros(1),
        slice(0, 1),
        np.full(n, 1.0 / n),
    )
    point = problem.at(np.array([theta]))
    return float(point.gradient[0]), float(problem.hessian(point)[0, 0])


def test_the_probability_of_the_event_in_its_set_has_no_bias() -> None:
    # N(0.5, 1) is N(0, 1) tilted by 0.5 x, whatever the number of draws.
    rng = np.random.default_rng(8)
    n, draws = 20_000, 3
    x, z = rng.normal(0.5, 1.0, n), rng.normal(size=(n, draws))
    score, information = matched(x, z, 0.5)
    assert abs(score) < 4.0 * np.sqrt(information)
    # The twin: log Z as the logarithm of a mean over as few draws.
    ratio = np.exp(0.5 * z)
    tilted = (ratio * z).sum(axis=1) / ratio.sum(axis=1)
    assert abs(float((tilted - x).sum())) > 20.0 * np.sqrt(information)


def test_gradient_and_curvature_are_those_of_the_objective() -> None:
    rng = np.random.default_rng(9)
    x, z = rng.normal(size=50), rng.normal(size=(50, 4))
    before, here, after = (matched(x, z, 0.3 + step) for step in (-1e-5, 0.0, 1e-5))
    assert (after[0] - before[0]) / 2e-5 == pytest.approx(here[1], rel=1e-6)


def test_nothing_is_a_function_of_the_context_alone() -> None:
    rng = np.random.default_rng(4)
    events = rng.normal(size=(5000, 4))
    features = [Feature(name) for name in ("x", "y", "c", "e")]
    level = np.zeros(len(events))
    basis = DiscrepancyBasis.of(features, events, level, given=2)
    assert {name.split(":")[0] for name in basis.names} == {
        "x", "y", "density", "x and y", "x and c", "y and c", "x and e", "y and e"
    }  # fmt: skip
    fixed = basis.fixed(events[7, 2:])
    whole, known = np.empty((basis.groups.size, 1)), np.empty((basis.groups.size, 1))
    basis.fill(events[7:8], level[:1], whole)
    fixed.fill(events[7:8, :2], level[:1], known)
    assert known == pytest.approx(whole, abs=1e-15)


def test_draws_are_as_many_as_memory_allows() -> None:
    assert [draws_each(n, 200) for n in (1000, 20_000, 10_000_000)] == [10, 7, 4]


def test_goodness_in_context_says_that_it_does_without(
    corrected: CorrectedConditionalMixture,
) -> None:
    bins = ContextBins("c0", 2, alternative=GaussianKernels(count=3, reference=200))
    test = truth(400, np.random.default_rng(11))
    found = goodness_in_context(Run(Seeds(4)), corrected, test, bins=bins, toys=19)
    plain = goodness_in_context(Run(Seeds(4)), corrected.uncorrected, test, bins=bins, toys=19)
    assert found.p_value == plain.p_value
    assert any("without its discrepancy" in note for note in found.warnings)
    assert not any("without its discrepancy" in note for note in plain.warnings)


def test_fit_and_round_trip_through_the_store() -> None:
    run = Run(Seeds(12))
    events = truth(900, np.random.default_rng(12))
    trainer = SplineFlowTrainer(layers=1, hidden=8, epochs=2).given("c0")
    ensemble = fit_ensemble(run, events.take(np.arange(500)), BootstrapPlan(2), trainer)
    rest = events.take(np.arange(500, 900))
    mixture = fit_conditional_mixture(
        run, ensemble, rest, pseudo=PseudoEvents(count=200, audit=500), discrepancy=SETTINGS
    )
    assert isinstance(mixture, CorrectedConditionalMixture)
    save_mixture(run, mixture)
    again = load_conditional_mixture(run)
    assert isinstance(again, CorrectedConditionalMixture)
    assert again.fingerprint == mixture.fingerprint
    pair = again.divide(rest.take(np.arange(20)))
    np.testing.assert_array_equal(again.log_prob(*pair), mixture.log_prob(*pair))
    # Events that the weights were not fitted to are refused.
    with pytest.raises(InputError, match="the weights were not fitted to"):
        correct(mixture, events.take(np.arange(500)), 1, SETTINGS)
    # Without a correction none is read back.
    save_mixture(run, mixture.uncorrected)
    assert not isinstance(load_conditional_mixture(run), CorrectedConditionalMixture)
