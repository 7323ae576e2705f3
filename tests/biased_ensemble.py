"""Ensembles whose members are all wrong in the same way, and what their errors cover."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.mixture import GaussianMixture

from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.provenance import Seen
from verisimile.density.adapters import adapt
from verisimile.mixture.discrepancy.corrected import CorrectedMixture, correct_mixture
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import member_log_densities

_QUANTILES = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0)


def truth(n: int, rng: np.random.Generator) -> Array:
    """Return events of a law with a skewed feature, a heavy tail and a curved dependence."""
    a = rng.gamma(2.0, 1.0, n)
    b = rng.standard_t(5, n) + 0.3 * (a - 2.0) ** 2
    return np.column_stack([a, b])


def members(count: int, n_train: int, rng: np.random.Generator) -> list[GaussianMixture]:
    """Return mixtures of three Gaussians, too few, each fitted to a bootstrap replica."""
    x = truth(n_train, rng)
    replicas = (x[rng.integers(n_train, size=n_train)] for _ in range(count))
    return [
        GaussianMixture(3, random_state=seed, reg_covar=1e-3).fit(replica)
        for seed, replica in enumerate(replicas)
    ]


def fitted(parts: list[GaussianMixture], events: Events) -> Mixture:
    """Return the mixture of given members with weights fitted to events."""
    densities = [adapt(part) for part in parts]
    fit = fit_weights(member_log_densities(densities, events.x))
    provenance = (Seen.of("weight-fit", events),)
    return Mixture(densities, fit, features=events.features, provenance=provenance)


def corrected(
    mixture: Mixture, events: Events, seed: int, settings: Discrepancy
) -> CorrectedMixture:
    """Return a mixture with the discrepancy of the events of its fit."""
    return correct_mixture(Run(Seeds(seed)), mixture, events, settings)


class Observables:
    """Bins of both features between quantiles, and boxes: indicators ``(n, O)`` of events."""

    def __init__(self, x: Array, boxes: int, rng: np.random.Generator) -> None:
        edges = [np.quantile(column, _QUANTILES) for column in x.T]
        for each in edges:
            each[0], each[-1] = -np.inf, np.inf
        self._bins = edges
        low = rng.uniform(0.0, 0.7, (boxes, 2))
        high = low + rng.uniform(0.1, 0.3, (boxes, 2))
        self._boxes = [
            (np.array([np.quantile(x[:, j], (low[k, j], high[k, j])) for j in (0, 1)]))
            for k in range(boxes)
        ]

    def __call__(self, x: Array) -> npt.NDArray[np.float64]:
        parts = [
            (x[:, j, None] >= edges[:-1]) & (x[:, j, None] < edges[1:])
            for j, edges in enumerate(self._bins)
        ]
        boxes = [
            ((x >= box[:, 0]) & (x < box[:, 1])).all(axis=1, keepdims=True) for box in self._boxes
        ]
        return np.hstack([*parts, *boxes]).astype(np.float64)
