"""The derivatives written out against autograd, and at the ends of what floats can hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from verisimile.density.flows import rational_quadratic as rq
from verisimile.density.flows.spline_gradient import SplineRoom, Splines

BOUND = 3.0


def numbers(shape: tuple[int, ...], scale: float, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(scale=scale, size=shape))


def room_of(raw: Tensor, x: Tensor) -> tuple[SplineRoom, Splines]:
    bins = (raw.shape[2] + 1) // 3
    return SplineRoom(x, raw.clone()), Splines(x, bins, BOUND)


@pytest.mark.parametrize("bins", [2, 3, 8])
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_equals_autograd(bins: int, scale: float) -> None:
    shape = (2, 3, 500)
    raw, x = numbers((2, 3, 3 * bins - 1, 500), scale, 1), numbers(shape, 2.0, 2)
    by_y, by_log = numbers(shape, 1.0, 3), numbers((2, 1, 500), 1.0, 4)
    room, splines = room_of(raw, x)
    y, log = splines.forward(room)
    by_x = splines.backward(room, by_y, by_log)
    raw.requires_grad_()
    x = x.clone().requires_grad_()
    table = rq.knots(raw, bins, BOUND)
    expected = rq.evaluate(x, rq.gather(table, rq.locate(x, table.x)))
    ((expected[0] * by_y).sum() + (expected[1] * by_log).sum()).backward()  # type: ignore[no-untyped-call]
    assert raw.grad is not None
    assert x.grad is not None
    assert (x.abs() > BOUND).any()
    for found, exact in zip((y, log, by_x, room.raw), (*expected, x.grad, raw.grad), strict=True):
        torch.testing.assert_close(found, exact.detach(), rtol=1e-9, atol=1e-10)


@given(
    scale=st.sampled_from([0.0, 1.0, 30.0, 1e3, 1e6]),
    far=st.sampled_from([1e-30, 1.0, BOUND, 1e3, 1e6]),
    bins=st.integers(2, 9),
    seed=st.integers(0, 2**31),
)
def test_extremes_are_finite_and_monotone(scale: float, far: float, bins: int, seed: int) -> None:
    # Of raw parameters that are far apart, one bin takes all there is, and slopes are minimal.
    x = torch.sort(numbers((1, 2, 64), 1.0, seed) * far).values.float()
    one = numbers((1, 2, 3 * bins - 1, 1), scale, seed + 1).float()
    room, splines = room_of(one.expand(-1, -1, -1, 64).contiguous(), x)
    y, log = splines.forward(room)
    assert torch.isfinite(y).all()
    assert torch.isfinite(log).all()
    step = y.diff(dim=2)
    assert (step >= -1e-5 * (1.0 + y[..., 1:].abs())).all()
    by_x = splines.backward(room, y, torch.ones(1, 1, 64))
    assert torch.isfinite(by_x).all()
    assert torch.isfinite(room.raw).all()
