"""The weight fit ends in a finite result with trust fields, or in a named error."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError, VerisimileError
from verisimile.mixture.fit import Pseudo, WeightFit, fit_weights


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
    if first is None or again is None or not first.record.converged:
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
