"""The study of sensitivities: its intervals cover, and those of a naive twin do not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))

from published._sensitivity_effects import (
    DEFORMATIONS,
    Draw,
    GaussianModes,
    strengths,
)
from published._sensitivity_work import crossing, margin, smallest

SIZES = np.geomspace(0.02, 2.0, 40)
SLOPE, PAIRS, TRIALS = 10.0, 8, 150


def _covered(*, twin: bool) -> float:
    """Return how often an interval holds the truth: T is normal, its mean grows with the size."""
    truth = 2.0 * stats.norm.isf(0.05) / SLOPE
    rng, hits = np.random.default_rng(3), 0
    for _ in range(TRIALS):
        law = rng.normal(size=(12, 100, 1))
        values = (SLOPE * SIZES[:, None] + rng.normal(size=PAIRS))[..., None]
        if twin:  # the error of a mean, as if the spread were known
            reach = 1.96 * values[..., 0].std(axis=1, ddof=1) / np.sqrt(PAIRS)
            middle = margin(values, law, 0.95)
            low, high = (crossing(SIZES, middle + sign * reach) for sign in (1.0, -1.0))
        else:
            found = smallest(SIZES, values, law, 0.95)
            assert found["low"] is not None
            assert found["high"] is not None
            low, high = found["low"], found["high"]
        hits += low <= truth <= high
    return hits / TRIALS


def test_intervals_on_the_smallest_effect_cover() -> None:
    assert _covered(twin=False) >= 0.9
    assert _covered(twin=True) <= 0.85


def test_what_is_seen_nowhere_or_everywhere_is_told() -> None:
    law = np.random.default_rng(1).normal(size=(4, 50, 1))
    nothing = np.random.default_rng(2).normal(size=(40, PAIRS, 1)) * 0.1
    assert smallest(SIZES, nothing, law, 0.95)["value"] is None
    assert smallest(SIZES, nothing + 50.0, law, 0.95)["value"] == SIZES[0]


@pytest.mark.parametrize("effect", DEFORMATIONS)
def test_effects_grow_from_nothing(effect: str) -> None:
    rng = np.random.default_rng(5)
    modes = GaussianModes.random(4, rng)
    draw = Draw.of(modes, 20_000, rng)
    direction = np.ones(4)
    same = DEFORMATIONS[effect](modes, draw, 0.0, direction)
    assert np.allclose(same, draw.events(modes))
    moved = [
        float(np.abs(DEFORMATIONS[effect](modes, draw, size, direction) - same).sum())
        for size in strengths(effect, modes, 4, 2.0)
    ]
    assert moved == sorted(moved)
    assert moved[0] > 0.0


def test_correlations_shrink_and_standard_deviations_stay() -> None:
    rng = np.random.default_rng(6)
    modes = GaussianModes.random(3, rng)
    draw = Draw.of(modes, 200_000, rng)
    x = DEFORMATIONS["correlation"](modes, draw, 0.5, np.ones(3))
    before = modes.covariance / np.outer(modes.sd, modes.sd)
    after = np.asarray(np.corrcoef(x.T))
    off = ~np.eye(3, dtype=np.bool_)
    assert after[off] == pytest.approx(0.25 * before[off], abs=0.01)
    assert x.std(axis=0) == pytest.approx(modes.sd, rel=0.01)
