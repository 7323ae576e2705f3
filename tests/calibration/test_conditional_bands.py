"""Joint coverage of the bands along a condition, and of the classifier's KS distance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

import verisimile as vs
from condition_study import GAINS, pointwise, pseudo_experiment, within
from statistical import assert_rate

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

LEVELS = (0.68, 0.95)
ALPHA = 1e-3


def test_bands_of_one_generator_have_their_content(show: Show) -> None:
    repetitions, joint, single = 400, np.zeros(2, dtype=int), np.zeros(2, dtype=int)
    for seed in range(1000, 1000 + repetitions):
        found, truth = pseudo_experiment(seed, levels=LEVELS)
        joint += [within(found.band(level), truth) for level in LEVELS]
        single += [within(pointwise(found, level), truth) for level in LEVELS]
    show(
        f"G in {len(GAINS)} bins, all covered: band {joint / repetitions}, intervals of single "
        f"bins {single / repetitions} (0.68, 0.95)"
    )
    for count, twin, level in zip(joint, single, LEVELS, strict=True):
        assert_rate(int(count), repetitions, level, alpha=ALPHA)
        with pytest.raises(AssertionError):
            assert_rate(int(twin), repetitions, level, alpha=ALPHA)


def test_bands_of_a_procedure_cover_at_the_least(show: Show) -> None:
    repetitions, joint = 200, np.zeros(2, dtype=int)
    for seed in range(2000, 2000 + repetitions):
        found, truth = pseudo_experiment(
            seed, levels=LEVELS, gains=(0.5, 1.0, 2.0, 5.0), trainings=5
        )
        joint += [within(found.band(level), truth) for level in LEVELS]
    show(f"G in 4 bins, five trainings, all covered: {joint / repetitions} (0.68, 0.95)")
    for count, level in zip(joint, LEVELS, strict=True):
        assert stats.binom.cdf(count, repetitions, level) > ALPHA


@pytest.mark.parametrize("gain", [1.0, 3.0, np.inf])
def test_the_limit_of_the_classifier_holds(gain: float, show: Show) -> None:
    repetitions, n = 100, 500
    hits = zero = 0
    for seed in range(repetitions):
        rng = np.random.default_rng([12, seed])
        generated = rng.normal(size=(5000, 3))
        if np.isfinite(gain):
            sample = rng.normal(size=(round(gain * n), 3))
            generated = sample[rng.integers(len(sample), size=5000)]
        found = vs.amplification.kolmogorov_classifier(
            vs.Run(vs.Seeds(seed)), generated, rng.normal(size=(2000, 3)), n, levels=(0.95,)
        )
        hits += found.details["gain_above_95"] <= gain
        zero += found.intervals[0].low == 0.0
    show(f"classifier's KS, true events with G = {gain:g}: limit holds in {hits}, 1/G may be 0 in "
         f"{zero} of {repetitions}")  # fmt: skip
    assert stats.binom.cdf(hits, repetitions, 0.95) > ALPHA
    if not np.isfinite(gain):
        assert stats.binom.cdf(zero, repetitions, 0.95) > ALPHA
