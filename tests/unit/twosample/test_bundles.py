"""Bundles: the effects and the fluctuations of labelings are those of single events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from statistical import assert_within
from verisimile.checks.twosample import bundles, sensitivity
from verisimile.checks.twosample.bundles import Bundles, events_together
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.sensitivity import Sensitivity, smallest_effects
from verisimile.checks.twosample.statistics.distribution_functions import MarginalKS
from verisimile.checks.twosample.tilts import Local, Shift, TiltFamily
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.report.sections.validation_tables import bundled
from verisimile.samples.coordinates import Standardised
from verisimile.samples.pool import Pool, pool_samples

N, FIRST, DRAWS = 6000, 2400, 400


def _pool(rng: np.random.Generator) -> tuple[Pool, Array]:
    x = rng.normal(size=(N, 2))
    return pool_samples(Events(x[:FIRST]), Events(x[FIRST:]), Standardised()), x


def _gaps(made: Bundles, tilt: TiltFamily, strength: float, x: Array) -> tuple[Array, Array]:
    """Return what labelings have, and what is said of them, along the first feature."""
    drawn = [made.labels(tilt, strength, Seeds(5).at(k)) for k in range(DRAWS)]
    gaps = [x[~row].mean() - x[row].mean() for row, _ in drawn]
    return np.array(gaps), np.array([effect for _, effect in drawn])


def _judge(made: Bundles, x: Array) -> None:
    """Raise unless means are shifted as said, and fluctuate as those of single events."""
    one = x[:, 0]
    tilt = made.tilt(Shift.of(x[:, :1], np.ones(N)))
    gaps, _ = _gaps(made, tilt, 0.0, one)
    unit = np.sqrt(1 / FIRST + 1 / (N - FIRST)) * one.std()
    assert_within(gaps.std(), unit, unit / np.sqrt(2 * DRAWS))
    gaps, effects = _gaps(made, tilt, 0.3, one)
    # Of either sign, many errors away from zero.
    assert_within(np.abs(gaps).mean(), effects.mean() * one.std(), unit / np.sqrt(DRAWS))


def test_bundles_shift_and_fluctuate_as_events_do(rng: np.random.Generator) -> None:
    pool, x = _pool(rng)
    made = Bundles.of(pool, 5, Seeds(1))
    assert made.pool.sizes == (480, 720)
    _judge(made, x)
    # The twin: bundles of neighbours instead of random events.
    near = replace(made, codes=(np.argsort(np.argsort(x[:, 0])) // 5).astype(np.int32))
    with pytest.raises(AssertionError):
        _judge(near, x)


def test_events_are_moved_into_intervals_as_said(rng: np.random.Generator) -> None:
    pool, x = _pool(rng)
    made = Bundles.of(pool, 5, Seeds(1))
    tilt = made.tilt(Local.of(x))
    for k in range(50):
        direction = tilt.direction(np.random.default_rng(k))
        whole = Local.of(x).direction(np.random.default_rng(k))
        np.testing.assert_allclose(
            direction.log_odds, np.bincount(made.codes, weights=whole.log_odds)
        )
        np.testing.assert_allclose(direction.measure, direction.log_odds / 5)


def test_the_last_bundle_may_be_smaller(rng: np.random.Generator) -> None:
    pool, x = _pool(rng)
    made = Bundles.of(pool, 7, Seeds(1))
    assert made.pool.weights.sum() == N
    labels, _ = made.labels(made.tilt(Local.of(x)), 0.5, Seeds(3))
    assert abs(int(labels.sum()) - FIRST) <= 7


def test_only_very_many_plain_events_are_bundled(rng: np.random.Generator) -> None:
    pool, _ = _pool(rng)
    assert events_together(pool) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundles, "_ENOUGH", 1000)
        assert events_together(pool) == 2
        patch.setattr(bundles, "_FEWEST", 400)
        assert events_together(pool) == 6
        assert events_together(replace(pool, weights=2.0 * pool.weights)) == 1
        assert events_together(replace(pool, null="multipliers")) == 1
        assert events_together(replace(pool, units=pool.units // 2)) == 1


def _found(first: Events, second: Events) -> Sensitivity:
    run, several = Run(Seeds(3)), [MarginalKS("max")]
    results = permutation_test(run, first, second, several, permutations=399)
    return smallest_effects(run, first, second, several, results)[0]


def test_the_smallest_effect_is_that_of_events(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensitivity, "_LABELINGS", 150)
    first, second = Events(rng.normal(size=(2000, 1))), Events(rng.normal(size=(2000, 1)))
    alone = _found(first, second)
    monkeypatch.setattr(bundles, "_ENOUGH", 500)
    monkeypatch.setattr(bundles, "_FEWEST", 250)
    together = _found(first, second)
    assert (alone.together, together.together) == (1, 8)
    assert bundled([alone]) == ""
    assert "random bundles of 8 events" in bundled([alone, together])
    for one, other in ((alone.at_half, together.at_half), (alone.at_ninety, together.at_ninety)):
        assert one is not None
        assert other is not None
        assert_within(other.value, one.value, np.hypot(one.error, other.error))
