"""The functions that tilt a model: capped relative variations and whitened Gaussian bumps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from verisimile.checks.goodness.kernels import Kernels
from verisimile.checks.goodness.null_model import Null
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.mixture.objective import as_log_densities

__all__ = ["TiltFeatures", "bump_directions", "capped_variations"]

_FEWEST = 10.0  # reference events a bump must hold; one of the data then costs it no surprise


@dataclass(frozen=True, slots=True, eq=False)
class TiltFeatures:
    r"""The functions F(x) whose exponential tilts the model.

    The first r are relative variations of the density, held to a length of `cap`:

    .. math:: s(x) = \frac{B(x)}{\max(\hat f(x),\ |B(x)| / \mathrm{cap})}

    |s| is the relative standard error of the density.  Where it exceeds the
    cap, and where the mixture is not positive, the data that fixed the weights
    said nothing; the capped function is one more bounded feature, the same for
    data, toys and reference.  The other v are whitened combinations of bumps.

    Attributes
    ----------
    null
        The model.
    kernels
        Placed kernels, of which only the bumps are used.
    directions
        V, combinations of bumps ``(K, v)``.
    cap
        Largest length of s.
    means
        Means of the bumps' combinations in the reference ``(v,)``, which are taken off.
    """

    null: Null
    kernels: Kernels
    directions: Array
    cap: float
    means: Array

    @classmethod
    def whitened(
        cls, null: Null, kernels: Kernels, *, cap: float, bumps: Array, truncation: float
    ) -> TiltFeatures:
        """Return features whose bumps are whitened where a reference has them at ``(R, K)``."""
        directions = bump_directions(bumps, truncation)
        return cls(null, kernels, directions, cap, bumps.mean(axis=0) @ directions)

    @property
    def rank(self) -> int:
        """Return r, the number of variations."""
        return int(self.null.variations.shape[1])

    def at(self, x: Array, logf: Array) -> tuple[Array, int]:
        """Return F ``(n, r + v)`` at events, and how many of these were capped."""
        out = np.empty((x.shape[0], self.rank + self.means.size))
        out[:, : self.rank], capped = capped_variations(
            logf, self.null.weights, self.null.variations, self.cap
        )
        if self.means.size:
            out[:, self.rank :] = self.kernels.bumps(x) @ self.directions - self.means
        return out, capped


def capped_variations(
    logf: Array, weights: Array, variations: Array, cap: float
) -> tuple[Array, int]:
    """Return s ``(n, r)`` at events with log-densities ``(n, M)``, and how many were capped."""
    matrix = as_log_densities(logf, "log-densities")
    density = np.exp(matrix - matrix.max(axis=1)[:, None])
    varied = density @ variations
    base = density @ weights
    least = np.sqrt((varied * varied).sum(axis=1)) / cap
    floor = np.maximum(base, least)
    # Both vanish only where the mixture is not positive and does not vary.
    out = np.divide(varied, floor[:, None], out=np.zeros_like(varied), where=floor[:, None] > 0.0)
    return out, int((base < least).sum())


def bump_directions(bumps: Array, truncation: float) -> Array:
    """Return combinations ``(K, v)`` of unit variance in the reference, from bumps ``(R, K)``.

    Combinations whose variance is below `truncation` times the largest, after
    each bump was scaled to unit variance, and bumps that hold fewer than ten
    reference events are left out.
    """
    count = bumps.shape[0]
    filled = bumps.sum(axis=0) >= _FEWEST
    size = np.where(filled, bumps.std(axis=0), np.inf)
    if not bumps.shape[1]:
        return np.zeros((0, 0))
    if not filled.any():
        raise InputError(
            "ExponentialTilt.width",
            got=f"{filled.size} bumps, none of which holds {_FEWEST:.0f} of {count} events",
            expected="bumps wide enough for the model to have events in them",
            remedy="Give larger widths, or more reference events.",
        )
    mean = bumps.mean(axis=0)
    covariance = bumps.T @ bumps / count - np.outer(mean, mean)
    values, vectors = linalg.eigh(covariance / np.outer(size, size))
    keep = values > truncation * values[-1]
    return np.ascontiguousarray(vectors[:, keep] / np.sqrt(values[keep]) / size[:, None])
