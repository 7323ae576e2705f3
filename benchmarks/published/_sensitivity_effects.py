"""Gaussian mixtures, and what a generator may get wrong of them, each by one number.

Mixtures and the deformations ``mean`` and ``correlation`` are those of S. Grossi, M. Letizia,
R. Torre, arXiv:2409.16336 (sec. 5); the others are the faults that a generator is feared for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from verisimile.core.arrays import Array, IntArray

COMPONENTS = 3
LEAST = 0.1  # weight of the smallest mode, so that it can be missed
_CENTRES, _BUMP, _OUT = 5.0, 0.05, 3.0


@dataclass(frozen=True)
class GaussianModes:
    """Three Gaussians of independent features: weights ``(3,)``, centres and scales ``(3, d)``.

    With `single`, one correlated Gaussian of the same mean and covariance.
    """

    weights: Array
    centres: Array
    scales: Array
    single: bool = False

    @classmethod
    def random(cls, d: int, rng: np.random.Generator) -> GaussianModes:
        """Return centres U(-5, 5), scales U(0, 1), weights U(0, 1) over their sum, as published.

        Weights are drawn again while the smallest is below 0.1.
        """
        while True:
            weights = rng.uniform(size=COMPONENTS)
            if (weights / weights.sum()).min() >= LEAST:
                break
        centres = rng.uniform(-_CENTRES, _CENTRES, (COMPONENTS, d))
        return cls(weights / weights.sum(), centres, rng.uniform(size=(COMPONENTS, d)))

    @cached_property
    def mean(self) -> Array:
        """Mean ``(d,)``."""
        return np.asarray(self.weights @ self.centres)

    @cached_property
    def covariance(self) -> Array:
        """Covariance ``(d, d)``."""
        away = self.centres - self.mean
        return np.asarray(
            (self.weights[:, None] * away).T @ away + np.diag(self.weights @ self.scales**2)
        )

    @property
    def sd(self) -> Array:
        """Standard deviations ``(d,)``."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def smallest(self) -> int:
        """The mode with the least weight."""
        return int(np.argmin(self.weights))


@dataclass(frozen=True)
class Draw:
    """What is random of a sample: the same for all strengths of an effect, so that it grows."""

    mode: IntArray
    other: IntArray  # the mode of an event that comes from elsewhere
    normal: Array
    uniform: Array
    inside: Array

    @classmethod
    def of(cls, modes: GaussianModes, n: int, rng: np.random.Generator) -> Draw:
        """Return the randomness of n events."""
        weights = modes.weights.copy()
        first = rng.choice(COMPONENTS, n, p=weights)
        weights[modes.smallest] = 0.0
        other = rng.choice(COMPONENTS, n, p=weights / weights.sum())
        normal = rng.standard_normal((n, modes.centres.shape[1]))
        return cls(first, other, normal, rng.uniform(size=n), rng.standard_normal(n))

    def events(self, modes: GaussianModes, mode: IntArray | None = None) -> Array:
        """Return the events ``(n, d)``."""
        if modes.single:
            return np.asarray(modes.mean + self.normal @ np.linalg.cholesky(modes.covariance).T)
        at = self.mode if mode is None else mode
        return np.asarray(modes.centres[at] + modes.scales[at] * self.normal)


def _mean(modes: GaussianModes, draw: Draw, size: float, direction: Array) -> Array:
    return draw.events(modes) + size * direction


def _correlation(modes: GaussianModes, draw: Draw, size: float, direction: Array) -> Array:  # noqa: ARG001
    """All correlations times (1 - size)^2, standard deviations as they were: a linear map."""
    covariance, sd = modes.covariance, modes.sd
    wanted = covariance * max(0.0, 1.0 - size) ** 2
    np.fill_diagonal(wanted, sd**2)
    old, new = np.linalg.cholesky(covariance), np.linalg.cholesky(wanted)
    shifted = np.linalg.solve(old, (draw.events(modes) - modes.mean).T)
    return np.asarray(modes.mean + (new @ shifted).T)


def _shift(modes: GaussianModes, draw: Draw, size: float, direction: Array) -> Array:  # noqa: ARG001
    x = draw.events(modes)
    x[:, 0] += size * modes.sd[0]
    return x


def _width(modes: GaussianModes, draw: Draw, size: float, direction: Array) -> Array:  # noqa: ARG001
    x = draw.events(modes)
    x[:, 0] = modes.mean[0] + (1.0 + size) * (x[:, 0] - modes.mean[0])
    return x


def _tail(modes: GaussianModes, draw: Draw, size: float, direction: Array) -> Array:  # noqa: ARG001
    """Move a share of the events out: their deviation in the first feature becomes threefold."""
    x = draw.events(modes)
    chosen = draw.uniform < size
    x[chosen, 0] += (_OUT - 1.0) * (x[chosen, 0] - modes.mean[0])
    return x


def _bump(modes: GaussianModes, draw: Draw, size: float, direction: Array) -> Array:  # noqa: ARG001
    """Put a share of the events within a narrow interval of the first feature, at its mean."""
    x = draw.events(modes)
    chosen = draw.uniform < size
    x[chosen, 0] = modes.mean[0] + _BUMP * modes.sd[0] * draw.inside[chosen]
    return x


def _missing(modes: GaussianModes, draw: Draw, size: float, direction: Array) -> Array:  # noqa: ARG001
    """Take a share of all events from the smallest mode to the others."""
    lost = (draw.mode == modes.smallest) & (draw.uniform < size / modes.weights[modes.smallest])
    return draw.events(modes, np.where(lost, draw.other, draw.mode))


Deformation = Callable[[GaussianModes, Draw, float, Array], Array]
DEFORMATIONS: Mapping[str, Deformation] = {
    "shift": _shift,
    "width": _width,
    "correlation": _correlation,
    "tail": _tail,
    "bump": _bump,
    "missing mode": _missing,
    "mean": _mean,
}


def strengths(effect: str, modes: GaussianModes, steps: int, ratio: float) -> Array:
    """Return growing strengths ``(steps,)`` up to the largest that is meant."""
    most = {
        "shift": 2.0,
        "width": 2.0,
        "correlation": 1.0,
        "tail": 0.6,
        "bump": 0.6,
        "missing mode": float(modes.weights[modes.smallest]),
        "mean": 1.0,
    }[effect]
    return np.asarray(most * ratio ** np.arange(1.0 - steps, 1.0))
