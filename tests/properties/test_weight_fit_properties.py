"""The weight fit ends in a finite result with trust fields, or in a named error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError, VerisimileError
from verisimile.mixture.fit import Pseudo, WeightFit, fit_weights
from verisimile.mixture.solvers.device import DeviceNewton
from verisimile.mixture.solvers.minuit import MinuitSolver
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.solvers.protocol import WeightSolver
from verisimile.mixture.solvers.torch_minimize import TorchSolver

# A hang is a failure: an example takes milliseconds.
pytestmark = pytest.mark.timeout(240)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Array, Array | None]:
    """Return members' log-densities at events and, perhaps, at pseudo-events."""
    n, members = draw(st.integers(1, 40)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    spread = draw(st.sampled_from([1e-9, 1e-3, 1.0, 20.0]))
    offset = draw(st.sampled_from([0.0, -1e4, 70.0, 690.0]))
    copies = draw(st.booleans())

    def table(rows: int) -> Array:
        values = offset + spread * rng.standard_normal((rows, members))
        if copies and members > 1:
            values[:, -1] = values[:, 0]
        return values

    logf = table(n)
    if draw(st.booleans()) and members > 1:
        logf[rng.integers(n), 0] = -np.inf
    return logf, table(60) if draw(st.booleans()) else None


def _fit(logf: Array, z: Array | None) -> WeightFit | None:
    try:
        return fit_weights(logf, pseudo=None if z is None else Pseudo(z))
    except NumericsError as error:
        assert error.remedy  # noqa: PT017  (a named error that says what to do is an outcome)
        return None


@settings(max_examples=150, deadline=None, derandomize=True)
@given(problems())
def test_every_fit_is_finite_or_a_named_error(problem: tuple[Array, Array | None]) -> None:
    fit = _fit(*problem)
    if fit is None:
        return
    assert np.isfinite(fit.weights).all()
    assert np.isfinite(fit.covariance).all()
    assert np.isfinite(fit.nll)
    assert fit.record.converged
    assert fit.record.l1_norm < 1e6
    assert abs(fit.weights.sum() - 1.0) <= 1e-10 * max(1.0, fit.record.l1_norm)
    assert np.linalg.eigvalsh(fit.covariance).min() >= -1e-8 * np.abs(fit.covariance).max()
    assert fit.record.min_density > 0.0
    assert 0 <= fit.record.effective_rank <= fit.weights.size - 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems(), st.integers(0, 2**32))
def test_the_order_of_events_does_not_matter(
    problem: tuple[Array, Array | None], seed: int
) -> None:
    logf, z = problem
    order = np.random.default_rng(seed).permutation(logf.shape[0])
    first, again = _fit(logf, z), _fit(logf[order], z)
    if first is None or again is None:
        return
    # The objective is flat where weights are undetermined, so compare its value.
    assert abs(first.nll - again.nll) <= 1e-6 * max(1.0, abs(first.nll))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems())
def test_the_fit_is_not_beaten_by_equal_weights(problem: tuple[Array, Array | None]) -> None:
    logf, _ = problem
    try:
        fit = fit_weights(logf)
    except VerisimileError:
        return
    top = logf.max(axis=1)
    equal = -float((np.log(np.exp(logf - top[:, None]).mean(axis=1)) + top).sum())
    assert fit.nll <= equal + 1e-9 * max(1.0, abs(equal))


@st.composite
def hostile(draw: st.DrawFn) -> tuple[Array, Array | None, Pseudo | None]:
    """Return log-densities ``(n, M)``, event weights and pseudo-events of a hostile problem."""
    n, members = draw(st.sampled_from([1, 2, 3, 10, 60])), draw(st.sampled_from([1, 2, 5, 25]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    offset = draw(st.sampled_from([0.0, -30 * math.log(10.0), 30 * math.log(10.0), -1e4, 690.0]))
    spread = draw(st.sampled_from([1e-9, 1e-3, 1.0, 20.0, 200.0]))
    logf = offset + spread * rng.standard_normal((n, members))
    shape = draw(st.sampled_from(["plain", "near copies", "far event", "holes", "one event twice"]))
    if shape == "near copies":
        logf = logf[:, :1] + 1e-6 * rng.standard_normal((n, members))
    elif shape == "far event":
        logf[0] -= 1000.0 * rng.random(members)
    elif shape == "holes":
        logf[:, 1:][rng.random((n, members - 1)) < 0.3] = -np.inf
    elif shape == "one event twice":
        logf[:] = logf[0]
    size = draw(st.sampled_from([None, 0.1, 3.0, 30.0]))
    u = None if size is None else np.exp(size * rng.standard_normal(n))
    strength = draw(st.sampled_from([None, 1e-6, 1.0, 1e3]))
    if strength is None:
        return logf, u, None
    return logf, u, Pseudo(offset + spread * rng.standard_normal((60, members)), strength)


@pytest.mark.parametrize(
    "solver",
    [NewtonSolver(), DeviceNewton(), TorchSolver(), MinuitSolver()],
    ids=lambda solver: type(solver).__name__,
)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(problem=hostile())
def test_hostile_problems_end_in_a_result_or_a_named_error(
    solver: WeightSolver, problem: tuple[Array, Array | None, Pseudo | None]
) -> None:
    logf, u, pseudo = problem
    try:
        fit = fit_weights(logf, u, solver=solver, pseudo=pseudo)
    except NumericsError as error:
        assert error.remedy  # noqa: PT017
        return
    record = fit.record
    for number in (fit.nll, record.decrement, record.l1_norm, record.max_leverage):
        assert math.isfinite(number)
    assert np.isfinite(fit.weights).all()
    assert np.isfinite(fit.covariance).all()
    assert record.gap >= 0.0
    assert record.min_density > 0.0
    assert record.converged
    assert record.decrement**2 <= 1e-10
    assert record.l1_norm < 1e6
    assert 0.0 < record.free_share <= 1.0


@pytest.mark.parametrize(
    "solver",
    [NewtonSolver(), DeviceNewton(), TorchSolver()],
    ids=lambda solver: type(solver).__name__,
)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(members=st.integers(2, 8), events=st.integers(1, 30), seed=st.integers(0, 2**32))
def test_an_unbounded_likelihood_is_a_named_error(
    solver: WeightSolver, members: int, events: int, seed: int
) -> None:
    # At every event member 0 is denser than member 1, which is otherwise alike: the
    # difference can be added without end.
    rng = np.random.default_rng(seed)
    logf = rng.standard_normal((events, members))
    logf[:, 1] = logf[:, 0] - rng.uniform(0.1, 2.0, events)
    with pytest.raises(NumericsError, match=r"run away|no optimum|positive definite") as caught:
        fit_weights(logf, solver=solver)
    assert "pseudo-events" in caught.value.remedy
