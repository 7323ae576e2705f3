"""Tilted relabelings: their odds, the effects that they achieve, ties, weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from scipy import special

from statistical import assert_within
from verisimile.checks.twosample.tilts import (
    Direction,
    Local,
    Order,
    Shift,
    TiltFamily,
    tilt_labels,
)
from verisimile.core.arrays import Array, IntArray
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.samples.coordinates import Standardised
from verisimile.samples.pool import Labels, Pool, pool_samples

N, SECOND, DRAWS = 900, 300, 400


class _Fixed:
    """A tilt of one direction."""

    unit, scale, key = "", 1.0, ""
    name: Literal["shift"] = "shift"

    def __init__(self, direction: Direction) -> None:
        self.fixed = direction

    def direction(self, rng: np.random.Generator) -> Direction:  # noqa: ARG002
        return self.fixed

    def at(self, rows: IntArray) -> _Fixed:
        return _Fixed(Direction(self.fixed.log_odds[rows], self.fixed.measure[rows]))

    def bundled(self, codes: Order, count: int) -> _Fixed:
        odds, measure = (
            np.bincount(codes, weights=each, minlength=count).astype(np.float64)
            for each in (self.fixed.log_odds, self.fixed.measure)
        )
        return _Fixed(Direction(odds, measure / np.bincount(codes, minlength=count)))


def _pool(weights: Array, second: int = SECOND) -> Pool:
    x = np.arange(float(weights.size))[:, None]
    plain = pool_samples(Events(x[:-second]), Events(x[-second:]), Standardised())
    return replace(plain, weights=weights)


def _drawn(tilt: TiltFamily, strength: float, weights: Array) -> tuple[Labels, Array]:
    pool = _pool(weights)
    rows = [tilt_labels(tilt, strength, pool, Seeds(5).at(k)) for k in range(DRAWS)]
    return np.stack([row for row, _ in rows]), np.array([effect for _, effect in rows])


def _log_odds_ratio(labels: Labels, inside: Array) -> tuple[float, float]:
    """Return the log odds ratio of being second inside and outside, and its error."""
    second = ~labels
    table = [second[:, inside > 0], second[:, inside == 0]]
    counts = [(part.sum(), (~part).sum()) for part in table]
    ratio = np.log(counts[0][0] / counts[0][1]) - np.log(counts[1][0] / counts[1][1])
    return float(ratio), float(np.sqrt(sum(1 / n for pair in counts for n in pair)))


@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0])
def test_odds_are_those_asked_for(strength: float) -> None:
    inside = (np.arange(N) < 90).astype(float)
    labels, _ = _drawn(_Fixed(Direction(inside, inside)), strength, np.ones(N))
    assert (labels.sum(axis=1) == N - SECOND).all()
    ratio, error = _log_odds_ratio(labels, inside)
    # Fixed sizes leave differences of order 1 / N.
    assert_within(ratio, strength, error + 1 / N)


def test_gumbel_noise_would_have_other_odds() -> None:
    # The twin: the largest of eps u + Gumbel noise, drawing without replacement in turn.
    rng, inside = np.random.default_rng(1), (np.arange(N) < 90).astype(float)
    heights = 2.0 * inside + rng.gumbel(size=(DRAWS, N))
    labels = np.argsort(np.argsort(heights, axis=1), axis=1) < N - SECOND
    ratio, error = _log_odds_ratio(labels, inside)
    with pytest.raises(AssertionError, match="off by"):
        assert_within(ratio, 2.0, error + 1 / N)


def _events(rng: np.random.Generator) -> Array:
    return np.column_stack([np.exp(rng.normal(size=N)), np.round(rng.normal(size=N), 1)])


def _weights(kind: str, rng: np.random.Generator) -> Array:
    signs = np.where(rng.random(N) < 0.1, -1.0, 1.0) if kind == "signed" else 1.0
    weights = np.ones(N) if kind == "none" else signs * rng.gamma(2.0, size=N)
    return np.asarray(weights / weights.mean())


def _achieved(labels: Labels, weights: Array, measure: Array) -> tuple[float, float]:
    """Return the mean over labelings of the difference of weighted means, and its error."""
    gaps = [
        np.average(measure[~row], weights=weights[~row])
        - np.average(measure[row], weights=weights[row])
        for row in labels
    ]
    return float(np.mean(gaps)), float(np.std(gaps, ddof=1) / np.sqrt(len(gaps)))


@pytest.mark.parametrize("kind", ["none", "positive", "signed"])
@pytest.mark.parametrize("effect", ["shift", "local"])
def test_effects_are_those_achieved(kind: str, effect: str, rng: np.random.Generator) -> None:
    x, weights = _events(rng), _weights(kind, rng)
    tilt: TiltFamily = Shift.of(x, weights) if effect == "shift" else Local.of(x)
    fixed = _Fixed(tilt.direction(rng))
    strength = 0.6 / np.sqrt(tilt.scale)
    labels, effects = _drawn(fixed, strength, weights)
    gap, error = _achieved(labels, weights, fixed.fixed.measure)
    assert_within(effects.mean(), gap, error)
    # The twin: the strength instead of the effect.
    with pytest.raises(AssertionError, match="off by"):
        assert_within(strength, gap, error)
    # The threshold alone fluctuates: effects are known better than labelings are.
    assert effects.std() < 0.5 * error * np.sqrt(DRAWS)


def test_a_shift_is_in_weighted_standard_deviations(rng: np.random.Generator) -> None:
    x, weights = _events(rng), _weights("positive", rng)
    tilt = Shift.of(np.column_stack([x, np.ones(N)]), weights)
    assert tilt.standardised.shape == (2, N)
    mean = np.average(tilt.standardised, axis=1, weights=weights)[:, None]
    variance = np.average((tilt.standardised - mean) ** 2, axis=1, weights=weights)
    np.testing.assert_allclose(variance, 1.0, rtol=1e-12)
    drawn = [tilt.direction(np.random.default_rng(k)) for k in range(40)]
    assert len({float(direction.log_odds[0]) for direction in drawn}) == 4


def test_a_normal_feature_shifts_by_its_strength() -> None:
    z = special.ndtri((np.arange(20_000) + 0.5) / 20_000)[:, None]
    ones = np.ones(20_000)
    _, effect = tilt_labels(Shift.of(z, ones), 0.1, _pool(ones, 10_000), Seeds(1))
    # E tanh-like saturation: of relative order eps^2.
    assert effect == pytest.approx(0.1, rel=0.02)


def test_intervals_hold_one_per_cent_and_whole_ties(rng: np.random.Generator) -> None:
    smooth = Local.of(rng.normal(size=(N, 3)))
    for k in range(20):
        assert smooth.direction(np.random.default_rng(k)).measure.sum() == N // 100
    x = np.round(rng.normal(size=(N, 2)), 1)
    for k in range(20):
        inside = Local.of(x).direction(np.random.default_rng(k)).measure > 0
        assert inside.sum() >= N // 100
        assert any(not np.intersect1d(column[inside], column[~inside]).size for column in x.T)


def test_of_atoms_and_a_smooth_feature_the_narrow_places_are_taken(
    rng: np.random.Generator,
) -> None:
    x = np.column_stack([rng.integers(2, size=N), rng.normal(size=N)])
    sizes = [Local.of(x).direction(np.random.default_rng(k)).measure.mean() for k in range(40)]
    assert np.mean(np.array(sizes) < 0.02) > 0.9


def test_tilts_of_some_events_are_those_of_all(rng: np.random.Generator) -> None:
    x = np.column_stack([rng.normal(size=N), np.round(rng.normal(size=N), 1)])
    rows = np.sort(rng.choice(N, 250, replace=False))
    families: list[TiltFamily] = [Shift.of(x, np.ones(N)), Local.of(x)]
    for tilt in families:
        for k in range(40):
            whole, some = (one.direction(np.random.default_rng(k)) for one in (tilt, tilt.at(rows)))
            np.testing.assert_array_equal(some.log_odds, whole.log_odds[rows])
            np.testing.assert_array_equal(some.measure, whole.measure[rows])
