"""Statistics as functions of masses; weighted samples: size, groups, sensitivity, windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from distance_statistics import ALL, random_labels
from verisimile.checks.twosample.logistic import Logistic
from verisimile.checks.twosample.permutation import Exchangeable, permutation_test
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.sensitivity import smallest_effects
from verisimile.checks.twosample.statistics.distribution_functions import (
    CramerVonMises,
    MarginalKS,
    SlicedKS,
    SlicedWasserstein,
)
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.frechet import Frechet, gaussian_frechet
from verisimile.checks.twosample.statistics.interval_scan import IntervalScan
from verisimile.checks.twosample.statistics.kernel_distance import KernelDistance, PolynomialKernel
from verisimile.checks.twosample.statistics.mmd import MMD
from verisimile.checks.twosample.statistics.nplm import NPLM, AggregatedNPLM
from verisimile.checks.twosample.statistics.protocol import OfMasses, Statistic
from verisimile.checks.twosample.windows import deviating_windows
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.pool import Labels, MassRows
from weighted_pairs import PAIRS, signed_sample

EVERY: Sequence[Statistic] = (*ALL, Frechet(), KernelDistance(), NPLM(), AggregatedNPLM())
OF_SIGNED = (
    EnergyDistance(),
    SlicedWasserstein(5),
    SlicedKS(5),
    MarginalKS("mean"),
    MarginalKS("max"),
)


def _rows(labels: Labels, weights: Array) -> MassRows:
    first, second = np.where(labels, weights, 0.0), np.where(labels, 0.0, weights)
    a = first / first.sum(axis=1, keepdims=True)
    b = second / second.sum(axis=1, keepdims=True)
    return MassRows(a, b, a[0] - b[0])


def _of_masses(statistic: Statistic, x: Array, weights: Array, rows: MassRows) -> Array:
    prepared = statistic.prepare(x, weights, np.random.default_rng(1))
    assert isinstance(prepared, OfMasses)
    return prepared.of_masses(rows)


@pytest.mark.parametrize("statistic", OF_SIGNED, ids=lambda statistic: statistic.name)
def test_masses_of_labels_have_the_labels_values(
    statistic: Statistic, rng: np.random.Generator
) -> None:
    x, w = rng.normal(size=(40, 2)), rng.gamma(3.0, size=40)
    labels = random_labels(40, 15, 4, rng)
    wanted = statistic.prepare(x, w, np.random.default_rng(1)).values(labels)
    np.testing.assert_allclose(_of_masses(statistic, x, w, _rows(labels, w)), wanted, rtol=1e-9)


def test_without_weights_the_reduced_number_of_events_is_that_of_anderson(
    rng: np.random.Generator,
) -> None:
    x, w, labels = rng.normal(size=(40, 2)), np.ones(40), random_labels(40, 15, 4, rng)
    wanted = CramerVonMises().prepare(x, w, rng).values(labels)
    np.testing.assert_allclose(_of_masses(CramerVonMises(), x, w, _rows(labels, w)), wanted)


def test_quadratic_forms_are_those_of_their_kernels(rng: np.random.Generator) -> None:
    x, w = rng.normal(size=(50, 2)), np.where(np.arange(50) % 5 == 1, -0.4, 1.0)
    rows = _rows(random_labels(50, 20, 3, rng), w)
    v = rows.signed
    squared = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    gauss = np.exp(-0.5 * squared / 0.7**2)
    found = _of_masses(MMD(bandwidth=0.7), x, w, rows)
    np.testing.assert_allclose(found, np.einsum("ri,ij,rj->r", v, gauss, v))
    for degree in (2, 9):  # by monomials, and by blocks of the kernel
        gram = PolynomialKernel(2, degree).gram(x, x)
        found = _of_masses(KernelDistance(degree), x, w, rows)
        np.testing.assert_allclose(found, np.einsum("ri,ij,rj->r", v, gram, v), rtol=1e-7)


def test_the_frechet_distance_is_that_of_weighted_moments(rng: np.random.Generator) -> None:
    x, w = rng.normal(size=(60, 3)), rng.gamma(3.0, size=60)
    rows = _rows(random_labels(60, 25, 2, rng), w)
    moments = [
        [np.average(x, axis=0, weights=m), np.cov(x.T, aweights=m, ddof=0)]
        for pair in zip(rows.first, rows.second, strict=True)
        for m in pair
    ]
    for k, found in enumerate(_of_masses(Frechet(), x, w, rows)):
        (m1, c1), (m2, c2) = moments[2 * k], moments[2 * k + 1]
        wanted = gaussian_frechet(m1[None], c1[None], m2[None], c2[None])[0]
        assert found == pytest.approx(wanted)


def test_the_score_is_near_the_likelihood_ratio_of_equal_samples(
    rng: np.random.Generator,
) -> None:
    # Half of it where the penalty is nothing, a quarter where it is all; in nearly the same order.
    x, w = rng.normal(size=(400, 2)), np.ones(400)
    labels = random_labels(400, 200, 40, rng)
    prepared = NPLM(centres=20).prepare(x, w, np.random.default_rng(1))
    ratio, score = prepared.values(labels), prepared.of_masses(_rows(labels, w))
    assert np.corrcoef(ratio, score)[0, 1] > 0.95
    assert 0.25 < np.median(score / ratio) < 0.5


def test_the_score_is_twice_the_gain_of_the_loss(rng: np.random.Generator) -> None:
    x, w = rng.normal(size=(400, 2)), np.ones(400)
    rows = _rows(np.arange(400)[None] < 200, w)
    prepared = NPLM(centres=20, spread=0.05).prepare(x, w, np.random.default_rng(1))
    labels, rates = np.arange(400)[None] < 200, np.ones(1)
    loss = Logistic(prepared.functions, prepared.ridge, labels, w, rates)
    gain = loss.loss(np.zeros((1, len(prepared.ridge)))) - loss.loss(loss.minimise().coefficients)
    assert prepared.of_masses(rows) == pytest.approx(2.0 * gain, rel=0.02)


def test_every_statistic_of_the_library_takes_signed_weights() -> None:
    rng = np.random.default_rng(8)
    first, second = Events(rng.normal(size=(150, 2))), signed_sample(rng, 260, 0.2)
    found = permutation_test(Run(Seeds(1)), first, second, EVERY, permutations=59)
    assert {one.p_value.null for one in found} == {"multipliers"}
    assert all(np.isfinite(one.null).all() and one.refusal == "" for one in found)
    assert [one.form for one in found if one.form] == ["score of the logistic loss"] * 2
    moved = Events(second.x + 1.0, second.weights)
    seen = permutation_test(Run(Seeds(1)), first, moved, EVERY, permutations=59)
    assert all(one.p_value.value == 1 / 60 for one in seen)


def _rejected(name: str, experiments: int, *, relabel: bool) -> int:
    count = 0
    for experiment in range(experiments):
        at = Seeds(77).at(experiment)
        first, second = PAIRS[name](at.numpy())
        draws = Exchangeable(59) if relabel else 59
        (found,) = permutation_test(Run(at), first, second, [MarginalKS("max")], permutations=draws)
        assert relabel or found.refusal == ""
        count += found.p_value.value <= 0.05 + 1e-12
    return count


def test_weights_of_different_laws_keep_the_level() -> None:
    name, experiments = "1500 uniform(.9, 1.1) against 300 signed, 25 %", 40
    assert stats.binom.sf(_rejected(name, experiments, relabel=False) - 1, experiments, 0.05) > 1e-3
    # The twin relabels events with their weights.
    twin = _rejected(name, experiments, relabel=True)
    assert stats.binom.sf(twin - 1, experiments, 0.05) < 1e-4


def _one(first: Events, second: Events, statistic: Statistic) -> TwoSample:
    (found,) = permutation_test(Run(Seeds(1)), first, second, [statistic], permutations=99)
    return found


def test_names_of_groups_and_their_order_do_not_matter(rng: np.random.Generator) -> None:
    x, group = rng.normal(size=(60, 1)), np.repeat(np.arange(20), 3)
    first, other = Events(x, group=group), Events(x, group=[f"event {k}" for k in group])
    second = Events(rng.normal(size=(30, 1)))
    plain, named = (_one(one, second, EnergyDistance()) for one in (first, other))
    assert plain.p_value == named.p_value
    assert plain.n_effective == pytest.approx((20.0, 30.0))
    alone = _one(Events(x), second, EnergyDistance())
    assert alone.observed == pytest.approx(plain.observed)
    assert alone.null_sd != plain.null_sd


def test_groups_of_one_row_are_none(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(40, 1)), rng.normal(size=(50, 1))
    plain = _one(Events(x), Events(y), EnergyDistance())
    grouped = _one(Events(x, group=np.arange(40)), Events(y), EnergyDistance())
    np.testing.assert_array_equal(plain.null, grouped.null)


def test_weighted_samples_have_sensitivities() -> None:
    rng = np.random.default_rng(3)
    first = Events(rng.normal(size=(400, 1)))
    second = Events(rng.normal(size=(300, 1)), rng.uniform(0.2, 1.8, size=300))
    statistics: list[Statistic] = [MarginalKS("max"), EnergyDistance()]
    run = Run(Seeds(4))
    found = permutation_test(run, first, second, statistics, permutations=199)
    shifts = smallest_effects(run, first, second, statistics, found)[::2]
    unit = np.sqrt(1 / first.n_effective + 1 / second.n_effective)
    for shift in shifts:
        assert shift.at_half is not None
        # The z test has 1.96; no test of 24 draws at each strength is far from it.
        assert 1.4 < shift.at_half.value / unit < 3.5


def test_windows_of_weighted_samples_are_those_of_the_scan() -> None:
    rng = np.random.default_rng(6)
    first, second = Events(rng.normal(size=(800, 1))), signed_sample(rng, 600, 0.1)
    x = second.x[:, :1].copy()
    x[:120] = rng.uniform(1.0, 1.05, size=(120, 1))
    second = Events(x, second.weights)
    scan = _one(first, second, IntervalScan())
    found = deviating_windows(first, second, scan=scan)
    assert scan.p_value.null == "multipliers"
    best = found.windows[0]
    assert best.deviation == pytest.approx(scan.observed)
    assert best.kind == "excess"
    assert 0.9 < best.low < best.high < 1.2
    assert best.p_value is not None
    assert best.p_value.value == 0.01
