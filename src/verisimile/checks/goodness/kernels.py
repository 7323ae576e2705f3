"""Normalised Gaussian kernels, placed by a rule that looks at the model alone."""

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

__all__ = ["SCAN", "Kernels", "Quantiles", "Widths", "kernel_widths", "narrowed"]

# Floors of the widths at two quantiles of distances, with a power law between: in few
# features the quantiles alone leave kernels nearly empty.  Chosen by power, docs/measured.md.
_QUANTILES = (0.0005, 0.01)
_FLOORS = (0.3, 0.75)
SCAN = (0.0005, 0.01, 0.1)  # quantiles of distances whose widths are tested one by one
_AUTO_EVENTS = 500
# Wider, a kernel has mass where the model has none, and in one feature the fit then runs
# away in the tails: t of true models reaches several times its degrees of freedom.
_AUTO_WIDEST = 0.8
_SCORE_BINS = 32
_NARROWER = 0.8
_NARROWINGS = 30


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Kernel widths as quantiles of the distances between events of the model.

    At least 0.3 at the 0.05 % quantile, rising to 0.75 at 1 %, which only matters
    up to three features; at most 0.8.
    """

    of_distances: tuple[float, ...] = _QUANTILES

    def __post_init__(self) -> None:
        if not self.of_distances or not all(0 < q < 1 for q in self.of_distances):
            raise InputError("Quantiles", got=repr(self), expected="probabilities between 0 and 1")


Widths = float | tuple[float, ...] | Quantiles


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

    @classmethod
    def at(
        cls,
        reference: Events,
        count: int,
        width: Widths,
        probes: int,
        rng: np.random.Generator,
    ) -> Kernels:
        """Return kernels centred on the first `count` events of a reference sample.

        Parameters
        ----------
        reference
            Events of the model ``(R, d)``.
        count, width
            K, and the widths that take equal shares of them.
        probes
            Draws per kernel.
        rng
            Stream of the probes.
        """
        transform = InputMap.fit(reference, _SCORE_BINS)
        y, _ = transform.forward(reference.x)
        widths = kernel_widths(y, width)
        share = np.array([widths[k % len(widths)] for k in range(count)])
        draws = rng.standard_normal((count, probes, y.shape[1]))
        return cls(transform, frozen(y[:count]), frozen(share), draws)

    @property
    def digest(self) -> str:
        """Content key of centres and widths."""
        return digest(self.centres, self.widths)

    def log_density(self, x: Array) -> Array:
        """Return the kernels' natural log-densities ``(n, K)`` at events ``(n, d)``."""
        y, jacobian = self.transform.forward(x)
        d = self.centres.shape[1]
        log = self._exponents(y)
        log += jacobian[:, None] - d * np.log(self.widths) - 0.5 * d * math.log(2.0 * math.pi)
        return log

    def bumps(self, x: Array) -> Array:
        r"""Return :math:`e^{-|T(x) - c_k|^2 / 2 h_k^2}`, no densities, at events, ``(n, K)``."""
        exponents = self._exponents(self.transform.forward(x)[0])
        with np.errstate(under="ignore"):
            return np.asarray(np.exp(exponents, out=exponents))

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

    def _exponents(self, y: Array) -> Array:
        square = (
            (y * y).sum(axis=1)[:, None]
            - 2.0 * (y @ self.centres.T)
            + (self.centres * self.centres).sum(axis=1)
        )
        np.clip(square, 0.0, None, out=square)
        square *= -0.5 / self.widths**2
        return np.asarray(square)

    def _log_ratio(self, x: Array, each: int, log_prob: Callable[[Array], Array]) -> Array:
        """Return log(k / f) of each kernel at its own `each` events, ``(K, each)``."""
        y, jacobian = self.transform.forward(x)
        shaped = y.reshape(self.widths.size, each, -1)
        pulls = (shaped - self.centres[:, None, :]) / self.widths[:, None, None]
        own = -0.5 * (pulls * pulls).sum(axis=2) + jacobian.reshape(-1, each)
        return np.asarray(own - log_prob(x).reshape(-1, each))


def kernel_widths(y: Array, width: Widths) -> tuple[float, ...]:
    """Return the widths that share the kernels, from events ``(R, d)`` in normal scores."""
    if not isinstance(width, Quantiles):
        return width if isinstance(width, tuple) else (width,)
    found = np.quantile(pdist(y[:_AUTO_EVENTS]), width.of_distances)
    power = math.log(_FLOORS[1] / _FLOORS[0]) / math.log(_QUANTILES[1] / _QUANTILES[0])
    floors = _FLOORS[0] * (np.array(width.of_distances) / _QUANTILES[0]) ** power
    return tuple(float(q) for q in np.clip(found, np.minimum(floors, _AUTO_WIDEST), _AUTO_WIDEST))


def narrowed(kernels: Kernels, log_prob: Callable[[Array], Array], reach: float) -> Kernels:
    """Return kernels narrow enough that kernel over model rises at most `reach` from the centre."""
    for _ in range(_NARROWINGS):
        wide = ~(kernels.overreach(log_prob) <= math.log(reach))
        if not wide.any():
            break
        share = np.where(wide, kernels.widths * _NARROWER, kernels.widths)
        kernels = replace(kernels, widths=frozen(share))
    return kernels
