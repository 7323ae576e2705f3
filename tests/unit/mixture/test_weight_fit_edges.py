"""The weight fit where positivity binds, where steps get lost, and where there is no optimum."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from edge_study import SIX, blend, collapsed, fit_of, six, six_fit, squared_pulls
from statistical import assert_within
from verisimile.checks.goodness.null import NullModel
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.ensemble.gather import gather_ensemble
from verisimile.mixture.bind import Bootstrap, PseudoEvents, fit_mixture
from verisimile.mixture.fit import Pseudo, WeightFit, fit_weights, reduced_problem
from verisimile.mixture.law import WeightLaw
from verisimile.mixture.model import Mixture
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.sampling import member_log_densities
from verisimile.mixture.solvers.device import DeviceNewton
from verisimile.mixture.solvers.minuit import MinuitSolver
from verisimile.mixture.solvers.newton import NewtonSolver, _newton
from verisimile.mixture.solvers.protocol import Optimum, WeightSolver, certify
from verisimile.mixture.solvers.torch_minimize import TorchSolver
from verisimile.stats.linalg import tangent_basis

SMALL = PseudoEvents(count=60, audit=60)
THREE = ((0.0, 1.0), (1.0, 1.0), (-1.0, 2.0))


def three(x: Array) -> Array:
    return np.column_stack([stats.norm.logpdf(x, mean, sigma) for mean, sigma in THREE])


@pytest.fixture(scope="module")
def skewed() -> tuple[Array, Pseudo]:
    """A truth outside the span, whose best weights are stopped by positivity in a tail."""
    rng = np.random.default_rng(9)
    x = stats.skewnorm.rvs(5, size=1500, random_state=rng)
    z = np.concatenate([mean + sigma * rng.standard_normal(666) for mean, sigma in THREE])
    return three(x), Pseudo(three(z))


@pytest.mark.parametrize("solver", [NewtonSolver(), DeviceNewton()], ids=lambda s: type(s).__name__)
def test_light_rows_do_not_hold_the_steps(
    skewed: tuple[Array, Pseudo], solver: WeightSolver
) -> None:
    logf, pseudo = skewed
    fit = fit_weights(logf, solver=solver, pseudo=pseudo)
    other = fit_weights(logf, solver=MinuitSolver(tolerance=1e-10), pseudo=pseudo)
    assert fit.record.converged
    assert fit.record.iterations < 300
    assert fit.nll == pytest.approx(other.nll, rel=0.0, abs=1e-5)
    assert fit.weights == pytest.approx(other.weights, abs=1e-5)
    assert fit.weights[0] < -0.08


def test_straight_steps_from_equal_weights_get_lost(skewed: tuple[Array, Pseudo]) -> None:
    # The defective twin: Newton's steps without the stages over heavier rows.
    logf, pseudo = skewed
    problem = reduced_problem(logf, None, pseudo, 1e-8).problem
    lost = _newton(problem, np.zeros(2), 1e-10, 200)
    assert not lost.converged
    assert lost.value > NewtonSolver().minimise(problem, np.zeros(2)).value + 1.0
    with pytest.raises(NumericsError, match="no optimum after 50 iterations"):
        fit_weights(logf, solver=NewtonSolver(max_iterations=50), pseudo=pseudo)


def nearly_equal(seed: int) -> Array:
    """Return seven events of six members, two of them equal but for one event."""
    rng = np.random.default_rng(seed)
    logf = rng.standard_normal((7, 6))
    logf[:, 5] = logf[:, 0]
    logf[rng.integers(7), 0] = -np.inf
    return logf


@pytest.mark.parametrize(
    "solver",
    [NewtonSolver(), DeviceNewton(), TorchSolver(), MinuitSolver()],
    ids=lambda solver: type(solver).__name__,
)
@pytest.mark.parametrize("seed", range(6))
def test_an_optimum_at_infinity_is_an_error(seed: int, solver: WeightSolver) -> None:
    # Weight can move from one copy to the other without end: one event gains.
    with pytest.raises(NumericsError, match=r"run away|no optimum|positive definite") as caught:
        fit_weights(nearly_equal(seed), solver=solver)
    assert "pseudo-events" in caught.value.remedy


@dataclass(frozen=True)
class Credulous:
    """Defective twin: ends far out, and believes that it has arrived."""

    reach: float
    truncation: float = 1e-8

    def minimise(self, problem: LogLinear, start: Array) -> Optimum:
        along = np.zeros(start.size)
        along[0] = self.reach
        far = LogLinear(
            np.ones(problem.base.size),
            0.0 * problem.design,
            problem.weights,
            problem.precision,
            problem.centre,
        )
        return replace(
            certify(far, along, iterations=1, tolerance=1.0), decrement=0.0, converged=True
        )


@pytest.mark.parametrize("reach", [2e6, 7e7])
def test_weights_beyond_a_million_are_refused_whatever_the_solver_says(reach: float) -> None:
    with pytest.raises(NumericsError, match="run away"):
        fit_weights(nearly_equal(0), solver=Credulous(reach))


@pytest.fixture(scope="module")
def fits() -> list[WeightFit]:
    return [six_fit(100, np.random.default_rng([100, i])) for i in range(60)]


def test_errors_of_few_events_do_not_collapse(fits: list[WeightFit]) -> None:
    pulls = squared_pulls(fits)
    assert pulls.max() < 100.0
    # The mean of chi2(5), with the errors that its own scatter gives.
    assert_within(pulls.mean(), 5.0, np.sqrt(10.0 / len(fits)))
    assert min(fit.record.free_share for fit in fits) < 0.5


def test_with_the_pseudo_events_curvature_they_do(fits: list[WeightFit]) -> None:
    # The defective twin: the bread of the sandwich with the curvature of pseudo-events.
    bound = [fit for fit in fits if fit.record.free_share < 0.5]
    assert squared_pulls([collapsed(fit) for fit in bound]).max() > 1e3


def test_where_nothing_binds_errors_are_the_inverse_hessian() -> None:
    fit = six_fit(20_000, np.random.default_rng(3))
    assert fit.record.free_share > 0.99
    assert fit.covariance == pytest.approx(
        fit.inverse_hessian, rel=0.0, abs=5e-3 * np.abs(fit.covariance).max()
    )


def test_the_two_closed_forms_differ_by_event_weights() -> None:
    rng = np.random.default_rng(4)
    logf = three(rng.standard_normal(3000))
    plain = [fit_weights(logf, covariance=name) for name in ("sandwich", "fisher")]
    assert plain[0].covariance == pytest.approx(plain[1].covariance, rel=1e-9, abs=1e-15)
    u = rng.choice([1.0, 3.0], size=3000)
    robust, naive = (fit_weights(logf, u, covariance=name) for name in ("sandwich", "fisher"))
    assert [robust.record.covariance, naive.record.covariance] == ["sandwich", "fisher"]
    # Independent event weights: the ratio of variances is <u^2> / <u>^2.
    ratio = np.trace(robust.covariance) / np.trace(naive.covariance)
    assert ratio == pytest.approx((u**2).mean() / u.mean() ** 2, rel=0.1)


@pytest.mark.parametrize("name", ["hessian", "bootstrap", ""])
def test_another_covariance_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="covariance"):
        fit_weights(np.zeros((4, 2)), covariance=name)


def test_more_members_than_events_have_errors_in_all_directions() -> None:
    rng = np.random.default_rng(5)
    x = SIX[rng.integers(6, size=4)] + rng.standard_normal((4, 2))
    ensemble = gather_ensemble(Run(Seeds(6)), six())
    fit = fit_mixture(Run(Seeds(6)), ensemble, Events(x), discrepancy=None).fit
    errors = np.sqrt(np.diag(fit.covariance))
    # One event's worth of equal weights is known, so that errors are bounded.
    assert (errors > 0.1).all()
    assert errors.max() < 10.0


@pytest.fixture(scope="module")
def bootstrapped() -> Mixture:
    rng = np.random.default_rng(8)
    members = [six()[i] for i in (0, 3, 4)]
    x = np.concatenate([m.sample(400, rng) for m in members])
    ensemble = gather_ensemble(Run(Seeds(8)), members)
    return fit_mixture(
        Run(Seeds(8)), ensemble, Events(x), covariance=Bootstrap(replicas=150), discrepancy=None
    )


def test_where_nothing_binds_the_bootstrap_agrees(bootstrapped: Mixture) -> None:
    fit = bootstrapped.fit
    record = fit.record
    assert (record.covariance, record.n_refits, record.n_failed_refits) == ("bootstrap", 150, 0)
    assert fit.draws is not None
    assert fit.draws.sum(axis=1) == pytest.approx(np.ones(150), abs=1e-9)
    errors = np.sqrt(np.diag(fit.covariance))
    known = np.sqrt(np.diag(fit.inverse_hessian))
    assert_within(errors, known, known / np.sqrt(2 * 149))


def test_toys_are_drawn_from_the_refits(bootstrapped: Mixture) -> None:
    null = NullModel.of(bootstrapped)
    law = null.law
    draws, rng = bootstrapped.fit.draws, np.random.default_rng(1)
    assert draws is not None
    found = np.array([law.varied(rng.standard_normal(2), rng) for _ in range(40)])
    assert all((np.abs(draws - weights).max(axis=1) == 0.0).any() for weights in found)
    assert len(np.unique(found, axis=0)) > 20
    # A toy without uncertainty is the fit itself, and the ends of the line are draws.
    assert law.varied(np.zeros(2), rng) == pytest.approx(bootstrapped.weights)
    assert law.varied(np.array([-40.0, 0.0]), rng) == pytest.approx(draws[0])
    assert law.varied(np.array([40.0, 0.0]), rng) == pytest.approx(draws[-1])
    other = NullModel.of(
        Mixture(bootstrapped.members, replace(bootstrapped.fit, draws=draws[::-1]))
    )
    assert other.identity() != null.identity()


def test_a_bootstrap_can_be_asked_for_by_name() -> None:
    ensemble = gather_ensemble(Run(Seeds(2)), six()[:2])
    x = six()[0].sample(40, np.random.default_rng(2))
    first, again = (
        fit_mixture(
            Run(Seeds(2)),
            ensemble,
            Events(x),
            covariance="bootstrap",
            pseudo=SMALL,
            discrepancy=None,
        ).fit
        for _ in "ab"
    )
    assert first.record.covariance == "bootstrap"
    assert first.draws is not None
    assert again.draws is not None
    np.testing.assert_array_equal(first.draws, again.draws)
    with pytest.raises(InputError, match="covariance"):
        fit_mixture(Run(Seeds(2)), ensemble, Events(x), covariance="jackknife")
    with pytest.raises(InputError, match="replicas"):
        Bootstrap(replicas=1)


def test_a_fit_that_stopped_early_makes_no_mixture(bootstrapped: Mixture) -> None:
    fit = bootstrapped.fit
    stopped = replace(fit, record=replace(fit.record, converged=False))
    with pytest.raises(NumericsError, match="no optimum"):
        Mixture(bootstrapped.members, stopped)


def test_varied_weights_keep_the_density_positive(fits: list[WeightFit]) -> None:
    rng = np.random.default_rng(2)
    bound = min(fits, key=lambda fit: fit.record.free_share)
    law = WeightLaw.of(bound)
    assert bound.boundary is not None
    assert len(bound.boundary) > 100
    truths = rng.standard_normal((100, 5))
    drawn = np.array([law.varied(truth, rng) for truth in truths])
    assert drawn.sum(axis=1) == pytest.approx(np.ones(100), abs=1e-9)
    assert (drawn @ bound.boundary.T).min() > 0.0
    # The defective twin: the normal law alone is negative somewhere in most of its draws.
    assert bound.unbounded is not None
    normal = bound.unbounded + truths @ law.variations.T
    inside = (normal @ bound.boundary.T).min(axis=1) > 0.0
    assert inside.mean() < 0.5
    # What is allowed stays as it is.
    np.testing.assert_allclose(drawn[inside], normal[inside], rtol=0.0, atol=1e-9)


def test_the_law_is_centred_where_the_events_alone_would_be(fits: list[WeightFit]) -> None:
    # One Newton step from the fit is most of the way: the score of the events shrinks.
    rng = np.random.default_rng(4)
    x = blend(2_000, rng)
    fit = fit_of(six(), x, rng)
    density = np.exp(member_log_densities(six(), x))
    tangent = tangent_basis(6)

    def score(weights: Array) -> float:
        return float(np.linalg.norm(tangent.T @ (density / (density @ weights)[:, None]).sum(0)))

    assert fit.unbounded is not None
    assert score(fit.unbounded) < 0.1 * score(fit.weights)
    # Where positivity binds, the fit is short of that by more than its error.
    bound = min(fits, key=lambda each: each.record.free_share)
    assert bound.unbounded is not None
    pull = tangent.T @ (bound.unbounded - bound.weights)
    assert pull @ np.linalg.solve(tangent.T @ bound.covariance @ tangent, pull) > 0.5


def test_where_nothing_binds_the_law_is_normal() -> None:
    fit = six_fit(20_000, np.random.default_rng(3))
    law = WeightLaw.of(fit)
    truth = np.array([1.0, -2.0, 0.5, 0.0, 1.5])
    varied = law.varied(truth, np.random.default_rng(1))
    assert fit.unbounded is not None
    np.testing.assert_allclose(varied, fit.unbounded + law.variations @ truth, rtol=0.0, atol=1e-9)
    assert np.abs(law.centre).max() < 1e-3
