r"""Rational-quadratic splines of a whole stack of members, with their derivatives written out.

The splines are those of `rational_quadratic`.  With :math:`m = \theta (1 - \theta)`,

.. math:: y = y_0 + h\,\frac{A}{D}, \quad A = s\theta^2 + d_0 m, \quad
          D = s\,[\theta^2 + (1-\theta)^2] + (d_0 + d_1)\,m,

.. math:: \log\frac{dy}{dx} = 2 \log s + \log N - 2 \log D, \quad
          N = d_1\theta^2 + 2 s m + d_0 (1-\theta)^2,

the derivatives of a loss L by the raw parameters follow by the chain rule.  No graph is
recorded: the way back needs a few values of the size of x, the shares of the bins, and who is
in which bin.  Bins are chosen by products with zeros and ones, which a processor does faster
than it looks up.

References
----------
Durkan et al., *Neural Spline Flows* (2019), eqs. 4-8 and appendix A.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from verisimile.density.flows.rational_quadratic import MIN_SHARE, MIN_SLOPE


class InBin(NamedTuple):
    r"""Where values are in their bins, all ``(m, d, n)``, in the names of the formulae above.

    `u` is :math:`1 - \theta`, `squares` the sum of both squares, `slopes` that of d0 and d1, and
    `beyond` what a value lies outside of all bins, in units of the bin's width.
    """

    t: Tensor
    u: Tensor
    m: Tensor
    t2: Tensor
    u2: Tensor
    squares: Tensor
    beyond: Tensor
    s: Tensor
    slopes: Tensor
    top: Tensor
    bottom: Tensor
    share: Tensor
    numerator: Tensor
    derivative: Tensor


class _Pair:
    """Room for two numbers of each value: of width and height, or of both ends of a bin."""

    def __init__(self, x: Tensor) -> None:
        m, d, n = x.shape
        self.both = x.new_empty((m, d, 2, n))
        self.one, self.other = self.both.unbind(2)
        # The same for all bins.
        self.each = self.both.unsqueeze(3)
        self.one_each, self.other_each = self.each.unbind(2)


class SplineRoom:
    """What the splines ``(m, d, n)`` of one layer keep for the way back.

    Parameters
    ----------
    x
        Room for the values ``(m, d, n)``.
    raw
        Room for the raw parameters ``(m, d, 3 K - 1, n)``, later for the derivatives by them;
        all layers may have the same.
    """

    def __init__(self, x: Tensor, raw: Tensor) -> None:
        m, d, n = x.shape
        bins = (raw.shape[2] + 1) // 3
        self.x, self.x_rows, self.raw = x, x.unsqueeze(2), raw
        self.raw_sizes = raw[:, :, : 2 * bins].view(m, d, 2, bins, n)
        self.raw_slopes = raw[:, :, 2 * bins :]
        self.shares = x.new_empty((m, d, 2, bins, n))
        self.share_rows = self.shares.view(m * d * 2, bins, n)
        # One for each knot that is at or below the value; the first always, the last never.
        passed = x.new_zeros((m, d, 1, bins + 1, n))
        passed[..., 0, :] = 1.0
        self.low_passed, self.high_passed = passed[..., :-1, :], passed[..., 1:, :]
        self.inner_passed = passed[:, :, 0, 1:-1]
        # One for the bin that holds the value.
        self.here = x.new_empty((m, d, 1, bins, n))
        self.slope_low, self.slope_high = self.here[:, :, 0, 1:], self.here[:, :, 0, :-1]
        self.outermost = self.here[:, :, 0, :: bins - 1]
        self.last = self.here[:, :, :, -1]
        # Width and height of the bin; the slopes at its ends, raw and as they are.
        self.sizes, self.tilts, self.ends = _Pair(x), _Pair(x), _Pair(x)
        self.places: InBin


class Splines:
    """Evaluation and its derivatives, for any number of `SplineRoom` of one size.

    Parameters
    ----------
    x
        A tensor ``(m, d, n)`` of the sizes and the kind of all values.
    bins, bound
        Number of bins K, and B: the bins lie in ``[-B, B]``.
    """

    def __init__(self, x: Tensor, bins: int, bound: float) -> None:
        m, d, n = x.shape
        floor = 2.0 * bound * MIN_SHARE
        spread = 2.0 * bound * (1.0 - MIN_SHARE * bins)
        self.one, self.zero, self.floor, self.spread = (
            x.new_tensor(value) for value in (1.0, 0.0, floor, spread)
        )
        # Knots are a constant plus sums of shares; the last one is B.
        count = torch.arange(bins + 1, dtype=x.dtype, device=x.device)
        self.start = (count * floor - bound).reshape(1, -1, 1)
        self.start[:, -1] = bound
        sums = spread * x.new_ones((bins + 1, bins)).tril(-1)
        sums[-1] = 0.0
        self.sums = sums.expand(m * d * 2, -1, -1)
        self.knots = x.new_empty((m * d * 2, bins + 1, n))
        knots = self.knots.view(m, d, 2, bins + 1, n)
        self.inner_knots = knots[:, :, 0, 1:-1]
        # The knots below the bins; room for numbers of bins once these are read.
        self.table, self.slopes = knots[..., :-1, :], knots[:, :, 0, 2:]
        self.most = x.new_empty((m, d, 2, 1, n))
        self.low, self.high = _Pair(x), _Pair(x)
        self.within = torch.empty_like(x)

    def forward(self, room: SplineRoom) -> tuple[Tensor, Tensor]:
        """Return y and log dy/dx of ``room.x`` for the parameters in ``room.raw``."""
        self._find_bins(room)
        x0, y0 = self.low.one, self.low.other
        w, h, d0, d1 = room.sizes.one, room.sizes.other, room.ends.one, room.ends.other
        place = (room.x - x0).div_(w)
        t = place.clamp(0.0, 1.0)
        u = self.one - t
        m, t2, u2, s = t * u, t * t, u * u, h / w
        squares, slopes = t2 + u2, d0 + d1
        top = (s * t2).addcmul_(d0, m)
        bottom = (s * squares).addcmul_(slopes, m)
        numerator = (d1 * t2).addcmul_(d0, u2).addcmul_(s, m, value=2.0)
        scale, share, beyond = s / bottom, top / bottom, place.sub_(t)
        derivative = (scale * scale).mul_(numerator)
        y = torch.addcmul(y0, h, share).addcmul_(derivative, beyond * w)
        room.places = InBin(
            t, u, m, t2, u2, squares, beyond, s, slopes, top, bottom, share, numerator, derivative
        )
        return y, derivative.log()

    def _find_bins(self, room: SplineRoom) -> None:
        """Fill in sizes and slopes of the values' bins, and their lower corners in ``low``."""
        torch.amax(room.raw_sizes, 3, keepdim=True, out=self.most)
        shares = torch.sub(room.raw_sizes, self.most, out=room.shares).exp_()
        shares.div_(torch.sum(shares, 3, keepdim=True, out=self.most))
        torch.baddbmm(self.start, self.sums, room.share_rows, out=self.knots)
        torch.le(self.inner_knots, room.x_rows, out=room.inner_passed)
        torch.sub(room.low_passed, room.high_passed, out=room.here)
        torch.sum(self.table.mul_(room.here), 3, out=self.low.both)
        sizes, tilts, ends = room.sizes.both, room.tilts, room.ends.both
        torch.sum(torch.mul(room.shares, room.here, out=self.table), 3, out=sizes)
        sizes.mul_(self.spread).add_(self.floor)
        for mine, tilt in ((room.slope_low, tilts.one), (room.slope_high, tilts.other)):
            torch.sum(torch.mul(room.raw_slopes, mine, out=self.slopes), 2, out=tilt)
        # Slopes at the outermost knots are one.
        slopes = functional.softplus(tilts.both).add_(MIN_SLOPE)
        torch.lerp(slopes, self.one, room.outermost, out=ends)

    def backward(self, room: SplineRoom, by_y: Tensor, by_log: Tensor) -> Tensor:
        """Return dL/dx of dL/dy ``(m, d, n)`` and dL/d(log dy/dx) ``(m, 1, n)``.

        ``room.raw`` becomes dL/d(raw parameters).
        """
        p, w = room.places, room.sizes.one
        by_n, by_d = by_log / p.numerator, (by_log + by_log) / p.bottom
        by_tail, over_w = by_y * p.derivative, w.reciprocal()
        d1t, d0u, rest = room.ends.other * p.t, room.ends.one * p.u, p.u - p.t
        # d1 t - d0 u + s (u - t) and (d0 + d1 - 2 s) (u - t): dN/dt / 2 and dD/dt.
        half_n_t = (d1t - d0u).addcmul_(p.s, rest)
        d_t = torch.sub(p.slopes, p.s, alpha=2.0).mul_(rest)
        by_t = (w * by_tail).addcmul_(by_n, half_n_t, value=2.0).addcmul_(by_d, d_t, value=-1.0)
        # Beyond the outer knots the place in the bin does not move.
        within = torch.eq(p.beyond, self.zero, out=self.within)
        by_place = by_t.mul_(within).mul_(over_w)
        # dy/ds, dy/dd0 and dy/dd1 have a factor h m / D^2.
        lever = (by_y * room.sizes.other).mul_(p.m).div_(p.bottom).div_(p.bottom)
        by_s = d1t.mul_(p.t).sub_(d0u.mul_(p.u)).mul_(lever).addcdiv_(by_log, p.s, value=2.0)
        by_s.addcmul_(by_n, p.m, value=2.0).addcmul_(by_d, p.squares, value=-1.0)
        self._slopes_backward(room, lever, by_n, by_d.mul_(p.m))
        # s is h / w, the place (x - x0) / w, and y is y0 + h A / D.
        by_h = by_s.mul_(over_w)
        minus_by_w = (by_h * p.s).addcmul_(by_place, p.t)
        by_h.addcmul_(by_y, p.share)
        torch.sub(minus_by_w, by_place, out=self.low.one)
        torch.sub(by_y, by_h, out=self.low.other)
        torch.neg(minus_by_w, out=self.high.one)
        self.high.other.copy_(by_h)
        self._sizes_backward(room)
        return torch.lerp(by_tail, by_place, within)

    def _slopes_backward(
        self, room: SplineRoom, lever: Tensor, by_n: Tensor, by_d_m: Tensor
    ) -> None:
        """Fill in dL/d(raw slopes) from dL/dN and so on."""
        p, ends = room.places, self.low
        by_d0 = torch.mul(p.s, p.u2, out=ends.one).addcmul_(room.ends.other, p.m).mul_(lever)
        by_d0.addcmul_(by_n, p.u2).sub_(by_d_m)
        by_d1 = torch.mul(by_n, p.t2, out=ends.other)
        by_d1.addcmul_(lever, p.top, value=-1.0).sub_(by_d_m)
        ends.both.mul_(torch.sigmoid(room.tilts.both))
        torch.mul(room.slope_low, ends.one_each, out=room.raw_slopes)
        room.raw_slopes.addcmul_(room.slope_high, ends.other_each)

    def _sizes_backward(self, room: SplineRoom) -> None:
        """Fill in dL/d(raw sizes) from those by the knots at the bin's ends, in x and y.

        A knot is the sum of the shares before it: those below a bin move both its knots.
        """
        self.low.both.mul_(self.spread)
        # The knot at B does not move.
        self.high.both.mul_((self.one - room.last).mul_(self.spread))
        table = torch.mul(room.high_passed, self.low.each, out=self.table)
        table.addcmul_(room.low_passed, self.high.each).mul_(room.shares)
        mean = torch.sum(table, 3, keepdim=True, out=self.most)
        torch.addcmul(table, room.shares, mean, value=-1.0, out=room.raw_sizes)
