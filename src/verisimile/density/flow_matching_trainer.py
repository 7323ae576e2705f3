"""`FlowMatchingTrainer`: a continuous flow without integrals in its training."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from verisimile.core.canonical import JSON
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.density.flow_matching import ContinuousFlowCore, StraightPath
from verisimile.density.mapped import MappedDensity
from verisimile.density.path_training import PathSchedule, train_paths
from verisimile.density.protocol import Fitted
from verisimile.density.residual_network import NetworkShape, numbers
from verisimile.density.settings import require_positive
from verisimile.density.students import prepare
from verisimile.density.torch_scope import CPU, Placement
from verisimile.density.training import Schedule

__all__ = ["FlowMatchingTrainer"]


@dataclass(frozen=True, slots=True)
class FlowMatchingTrainer:
    r"""Conditional flow matching along straight paths.

    .. math:: L = E_{t, \epsilon, z} \left\| v\big((1-t)\epsilon + t z, t\big)
                  - (z - \epsilon) \right\|^2

    The curves of the training are this loss, not a likelihood.

    Parameters
    ----------
    depth, width, inner
        Residual blocks of the velocity field, their width and that of their inside.
    marginal_bins
        Quantile bins of the features' Gaussianisation; 0 leaves standardisation alone.
    learning_rate, batch, epochs, patience, clip
        Adam on half a cosine, with early stopping on the validation loss.
    tolerance
        Of the Runge–Kutta method: see `flow_matching.ContinuousFlowCore`.

    Raises
    ------
    InputError
        If a setting is out of range.

    References
    ----------
    Lipman et al., *Flow Matching for Generative Modeling* (2023), eq. 20–23.
    Chen et al., *Neural Ordinary Differential Equations* (2018).
    """

    depth: int = 2
    width: int = 64
    inner: int = 64
    marginal_bins: int = 0
    learning_rate: float = 5e-3
    batch: int = 256
    epochs: int = 100
    patience: int = 30
    clip: float = 5.0
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        self.shape(1)
        require_positive(self)

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {"family": ContinuousFlowCore.family, "version": 2, **asdict(self)}

    def shape(self, d: int) -> NetworkShape:
        """Return the size of the velocity field for `d` features."""
        return NetworkShape(d, self.depth, self.width, self.inner, 16, 4.0)

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted:
        """Train one flow; the same arguments give the same bits.

        Raises
        ------
        InputError
            For negative weights, a constant feature, or different features.
        NumericsError
            If the loss is no longer finite.
        """
        return self.fit_many([(training, validation, seeds)])[0]

    def fit_many(
        self, members: Sequence[tuple[Events, Events, Seeds]], placement: Placement = CPU
    ) -> list[Fitted]:
        """Train several flows as one batched job, each as `fit` would up to rounding.

        `placement` says on which device, or with how many threads.

        Raises
        ------
        InputError
            Also if the training samples have different sizes.
        NumericsError
            If a loss is no longer finite.
        """
        started = time.perf_counter()
        maps, students = prepare(members, self.marginal_bins)
        shape = self.shape(members[0][0].d)
        steps = Schedule(self.learning_rate, self.batch, self.epochs, self.patience, self.clip)
        outcome = train_paths(
            shape,
            StraightPath(),
            students,
            PathSchedule(steps, decay=True, keep="best"),
            placement,
        )
        seconds = (time.perf_counter() - started) / len(members)
        return [
            Fitted(
                MappedDensity(self._core(shape, numbers(outcome.parameters, m)), input_map),
                curves.training,
                curves.validation,
                curves.best,
                {"seconds": seconds, "loss": "flow matching"},
            )
            for m, (input_map, curves) in enumerate(zip(maps, outcome.curves, strict=True))
        ]

    def _core(
        self, shape: NetworkShape, parameters: Mapping[str, npt.NDArray[np.float32]]
    ) -> ContinuousFlowCore:
        return ContinuousFlowCore(shape, parameters, self.tolerance)
