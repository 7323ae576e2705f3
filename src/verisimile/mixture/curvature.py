"""The Hessian of a fit, brought up to date only in the rows whose density has moved."""

from __future__ import annotations

import numpy as np

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import NumericsError
from verisimile.mixture.objective import LogLinear
from verisimile.stats.linalg import solve_spd

__all__ = ["Curvature"]

_STALE = 0.1  # relative change of a row's density up to which its old curvature serves
_MOST = 0.2  # share of stale rows from which a fresh matrix is cheaper than a correction
_LOSS = 30.0  # growth of a density after which taking its old term away would cost digits


class Curvature:
    r"""A Hessian whose row n is that of a reference density :math:`\bar p_n` close to p.

    .. math:: \hat H = \sum_n u_n a_n a_n^T / \bar p_n^2 + \mathrm{diag}(q), \qquad
              |p_n / \bar p_n - 1| \le 0.1

    Rows that have moved further are corrected.  Because
    :math:`H \succeq \hat H / \rho^2` with
    :math:`\rho = \max(1, \max_n p_n / \bar p_n)`, a decrement computed with
    :math:`\hat H` is at least the true one divided by :math:`\rho`: the bound
    is exact, and needs no second Hessian.

    Attributes
    ----------
    hessian
        :math:`\hat H`, ``(P, P)``.
    gradient
        Exact gradient at the density of the last :meth:`move`, ``(P,)``.
    slack
        :math:`\rho \ge 1`.
    """

    def __init__(self, problem: LogLinear, density: Array, theta: Array) -> None:
        self._problem = problem
        self._point = density, theta
        self._reference: Array = density
        self._fresh = True
        self._renew(density, theta)

    def step(self) -> Array:
        """Return the Newton step ``(P,)``.

        Raises
        ------
        NumericsError
            If even a fresh Hessian is not positive definite.
        """
        try:
            return -solve_spd(self.hessian, self.gradient)
        except NumericsError:
            if self._fresh:
                raise
        self._renew(*self._point)  # corrections have cost the digits
        return -solve_spd(self.hessian, self.gradient)

    def move(self, density: Array, theta: Array) -> None:
        """Bring gradient, Hessian and slack to another point."""
        self._point = density, theta
        ratio = density / self._reference
        stale = np.abs(ratio - 1.0) > _STALE
        many = int(stale.sum()) > _MOST * density.size
        if many or float(ratio.max(initial=0.0)) > _LOSS:
            self._renew(density, theta)
            return
        self.gradient = self._problem.gradient(density, theta)
        if stale.any():
            self._correct(density, stale)
            ratio[stale] = 1.0
        self.slack = max(1.0, float(ratio.max(initial=1.0)))

    def _renew(self, density: Array, theta: Array) -> None:
        self.gradient, self.hessian = self._problem.derivatives(density, theta)
        self._reference = density.copy()
        self.slack = 1.0
        self._fresh = True

    def _correct(self, density: Array, stale: BoolArray) -> None:
        new, old = density[stale], self._reference[stale]
        rows = self._problem.design[stale]
        change = self._problem.weights[stale] * (1.0 / (new * new) - 1.0 / (old * old))
        self.hessian = self.hessian + rows.T @ (rows * change[:, None])
        self._reference[stale] = new
        self._fresh = False
