"""Density ratios: weights with a known answer, histograms as members, classifiers end to end."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from scipy import stats

import verisimile as vs
from statistical import assert_rate
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.result import from_dict, to_dict
from verisimile.mixture.ratio_fit import RatioFit, fit_ratio_weights
from verisimile.samples.learners import Classifier, perceptron, polynomial

LEVELS = (0.6827, 0.95)
MEANS = np.array([-0.8, 0.2, 1.0])
TRUE = np.array([0.5, 0.2, 0.3])
BINS = 16


def members_at(x: Array) -> Array:
    """Return exact log-ratios of three Gaussians to N(0, 1)."""
    return np.asarray(stats.norm.logpdf(x[:, None], MEANS) - stats.norm.logpdf(x)[:, None])


def within(away: Array, error: Array) -> Array:
    """Return whether the truth is inside one and inside 1.96 standard deviations."""
    return np.array([np.abs(away) <= reach * error for reach in (1.0, 1.96)])


def refuse(hits: Array, repetitions: int) -> None:
    for count, level in zip(hits, LEVELS, strict=True):
        with pytest.raises(AssertionError):
            assert_rate(int(count), repetitions, level)


def test_errors_cover_where_the_truth_is_among_the_mixtures() -> None:
    rng, repetitions, at = np.random.default_rng(1), 120, np.array([1.5])
    truth = float((np.exp(members_at(at)) @ TRUE)[0])
    hits, twin = np.zeros(2), np.zeros(2)
    for _ in range(repetitions):
        p = rng.normal(rng.choice(MEANS, 2000, p=TRUE), 1.0)
        found = fit_ratio_weights(members_at(p), members_at(rng.normal(size=200)))
        here = members_at(at)
        away = np.exp(found.log_ratio(here)) - truth
        own, _ = found.deviations(here)
        hits += within(away, np.sqrt((own**2).sum(axis=1)))[:, 0]
        # A twin with one defect: the generated events count as infinitely many.
        alone = vs.fit_weights(members_at(p) - found.log_means).covariance
        ratio = np.exp(here - found.log_means)
        twin += within(away, np.sqrt(np.einsum("ni,ij,nj->n", ratio, alone, ratio)))[:, 0]
    for count, level in zip(hits, LEVELS, strict=True):
        assert_rate(int(count), repetitions, level)
    refuse(twin, repetitions)


def histograms(p: IntArray, g: IntArray, count: int, rng: np.random.Generator) -> Array:
    """Return log-ratios ``(BINS, count)`` of histograms of bootstrap samples of counts."""
    draws = [rng.multinomial(int(n.sum()), n / n.sum(), count) + 0.5 for n in (p, g)]
    return np.asarray(np.log(draws[0]).T - np.log(draws[1]).T)


def test_errors_cover_what_no_weights_can_give() -> None:
    """Sixteen bins, and five members: the truth is not among their mixtures."""
    rng, repetitions = np.random.default_rng(2), 120
    p, g = np.full((2, BINS), 1.0 / BINS)
    p = p * np.linspace(0.7, 1.3, BINS)
    hits, weights_alone, means = np.zeros((3, 2))
    for _ in range(repetitions):
        trained = histograms(rng.multinomial(1500, p), rng.multinomial(1500, g), 5, rng)
        held = rng.choice(BINS, 1500, p=p), rng.choice(BINS, 1500)
        found = fit_ratio_weights(trained[held[0]], trained[held[1]])
        place = rng.integers(BINS)
        here, truth = trained[[place]], p[place] / g[place]
        away = np.exp(found.log_ratio(here)) - truth
        own, _ = found.deviations(here)
        hits += within(away, found.error(here))[:, 0]
        weights_alone += within(away, np.sqrt((own**2).sum(axis=1)))[:, 0]
        ratios = np.exp(here - found.log_means)
        spread = ratios.std(axis=1, ddof=1) / np.sqrt(5)
        means += within(ratios.mean(axis=1) - truth, spread)[:, 0]
    for count, level in zip(hits, LEVELS, strict=True):
        assert_rate(int(count), repetitions, level)
    # Twins: the covariance of the weights alone; the standard error of the members' mean.
    refuse(weights_alone, repetitions)
    refuse(means, repetitions)


@pytest.fixture(scope="module")
def samples() -> tuple[vs.Events, vs.Events]:
    rng = np.random.default_rng(3)
    weights = rng.gamma(4.0, size=400)
    return (
        vs.Events(rng.normal(0.5, 1.0, (400, 2)), names=("a", "b")),
        vs.Events(rng.normal(size=(400, 2)), weights=weights, names=("a", "b")),
    )


def test_a_ratio_of_classifiers(samples: tuple[vs.Events, vs.Events]) -> None:
    def fitted() -> vs.mixture.RatioMixture:
        run, plan = vs.Run(vs.Seeds(4)), vs.BootstrapPlan(members=4, initialisations=2)
        learner = cast(Classifier, polynomial(degree=2))
        return vs.mixture.fit_ratio(run, *samples, plan, learner)

    found, x = fitted(), np.random.default_rng(5).normal(size=(50, 2))
    exact = 0.5 * x.sum(axis=1) - 0.25
    assert np.corrcoef(found.log_ratio(x), exact)[0, 1] > 0.9
    np.testing.assert_allclose(found.weights(x), np.exp(found.log_ratio(x)))
    np.testing.assert_allclose(found.std(x), found.errors(x) / found.weights(x))
    np.testing.assert_allclose(np.diag(found.covariance(x)), found.errors(x) ** 2)
    assert found.fit.weights.sum() == pytest.approx(1.0)
    # Same seeds, same ratio; columns are found by name.
    turned = vs.Events(x[:, ::-1], names=("b", "a"))
    np.testing.assert_array_equal(fitted().log_ratio(turned), found.log_ratio(x))
    # Initialisations of a logistic regression are no difference, replicas are.
    odds = found.log_ratios(x)
    np.testing.assert_allclose(odds[:, 0], odds[:, 1])
    assert np.abs(odds[:, 0] - odds[:, 2]).max() > 0.01


def test_a_short_training_is_said(samples: tuple[vs.Events, vs.Events]) -> None:
    plan = vs.BootstrapPlan(members=2)
    learner = perceptron(hidden=(4,), epochs=2)
    found = vs.mixture.fit_ratio(vs.Run(vs.Seeds(6)), *samples, plan, learner)
    assert found.warnings == ("2 of 2 trainings did not converge: train longer",)


def test_mean_one_over_weighted_generated_events(rng: np.random.Generator) -> None:
    p, g, v = rng.normal(0.3, 1.0, 500), rng.normal(size=300), rng.gamma(2.0, size=300)
    found = fit_ratio_weights(members_at(p), members_at(g), generated_weights=v)
    ratio = np.exp(found.log_ratio(members_at(g)))
    assert np.average(ratio, weights=v) == pytest.approx(1.0, abs=1e-12)
    again = from_dict(to_dict(found))
    assert isinstance(again, RatioFit)
    np.testing.assert_array_equal(again.covariance, found.covariance)
    assert "reference=500" in repr(found)


def test_what_cannot_be_combined_is_refused(samples: tuple[vs.Events, vs.Events]) -> None:
    x = np.zeros((50, 2))
    with pytest.raises(InputError, match="same two or more members"):
        fit_ratio_weights(x[:, :1], x[:, :1])
    with pytest.raises(NumericsError, match="not finite"):
        fit_ratio_weights(x, np.where(np.arange(100).reshape(50, 2) == 3, -np.inf, 0.0))
    first, second = samples
    run = vs.Run(vs.Seeds(1))
    with pytest.raises(InputError, match="fraction"):
        vs.mixture.fit_ratio(run, first, second, fraction=1.0)
    with pytest.raises(InputError, match="two or more"):
        vs.mixture.fit_ratio(run, first, second, vs.BootstrapPlan(members=1))
    signed = vs.Events(second.x, weights=np.linspace(-0.1, 1.0, 400), names=second.names)
    with pytest.raises(InputError, match="positive weights"):
        vs.mixture.fit_ratio(run, first, signed)
