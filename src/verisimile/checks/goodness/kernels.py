"""Alternatives made of normalised Gaussian kernels with zero total mass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist

from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.data.transforms import Chain, feature_transform

__all__ = ["GaussianKernels", "Kernels"]

_AUTO_QUANTILES = (0.005, 0.05, 0.3)
_AUTO_EVENTS = 500


@dataclass(frozen=True, slots=True)
class GaussianKernels:
    r"""Settings of the alternative :math:`p_1 = p_0 + \sum_k a_k k_k(x)`, :math:`\sum_k a_k = 0`.

    Attributes
    ----------
    count
        K, number of kernels.
    width
        Standard deviation of the kernels in standardised coordinates; a tuple
        gives each width an equal share of the kernels; None takes the 0.5, 5
        and 30 % quantiles of the distances between reference events.  One
        narrow width is blind in many dimensions, one wide width is blind to
        narrow defects.
    reference
        R, events drawn once from the model; centres are the first K of them.
    barrier
        Weight of each reference event in both fits: without it an isolated
        kernel can run to minus infinity where no test event lies.
    ridge
        Quadratic penalty on the whitened kernel coefficients, in both fits.
    truncation
        Kernel directions whose relative variance under the model is below this
        fraction of the largest are dropped: they only add noise.

    References
    ----------
    G. Badaracco et al., sec. 2 step 4 (100 kernels of width 0.05).
    """

    count: int = 100
    width: float | tuple[float, ...] | None = None
    reference: int = 2000
    barrier: float = 0.01
    ridge: float = 0.0
    truncation: float = 1e-6

    def __post_init__(self) -> None:
        widths = self.width if isinstance(self.width, tuple) else (self.width or 1.0,)
        good = (
            self.count >= 2
            and self.reference >= self.count
            and all(w > 0 for w in widths)
            and self.barrier > 0
            and self.ridge >= 0
            and 0 < self.truncation < 1
        )
        if not good:
            raise InputError(
                "GaussianKernels",
                got=repr(self),
                expected="count >= 2, reference >= count, width > 0, barrier > 0, ridge >= 0, "
                "0 < truncation < 1",
            )

    def place(self, reference: Events) -> Kernels:
        """Return kernels centred on the first events of a reference sample.

        The rule looks at the model only, so that data and toys face the same
        alternative.
        """
        transform = feature_transform(reference)
        y, _ = transform.forward(reference.x)
        widths = self._widths(y)
        share = np.array([widths[k % len(widths)] for k in range(self.count)])
        return Kernels(transform, frozen(y[: self.count]), frozen(share))

    def _widths(self, y: Array) -> tuple[float, ...]:
        if isinstance(self.width, tuple):
            return self.width
        if self.width is not None:
            return (self.width,)
        distances = pdist(y[:_AUTO_EVENTS])
        return tuple(float(q) for q in np.quantile(distances, _AUTO_QUANTILES))


@dataclass(frozen=True, slots=True, eq=False)
class Kernels:
    r"""Placed kernels: normalised densities in original units.

    .. math:: k_k(x) = \mathcal N(T(x); c_k, h_k^2 I)\, |\partial T / \partial x|

    Attributes
    ----------
    transform
        T, from the features' support to standardised coordinates.
    centres, widths
        ``(K, d)`` and ``(K,)``, in these coordinates.
    """

    transform: Chain
    centres: Array
    widths: Array

    @property
    def digest(self) -> str:
        """Content key of centres and widths."""
        return digest(self.centres, self.widths)

    def log_density(self, x: Array) -> Array:
        """Return the kernels' natural log-densities ``(n, K)`` at events ``(n, d)``."""
        y, jacobian = self.transform.forward(x)
        square = (
            (y * y).sum(axis=1)[:, None]
            - 2.0 * (y @ self.centres.T)
            + (self.centres * self.centres).sum(axis=1)
        )
        np.clip(square, 0.0, None, out=square)
        square *= -0.5 / self.widths**2
        d = self.centres.shape[1]
        square += jacobian[:, None] - d * np.log(self.widths) - 0.5 * d * math.log(2.0 * math.pi)
        return np.asarray(square)
