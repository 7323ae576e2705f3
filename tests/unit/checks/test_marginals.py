"""Marginals count every event once, and their errors are those of counts and model together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from statistical import assert_within
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
from verisimile.checks.goodness.marginals import MarginalComparison, marginal_comparisons
from verisimile.checks.goodness.result import Goodness
from verisimile.core.arrays import Array, as_vector
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture

FEATURES = (Feature("m", unit="GeV"), Feature("pt", unit="GeV", low=0.0))


@dataclass(frozen=True)
class Shifted:
    """m normal around a shift, pt log-normal."""

    shift: float
    n_features: int = 2

    def log_prob(self, x: Array) -> Array:
        m = stats.norm.logpdf(x[:, 0], self.shift, 1.0)
        return np.asarray(m + stats.lognorm.logpdf(x[:, 1], 0.7))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return np.column_stack([rng.normal(self.shift, 1.0, n), rng.lognormal(0.0, 0.7, n)])


@dataclass(frozen=True)
class Tilt:
    """Stands for a fit whose alternative is the mixture times 1 + slope m."""

    slope: float

    def reference(self, run: Run, n: int) -> tuple[Array, Array, Array]:
        rng = run.seeds.at("reference").numpy()
        x = np.concatenate([Shifted(shift).sample(n // 2, rng) for shift in (-0.3, 0.3)])
        return x, np.ones(len(x)), 1.0 + self.slope * x[:, 0]


@dataclass(frozen=True)
class Result:
    """Stands for a goodness-of-fit result."""

    fitted: Tilt | None
    events_digest: str
    n_members: int = 2
    hypothesis: str = "ensemble+uncertainty"


@pytest.fixture
def mixture(rng: np.random.Generator) -> Mixture:
    members = (Shifted(-0.3), Shifted(0.3))
    x = np.concatenate([member.sample(2000, rng) for member in members])
    logf = np.column_stack([member.log_prob(x) for member in members])
    return Mixture(members, fit_weights(logf), features=FEATURES)


@pytest.fixture
def events(rng: np.random.Generator) -> Events:
    x = np.concatenate([Shifted(shift).sample(1500, rng) for shift in (-0.3, 0.3)])
    return Events(x, features=FEATURES)


@pytest.fixture
def marginals(
    mixture: Mixture, events: Events, seeds: Seeds
) -> tuple[MarginalComparison, MarginalComparison]:
    goodness = Result(Tilt(0.2), events.digest)
    m, pt = marginal_comparisons(Run(seeds), mixture, goodness, events, bins=20)
    return m, pt


def test_every_event_is_counted_once(
    marginals: tuple[MarginalComparison, MarginalComparison], events: Events
) -> None:
    for marginal in marginals:
        outside = marginal.underflow[0] + marginal.overflow[0]
        assert marginal.counts.sum() + outside == events.n
        expected = marginal.expected.sum() + marginal.underflow[1] + marginal.overflow[1]
        assert expected == pytest.approx(events.n)


def test_expectation_is_the_density_within_its_errors(
    marginals: tuple[MarginalComparison, MarginalComparison], mixture: Mixture, events: Events
) -> None:
    m = marginals[0]
    cdf = np.array([stats.norm.cdf(m.edges, shift) for shift in (-0.3, 0.3)])
    truth = events.n * (mixture.weights @ np.diff(cdf, axis=1))
    # The weights are the same on both sides, so only the members' Monte Carlo error is left.
    probability = truth / events.n
    monte_carlo = events.n * np.sqrt(probability * (1 - probability) / 20_000)
    assert_within(m.expected, truth, monte_carlo * np.sqrt((mixture.weights**2).sum()))


def test_importance_weights_give_the_alternative(
    marginals: tuple[MarginalComparison, MarginalComparison],
) -> None:
    m, pt = marginals
    centres = 0.5 * (m.edges[1:] + m.edges[:-1])
    width = m.edges[1] - m.edges[0]
    inner = m.expected > 50
    # The mean of 1 + 0.2 m over a bin is that at its centre, up to 0.2 times the width.
    assert np.abs(m.alternative / m.expected - 1 - 0.2 * centres)[inner].max() < 0.2 * width
    assert m.null == pytest.approx(m.expected)
    flat = (pt.alternative / pt.expected)[pt.expected > 50]
    assert np.abs(flat - 1).max() < 0.05


def test_features_keep_their_axes(
    marginals: tuple[MarginalComparison, MarginalComparison],
) -> None:
    m, pt = marginals
    assert (m.feature, pt.feature) == FEATURES
    assert not m.logarithmic
    assert pt.logarithmic
    assert "chi2/dof" in repr(m)


def test_intervals_and_pulls(marginals: tuple[MarginalComparison, MarginalComparison]) -> None:
    m = marginals[0]
    busy = m.counts > 100
    assert ((m.counts - m.count_low)[busy] / np.sqrt(m.counts[busy])) == pytest.approx(1, abs=0.1)
    assert m.pulls == pytest.approx((m.counts - m.expected) / np.sqrt(m.expected + m.errors**2))


def test_chi2_of_pseudo_data_has_its_degrees_of_freedom(
    mixture: Mixture, seeds: Seeds, rng: np.random.Generator
) -> None:
    excess: list[float] = []
    run = Run(seeds)
    for _ in range(60):
        weights = rng.multivariate_normal(mixture.weights, mixture.fit.covariance)
        n = rng.binomial(400, weights[0])
        x = np.concatenate([Shifted(-0.3).sample(n, rng), Shifted(0.3).sample(400 - n, rng)])
        sample = Events(x, features=FEATURES)
        result = Result(Tilt(0.0), sample.digest)
        found = marginal_comparisons(run, mixture, result, sample, bins=12, draws=4000)
        excess += [(marginal.chi2 - marginal.dof) / np.sqrt(2 * marginal.dof) for marginal in found]
    assert_within(np.mean(excess), 0.0, np.std(excess) / np.sqrt(len(excess)))
    assert 0.6 < np.std(excess) < 1.5


def test_a_wrong_model_is_seen(mixture: Mixture, seeds: Seeds, rng: np.random.Generator) -> None:
    sample = Events(Shifted(0.5).sample(3000, rng), features=FEATURES)
    result = Result(Tilt(0.0), sample.digest)
    m, pt = marginal_comparisons(Run(seeds), mixture, result, sample)
    assert m.chi2 > 3 * m.dof
    assert pt.chi2 < 2 * pt.dof


def test_a_bin_without_draws_has_no_alternative(
    mixture: Mixture, seeds: Seeds, events: Events
) -> None:
    far = Events(np.vstack([events.x, np.tile([60.0, 1.0], (40, 1))]), features=FEATURES)
    result = Result(Tilt(0.0), far.digest)
    m, _ = marginal_comparisons(Run(seeds), mixture, result, far, draws=2000)
    assert m.counts[-1] == 40
    assert np.isnan(m.alternative[-1])
    assert np.isnan(m.pulls[-1])
    assert np.isfinite(m.chi2)


def test_events_on_the_outer_edges_are_inside(
    seeds: Seeds, mixture: Mixture, events: Events
) -> None:
    features = (FEATURES[0], Feature("pt", low=0.0, high=50.0))
    bounded = Mixture(mixture.members, mixture.fit, features=features)
    edge = Events(np.tile([0.0, 50.0], (100, 1)), features=features)
    result = Result(Tilt(0.0), edge.digest)
    _, pt = marginal_comparisons(Run(seeds), bounded, result, edge, draws=2000)
    assert pt.edges[-1] == 50.0
    assert pt.counts[-1] == 100


def test_columns_are_matched_by_name(mixture: Mixture, seeds: Seeds, events: Events) -> None:
    swapped = events.select(("pt", "m"))
    result = Result(Tilt(0.0), events.digest)
    straight = marginal_comparisons(Run(seeds), mixture, result, events, draws=2000)
    crossed = marginal_comparisons(Run(seeds), mixture, result, swapped, draws=2000)
    assert crossed[0].counts == pytest.approx(straight[0].counts)


def test_a_sample_may_say_label_and_unit_of_what_was_fitted(
    mixture: Mixture, seeds: Seeds, events: Events
) -> None:
    said = [replace(FEATURES[0], label="$m$", unit="GeV"), replace(FEATURES[1], low=-1.0, label="")]
    result = Result(Tilt(0.0), events.digest)
    m, pt = marginal_comparisons(
        Run(seeds), mixture, result, events.with_features(said), draws=2000
    )
    assert m.feature.title == "$m$ [GeV]"
    assert pt.feature == FEATURES[1]


def test_real_result_and_round_trip(mixture: Mixture, seeds: Seeds, events: Events) -> None:
    run = Run(seeds)
    goodness = goodness_of_fit(
        run, mixture, events, alternative=GaussianKernels(count=10, width=0.5), toys=2
    )
    first, _ = marginal_comparisons(run, mixture, goodness, events, draws=2000)
    assert first.hypothesis == goodness.hypothesis
    again = from_dict(to_dict(first))
    assert isinstance(again, MarginalComparison)
    assert again.feature == first.feature
    assert np.array_equal(again.covariance, first.covariance)
    _check_refusals(run, mixture, goodness, events)


def _check_refusals(run: Run, mixture: Mixture, goodness: Goodness, events: Events) -> None:
    loaded = from_dict(to_dict(goodness))
    assert isinstance(loaded, Goodness)
    with pytest.raises(InputError, match="read back from a file"):
        marginal_comparisons(run, mixture, loaded, events)
    with pytest.raises(InputError, match="another sample"):
        marginal_comparisons(run, mixture, goodness, events.take(np.arange(10)))
    with pytest.raises(InputError, match="mixture of 7 members"):
        marginal_comparisons(run, mixture, replace(goodness, n_members=7), events)


def test_vectors_are_read_only(
    marginals: tuple[MarginalComparison, MarginalComparison],
) -> None:
    assert not marginals[0].counts.flags.writeable
    assert as_vector(marginals[0].errors, "errors").size == marginals[0].counts.size
