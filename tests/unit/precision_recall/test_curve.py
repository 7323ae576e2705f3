"""Curves of samples: known areas, a perfect generator, misses, scores and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from statistical import assert_within
from verisimile.checks.precision_recall.best import BestScore, neighbour_ladder
from verisimile.checks.precision_recall.curve import PrecisionRecall, precision_recall
from verisimile.checks.precision_recall.learned_scores import (
    BoostedTrees,
    LinearScore,
    MixtureRatio,
)
from verisimile.checks.precision_recall.scores import (
    NEIGHBOURS,
    BallsOfCentres,
    ClassifierScore,
    CoverageScore,
    LogDensities,
    MappedScore,
    Parzen,
    PooledNeighbours,
    Score,
)
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.core.result import load, save
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.truths import RingOfEight
from verisimile.samples.neighbours import counts_within, nearest, reach

RUN = Run(Seeds(11))
EXACT = {0.5: 0.898218, 1.0: 0.679141, 2.0: 0.257808}


def normals(d: float, n: int, seed: int, columns: int = 1) -> tuple[Events, Events]:
    rng = np.random.default_rng(seed)
    shift = np.zeros(columns)
    shift[0] = d
    x, y = rng.normal(size=(2, n, columns))
    return Events(x), Events(y + shift)


def log_densities(d: float) -> LogDensities:
    def log(mean: float, x: Array) -> Array:
        return np.asarray(stats.norm.logpdf(x[:, 0], mean))

    return LogDensities(lambda x: log(0.0, x), lambda x: log(d, x))


def curve(x: Events, y: Events | Array, score: Score | BestScore | None = None) -> PrecisionRecall:
    return precision_recall(RUN, x, y, score=score or PooledNeighbours(), null_draws=0)


@pytest.mark.parametrize("d", EXACT)
def test_exact_densities(d: float) -> None:
    u = (np.arange(200_000) + 0.5) / 200_000
    x = np.asarray(stats.norm.ppf(u))[:, None]
    found = curve(Events(x), Events(x + d), log_densities(d))
    assert found.auc.value == pytest.approx(EXACT[d], abs=1e-4)
    assert found.precision[100] == pytest.approx(2 * stats.norm.cdf(-d / 2), abs=1e-5)
    assert found.fold_auc.shape == (1, 1)
    assert found.thresholds == "exact"
    low, high = found.interval
    assert high - low == pytest.approx(3.92 * found.auc.error, rel=1e-4)
    assert found.learning is None


def test_neighbours_within_their_documented_bias() -> None:
    # At 2 000 events a side and k = 44 the mean area is 0.683, and 0.8 with five neighbours.
    pairs = [normals(1.0, 2000, seed) for seed in range(12)]
    found = np.array([curve(x, y).auc.value for x, y in pairs])
    error = found.std(ddof=1) / np.sqrt(found.size)
    assert_within(found.mean(), 0.683, np.hypot(error, 0.003))
    few = np.array([curve(x, y, PooledNeighbours(5)).auc.value for x, y in pairs])
    assert few.mean() > EXACT[1.0] + 0.1


def test_perfect_generator_of_the_ring() -> None:
    ring, rng = RingOfEight.published(Seeds(7)), np.random.default_rng(4)
    found = [curve(Events(ring.sample(10_000, rng)), ring.sample(10_000, rng)) for _ in range(6)]
    areas = np.array([each.auc.value for each in found])
    assert_within(areas, 0.998, 0.002, k=2.0)


@pytest.mark.calibration
def test_error_is_the_spread_over_samples() -> None:
    found = [curve(*normals(0.5, 600, seed)) for seed in range(300)]
    spread = np.std([each.auc.value for each in found], ddof=1)
    stated = np.mean([each.auc.error for each in found])
    # Pieces are smaller than the sample: the scaling of the spread is good to a few percent.
    assert_within(stated, spread, spread / np.sqrt(600) + 0.01 * spread)
    # The twin takes the two folds for independent; they share both halves.
    folds = np.sqrt(np.mean([np.ptp(each.fold_auc) ** 2 / 4 for each in found]))
    with pytest.raises(AssertionError):
        assert_within(folds, spread, spread / np.sqrt(600) + 0.01 * spread)


@pytest.mark.calibration
def test_error_of_a_perfect_generator_falls_like_its_spread() -> None:
    found = [curve(*normals(0.0, 1600, seed)) for seed in range(120)]
    spread = np.std([each.auc.value for each in found], ddof=1)
    stated = np.mean([each.auc.error for each in found])
    assert_within(stated, spread, 0.2 * spread, k=2.0)
    # The twin scales the spread of pieces by the root of their number; here it falls like 1/n.
    pieces = [curve(*normals(0.0, 100, seed)).auc.value for seed in range(1000, 1240)]
    with pytest.raises(AssertionError):
        assert_within(np.std(pieces, ddof=1) / 4, spread, 0.2 * spread, k=2.0)


@pytest.mark.parametrize("score", [kind(60) for kind in NEIGHBOURS], ids=lambda s: s.name)
def test_given_neighbours_shrink_with_the_pieces_of_the_error(score: Score) -> None:
    # A piece has 40 events: sixty neighbours would not fit.
    x, y = normals(1.0, 640, 6)
    mapped = MappedScore(score, lambda z: z)
    assert 0.01 < curve(x, y, mapped).auc.error < 0.1


def test_few_events_have_no_error() -> None:
    assert np.isnan(curve(*normals(1.0, 100, 6)).auc.error)
    x, y = normals(1.0, 2000, 6)
    lost = y.x.copy()
    lost[:1900] = np.nan
    assert np.isnan(curve(x, lost).auc.error)


def test_dropped_half_of_the_truth_is_recall_lost_and_not_precision() -> None:
    ring, rng = RingOfEight(), np.random.default_rng(8)
    x, y = ring.sample(4000, rng), ring.sample(8000, rng)
    found = curve(Events(x), y[y[:, 0] > 0.9][:4000])
    recall, precision = found.f_beta
    assert recall == pytest.approx(3 / 8, abs=0.06)
    assert precision > 0.95


def test_events_that_are_not_finite_are_misses() -> None:
    ring, rng = RingOfEight(), np.random.default_rng(8)
    x, y = Events(ring.sample(4000, rng)), ring.sample(4000, rng)
    lost = y.copy()
    lost[rng.permutation(4000)[:1000], 0] = np.nan
    found = curve(x, lost)
    assert (found.n_generated, found.n_missed) == (4000, 1000)
    assert found.auc.value == pytest.approx(0.75 * curve(x, y).auc.value, abs=0.01)
    dropped = curve(x, lost[np.isfinite(lost).all(axis=1)])
    assert dropped.auc.value > 0.99  # the silent twin


@pytest.mark.parametrize(
    "score", [CoverageScore(), Parzen(), PooledNeighbours(standardise=False)], ids=lambda s: s.name
)
@pytest.mark.parametrize("columns", [1, 10])
def test_scores_come_near_the_exact_area(score: Score, columns: int) -> None:
    x, y = normals(1.0, 3000, 6, columns)
    high = 0.1 if columns > 1 else 0.04
    assert EXACT[1.0] - 0.04 < curve(x, y, score).auc.value < EXACT[1.0] + high


def test_balls_of_centres_hardly_see_densities() -> None:
    # As many balls hold an event wherever the sample is: the score sees supports only.
    x, y = normals(1.0, 3000, 6)
    assert curve(x, y, BallsOfCentres()).auc.value > EXACT[1.0] + 0.1
    assert curve(x, Events(y.x + 20), BallsOfCentres()).auc.value < 0.001


def test_classifier_sees_only_the_other_half() -> None:
    seen: list[tuple[int, int]] = []

    def fit_predict(x: Array, true: BoolArray, points: Array, rng: np.random.Generator) -> Array:
        del rng
        assert not np.isin(x, points).any()
        seen.append((int(true.sum()), len(points)))
        return np.asarray(points[:, 0] * (x[true].mean() - x[~true].mean()))

    x, y = normals(1.0, 3001, 6)
    found = curve(x, y, ClassifierScore(fit_predict))
    assert abs(found.auc.value - EXACT[1.0]) < 5 * found.auc.error
    assert seen[:2] == [(1500, 3002), (1501, 3000)]


def test_features_are_mapped_for_learning_and_scoring() -> None:
    x, y = normals(1.0, 1000, 6, 2)
    first = MappedScore(PooledNeighbours(), lambda z: z[:, :1])
    assert curve(x, y, first).auc == curve(x.select(["x0"]), y.select(["x0"])).auc
    assert first.name == "pooled neighbours of features"


def test_splits_are_averaged_and_seeded() -> None:
    x, y = normals(1.0, 400, 6)
    one, same = (
        precision_recall(RUN, x, y, score=PooledNeighbours(), splits=4, null_draws=3)
        for _ in range(2)
    )
    assert one.auc == same.auc
    assert one.fold_auc.shape == (4, 2)
    assert np.ptp(one.fold_auc) > 0
    other = precision_recall(Run(Seeds(12)), x, y, score=PooledNeighbours(), splits=4, null_draws=0)
    assert other.auc != one.auc


def test_null_is_of_halves_of_the_reference() -> None:
    x, y = normals(1.0, 2000, 6)
    found = precision_recall(RUN, x, y, score=PooledNeighbours(), null_draws=10).null
    assert found is not None
    assert found.n == 1000
    assert found.auc.shape == (10,)
    assert 0.97 < found.auc.mean() < 1.0
    assert (found.low <= found.median).all()
    assert (found.median <= found.high).all()


def test_result_survives_the_disk(tmp_path: Path) -> None:
    x, y = normals(1.0, 200, 6)
    found = precision_recall(RUN, x, y, score=BestScore((LinearScore(), Parzen())), null_draws=2)
    again = load(save(found, tmp_path / "curve"))
    assert repr(again) == repr(found)
    assert isinstance(again, PrecisionRecall)
    np.testing.assert_array_equal(again.radii, found.radii)


@pytest.mark.parametrize("d", [2, 9])
def test_trees_and_blocks_agree_with_all_distances(d: int) -> None:
    rng = np.random.default_rng(3)
    x, c = rng.normal(size=(70, d)), rng.normal(size=(90, d))
    distances = np.sqrt(((x[:, None] - c[None]) ** 2).sum(axis=2))
    order = np.argsort(distances, axis=1)
    np.testing.assert_array_equal(np.sort(nearest(x, c, 7)), np.sort(order[:, :7]))
    np.testing.assert_allclose(reach(x, c, 7), np.sort(distances)[:, 6])
    np.testing.assert_array_equal(
        counts_within(x, c, np.full((1, 1), 2.0)), (distances <= 2).sum(axis=1)
    )
    with pytest.raises(InputError, match="neighbours"):
        nearest(x, c, 91)


def test_neither_density_is_no_verdict() -> None:
    x, y = normals(1.0, 100, 6)
    neither = LogDensities(lambda z: np.full(len(z), -np.inf), lambda z: np.full(len(z), -np.inf))
    assert curve(x, y, neither).auc.value == pytest.approx(1.0)
    broken = LogDensities(lambda z: np.full(len(z), np.nan), lambda z: np.zeros(len(z)))
    with pytest.raises(NumericsError, match="NaN"):
        curve(x, y, broken)


def test_refusals() -> None:
    x, y = normals(1.0, 100, 6)
    weighted = Events(x.x, np.ones(100))
    with pytest.raises(InputError, match="weights"):
        curve(weighted, y)
    with pytest.raises(InputError, match="shape"):
        curve(x, np.zeros((100, 2)))
    with pytest.raises(InputError, match="at least 8"):
        curve(x, np.full((100, 1), np.nan))
    with pytest.raises(InputError, match="splits"):
        precision_recall(RUN, x, y, splits=0)
    with pytest.raises(InputError, match="splits"):
        precision_recall(RUN, x, y, score=PooledNeighbours(), splits=0)
    with pytest.raises(InputError, match="null_draws"):
        precision_recall(RUN, x, y, null_draws=-1)


def test_exact_densities_are_without_bias() -> None:
    # With the best thresholds of the counted events themselves the mean would be 0.887.
    found = np.array(
        [curve(*normals(0.5, 2000, k), log_densities(0.5)).auc.value for k in range(60)]
    )
    error = found.std(ddof=1) / np.sqrt(found.size)
    assert_within(found.mean(), EXACT[0.5], error)
    with pytest.raises(AssertionError):
        assert_within(found.mean(), 0.887, error)


def test_best_score_is_a_bound_near_the_true_area() -> None:
    x, y = normals(1.0, 1000, 6, 2)
    found = curve(x, y, BestScore())
    low, high = found.interval
    assert low < EXACT[1.0] < high
    assert low < found.auc.value < high
    assert abs(found.auc.value - EXACT[1.0]) < 0.06
    assert found.thresholds == "held out"
    assert sum(one.chosen for one in found.candidates) == pytest.approx(1.0)
    areas = {one.score: one.area.value for one in found.candidates}
    assert areas["pooled neighbours, k = 5"] > areas["linear"] + 0.05
    assert found.score.split(", ")[0] in areas
    assert found.learning is not None
    np.testing.assert_allclose(found.learning.n, [125, 250, 500])
    assert found.learning.limit.value == pytest.approx(
        found.learning.area[-1] - found.learning.excess, abs=1e-9
    )
    assert "true area in [" in repr(found)


def test_what_no_candidate_sees_stays_a_bound() -> None:
    # Five neighbours alone: a loose bound, whose interval the truth need not be near the top of.
    x, y = normals(1.0, 1000, 6)
    found = curve(x, y, BestScore((PooledNeighbours(5),)))
    assert found.auc.value > EXACT[1.0] + 0.05
    assert found.score == "pooled neighbours, k = 5"


def test_a_perfect_generator_is_inside_and_no_curve_leaves_the_square() -> None:
    x, y = normals(0.0, 800, 3, 2)
    found = curve(x, y, BestScore((LinearScore(), MixtureRatio(), PooledNeighbours())))
    assert found.interval[1] == 1.0
    assert found.interval[0] < 0.995
    assert found.auc.value > 0.97
    assert max(found.precision.max(), found.recall.max()) <= 1.0


def test_boxes_have_their_share() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.random((2, 1000, 2))
    found = curve(Events(x), 0.8 * y, BestScore((BoostedTrees(),)))
    assert found.interval[0] < 0.64 < found.interval[1]
    assert found.auc.value < 0.72


def test_distances_make_a_disc_one_cut() -> None:
    ring, rng = RingOfEight(), np.random.default_rng(2)
    x, u, made = ring.sample(750, rng), ring.sample(750, rng), ring.sample(750, rng)
    wide = made + rng.normal(0.0, 0.4, size=made.shape)
    points = np.concatenate([u, wide])

    def auc(score: Score) -> float:
        found = score.score(x, wide[::-1], points, np.random.default_rng(1))
        return float(stats.mannwhitneyu(found[:750], found[750:]).statistic / 750**2)

    assert auc(BoostedTrees(distances=True)) > auc(BoostedTrees()) > 0.6


def test_missed_events_scale_the_bound_too() -> None:
    x, y = normals(0.0, 1000, 6)
    lost = y.x.copy()
    lost[:250] = np.nan
    found = curve(x, lost, BestScore((LinearScore(),)))
    assert found.auc.value == pytest.approx(0.75, abs=0.03)
    assert found.interval[0] < 0.75 < found.interval[1]


def test_one_column_of_constants_and_few_distinct_events_have_scores() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([np.zeros(200), rng.integers(0, 3, 200)])
    y = np.column_stack([np.zeros(200), rng.integers(0, 3, 200)])
    found = curve(Events(x), y, BestScore())
    assert np.isfinite(found.interval).all()
    assert found.interval[1] == 1.0


def test_neighbours_from_five_to_the_root() -> None:
    names = [score.name for score in neighbour_ladder(10_000)]
    assert names[0] == "pooled neighbours, k = 5"
    assert names[-1] == "pooled neighbours"
    assert len(names) == 4
    assert len(neighbour_ladder(30)) == 1


def test_a_bound_needs_events_to_choose_on() -> None:
    with pytest.raises(InputError, match="at least 40"):
        curve(*normals(1.0, 30, 6), BestScore())
    with pytest.raises(InputError, match="candidates"):
        BestScore(())
