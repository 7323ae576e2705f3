"""Bands of ensembles: published and radial, simultaneous, and where their spread comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from statistical import assert_rate, assert_within
from verisimile.checks.precision_recall.band import (
    Band,
    precision_recall_band,
    precision_recall_bands,
    simultaneous_band,
)
from verisimile.checks.precision_recall.best import BestScore
from verisimile.checks.precision_recall.curve import BOUND
from verisimile.checks.precision_recall.learned_scores import LinearScore, MixtureRatio
from verisimile.checks.precision_recall.scores import PooledNeighbours
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import load, save
from verisimile.core.run import Run
from verisimile.data.events import Events

RUN = Run(Seeds(3))
N = 800
PUBLISHED = PooledNeighbours()


def reference() -> Events:
    return Events(np.random.default_rng(0).normal(size=(N, 1)))


def family(count: int, *, sd: float, seed: int, mean: float = 1.0) -> list[Array]:
    """Return samples of generators N(m_j, 1), with m_j around a mean."""
    rng = np.random.default_rng(seed)
    return [rng.normal(mean + sd * rng.normal(), 1.0, size=(N, 1)) for _ in range(count)]


@pytest.fixture(scope="module")
def band() -> Band:
    return precision_recall_band(
        RUN, reference(), family(12, sd=0.3, seed=1), score=PUBLISHED, null_draws=3
    )


def test_published_band_interpolates_precision(band: Band) -> None:
    grid = band.recall.recall
    np.testing.assert_allclose(grid, np.linspace(0, 1, 1001)[1:])
    precision, recall = (band.radii[0] * trig(band.theta) for trig in (np.sin, np.cos))
    i = int(np.argmin(np.abs(recall - 0.4)))
    at = int(round(recall[i] * 1000)) - 1
    assert band.recall.precision[0, at] == pytest.approx(precision[i], abs=0.01)
    low, high = np.percentile(band.recall.precision, [10, 90], axis=0)
    np.testing.assert_allclose(band.recall.low, low)
    np.testing.assert_allclose(band.recall.high, high)


def test_precision_is_zero_beyond_the_end_of_a_curve() -> None:
    rng = np.random.default_rng(2)
    half = [np.abs(rng.normal(size=(N, 1))) for _ in range(3)]
    band = precision_recall_band(RUN, reference(), half, score=PUBLISHED, null_draws=0)
    assert (band.recall.precision[:, 700:] == 0.0).all()
    assert (band.recall.precision[:, 300] > 0.8).all()


def test_radial_band_is_of_the_curves_themselves(band: Band) -> None:
    np.testing.assert_allclose(band.radial.mean, band.radii.mean(axis=0))
    inside = (band.radii >= band.radial.low) & (band.radii <= band.radial.high)
    assert 0.65 <= inside.mean() <= 0.9
    assert (band.radial.mean_low <= band.radial.mean).all()
    assert band.auc[band.best] == band.auc.max()
    assert band.auc[band.worst] == band.auc.min()
    assert band.null is not None


def test_spread_of_one_model_is_of_evaluation() -> None:
    same = precision_recall_band(
        RUN, reference(), family(80, sd=0.0, seed=4), score=PUBLISHED, null_draws=0
    ).spread
    assert_within(same.model.value, 0.0, same.model.error, k=4.0)
    # The area of N(m, 1) falls by 0.44 per unit of m near m = 1.
    other = precision_recall_band(
        RUN, reference(), family(80, sd=0.15, seed=4), score=PUBLISHED, null_draws=0
    )
    model = other.spread.model
    assert_within(model.value, (0.44 * 0.15) ** 2, np.hypot(model.error, 0.1 * model.value))
    with pytest.raises(AssertionError):
        assert_within(model.value, 0.0, model.error)


def test_resplits_are_a_part_of_evaluation() -> None:
    spread = precision_recall_band(
        RUN, reference(), family(6, sd=0.0, seed=4), score=PUBLISHED, null_draws=0, splits=3
    ).spread
    assert 0.0 < spread.resplit < spread.evaluation.value


def test_missed_events_widen_the_band() -> None:
    samples = family(3, sd=0.0, seed=4)
    samples[0][: N // 2] = np.inf
    band = precision_recall_band(RUN, reference(), samples, score=PUBLISHED, null_draws=0)
    np.testing.assert_array_equal(band.missed, [0.5, 0.0, 0.0])
    assert band.worst == 0


def test_unknown_evaluation_is_not_taken_for_none() -> None:
    few = Events(reference().x[:100])
    band = precision_recall_band(
        RUN, few, [x[:100] for x in family(3, sd=0.3, seed=1)], score=PUBLISHED
    )
    assert np.isnan(band.spread.model.value)
    assert "nan of it from training" in repr(band)


def test_result_survives_the_disk(band: Band, tmp_path: Path) -> None:
    again = load(save(band, tmp_path / "band"))
    assert repr(again) == repr(band)


def test_a_band_needs_three() -> None:
    with pytest.raises(InputError, match="at least 3"):
        precision_recall_band(RUN, reference(), family(2, sd=0.0, seed=1))


def test_simultaneous_band_holds_the_whole_mean() -> None:
    grid = np.linspace(0, 1, 81)
    shapes = np.stack([np.ones(81), grid, np.sin(3 * grid), np.cos(9 * grid)])
    rng, held, pointwise, count = np.random.default_rng(7), 0, 0, 200
    for i in range(count):
        curves = 1.0 + rng.normal(size=(25, 4)) @ shapes
        low, high = simultaneous_band(Seeds(i), curves, resamples=299)
        held += bool(((low <= 1.0) & (high >= 1.0)).all())
        half = 2.064 * curves.std(axis=0, ddof=1) / 5.0
        pointwise += bool((np.abs(curves.mean(axis=0) - 1.0) <= half).all())
    assert_rate(held, count, 0.95)
    with pytest.raises(AssertionError):
        assert_rate(pointwise, count, 0.95)


def test_simultaneous_band_of_equal_curves_has_no_width() -> None:
    low, high = simultaneous_band(Seeds(1), np.ones((5, 7)))
    np.testing.assert_array_equal(low, high)
    curves = np.array([[1.0, 2.0], [1.0, 2.5], [1.0, 1.5]])
    low, high = simultaneous_band(Seeds(1), curves)
    assert low[0] == high[0] == 1.0
    assert high[1] == np.inf


def test_the_best_score_is_chosen_once_and_its_areas_are_bounds() -> None:
    best = BestScore((PooledNeighbours(5), LinearScore(), MixtureRatio()))
    one, other = precision_recall_bands(
        RUN,
        reference(),
        [family(4, sd=0.0, seed=1), family(4, sd=0.0, seed=2)],
        score=best,
        null_draws=2,
    )
    assert one.score == other.score in ("linear", "mixtures")
    assert one.thresholds == BOUND
    # Of five neighbours alone: 0.78; the true area is 0.679.
    areas = np.concatenate([one.auc, other.auc])
    assert_within(areas.mean(), 0.685, 0.012, k=3.0)
    assert one.spread.evaluation.value > 0.0
    assert one.null is not None
    assert one.null.auc.max() <= 1.0


def test_the_choice_sees_no_family_more_than_another() -> None:
    best = BestScore((PooledNeighbours(5), LinearScore()))
    groups = [family(3, sd=0.0, seed=1), family(3, sd=0.0, seed=2, mean=4.0)]
    forth = precision_recall_bands(RUN, reference(), groups, score=best, null_draws=0)
    back = precision_recall_bands(RUN, reference(), groups[::-1], score=best, null_draws=0)
    assert {band.score for band in (*forth, *back)} == {"linear"}
