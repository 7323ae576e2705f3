"""Penalised logistic fits of many labelings of the same events, side by side."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.native import library, pointer
from verisimile.samples.pair_sums import row_blocks
from verisimile.samples.pool import Labels

_GAP = 1e-11
_ROUGH = 1e-5  # decrements down to which gradients in float32 show the way
_STEPS, _TRIES = 200, 40
_OVERSHOOT = 0.25  # of the slope at the start
_PAIRS = 6
_ENTRIES = 200_000  # of f at a time: they stay near the processor
_LARGEST = 600.0  # of f whose exponential is finite

_Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFit:
    r"""What a fit found.

    Attributes
    ----------
    coefficients
        :math:`\beta` of each labeling ``(R, r)``.
    ratio
        Twice the extended log likelihood ratio ``(R,)``,
        :math:`-2 [\sum_R w (e^f - 1) - \sum_D u f]` with the weights w of the reference and u of
        the data.
    converged
        Which labelings converged ``(R,)``.
    """

    coefficients: Array
    ratio: Array
    converged: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    r"""The loss of R labelings of the same events.

    .. math:: J(\beta) = \sum_{i \in R} \rho w_i \log(1 + e^{f_i})
              + \sum_{i \in D} w_i \log(1 + e^{-f_i})
              + \tfrac12 \sum_k \pi_k \beta_k^2, \qquad f = \Psi \beta

    Every labeling is a convex problem of its own; they share the products with
    :math:`\Psi`.  The basis should make the Hessian at zero nearly the unit matrix, so that
    few steps are needed.

    Attributes
    ----------
    basis
        :math:`\Psi`, ``(N, r)``.
    penalty
        :math:`\pi`, ``(r,)``.
    labels
        Which events are of the reference ``(R, N)``; the others are data.
    weights
        w ``(N,)``.
    rates
        :math:`\rho`, ``(R,)``.
    """

    basis: Array
    penalty: Array
    labels: Labels
    weights: Array
    rates: Array

    def loss(self, beta: Array) -> Array:
        """Return J of each labeling ``(R,)`` at coefficients ``(R, r)``."""
        values = np.where(self.labels, 1.0, -1.0) * (beta @ self.basis.T)
        soft = np.maximum(values, 0.0) + np.log1p(np.exp(-np.abs(values)))
        sizes = np.where(self.labels, self.rates[:, None], 1.0)
        return np.asarray((sizes * soft) @ self.weights + 0.5 * beta**2 @ self.penalty)

    def gradient(self, beta: Array) -> Array:
        """Return the gradients ``(R, r)``."""
        return self._at_zero() + self._beyond(beta)[0]

    def minimise(self) -> LogisticFit:
        r"""Minimise all losses from zero, by quasi-Newton steps with one gradient each.

        A labeling has converged when :math:`g^T H^{-1} g`, twice the distance of J from its
        minimum, is below 1e-11: an extended ratio is no minimum where J is, and feels the root
        of it.  Gradients are of float32 as long as any labeling is far from that; none has
        converged before its gradient is one of float64.

        References
        ----------
        D. C. Liu, J. Nocedal, Math. Program. 45 (1989) 503 (the steps).
        """
        open_, start = np.arange(len(self.labels)), self._at_zero()
        found, ratio = np.zeros(start.shape), np.zeros(open_.size)
        converged = np.zeros(open_.size, dtype=np.bool_)
        problem = _Shared(self, start, self.basis.astype(np.float32))
        at, values, exact = _Walk(found.copy(), start, self._metric(), []), ratio.copy(), True
        for _ in range(_STEPS):
            step = at.step()
            decrement = -_dots(at.gradient, step)
            if exact:
                near = decrement <= _GAP
                found[open_], ratio[open_], converged[open_] = at.beta, values, near
                if near.all():
                    break
                kept = np.flatnonzero(~near)
                open_, problem, at = open_[kept], problem.take(kept), at.take(kept)
                step, decrement = step[kept], decrement[kept]
            exact = bool(decrement.max() < _ROUGH)
            at, values = problem.advance(at, step, decrement, exact=exact)
        return LogisticFit(found, ratio, converged)

    def _at_zero(self) -> Array:
        """Return half of the functions' sums over the reference, less those over the data."""
        first = np.zeros((len(self.labels), self.basis.shape[1]))
        for rows in self._rows():
            scaled = self.basis[rows] * self.weights[rows, None]
            first += self.labels[:, rows].astype(np.float64) @ scaled
        total = self.weights @ self.basis
        return np.asarray(0.5 * ((1.0 + self.rates)[:, None] * first - total))

    def _metric(self) -> Array:
        """Return the diagonal of the Hessian at zero, of all labelings ``(r,)``."""
        sizes = self.weights * (0.5 + 0.5 * self.rates.mean())
        bend = np.einsum("n,nr,nr->r", sizes, self.basis, self.basis)
        return np.asarray(0.25 * bend + self.penalty)

    def _beyond(self, beta: Array) -> tuple[Array, Array]:
        r"""Return by how much gradients differ from those at zero ``(R, r)``, and the ratios.

        .. math:: \tfrac12 \Psi^T |a| \tanh \tfrac12 f + \pi \beta, \qquad
                  \tanh \tfrac12 f = \frac{e^f - 1}{e^f + 1}

        with :math:`|a| = \rho w` or w, in which no large terms cancel where f is small.
        """
        total, ratio = np.zeros(beta.shape), np.zeros(len(beta))
        for rows in self._rows():
            values = beta @ self.basis[rows].T
            ratio += _excess(values, self.labels[:, rows], self.weights[rows], self.rates)
            total += values @ self.basis[rows]
        return 0.5 * total + self.penalty * beta, -2.0 * ratio

    def _roughly_beyond(self, beta: Array, basis: _Singles) -> Array:
        """Return the first of these in float32, with the basis in it."""
        total, half = np.zeros(beta.shape), (0.5 * beta).astype(np.float32)
        rates, weights = self.rates.astype(np.float32), self.weights.astype(np.float32)
        plain = bool((rates == 1.0).all())
        for rows in self._rows():
            values = half @ basis[rows].T
            np.tanh(values, out=values)
            if not plain:
                values *= np.where(self.labels[:, rows], rates[:, None], np.float32(1.0))
            total += values @ (basis[rows] * weights[rows, None])
        return 0.5 * total + self.penalty * beta

    def _rows(self) -> Iterator[slice]:
        return row_blocks(len(self.basis), len(self.labels), _ENTRIES, least=64)


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """The labelings that have not converged: loss, gradients at zero, basis in float32."""

    loss: Logistic
    start: Array
    basis: _Singles

    def take(self, index: IntArray) -> _Shared:
        if index.size == len(self.start):
            return self
        loss = replace(self.loss, labels=self.loss.labels[index], rates=self.loss.rates[index])
        return _Shared(loss, self.start[index], self.basis)

    def advance(
        self, at: _Walk, step: Array, decrement: Array, *, exact: bool
    ) -> tuple[_Walk, Array]:
        """Return where the steps lead, shortened where they went too far, and the ratios there.

        Too far is where J ascends by a quarter of the slope with which it descended; the place
        where it is level by the secant of both slopes is then tried.
        """
        size = np.ones(decrement.size)
        gradient, ratio = self._gradient(at.beta + step, exact=exact)
        for _ in range(_TRIES):
            slope = _dots(gradient, step)
            far = np.flatnonzero(slope > _OVERSHOOT * decrement)
            if not far.size:
                break
            size[far] *= decrement[far] / (decrement[far] + slope[far])
            beta = at.beta[far] + size[far, None] * step[far]
            gradient[far], ratio[far] = self.take(far)._gradient(beta, exact=exact)
        return at.to(size[:, None] * step, gradient), ratio

    def _gradient(self, beta: Array, *, exact: bool) -> tuple[Array, Array]:
        if not exact:
            return self.start + self.loss._roughly_beyond(beta, self.basis), np.zeros(len(beta))
        moved, ratio = self.loss._beyond(beta)
        return self.start + moved, ratio


