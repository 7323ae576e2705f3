"""Kernel distance: the definition, both ways to sum it, bias, error, size and power."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics.pairwise import polynomial_kernel

from moment_problems import null_pair, permutation_p, permutations, skewed
from statistical import assert_rate, assert_within
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.statistics.frechet import Frechet
from verisimile.checks.twosample.statistics.kernel_distance import (
    KernelDistance,
    PolynomialKernel,
    kernel_distance,
)
from verisimile.checks.twosample.statistics.protocol import Statistic
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events


def _definition(x: Array, y: Array, w: Array, v: Array, degree: int) -> float:
    k = {
        "xx": polynomial_kernel(x, x, degree=degree, coef0=1),
        "yy": polynomial_kernel(y, y, degree=degree, coef0=1),
        "xy": polynomial_kernel(x, y, degree=degree, coef0=1),
    }
    np.fill_diagonal(k["xx"], 0.0)
    np.fill_diagonal(k["yy"], 0.0)
    pairs = [total.sum() ** 2 - (total**2).sum() for total in (w, v)]
    own = w @ k["xx"] @ w / pairs[0] + v @ k["yy"] @ v / pairs[1]
    return float(own - 2.0 * w @ k["xy"] @ v / (w.sum() * v.sum()))


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("d", [1, 4])
def test_monomials_multiply_to_the_kernel(d: int, degree: int) -> None:
    x = np.random.default_rng(1).normal(size=(20, d))
    kernel = PolynomialKernel(d, degree)
    features = kernel.monomials(x)
    assert features.shape == (kernel.size, 20)
    reference = polynomial_kernel(x, x, degree=degree, coef0=1)
    np.testing.assert_allclose(features.T @ features, reference, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(kernel.gram(x, x), reference, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(kernel.diagonal(x), np.diag(reference), rtol=1e-11)


@pytest.mark.parametrize(("d", "degree"), [(2, 3), (3, 4), (30, 3)], ids=["20", "35", "gram"])
def test_relabelings_equal_the_definition_with_signed_weights(d: int, degree: int) -> None:
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(150, d)), rng.choice([1.5, 1.0, -0.4], size=150)
    labels = permutations(60, 150, 3, rng)
    found = KernelDistance(degree).prepare(x, w, rng).values(labels)
    expected = [_definition(x[m], x[~m], w[m], w[~m], degree) for m in labels]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("d", [2, 30], ids=["monomials", "gram"])
def test_value_of_two_samples_equals_the_definition(d: int) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(90, d)), rng.normal(size=(140, d)) + 0.3
    w, v = rng.exponential(size=90), rng.choice([1.0, -0.2], size=140)
    found = kernel_distance(x, y, rng, reference_weights=w, generated_weights=v)
    assert found.value == pytest.approx(_definition(x, y, w, v, 3), rel=1e-9)


@pytest.mark.parametrize("d", [2, 30], ids=["monomials", "gram"])
def test_error_is_the_jackknife_over_blocks(d: int) -> None:
    rng = np.random.default_rng(4)
    x, y = null_pair(rng, 64, d)
    found = kernel_distance(x, y, np.random.default_rng(5), blocks=4)
    again = np.random.default_rng(5)
    blocks = [again.permutation(np.arange(64) % 4) for _ in range(2)]
    ones = np.ones(48)
    left = [_definition(x[blocks[0] != b], y[blocks[1] != b], ones, ones, 3) for b in range(4)]
    assert found.error == pytest.approx(np.sqrt(3 * np.var(left)), rel=1e-8)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"degree": 0}, "degree"),
        ({"blocks": 2}, "blocks"),
        ({"blocks": 64}, "blocks"),
        ({"reference_weights": -np.ones(100)}, "positive sum"),
    ],
)
def test_unusable_arguments_are_refused(options: dict[str, object], match: str) -> None:
    rng = np.random.default_rng(6)
    with pytest.raises(InputError, match=match):
        kernel_distance(*null_pair(rng, 100, 2), rng, **options)  # type: ignore[arg-type]


def _study(shift: float, repeats: int) -> tuple[Array, Array]:
    found = []
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        x, y = null_pair(rng, 500, 3)
        found.append(kernel_distance(x, y + shift, rng))
    return np.array([f.value for f in found]), np.array([f.error for f in found])


def test_null_mean_is_zero_and_the_error_errs_upwards() -> None:
    values, errors = _study(0.0, 200)
    assert_within(values.mean(), 0.0, values.std(ddof=1) / np.sqrt(200))
    ratio = np.sqrt((errors**2).mean()) / values.std(ddof=1)
    # Five relative errors of a spread of 200, itself far from normal, on either side.
    room = 5 * np.sqrt((stats.kurtosis(values) + 2) / (4 * 200))
    assert 1 - room < ratio < np.sqrt(2) * (1 + room)


def test_mean_and_error_at_a_known_distance() -> None:
    # One feature of N(s, 1) and N(0, 1), k = (xy + 1)^2: E x = s, E x^2 = 1 + s^2, so that
    # the squared MMD is 2 s^2 + s^4.
    shift, values, errors = 0.5, [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, y = null_pair(rng, 500, 1)
        found = kernel_distance(x + shift, y, rng, degree=2)
        values.append(found.value)
        errors.append(found.error)
    truth, spread = 2 * shift**2 + shift**4, np.std(values, ddof=1)
    assert_within(np.mean(values), truth, spread / np.sqrt(200))
    claimed = np.sqrt(np.mean(np.square(errors)))
    # Relative errors of a spread of 200, and of the mean of 200 errors from 32 blocks each.
    assert_within(claimed / spread, 1.0, np.hypot(1 / np.sqrt(2 * 199), 1 / np.sqrt(2 * 31 * 200)))


def test_batches_with_replacement_are_biased() -> None:
    means = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x, y = null_pair(rng, 200, 3)
        a, b = (z[rng.integers(200, size=(10, 200))] for z in (x, y))
        ones = np.ones(200)
        means.append(np.mean([_definition(p, q, ones, ones, 3) for p, q in zip(a, b, strict=True)]))
    with pytest.raises(AssertionError, match="sigma"):
        assert_within(np.mean(means), 0.0, np.std(means, ddof=1) / np.sqrt(100))


def _rejected(
    statistic: Statistic,
    pair: Callable[[np.random.Generator], tuple[Array, Array]],
    trials: int,
) -> int:
    streams = [np.random.default_rng([7, seed]) for seed in range(trials)]
    return sum(permutation_p(statistic, *pair(rng), rng) <= 0.05 + 1e-9 for rng in streams)


def test_size_is_five_per_cent() -> None:
    rejected = _rejected(KernelDistance(), lambda rng: null_pair(rng, 40, 2), 500)
    assert_rate(rejected, 500, 0.05, alpha=0.01)


def test_value_over_its_error_is_not_a_test() -> None:
    # The recipe of batches with replacement, value and spread of batches over sqrt(batches).
    rejected = 0
    for seed in range(200):
        rng = np.random.default_rng([7, seed])
        x, y = null_pair(rng, 40, 2)
        drawn = rng.integers(40, size=(10, 2, 40))
        ones = np.ones(40)
        values = [_definition(x[i], y[j], ones, ones, 3) for i, j in drawn]
        rejected += np.mean(values) > 1.645 * np.std(values, ddof=1) / np.sqrt(10)
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(rejected, 200, 0.05, alpha=0.01)


def test_power_against_skewness_that_the_frechet_distance_cannot_see() -> None:
    ours = _rejected(KernelDistance(), lambda rng: skewed(rng, 200), 60)
    blind = _rejected(Frechet(), lambda rng: skewed(rng, 200), 60)
    assert ours >= 50
    assert blind <= 20


def test_moments_of_the_third_degree_need_fifty_effective_events(rng: np.random.Generator) -> None:
    first = Events(rng.normal(size=(300, 2)))
    second = Events(rng.normal(size=(60, 2)), rng.uniform(0.2, 1.8, size=60))
    with pytest.raises(InputError, match=r"effective events; expected at least 50.*lower moments"):
        permutation_test(Run(Seeds(1)), first, second, [KernelDistance()], permutations=19)
    (found,) = permutation_test(
        Run(Seeds(1)), first, second, [KernelDistance(degree=2)], permutations=19
    )
    assert found.refusal == ""
