"""Coverage counts what it should, fails openly, and does not depend on how it is run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from coverage_values import PAPER, spanning_members, spanning_mixture
from statistical import assert_rate, assert_within
from verisimile.checks.coverage.conditional import PseudoDraws, coverage
from verisimile.checks.coverage.members import PooledDraws
from verisimile.checks.coverage.observables import (
    BinContent,
    DensityAt,
    Expectation,
    Moment,
    Observable,
    Quantile,
)
from verisimile.checks.coverage.result import Coverage, Outcomes, summarise
from verisimile.checks.coverage.retrained import coverage_retrained
from verisimile.checks.coverage.truth import (
    KnownTruth,
    MixtureTruth,
    SampledTruth,
    draw_with_densities,
)
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.truths import GaussianTruth
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import member_log_densities
from verisimile.stats.intervals import ONE_SIGMA, clopper_pearson, wilson

EVENTS = 400
MEANS: dict[str, Observable] = {"first": Moment("x0"), "second": Moment("x1")}
KNOWN = KnownTruth(PAPER, {"first": -0.5, "second": 0.6})


def _product(x: Array) -> Array:
    return np.asarray(x[:, 0] * x[:, 1])


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    return spanning_mixture(spanning_members(4), EVENTS)


def _study(run: Run, mixture: Mixture, datasets: int = 12) -> Coverage:
    return coverage(run, mixture, KNOWN, observables=MEANS, datasets=datasets)


def test_summary_counts_pulls_and_failures() -> None:
    values = np.array([[1.0], [2.5], [0.2], [math.nan]])
    outcomes = Outcomes(values, np.array([[1.0], [1.0], [1.0], [math.nan]]), np.zeros((4, 1)))
    found = summarise(
        outcomes, ["o"], [Estimate(1.0, 0.0)], mode="conditional", level=0.6827, n_events=9
    )
    (entry,) = found.observables
    assert (entry.covered, entry.trials, entry.failed) == (2, 4, 1)
    assert entry.rate == 0.5
    assert (entry.low, entry.high) == clopper_pearson(2, 4, level=0.95)
    assert (entry.wilson_low, entry.wilson_high) == wilson(2, 4, level=0.95)
    pulls = np.array([0.0, 1.5, -0.8])
    assert entry.pull_mean == pytest.approx(pulls.mean())
    assert entry.pull_width == pytest.approx(pulls.std(ddof=1))
    assert entry.bias == pytest.approx(pulls.mean())
    assert entry.spread == pytest.approx(pulls.std(ddof=1))
    assert entry.pull_width_error == pytest.approx(entry.pull_width / 2.0)
    assert np.isnan(found.pulls[3, 0])
    assert "count as not covered" in found.warnings[0]


def test_level_sets_the_reach(rng: np.random.Generator) -> None:
    n = 4000
    outcomes = Outcomes(rng.standard_normal((n, 1)), np.ones((n, 1)), np.zeros((n, 1)))
    for level in (0.5, 0.6827, 0.95):
        (entry,) = summarise(
            outcomes, ["o"], [Estimate(0.0, 0.0)], mode="conditional", level=level, n_events=1
        ).observables
        assert_rate(entry.covered, n, level)


def test_every_observable_has_value_error_and_truth(mixture: Mixture) -> None:
    observables: dict[str, Observable] = {
        **MEANS,
        "square": Moment("x0", order=2),
        "bin": BinContent("x0", -0.5, 0.0),
        "median": Quantile("x0", 0.5),
        "upper": Quantile("x1", 0.9),
        "density": DensityAt((-0.5, 0.6)),
        "product": Expectation("product", _product),
    }
    found = coverage(Run(Seeds(3)), mixture, PAPER, observables=observables, datasets=40)
    (mx, my), (sx, sy) = PAPER.mu, PAPER.sigma
    exact = {
        "first": mx,
        "second": my,
        "square": mx**2 + sx**2,
        "bin": float(stats.norm.cdf(0.0, mx, sx)) - 0.5,
        "median": mx,
        "upper": float(stats.norm.ppf(0.9, my, sy)),
        "density": 1.0 / (2.0 * math.pi * sx * sy),
        "product": mx * my,
    }
    for item in found.observables:
        assert item.failed == 0
        assert item.mean_error > 0
        # The true value is estimated (all but the density) within its own error ...
        assert abs(item.truth - exact[item.name]) <= 5.0 * item.truth_error + 1e-12
        # ... estimates scatter as they claim, and around the truth.
        assert abs(item.pull_mean) < 5.0 / math.sqrt(40)
        assert abs(item.pull_width - 1.0) < 5.0 / math.sqrt(2 * 39)
    assert found.named("density").truth_error == 0.0
    assert found.named("density").sampling_share == 0.0


def test_result_survives_the_file_and_says_its_mode(mixture: Mixture) -> None:
    found = _study(Run(Seeds(4)), mixture)
    assert found.mode == "conditional"
    assert "conditional" in repr(found)
    assert found.n_events == EVENTS
    again = from_dict(to_dict(found))
    assert isinstance(again, Coverage)
    assert again.observables == found.observables
    np.testing.assert_array_equal(again.pulls, found.pulls)
    with pytest.raises(InputError, match="'third'"):
        found.named("third")


def test_more_data_sets_keep_the_first_and_a_store_keeps_them_all(
    mixture: Mixture, tmp_path: Path
) -> None:
    few = _study(Run(Seeds(5), store=tmp_path), mixture, datasets=10)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    more = _study(Run(Seeds(5), store=tmp_path), mixture, datasets=15)
    np.testing.assert_array_equal(more.pulls[:10], few.pulls)
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())
    np.testing.assert_array_equal(_study(Run(Seeds(5)), mixture, datasets=15).pulls, more.pulls)


@dataclass(frozen=True)
class _Outlier:
    """The truth, but in some data sets an event lies where no member has any density."""

    n_features = 2

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        x = PAPER.sample(n, rng)
        if rng.random() < 0.5:
            x[0] = 1e200
        return x


def test_a_failed_fit_counts_as_not_covered(mixture: Mixture) -> None:
    truth = KnownTruth(_Outlier(), {"first": -0.5, "second": 0.6})
    with np.errstate(over="ignore"):
        found = coverage(Run(Seeds(6)), mixture, truth, observables=MEANS, datasets=20)
    first = found.named("first")
    finished = np.isfinite(found.pulls[:, 0])
    assert 0 < first.failed < 20
    assert first.failed == 20 - int(finished.sum())
    assert first.covered <= int(finished.sum())
    assert first.rate == first.covered / 20
    assert any("count as not covered" in note for note in found.warnings)


def test_refits_can_go_without_pseudo_events(mixture: Mixture) -> None:
    plain = coverage(
        Run(Seeds(7)), mixture, KNOWN, observables=MEANS, datasets=2, pseudo=PseudoDraws(0)
    )
    assert not np.array_equal(plain.pulls, _study(Run(Seeds(7)), mixture, datasets=2).pulls)


def test_a_sampled_truth_is_corrected_for_its_size(mixture: Mixture) -> None:
    # Half of the sample in every data set: estimates scatter less by the square root of two.
    truth = SampledTruth(PAPER.sample(2 * EVENTS, np.random.default_rng(9)))
    found = coverage(Run(Seeds(11)), mixture, truth, observables=MEANS, datasets=200)
    for item, column in zip(found.observables, truth.x.T, strict=True):
        assert item.truth == pytest.approx(column.mean())
        assert item.truth_error == 0.0
        # The weights see the mixture's few directions of a sample that is not in its span.
        assert_within(item.pull_width, 1.0, item.pull_width_error)
        assert item.spread < 1.2 * item.mean_error
    assert any("share the 800 events" in note for note in found.warnings)
    with pytest.raises(InputError, match="more than the 900"):
        truth.sample(900, np.random.default_rng(0))


def test_closure_covers_and_has_no_error_from_draws(mixture: Mixture) -> None:
    few = PooledDraws(most=2000)
    found = coverage(Run(Seeds(12)), mixture, observables=MEANS, datasets=200, draws=few)
    for item in found.observables:
        assert item.sampling_share == 0.0
        assert item.truth_error == 0.0
        assert_rate(item.covered, item.trials, ONE_SIGMA)
    negative = replace(mixture.fit.record, negative_mass=0.1)
    shifted = Mixture(mixture.members, replace(mixture.fit, record=negative))
    (note,) = coverage(Run(Seeds(12)), shifted, observables=MEANS, datasets=2).warnings
    assert "negative mass of 0.1" in note


def test_a_closure_is_the_same_whatever_its_draws(mixture: Mixture) -> None:
    # What the draws have missed is in interval and distance alike.
    run = Run(Seeds(14))
    few, many = (
        coverage(run, mixture, observables=MEANS, datasets=40, draws=draws)
        for draws in (PooledDraws(most=50_000), PooledDraws(share=5e-4))
    )
    for one, other in zip(few.observables, many.observables, strict=True):
        assert one.pull_width == pytest.approx(other.pull_width, rel=0.05)
        assert one.mean_error == pytest.approx(other.mean_error, rel=0.05)


def test_a_closure_takes_the_densities_of_its_sampler(mixture: Mixture) -> None:
    rng = np.random.default_rng(15)
    x, logf = draw_with_densities(MixtureTruth(mixture), mixture.members, 500, rng)
    np.testing.assert_array_equal(logf, mixture.log_densities(x))
    other, there = draw_with_densities(MixtureTruth(mixture), mixture.members[:2], 500, rng)
    np.testing.assert_array_equal(there, mixture.log_densities(other)[:, :2])


def _two_sets(mixture: Mixture, draws: PooledDraws) -> Coverage:
    run = Run(Seeds(13))
    return coverage(run, mixture, KNOWN, observables=MEANS, datasets=2, events=1000, draws=draws)


def test_draws_go_on_until_their_share_is_small(mixture: Mixture) -> None:
    many = _two_sets(mixture, PooledDraws())
    capped = _two_sets(mixture, PooledDraws(most=10_000))
    assert all(item.sampling_share < 0.02 for item in many.observables)
    assert any(item.sampling_share > 0.02 for item in capped.observables)
    assert any("finite draws" in note for note in capped.warnings)
    with pytest.raises(InputError, match="share"):
        PooledDraws(share=0.0)


def _broken(seeds: Seeds, events: Events) -> Mixture:
    raise RuntimeError("no disk")


def test_an_error_that_is_no_failed_fit_is_not_counted_away() -> None:
    with pytest.raises(NumericsError, match="no disk"):
        coverage_retrained(Run(Seeds(10)), _broken, KNOWN, observables=MEANS, datasets=2, events=10)


def test_bad_questions_are_refused(mixture: Mixture) -> None:
    run = Run(Seeds(8))
    with pytest.raises(InputError, match="at least one"):
        coverage(run, mixture, KNOWN, observables={})
    with pytest.raises(InputError, match="feature"):
        coverage(run, mixture, PAPER, observables={"o": Moment("pt")})
    with pytest.raises(InputError, match="level"):
        coverage(run, mixture, KNOWN, observables=MEANS, level=68.27)
    with pytest.raises(InputError, match="datasets"):
        coverage(run, mixture, KNOWN, observables=MEANS, datasets=1)
    with pytest.raises(InputError, match="values"):
        coverage(run, mixture, KNOWN, observables={"o": Moment("x0")}, datasets=2)
    with pytest.raises(InputError, match="log_prob"):
        coverage(run, mixture, _Outlier(), observables={"f": DensityAt((0.0, 0.0))}, datasets=2)
    with pytest.raises(InputError, match="low < high"):
        BinContent("x0", 1.0, 1.0)
    with pytest.raises(InputError, match="probability"):
        Quantile("x0", 1.0)
    with pytest.raises(InputError, match="order"):
        Moment("x0", 0)


def _two_halves(seeds: Seeds, events: Events) -> Mixture:
    """Two Gaussians fitted to bootstrap replicas of one half, weights fitted on the other."""
    rng = seeds.numpy()
    half = events.n // 2
    members = []
    for _ in range(2):
        x = events.x[rng.integers(half, size=half)]
        members.append(GaussianTruth(tuple(x.mean(axis=0)), tuple(x.std(axis=0))))
    return Mixture(members, fit_weights(member_log_densities(members, events.x[half:])))


def test_retrained_mode_sees_what_two_members_cannot_follow() -> None:
    found = coverage_retrained(
        Run(Seeds(9)), _two_halves, KNOWN, observables=MEANS, datasets=60, events=400
    )
    assert found.mode == "retrained"
    assert found.n_events == 400
    # Two members leave one direction free: most of the training fluctuation is in no error.
    for item in found.observables:
        assert item.high < 0.6827
        assert item.pull_width > 1.5
