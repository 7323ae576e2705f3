"""`AutoencoderTrainer`: a small VAE, kept as a reference of how generators fail."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from verisimile.core.canonical import JSON
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.density.mapped import MappedSampler
from verisimile.density.protocol import FittedSampler
from verisimile.density.samplers.decoder import DecoderCore, layers_of, perceptron
from verisimile.density.torch_scope import seeded
from verisimile.density.training import Schedule, prepare_one, require_positive, train

_START = -1.5  # of log τ: at the width of the sample the code would be ignored for good


@dataclass(frozen=True, slots=True)
class AutoencoderTrainer:
    r"""Variational autoencoder with a Gaussian decoder of one width per feature; no density.

    .. math:: L = -E_{q(u \mid z)} \log N(z; g(u), \tau)
                  + \mathrm{KL}\big(q(u \mid z) \,\|\, N(0, 1)\big)

    It is here because it fails in a known way: it is smooth where the truth has
    edges and gaps.  The curves hold this bound on the negative log-density.

    Parameters
    ----------
    latent
        Number of latent normals u.
    hidden
        Width of the two hidden layers of encoder and decoder.
    learning_rate, batch, epochs, patience, clip
        Adam on half a cosine, with early stopping on the validation loss.

    Raises
    ------
    InputError
        If a setting is out of range.

    References
    ----------
    Kingma and Welling, *Auto-Encoding Variational Bayes* (2014).
    """

    latent: int = 2
    hidden: int = 64
    learning_rate: float = 3e-3
    batch: int = 128
    epochs: int = 60
    patience: int = 60
    clip: float = 5.0

    def __post_init__(self) -> None:
        require_positive(self)

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {"family": "vae", "version": 1, **asdict(self)}

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> FittedSampler:
        """Train one autoencoder; the same arguments give the same bits.

        Raises
        ------
        InputError
            For negative weights, a constant feature, or different features.
        NumericsError
            If the loss is no longer finite.
        """
        started = time.perf_counter()
        input_map, student = prepare_one(training, validation, seeds, 0)
        with seeded(seeds.at("initial")):
            net = _Autoencoder(training.d, self, seeds.at("latent").torch())
        schedule = Schedule(self.learning_rate, self.batch, self.epochs, self.patience, self.clip)
        curves = train(net, student.training, student.validation, schedule, seeds)
        noise = np.array(net.log_width.detach().double().exp().numpy())
        model = MappedSampler(DecoderCore("vae", layers_of(net.decoder), noise), input_map)
        return FittedSampler(
            model,
            curves.training,
            curves.validation,
            curves.best,
            {"seconds": time.perf_counter() - started, "loss": "evidence bound"},
        )


class _Autoencoder(torch.nn.Module):
    """Residuals of the decoder as `u`, and what else the bound contains as log-determinant.

    `training.train` minimises ``u²/2 − log-determinant + d log(2π)/2`` of it.
    """

    def __init__(self, d: int, settings: AutoencoderTrainer, stream: torch.Generator) -> None:
        super().__init__()
        hidden, latent = settings.hidden, settings.latent
        self.encoder = perceptron(d, hidden, hidden, 2 * latent)
        self.decoder = perceptron(latent, hidden, hidden, d)
        self.log_width = torch.nn.Parameter(torch.full((d,), _START))
        self.stream = stream

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_spread = self.encoder(z).chunk(2, dim=1)
        noise = torch.randn(mean.shape, generator=self.stream)
        residual = (z - self.decoder(mean + log_spread.exp() * noise)) / self.log_width.exp()
        divergence = 0.5 * ((2 * log_spread).exp() + mean**2 - 1) - log_spread
        return residual, -self.log_width.sum() - divergence.sum(dim=1)
