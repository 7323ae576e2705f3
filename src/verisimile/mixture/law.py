"""The law of the weights around their fit: normal, inside of positive densities, or refits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from verisimile.core.arrays import Array, digest
from verisimile.mixture.fit import WeightFit
from verisimile.stats.linalg import whitening

_TRAJECTORIES = 8  # without a wall on the way, one already forgets where it began
_BOUNCES = 500  # per trajectory; in a corner of 20 dimensions there are some dozens
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class WeightLaw:
    r"""What the true weights may be, given their fit: :math:`\hat w + L \eta`.

    :math:`\eta \sim N(m, 1)`, restricted to weights whose density is positive at the
    pseudo-events, :math:`1 + G\eta > 0`: the events' likelihood to second order, with every
    positive density as likely as any other beforehand.  A truth is positive everywhere; where
    positivity has stopped the fit, the likelihood alone has its maximum beyond, at
    :math:`\hat w + L m`.

    Attributes
    ----------
    weights
        :math:`\hat w`, ``(M,)``.
    variations
        L, eigen-variations ``(M, r)``: covariance = L L^T.
    walls
        G, relative change of the density at pseudo-events along the variations ``(K, r)``.
    refits
        Weights of the refits of a bootstrap ``(B, M)``, which then are the law; or ``(0, M)``.
    centre
        m, ``(r,)``; zero where positivity does not bind.
    """

    weights: Array
    variations: Array
    walls: Array
    refits: Array
    centre: Array

    @classmethod
    def of(cls, fit: WeightFit) -> WeightLaw:
        """Return the law that a fit claims."""
        members = fit.weights.size
        none = np.empty((0, members))
        variations = whitening(fit.covariance)
        boundary = none if fit.boundary is None else fit.boundary
        refits = none if fit.draws is None else fit.draws
        centre = np.zeros(variations.shape[1])
        if fit.unbounded is not None:
            centre = (fit.unbounded - fit.weights) @ variations / (variations**2).sum(axis=0)
        return cls(fit.weights, variations, boundary @ variations, refits, centre)

    @property
    def digest(self) -> str:
        """Content key."""
        return digest(self.weights, self.variations, self.walls, self.refits, self.centre)

    def varied(self, truth: Array, rng: np.random.Generator) -> Array:
        r"""Return the weights ``(M,)`` that a standard normal vector ``(r,)`` stands for.

        :math:`\hat w + L (m + \mathrm{truth})` if they are allowed, else another draw of
        the law; of a bootstrap the refit of number
        :math:`\lfloor B\,\Phi(\mathrm{truth}_1)\rfloor`.  Zero is the fit itself.
        """
        if not truth.any():
            return self.weights
        if self.refits.size:
            number = int(self.refits.shape[0] * float(ndtr(truth[0])))
            return np.asarray(self.refits[min(number, self.refits.shape[0] - 1)])
        shifted = self.centre + truth
        if float((self.walls @ shifted).min(initial=0.0)) <= -1.0:
            shifted = restricted_normal(self.walls, rng, centre=self.centre)
        return np.asarray(self.weights + self.variations @ shifted)


def restricted_normal(
    walls: Array, rng: np.random.Generator, *, centre: Array | None = None
) -> Array:
    r"""Return one draw ``(r,)`` of :math:`x \sim N(m, 1)` given :math:`1 + G x > 0`.

    A particle of unit mass in the potential :math:`|x - m|^2/2` starts at the origin with a
    normal velocity, moves along :math:`m + (x - m) \cos t + v \sin t`, and is reflected
    at the walls: exact Hamiltonian steps of length :math:`\pi/2`, of which none is
    refused, however narrow the polytope is.

    Parameters
    ----------
    walls
        G, ``(K, r)``.
    rng
        Stream of the velocities.
    centre
        m, ``(r,)``, on either side of the walls; the origin unless given.

    References
    ----------
    A. Pakman, L. Paninski, J. Comput. Graph. Statist. 23 (2014) 518.
    """
    m = np.zeros(walls.shape[1]) if centre is None else centre
    level = 1.0 + walls @ m
    x = -m
    for _ in range(_TRAJECTORIES):
        x = _moved(walls, level, x, rng.standard_normal(x.size))
    x = x + m
    lowest = float((walls @ x).min(initial=0.0))
    return x if lowest > -1.0 else np.asarray(x * ((1.0 - _ROUNDING) / -lowest))


def _moved(walls: Array, level: Array, x: Array, v: Array) -> Array:
    left = 0.5 * math.pi
    for _ in range(_BOUNCES):
        time, wall = _first_wall(walls, level, x, v)
        step = min(time, left)
        x, v = x * math.cos(step) + v * math.sin(step), v * math.cos(step) - x * math.sin(step)
        left -= step
        if left <= 0.0:
            break
        normal = walls[wall]
        v = v - 2.0 * float(normal @ v) / float(normal @ normal) * normal
    return np.asarray(x)


def _first_wall(walls: Array, level: Array, x: Array, v: Array) -> tuple[float, int]:
    """Return when and where ``level + G (x cos t + v sin t)`` next falls through zero."""
    along, across = walls @ x, walls @ v
    reach = np.hypot(along, across)
    times = np.full(reach.size, math.inf)
    met = reach > np.abs(level)
    # level + reach cos(t - phase) falls where the sine of t - phase is positive.
    phase = np.arctan2(across[met], along[met])
    times[met] = np.mod(phase + np.arccos(-level[met] / reach[met]), 2.0 * math.pi)
    if not times.size:
        return math.inf, 0
    first = int(np.argmin(times))
    return float(times[first]), first
