"""Likelihood in nats and bits, with units; Inception score, with errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from statistical import assert_within
from verisimile.checks.known_truth.likelihood import likelihood
from verisimile.checks.support.inception import inception_score
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict


def test_nll_of_a_normal_is_its_entropy() -> None:
    rng = np.random.default_rng(1)
    log_prob = stats.norm.logpdf(rng.normal(size=(20_000, 3))).sum(axis=1)
    found = likelihood(log_prob, features=3)
    assert_within(found.nll.value, 1.5 * np.log(2 * np.pi * np.e), found.nll.error)
    # log p = const - chi2_3 / 2 has variance 3/2.
    assert found.nll.error == pytest.approx(np.sqrt(1.5 / 20_000), rel=0.05)
    bits = found.bits_per_dimension
    assert_within(bits.value, 0.5 * np.log2(2 * np.pi * np.e), bits.error)


def test_it_is_a_mean_and_not_a_sum() -> None:
    values = np.random.default_rng(2).normal(size=50)
    once, twice = likelihood(values, features=2), likelihood(np.tile(values, 2), features=2)
    assert twice.nll.value == pytest.approx(once.nll.value, rel=1e-12)


def test_units_and_the_jacobian_that_removes_them() -> None:
    rng = np.random.default_rng(3)
    gev = rng.normal(50.0, 2.0, size=(100, 2))
    in_gev = stats.norm.logpdf(gev, 50.0, 2.0).sum(axis=1)
    in_mev = stats.norm.logpdf(1000 * gev, 50e3, 2e3).sum(axis=1)
    a, b = likelihood(in_gev, features=2), likelihood(in_mev, features=2)
    shift = b.bits_per_dimension.value - a.bits_per_dimension.value
    assert shift == pytest.approx(np.log2(1000), rel=1e-12)
    jacobian = np.full(100, 2 * np.log(1000))
    back = likelihood(in_mev, features=2, log_jacobian=jacobian)
    assert back.nll.value == pytest.approx(a.nll.value, rel=1e-12)


def test_integer_weights_are_repetitions() -> None:
    values, w = np.array([-1.0, -2.0, -4.0]), np.array([2.0, 1.0, 3.0])
    weighted = likelihood(values, features=1, weights=w)
    assert weighted.nll.value == pytest.approx((2 + 2 + 12) / 6, rel=1e-12)
    assert likelihood(values, features=1, weights=10 * w).nll.error == pytest.approx(
        weighted.nll.error, rel=1e-12
    )


def test_a_forbidden_event_makes_it_infinite() -> None:
    found = likelihood([-1.0, -np.inf, -np.inf], features=1)
    assert found.nll.value == np.inf
    assert found.n_forbidden == 2
    assert from_dict(to_dict(found)) == found


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ([np.nan, 0.0], {}),
        ([np.inf, 0.0], {}),
        ([], {}),
        ([[0.0]], {}),
        ([0.0], {"features": 0}),
        ([0.0, 0.0], {"weights": [1.0, -1.0]}),
    ],
)
def test_unusable_densities_are_refused(values: list[float], options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        likelihood(values, **{"features": 1, **options})  # type: ignore[arg-type]


def _softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def test_score_of_certain_balanced_classes_is_their_number() -> None:
    certain = np.eye(4)[np.arange(4000) % 4]
    found = inception_score(certain, np.random.default_rng(1), splits=2)
    assert found.whole == pytest.approx(4.0, rel=1e-12)
    # Taken in order, each split would be of one class, and score 1.
    ordered = np.eye(4)[np.arange(4000) // 1000]
    assert inception_score(ordered, np.random.default_rng(1), splits=4).score.value > 3.9


def test_score_of_equal_predictions_is_one() -> None:
    found = inception_score(np.full((100, 5), 0.2), np.random.default_rng(1))
    assert found.whole == pytest.approx(1.0, rel=1e-12)
    assert found.spread < 1e-12


def test_score_equals_the_definition() -> None:
    rng = np.random.default_rng(2)
    p = _softmax(rng.normal(size=(60, 3)))
    found = inception_score(p, rng)
    divergence = [stats.entropy(row, p.mean(axis=0)) for row in p]
    assert found.whole == pytest.approx(np.exp(np.mean(divergence)), rel=1e-12)
    assert from_dict(to_dict(found)) == found


def test_error_is_that_of_repeated_samples() -> None:
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found.append(inception_score(_softmax(rng.normal(size=(1000, 3))), rng))
    actual = np.std([item.score.value for item in found], ddof=1)
    claimed = np.sqrt(np.mean([item.score.error**2 for item in found]))
    assert_within(claimed / actual, 1.0, np.hypot(1 / np.sqrt(2 * 199), 1 / np.sqrt(2 * 9 * 200)))


@pytest.mark.parametrize("p", [[[0.5, 0.6]] * 40, [[1.5, -0.5]] * 40, [[0.5, 0.5]] * 10])
def test_unusable_probabilities_are_refused(p: list[list[float]]) -> None:
    with pytest.raises(InputError, match="probabilities|splits"):
        inception_score(p, np.random.default_rng(1))