@dataclass(frozen=True, slots=True, eq=False)
class _Walk:
    """Coefficients and gradients ``(R, r)``, a first guess of the Hessian's diagonal ``(r,)``.

    And the last steps with what they did to gradients, and one over their products.
    """

    beta: Array
    gradient: Array
    metric: Array
    pairs: list[tuple[Array, Array, Array]]

    def to(self, step: Array, gradient: Array) -> _Walk:
        change = gradient - self.gradient
        along = _dots(step, change)
        # J is convex: only rounding makes it bend the other way.
        rate = np.divide(1.0, along, out=np.zeros_like(along), where=along > 0.0)
        pairs = [*self.pairs[1 - _PAIRS :], (step, change, rate[:, None])]
        return _Walk(self.beta + step, gradient, self.metric, pairs)

    def take(self, index: IntArray) -> _Walk:
        if index.size == len(self.beta):
            return self
        pairs = [(step[index], change[index], rate[index]) for step, change, rate in self.pairs]
        return _Walk(self.beta[index], self.gradient[index], self.metric, pairs)

    def step(self) -> Array:
        """Return the quasi-Newton steps, along the gradients before any pair is known."""
        out, shares = -self.gradient, []
        for step, change, rate in reversed(self.pairs):
            shares.append(rate * _dots(step, out)[:, None])
            out -= shares[-1] * change
        out /= self.metric
        if self.pairs:
            _, change, rate = self.pairs[-1]
            squares = rate * _dots(change, change / self.metric)[:, None]
            out /= np.where(squares > 0.0, squares, 1.0)
        for (step, change, rate), share in zip(self.pairs, reversed(shares), strict=True):
            out += (share - rate * _dots(change, out)[:, None]) * step
        return out


def _excess(values: Array, labels: Labels, weights: Array, rates: Array) -> Array:
    """Make |a| tanh(f / 2) of values f ``(R, n)``; return the sums that make the ratios ``(R,)``.

    The same to rounding, compiled or not.
    """
    compiled, sums = library(), np.zeros(len(values))
    if compiled is not None and labels.strides[1] == 1:
        compiled.vs_logistic_excess(
            *map(ctypes.c_int64, (*values.shape, labels.strides[0])),
            ctypes.c_void_p(labels.ctypes.data),
            *(pointer(array) for array in (weights, rates, values, sums)),
        )
        return sums
    np.minimum(values, _LARGEST, out=values)
    excess, sizes = np.exp(values) - 1.0, weights * np.where(labels, rates[:, None], 1.0)
    sums = _dots(sizes, np.where(labels, excess, -values))
    np.divide(excess, excess + 2.0, out=values)
    values *= sizes
    return sums


def _dots(left: Array, right: Array) -> Array:
    return np.asarray(np.einsum("rk,rk->r", left, right))
