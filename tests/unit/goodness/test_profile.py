"""The profile likelihood ratio: bounds, independent optimum, limits, impossible events."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

from analytic import Blend, draw, family, log_densities
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels, LinearFits, LinearSetup
from verisimile.checks.goodness.null import NullModel
from verisimile.checks.goodness.profile import HYPOTHESES, Profile
from verisimile.checks.goodness.search import observed
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.solvers.device import DeviceNewton
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.solvers.protocol import WeightSolver
from verisimile.mixture.solvers.torch_minimize import TorchSolver

M = 4
TRUTH = np.array([0.4, 0.3, 0.2, 0.1])
KERNELS = GaussianKernels(count=10, width=0.6, reference=200)


@pytest.fixture(scope="module")
def members() -> list[Blend]:
    return family(M)


@pytest.fixture(scope="module")
def setup(members: list[Blend]) -> LinearSetup:
    data = draw(members, TRUTH, 2000, np.random.default_rng(31))
    mixture = Mixture(members, fit_weights(log_densities(members, data)))
    return KERNELS.prepare(Run(Seeds(1)), NullModel.of(mixture), events=1000)


@pytest.fixture(scope="module")
def x(members: list[Blend]) -> Array:
    return draw(members, TRUTH, 1000, np.random.default_rng(32))


def _profile(setup: LinearSetup, x: Array, name: str, centre: Array | None = None) -> Profile:
    middle = np.zeros(setup.basis.variations.shape[1]) if centre is None else centre
    return _fits(setup, x).profile(HYPOTHESES[name], middle)


def _fits(setup: LinearSetup, x: Array) -> LinearFits:
    return setup.observe(x, setup.null.log_densities(x))


def test_another_placement_has_the_same_mixture(setup: LinearSetup, x: Array) -> None:
    elsewhere = KERNELS.prepare(Run(Seeds(2)), setup.null, events=1000)
    first, beside = observed([setup, elsewhere], x, setup.null.log_densities(x))
    alone = _fits(elsewhere, x)
    assert isinstance(first, LinearFits)
    assert isinstance(beside, LinearFits)
    np.testing.assert_array_equal(beside.rows.base, alone.rows.base)
    np.testing.assert_array_equal(beside.rows.design, alone.rows.design)
    assert not np.array_equal(beside.rows.design, first.rows.design)
    # Other weights are another mixture.
    moved = replace(setup.basis, weights=setup.basis.weights[::-1])
    assert replace(setup, basis=moved).observe_beside(first) is None


def test_kernel_coefficients_carry_no_mass(setup: LinearSetup) -> None:
    assert np.abs(setup.basis.directions.sum(axis=0)).max() < 1e-10


def test_variations_carry_no_mass(setup: LinearSetup) -> None:
    assert np.abs(setup.basis.variations.sum(axis=0)).max() < 1e-10


@pytest.mark.parametrize("name", ["ensemble", "ensemble+uncertainty"])
def test_scipy_finds_the_same_statistic(setup: LinearSetup, x: Array, name: str) -> None:
    found = _profile(setup, x, name)
    rank = setup.basis.variations.shape[1]
    data = _fits(setup, x).rows

    def objective(theta: Array, kernels: bool) -> float:
        eta = theta[:rank] if name.endswith("uncertainty") else np.zeros(rank)
        b = theta[rank:] if kernels else np.zeros(setup.basis.directions.shape[1])
        change = np.concatenate([eta, b])
        p = data.base + data.design @ change
        z = setup.barrier.base + setup.barrier.design @ change
        if min(p.min(), z.min()) <= 0:
            return 1e12
        return float(0.5 * eta @ eta - np.log(p).sum() - setup.barrier_weight * np.log(z).sum())

    size = rank + setup.basis.directions.shape[1]
    options = {"maxiter": 50_000, "gtol": 1e-7}
    fits = [
        optimize.minimize(objective, np.zeros(size), args=(k,), method="BFGS", options=options)
        for k in (False, True)
    ]
    assert found.statistic == pytest.approx(2 * (fits[0].fun - fits[1].fun), abs=1e-4)
    assert found.gap < 1e-8


@pytest.mark.parametrize("name", list(HYPOTHESES))
def test_the_statistic_is_never_negative(
    setup: LinearSetup, members: list[Blend], rng: np.random.Generator, name: str
) -> None:
    for n in (20, 200):
        for _ in range(20):
            assert _profile(setup, draw(members, TRUTH, n, rng), name).statistic >= 0.0


def test_profiling_the_weights_leaves_less_for_the_kernels(setup: LinearSetup) -> None:
    # A truth that the weights miss by six standard deviations in one direction.
    rank = setup.basis.variations.shape[1]
    truth = np.concatenate([[6.0], np.zeros(rank - 1)])
    x = setup.null.sample(truth, 20_000, np.random.default_rng(34)).x
    frozen = _profile(setup, x, "ensemble").statistic
    profiled = _profile(setup, x, "ensemble+uncertainty").statistic
    assert profiled < 0.5 * frozen


def test_a_fluctuated_centre_moves_the_frozen_null(setup: LinearSetup, x: Array) -> None:
    centre = np.full(setup.basis.variations.shape[1], 4.0)
    moved = [_profile(setup, x, "ensemble", sign * centre).statistic for sign in (-1.0, 1.0)]
    assert np.mean(moved) > _profile(setup, x, "ensemble").statistic


def test_the_fitted_densities_have_mass_one(
    setup: LinearSetup, members: list[Blend], x: Array
) -> None:
    # Importance sampling from the members: E_f[p1 / f] = 1.
    fitted = _profile(setup, x * 1.1, "ensemble+uncertainty")
    rng = np.random.default_rng(33)
    z = draw(members, np.full(M, 1 / M), 200_000, rng)
    logf = log_densities(members, z)
    rows = setup.observe(z, logf).rows
    change = np.concatenate([fitted.alternative, fitted.amplitudes])
    p1 = rows.base + rows.design @ change
    proposal = np.exp(logf - logf.max(axis=1)[:, None]).mean(axis=1)
    ratio = p1 / proposal
    assert abs(ratio.mean() - 1.0) < 5 * ratio.std() / math.sqrt(ratio.size)


def test_a_far_out_event_is_flagged_not_fatal(setup: LinearSetup, x: Array) -> None:
    far = np.vstack([x, [[60.0, 60.0]]])
    assert _fits(setup, far).capped == 1
    near, found = (_profile(setup, y, "ensemble+uncertainty").statistic for y in (x, far))
    # One impossible event is worth up to 2 log(e^20 / n).
    assert near + 10.0 < found < near + 40.0


def test_a_null_that_forbids_an_event_has_an_infinite_statistic(
    setup: LinearSetup, x: Array
) -> None:
    fits = _fits(setup, x)
    rows = fits.rows
    rows.base[0] = -1e-3
    rows.design[0] = 0.0
    zero = np.zeros(setup.basis.variations.shape[1])
    for name in ("ensemble", "ensemble+uncertainty"):
        assert fits.profile(HYPOTHESES[name], zero).statistic == math.inf


def test_weights_may_repair_an_event_that_the_fitted_mixture_forbids(
    setup: LinearSetup, x: Array
) -> None:
    fits = _fits(setup, x)
    rows = fits.rows
    rows.base[0] = -1e-4
    rows.design[0] = 0.0
    rows.design[0, 0] = 1.0
    zero = np.zeros(setup.basis.variations.shape[1])
    assert fits.profile(HYPOTHESES["ensemble"], zero).statistic == math.inf
    repaired = fits.profile(HYPOTHESES["ensemble+uncertainty"], zero)
    assert math.isfinite(repaired.statistic)
    assert repaired.null[0] > 0.0


@pytest.mark.parametrize("name", HYPOTHESES)
@pytest.mark.parametrize("solver", [DeviceNewton(), TorchSolver()], ids=["device", "newton-exact"])
def test_every_solver_gives_the_same_statistic(
    setup: LinearSetup, x: Array, name: str, solver: WeightSolver
) -> None:
    other = _profile(replace(setup, solver=solver), x, name)
    ours = _profile(setup, x, name)
    assert other.statistic == pytest.approx(ours.statistic, rel=0.0, abs=1e-8)
    assert other.amplitudes == pytest.approx(ours.amplitudes, abs=1e-5)


def test_a_solver_that_stops_early_gives_no_statistic(setup: LinearSetup, x: Array) -> None:
    lame = replace(setup, solver=NewtonSolver(max_iterations=1))
    assert math.isnan(_profile(lame, x, "ensemble+uncertainty").statistic)
