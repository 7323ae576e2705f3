"""Fréchet distance between two samples, of many relabelings at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.checks.twosample.extrapolation import frechet_distance
from verisimile.checks.twosample.gaussians import distance_of_sums, gaussian_frechet
from verisimile.checks.twosample.weighted_moments import (
    MomentSums,
    mass_moments,
    pair_chunk,
    subset_sums,
)
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import InputError
from verisimile.samples.draws import MassRows

__all__ = ["Frechet", "PreparedFrechet"]

_BLOCKS, _FEW_BLOCKS, _MANY_FEATURES = 16, 4, 256


@dataclass(frozen=True, slots=True)
class Frechet:
    r"""Squared Fréchet distance of the two samples' means and unbiased covariances.

    It sees means, variances and correlations, and nothing else.  Its value is
    biased upwards: by :math:`(1/n + 1/m)(d + d(d + 1)/4)` for equal Gaussians of
    identity covariance.  Permutations share that bias, so the p-value is
    valid; for a value without it, see
    :func:`~verisimile.checks.twosample.extrapolation.frechet_distance`.

    References
    ----------
    As :func:`~verisimile.checks.twosample.gaussians.gaussian_frechet`.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> pooled = rng.normal(size=(400, 2))
    >>> prepared = Frechet().prepare(pooled, np.ones(400), rng)
    >>> bool(prepared.values(np.arange(400)[None] < 200)[0] < 0.1)
    True
    """

    @property
    def name(self) -> str:
        """Name in results."""
        return "frechet"

    @property
    def weights(self) -> str:
        """Relabelings exchange covariances, and with negative weights they need not be such."""
        return "positive"

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> PreparedFrechet:
        """Return the statistic of a pooled sample ``(N, d)`` with weights ``(N,)``."""
        centre = np.average(pooled, axis=0, weights=weights)
        return PreparedFrechet(pooled - centre, weights, int(rng.integers(2**63)))


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFrechet:
    """The pooled sample around its mean, so that sums of squares lose no digits."""

    centred: Array
    weights: Array
    seed: int

    def values(self, labels: BoolArray) -> Array:
        """Return the squared distance ``(R,)`` of relabelings ``(R, N)``."""
        self._check_signs()
        everything = subset_sums(self.centred, self.weights, np.ones_like(labels[:1]))
        chunk = pair_chunk(self.centred.shape[1])
        parts = [labels[start : start + chunk] for start in range(0, labels.shape[0], chunk)]
        return np.concatenate([self._chunk(part, everything) for part in parts])

    def of_masses(self, rows: MassRows) -> Array:
        """Return the squared distance of each pair of mass rows, ``(R,)``.

        Covariances are weighted by masses, without a factor for the number of events; where
        negative masses leave a direction without a positive variance, its root is zero.
        """
        chunk = pair_chunk(self.centred.shape[1])
        return np.concatenate(
            [
                gaussian_frechet(
                    *mass_moments(self.centred, rows.first[start : start + chunk]),
                    *mass_moments(self.centred, rows.second[start : start + chunk]),
                )
                for start in range(0, len(rows.first), chunk)
            ]
        )

    def details(self, labels: BoolArray) -> Mapping[str, float]:
        """Return the value without bias and its error for one labeling ``(1, N)``.

        Nothing with negative weights, or if a sample is too small to be divided into blocks.
        """
        chosen = labels[0]
        blocks = _FEW_BLOCKS if self.centred.shape[1] > _MANY_FEATURES else _BLOCKS
        signed = bool((self.weights < 0.0).any())
        if signed or min(chosen.sum(), (~chosen).sum()) < 2 * blocks:
            return {}
        found = frechet_distance(
            self.centred[chosen],
            self.centred[~chosen],
            np.random.default_rng(self.seed),
            first_weights=self.weights[chosen],
            second_weights=self.weights[~chosen],
            blocks=blocks,
        ).extrapolated
        return {"extrapolated": found.value, "extrapolated error": found.error}

    def _check_signs(self) -> None:
        if (self.weights < 0.0).any():
            raise InputError(
                "weights",
                got=f"{int((self.weights < 0.0).sum())} negative weights",
                expected="weights >= 0: the covariance of a signed sample need not be one",
                remedy="Use a statistic that takes signed weights, such as the kernel distance.",
            )

    def _chunk(self, labels: BoolArray, everything: MomentSums) -> Array:
        first = subset_sums(self.centred, self.weights, labels)
        return distance_of_sums(first, everything.without(first))
