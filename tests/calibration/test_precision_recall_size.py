"""Two groups of one family: max-T holds its size along the curve, paired t-tests do not.

Generators are N(m, 1) with a random m each, as of random initialisations; the reference is
N(0, 1).  A family whose generators differ makes neighbouring angles agree, so that a share of
them below 5 % is either none or many: its mean says little about one comparison.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from statistical import assert_rate, assert_uniform
from verisimile.checks.precision_recall.band import (
    Band,
    precision_recall_band,
    precision_recall_bands,
)
from verisimile.checks.precision_recall.best import BestScore
from verisimile.checks.precision_recall.comparison import BandComparison, compare_curves
from verisimile.checks.precision_recall.learned_scores import LinearScore
from verisimile.checks.precision_recall.scores import PooledNeighbours
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1800)]

COMPARISONS, MEMBERS, N, RELABELINGS = 400, 8, 150, 199
PUBLISHED = PooledNeighbours()


def test_size_of_the_comparison(show: Show) -> None:
    found = [_comparison(i) for i in range(COMPARISONS)]
    whole = np.array([each.p_value.value for each in found])
    area = np.array([each.auc.p_value.value for each in found])
    published = np.array([each.published.fraction for each in found if each.published])
    covered = sum(each.auc.low <= 0.0 <= each.auc.high for each in found)
    _table(show, found, published, covered)
    assert_rate(int((whole <= 0.05).sum()), COMPARISONS, 0.05)
    assert_rate(int((area <= 0.05).sum()), COMPARISONS, 0.05)
    assert_uniform(whole, steps=RELABELINGS + 1, rng=np.random.default_rng(1))
    assert_rate(covered, COMPARISONS, 0.95)
    # The twins: any angle below 5 % alone, and any recall where a paired t-test is.
    alone = sum(bool((each.p_pointwise <= 0.05).any()) for each in found)
    for wrong in (alone, int((published > 0.0).sum())):
        with pytest.raises(AssertionError):
            assert_rate(wrong, COMPARISONS, 0.05)


def _comparison(i: int) -> BandComparison:
    run = Run(Seeds(i))
    rng = run.seeds.at("samples").numpy()
    reference = Events(rng.normal(size=(N, 1)))
    one, two = (_band(run.at(word), reference, rng) for word in ("one", "two"))
    return compare_curves(run, one, two, permutations=RELABELINGS, published=True)


def test_size_with_a_score_that_is_chosen(show: Show) -> None:
    best = BestScore((LinearScore(), PooledNeighbours(5), PooledNeighbours()))
    found = [_chosen(i, best) for i in range(COMPARISONS)]
    whole = np.array([each.p_value.value for each in found])
    area = np.array([each.auc.p_value.value for each in found])
    show(f"score chosen once: {np.mean(whole <= 0.05):.3f}, area {np.mean(area <= 0.05):.3f}")
    assert_rate(int((whole <= 0.05).sum()), COMPARISONS, 0.05)
    assert_rate(int((area <= 0.05).sum()), COMPARISONS, 0.05)
    assert_uniform(whole, steps=RELABELINGS + 1, rng=np.random.default_rng(1))
    alone = sum(bool((each.p_pointwise <= 0.05).any()) for each in found)
    with pytest.raises(AssertionError):
        assert_rate(alone, COMPARISONS, 0.05)


def _chosen(i: int, best: BestScore) -> BandComparison:
    run = Run(Seeds(i))
    rng = run.seeds.at("samples").numpy()
    reference = Events(rng.normal(size=(N, 1)))
    bands = precision_recall_bands(
        run, reference, [_samples(rng), _samples(rng)], score=best, null_draws=0, angles=51
    )
    return compare_curves(run, *bands, permutations=RELABELINGS)


def _samples(rng: np.random.Generator) -> list[Array]:
    return [rng.normal(1.0 + 0.2 * rng.normal(), 1.0, size=(N, 1)) for _ in range(MEMBERS)]


def _band(run: Run, reference: Events, rng: np.random.Generator) -> Band:
    return precision_recall_band(
        run, reference, _samples(rng), score=PUBLISHED, null_draws=0, angles=51
    )


def _table(show: Show, found: list[BandComparison], published: Array, covered: int) -> None:
    whole = np.array([each.p_value.value for each in found])
    area = np.array([each.auc.p_value.value for each in found])
    alone = np.mean([bool((each.p_pointwise <= 0.05).any()) for each in found])
    found_any = np.mean([bool((each.q <= 0.05).any()) for each in found])
    show(f"{len(found)} null comparisons, {MEMBERS} against {MEMBERS} curves")
    show(f"max-T significant anywhere      {np.mean(whole <= 0.05):.3f}")
    show(f"Benjamini-Hochberg anywhere     {found_any:.3f}")
    show(f"pointwise p anywhere            {alone:.3f}")
    show(f"paired t anywhere               {np.mean(published > 0):.3f}")
    low, high = np.quantile(published, [0.95, 0.99])
    show(f"paired t: mean share {published.mean():.3f}, 95 % {low:.3f}, 99 % {high:.3f}")
    show(f"area p <= 0.05                  {np.mean(area <= 0.05):.3f}")
    show(f"area interval covers            {covered / len(found):.3f}")
