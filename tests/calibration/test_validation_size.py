"""The verdict of a whole validation fails a perfect generator as often as its level says.

Samples of 90 and 110 events of a correlated normal law in two features, the whole
battery with 99 relabelings, a selection and a constraint.  The level 0.05 bounds the rate of failed
verdicts; the twin calls a sample bad as soon as any single p-value is 0.05 or less.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.report.sections.validation_verdict import judge_validation
from verisimile.report.verdict import Verdict, overall
from verisimile.validation.study import Battery, Study
from verisimile.validation.validate import validate

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

SEEDS = Seeds(20261122).at("validation size")
EXPERIMENTS = 500
SIGNED = 300
LEVEL = 0.05
STUDY = Study(
    battery=Battery(permutations=99, sensitivity=False, support=False),
    selections={"positive": "x0 > 0"},
    constraints={"bounded": "x1 < 2.5"},
)
SIGNED_STUDY = Study(
    battery=Battery(permutations=99, sensitivity=False, support=False, physics=False)
)


def _samples(rng: np.random.Generator, shift: float) -> tuple[Events, Events]:
    x = rng.normal(size=(200, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    x[90:, 0] += shift
    return Events(x[:90]), Events(x[90:])


def _judged(experiment: int, shift: float) -> tuple[bool, float, float]:
    """Return whether the verdict is failed, the global p-value, and the smallest single one."""
    seeds = SEEDS.at(f"{shift:g}", experiment)
    found = validate(Run(seeds), *_samples(seeds.at("events").numpy(), shift), study=STUDY)
    assert found.p_value is not None
    single = [test.p_value.value for test in found.tests if test.p_value is not None]
    assert len(single) == len(found.tests) == 14
    verdict = overall(judge_validation(found, LEVEL, name="generated"))
    return verdict is Verdict.FAILED, found.p_value.value, min(single)


@pytest.fixture(scope="module")
def null() -> Array:
    return np.array([_judged(experiment, 0.0) for experiment in range(EXPERIMENTS)], np.float64)


def test_a_perfect_generator_fails_at_the_level(null: Array, show: Show) -> None:
    failed, p = null[:, 0].astype(bool), null[:, 1]
    show(f"failed verdicts at {LEVEL:g}: {failed.mean():.3f}; global p <= {LEVEL:g}: "
         f"{(p <= LEVEL).mean():.3f}")  # fmt: skip
    assert (failed == (p <= LEVEL)).all()
    # Bonferroni between permutation tests and the others makes it conservative, if anything.
    assert stats.binom.sf(int(failed.sum()) - 1, failed.size, LEVEL) > 0.01
    for level in (0.1, 0.3):
        assert stats.binom.sf(int((p <= level).sum()) - 1, p.size, level) > 0.01


def test_any_small_p_value_fails_too_often(null: Array, show: Show) -> None:
    rejected = int((null[:, 2] <= LEVEL).sum())
    show(f"any single p <= {LEVEL:g}: {rejected / EXPERIMENTS:.3f}")
    with pytest.raises(AssertionError):
        assert_rate(rejected, EXPERIMENTS, LEVEL, alpha=0.01)
    assert stats.binom.sf(rejected - 1, EXPERIMENTS, LEVEL) < 1e-6


def test_a_shift_is_found(show: Show) -> None:
    found = np.array([_judged(experiment, 0.7)[0] for experiment in range(60)])
    show(f"power at a shift of 0.7: {found.mean():.2f}")
    # Hotelling's test at a tenth of the level, with the correlation known.
    noncentrality = 0.7**2 / (1 - 0.6**2) * 90 * 110 / 200
    bound = stats.ncx2.sf(stats.chi2.isf(LEVEL / 10, 2), 2, noncentrality)
    assert found.mean() > 0.5 * bound


def test_signed_weights_of_one_sample_keep_the_level(show: Show) -> None:
    """15 % of the generated events weigh -1; tests that cannot take that are not made."""
    failed = 0
    for experiment in range(SIGNED):
        seeds = SEEDS.at("signed", experiment)
        rng = seeds.at("events").numpy()
        ours, theirs = _samples(rng, 0.0)
        weights = np.where(rng.random(theirs.n) < 0.15, -1.0, 1.0)
        found = validate(Run(seeds), ours, Events(theirs.x, weights), study=SIGNED_STUDY)
        failed += overall(judge_validation(found, LEVEL, name="generated")) is Verdict.FAILED
    show(f"failed verdicts with signed weights at {LEVEL:g}: {failed / SIGNED:.3f}")
    assert stats.binom.sf(failed - 1, SIGNED, LEVEL) > 0.01
