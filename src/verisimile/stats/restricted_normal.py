"""Draws of a standard normal vector that has to stay inside a polytope around the origin."""

from __future__ import annotations

import math

import numpy as np

from verisimile.core.arrays import Array

_TRAJECTORIES = 8  # without a wall on the way, one already forgets where it began
_BOUNCES = 500  # per trajectory; in a corner of 20 dimensions there are some dozens
_ROUNDING = 1e-9


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
