"""ROC, calibration, closure and tails on scores whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate, assert_within
from verisimile.checks.classifier.auc import _wilson, calibration_of, roc_of
from verisimile.checks.classifier.crossfit import ClassifierPool
from verisimile.checks.classifier.diagnosis import closure_of, shape_chi2
from verisimile.checks.classifier.tails import tails_of
from verisimile.core.arrays import Array, BoolArray
from verisimile.stats.intervals import wilson

SHIFT = 0.6


def _truths(n: int) -> BoolArray:
    return np.asarray(np.arange(2 * n) < n)


def _pool(
    rng: np.random.Generator, n: int, *, weighted: bool = False
) -> tuple[ClassifierPool, Array]:
    """Return truth around 0.6 and generated around 0 in column a, noise in b; and log w."""
    truth = _truths(n)
    x = rng.normal(size=(2 * n, 2))
    x[truth, 0] += SHIFT
    weights = rng.gamma(4.0, 0.25, 2 * n) if weighted else np.ones(2 * n)
    return ClassifierPool(x, truth, weights, weighted, ("a", "b")), SHIFT * x[:, 0] - 0.5 * SHIFT**2


def test_intervals_are_wilsons() -> None:
    low, high = _wilson(np.array([0.0, 0.3, 1.0]), np.array([20.0, 20.0, 20.0]))
    expected = [wilson(k, 20) for k in (0, 6, 20)]
    assert low == pytest.approx([one[0] for one in expected])
    assert high == pytest.approx([one[1] for one in expected])


def test_roc_is_that_of_two_normal_laws(rng: np.random.Generator) -> None:
    pool, log_weights = _pool(rng, 4000)
    roc = roc_of(log_weights, pool.truth, pool.weights)
    expected = stats.norm.sf(stats.norm.isf(roc.generated[1:-1]) - SHIFT)
    # Both rates fluctuate: the slope of the curve carries the other's error over.
    slope = np.exp(SHIFT * stats.norm.isf(roc.generated[1:-1]) - 0.5 * SHIFT**2)
    variance = expected * (1 - expected) + slope**2 * roc.generated[1:-1] * (
        1 - roc.generated[1:-1]
    )
    assert_within(roc.truth[1:-1], expected, np.sqrt(variance / 4000))
    assert (np.diff(roc.generated) >= 0).all()
    assert roc.truth[-1] == pytest.approx(1.0)
    assert (roc.low <= roc.truth).all()
    assert (roc.truth <= roc.high).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_exact_scores_are_calibrated(rng: np.random.Generator, weighted: bool) -> None:
    errors, expected, inside = [], [], 0
    for _ in range(50):
        pool, log_weights = _pool(rng, 1000, weighted=weighted)
        scores = 1 / (1 + np.exp(-log_weights))
        found = calibration_of(scores, pool.truth, pool.weights, bins=10)
        errors.append(found.error)
        expected.append(found.error_if_calibrated)
        inside += int(((found.low <= found.predicted) & (found.predicted <= found.high)).sum())
    spread = np.std(errors) / np.sqrt(50)
    # Bins are correlated through the fixed sample sizes, by a per mille of the mean.
    assert_within(np.mean(errors), np.mean(expected), spread)
    assert_rate(inside, 500, 0.6827)


def test_overconfident_scores_are_not_calibrated(rng: np.random.Generator) -> None:
    # The defective twin: scores with three times the log odds.
    pool, log_weights = _pool(rng, 1000)
    wrong = 1 / (1 + np.exp(-3 * log_weights))
    found = calibration_of(wrong, pool.truth, pool.weights, bins=10)
    assert found.error > 5 * found.error_if_calibrated


def test_chi2_is_pearsons_for_unit_weights(rng: np.random.Generator) -> None:
    cells = [rng.integers(0, 6, 30_000) for _ in range(2)]
    ours = shape_chi2((cells[0], np.ones(30_000)), (cells[1], np.ones(30_000)), 6)
    table = np.stack([np.bincount(cell) for cell in cells])
    pearson = stats.chi2_contingency(table, correction=False).statistic
    assert ours == pytest.approx(pearson, rel=1e-3)


def _chi2_of_nulls(rng: np.random.Generator) -> Array:
    """Return chi-squared of 500 pairs of samples; the second has weights of mean square 3."""
    found = []
    for _ in range(500):
        cells = rng.integers(0, 6, 900), rng.integers(0, 6, 600)
        found.append(shape_chi2((cells[0], np.ones(900)), (cells[1], rng.gamma(0.5, 2.0, 600)), 6))
    return np.array(found)


def test_chi2_of_weighted_samples_has_its_mean(rng: np.random.Generator) -> None:
    found = _chi2_of_nulls(rng)
    # Estimated variances raise the mean of 5 by a term of order dof / bin content.
    assert_within(found.mean(), 5.0, found.std() / np.sqrt(500) + 0.05)


@pytest.mark.parametrize("after", [np.ones(100), np.zeros(100)])
def test_chi2_of_samples_without_a_common_cell_is_no_number(after: Array) -> None:
    low, high = np.repeat([0, 1], 50), np.repeat([2, 3], 50)
    found = shape_chi2((low, np.ones(100)), (high, after), 4)
    assert found == np.inf if after.any() else np.isnan(found)


def test_chi2_needs_no_cell_to_be_filled(rng: np.random.Generator) -> None:
    first, second = rng.integers(0, 3, 500), rng.integers(0, 3, 500)
    ones = np.ones(500)
    expected = shape_chi2((first, ones), (second, ones), 3)
    # An empty cell between the others has no error, and there is nothing in it.
    spread = np.array([0, 1, 3])
    found = shape_chi2((spread[first], ones), (spread[second], ones), 4)
    assert found == pytest.approx(expected, rel=1e-9)


def test_closure_mends_what_is_wrong(rng: np.random.Generator) -> None:
    pool, log_weights = _pool(rng, 4000)
    a, b = closure_of(pool, np.exp(log_weights))
    assert (a.feature, b.feature) == ("a", "b")
    assert a.before > 400
    assert a.after < stats.chi2.isf(1e-6, a.dof)
    assert max(b.before, b.after) < stats.chi2.isf(1e-6, b.dof)


def test_closure_notices_weights_upside_down(rng: np.random.Generator) -> None:
    # The defective twin: generated over truth.
    pool, log_weights = _pool(rng, 4000)
    a, _ = closure_of(pool, np.exp(-log_weights))
    assert a.after > a.before


def test_a_constant_feature_has_no_closure(rng: np.random.Generator) -> None:
    pool, log_weights = _pool(rng, 200)
    pool.x[:, 1] = 3.0
    assert closure_of(pool, np.exp(log_weights))[1].dof == 0


def test_tails_are_found_where_they_are(rng: np.random.Generator) -> None:
    pool, log_weights = _pool(rng, 5000)
    missing, excess = tails_of(pool, log_weights, fraction=0.02)
    assert [tail.ranges[0].feature for tail in (missing, excess)] == ["a", "a"]
    assert missing.ranges[0].low > 2.0
    assert excess.ranges[0].high < -1.5
    assert missing.ranges[0].concentration > 20
    assert missing.ranges[1].distance < 0.2
    assert excess.cut < 0.0 < missing.cut
    for tail in (missing, excess):
        assert_within(tail.ratio.value, tail.predicted, tail.ratio.error)
    assert missing.ratio.value > 2.0
    assert excess.ratio.value < 0.5


def test_an_empty_side_has_no_ratio(rng: np.random.Generator) -> None:
    pool, log_weights = _pool(rng, 200)
    missing, excess = tails_of(pool, np.where(pool.truth, 50.0, -50.0), fraction=0.02)
    assert missing.ratio.value == np.inf
    assert excess.ratio.value == 0.0
