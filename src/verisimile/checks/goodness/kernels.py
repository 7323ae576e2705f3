"""Alternatives made of normalised Gaussian kernels with zero total mass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.distance import pdist

from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.density.input_map import InputMap

__all__ = ["GaussianKernels", "Kernels", "kernel_widths"]

_AUTO_QUANTILES = (0.0005, 0.01)
_AUTO_NARROWEST = (0.05, 0.2)  # in one feature the quantiles would leave kernels empty
_AUTO_EVENTS = 500
_AUTO_WIDEST = 0.8  # wider than the model's own marginals, a kernel has mass beyond them
_SCORE_BINS = 32
_NARROWER = 0.8
_NARROWINGS = 30


@dataclass(frozen=True, slots=True)
class GaussianKernels:
    r"""Settings of the alternative :math:`p_1 = p_0 + \sum_k a_k k_k(x)`, :math:`\sum_k a_k = 0`.

    Attributes
    ----------
    count
        K, number of kernels.
    width
        Standard deviation of the kernels in normal scores: coordinates in which
        each feature of the model is about N(0, 1).  A tuple gives each width an
        equal share of the kernels; None takes the 0.05 and 1 % quantiles of the
        distances between reference events, at least 0.05 and 0.2 (which they are
        up to two features; 0.35 and 0.75 for four), at most 0.8.  One narrow width is blind in many
        dimensions, one wide width is blind to narrow defects.
    reference
        R, events drawn once from the model; centres are the first K of them.
    probes
        Events drawn from each kernel.  They join the reference events as
        barrier: where a kernel reaches beyond the model, only they keep the
        alternative positive.
    reach
        A kernel is narrowed until, at all its probes, kernel over model is at
        most this factor above its value at the centre.  Otherwise a wide kernel
        beside an edge of phase space has its mass where no event can be.
    barrier
        Weight of each barrier event in both fits: without them a kernel can run
        to minus infinity where no test event lies.
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
    probes: int = 10
    reach: float = 100.0
    barrier: float = 0.01
    ridge: float = 0.0
    truncation: float = 1e-6

    def __post_init__(self) -> None:
        widths = self.width if isinstance(self.width, tuple) else (self.width or 1.0,)
        good = (
            self.count >= 2
            and self.reference >= self.count
            and all(w > 0 for w in widths)
            and self.probes >= 1
            and self.reach >= 1
            and self.barrier > 0
            and self.ridge >= 0
            and 0 < self.truncation < 1
        )
        if not good:
            raise InputError(
                "GaussianKernels",
                got=repr(self),
                expected="count >= 2, reference >= count, width > 0, probes >= 1, reach >= 1, "
                "barrier > 0, ridge >= 0, 0 < truncation < 1",
            )

    def place(
        self,
        reference: Events,
        log_prob: Callable[[Array], Array],
        rng: np.random.Generator,
    ) -> Kernels:
        """Return kernels centred on the first events of a reference sample.

        The rule looks at the model alone, so that data and toys face the same
        alternative.

        Parameters
        ----------
        reference
            Events of the model ``(R, d)``.
        log_prob
            The model's log-density.
        rng
            Stream of the probes.
        """
        transform = InputMap.fit(reference, _SCORE_BINS)
        y, _ = transform.forward(reference.x)
        widths = kernel_widths(self.width, y)
        share = np.array([widths[k % len(widths)] for k in range(self.count)])
        kernels = Kernels(
            transform,
            frozen(y[: self.count]),
            frozen(share),
            rng.standard_normal((self.count, self.probes, y.shape[1])),
        )
        for _ in range(_NARROWINGS):
            wide = ~(kernels.overreach(log_prob) <= math.log(self.reach))
            if not wide.any():
                break
            share = np.where(wide, share * _NARROWER, share)
            kernels = replace(kernels, widths=frozen(share))
        return kernels


def kernel_widths(width: float | tuple[float, ...] | None, y: Array) -> tuple[float, ...]:
    """Return the widths that a setting means for reference events `y` in normal scores."""
    if isinstance(width, tuple):
        return width
    if width is not None:
        return (width,)
    distances = pdist(y[:_AUTO_EVENTS])
    quantiles = np.quantile(distances, _AUTO_QUANTILES)
    return tuple(float(q) for q in np.clip(quantiles, _AUTO_NARROWEST, _AUTO_WIDEST))


@dataclass(frozen=True, slots=True, eq=False)
class Kernels:
    r"""Placed kernels: normalised densities in original units.

    .. math:: k_k(x) = \mathcal N(T(x); c_k, h_k^2 I)\, |\partial T / \partial x|

    Attributes
    ----------
    transform
        T, from the features' support to normal scores.
    centres, widths
        ``(K, d)`` and ``(K,)``, in these coordinates.
    probes
        P standard normal draws per kernel ``(K, P, d)``, see :meth:`probe_events`.
    """

    transform: InputMap
    centres: Array
    widths: Array
    probes: Array

    @property
    def digest(self) -> str:
        """Content key of centres and widths."""
        return digest(self.centres, self.widths)

    def log_density(self, x: Array) -> Array:
        """Return the kernels' natural log-densities ``(n, K)`` at events ``(n, d)``."""
        y, jacobian = self.transform.forward(x)
        square = self._exponents(y)
        d = self.centres.shape[1]
        square += jacobian[:, None] - d * np.log(self.widths) - 0.5 * d * math.log(2.0 * math.pi)
        return square

    def bumps(self, x: Array) -> Array:
        r"""Return :math:`\exp(-|T(x) - c_k|^2 / 2 h_k^2) \in [0, 1]`, ``(n, K)``: no densities."""
        y, _ = self.transform.forward(x)
        exponents = self._exponents(y)
        with np.errstate(under="ignore"):
            return np.asarray(np.exp(exponents, out=exponents))

    def _exponents(self, y: Array) -> Array:
        square = (
            (y * y).sum(axis=1)[:, None]
            - 2.0 * (y @ self.centres.T)
            + (self.centres * self.centres).sum(axis=1)
        )
        np.clip(square, 0.0, None, out=square)
        square *= -0.5 / self.widths**2
        return np.asarray(square)

    def probe_events(self) -> Array:
        """Return the kernels' own events ``(K P, d)`` in original units."""
        y = self.centres[:, None, :] + self.widths[:, None, None] * self.probes
        return self.transform.inverse(y.reshape(-1, y.shape[2]))

    def overreach(self, log_prob: Callable[[Array], Array]) -> Array:
        r"""Return how far kernel over model rises from the centre to the probes, ``(K,)``.

        .. math:: \max_z \log \frac{k(z)}{\hat f(z)} - \log \frac{k(c)}{\hat f(c)}
        """
        k, count, _ = self.probes.shape
        at_probes = self._log_ratio(self.probe_events(), count, log_prob)
        at_centres = self._log_ratio(self.transform.inverse(self.centres), 1, log_prob)
        return np.asarray((at_probes - at_centres).reshape(k, count).max(axis=1))

    def _log_ratio(self, x: Array, each: int, log_prob: Callable[[Array], Array]) -> Array:
        """Return log(k / f) of each kernel at its own `each` events, ``(K, each)``."""
        y, jacobian = self.transform.forward(x)
        shaped = y.reshape(self.widths.size, each, -1)
        pulls = (shaped - self.centres[:, None, :]) / self.widths[:, None, None]
        own = -0.5 * (pulls * pulls).sum(axis=2) + jacobian.reshape(-1, each)
        return np.asarray(own - log_prob(x).reshape(-1, each))
