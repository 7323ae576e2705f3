"""The fit of a tilt: derivatives, closed forms, certificates, and the linear alternative nearby."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from verisimile.checks.goodness.profile import HYPOTHESES, Basis, BasisDensities, profile_ratio
from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.mixture import tilt_fit
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.tilt_fit import (
    Tilt,
    TiltCurvature,
    TiltOptimum,
    covariance_at,
    minimise_tilt,
    minimise_tilts,
)

R, N, P = 500, 80, 4


def _problem(
    rng: np.random.Generator, *, ridge: float = 1.0, shift: float = 0.3, free: slice | None = None
) -> Tilt:
    rows = rng.exponential(size=(R, P)) - 1.0
    data = rng.exponential(size=(N, P)) - 1.0 + shift
    return Tilt(
        reference=rows,
        total=data.sum(axis=0),
        events=N,
        precision=np.full(P, ridge),
        centre=0.1 * np.arange(P, dtype=np.float64),
        free=slice(0, P) if free is None else free,
    )


def _fit(problem: Tilt, start: Array | None = None, tolerance: float = 1e-10) -> TiltOptimum:
    rows = problem.reference[:, problem.free]
    covariance = covariance_at(rows, np.full(len(rows), 1.0 / len(rows)))
    hessian = problem.events * covariance + np.diag(problem.precision[problem.free])
    begin = np.zeros(problem.total.size) if start is None else start
    solver = NewtonSolver(tolerance=tolerance)
    origin = TiltCurvature.of(hessian, problem.precision[problem.free])
    return minimise_tilt(problem, begin, origin, origin.reach(rows), solver)


@pytest.mark.parametrize("together", [2**26, 8 * R * 3])
def test_fits_in_step_are_the_fits_one_by_one(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(tilt_fit, "_TOGETHER", together)
    first = _problem(rng)
    # From near to far: they end after different numbers of steps.
    others = [
        replace(first, total=(rng.exponential(size=(N, P)) - 1.0 + shift).sum(axis=0))
        for shift in (0.0, 0.2, 0.5, 0.8)
    ]
    problems = [first, *others]
    covariance = covariance_at(first.reference, np.full(R, 1.0 / R))
    origin = TiltCurvature.of(N * covariance + np.diag(first.precision), first.precision)
    fixed = origin, origin.reach(first.reference), NewtonSolver(tolerance=1e-10)
    starts = [0.01 * k * np.ones(P) for k in range(len(problems))]
    found = minimise_tilts(problems, starts, *fixed)
    alone = [minimise_tilt(p, s, *fixed) for p, s in zip(problems, starts, strict=True)]
    assert len({each.iterations for each in alone}) > 1
    for one, other in zip(found, alone, strict=True):
        assert isinstance(one, TiltOptimum)
        assert one.iterations == other.iterations
        assert one.theta == pytest.approx(other.theta, abs=1e-10)
        assert one.value == pytest.approx(other.value, abs=1e-10)


def test_a_fit_that_fails_costs_its_neighbours_nothing(rng: np.random.Generator) -> None:
    good = _problem(rng, ridge=0.0)
    covariance = covariance_at(good.reference, np.full(R, 1.0 / R))
    origin = TiltCurvature.of(N * covariance, good.precision)
    fixed = origin, origin.reach(good.reference), NewtonSolver(tolerance=1e-10)
    # Beyond all of the reference: without a ridge there is no optimum.
    bad = replace(good, total=100.0 * N * np.ones(P))
    found = minimise_tilts([bad, good, bad], [np.zeros(P)] * 3, *fixed)
    assert isinstance(found[1], TiltOptimum)
    assert found[1].theta == pytest.approx(minimise_tilt(good, np.zeros(P), *fixed).theta, abs=1e-9)
    for lost in (found[0], found[2]):
        assert isinstance(lost, NumericsError) or not lost.converged


@pytest.mark.parametrize("free", [slice(0, P), slice(0, 2), slice(2, P)])
def test_derivatives_are_those_of_the_value(rng: np.random.Generator, free: slice) -> None:
    problem = _problem(rng, free=free)
    theta, h = 0.3 * rng.standard_normal(P), 1e-5
    here = problem.at(theta)
    for row, column in enumerate(range(P)[free]):
        step = h * np.eye(P)[column]
        up, down = problem.at(theta + step), problem.at(theta - step)
        # Central differences: rounding 1e-16 |value| / h, truncation h^2.
        slope, bend = (up.value - down.value) / (2 * h), (up.gradient - down.gradient) / (2 * h)
        assert here.gradient[row] == pytest.approx(slope, abs=1e-6)
        assert problem.hessian(here)[row] == pytest.approx(bend, abs=1e-5)


def test_two_points_have_a_closed_form() -> None:
    # A fair coin tilted to the data's mean m: t is 2 n times the relative entropy.
    mean = 0.6
    problem = Tilt(
        np.array([[-1.0], [1.0]]), np.array([N * mean]), N, np.zeros(1), np.zeros(1), slice(0, 1)
    )
    found = _fit(problem)
    theta = math.atanh(mean)
    assert found.theta[0] == pytest.approx(theta, abs=1e-6)
    entropy = mean * theta - math.log(math.cosh(theta))
    assert 2 * (found.first - found.value) == pytest.approx(2 * N * entropy, abs=1e-9)


def test_a_linear_feature_shifts_the_mean_of_a_normal() -> None:
    x = np.random.default_rng(1).standard_normal((100_000, 1))
    x = (x - x.mean()) / x.std()
    mean = 0.1
    problem = Tilt(x, np.array([1000 * mean]), 1000, np.zeros(1), np.zeros(1), slice(0, 1))
    found = _fit(problem)
    # Mean and variance of x are exact; what is left is its skewness, 5 sqrt(6/R),
    # in the cumulants n theta^3 / 3.
    error = 5 * math.sqrt(6 / len(x)) * 1000 * mean**3 / 3
    assert abs(2 * (found.first - found.value) - 1000 * mean**2) < error
    assert error < 0.02 * 1000 * mean**2


def test_the_gap_bounds_how_far_a_stopped_fit_is_from_the_optimum(
    rng: np.random.Generator,
) -> None:
    certified = 0
    for shift in (0.05, 0.3, 1.0):
        problem = _problem(rng, shift=shift)
        best = _fit(problem)
        assert best.converged
        assert best.gap < 1e-9
        for tolerance in (1.0, 1e-2, 1e-4):
            stopped = _fit(problem, tolerance=tolerance)
            missing = stopped.value - best.value
            assert missing <= stopped.gap + 1e-9
            certified += math.isfinite(stopped.gap)
    assert certified >= 6


def test_a_hessian_keeps_the_share_that_is_claimed(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    hessian = problem.hessian(problem.at(np.zeros(P)))
    origin = TiltCurvature.of(hessian, problem.precision[problem.free])
    for scale in (0.01, 0.3, 1.0):
        point = problem.at(scale * rng.standard_normal(P))
        left = problem.hessian(point) - origin.kept(point) * hessian
        assert np.linalg.eigvalsh(left)[0] >= -1e-9


def test_the_optimum_does_not_depend_on_the_start_or_the_features_coordinates(
    rng: np.random.Generator,
) -> None:
    problem = _problem(rng, ridge=0.0)
    best = _fit(problem)
    again = _fit(problem, rng.standard_normal(P))
    assert again.value == pytest.approx(best.value, abs=1e-8)
    turn = rng.standard_normal((P, P))
    moved = Tilt(
        problem.reference @ turn + 3.0,
        problem.total @ turn + 3.0 * N,
        N,
        problem.precision,
        problem.centre,
        problem.free,
    )
    other = _fit(moved)
    assert other.first - other.value == pytest.approx(best.first - best.value, abs=1e-7)


def test_data_beyond_the_reference_have_an_optimum_only_with_a_ridge(
    rng: np.random.Generator,
) -> None:
    held = _fit(_problem(rng, ridge=1.0, shift=30.0))
    assert held.converged
    assert held.gap < 1e-8
    with pytest.raises(NumericsError, match="not positive definite"):
        _fit(_problem(rng, ridge=0.0, shift=30.0))


def test_nothing_free_is_nothing_to_do(rng: np.random.Generator) -> None:
    problem = _problem(rng, free=slice(0, 0))
    found = _fit(problem)
    assert (found.converged, found.iterations, found.gap) == (True, 0, 0.0)
    assert found.first == found.value


def test_small_deviations_give_the_statistic_of_the_linear_alternative() -> None:
    # p = 1 + F b against exp(F b) / Z on the same bounded functions: they differ
    # in t at the relative order of b, which falls as 1 / sqrt(n).
    small, large = (_relative_difference(n) for n in (1000, 64_000))
    # Expected is 1 / sqrt(64) = 1/8; each mean of 20 absolute values is known to a sixth.
    assert 0.001 < large < small / 4


def _relative_difference(n: int) -> float:
    rng = np.random.default_rng(n)
    grid = _waves((np.arange(4000) + 0.5) / 4000)  # exactly orthonormal there
    found = []
    for _ in range(20):
        design = _waves(rng.random(n))
        tilt = Tilt(grid, design.sum(axis=0), n, np.zeros(P), np.zeros(P), slice(0, P))
        fit = _fit(tilt)
        t = 2 * (fit.first - fit.value)
        found.append(abs(t - _linear(design)) / t)
    return float(np.mean(found))


def _waves(x: Array) -> Array:
    order = np.arange(1, P + 1)
    return np.asarray(math.sqrt(2.0) * np.cos(math.pi * x[:, None] * order))


def _linear(design: Array) -> float:
    basis = Basis(np.ones(1), np.zeros((1, 0)), np.eye(P), 0.0)
    return profile_ratio(
        BasisDensities(np.ones(len(design)), design, 0),
        BasisDensities(np.zeros(0), np.zeros((0, P)), 0),
        0.01,
        basis,
        hypothesis=HYPOTHESES["single"],
        centre=np.zeros(0),
        solver=NewtonSolver(),
    ).statistic
