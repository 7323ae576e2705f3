"""`KernelDensityTrainer`: a Gaussian kernel at every training event."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import KernelDensity

from verisimile.core.arrays import Array, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.data.events import Events, match_features
from verisimile.density.input_map import InputMap
from verisimile.density.mapped import MappedDensity, WithoutCache, register_core
from verisimile.density.protocol import Fitted
from verisimile.density.training import refuse_signed

_FAMILY = "kernel-density"


@dataclass(frozen=True, slots=True, eq=False)
class KernelCore(WithoutCache):
    r"""Gaussian kernels: :math:`q(z) = \sum_n u_n N(z; z_n, h^2)`, with :math:`\sum_n u_n = 1`.

    The `points` ``(N, d)`` have `weights` ``(N,)`` that are not negative; the `bandwidth` h is
    in standard deviations of a feature.
    """

    points: Array
    weights: Array
    bandwidth: float
    _tree: KernelDensity = field(init=False, repr=False)

    family = _FAMILY

    def __post_init__(self) -> None:
        used = self.weights > 0
        tree = KernelDensity(bandwidth=self.bandwidth)
        tree.fit(self.points[used], sample_weight=self.weights[used])
        object.__setattr__(self, "_tree", tree)

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return int(self.points.shape[1])

    def log_prob(self, z: Array) -> Array:
        """Return log-densities ``(n,)``."""
        # Beyond 1e100 the tree meets inf - inf; the density is zero long before.
        return np.asarray(self._tree.score_samples(z.clip(-1e100, 1e100)))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return draws ``(n, d)``: a training event, and Gaussian noise of width h."""
        which = rng.choice(len(self.points), size=n, p=self.weights)
        noise = rng.standard_normal((n, self.n_features))
        return np.asarray(self.points[which] + self.bandwidth * noise)

    def payload(self) -> Payload:
        """Return what `register_core` stores."""
        return Payload(
            {"points": self.points, "weights": self.weights}, {"bandwidth": self.bandwidth}
        )


@dataclass(frozen=True, slots=True)
class KernelDensityTrainer:
    r"""Gaussian kernel density of standardised features.

    The bandwidth by Scott's rule is

    .. math:: h = n_{\mathrm{eff}}^{-1/(d + 4)}, \qquad
              n_{\mathrm{eff}} = (\sum u)^2 / \sum u^2 ,

    best for one Gaussian and too wide for anything with structure; by
    ``"validation"`` it is the multiple of Scott's with the largest mean
    log-density of the validation events, which must share none with the
    training events: at a repeated event the density grows without bound as h
    falls.

    Parameters
    ----------
    bandwidth
        ``"validation"``, ``"scott"``, or h itself in standard deviations.
    factors
        Multiples of Scott's width to try.

    References
    ----------
    Scott, *Multivariate Density Estimation* (1992).
    """

    bandwidth: Literal["validation", "scott"] | float = "validation"
    factors: tuple[float, ...] = (1.0, 0.7, 0.5, 0.35, 0.25, 0.17, 0.12, 0.08)

    def __post_init__(self) -> None:
        known = self.bandwidth in ("validation", "scott")
        number = isinstance(self.bandwidth, int | float) and 0 < self.bandwidth < math.inf
        require(
            (known or number) and self.factors and min(self.factors) > 0,
            "KernelDensityTrainer",
            got=f"bandwidth={self.bandwidth!r}, factors={self.factors!r}",
            expected="'validation', 'scott' or a positive number; positive factors",
        )

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {"family": _FAMILY, "version": 1, **asdict(self), "factors": list(self.factors)}

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted[MappedDensity]:  # noqa: ARG002
        """Place the kernels; nothing here is random.

        The curves have one value per bandwidth that was tried.

        Raises
        ------
        InputError
            For negative weights, a constant feature, or different features.
        """
        started = time.perf_counter()
        validation = match_features(validation, training.features)
        refuse_signed(training, "training")
        refuse_signed(validation, "validation")
        input_map = InputMap.fit(training, 0)
        z, log_jacobian = input_map.forward(training.x)
        weights = _shares(training)
        widths = self._widths(weights, training.d)
        models = [MappedDensity(KernelCore(frozen(z), weights, h), input_map) for h in widths]
        curve = np.array([_mean_loss(model, validation) for model in models])
        best = int(np.argmin(curve))
        return Fitted(
            models[best],
            # Leaving no event out, it falls with h whatever the truth.
            np.array([_own_loss(m, z, log_jacobian, weights) for m in models]),
            curve,
            best,
            {"seconds": time.perf_counter() - started, "bandwidth": widths[best]},
        )

    def _widths(self, weights: Array, d: int) -> list[float]:
        if isinstance(self.bandwidth, int | float):
            return [float(self.bandwidth)]
        scott = float((weights**2).sum() ** (1.0 / (d + 4)))
        return [scott * f for f in (self.factors if self.bandwidth == "validation" else (1.0,))]


def _shares(events: Events) -> Array:
    weights = np.ones(events.n) if events.weights is None else events.weights
    return frozen(weights / weights.sum())


def _mean_loss(model: MappedDensity, events: Events) -> float:
    return -float((_shares(events) * model.log_prob(events.x)).sum())


def _own_loss(model: MappedDensity, z: Array, log_jacobian: Array, weights: Array) -> float:
    few = slice(0, 1000)
    losses = -(model.core.log_prob(z[few]) + log_jacobian[few])
    return float(np.average(losses, weights=weights[few]))


def _rebuild(meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> KernelCore:
    return KernelCore(frozen(arrays["points"]), frozen(arrays["weights"]), meta["bandwidth"])


register_core(_FAMILY, MappedDensity, _rebuild)
