"""The weight fit: identities, invariances, independent minima, and how it fails."""

from __future__ import annotations

import iminuit
import numpy as np
import pytest

from analytic import family, log_densities, near_copies
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError, SupportError
from verisimile.mixture.fit import Pseudo, WeightFit, fit_weights
from verisimile.mixture.solvers.newton import NewtonSolver

N, M = 4000, 8


@pytest.fixture(scope="module")
def logf() -> Array:
    members = family(M)
    rng = np.random.default_rng(10)
    return log_densities(members, np.concatenate([m.sample(N // M, rng) for m in members]))


@pytest.fixture(scope="module")
def fitted(logf: Array) -> WeightFit:
    return fit_weights(logf)


def _relative(logf: Array, fit: WeightFit) -> Array:
    density = np.exp(logf)
    return np.asarray(density / (density @ fit.weights)[:, None])


def test_the_fit_is_full_rank_and_converged(fitted: WeightFit) -> None:
    assert fitted.record.converged
    assert fitted.record.effective_rank == M - 1
    assert fitted.record.gap <= 1e-10


def test_weights_sum_to_one(fitted: WeightFit) -> None:
    assert abs(fitted.weights.sum() - 1.0) < 1e-10


def test_every_member_has_mean_ratio_one(logf: Array, fitted: WeightFit) -> None:
    assert np.abs(_relative(logf, fitted).mean(axis=0) - 1.0).max() < 1e-8


def test_hessian_times_weights_is_one(logf: Array, fitted: WeightFit) -> None:
    s = _relative(logf, fitted)
    assert s.T @ (s @ fitted.weights) / N == pytest.approx(np.ones(M), abs=1e-8)


def test_sandwich_equals_inverse_hessian_for_unit_weights(fitted: WeightFit) -> None:
    scale = np.abs(fitted.covariance).max()
    assert np.abs(fitted.covariance - fitted.inverse_hessian).max() < 1e-8 * scale


def test_covariance_is_the_constrained_inverse_of_the_full_hessian(
    logf: Array, fitted: WeightFit
) -> None:
    s = _relative(logf, fitted)
    full = np.linalg.inv(s.T @ s / N)
    expected = (full - np.outer(fitted.weights, fitted.weights)) / N
    assert fitted.covariance == pytest.approx(expected, rel=1e-6, abs=1e-10)


def test_leverages_sum_to_the_number_of_members(logf: Array, fitted: WeightFit) -> None:
    s = _relative(logf, fitted)
    leverages = np.einsum("ni,ij,nj->n", s, np.linalg.inv(s.T @ s), s)
    assert leverages.sum() == pytest.approx(M)
    assert fitted.record.max_leverage == pytest.approx(leverages.max(), rel=1e-6)


def test_members_may_be_permuted(logf: Array, fitted: WeightFit) -> None:
    order = np.random.default_rng(3).permutation(M)
    again = fit_weights(logf[:, order])
    assert again.weights == pytest.approx(fitted.weights[order], abs=1e-8)
    assert again.covariance == pytest.approx(fitted.covariance[np.ix_(order, order)], abs=1e-8)


def test_a_duplicated_member_shares_its_weight(logf: Array, fitted: WeightFit) -> None:
    again = fit_weights(np.column_stack([logf, logf[:, 2]]))
    assert again.record.effective_rank == M - 1
    merged = again.weights[:M].copy()
    merged[2] += again.weights[M]
    assert merged == pytest.approx(fitted.weights, abs=1e-7)
    assert again.nll == pytest.approx(fitted.nll, abs=1e-7)


@pytest.mark.parametrize("scale", [-600.0, 600.0])
def test_rows_may_be_rescaled(logf: Array, fitted: WeightFit, scale: float) -> None:
    shift = scale * np.random.default_rng(4).random((N, 1))
    again = fit_weights(logf + shift)
    assert again.weights == pytest.approx(fitted.weights, abs=1e-8)
    assert again.nll == pytest.approx(fitted.nll - shift.sum(), rel=1e-10)


def test_iminuit_finds_the_same_minimum(logf: Array, fitted: WeightFit) -> None:
    density = np.exp(logf)

    def nll(w: Array) -> float:
        p = density @ np.append(w, 1.0 - w.sum())
        return -float(np.log(p).sum()) if p.min() > 0 else 1e10

    minuit = iminuit.Minuit(nll, np.full(M - 1, 1.0 / M))
    minuit.errordef = iminuit.Minuit.LIKELIHOOD
    minuit.strategy = 2
    minuit.migrad().hesse()
    assert minuit.fval == pytest.approx(fitted.nll, abs=1e-4)
    assert minuit.fval >= fitted.nll - 1e-8
    errors = np.sqrt(np.diag(fitted.covariance))[: M - 1]
    assert np.array(minuit.errors) == pytest.approx(errors, rel=0.02)


def test_event_weights_multiply_events(logf: Array) -> None:
    counts = np.random.default_rng(5).integers(1, 4, N)
    weighted = fit_weights(logf, counts.astype(float))
    repeated = fit_weights(np.repeat(logf, counts, axis=0))
    assert weighted.weights == pytest.approx(repeated.weights, abs=1e-8)
    # The same likelihood, but not the same information: the sandwich knows.
    sandwich = np.trace(weighted.covariance) / np.trace(weighted.inverse_hessian)
    expected = (counts**2).mean() / counts.mean() ** 2
    assert sandwich == pytest.approx(expected, rel=0.1)


def test_near_copies_are_truncated_not_inverted() -> None:
    members = near_copies(60)
    x = members[0].sample(20_000, np.random.default_rng(6))
    fit = fit_weights(log_densities(members, x))
    assert fit.record.condition > 1e12
    assert 1 <= fit.record.effective_rank < 20
    assert fit.record.l1_norm < 1e3
    assert np.isfinite(fit.covariance).all()
    assert fit.record.converged


def test_without_truncation_near_copies_explode() -> None:
    # Defective twin of the test above: rank truncation switched off.
    members = near_copies(60)
    x = members[0].sample(20_000, np.random.default_rng(6))
    try:
        norm = fit_weights(
            log_densities(members, x), solver=NewtonSolver(truncation=0.0)
        ).record.l1_norm
    except NumericsError:
        norm = np.inf
    assert norm > 1e3


def test_more_members_than_events_ends_in_a_finite_fit() -> None:
    members = family(20)
    rng = np.random.default_rng(7)
    x = members[0].sample(12, rng)
    z = np.concatenate([m.sample(50, rng) for m in members])
    fit = fit_weights(log_densities(members, x), pseudo=Pseudo(log_densities(members, z)))
    assert fit.record.effective_rank <= 19
    assert np.isfinite(fit.covariance).all()
    assert (np.exp(log_densities(members, z)) @ fit.weights > 0).all()


def test_an_optimum_at_infinity_is_named_and_pseudo_events_cure_it() -> None:
    # Three events see only members 0 and 1; member 2 can lend mass without end
    # because it has (almost) none of its own where the events are.
    members = family(3)
    logf = np.log(np.array([[0.5, 0.2, 1e-12], [0.6, 0.3, 1e-12], [0.4, 0.1, 1e-12]]))
    with pytest.raises(NumericsError, match="run away"):
        fit_weights(logf)
    z = np.concatenate([m.sample(200, np.random.default_rng(8)) for m in members])
    cured = fit_weights(logf, pseudo=Pseudo(log_densities(members, z)))
    assert cured.record.l1_norm < 1e2


def test_a_single_member_has_weight_one() -> None:
    fit = fit_weights(np.zeros((5, 1)))
    assert fit.weights.tolist() == [1.0]
    assert fit.covariance.tolist() == [[0.0]]
    assert fit.record.converged


def test_an_event_outside_all_supports_is_named(logf: Array) -> None:
    broken = logf.copy()
    broken[17] = -np.inf
    with pytest.raises(SupportError, match="first: event 17"):
        fit_weights(broken)


def test_nan_densities_are_named(logf: Array) -> None:
    broken = logf.copy()
    broken[3, 5] = np.nan
    with pytest.raises(NumericsError, match="event 3, member 5"):
        fit_weights(broken)


@pytest.mark.parametrize("weights", [np.full(N, -1.0), np.zeros(N)])
def test_weights_that_break_convexity_are_refused(logf: Array, weights: Array) -> None:
    with pytest.raises(InputError, match="positive event weights"):
        fit_weights(logf, weights)


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros(4), np.zeros((3, 0))])
def test_malformed_matrices_are_refused(bad: Array) -> None:
    with pytest.raises(InputError, match="shape"):
        fit_weights(bad)


def test_results_are_read_only(fitted: WeightFit) -> None:
    with pytest.raises(ValueError, match="read-only"):
        fitted.weights[0] = 0.0
