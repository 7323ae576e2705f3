"""`AdversarialTrainer`: a small GAN, kept as a reference of how generators fail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from verisimile.core.canonical import JSON
from verisimile.core.errors import NumericsError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.density.mapped import MappedSampler
from verisimile.density.protocol import FittedSampler
from verisimile.density.samplers.decoder import DecoderCore, layers_of, perceptron
from verisimile.density.torch_scope import one_thread, seeded
from verisimile.density.training import Student, prepare_one, require_positive


@dataclass(frozen=True, slots=True)
class AdversarialTrainer:
    r"""Generative adversarial network with the non-saturating loss; no density.

    .. math:: L_D = -E \log D(z) - E \log(1 - D(g(u))), \qquad L_G = -E \log D(g(u))

    It is here because it can fail in a known way: badly tuned (one latent normal,
    large steps) it drops modes, and its curves do not say so.  With the defaults it
    reached all eight modes of the ring in a single try.  The curves hold
    :math:`L_D` on training and on validation events.

    Parameters
    ----------
    latent
        Number of normal inputs u.
    hidden
        Width of the two hidden layers of both networks.
    learning_rate, batch, epochs
        Adam with β = (0.5, 0.9); the last epoch is kept.

    Raises
    ------
    InputError
        If a setting is out of range.

    References
    ----------
    Goodfellow et al., *Generative Adversarial Nets* (2014).
    """

    latent: int = 4
    hidden: int = 64
    learning_rate: float = 1e-3
    batch: int = 128
    epochs: int = 100

    def __post_init__(self) -> None:
        require_positive(self)

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {"family": "gan", "version": 1, **asdict(self)}

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> FittedSampler:
        """Train one generator; the same arguments give the same bits.

        Raises
        ------
        InputError
            For negative weights, a constant feature, or different features.
        NumericsError
            If the loss is no longer finite.
        """
        started = time.perf_counter()
        input_map, student = prepare_one(training, validation, seeds, 0)
        with one_thread():
            game = _Game(self, student)
            curves = np.array([game.epoch() for _ in range(self.epochs)])
        if not np.isfinite(curves).all():
            raise NumericsError(
                "GAN training",
                got="losses that are not finite",
                expected="finite losses",
                remedy="Train with a smaller learning_rate.",
            )
        core = DecoderCore("gan", layers_of(game.generator), np.zeros(training.d))
        meta: dict[str, JSON] = {"seconds": time.perf_counter() - started, "loss": "discriminator"}
        model = MappedSampler(core, input_map)
        return FittedSampler(model, curves[:, 0], curves[:, 1], self.epochs - 1, meta)


class _Game:
    def __init__(self, settings: AdversarialTrainer, student: Student) -> None:
        self.settings = settings
        self.student = student
        self.stream = student.seeds.at("shuffle").torch()
        d, hidden = student.training.z.shape[1], settings.hidden
        with seeded(student.seeds.at("initial")):
            self.generator = perceptron(settings.latent, hidden, hidden, d)
            self.critic = perceptron(d, hidden, hidden, 1)
        self.adams = [
            torch.optim.Adam(net.parameters(), lr=settings.learning_rate, betas=(0.5, 0.9))
            for net in (self.generator, self.critic)
        ]

    def epoch(self) -> tuple[float, float]:
        total = 0.0
        for z, weights in self._batches():
            loss = self._critic_loss(z, weights, self._fakes(len(z)).detach())
            self._descend(1, loss)
            self._descend(0, softplus(-self.critic(self._fakes(len(z)))).mean())
            total += float(loss.detach()) * len(z)
        sample = self.student.validation
        with torch.no_grad():
            fakes = self._fakes(len(sample.z))
            held_out = float(self._critic_loss(sample.z, sample.weights, fakes))
        return total / len(self.student.training.z), held_out

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        sample = self.student.training
        for rows in torch.split(
            torch.randperm(len(sample.z), generator=self.stream), self.settings.batch
        ):
            yield sample.z[rows], sample.weights[rows]

    def _fakes(self, n: int) -> Tensor:
        fakes: Tensor = self.generator(
            torch.randn((n, self.settings.latent), generator=self.stream)
        )
        return fakes

    def _critic_loss(self, z: Tensor, weights: Tensor, fakes: Tensor) -> Tensor:
        real = (weights * softplus(-self.critic(z)[:, 0])).mean()
        return real + softplus(self.critic(fakes)).mean()

    def _descend(self, which: int, loss: Tensor) -> None:
        self.adams[which].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.adams[which].step()
