"""Distances, kernels and ranks against double loops and scipy, with and without weights and ties.

Twins with one defect each must fail the comparison that the statistics pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from distance_statistics import BANDWIDTH, REFERENCES, Reference, mmd, random_labels, values
from verisimile.checks.twosample.permutation import Job, permutation_test
from verisimile.checks.twosample.statistics.distribution_functions import (
    CramerVonMises,
    Lines,
    MarginalKS,
    OverLines,
    SlicedKS,
    SlicedWasserstein,
)
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.interval_scan import IntervalScan
from verisimile.checks.twosample.statistics.mmd import MMD, AggregatedMMD, median_distance
from verisimile.checks.twosample.statistics.protocol import Statistic
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.coordinates import Standardised
from verisimile.samples.pair_sums import Pairs
from verisimile.samples.pool import Labels, pool_samples
from verisimile.samples.walks import Reduction

N, FIRST = 23, 9
CASES = [pytest.param(*case, id=case[0].name) for case in REFERENCES]


def _weights(kind: str, rng: np.random.Generator) -> Array:
    if kind == "none":
        return np.ones(N)
    weights = rng.gamma(2.0, size=N)
    # One in five is negative: every relabeling keeps a positive sum.
    return weights if kind == "positive" else np.where(np.arange(N) % 5 == 0, -0.2, 1.0) * weights


def _events(rng: np.random.Generator, *, tied: bool) -> Array:
    x = rng.normal(size=(N, 3))
    return np.round(x) if tied else x


def _disagreement(
    statistic: Statistic, reference: Reference, x: Array, weights: Array, labels: Labels
) -> float:
    found = values(statistic, x, weights, labels)
    wanted = [reference((x[row], weights[row]), (x[~row], weights[~row])) for row in labels]
    return float(np.abs(found - wanted).max())


@pytest.mark.parametrize(("statistic", "reference"), CASES)
@pytest.mark.parametrize("kind", ["none", "positive", "signed"])
@pytest.mark.parametrize("tied", [False, True], ids=["distinct", "tied"])
def test_statistic_is_its_definition(
    statistic: Statistic, reference: Reference, kind: str, tied: bool, rng: np.random.Generator
) -> None:
    x, weights = _events(rng, tied=tied), _weights(kind, rng)
    labels = random_labels(N, FIRST, 4, rng)
    assert _disagreement(statistic, reference, x, weights, labels) < 1e-12


class _Twin:
    """A statistic made of one function of events, weights and labels."""

    name, weights = "twin", "signed"

    def __init__(self, of: Callable[[Array, Array, Labels], Array]) -> None:
        self.of = of

    def prepare(self, pooled: Array, weights: Array, rng: object) -> _PreparedTwin:  # noqa: ARG002
        return _PreparedTwin(self.of, pooled, weights)


class _PreparedTwin:
    def __init__(
        self, of: Callable[[Array, Array, Labels], Array], pooled: Array, weights: Array
    ) -> None:
        self.of, self.pooled, self.weights = of, pooled, weights

    def values(self, labels: Labels) -> Array:
        return self.of(self.pooled, self.weights, labels)


def _unweighted(statistic: Statistic) -> Statistic:
    return _Twin(lambda x, w, labels: values(statistic, x, np.ones(len(w)), labels))


def _biased_mmd(x: Array, w: Array, labels: Labels) -> Array:
    sums = Pairs(x, w, lambda d: [np.exp(-0.5 * d / BANDWIDTH**2)]).sums(labels)
    a, b = labels @ w, ~labels @ w
    return np.asarray(
        (sums.first / a**2 + sums.second / b**2 - 2 * sums.across / (a * b))[0], dtype=float
    )


def _blind_to_ties(x: Array, w: Array, labels: Labels) -> Array:
    order = np.argsort(x.T, axis=1, kind="stable").astype(np.int32)
    return OverLines(Lines(order, np.ones(order.shape), w, Reduction.SUPREMUM)).values(labels)


@pytest.mark.parametrize(
    ("twin", "of"),
    [
        *[(_unweighted(statistic), index) for index, (statistic, _) in enumerate(REFERENCES)],
        (_Twin(_biased_mmd), 1),
        (_Twin(_blind_to_ties), 4),
    ],
)
def test_a_defective_twin_disagrees(twin: Statistic, of: int, rng: np.random.Generator) -> None:
    x, weights = _events(rng, tied=True), _weights("positive", rng)
    labels = random_labels(N, FIRST, 4, rng)
    assert _disagreement(twin, REFERENCES[of][1], x, weights, labels) > 1e-3


def _one_feature(rng: np.random.Generator) -> tuple[Array, Labels]:
    return rng.normal(size=(60, 1)), random_labels(60, 25, 3, rng)


@pytest.mark.parametrize("kind", ["none", "positive"])
def test_energy_and_wasserstein_are_those_of_scipy(kind: str, rng: np.random.Generator) -> None:
    x, labels = _one_feature(rng)
    w = np.ones(60) if kind == "none" else rng.gamma(2.0, size=60)
    for statistic, reference, power in (
        (EnergyDistance(), stats.energy_distance, 2),
        (SlicedWasserstein(), stats.wasserstein_distance, 1),
    ):
        wanted = [reference(x[r, 0], x[~r, 0], w[r], w[~r]) ** power for r in labels]
        np.testing.assert_allclose(values(statistic, x, w, labels), wanted, rtol=1e-11)


def test_rank_statistics_are_those_of_scipy(rng: np.random.Generator) -> None:
    x, labels = _one_feature(rng)
    ks = [stats.ks_2samp(x[r, 0], x[~r, 0]).statistic for r in labels]
    cvm = [stats.cramervonmises_2samp(x[r, 0], x[~r, 0]).statistic for r in labels]
    np.testing.assert_allclose(values(MarginalKS("max"), x, np.ones(60), labels), ks, rtol=1e-12)
    np.testing.assert_allclose(values(CramerVonMises(), x, np.ones(60), labels), cvm, rtol=1e-10)


def test_mmd_is_zero_on_average_and_gaussian_means_are_known() -> None:
    # E k(X, Y) of N(mu, 1) and N(0, 1): h / sqrt(h^2 + 2) exp(-mu^2 / (2 h^2 + 4)).
    rng, n, mu, h = np.random.default_rng(5), 1500, 1.0, BANDWIDTH
    x = np.concatenate([rng.normal(mu, 1.0, size=n), rng.normal(size=n)])[:, None]
    expected = 2 * h / np.sqrt(h**2 + 2) * (1 - np.exp(-(mu**2) / (2 * h**2 + 4)))
    labels = np.arange(2 * n)[None] < n
    found = values(MMD(bandwidth=h), x, np.ones(2 * n), labels)[0]
    halves = [
        values(MMD(bandwidth=h), np.roll(x, -k * 100, axis=0)[rows], np.ones(200), labels[:, rows])
        for k in range(10)
        for rows in [np.r_[0:100, n : n + 100]]
    ]
    error = np.std(halves, ddof=1) * np.sqrt(100 / n)
    assert abs(found - expected) < 5 * error
    null = values(MMD(bandwidth=h), x, np.ones(2 * n), random_labels(2 * n, n, 400, rng))
    assert abs(null.mean()) < 5 * null.std() / 20


def test_aggregated_mmd_holds_the_single_widths(rng: np.random.Generator) -> None:
    x, labels = rng.normal(size=(50, 2)), random_labels(50, 20, 6, rng)
    w = rng.gamma(2.0, size=50)
    scale = median_distance(x, rng)
    table = AggregatedMMD((0.5, 2.0)).prepare(x, w, rng).table(labels)
    for column, factor in enumerate((0.5, 2.0)):
        single = values(MMD(bandwidth=factor * scale), x, w, labels)
        np.testing.assert_allclose(table[:, column], single, atol=1e-11)


def test_the_default_width_is_the_median_distance(rng: np.random.Generator) -> None:
    x = rng.normal(size=(30, 2))
    brute = np.median([np.linalg.norm(x[i] - x[j]) for i in range(30) for j in range(i)])
    assert median_distance(x, rng) == pytest.approx(brute, rel=1e-12)
    labels = random_labels(30, 12, 3, rng)
    np.testing.assert_allclose(
        values(MMD(), x, np.ones(30), labels),
        values(MMD(bandwidth=float(brute)), x, np.ones(30), labels),
        atol=1e-11,
    )
    spike = np.zeros((30, 2))
    spike[:3] = x[:3]
    assert median_distance(spike, rng) > 0


@pytest.mark.parametrize("kept", [0, 1000])
def test_pair_sums_in_many_strips(
    kept: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verisimile.samples.pair_sums._FEWEST_ROWS", 7)
    monkeypatch.setattr("verisimile.samples.pair_sums._STRIP_ENTRIES", 100)
    x, w = rng.normal(size=(52, 2)), rng.normal(size=52)
    labels = random_labels(52, 20, 3, rng)
    pairs = Pairs(x, w, lambda squared: [squared.copy(), squared + 1.0], kept=kept)
    full = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    for _ in range(2):  # the second time from memory, if kept
        sums = pairs.sums(labels)
        for j, kernel in enumerate((full, full + 1.0)):
            for r, row in enumerate(labels):
                u, v = w * row, w * ~row
                got = [part[j, r] for part in (sums.first, sums.across, sums.second)]
                np.testing.assert_allclose(got, [u @ kernel @ u, u @ kernel @ v, v @ kernel @ v])


@pytest.mark.parametrize("thin", [SlicedWasserstein(5, most=30), SlicedKS(5, most=30)])
def test_sliced_statistics_are_thinned_by_the_engine(
    thin: SlicedWasserstein | SlicedKS, rng: np.random.Generator
) -> None:
    first, second = Events(rng.normal(size=(70, 1))), Events(rng.normal(size=(10, 1)))
    (found,) = permutation_test(Run(Seeds(1)), first, second, [thin], permutations=9)
    assert found.n_used == (20, 10)
    pool = Job(pool_samples(first, second, Standardised()), thin, Seeds(1).at("two-sample")).events
    np.testing.assert_allclose(
        found.observed, values(replace(thin, most=80), pool.x, pool.weights, pool.observed())[0]
    )


@pytest.mark.parametrize(("settings", "words"), [((0, 30), "count"), ((5, 1), "most")])
def test_impossible_settings_of_sliced_statistics_are_refused(
    settings: tuple[int, int], words: str
) -> None:
    for kind in (SlicedWasserstein, SlicedKS):
        with pytest.raises(InputError, match=words):
            kind(*settings)


def test_equivalent_events_of_a_known_distance() -> None:
    # X ~ N(0, 1), Y ~ N(mu, 1): E|X - X'| = 2 / sqrt(pi), E|X - Y| = E|N(mu, 2)|.
    rng, n, mu = np.random.default_rng(7), 2500, 0.5
    x = np.concatenate([rng.normal(size=n), rng.normal(mu, 1.0, size=n)])[:, None]
    labels = np.arange(2 * n)[None] < n
    details = EnergyDistance().prepare(x, np.ones(2 * n), rng).details(labels)
    spread = 2 / np.sqrt(np.pi)
    across = spread * np.exp(-(mu**2) / 4) + mu * (1 - 2 * stats.norm.cdf(-mu / np.sqrt(2)))
    distance = 2 * across - 2 * spread
    assert details["mean distance"] == pytest.approx(spread, rel=5 / np.sqrt(n))
    # The distance goes with mu^2, and mu is known to sqrt(2 / n).
    assert details["unbiased"] == pytest.approx(distance, rel=5 * 2 * np.sqrt(2 / n) / mu)
    assert details["n_equiv"] == details["mean distance"] / details["unbiased"]


def test_reference_of_mmd_is_itself_unbiased() -> None:
    # Two points each: every pair of different events, by hand.
    first = (np.array([[0.0], [1.0]]), np.ones(2))
    second = (np.array([[0.0], [2.0]]), np.ones(2))
    k = {d: np.exp(-(d**2) / (2 * BANDWIDTH**2)) for d in (0, 1, 2)}
    assert mmd(first, second) == pytest.approx(k[1] + k[2] - 0.5 * (k[0] + k[2] + k[1] + k[1]))


@pytest.mark.parametrize("tied", [False, True], ids=["distinct", "tied"])
def test_rank_statistics_without_the_compiled_library(
    tied: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, w = _events(rng, tied=tied), _weights("signed", rng)
    labels = random_labels(N, FIRST, 70, rng)
    several = [*(REFERENCES[index][0] for index in range(2, len(REFERENCES))), IntervalScan()]
    found = [values(statistic, x, w, labels) for statistic in several]
    monkeypatch.setenv("VERISIMILE_NATIVE", "0")
    for statistic, wanted in zip(several, found, strict=True):
        np.testing.assert_allclose(values(statistic, x, w, labels), wanted, rtol=1e-10)
