r"""The objective of an exponential tilt: a log-partition over fixed reference rows.

.. math:: \Phi(\theta) = n \log \frac1R \sum_r e^{F_r \theta} - T \theta
          + \tfrac12 \sum_j q_j (\theta_j - c_j)^2, \qquad T = \sum_n F(x_n)

Data enter through T alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array

__all__ = ["Tilt", "TiltPoint", "covariance_at", "log_partition"]

_BLOCK = 2048  # rows per block: it stays in the cache between its two products


@dataclass(frozen=True, slots=True, eq=False)
class Tilt:
    r"""One fit: n events with feature sums T, the features free along a slice.

    Attributes
    ----------
    reference
        F, features of the reference events, centred there: ``(R, P)``.
    total
        T, their sums over the data ``(P,)``.
    events
        n.
    precision, centre
        q and c ``(P,)``.
    free
        The parameters that are fitted; the others keep their start.
    """

    reference: Array
    total: Array
    events: int
    precision: Array
    centre: Array
    free: slice

    def at(self, theta: Array) -> TiltPoint:
        """Return value and gradient at `theta` ``(P,)``: one pass over the reference."""
        pull = theta - self.centre
        # Null fits have no bumps, and frozen weights often sit at zero: skip those columns.
        used = _span(theta, self.free)
        log_mean, mean, logits = _moments(self.reference[:, used], theta[used])
        value = self.events * log_mean - float(self.total @ theta)
        gradient = self.precision * pull - self.total
        gradient[used] += self.events * mean
        return TiltPoint(
            theta=theta,
            value=value + 0.5 * float(self.precision @ (pull * pull)),
            gradient=gradient[self.free],
            logits=logits,
        )

    def moved(self, point: TiltPoint, step: Array) -> TiltPoint:
        """Return the point that is a step of the free parameters away."""
        theta = point.theta.copy()
        theta[self.free] += step
        return self.at(theta)

    def hessian(self, point: TiltPoint) -> Array:
        """Return the Hessian at a point, along the free parameters."""
        rows = self.reference[:, self.free]
        covariance = covariance_at(rows, np.exp(point.logits) / rows.shape[0])
        return self.events * covariance + np.diag(self.precision[self.free])


@dataclass(frozen=True, slots=True, eq=False)
class TiltPoint:
    """Objective and free gradient at `theta`; `logits` are log p_theta / f at the reference."""

    theta: Array
    value: float
    gradient: Array
    logits: Array


def covariance_at(rows: Array, weights: Array) -> Array:
    """Return the covariance ``(P, P)`` of features under weights that sum to one."""
    p = rows.shape[1]
    gram = np.zeros((p, p))
    root = np.sqrt(weights)
    for start in range(0, rows.shape[0], _BLOCK):
        part = slice(start, start + _BLOCK)
        block = rows[part] * root[part, None]
        gram += block.T @ block  # SYRK
    mean = weights @ rows
    return gram - np.outer(mean, mean)


def log_partition(rows: Array, theta: Array) -> float:
    """Return log Z, the log-mean of exp(F theta) over the reference rows."""
    return _moments(rows, theta)[0]


def _span(theta: Array, free: slice) -> slice:
    """Return the shortest range with all free and all non-zero parameters."""
    used = np.union1d(np.arange(theta.size)[free], np.flatnonzero(theta))
    return slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0)


def _moments(rows: Array, theta: Array) -> tuple[float, Array, Array]:
    """Return log mean exp(F theta), the tilted mean of F, and the log-weights times R."""
    logits = np.empty(rows.shape[0])
    top, total, sums = -math.inf, 0.0, np.zeros(rows.shape[1])
    for start in range(0, rows.shape[0], _BLOCK):
        block = rows[start : start + _BLOCK]
        part = block @ theta
        logits[start : start + _BLOCK] = part
        highest = max(top, float(part.max()))
        kept = math.exp(top - highest)
        weights = np.exp(part - highest)
        total = total * kept + float(weights.sum())
        sums = sums * kept + weights @ block
        top = highest
    log_mean = top + math.log(total / rows.shape[0])
    logits -= log_mean
    return log_mean, sums / total, logits
