r"""Transforms of one feature that unfold its support to the whole line.

Values on a bound have no finite image.  They are nudged inwards, and only they:
interior values are transformed exactly, so densities stay normalised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit, ndtr, ndtri

from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON

NUDGE = 2.0**-25
"""Relative distance from a two-sided bound at which values on it are taken to lie:
half the spacing of float32 numbers just below one."""

_LARGEST = float(np.finfo(np.float64).max)
_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


class ColumnTransform(Protocol):
    """A monotone map of one feature from ``[low, high]`` to the line.

    ``forward`` returns ``y`` and ``log |dy/dx|``, both ``(n,)`` and finite for
    every finite ``x`` of the support.  ``inverse`` of any number lies in the
    support.
    """

    @property
    def low(self) -> float:
        """Lower end of the support."""

    @property
    def high(self) -> float:
        """Upper end of the support."""

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return the image and its log-Jacobian."""

    def inverse(self, y: Array) -> Array:
        """Return the preimage."""

    def config(self) -> dict[str, JSON]:
        """Return the constructor's arguments."""


@dataclass(frozen=True, slots=True)
class Identity:
    """No transform: the bounds are recorded, not enforced by `inverse`."""

    low: float = -math.inf
    high: float = math.inf

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return ``x`` and zero."""
        return x, np.zeros_like(x)

    def inverse(self, y: Array) -> Array:
        """Return ``y``."""
        return np.clip(y, -_LARGEST, _LARGEST)

    def config(self) -> dict[str, JSON]:
        """Return the finite bounds."""
        return _finite_bounds(self.low, self.high)


@dataclass(frozen=True, slots=True)
class Log:
    r"""``y = log(x − low)``, or ``y = −log(high − x)`` for an upper bound.

    A value on the bound is taken to lie at the distance `nudge`.  No relative
    distance is natural beside one bound, so `feature_transform` takes half the
    smallest interior distance of the sample: zeros that come from rounding then
    sit where rounding moved them from, not in a far tail.
    """

    low: float = -math.inf
    high: float = math.inf
    nudge: float = NUDGE

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return the image and ``−log`` of the distance to the bound."""
        log_distance = np.log(_off_bound(self.distance(x), self.nudge))
        return (log_distance if self._from_below else -log_distance), -log_distance

    def inverse(self, y: Array) -> Array:
        """Return the bound plus or minus the exponential, at most the largest double."""
        with np.errstate(over="ignore", under="ignore"):
            distance = np.exp(y if self._from_below else -y)
        return np.clip(
            self.low + distance if self._from_below else self.high - distance, -_LARGEST, _LARGEST
        )

    def distance(self, x: Array) -> Array:
        """Return the distance to the bound."""
        return x - self.low if self._from_below else self.high - x

    def config(self) -> dict[str, JSON]:
        """Return the bound and the nudge."""
        return {**_finite_bounds(self.low, self.high), "nudge": self.nudge}

    @property
    def _from_below(self) -> bool:
        return math.isfinite(self.low)


@dataclass(frozen=True, slots=True)
class Logit:
    r"""``y = log(u / (1 − u))`` with ``u = (x − low) / (high − low)``.

    Values on a bound are taken to lie `NUDGE` of the range inside.
    """

    low: float
    high: float

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return the image and ``−log u − log(1 − u) − log(high − low)``."""
        below, above = (np.log(u) for u in _fractions(x, self.low, self.high))
        return below - above, -below - above - math.log(self.high - self.low)

    def inverse(self, y: Array) -> Array:
        """Return the preimage, computed from the nearer bound."""
        return _from_nearer_bound(expit(-np.abs(y)), y, self.low, self.high)

    def config(self) -> dict[str, JSON]:
        """Return the bounds."""
        return _finite_bounds(self.low, self.high)


@dataclass(frozen=True, slots=True)
class Probit:
    r"""``y = Φ⁻¹(u)`` with ``u = (x − low) / (high − low)``.

    A density that does not vanish at the bounds gets Gaussian tails, those of a
    flow's base; the logit would give it exponential ones.  Values on a bound
    are taken to lie `NUDGE` of the range inside, at ``|y| = 5.42``.
    """

    low: float
    high: float

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return the image and ``y²/2 + log √(2π) − log(high − low)``."""
        below, above = _fractions(x, self.low, self.high)
        y = np.where(below <= above, 1.0, -1.0) * ndtri(np.minimum(below, above))
        return y, 0.5 * y**2 + _LOG_SQRT_2PI - math.log(self.high - self.low)

    def inverse(self, y: Array) -> Array:
        """Return the preimage, computed from the nearer bound."""
        return _from_nearer_bound(ndtr(-np.abs(y)), y, self.low, self.high)

    def config(self) -> dict[str, JSON]:
        """Return the bounds."""
        return _finite_bounds(self.low, self.high)


def _finite_bounds(low: float, high: float) -> dict[str, JSON]:
    return {name: value for name, value in (("low", low), ("high", high)) if math.isfinite(value)}


def _off_bound(distance: Array, nudge: float) -> Array:
    return np.where(distance == 0.0, nudge, distance)


def _fractions(x: Array, low: float, high: float) -> tuple[Array, Array]:
    """Return the distances to both bounds in units of the range, each accurate near its own."""
    with np.errstate(under="ignore"):
        below, above = (x - low) / (high - low), (high - x) / (high - low)
    return _off_bound(below, NUDGE), _off_bound(above, NUDGE)


def _from_nearer_bound(fraction: Array, y: Array, low: float, high: float) -> Array:
    with np.errstate(under="ignore"):
        distance = fraction * (high - low)
    # Rounding may step over the far bound when the range is tiny beside its ends.
    return np.clip(np.where(y < 0, low + distance, high - distance), low, high)
