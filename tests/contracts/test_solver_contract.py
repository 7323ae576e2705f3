"""Every solver of the weight fit ends at the same optimum, or in the same named error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from analytic import draw, family, log_densities, near_copies
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError
from verisimile.mixture.fit import Pseudo, WeightFit, fit_weights, reduced_problem
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.device import DeviceNewton
from verisimile.mixture.solvers.minuit import MinuitSolver
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.solvers.protocol import Optimum, WeightSolver, certify
from verisimile.mixture.solvers.torch_minimize import TorchSolver

SOLVERS: list[WeightSolver] = [NewtonSolver(), TorchSolver(), MinuitSolver(), DeviceNewton()]
OTHERS = SOLVERS[1:]
N, M = 3000, 8

# Rounding of a sum over n events of order one is about 1e-12; the bound that the
# solvers promise is 1e-8 in L, which is a mean: this is n times stricter.
NATS = 1e-8


def _name(value: object) -> str:
    return type(value).__name__


@dataclass(frozen=True)
class Case:
    """Input of a weight fit."""

    logf: Array
    weights: Array | None = None
    pseudo: Pseudo | None = None

    def fit(self, solver: WeightSolver) -> WeightFit:
        return fit_weights(self.logf, self.weights, solver=solver, pseudo=self.pseudo)


def _plain() -> Case:
    members, rng = family(M), np.random.default_rng(31)
    return Case(log_densities(members, draw(members, np.full(M, 1.0 / M), N, rng)))


def _weighted() -> Case:
    return Case(_plain().logf, np.random.default_rng(32).exponential(1.0, N) + 0.01)


def _barrier() -> Case:
    members, rng = family(M), np.random.default_rng(33)
    return Case(_plain().logf, None, Pseudo(log_densities(members, members[2].sample(500, rng))))


def _holes() -> Case:
    logf = _plain().logf.copy()
    logf[:, 1:][np.random.default_rng(34).random((N, M - 1)) < 0.05] = -np.inf
    return Case(logf)


def _copies() -> Case:
    members = near_copies(30)
    return Case(log_densities(members, members[0].sample(N, np.random.default_rng(35))))


def _few_events() -> Case:
    members, rng = family(20), np.random.default_rng(36)
    z = np.concatenate([member.sample(50, rng) for member in members])
    return Case(
        log_densities(members, members[0].sample(12, rng)), None, Pseudo(log_densities(members, z))
    )


def _runaway() -> Case:
    # Member 2 has no density of its own where the events are and lends without end.
    return Case(np.log(np.array([[0.5, 0.2, 1e-12], [0.6, 0.3, 1e-12], [0.4, 0.1, 1e-12]])))


CASES = {
    "plain": _plain,
    "weighted": _weighted,
    "pseudo-events": _barrier,
    "zero densities": _holes,
    "near copies": _copies,
    "fewer events than members": _few_events,
}


def assert_same_optimum(fit: WeightFit, reference: WeightFit) -> None:
    """Fail unless both fits have one minimum, with the same weights and covariance."""
    assert fit.nll == pytest.approx(reference.nll, rel=1e-13, abs=NATS)
    scale = np.sqrt(np.abs(np.diag(reference.covariance)))
    assert (np.abs(fit.weights - reference.weights) <= 1e-6 * scale + 1e-12).all()
    difference = np.abs(fit.covariance - reference.covariance).max()
    assert difference <= 1e-6 * np.abs(reference.covariance).max()


@pytest.fixture(params=SOLVERS, ids=_name)
def solver(request: pytest.FixtureRequest) -> WeightSolver:
    chosen: WeightSolver = request.param
    return chosen


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_end_is_certified(solver: WeightSolver, case: Callable[[], Case]) -> None:
    record = case().fit(solver).record
    assert record.converged
    assert record.decrement**2 <= 1e-10
    # Where the theory of self-concordance holds (it needs weights that are not
    # tiny), the certified gap is the squared decrement.
    assert record.gap == pytest.approx(record.decrement**2, rel=1e-12)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("other", OTHERS, ids=_name)
def test_all_solvers_reach_one_optimum(other: WeightSolver, case: Callable[[], Case]) -> None:
    assert_same_optimum(case().fit(other), case().fit(NewtonSolver()))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_weights_sum_to_one(solver: WeightSolver, case: Callable[[], Case]) -> None:
    fit = case().fit(solver)
    assert abs(fit.weights.sum() - 1.0) <= 1e-12 * fit.record.l1_norm


@pytest.mark.parametrize("case", [_plain, _weighted, _holes])
def test_the_gradient_is_the_multiplier(solver: WeightSolver, case: Callable[[], Case]) -> None:
    # Karush-Kuhn-Tucker on the full simplex tangent: the mean ratio is one for every member.
    problem = case()
    u = np.ones(N) if problem.weights is None else problem.weights / problem.weights.mean()
    density = np.exp(problem.logf)
    ratio = density / (density @ problem.fit(solver).weights)[:, None]
    assert u @ ratio / N == pytest.approx(np.ones(M), abs=1e-8)


def test_near_copies_end_finite(solver: WeightSolver) -> None:
    fit = _copies().fit(solver)
    assert fit.record.effective_rank < 29
    assert fit.record.l1_norm < 1e3
    assert np.isfinite(fit.covariance).all()


def test_a_single_member_has_weight_one(solver: WeightSolver) -> None:
    fit = fit_weights(np.zeros((5, 1)), solver=solver)
    assert fit.weights.tolist() == [1.0]
    assert fit.record.converged


def test_an_optimum_at_infinity_is_named(solver: WeightSolver) -> None:
    with pytest.raises(NumericsError, match="run away"):
        _runaway().fit(solver)


@pytest.mark.parametrize("seed", range(12))
def test_random_problems_end_alike(seed: int) -> None:
    # Signed weights of a few random members: most optima lie at the barrier or at infinity.
    rng = np.random.default_rng(seed)
    members = int(rng.integers(2, 9))
    logf = rng.standard_normal((int(rng.integers(5, 40)), members))
    case = Case(logf, None, Pseudo(rng.standard_normal((60, members))) if seed % 2 else None)
    ends = [_end(case, solver) for solver in SOLVERS]
    if ends[0] is None:
        assert ends == [None] * len(SOLVERS)
    else:
        assert ends == pytest.approx([ends[0]] * len(SOLVERS), rel=0.0, abs=1e-7)


def _end(case: Case, solver: WeightSolver) -> float | None:
    try:
        fit = case.fit(solver)
    except NumericsError:
        return None
    return fit.nll


@dataclass(frozen=True)
class GradientDescent:
    """Defective twin: plain descent that stops when a step gains little."""

    tolerance: float = 1e-2
    truncation: float = 1e-8

    def minimise(self, problem: LogLinear, start: Array) -> Optimum:
        theta, last, steps = start, np.inf, 0
        value = problem.value(problem.density(theta), theta)
        while last - value > self.tolerance:
            last, steps = value, steps + 1
            gradient, hessian = problem.derivatives(problem.density(theta), theta)
            theta = theta - gradient / np.linalg.eigvalsh(hessian)[-1]
            value = problem.value(problem.density(theta), theta)
        return certify(problem, theta, iterations=steps, tolerance=1e-10)


@pytest.mark.parametrize(
    "defective",
    [
        NewtonSolver(max_iterations=1),
        TorchSolver(max_iterations=1),
        DeviceNewton(max_iterations=1),
        MinuitSolver(tolerance=1e-300, max_calls=1),
        GradientDescent(),
    ],
    ids=[
        "one Newton step",
        "one step of newton-exact",
        "one step on the device",
        "more digits than there are",
        "descent that gives up",
    ],
)
def test_a_solver_that_stops_early_is_refused(defective: WeightSolver) -> None:
    with pytest.raises(NumericsError, match="no optimum after") as caught:
        _plain().fit(defective)
    assert "NewtonSolver" in caught.value.remedy


@dataclass(frozen=True)
class Liar(GradientDescent):
    """Defective twin: a descent that gives up and says that it has arrived."""

    def minimise(self, problem: LogLinear, start: Array) -> Optimum:
        return replace(super().minimise(problem, start), converged=True)


def test_a_solver_that_lies_about_its_end_fails_the_agreement() -> None:
    with pytest.raises(AssertionError):
        assert_same_optimum(_plain().fit(Liar()), _plain().fit(NewtonSolver()))


def test_the_certificate_bounds_the_distance_of_a_defective_end() -> None:
    reduced = reduced_problem(_plain().logf, None, None, 1e-8)
    start = np.zeros(M - 1)
    best = NewtonSolver().minimise(reduced.problem, start).value
    poor = GradientDescent(tolerance=1e-4).minimise(reduced.problem, start)
    assert not poor.converged
    assert 1e-4 < poor.value - best <= poor.gap < 1.0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_gpu_reaches_the_same_optimum(case: Callable[[], Case]) -> None:
    assert_same_optimum(case().fit(DeviceNewton(device="cuda")), case().fit(NewtonSolver()))


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="device of this machine"):
        _plain().fit(DeviceNewton(device="cuda:97"))
