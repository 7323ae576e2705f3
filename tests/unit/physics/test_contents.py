"""Bin contents, their covariance and chi-squared: closed forms, SciPy, size, and twins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from physics_samples import draw
from statistical import assert_rate, assert_within
from verisimile.core.arrays import Array
from verisimile.samples.contents import (
    Contents,
    ShapeAgreement,
    agreement,
    bin_pulls,
    cells_of,
    ratio_of,
)

EDGES = np.linspace(-2.5, 2.5, 21)


def _contents(rng: np.random.Generator, n: int, kind: str = "none") -> Contents:
    events = draw(rng, n, kind)
    return Contents.of(cells_of(events.x[:, 0], EDGES), events.weights, EDGES.size + 1)


def test_cells_hold_their_lower_edges_and_the_last_its_upper() -> None:
    cells = cells_of(np.array([-3.0, 0.0, 0.5, 1.0, 2.0, 2.1]), np.array([0.0, 1.0, 2.0]))
    assert cells.tolist() == [0, 1, 1, 2, 2, 3]


def test_contents_are_sums_over_events(rng: np.random.Generator) -> None:
    events = draw(rng, 500, "signed")
    weights = events.weights
    assert weights is not None
    found = Contents.of(cells_of(events.x[:, 0], EDGES), weights, EDGES.size + 1)
    sums = np.histogram(events.x[:, 0], EDGES, weights=weights)[0]
    assert found.sumw[1:-1] == pytest.approx(sums)
    assert found.sumw2[1:-1] == pytest.approx(np.histogram(events.x[:, 0], EDGES)[0])
    assert found.sumw.sum() == pytest.approx(weights.sum())
    below = events.x[:, 0] < EDGES[0]
    assert found.underflow == pytest.approx((weights[below].sum(), np.sqrt(below.sum())))
    density, errors = found.density(EDGES)
    assert density == pytest.approx(sums / weights.sum() / 0.25)
    assert errors.shape == density.shape


def test_covariance_is_multinomial_without_weights(rng: np.random.Generator) -> None:
    found = _contents(rng, 800)
    p = found.shares
    assert found.covariance == pytest.approx(
        (np.diag(p) - np.outer(p, p)) / 800, rel=1e-9, abs=1e-12
    )
    assert found.errors == pytest.approx(np.sqrt(p * (1 - p) / 800))


@pytest.mark.parametrize("kind", ["gamma", "steep", "signed"])
def test_covariance_of_weighted_shares_covers(rng: np.random.Generator, kind: str) -> None:
    found = [_contents(rng, 2000, kind) for _ in range(500)]
    shares = np.array([one.shares for one in found])
    claimed = np.mean([one.covariance for one in found], axis=0)
    middle = slice(7, 15)
    spread = shares.std(axis=0, ddof=1)[middle]
    claim = np.sqrt(np.diag(claimed))[middle]
    assert_within(spread, claim, claim / np.sqrt(1000))
    # Its rows sum to zero, because the sum of all cells does not fluctuate.
    assert claimed.sum(axis=1) == pytest.approx(0.0, abs=1e-12)


def test_chi2_is_that_of_a_contingency_table(rng: np.random.Generator) -> None:
    edges = np.array([-1.5, -0.5, 0.5, 1.5])
    first, second = (
        Contents.of(cells_of(draw(rng, n).x[:, 0], edges), None, 5) for n in (3000, 700)
    )
    theirs = stats.chi2_contingency([first.events, second.events], correction=False)
    ours = agreement(first, second)
    assert ours.chi2 == pytest.approx(theirs.statistic, rel=1e-10)
    assert ours.dof == theirs.dof
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


def test_scale_of_weights_does_not_matter(rng: np.random.Generator) -> None:
    first, second = _contents(rng, 2000, "gamma"), _contents(rng, 1000, "signed")
    scaled = replace(second, sumw=7.0 * second.sumw, sumw2=49.0 * second.sumw2)
    assert agreement(first, scaled).chi2 == pytest.approx(agreement(first, second).chi2)
    # Unit weights are no weights, but for the local average of their squares.
    plain = _contents(rng, 2000)
    ones = replace(plain, weighted=True)
    assert agreement(ones, second).chi2 == pytest.approx(agreement(plain, second).chi2, rel=0.15)


PAIRS = [
    ("none", "none", 2000, 500),
    ("none", "gamma", 3000, 2000),
    ("gamma", "gamma", 4000, 1000),
    ("steep", "steep", 6000, 3000),
    ("signed", "signed", 4000, 2000),
    ("none", "signed", 2000, 2000),
]


def _agreements(
    rng: np.random.Generator, kinds: tuple[str, str], sizes: tuple[int, int], repetitions: int
) -> list[ShapeAgreement]:
    return [
        agreement(*(_contents(rng, n, kind) for n, kind in zip(sizes, kinds, strict=True)))
        for _ in range(repetitions)
    ]


@pytest.mark.calibration
@pytest.mark.parametrize(("first", "second", "n", "m"), PAIRS)
def test_size_of_chi2(rng: np.random.Generator, first: str, second: str, n: int, m: int) -> None:
    found = _agreements(rng, (first, second), (n, m), 600)
    assert_rate(sum(one.p_value <= 0.05 for one in found), 600, 0.05)
    separation = np.array([one.separation for one in found])
    null = np.mean([one.separation_null for one in found])
    tolerance = separation.std() / np.sqrt(600) + (
        0.0 if first == second == "none" else 0.02 * null
    )
    assert_within(separation.mean(), null, tolerance)


def test_a_cell_of_negative_weight_has_an_error() -> None:
    # Three events of one cell, two of them negative, beside none of an unweighted sample.
    cells = np.array([*[0] * 40, *[1] * 40, 2, 2, 2])
    signed = Contents.of(cells, np.array([1.0] * 80 + [1.0, -1.0, -1.0]), 3)
    plain = Contents.of(np.array([0] * 50 + [1] * 50), None, 3)
    pull = bin_pulls(plain, signed)
    assert np.isfinite(pull).all()
    assert abs(pull[2]) < 1.0


def test_poisson_errors_of_weighted_events_lose_the_size(rng: np.random.Generator) -> None:
    # Defective twin: sqrt(sumw) for the error of a bin, as if weights were counts.
    rejected = 0
    for _ in range(200):
        pair = [_contents(rng, 3000, "gamma") for _ in range(2)]
        naive = [replace(one, sumw2=one.sumw, weighted=True) for one in pair]
        rejected += agreement(naive[0], naive[1]).p_value <= 0.05
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(rejected, 200, 0.05)


def test_forgetting_the_normalisation_loses_the_size(rng: np.random.Generator) -> None:
    # Defective twin: two independent bins, though one gives the other.
    shares = rng.multinomial(500, [0.5, 0.5], (3000, 2)) / 500
    chi2 = ((shares[:, 0] - shares[:, 1]) ** 2 / (shares.sum(axis=1) / 500)).sum(axis=1)
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(int((stats.chi2.sf(chi2, 2) <= 0.05).sum()), 3000, 0.05)


def test_a_shift_is_seen_and_no_p_value_is_zero(rng: np.random.Generator) -> None:
    first = _contents(rng, 20_000)
    far = draw(rng, 20_000)
    shifted = Contents.of(cells_of(far.x[:, 0] + 2.0, EDGES), None, EDGES.size + 1)
    found = agreement(first, shifted)
    assert 0.0 < found.p_value < 1e-300
    assert 0.0 < found.separation < 1.0


def test_separation_of_disjoint_samples_is_one() -> None:
    cells = [Contents.of(np.full(100, k, dtype=np.int64), None, 4) for k in (1, 2)]
    assert agreement(cells[0], cells[1]).separation == pytest.approx(1.0)


def test_one_cell_has_nothing_to_compare() -> None:
    cells = [Contents.of(np.full(100, 1, dtype=np.int64), None, 4) for _ in range(2)]
    found = agreement(cells[0], cells[1])
    assert (found.chi2, found.dof, found.separation) == (0.0, 0, 0.0)
    assert np.isnan(found.p_value)


def _ratio_pulls(rng: np.random.Generator, kind: str, *, honest: bool) -> Array:
    found = []
    for _ in range(500):
        pair = [_contents(rng, 3000, kind) for _ in range(2)]
        if not honest:
            pair = [replace(one, sumw2=np.abs(one.sumw)) for one in pair]
        ratio, error = ratio_of(pair[0], pair[1])
        found.append((ratio[10] - 1.0) / error[10])
    return np.array(found)


@pytest.mark.parametrize("kind", ["none", "gamma", "signed"])
def test_ratio_errors_cover(rng: np.random.Generator, kind: str) -> None:
    found = _ratio_pulls(rng, kind, honest=True)
    assert_within(found.std(ddof=1), 1.0, 1 / np.sqrt(1000))


def test_ratio_errors_of_counts_do_not_cover_signed_weights(rng: np.random.Generator) -> None:
    with pytest.raises(AssertionError, match="sigma"):
        assert_within(_ratio_pulls(rng, "signed", honest=False).std(ddof=1), 1.0, 1 / np.sqrt(1000))


def test_empty_bins_are_nan_and_negative_ones_honest() -> None:
    reference = Contents.of(np.array([1, 1, 2, 2, 3], dtype=np.int64), None, 6)
    weights = np.array([1.0, 4.0, -1.0, 2.0])
    other = Contents.of(np.array([1, 1, 3, 4], dtype=np.int64), weights, 6)
    ratio, error = ratio_of(reference, other)
    share = np.array([5.0, 0.0, -1.0, 2.0]) / 6.0
    assert ratio == pytest.approx(np.array([*share[:3], np.nan]) / [0.4, 0.4, 0.2, 1], nan_ok=True)
    assert np.isfinite(error).tolist() == [True, False, True, False]
    assert (error[[0, 2]] > 0).all()
    assert np.isnan(bin_pulls(reference, other)).tolist() == [True, *[False] * 4, True]


@pytest.mark.parametrize("kinds", [("none", "none"), ("gamma", "none"), ("signed", "signed")])
def test_pulls_have_unit_width(rng: np.random.Generator, kinds: tuple[str, str]) -> None:
    squares = []
    for _ in range(400):
        pair = [_contents(rng, 4000 // (k + 1), kind) for k, kind in enumerate(kinds)]
        squares.append((bin_pulls(*pair)[6:16] ** 2).mean())
    assert_within(np.mean(squares), 1.0, np.std(squares, ddof=1) / np.sqrt(400))
