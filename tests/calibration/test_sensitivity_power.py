"""The smallest visible effects against samples that really differ by them.

The tests of scipy, or the permutation test itself, on fresh samples that are shifted, or
have a share of events moved into an interval, must see the reported effect as often as was said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from statistical import assert_within
from verisimile.checks.twosample import sensitivity
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.sensitivity import Sensitivity, smallest_effects
from verisimile.checks.twosample.statistics.distribution_functions import CramerVonMises, MarginalKS
from verisimile.checks.twosample.statistics.interval_scan import IntervalScan
from verisimile.checks.twosample.statistics.protocol import Statistic
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.data.events import Events

Show = Callable[[str], None]
Seen = Callable[[float], int]
"""From an effect to how many of `EXPERIMENTS` experiments saw it."""

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

EXPERIMENTS, N = 400, 300


def _sensitivities(
    seeds: Seeds, n: int, d: int, statistic: Statistic, *, level: float = 0.05
) -> tuple[Sensitivity, ...]:
    rng, run = seeds.at("pool").numpy(), Run(seeds)
    first, second = Events(rng.normal(size=(n, d))), Events(rng.normal(size=(n, d)))
    results = permutation_test(run, first, second, [statistic])
    return smallest_effects(run, first, second, [statistic], results, level=level)


def _judge(found: Sensitivity, seen: Seen, experiments: int, show: Show) -> None:
    for value, power in ((found.at_half, 0.5), (found.at_ninety, 0.9)):
        assert value is not None
        rate = seen(value.value) / experiments
        show(f"{found.statistic}, {found.effect} of {value}: seen {rate:.3f}, wanted {power}")
        assert_within(
            rate,
            power,
            np.hypot(
                np.sqrt(power * (1 - power) / experiments),
                _slope(found, value, power) * value.error,
            ),
        )


def _slope(found: Sensitivity, at: Estimate, power: float) -> float:
    """Return the power per effect of a normal law with the reported points."""
    assert found.at_half is not None
    assert found.at_ninety is not None
    width = (found.at_ninety.value - found.at_half.value) / stats.norm.ppf(0.9)
    return float(stats.norm.pdf(stats.norm.ppf(power)) / width)


def _shifted(effect: float, at: Seeds) -> tuple[Array, Array]:
    """Return normal samples whose means differ by `effect` pooled standard deviations."""
    rng = at.numpy()
    # The pooled variance holds that between the samples.
    return rng.normal(size=N), rng.normal(size=N) + effect / np.sqrt(1 - effect**2 / 4)


TESTS = [
    (MarginalKS("max"), stats.ks_2samp),
    (CramerVonMises(), stats.cramervonmises_2samp),
]


def _scipy(test: Callable[[Array, Array], object]) -> Seen:
    def seen(effect: float) -> int:
        pairs = [_shifted(effect, Seeds(711).at(k)) for k in range(EXPERIMENTS)]
        return sum(test(*pair).pvalue <= 0.05 for pair in pairs)  # type: ignore[attr-defined]

    return seen


@pytest.mark.parametrize(("statistic", "test"), TESTS)
def test_tests_of_scipy_see_the_shift_as_often(
    statistic: Statistic,
    test: Callable[[Array, Array], object],
    show: Show,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sensitivity, "_LABELINGS", 200)
    found = _sensitivities(Seeds(710), N, 1, statistic)[0]
    _judge(found, _scipy(test), EXPERIMENTS, show)
    # Twins with one defect each: a critical value of another level, and effects
    # of which only one of the two samples is thought to fluctuate.
    loose = _sensitivities(Seeds(710), N, 1, statistic, level=0.45)[0]
    assert found.at_half is not None
    assert found.at_ninety is not None
    unit = 2**-0.5
    scaled = replace(
        found,
        at_half=Estimate(found.at_half.value * unit, found.at_half.error * unit),
        at_ninety=Estimate(found.at_ninety.value * unit, found.at_ninety.error * unit),
    )
    for twin in (loose, scaled):
        with pytest.raises(AssertionError):
            _judge(twin, _scipy(test), EXPERIMENTS, show)


def _moved(share: float, n: int, at: Seeds) -> tuple[Events, Events]:
    """Return samples of two features; a share of the second is moved into 1 % of the pool."""
    rng = at.numpy()
    x = rng.random(size=(2, n, 2))
    # Of both samples together 1 %: (h + h (1 - share) + share) / 2.
    width = (0.02 - share) / (2 - share)
    low, feature = rng.uniform(0, 1 - width), rng.integers(2)
    moved = rng.random(n) < share
    x[1, moved, feature] = rng.uniform(low, low + width, size=int(moved.sum()))
    return Events(x[0]), Events(x[1])


def test_the_scan_sees_the_moved_share_as_often(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensitivity, "_LABELINGS", 100)
    n, experiments, scan = 5000, 100, IntervalScan()

    def seen(share: float) -> int:
        count = 0
        for k in range(experiments):
            at = Seeds(713).at(k)
            (result,) = permutation_test(
                Run(at), *_moved(share, n, at.at("events")), [scan], permutations=99
            )
            count += result.p_value.value <= 0.05 + 1e-12
        return count

    _judge(_sensitivities(Seeds(712), n, 2, scan)[1], seen, experiments, show)
