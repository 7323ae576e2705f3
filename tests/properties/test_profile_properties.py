"""The profile test ends in a statistic, in NaN that says why, or in a named error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verisimile.checks.goodness.profile import (
    HYPOTHESES,
    Basis,
    BasisDensities,
    Profile,
    profile_ratio,
)
from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.stats.linalg import tangent_basis

# A hang is a failure: an example takes milliseconds.
pytestmark = pytest.mark.timeout(240)
LOG_30 = 30 * math.log(10.0)


@dataclass(frozen=True)
class Case:
    """Log-densities of members and kernels at data and barrier events, and the basis."""

    logf: Array
    logk: Array
    barrier: tuple[Array, Array]
    basis: Basis
    centre: Array
    free: bool

    def profile(self, shift: float = 0.0) -> Profile:
        """Run the test, all densities in a unit that differs by ``exp(shift)``."""
        data = BasisDensities.of(self.logf + shift, self.logk + shift, self.basis)
        barrier = BasisDensities.of(self.barrier[0] + shift, self.barrier[1] + shift, self.basis)
        return profile_ratio(
            data,
            barrier,
            0.01,
            self.basis,
            hypothesis=HYPOTHESES["ensemble+uncertainty" if self.free else "ensemble"],
            centre=self.centre,
            solver=NewtonSolver(),
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Return few or many events, members and kernels, on scales that no one would choose."""
    n, members = draw(st.sampled_from([1, 2, 5, 40, 200])), draw(st.sampled_from([1, 2, 5, 25]))
    kernels = draw(st.sampled_from([0, 1, 2, 10]))
    z = draw(st.sampled_from([1, 30, 100]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    offset = draw(st.sampled_from([0.0, -LOG_30, LOG_30, -1e4, 690.0]))
    spread = draw(st.sampled_from([1e-9, 0.1, 1.0, 10.0]))
    depth = draw(st.sampled_from([1e-6, 1.0, 5.0, 100.0, 1e4]))
    logf = offset + spread * rng.standard_normal((n + z, members))
    logk = offset - depth * rng.standard_normal((n + z, kernels)) ** 2
    shape = draw(
        st.sampled_from(["plain", "far", "lone", "spike", "repeated", "copies", "same kernels"])
    )
    if shape in ("far", "lone"):
        logf[0] -= 1000.0
        logk[0] -= 2000.0 if shape == "lone" else 0.0
    elif shape == "spike":
        logk[0] += 500.0
    elif shape == "repeated":
        logf[:], logk[:] = logf[0], logk[0]
    elif shape == "copies":
        logf[:] = logf[:, :1]
    elif shape == "same kernels" and kernels:
        logk[:] = logk[:, :1]
    tangent = tangent_basis(members) if members > 1 else np.zeros((1, 0))
    directions = tangent_basis(kernels) if kernels > 1 else np.zeros((kernels, 0))
    signed = draw(st.booleans())
    size = draw(st.sampled_from([1e-6, 0.05, 1.0]))
    weights = rng.dirichlet(np.ones(members))
    if signed:
        weights = weights + 0.5 * tangent @ rng.standard_normal(tangent.shape[1])
    rank = tangent.shape[1]
    return Case(
        logf=logf[:n],
        logk=logk[:n],
        barrier=(logf[n:], logk[n:]),
        basis=Basis(weights, size * tangent, directions, draw(st.sampled_from([0.0, 1e-3]))),
        centre=np.asarray(draw(st.sampled_from([0.0, 1.0])) * rng.standard_normal(rank)),
        free=draw(st.booleans()),
    )


def _end(case: Case, shift: float = 0.0) -> Profile | None:
    try:
        return case.profile(shift)
    except NumericsError as error:
        assert error.remedy  # noqa: PT017  (a named error that says what to do is an outcome)
        return None


@settings(max_examples=300, deadline=None, derandomize=True)
@given(cases())
def test_every_profile_has_a_statistic_or_says_why_not(case: Case) -> None:
    profile = _end(case)
    if profile is None:
        return
    if math.isfinite(profile.statistic):
        assert profile.statistic >= 0.0
        assert 0.0 <= profile.gap < 1e-8 or profile.gap == math.inf  # infinity: not certified
        for values in (profile.null, profile.alternative, profile.amplitudes):
            assert np.isfinite(values).all()
    elif math.isnan(profile.statistic):
        assert profile.gap > 0.0
    else:  # some event is impossible under the null
        assert profile.gap == math.inf


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases())
def test_without_kernel_directions_nothing_can_be_gained(case: Case) -> None:
    bare = Case(
        case.logf,
        case.logk[:, :0],
        (case.barrier[0], case.barrier[1][:, :0]),
        Basis(case.basis.weights, case.basis.variations, np.zeros((0, 0)), 0.0),
        case.centre,
        case.free,
    )
    profile = _end(bare)
    if profile is not None and math.isfinite(profile.statistic):
        assert profile.statistic <= profile.gap + 1e-9
        assert profile.amplitudes.size == 0


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases(), st.sampled_from([-LOG_30, LOG_30]))
def test_the_unit_of_the_densities_does_not_matter(case: Case, shift: float) -> None:
    first, again = _end(case), _end(case, shift)
    if first is None or again is None:
        return
    if math.isfinite(first.statistic) and math.isfinite(again.statistic):
        # A density is known to 1e-16 of its logarithm, which may be 1e4; the events are
        # few hundred, and the fits see the change to the power of the barrier.
        scale = 1e-6 * max(1.0, first.statistic)
        assert abs(first.statistic - again.statistic) <= scale + first.gap + again.gap
