"""The basis term: what it is for hand-made members, and that it vanishes when it should."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from analytic import log_densities
from coverage_values import PAPER, spanning_members
from verisimile.checks.coverage.basis import (
    BasisFit,
    BasisTerm,
    LeaveOneOut,
    MemberBootstrap,
    add_basis_variance,
    left_out,
)
from verisimile.checks.coverage.conditional import coverage
from verisimile.checks.coverage.observables import Moment, Observable
from verisimile.checks.coverage.responses import CrossingResponse, LinearResponse
from verisimile.checks.coverage.result import Coverage
from verisimile.checks.coverage.retrained import MakeMixture, coverage_retrained
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.truths import GaussianTruth
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import member_log_densities

SEEDS = Seeds(4)
FIRST: dict[str, Observable] = {"first": Moment("x0")}


def _fitted(count: int) -> tuple[BasisFit, LinearResponse]:
    members = spanning_members(count)
    rng = np.random.default_rng(2)
    logf = log_densities(members, PAPER.sample(800, rng))
    pseudo = Pseudo(log_densities(members, members[0].sample(50, rng)))
    means = np.array([m.shares @ m.means[:, 0] for m in members])
    fit = fit_weights(logf, pseudo=pseudo)
    return BasisFit(fit, logf, pseudo), LinearResponse(means, np.zeros((count, count)))


def test_two_members_stand_for_each_other() -> None:
    fitted, response = _fitted(2)
    np.testing.assert_allclose(left_out(fitted), [[1.0, -1.0], [-1.0, 1.0]])
    difference = float(response.means[0] - response.means[1])
    found = LeaveOneOut().variances([response], fitted, SEEDS)
    np.testing.assert_allclose(found, [difference**2])


def test_left_out_weights_minimise_the_distance() -> None:
    fitted, _ = _fitted(4)
    rows = left_out(fitted)
    np.testing.assert_allclose(rows.sum(axis=1), 0.0, atol=1e-12)
    density = np.exp(fitted.logf)
    scores = density / (density @ fitted.fit.weights)[:, None]
    rng = np.random.default_rng(3)
    for i, row in enumerate(rows):
        best = float(((scores @ row) ** 2).sum())
        for _ in range(5):
            step = np.where(np.arange(4) == i, 0.0, rng.standard_normal(4))
            step[np.arange(4) != i] -= step[np.arange(4) != i].mean()
            assert float(((scores @ (row + 1e-3 * step)) ** 2).sum()) > best


def test_repeated_members_need_no_term() -> None:
    fitted, response = _fitted(3)
    twice = np.concatenate([fitted.logf, fitted.logf], axis=1)
    doubled = BasisFit(fit_weights(twice), twice)
    means = np.concatenate([response.means, response.means])
    found = LeaveOneOut().variances([LinearResponse(means, np.zeros((6, 6)))], doubled, SEEDS)
    np.testing.assert_allclose(found, 0.0, atol=1e-12)


def test_bootstrap_of_two_members_has_three_outcomes() -> None:
    fitted, response = _fitted(2)
    alone, both = response.means, float(response.means @ fitted.fit.weights)
    outcomes = [float(alone[0]), float(alone[1]), both]
    found = MemberBootstrap(replicas=2).variances([response], fitted, SEEDS)
    pairs = [np.var(pair, ddof=1) for pair in itertools.product(outcomes, repeat=2)]
    assert min(abs(float(found[0]) - pair) for pair in pairs) < 1e-12


def test_the_term_is_added_in_quadrature_and_for_quantiles_too() -> None:
    fitted, response = _fitted(3)
    before = response.estimate(fitted.fit)
    (after,) = add_basis_variance([before], [response], fitted, LeaveOneOut(), SEEDS)
    extra = float(LeaveOneOut().variances([response], fitted, SEEDS)[0])
    assert after.error == pytest.approx(math.hypot(before.error, math.sqrt(extra)))
    assert (after.value, after.sampling) == (before.value, before.sampling)
    # A quantile moves by the derivative that a small change of the weights shows.
    nodes = np.linspace(-3.0, 3.0, 2001)
    known = [GaussianTruth((mu,), (1.0,)) for mu in (-0.2, 0.0, 0.3)]
    cdf = np.array([g.marginal_cdf(0, nodes) for g in known])
    crossing = CrossingResponse(0.5, nodes, cdf, np.zeros((2001, 3, 3)))
    weights, step = np.full(3, 1 / 3), np.array([1.0, -1.0, 0.0])
    numeric = (crossing.value(weights + 1e-3 * step) - crossing.value(weights - 1e-3 * step)) / 2e-3
    assert crossing.variation(weights, step) == pytest.approx(numeric, rel=0.02)


def test_one_member_has_no_spread() -> None:
    fitted, response = _fitted(2)
    single = BasisFit(fitted.fit, fitted.logf[:, :1])
    with pytest.raises(InputError, match="one member"):
        add_basis_variance([], [response], single, LeaveOneOut(), SEEDS)
    with pytest.raises(InputError, match="replicas"):
        MemberBootstrap(replicas=1)


def _pair(seeds: Seeds, events: Events) -> tuple[Mixture, Events]:
    """Two Gaussians of bootstrap replicas of one half, and the half that weighted them."""
    rng = seeds.numpy()
    half = events.n // 2
    members = []
    for _ in range(2):
        x = events.x[rng.integers(half, size=half)]
        members.append(GaussianTruth(tuple(x.mean(axis=0)), tuple(x.std(axis=0))))
    rest = Events(events.x[half:])
    return Mixture(members, fit_weights(member_log_densities(members, rest.x))), rest


def _alone(seeds: Seeds, events: Events) -> Mixture:
    return _pair(seeds, events)[0]


def _study(recipe: MakeMixture, basis: BasisTerm | None = None) -> Coverage:
    return coverage_retrained(
        Run(Seeds(1)), recipe, PAPER, observables=FIRST, datasets=30, events=400, basis=basis
    )


def test_studies_take_the_term_and_ask_for_the_events_that_it_needs() -> None:
    plain, wide = _study(_pair), _study(_pair, LeaveOneOut())
    assert (np.abs(wide.pulls) < np.abs(plain.pulls)).all()
    assert wide.observables[0].spread == plain.observables[0].spread
    assert wide.observables[0].rate > plain.observables[0].rate
    with pytest.raises(NumericsError, match="mixture alone"):
        _study(_alone, LeaveOneOut())
    mixture, _ = _pair(SEEDS, Events(PAPER.sample(400, np.random.default_rng(1))))
    given = coverage(
        Run(Seeds(1)), mixture, PAPER, observables=FIRST, datasets=5, basis=MemberBootstrap()
    )
    assert np.isfinite(given.pulls).all()
