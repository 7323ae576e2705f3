"""`DiffusionTrainer`: the network of the ring study, one or many members at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.density.diffusion import CosineNoise, DiffusionCore, NoisingPath
from verisimile.density.mapped import MappedSampler
from verisimile.density.path_training import PathSchedule, train_paths
from verisimile.density.protocol import FittedSampler
from verisimile.density.residual_network import NetworkShape, numbers
from verisimile.density.students import prepare
from verisimile.density.torch_scope import CPU, Placement
from verisimile.density.training import Schedule

__all__ = ["DiffusionTrainer"]


@dataclass(frozen=True, slots=True)
class DiffusionTrainer:
    r"""Denoising diffusion with a residual perceptron, a sampler without density.

    .. math:: L = E_{t, \epsilon, z} \left\| \epsilon
              - \hat\epsilon(\sqrt{\bar\alpha_t} z + \sqrt{1 - \bar\alpha_t}\,\epsilon, t)
              \right\|^2

    The defaults are the network, noise and step size of the published ring
    study, with standardised features and a much shorter schedule (it trains for
    10 000 epochs and more).  Two things differ on purpose: the steps t are drawn
    for each event from all T (there one t per batch, and neither the first nor
    the last), and the last step of the sampler adds no noise.

    Parameters
    ----------
    depth, width, inner
        Residual blocks, their width and that of their inside.
    steps
        T.
    learning_rate, batch, epochs, clip
        Adam, with a constant step size, as published.
    decay
        Let the step size fall along half a cosine: far better draws after a short training.
    keep
        The epoch whose network is kept: ``"last"``, as published, or that with
        the ``"best"`` validation loss, which says little about the draws.

    Raises
    ------
    InputError
        If a setting is out of range.

    References
    ----------
    Ho, Jain and Abbeel, *Denoising Diffusion Probabilistic Models* (2020), eq. 14.
    """

    depth: int = 4
    width: int = 128
    inner: int = 256
    steps: int = 100
    learning_rate: float = 2e-3
    batch: int = 500
    epochs: int = 200
    clip: float = 1.0
    decay: bool = False
    keep: Literal["last", "best"] = "last"

    def __post_init__(self) -> None:
        self.shape(1)
        CosineNoise(self.steps)
        positive = ("learning_rate", "batch", "epochs", "clip")
        wrong = {name: getattr(self, name) for name in positive if not getattr(self, name) > 0}
        if self.keep not in ("last", "best"):
            wrong["keep"] = self.keep
        if wrong:
            raise InputError(
                "DiffusionTrainer",
                got=repr(wrong),
                expected="positive settings, keep 'last' or 'best'",
            )

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {"family": DiffusionCore.family, "version": 1, **asdict(self)}

    def shape(self, d: int) -> NetworkShape:
        """Return the size of the network for `d` features; it sees t as a whole number."""
        return NetworkShape(d, self.depth, self.width, self.inner, 16, 1.0)

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> FittedSampler:
        """Train one sampler; the same arguments give the same bits.

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
    ) -> list[FittedSampler]:
        """Train several samplers as one batched job, each as `fit` would up to rounding.

        `placement` says on which device, or with how many threads.

        Raises
        ------
        InputError
            Also if the training samples have different sizes.
        NumericsError
            If a loss is no longer finite.
        """
        started = time.perf_counter()
        maps, students = prepare(members, 0)
        shape = self.shape(members[0][0].d)
        steps = Schedule(self.learning_rate, self.batch, self.epochs, self.epochs, self.clip)
        schedule = PathSchedule(steps, decay=self.decay, keep=self.keep)
        outcome = train_paths(
            shape, NoisingPath(CosineNoise(self.steps)), students, schedule, placement
        )
        seconds = (time.perf_counter() - started) / len(members)
        return [
            FittedSampler(
                MappedSampler(
                    DiffusionCore(shape, numbers(outcome.parameters, m), self.steps), input_map
                ),
                curves.training,
                curves.validation,
                curves.best,
                {"seconds": seconds, "loss": "denoising"},
            )
            for m, (input_map, curves) in enumerate(zip(maps, outcome.curves, strict=True))
        ]
