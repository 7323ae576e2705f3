"""The stated smallest effect is one that the verdict finds, not the uncorrected p-value.

Eight tests of 150 against 150 events of two features.  A shift of one feature by what
is stated for 90 % must fail the verdict on that test, which is Holm's, in 90 % or more; effects
stated for the uncorrected level do not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from verisimile.checks.twosample import sensitivity
from verisimile.checks.twosample.sensitivity import Sensitivity, smallest_effects
from verisimile.checks.twosample.statistics.protocol import entries
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.validation.battery import battery_of, sensitivities_of
from verisimile.validation.study import Battery

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

SEEDS = Seeds(20261129).at("sensitivity of verdicts")
N, EXPERIMENTS, LEVEL, STATED = 150, 250, 0.05, 100
TESTS = (
    "energy", "max-ks", "mean-ks", "cramer-von-mises",
    "sliced-ks", "sliced-wasserstein", "interval-scan", "frechet",
)  # fmt: skip
JUDGED = ("energy", "max-ks")
BATTERY = Battery(tests=TESTS, permutations=199)


def _pair(at: Seeds, effect: float) -> tuple[Events, Events]:
    """Return samples one of whose features is shifted, by pooled standard deviations."""
    rng = at.numpy()
    x = rng.normal(size=(2, N, 2))
    feature, sign = rng.integers(2), rng.choice([-1.0, 1.0])
    x[1, :, feature] += sign * effect / np.sqrt(1.0 - effect**2 / 4.0)
    return Events(x[0]), Events(x[1])


def _seen(name: str, effect: float) -> float:
    """Return how often the verdict on a test is failed at an effect."""
    count = 0
    for experiment in range(EXPERIMENTS):
        at = SEEDS.at("experiment", experiment)
        found = battery_of(Run(at), *_pair(at.at("events"), effect), BATTERY, further={})
        (adjusted,) = (test.adjusted for test in found.tests if test.name == name)
        count += adjusted <= LEVEL * (1.0 + 1e-12)
    return count / EXPERIMENTS


@pytest.fixture(scope="module")
def stated() -> dict[tuple[str, str], float]:
    """Return the effects stated for 90 %: by the verdict, and by the uncorrected level."""
    at = SEEDS.at("stated")
    pair, run = _pair(at.at("events"), 0.0), Run(at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sensitivity, "_LABELINGS", STATED)
        tested = battery_of(run, *pair, BATTERY, further={})
        found = list(sensitivities_of(run, tested, level=LEVEL))
        plain = [
            each
            for name in JUDGED
            for each in smallest_effects(
                run, *pair, [entries()[name].statistic], [tested.permuted[name]], level=LEVEL
            )
        ]
    return {("verdict", k): v for k, v in _shifts(found).items()} | {
        ("uncorrected", k): v for k, v in _shifts(plain).items()
    }


def _shifts(found: list[Sensitivity]) -> dict[str, float]:
    names = {entries()[name].statistic.name: name for name in JUDGED}
    return {
        names[one.statistic]: one.at_ninety.value
        for one in found
        if one.effect == "shift" and one.at_ninety is not None and one.statistic in names
    }


def _enough(rate: float) -> None:
    """Raise unless a rate is compatible with 90 % or more.

    Beside its own error that of the effect, stated on so many labelings at each strength.
    """
    error: Array = np.sqrt(0.9 * 0.1 * (1.0 / EXPERIMENTS + 1.0 / STATED))
    assert rate >= 0.9 - 3.0 * error


@pytest.mark.parametrize("name", JUDGED)
def test_the_verdict_finds_what_is_stated(
    name: str, stated: dict[tuple[str, str], float], show: Show
) -> None:
    effect = stated["verdict", name]
    rate = _seen(name, effect)
    show(f"{name}: a shift of {effect:.3f}, stated for 90 %, failed the verdict in {rate:.3f}")
    _enough(rate)


@pytest.mark.parametrize("name", JUDGED)
def test_effects_of_the_uncorrected_level_are_not_found(
    name: str, stated: dict[tuple[str, str], float], show: Show
) -> None:
    # The defective twin.
    effect = stated["uncorrected", name]
    rate = _seen(name, effect)
    show(f"twin, {name}: a shift of {effect:.3f} failed the verdict in {rate:.3f}")
    with pytest.raises(AssertionError):
        _enough(rate)
