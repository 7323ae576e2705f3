r"""Monotone rational-quadratic splines with linear tails, safe in float32.

Between two knots, with :math:`\theta \in [0, 1]` the place in the bin,
:math:`s` its mean slope and :math:`d_0, d_1` the slopes at its ends,

.. math:: y = y_0 + h\,\frac{s\theta^2 + d_0\theta(1-\theta)}{D}, \quad
          \frac{dy}{dx} = \frac{s^2\,[d_1\theta^2 + 2s\theta(1-\theta) + d_0(1-\theta)^2]}{D^2},
          \quad D = s\,[1 - 2\theta(1-\theta)] + (d_0 + d_1)\,\theta(1-\theta).

Every sum above has positive terms only, so nothing can cancel.  Beyond the
outer knots the spline goes on along its tangent.

References
----------
Durkan et al., *Neural Spline Flows* (2019), eqs. 4-8 and appendix A.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

MIN_SHARE = 1e-3  # of a bin in the sum of widths or heights, as in nflows
MIN_SLOPE = 1e-3


class Knots(NamedTuple):
    """Knots of splines: abscissae, ordinates and slopes, each ``(..., K + 1, n)``."""

    x: Tensor
    y: Tensor
    slope: Tensor


class Bins(NamedTuple):
    """One bin for each value, all of the values' shape: lower corner, sizes, end slopes."""

    x: Tensor
    width: Tensor
    y: Tensor
    height: Tensor
    low_slope: Tensor
    high_slope: Tensor


def knots(raw: Tensor, bins: int, bound: float) -> Knots:
    r"""Return the knots on :math:`[-B, B]^2` that unconstrained parameters mean.

    Softmax shares of widths and heights and softplus slopes, each with a floor
    of 1e-3, and slope one at both ends.  Of `raw` ``(..., 3 K - 1, n)`` the first K are
    widths, the next K heights, the rest inner slopes; `bins` is K, `bound` B.
    """
    inner = functional.softplus(raw[..., 2 * bins :, :]) + MIN_SLOPE
    one = torch.ones_like(inner[..., :1, :])
    return Knots(
        _edges(raw[..., :bins, :], bound),
        _edges(raw[..., bins : 2 * bins, :], bound),
        torch.cat([one, inner, one], dim=-2),
    )


def locate(values: Tensor, edges: Tensor) -> Tensor:
    """Return the bin of each value ``(..., n)`` among edges ``(..., K + 1, n)``."""
    return (edges[..., 1:-1, :] <= values.unsqueeze(-2)).sum(dim=-2)


def gather(table: Knots, index: Tensor) -> Bins:
    """Return the bin with number `index` ``(..., n)`` of each spline."""
    low = index.unsqueeze(-2)
    high = low + 1
    x, y, low_slope = (values.gather(-2, low).squeeze(-2) for values in table)
    right, top, high_slope = (values.gather(-2, high).squeeze(-2) for values in table)
    return Bins(x, right - x, y, top - y, low_slope, high_slope)


def evaluate(x: Tensor, bins: Bins) -> tuple[Tensor, Tensor]:
    """Return ``y`` and ``log dy/dx``, of the shape of `x`, finite for every finite `x`."""
    raw = (x - bins.x) / bins.width
    theta = raw.clamp(0.0, 1.0)
    slope = bins.height / bins.width
    mixed = theta * (1.0 - theta)
    scale = slope / (slope * (1.0 - 2.0 * mixed) + (bins.low_slope + bins.high_slope) * mixed)
    share = (theta * theta + bins.low_slope / slope * mixed) * scale
    rest = 1.0 - theta
    numerator = bins.high_slope * theta * theta + 2.0 * slope * mixed
    derivative = scale * scale * (numerator + bins.low_slope * rest * rest)
    y = bins.y + bins.height * share + derivative * ((raw - theta) * bins.width)
    return y, derivative.log()


def invert(y: Tensor, bins: Bins) -> Tensor:
    r"""Return ``x`` of the shape of `y`.

    With :math:`\eta` the place of y in the bin and
    :math:`b = d_0 - \eta\,(d_0 + d_1 - 2s)`, the root is

    .. math:: \theta = \frac{2 s \eta}{b + r} = \frac{r - b}{2 (s - b)}, \quad
              r^2 = (b - 2 s \eta)^2 + 4 s^2 \eta (1 - \eta),

    the first form for :math:`b \ge 0`, the second else.  The discriminant is a
    sum of squares: rounding cannot make it negative, as it does in the
    textbook form :math:`b^2 - 4ac`.
    """
    raw = (y - bins.y) / bins.height
    eta = raw.clamp(0.0, 1.0)
    slope = bins.height / bins.width
    linear = bins.low_slope - eta * (bins.low_slope + bins.high_slope - 2.0 * slope)
    lift = 2.0 * slope * eta
    root = ((linear - lift).square() + 2.0 * slope * lift * (1.0 - eta)).sqrt()
    positive = linear >= 0.0
    top = torch.where(positive, lift, root - linear)
    bottom = torch.where(positive, linear + root, 2.0 * (slope - linear))
    theta = (top / bottom).clamp(0.0, 1.0)
    # The tangents of the tails, flat (zero) inside.
    tail = torch.where(raw < 0.0, bins.low_slope, bins.high_slope)
    return bins.x + theta * bins.width + (raw - eta) * bins.height / tail


def _edges(raw: Tensor, bound: float) -> Tensor:
    bins = raw.shape[-2]
    share = functional.softmax(raw, dim=-2)[..., :-1, :]
    inner = (share * (1.0 - MIN_SHARE * bins) + MIN_SHARE).cumsum(dim=-2) * (2 * bound) - bound
    end = torch.full_like(raw[..., :1, :], bound)
    return torch.cat([-end, inner, end], dim=-2)
