from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from verisimile.core.arrays import Array
from verisimile.data.transforms import NUDGE, ColumnTransform, Identity, Log, Logit, Probit

TRANSFORMS = [
    Identity(),
    Log(low=0.0),
    Log(low=60.0),
    Log(high=2.0),
    Logit(-1.0, 1.0),
    Probit(60.0, 120.0),
    Probit(-2.5, 2.5),
    Probit(0.0, 1e-3),
]
TWO_SIDED = [Logit(60.0, 120.0), Probit(60.0, 120.0)]

fixed = settings(derandomize=True, database=None, deadline=None, max_examples=100)


def interior(transform: ColumnTransform, u: Array) -> Array:
    """Map u in (0, 1) well into the support."""
    if math.isfinite(transform.low) and math.isfinite(transform.high):
        return transform.low + (transform.high - transform.low) * u
    spread = np.exp(8 * (u - 0.5))
    if math.isfinite(transform.low):
        return transform.low + spread
    return transform.high - spread if math.isfinite(transform.high) else 20 * (u - 0.5)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_jacobian_is_the_numerical_derivative(transform: ColumnTransform) -> None:
    u = np.linspace(0.02, 0.98, 97)
    x = interior(transform, u)
    # The distance to the nearest edge sets the scale on which the map curves.
    edge = np.minimum(np.minimum(x - transform.low, transform.high - x), 1.0)
    step = 1e-3 * edge
    # Fourth-order central difference: relative error 1e-12 from curvature, and from rounding
    # of x at worst 4e-10: an ulp of 60 over a step of 2e-5 next to the bound of a log.
    shifted = [transform.forward(x + k * step)[0] for k in (-2, -1, 1, 2)]
    slope = (shifted[0] - 8 * shifted[1] + 8 * shifted[2] - shifted[3]) / (12 * step)
    np.testing.assert_allclose(transform.forward(x)[1], np.log(slope), atol=2e-9)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
@given(u=st.floats(0.0, 1.0))
@fixed
def test_inverse_undoes_forward(transform: ColumnTransform, u: float) -> None:
    x = interior(transform, np.array([u]))
    back = transform.inverse(transform.forward(x)[0])
    if x[0] in (transform.low, transform.high):  # comes back from where it was nudged to
        assert abs(back[0] - x[0]) <= 1.001 * NUDGE * (transform.high - transform.low)
    else:
        ends = [abs(end) for end in (transform.low, transform.high) if math.isfinite(end)]
        assert abs(back[0] - x[0]) <= 1e-13 * max(abs(x[0]), 0.0, *ends)


@pytest.mark.parametrize("transform", TWO_SIDED, ids=repr)
@given(y=st.floats(-1e308, 1e308))
@fixed
def test_inverse_stays_in_a_closed_support(transform: ColumnTransform, y: float) -> None:
    x = transform.inverse(np.array([y]))[0]
    assert transform.low <= x <= transform.high


@pytest.mark.parametrize("transform", TRANSFORMS[1:], ids=repr)
def test_the_map_increases_and_its_inverse_survives_any_number(transform: ColumnTransform) -> None:
    y = np.array([-np.inf, -1e308, -800.0, -6.0, 0.0, 6.0, 800.0, 1e308, np.inf])
    x = transform.inverse(y)
    assert np.isfinite(x).all()
    assert (np.diff(x) >= 0).all()
    assert (np.diff(x[3:6]) > 0).all()
    assert np.isnan(transform.inverse(np.array([np.nan])))[0]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_forward_is_finite_on_every_double_of_the_support(transform: ColumnTransform) -> None:
    tiny, huge = 5e-324, 1.7976931348623157e308
    low, high = max(transform.low, -huge), min(transform.high, huge)
    x = np.array([low, np.nextafter(low, high), np.nextafter(high, low), high, tiny, -tiny, 1e-300])
    y, log_jacobian = transform.forward(x[(x >= low) & (x <= high)])
    assert np.isfinite(y).all()
    assert np.isfinite(log_jacobian).all()


@pytest.mark.parametrize("transform", TWO_SIDED, ids=repr)
def test_a_value_on_a_bound_is_nudged_by_a_stated_distance(transform: ColumnTransform) -> None:
    inside = NUDGE * (transform.high - transform.low)
    near = np.array([transform.low + inside, transform.high - inside])
    on = np.array([transform.low, transform.high])
    for got, expected in zip(transform.forward(on), transform.forward(near), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-7)


def test_log_nudges_a_value_on_its_bound_to_the_given_distance() -> None:
    y, log_jacobian = Log(low=1.0, nudge=0.25).forward(np.array([1.0]))
    assert y[0] == math.log(0.25)
    assert log_jacobian[0] == -math.log(0.25)


def test_log_below_an_upper_bound_increases() -> None:
    y, log_jacobian = Log(high=3.0).forward(np.array([1.0, 2.0]))
    np.testing.assert_allclose(y, [-math.log(2), 0.0], atol=1e-15)
    np.testing.assert_allclose(log_jacobian, [-math.log(2), 0.0], atol=1e-15)


def test_probit_makes_a_uniform_density_exactly_gaussian() -> None:
    # p(x) = 1/60 in x, so that p(y) = p(x) / |dy/dx| is the standard normal.
    y, log_jacobian = Probit(60.0, 120.0).forward(np.linspace(60.001, 119.999, 1001))
    np.testing.assert_allclose(-math.log(60.0) - log_jacobian, stats.norm.logpdf(y), atol=1e-12)


def test_probit_keeps_precision_next_to_either_bound() -> None:
    distance = np.array([1e-13, 1e-10, 1e-5])
    below = Probit(0.0, 1.0).forward(distance)[0]
    above = Probit(-1.0, 0.0).forward(-distance)[0]
    np.testing.assert_array_equal(below, -above)
    np.testing.assert_allclose(below, stats.norm.ppf(distance), rtol=1e-13)


def test_logit_is_the_logarithm_of_the_odds() -> None:
    y, log_jacobian = Logit(0.0, 4.0).forward(np.array([1.0, 2.0]))
    np.testing.assert_allclose(y, [-math.log(3), 0.0], atol=1e-15)
    np.testing.assert_allclose(log_jacobian, np.log([1 / 4 / (0.25 * 0.75), 1.0]), atol=1e-15)
