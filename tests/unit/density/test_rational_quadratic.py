"""The spline against nflows' own, against autograd, and where nflows fails."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nflows.transforms.splines.rational_quadratic import unconstrained_rational_quadratic_spline

from verisimile.density.flows import rational_quadratic as rq

BOUND, K = 5.0, 8


def random_raw(seed: int, n: int, scale: float, dtype: torch.dtype) -> torch.Tensor:
    values = np.random.default_rng(seed).normal(scale=scale, size=(3 * K - 1, n))
    return torch.from_numpy(values).to(dtype)


def values(seed: int, n: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-BOUND, BOUND, n)).to(dtype)


def forward(x: torch.Tensor, raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    table = rq.knots(raw, K, BOUND)
    return rq.evaluate(x, rq.gather(table, rq.locate(x, table.x)))


def inverse(y: torch.Tensor, raw: torch.Tensor) -> torch.Tensor:
    table = rq.knots(raw, K, BOUND)
    return rq.invert(y, rq.gather(table, rq.locate(y, table.y)))


def theirs(
    x: torch.Tensor, raw: torch.Tensor, *, inverse: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    columns = raw.T
    result: tuple[torch.Tensor, torch.Tensor] = unconstrained_rational_quadratic_spline(
        x, columns[:, :K], columns[:, K : 2 * K], columns[:, 2 * K :], inverse, "linear", BOUND
    )
    return result


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_values_and_slopes_equal_nflows(scale: float) -> None:
    x, raw = values(1, 500, torch.float64), random_raw(2, 500, scale, torch.float64)
    for mine, reference in zip(forward(x, raw), theirs(x, raw, inverse=False), strict=True):
        torch.testing.assert_close(mine, reference, rtol=0, atol=1e-10)
    torch.testing.assert_close(inverse(x, raw), theirs(x, raw, inverse=True)[0], rtol=0, atol=1e-10)


def test_log_slope_is_the_derivative() -> None:
    x = torch.linspace(-2 * BOUND, 2 * BOUND, 401, dtype=torch.float64, requires_grad=True)
    raw = random_raw(3, 1, 2.0, torch.float64).expand(-1, 401)
    y, log_slope = forward(x, raw)
    (slope,) = torch.autograd.grad(y.sum(), x)
    inside = (x.abs() < BOUND).detach()
    torch.testing.assert_close(log_slope[inside].exp(), slope[inside], rtol=1e-9, atol=0)
    assert (log_slope[~inside] == 0).all()


def test_tails_are_the_identity() -> None:
    x = torch.tensor([-1e300, -1e9, -7.5, 5.5, 1e18], dtype=torch.float64)
    raw = random_raw(4, 5, 3.0, torch.float64)
    torch.testing.assert_close(forward(x, raw)[0], x, rtol=1e-12, atol=0)
    torch.testing.assert_close(inverse(x, raw), x, rtol=1e-12, atol=0)


def test_inverse_survives_where_nflows_asserts() -> None:
    raw = random_raw(8, 20_000, 3.0, torch.float32)
    table = rq.knots(raw, K, BOUND)
    # Just below a knot with a small slope the textbook discriminant is all rounding.
    y = torch.nextafter(table.y[4], torch.tensor(-torch.inf))
    with pytest.raises(AssertionError):
        theirs(y, raw, inverse=True)
    x = inverse(y, raw)
    assert torch.isfinite(x).all()
    slack = 1e-5
    assert ((x >= table.x[3] - slack) & (x <= table.x[4] + slack)).all()


@pytest.mark.parametrize("scale", [3.0, 6.0, 20.0])
def test_float32_round_trip_of_extreme_splines(scale: float) -> None:
    y, raw = values(9, 50_000, torch.float32), random_raw(10, 50_000, scale, torch.float32)
    x = inverse(y, raw)
    again, log_slope = forward(x, raw)
    assert torch.isfinite(log_slope).all()
    # Rounding of x moves y by the slope times that; a steep bin is all rounding.
    gentle = log_slope < 2.0
    assert gentle.float().mean() > 0.1
    assert ((again - y).abs()[gentle] < 1e-3).all()


def test_round_trip_in_double_precision() -> None:
    y, raw = values(5, 50_000, torch.float64), random_raw(6, 50_000, 6.0, torch.float64)
    again, _ = forward(inverse(y, raw), raw)
    assert (again - y).abs().max() < 1e-7


def test_knots_themselves_are_inside() -> None:
    raw = random_raw(7, 1, 2.0, torch.float64)
    table = rq.knots(raw, K, BOUND)
    at_knots = table.x[:, 0]
    y, log_slope = forward(at_knots, raw.expand(-1, K + 1))
    torch.testing.assert_close(y, table.y[:, 0], rtol=0, atol=1e-12)
    torch.testing.assert_close(log_slope.exp(), table.slope[:, 0], rtol=1e-12, atol=0)
