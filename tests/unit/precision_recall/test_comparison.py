"""Comparisons of bands: relabelings by hand, power, the published option, refusals."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from verisimile.checks.precision_recall.band import (
    Band,
    precision_recall_band,
    precision_recall_bands,
)
from verisimile.checks.precision_recall.best import BestScore
from verisimile.checks.precision_recall.comparison import (
    area_interval,
    compare_bands,
    compare_curves,
    paired_tests,
    relabel_curves,
)
from verisimile.checks.precision_recall.learned_scores import LinearScore
from verisimile.checks.precision_recall.scores import PooledNeighbours
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import load, save
from verisimile.core.run import Run
from verisimile.data.events import Events

RUN = Run(Seeds(5))
PUBLISHED = PooledNeighbours()


def family(mean: float, seed: int, count: int = 8) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(mean + 0.1 * rng.normal(), 1.0, size=(400, 1)) for _ in range(count)]


def reference() -> Events:
    return Events(np.random.default_rng(0).normal(size=(400, 1)))


def band(mean: float, seed: int, count: int = 8) -> Band:
    samples = family(mean, seed, count)
    return precision_recall_band(
        RUN.at(seed), reference(), samples, score=PUBLISHED, null_draws=0, angles=41
    )


def test_statistic_is_welch_and_p_counts_relabelings() -> None:
    rng = np.random.default_rng(1)
    one, two = rng.normal(size=(3, 5)) + 1.0, rng.normal(size=(4, 5))
    found = relabel_curves(Seeds(1), one, two, 4000)
    pool = np.concatenate([one, two])
    np.testing.assert_allclose(
        found.observed, np.abs(stats.ttest_ind(one, two, equal_var=False).statistic)
    )
    values = []
    for rows in combinations(range(7), 3):
        rest = [i for i in range(7) if i not in rows]
        test = stats.ttest_ind(pool[list(rows)], pool[rest], equal_var=False)
        values.append(np.abs(test.statistic))
    every = np.array(values)
    exact = (every >= found.observed - 1e-9).mean(axis=0)
    whole = (every.max(axis=1)[:, None] >= found.observed - 1e-9).mean(axis=0)
    np.testing.assert_allclose(found.pointwise(), exact, atol=5 * 0.5 / np.sqrt(4000))
    np.testing.assert_allclose(found.familywise(), whole, atol=5 * 0.5 / np.sqrt(4000))


def test_agreeing_columns_say_nothing() -> None:
    rng = np.random.default_rng(1)
    one, two = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    one[:, 0] = two[:, 0] = 0.7
    found = relabel_curves(Seeds(1), one, two, 99)
    assert found.observed[0] == 0.0
    assert found.pointwise()[0] == 1.0


def test_separated_constants_are_as_different_as_can_be() -> None:
    found = relabel_curves(Seeds(1), np.ones((6, 1)), np.zeros((6, 1)), 999)
    assert found.observed[0] == np.inf
    assert found.pointwise()[0] < 0.01


def test_different_families_are_told_apart() -> None:
    found = compare_curves(RUN, band(0.5, 1), band(1.0, 2), permutations=499)
    assert found.p_value.value == pytest.approx(0.002)
    assert found.fraction_familywise > 0.5
    assert found.fraction_discovered >= found.fraction_familywise
    assert found.auc.p_value.value < 0.01
    assert found.auc.low < 0.898 - 0.679 < found.auc.high
    assert found.difference.max() > 0.1
    assert (found.p_familywise >= found.p_pointwise).all()
    assert found.p_value.value == found.p_familywise.min()
    assert found.published is None


def test_samples_and_bands_give_the_same_comparison() -> None:
    samples = family(0.5, 1, 4), family(1.0, 2, 4)
    best = BestScore((LinearScore(), PooledNeighbours(5)))
    found = compare_bands(RUN, *samples, reference(), score=best, permutations=99)
    bands = precision_recall_bands(RUN, reference(), samples, score=best, null_draws=0)
    again = compare_curves(RUN, *bands, permutations=99)
    assert repr(found) == repr(again)


def test_pairing_moves_the_published_fraction(tmp_path: Path) -> None:
    found = compare_curves(RUN, band(0.6, 1), band(0.68, 2), published=True, permutations=99)
    assert found.published is not None
    low, high = found.published.fraction_range
    assert high - low > 0.05
    assert "not calibrated" in found.published.label
    again = load(save(found, tmp_path / "comparison"))
    assert repr(again) == repr(found)


def test_paired_test_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    one, two = rng.normal(size=(2, 6, 9))
    one[:, 0] = two[:, 0]
    found = paired_tests(Seeds(1), one, two)
    np.testing.assert_allclose(found.p[1:], stats.ttest_rel(one[:, 1:], two[:, 1:]).pvalue)
    assert found.p[0] == 1.0
    with pytest.raises(InputError, match="as many"):
        paired_tests(Seeds(1), one, two[:4])


def test_interval_on_the_area_covers() -> None:
    rng, count = np.random.default_rng(1), 400
    hit = naive = 0
    for i in range(count):
        one, two = rng.normal(0.9, 0.02, 10), rng.normal(0.8, 0.06, 6)
        low, high = area_interval(Seeds(i), one, two, level=0.95, resamples=399)
        hit += low <= 0.1 <= high
        half = 1.96 * np.hypot(one.std() / 10, two.std() / 6)  # divided by J, not its root
        naive += bool(abs(one.mean() - two.mean() - 0.1) <= half)
    assert hit / count > 0.95 - 5 * np.sqrt(0.95 * 0.05 / count)
    assert naive / count < 0.95 - 5 * np.sqrt(0.95 * 0.05 / count)


def test_misses_are_said() -> None:
    samples = family(0.5, 1, 3)
    samples[0][:40] = np.nan
    found = compare_bands(
        RUN, samples, family(0.5, 2, 3), reference(), score=PUBLISHED, permutations=9
    )
    assert "not finite" in found.warnings[0]


def test_refusals() -> None:
    other = precision_recall_band(
        RUN, reference(), family(0.5, 1, 3), score=PUBLISHED, null_draws=0
    )
    with pytest.raises(InputError, match="same score and angles"):
        compare_curves(RUN, band(0.5, 1, 3), other)
    with pytest.raises(InputError, match="permutations"):
        compare_curves(RUN, other, other, permutations=0)
