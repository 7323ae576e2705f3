"""Mixtures of conditional densities: values, normalisation, draws at contexts, round trips."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from conditional_analytic import ConditionalBlend, conditional_family, draw_at
from statistical import FIVE_SIGMA, assert_within
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError, StoreError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.ensemble.ensemble import Ensemble
from verisimile.ensemble.fit import fit_ensemble, load_ensemble
from verisimile.ensemble.plan import BootstrapPlan
from verisimile.mixture.bind import Bootstrap, PseudoEvents, fit_conditional_mixture, fit_mixture
from verisimile.mixture.conditional import ConditionalMixture, ContextColumns
from verisimile.mixture.fit import WeightFit, fit_weights, single_weight
from verisimile.mixture.io import load_conditional_mixture, load_mixture, save_mixture
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import (
    conditional_log_densities,
    conditional_negative_mass,
    sample_signed_at,
)

M = 4
TRUTH = np.array([0.4, 0.3, 0.2, 0.1])
# 1.6 N(0, 1) - 0.6 N(0, exp(0.4 c)): a hole in the middle at c = -3, negative tails for c > 0.
SIGNED = np.array([1.6, -0.6])
PAIR = (ConditionalBlend(slope=0.0, growth=0.0), ConditionalBlend(slope=0.0, growth=0.4))


def with_weights(members: tuple[ConditionalBlend, ...], weights: Array) -> ConditionalMixture:
    blank = fit_weights(np.zeros((2, len(members))))
    fit = WeightFit(weights, blank.covariance, blank.inverse_hessian, blank.nll, blank.record)
    return ConditionalMixture(members, fit)


@pytest.fixture(scope="module")
def mixture() -> ConditionalMixture:
    rng = np.random.default_rng(3)
    members = conditional_family(M)
    context = rng.uniform(-1.5, 1.5, (4000, 1))
    x = draw_at(members, TRUTH, context, rng)
    return ConditionalMixture(members, fit_weights(conditional_log_densities(members, x, context)))


def test_is_the_weighted_sum_at_each_context(
    mixture: ConditionalMixture, rng: np.random.Generator
) -> None:
    x, c = rng.normal(size=(50, 1)), rng.uniform(-1, 1, (50, 1))
    density = np.exp(mixture.log_densities(x, c)) @ mixture.weights
    assert mixture.log_prob(x, c) == pytest.approx(np.log(density), rel=1e-12)


@pytest.mark.parametrize("c", [-1.5, 0.0, 1.2])
def test_integrates_to_one_at_every_context(mixture: ConditionalMixture, c: float) -> None:
    assert mixture.weights.sum() == pytest.approx(1.0, abs=1e-10)
    grid = np.linspace(-15, 15, 6001)[:, None]
    density = np.exp(mixture.log_densities(grid, np.full(grid.shape, c))) @ mixture.weights
    assert density.sum() * 0.005 == pytest.approx(1.0, abs=1e-9)


def test_weights_are_the_true_ones_within_their_errors(mixture: ConditionalMixture) -> None:
    assert_within(mixture.weights, TRUTH, np.sqrt(np.diag(mixture.fit.covariance)))


def test_pointwise_error_is_the_quadratic_form(
    mixture: ConditionalMixture, rng: np.random.Generator
) -> None:
    x, c = rng.normal(size=(5, 1)), rng.uniform(-1, 1, (5, 1))
    density = np.exp(mixture.log_densities(x, c))
    expected = np.sqrt([row @ mixture.fit.covariance @ row for row in density])
    assert mixture.std(x, c) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("c", [-3.0, 0.0, 1.0])
def test_draws_follow_the_signed_density_at_their_context(c: float, seeds: Seeds) -> None:
    # The cdf of max(0, f), normalised, by the trapezoidal rule.
    grid = np.linspace(-12, 12, 20001)[:, None]
    density = np.exp(conditional_log_densities(PAIR, grid, np.full(grid.shape, c))) @ SIGNED
    cumulative = np.cumsum(np.clip(density, 0, None))
    context = np.full((20_000, 1), c)
    sample = sample_signed_at(PAIR, SIGNED, context, seeds.numpy())
    p = stats.kstest(
        sample.x[:, 0], lambda v: np.interp(v, grid[:, 0], cumulative / cumulative[-1])
    ).pvalue
    assert p > FIVE_SIGMA


def test_each_context_gets_its_own_event(seeds: Seeds) -> None:
    # Mixed contexts in any order: probability integral transforms are uniform and
    # independent of the context.
    blend = ConditionalBlend(slope=3.0, growth=0.5)
    rng = seeds.numpy()
    context = rng.uniform(-2, 2, (5000, 1))
    x = sample_signed_at((blend,), np.ones(1), context, rng).x
    u = stats.norm.cdf((x - 3.0 * context) / np.exp(0.5 * context))[:, 0]
    assert stats.kstest(u, "uniform").pvalue > FIVE_SIGMA
    assert stats.spearmanr(u, context[:, 0]).pvalue > FIVE_SIGMA


def test_log_densities_come_with_the_draws(seeds: Seeds) -> None:
    context = seeds.numpy().uniform(-1, 1, (300, 1))
    sample = sample_signed_at(PAIR, SIGNED, context, seeds.numpy())
    np.testing.assert_array_equal(
        sample.log_densities, conditional_log_densities(PAIR, sample.x, context)
    )
    assert (np.exp(sample.log_densities) @ SIGNED > 0).all()


@pytest.mark.parametrize("c", [-3.0, 0.5])
def test_negative_mass_is_that_of_the_density(c: float, seeds: Seeds) -> None:
    grid = np.linspace(-12, 12, 20001)[:, None]
    density = np.exp(conditional_log_densities(PAIR, grid, np.full(grid.shape, c))) @ SIGNED
    expected = float(np.clip(-density, 0, None).sum() * 24 / 20_000)
    found = conditional_negative_mass(PAIR, SIGNED, np.full((20_000, 1), c), seeds.numpy())
    assert expected > 1e-3
    assert_within(found.value, expected, found.error)
    audit = sample_signed_at(PAIR, SIGNED, np.full((20_000, 1), c), seeds.numpy()).audit
    assert audit.accepted == 20_000
    assert audit.positive_weight == pytest.approx(1.6)


def test_members_that_deny_their_own_draws_are_an_error(seeds: Seeds) -> None:
    class Nowhere(ConditionalBlend):
        def log_prob(self, x: Array, context: Array) -> Array:  # noqa: ARG002
            return np.full(len(x), -np.inf)

    with pytest.raises(NumericsError, match="contexts without an event"):
        sample_signed_at((Nowhere(),), np.ones(1), np.zeros((3, 1)), seeds.numpy())


def test_sample_keeps_the_contexts(mixture: ConditionalMixture) -> None:
    context = np.linspace(-1, 1, 64)[:, None]
    events = mixture.sample(context, Run(Seeds(4)))
    assert events.names == ("x0", "c0")
    np.testing.assert_array_equal(events.column("c0"), context[:, 0])
    again = mixture.sample(events, Run(Seeds(4)))
    np.testing.assert_array_equal(again.x, events.x)


def test_at_one_context_it_is_an_ordinary_mixture(mixture: ConditionalMixture) -> None:
    fixed = mixture.at([0.5])
    x = np.linspace(-2, 2, 9)[:, None]
    np.testing.assert_array_equal(fixed.log_prob(x), mixture.log_prob(x, np.full((9, 1), 0.5)))
    mean = fixed.expectation(lambda values: values[:, 0], Run(Seeds(1)))
    grid = np.linspace(-15, 15, 6001)[:, None]
    density = np.exp(fixed.log_densities(grid)) @ fixed.weights
    # Not the weights' own error: only the draws are random here.
    draws = np.sqrt((fixed.weights**2 * 4.0).sum() / 20_000)
    assert_within(mean.value, float((grid[:, 0] * density).sum() * 0.005), draws)


A, B = Feature("a"), Feature("b")
MISFITS: dict[str, Callable[[], object]] = {
    "two members, one weight": lambda: ConditionalMixture(PAIR, single_weight()),
    "no density": lambda: ConditionalMixture([object()], single_weight()),  # type: ignore[list-item]
    "not conditional": lambda: Mixture(PAIR, fit_weights(np.zeros((2, 2)))),  # type: ignore[arg-type]
    "two names": lambda: ConditionalMixture(PAIR[:1], single_weight(), features=[A, B]),
    "one name for both": lambda: ConditionalMixture(
        PAIR[:1], single_weight(), features=[A], context=ContextColumns((A,))
    ),
}


@pytest.mark.parametrize("case", list(MISFITS))
def test_what_does_not_belong_together_is_refused(case: str) -> None:
    with pytest.raises(InputError):
        MISFITS[case]()


def test_contexts_outside_the_trained_range_warn() -> None:
    columns = ContextColumns((Feature("c"),), np.array([[-1.0], [1.0]]))
    mixture = ConditionalMixture(PAIR[:1], single_weight(), context=columns)
    with pytest.warns(VerisimileWarning, match="1 of 3 sampled contexts"):
        mixture.sample(np.array([[0.0], [1.0], [1.5]]), Run(Seeds(1)))
    # The range is that of a sample: of another, a few may lie beyond it.
    few = np.append(np.zeros(199), 1.5)[:, None]
    assert columns.outside(few).sum() == 1
    assert columns.warn_outside(few, "sampled") == ()


def trained() -> Events:
    rng = np.random.default_rng(8)
    c = rng.uniform(-1, 1, (1500, 1))
    x = draw_at([ConditionalBlend()], np.ones(1), c, rng)
    return Events(np.hstack([c, x]), names=("c", "x"))


TRAINER = SplineFlowTrainer(layers=1, blocks=1, hidden=8, epochs=2)
PLAN = BootstrapPlan(members=2)


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    run = Run(Seeds(9), store=tmp_path_factory.mktemp("conditional"))
    return fit_ensemble(run, trained().take(np.arange(1000)), PLAN, TRAINER.given("c"))


def test_ensemble_evaluates_events_that_hold_both(ensemble: Ensemble) -> None:
    rest = trained().take(np.arange(1000, 1500))
    logf = ensemble.log_densities(rest.select(["x", "c"]))
    for column, member in zip(logf.T, ensemble.conditionals, strict=True):
        np.testing.assert_array_equal(
            column, member.log_prob(rest.select(["x"]).x, rest.select(["c"]).x)
        )
    assert 0 < ensemble.precision_gap < 1e-3


def test_ensemble_without_members_of_the_other_kind(ensemble: Ensemble) -> None:
    with pytest.raises(InputError, match="fit_conditional_mixture"):
        fit_mixture(ensemble.run, ensemble, trained().take(np.arange(1000, 1500)))
    run = Run(Seeds(1))
    plain = fit_ensemble(run, trained(), BootstrapPlan(members=1), TRAINER)
    with pytest.raises(InputError, match="without context"):
        fit_conditional_mixture(run, plain, trained())


def test_fit_and_round_trip_through_the_store(ensemble: Ensemble) -> None:
    rest = trained().take(np.arange(1000, 1500))
    pseudo = PseudoEvents(count=200, audit=500)
    mixture = fit_conditional_mixture(
        ensemble.run, ensemble, rest, pseudo=pseudo, covariance=Bootstrap(replicas=6)
    )
    assert [feature.name for feature in mixture.columns] == ["c", "x"]
    assert mixture.sample(rest, ensemble.run).names == ("c", "x")
    assert mixture.fit.record.negative_mass >= 0
    save_mixture(ensemble.run, mixture)
    again = load_conditional_mixture(ensemble.run)
    np.testing.assert_array_equal(
        again.log_prob(*again.divide(rest)), mixture.log_prob(*mixture.divide(rest))
    )
    assert again.fingerprint == mixture.fingerprint
    assert again.fit.record == mixture.fit.record
    assert mixture.fit.draws is not None
    assert again.fit.draws is not None
    np.testing.assert_array_equal(again.fit.draws, mixture.fit.draws)
    assert load_ensemble(ensemble.run).conditionals[0].context_names == ("c",)
    with pytest.raises(InputError, match="fit_conditional_mixture"):
        load_mixture(ensemble.run)


def test_other_context_is_another_ensemble(ensemble: Ensemble) -> None:
    with pytest.raises(StoreError, match="context"):
        fit_ensemble(ensemble.run, trained().take(np.arange(1000)), PLAN, TRAINER.given("x"))


def test_events_used_before_are_noticed(ensemble: Ensemble) -> None:
    with pytest.warns(VerisimileWarning, match="also in the training sample"):
        fit_conditional_mixture(
            ensemble.run,
            ensemble,
            trained().take(np.arange(500, 1500)),
            pseudo=PseudoEvents(count=200, audit=500),
        )
