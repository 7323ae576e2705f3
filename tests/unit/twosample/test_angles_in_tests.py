"""Turning an angle in both samples moves no p-value of any two-sample test."""

from __future__ import annotations

import math

import numpy as np
import pytest

from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.sensitivity import smallest_effects
from verisimile.checks.twosample.statistics.interval_scan import IntervalScan
from verisimile.checks.twosample.statistics.protocol import entries
from verisimile.checks.twosample.windows import deviating_windows
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature, Kind
from verisimile.samples.coordinates import NormalScores, Standardised
from verisimile.validation.study import CLASSIFIER, NAMES

PERIODIC: Kind = "periodic"
STATISTICS = tuple(name for name in NAMES if name != CLASSIFIER)
ANGLES = (1.0, math.pi)


def samples(
    angle: float, kind: Kind = PERIODIC, *, n: int = 150, m: int = 120, places: int = 0
) -> tuple[Events, Events]:
    """Return samples of an angle and a feature that depends on it, the second a little off."""
    rng = Seeds(7).at("angles").numpy()

    def one(size: int, mean: float) -> Events:
        phi = rng.normal(mean, 1.2, size)
        if places:
            phi = np.round(phi * places / (2.0 * math.pi)) * (2.0 * math.pi / places)
        other = rng.normal(size=size) + np.cos(phi)
        cut = (phi + angle + math.pi) % (2.0 * math.pi) - math.pi
        return Events(
            np.column_stack([cut, other]), features=[Feature("phi", kind=kind), Feature("m")]
        )

    return one(n, 3.0), one(m, 3.2)


def p_values(pair: tuple[Events, Events], names: tuple[str, ...], draws: int) -> Array:
    found = [
        permutation_test(
            Run(Seeds(1)),
            *pair,
            [entries()[name].statistic],
            permutations=draws,
            coordinates=entries()[name].coordinates,
        )[0]
        for name in names
    ]
    return np.array([(one.p_value.value, one.observed) for one in found])


@pytest.mark.parametrize("places", [0, 12])
def test_turning_both_samples_moves_no_statistic(places: int) -> None:
    before = p_values(samples(0.0, places=places), STATISTICS, 99)
    for angle in ANGLES:
        after = p_values(samples(angle, places=places), STATISTICS, 99)
        np.testing.assert_array_equal(after[:, 0], before[:, 0])
        np.testing.assert_allclose(after[:, 1], before[:, 1], rtol=1e-6, atol=1e-9)


def test_the_same_feature_declared_continuous_moves_every_statistic() -> None:
    before = p_values(samples(0.0, "continuous"), STATISTICS, 19)
    after = p_values(samples(1.0, "continuous"), STATISTICS, 19)
    assert (np.abs(after[:, 1] - before[:, 1]) > 1e-3 * np.abs(before[:, 1])).all()


def test_weighted_and_thinned_samples_do_not_notice_either() -> None:
    names = ("energy", "max-ks", "interval-scan", "sliced-ks")

    def found(angle: float) -> Array:
        rng = Seeds(8).at("weights").numpy()
        first, second = samples(angle, n=6000, m=5000)
        heavy = Events(second.x, rng.exponential(size=5000), features=second.features)
        return p_values((first, heavy), names, 9)

    before, after = found(0.0), found(2.0)
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    np.testing.assert_allclose(after[:, 1], before[:, 1], rtol=1e-6, atol=1e-9)


def test_an_angle_alone_can_be_tested() -> None:
    pair = [one.select(["phi"]) for one in samples(0.0)]
    found = p_values((pair[0], pair[1]), ("energy", "interval-scan", "frechet"), 19)
    turned = [one.select(["phi"]) for one in samples(0.5)]
    np.testing.assert_array_equal(
        found[:, 0],
        p_values((turned[0], turned[1]), ("energy", "interval-scan", "frechet"), 19)[:, 0],
    )


@pytest.mark.parametrize("coordinates", [Standardised(), NormalScores()])
def test_windows_go_over_the_cut(coordinates: Standardised | NormalScores) -> None:
    rng = Seeds(9).at("windows").numpy()
    phi = rng.uniform(-math.pi, math.pi, (2, 2000))
    phi[1, :200] = math.pi + rng.normal(0.0, 0.05, 200)  # an excess across the cut
    features = [Feature("phi", kind="periodic")]

    def strongest(angle: float) -> tuple[float, float, float, float]:
        turned = (phi + angle + math.pi) % (2.0 * math.pi) - math.pi
        first, second = (Events(one[:, None], features=features) for one in turned)
        (scan,) = permutation_test(
            Run(Seeds(1)),
            first,
            second,
            [IntervalScan()],
            permutations=99,
            coordinates=coordinates,
        )
        window = deviating_windows(first, second, scan=scan, count=2).windows[0]
        assert window.p_value is not None
        return window.low, window.high, window.z, window.p_value.value

    low, high, z, p = strongest(0.0)
    assert -math.pi <= low < math.pi < high < low + 0.6
    assert low == pytest.approx(math.pi - 0.1, abs=0.1)
    assert z > 8.0
    assert p == 0.01
    again = strongest(1.0)
    np.testing.assert_allclose(again[0] + 2.0 * math.pi, low + 1.0, atol=1e-9)
    np.testing.assert_allclose([again[1] - again[0], *again[2:]], [high - low, z, p], rtol=1e-7)


def test_windows_that_overlap_around_the_circle_are_dropped() -> None:
    first, second = samples(0.0, n=800, m=800)
    found = deviating_windows(first, second, count=6).windows
    arcs = [(w.low % (2 * math.pi), w.high - w.low) for w in found if w.feature == "phi"]
    assert len(arcs) > 1
    for j, (start, _) in enumerate(arcs):
        for k, (other, length) in enumerate(arcs):
            assert j == k or (start - other) % (2 * math.pi) >= length - 1e-9


def test_the_smallest_effects_do_not_notice_either() -> None:
    def found(angle: float) -> list[float]:
        pair, run = samples(angle), Run(Seeds(1))
        statistic = [entries()["max-ks"].statistic]
        result = permutation_test(run, *pair, statistic, permutations=99)
        return [
            one.at_half.value
            for one in smallest_effects(run, *pair, statistic, result)
            if one.at_half is not None
        ]

    np.testing.assert_allclose(found(1.0), found(0.0), rtol=1e-6)
    assert found(0.0)
