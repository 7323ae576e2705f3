"""Pairs of a positive and a negative member: their sum, what they bound, and the law of draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analytic import family, log_densities
from conditional_analytic import ConditionalBlend
from statistical import FIVE_SIGMA, assert_within
from verisimile.core.arrays import Array, IntArray
from verisimile.mixture.pairing import Pairing
from verisimile.mixture.sampling import sample_signed, sample_signed_at

M = 24
MEMBERS = family(M, features=1, spread=0.5)
# Weights of both signs, for which pairs are negative in places where the sum is not.
WEIGHTS = np.random.default_rng(5).normal(0.0, 0.3, M)
WEIGHTS += (1.0 - WEIGHTS.sum()) / M
EDGES = np.concatenate([[-np.inf], np.linspace(-3.0, 3.0, 61), [np.inf]])
N = 40_000


def contents(density: Array, grid: Array) -> Array:
    """Return the probabilities of bins under an unnormalised density on a fine grid."""
    found = np.histogram(grid, EDGES, weights=density)[0]
    return np.asarray(found / found.sum())


def surprise(x: Array) -> float:
    """Return the p-value of events as draws of the positive part; zero where there is none."""
    grid = np.linspace(-12.0, 12.0, 480_001)
    density = np.exp(log_densities(MEMBERS, grid[:, None])) @ WEIGHTS
    expected = contents(np.clip(density, 0.0, None), grid) * len(x)
    counts = np.histogram(x[:, 0], EDGES)[0]
    kept = expected > 0.0
    if counts[~kept].any():
        return 0.0
    return float(stats.chisquare(counts[kept], expected[kept] * counts.sum() / len(x)).pvalue)


@given(
    st.lists(st.floats(-2.0, 2.0, allow_subnormal=False), min_size=3, max_size=40).filter(
        lambda w: sum(w) > 0.1
    )
)
def test_pairs_add_up_to_the_mixture(values: list[float]) -> None:
    weights = np.array(values) / sum(values)
    pairing = Pairing.of(weights)
    positive, negative = np.clip(weights, 0.0, None), np.clip(-weights, 0.0, None)
    credit = np.bincount(pairing.owners, pairing.masses, minlength=weights.size)
    np.testing.assert_allclose(credit, positive, atol=1e-10 * positive.sum())
    assert pairing.masses.size < weights.size + 1
    assert (np.diff(pairing.owners) >= 0).all()
    if pairing.pays:
        debit = np.bincount(pairing.partners, pairing.debts, minlength=weights.size)
        np.testing.assert_allclose(debit, negative, atol=1e-10 * positive.sum())
        np.testing.assert_allclose(
            pairing.debts / pairing.masses, negative.sum() / positive.sum(), rtol=1e-10
        )
        assert (np.diff(pairing.partners) >= 0).all()


def test_the_pairs_lie_between_the_mixture_and_its_positive_part() -> None:
    logf = log_densities(MEMBERS, np.linspace(-6.0, 6.0, 2001)[:, None])
    ratio, bound = (each.ratio(logf) for each in (Pairing.of(WEIGHTS), Pairing.apart(WEIGHTS)))
    density = np.exp(logf)
    positive = density @ np.clip(WEIGHTS, 0.0, None)
    np.testing.assert_allclose(bound, (density @ WEIGHTS) / positive, rtol=1e-10)
    above = bound > 0.0
    assert (ratio[above] <= 1.0 + 1e-12).all()
    assert (bound[above] <= ratio[above] + 1e-12).all()
    assert (ratio[~above] <= 0.0).all()


def test_draws_by_pairs_have_the_law_of_the_mixture() -> None:
    drawn = sample_signed(MEMBERS, WEIGHTS, N, np.random.default_rng(6))
    assert surprise(drawn.x) > FIVE_SIGMA
    audit = drawn.audit
    total = float(np.clip(WEIGHTS, 0.0, None).sum())
    assert audit.positive_weight == pytest.approx(total)
    assert total > 2.0
    # Most proposals have met two members alone.
    assert N < audit.evaluated < 0.75 * audit.proposed
    logf = log_densities(MEMBERS, drawn.x)
    np.testing.assert_array_equal(drawn.log_densities, logf)


def test_pairs_alone_have_another_law(monkeypatch: pytest.MonkeyPatch) -> None:
    # Defective twin: what the pairs have left is accepted, whatever the other members say.
    monkeypatch.setattr(Pairing, "ratio", lambda _, logf: np.ones(len(logf)))
    drawn = sample_signed(MEMBERS, WEIGHTS, N, np.random.default_rng(6))
    assert surprise(drawn.x) < FIVE_SIGMA


def test_pairs_that_pay_too_little_have_another_law(monkeypatch: pytest.MonkeyPatch) -> None:
    # Defective twin: the first step asks for less than the second one takes it to.
    kept = Pairing.kept

    def lenient(self: Pairing, pairs: IntArray, own: Array, other: Array) -> Array:
        return kept(replace(self, debts=0.5 * self.debts), pairs, own, other)

    monkeypatch.setattr(Pairing, "kept", lenient)
    drawn = sample_signed(MEMBERS, WEIGHTS, N, np.random.default_rng(6))
    assert surprise(drawn.x) < FIVE_SIGMA


def test_no_pairs_where_all_members_are_cheaper() -> None:
    assert not Pairing.of(np.full(8, 1 / 8)).pays
    assert not Pairing.of(np.array([1.6, -0.6])).pays
    assert Pairing.of(WEIGHTS).pays


def test_draws_are_in_no_order() -> None:
    # Proposals come member by member: the first events may not be those of the first members.
    x = sample_signed(MEMBERS, WEIGHTS, N, np.random.default_rng(7)).x
    half = stats.ks_2samp(x[: N // 2, 0], x[N // 2 :, 0])
    assert half.pvalue > FIVE_SIGMA


@pytest.mark.parametrize("c", [-1.0, 1.0])
def test_draws_at_contexts_by_pairs_have_the_law_there(c: float) -> None:
    shifts = np.linspace(-1.0, 1.0, 12)
    members = [ConditionalBlend(slope=float(s), growth=0.2 * float(s)) for s in shifts]
    weights = np.where(np.arange(12) % 2, 0.5, -1.0 / 3.0)
    assert Pairing.of(weights).pays
    context = np.full((N, 1), c)
    drawn = sample_signed_at(members, weights, context, np.random.default_rng(8))
    grid = np.linspace(-12.0, 12.0, 48_001)
    at = np.full((grid.size, 1), c)
    density = sum(
        w * np.exp(m.log_prob(grid[:, None], at)) for w, m in zip(weights, members, strict=True)
    )
    expected = contents(np.clip(density, 0.0, None), grid)
    counts = np.histogram(drawn.x[:, 0], EDGES)[0]
    kept = expected * N > 5.0
    share = expected[kept].sum()
    assert_within(counts[kept].sum(), N * share, np.sqrt(N * max(share * (1 - share), 1e-4)))
    scaled = expected[kept] / share * counts[kept].sum()
    assert stats.chisquare(counts[kept], scaled).pvalue > FIVE_SIGMA
    assert drawn.audit.evaluated < 0.75 * drawn.audit.proposed
