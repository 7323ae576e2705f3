"""Penalised weighted logistic regressions of many labelings at once, by Newton and CG."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from verisimile.core.arrays import Array, BoolArray

__all__ = ["Logistic", "LogisticFit"]

_GAP = 1e-11
_OUTER, _INNER = 60, 25
_ARMIJO = 1e-4
_HALVINGS = 30


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFit:
    """Coefficients ``(r, R)``, the fitted f ``(N, R)``, and which columns converged ``(R,)``."""

    coefficients: Array
    values: Array
    converged: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    r"""The loss of R labelings of the same events.

    .. math:: J(\beta) = \sum_i \big[ a_i \log(1 + e^{-f_i}) + b_i \log(1 + e^{f_i}) \big]
              + \tfrac12 \sum_k \pi_k \beta_k^2, \qquad f = \Psi \beta

    Every column is a convex problem of its own; they share the products with
    :math:`\Psi`.  The basis should make the Hessian at zero nearly the unit
    matrix, so that a few conjugate-gradient steps solve for Newton's.

    Attributes
    ----------
    basis
        :math:`\Psi`, ``(N, r)``.
    penalty
        :math:`\pi`, ``(r,)``.
    data, reference
        Weights a and b, ``(N, R)``.
    """

    basis: Array
    penalty: Array
    data: Array
    reference: Array

    def loss(self, beta: Array) -> Array:
        """Return J of each column ``(R,)`` at coefficients ``(r, R)``."""
        return self._loss(beta, self.basis @ beta)

    def gradient(self, beta: Array) -> Array:
        """Return the gradients ``(r, R)``."""
        return self._gradient(beta, self.basis @ beta)

    def curvature(self, values: Array, direction: Array) -> Array:
        """Return Hessian times direction ``(r, R)`` where f has the given values ``(N, R)``."""
        share = special.expit(values)
        bend = (self.data + self.reference) * share * (1.0 - share)
        return self._product(bend, direction)

    def minimise(self) -> LogisticFit:
        """Minimise all columns from zero.

        A column has converged when Newton's decrement, twice the distance of
        J from its minimum, is below 1e-11: t is no minimum where J is, and feels the root of it.
        """
        beta = np.zeros((self.basis.shape[1], self.data.shape[1]))
        values = np.zeros(self.data.shape)
        open_ = np.arange(beta.shape[1])
        for _ in range(_OUTER):
            part = self._columns(open_)
            step, decrement = part._newton(beta[:, open_], values[:, open_])
            going = decrement > _GAP
            open_, step, decrement = open_[going], step[:, going], decrement[going]
            if not open_.size:
                break
            part = self._columns(open_)
            moved, f = part._search(beta[:, open_], values[:, open_], step, decrement)
            beta[:, open_], values[:, open_] = moved, f
        converged = np.ones(beta.shape[1], dtype=np.bool_)
        converged[open_] = False
        return LogisticFit(beta, values, converged)

    def _columns(self, index: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Logistic:
        if index.size == self.data.shape[1]:
            return self
        return Logistic(self.basis, self.penalty, self.data[:, index], self.reference[:, index])

    def _loss(self, beta: Array, values: Array) -> Array:
        # log(1 + e^f) without overflow, many times as fast as logaddexp; log(1 + e^-f) is f less.
        soft = np.maximum(values, 0.0) + np.log1p(np.exp(-np.abs(values)))
        fit = (self.data * (soft - values) + self.reference * soft).sum(axis=0)
        return np.asarray(fit + 0.5 * self.penalty @ beta**2)

    def _gradient(self, beta: Array, values: Array) -> Array:
        share = special.expit(values)
        slope = self.reference * share - self.data * (1.0 - share)
        return np.asarray(self.basis.T @ slope + self.penalty[:, None] * beta)

    def _product(self, bend: Array, direction: Array) -> Array:
        inner = self.basis.T @ (bend * (self.basis @ direction))
        return np.asarray(inner + self.penalty[:, None] * direction)

    def _newton(self, beta: Array, values: Array) -> tuple[Array, Array]:
        """Return Newton's steps by conjugate gradients, and the decrements ``(R,)``."""
        share = special.expit(values)
        bend = (self.data + self.reference) * share * (1.0 - share)
        gradient = self._gradient(beta, values)
        residual = -gradient
        first = np.einsum("kr,kr->r", residual, residual)
        # Tighter near the optimum: superlinear, and no work wasted far from it.
        goal = first * np.minimum(0.1, np.sqrt(first)) ** 2
        step, direction, norm = np.zeros_like(beta), residual.copy(), first.copy()
        for _ in range(_INNER):
            if (norm <= goal).all():
                break
            image = self._product(bend, direction)
            # A column that is done has a tiny residual; its steps are harmless, a 0/0 is not.
            size = _ratio(norm, np.einsum("kr,kr->r", direction, image))
            step += size * direction
            residual = residual - size * image
            new = np.einsum("kr,kr->r", residual, residual)
            direction = residual + _ratio(new, norm) * direction
            norm = new
        return step, np.asarray(-np.einsum("kr,kr->r", step, gradient))

    def _search(
        self, beta: Array, values: Array, step: Array, decrement: Array
    ) -> tuple[Array, Array]:
        """Return the coefficients and f after halving each step until the loss falls enough."""
        along = self.basis @ step
        start = self._loss(beta, values)
        size = np.ones(start.size)
        for _ in range(_HALVINGS):
            moved = beta + size * step
            gain = start - self._loss(moved, values + size * along)
            # Rounding of a loss of many events hides the last, tiny gains.
            short = gain < _ARMIJO * size * decrement - 1e-12 * np.abs(start)
            if not short.any():
                break
            size[short] *= 0.5
        return beta + size * step, values + size * along


def _ratio(above: Array, below: Array) -> Array:
    out = np.zeros_like(above)
    np.divide(above, below, out=out, where=below > 0.0)
    return out
