"""Coverage of the differential measures, size and power of the memorisation alarm.

Generators are trainings on the camel whose distance from the truth is known exactly.
Rates are compared by exact binomial tests at the level 1e-3 each, which a correct
program fails in a per cent or two of all runs with other seeds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from differential_study import GENERATORS, LEVELS, camel, events, measured, realised, smooth
from memorising import samples
from statistical import assert_rate, assert_uniform, assert_within
from verisimile.checks.amplification.kolmogorov import kolmogorov
from verisimile.checks.amplification.learning_curve import learning_curve
from verisimile.checks.amplification.memorisation import memorisation
from verisimile.checks.amplification.quadratic import (
    DistanceOfLaws,
    EnergyDiscrepancy,
    GaussianMMD,
    quadratic,
    quadratic_procedure,
)
from verisimile.checks.amplification.result import Amplification
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

REPETITIONS = 300
SIZES = 500, 2000, 500  # training, generated, held-out events
ALPHA = 1e-3


def _covers(found: Amplification, true: float) -> list[bool]:
    return [found.interval(level).low <= true <= found.interval(level).high for level in LEVELS]


@pytest.mark.parametrize("name", list(GENERATORS))
def test_intervals_cover_the_distance_of_a_given_generator(name: str, show: Show) -> None:
    hits, pulls = np.zeros(2, dtype=int), []
    for repetition in range(REPETITIONS):
        found, true = measured(name, Seeds(801).at(name, repetition), SIZES)
        hits += _covers(found, true)
        pulls.append(found.inverse_gain.value - true)
    show(
        f"{name:20s} energy: covers {hits[0] / REPETITIONS:.3f} (68 %), "
        f"{hits[1] / REPETITIONS:.3f} (95 %), bias {np.mean(pulls):+.3f} ± "
        f"{np.std(pulls) / REPETITIONS**0.5:.3f}"
    )
    assert_within(np.mean(pulls), 0.0, np.std(pulls) / REPETITIONS**0.5)
    for count, level in zip(hits, LEVELS, strict=True):
        assert stats.binom.cdf(count, REPETITIONS, level) > ALPHA
        # A smeared truth errs along other directions than noise does: up to 0.1 more.
        excess = 0.1 * (name == "kernel density") * (level < 0.9)
        assert stats.binom.sf(count - 1, REPETITIONS, level + excess) > ALPHA


@pytest.mark.parametrize("trainings", [1, 5])
@pytest.mark.parametrize(
    ("name", "gain"),
    [("half a sample", 0.5), ("memoriser", 1.0), ("three samples", 3.0), ("ten samples", 10.0)],
)
def test_intervals_of_the_procedure_cover_its_expectation(
    name: str, gain: float, trainings: int, show: Show
) -> None:
    hits = np.zeros(2, dtype=int)
    for repetition in range(REPETITIONS):
        at = Seeds(802).at(name, trainings, repetition)
        found, _ = measured(name, at, SIZES, trainings=trainings)
        hits += _covers(found, 1.0 / gain)
    show(
        f"{name:20s} {trainings} trainings: covers {hits[0] / REPETITIONS:.3f} (68 %), "
        f"{hits[1] / REPETITIONS:.3f} (95 %)"
    )
    for count, level in zip(hits, LEVELS, strict=True):
        assert_rate(int(count), REPETITIONS, level, alpha=ALPHA)


def test_narrow_kernels_cover_as_well(show: Show) -> None:
    hits = np.zeros(2, dtype=int)
    for repetition in range(REPETITIONS):
        rng = np.random.default_rng([803, repetition])
        drawn, holdout = rng.choice(camel(500, rng), 2000), camel(500, rng)
        found = quadratic_procedure(
            Run(Seeds(repetition)), [events(drawn)], events(holdout), 500, distance=GaussianMMD(0.1)
        )
        hits += _covers(found, 1.0)
    show(f"memoriser, MMD of width 0.1: covers {hits / REPETITIONS}")
    for count, level in zip(hits, LEVELS, strict=True):
        assert_rate(int(count), REPETITIONS, level, alpha=ALPHA)


@pytest.mark.parametrize("distance", [EnergyDiscrepancy(), GaussianMMD(0.5)])
def test_perfect_generators_of_five_features(distance: DistanceOfLaws, show: Show) -> None:
    # Most of the noise of a narrow kernel lies outside the landmarks' directions.
    ends = []
    for repetition in range(REPETITIONS):
        x = np.random.default_rng([811, repetition]).normal(size=(2, 600, 5))
        run = Run(Seeds(repetition))
        found = quadratic(run, Events(x[0]), Events(x[1]), 600, distance=distance)
        ends.append([(each.low > 0.0, each.high == 0.0) for each in found.intervals])
    rates = np.array(ends).sum(axis=0)
    show(f"perfect, {distance.name}: misses {(rates / REPETITIONS).tolist()} (16 %, 2.5 %)")
    for row, level in zip(rates, LEVELS, strict=True):
        for count in row:
            assert_rate(int(count), REPETITIONS, 0.5 * (1.0 - level), alpha=ALPHA)


def test_naive_estimates_are_found_out(show: Show) -> None:
    """Twins: compared with train, and pairs of an event with itself."""
    n, generated, m = SIZES
    values: dict[str, list[float]] = {"holdout": [], "train": [], "biased": []}
    for repetition in range(100):
        rng = np.random.default_rng([804, repetition])
        train, holdout = camel(n, rng), camel(m, rng)
        drawn, run = events(rng.choice(train, generated)), Run(Seeds(repetition))
        honest, wrong = (
            quadratic(run, drawn, events(true), n, distance=GaussianMMD(0.1)).inverse_gain.value
            for true in (holdout, train)
        )
        values["holdout"].append(honest)
        values["train"].append(wrong)
        values["biased"].append(honest + n / generated + n / m)
    means = {name: float(np.mean(each)) for name, each in values.items()}
    errors = {name: float(np.std(each)) / 10.0 for name, each in values.items()}
    show(f"1/G of a memoriser: {', '.join(f'{k} {means[k]:.2f} ± {errors[k]:.2f}' for k in means)}")
    assert_within(means["holdout"], 1.0, errors["holdout"])
    for twin in ("train", "biased"):
        with pytest.raises(AssertionError):
            assert_within(means[twin], 1.0, errors[twin])


@pytest.mark.parametrize("gain", [0.5, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("m", [50, 500])
def test_limits_by_kolmogorov_cover(gain: float, m: int, show: Show) -> None:
    rng, hits, repetitions = np.random.default_rng([805, m]), np.zeros(3, dtype=int), 3000
    for _ in range(repetitions):
        drawn = rng.choice(rng.random(round(gain * m)), 10 * m)
        found = kolmogorov(drawn, rng.random(m), m)
        hits += [*_covers(found, 1.0 / gain), found.details["gain_above_95"] <= gain]
    show(f"KS, G = {gain:g}, m = {m}: covers {hits / repetitions} (68 %, 95 %, limit)")
    for count, level in zip(hits, (*LEVELS, 0.95), strict=True):
        # What the correction of small samples leaves: one per cent at fifty events.
        assert abs(count / repetitions - level) < 0.02 * (m == 50) + 4 * np.sqrt(
            level * (1 - level) / repetitions
        )


def test_independent_generators_raise_the_alarm_at_the_level(show: Show) -> None:
    found = np.array([_p_values("independent", 806, repetition) for repetition in range(500)])
    for name, column in zip(("share", "ratio", "copies"), found.T, strict=True):
        rejected = int((column <= 0.05 + 1e-12).sum())
        show(f"memorisation, size at 5 % by {name}: {rejected / 500:.3f}")
        assert stats.binom.sf(rejected - 1, 500, 0.05) > ALPHA
    assert_uniform(found[:, 1], steps=200, rng=np.random.default_rng(806), alpha=ALPHA)


@pytest.mark.parametrize(
    ("kind", "at_least"), [("copies", 0.99), ("smeared copies", 0.99), ("few copies", 0.99)]
)
def test_memorisers_raise_the_alarm(kind: str, at_least: float, show: Show) -> None:
    alarms = np.array([_alarm(kind, 807, repetition) for repetition in range(100)])
    show(f"memorisation, power: {alarms[:, 0].mean():.2f} {kind}, share {alarms[:, 1].mean():.3f}")
    assert alarms[:, 0].mean() >= at_least


def test_a_kernel_density_depends_mildly(show: Show) -> None:
    alarms = np.array([_alarm("kernel density", 808, repetition) for repetition in range(100)])
    show(f"memorisation, KDE: alarm {alarms[:, 0].mean():.2f}, share {alarms[:, 1].mean():.3f}")
    assert alarms[:, 0].mean() < 0.2
    assert 0.5 < alarms[:, 1].mean() < 0.56


def _p_values(kind: str, seed: int, repetition: int) -> list[float]:
    rng = np.random.default_rng([seed, repetition])
    found = memorisation(Run(Seeds(repetition)), *samples(kind, 300, rng), permutations=199)
    return [found.share_p.value, found.log_ratio_p.value, found.copies_p.value]


def _alarm(kind: str, seed: int, repetition: int) -> tuple[float, float]:
    rng = np.random.default_rng([seed, repetition])
    found = memorisation(Run(Seeds(repetition)), *samples(kind, 2000, rng), permutations=199)
    return float(found.alarm), found.share.value


def test_a_learning_curve_tells_a_floor_from_none(show: Show) -> None:
    """A kernel density of fixed width has a floor, a maximum-likelihood fit has none."""
    n = np.array([250, 500, 1000, 2000])
    floors = {}
    for name, train in (("wide", smooth(1.5)), ("likelihood", GENERATORS["maximum likelihood"])):
        rng = np.random.default_rng(809)
        draws = np.array([[realised(train(size, rng)) for _ in range(20)] for size in n.tolist()])
        found = learning_curve(n, draws.mean(axis=1), draws.std(axis=1) / np.sqrt(20))
        floors[name] = found
        show(f"{name}: {found!r}, crossing {found.crossing_interval(0.95)}")
    assert floors["wide"].floor_intervals[1].low > 0.0
    assert floors["likelihood"].floor_intervals[1].low == 0.0


def _spread(values: Array) -> float:
    return float(np.std(values) / np.mean(values))


def test_one_training_fluctuates_as_the_page_says(show: Show) -> None:
    rng = np.random.default_rng(810)
    for name in ("memoriser", "maximum likelihood"):
        true = np.array([realised(GENERATORS[name](500, rng)) for _ in range(REPETITIONS)])
        show(f"{name}: 1/G between trainings {500 * true.mean():.3f}, sd/mean {_spread(true):.2f}")
        assert 0.5 < _spread(true) < 1.5
