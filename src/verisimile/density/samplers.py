r"""Samplers that push normal noise through a perceptron, :math:`z = g(u) + \tau \epsilon`.

A small GAN and a small VAE, kept as references of how generators without density fail.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import softplus

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.data.events import Events
from verisimile.density.input_map import InputMap
from verisimile.density.mapped import MappedSampler, register_core
from verisimile.density.protocol import Fitted
from verisimile.density.torch_scope import one_thread, seed_scope
from verisimile.density.training import Draft, LikelihoodRecipe, Recipe, Student, prepare

_LEAK = 0.2
_START = -1.5  # of log τ: at the width of the sample the code would be ignored for good

Layers = tuple[tuple[Array, Array], ...]
"""Weights ``(in, out)`` and biases ``(out,)`` of a perceptron's linear maps."""


@dataclass(frozen=True, slots=True, eq=False)
class DecoderCore:
    """A perceptron of latent noise, evaluated in float64.

    `family` is ``"gan"`` or ``"vae"``, `noise` τ, the width of the noise that is added to
    each feature, ``(d,)``.
    """

    family: str
    layers: Layers
    noise: Array

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return len(self.noise)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return draws ``(n, d)``."""
        z = leaky(self.layers, rng.standard_normal((n, len(self.layers[0][0]))))
        return np.asarray(z + self.noise * rng.standard_normal(z.shape))

    def payload(self) -> Payload:
        """Return what `register_core` stores."""
        arrays = {"noise": self.noise, **packed_layers(self.layers)}
        return Payload(arrays, {"family": self.family, "layers": len(self.layers)})


def perceptron(*sizes: int) -> torch.nn.Sequential:
    """Return a fresh leaky perceptron; call it inside `torch_scope.seeded`."""
    parts: list[torch.nn.Module] = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        parts += [torch.nn.Linear(inputs, outputs), torch.nn.LeakyReLU(_LEAK)]
    return torch.nn.Sequential(*parts[:-1])


def layers_of(net: torch.nn.Sequential) -> Layers:
    """Return the linear maps of a perceptron as arrays."""
    return tuple(
        (_array(part.weight).T.copy(), _array(part.bias))
        for part in net
        if isinstance(part, torch.nn.Linear)
    )


def leaky(layers: Layers, h: Array) -> Array:
    """Return what a perceptron of these linear maps makes of inputs ``(n, in)``."""
    for number, (weight, bias) in enumerate(layers):
        h = h @ weight + bias
        if number < len(layers) - 1:
            h = np.where(h > 0, h, _LEAK * h)
    return h


def packed_layers(layers: Layers) -> dict[str, Array]:
    """Return weights and biases by name, ``0.weight`` and so on."""
    return {
        f"{number}.{part}": values
        for number, pair in enumerate(layers)
        for part, values in zip(("weight", "bias"), pair, strict=True)
    }


def unpacked_layers(arrays: Mapping[str, npt.NDArray[Any]], count: int) -> Layers:
    """Return `count` linear maps from what `packed_layers` made."""
    return tuple((arrays[f"{k}.weight"], arrays[f"{k}.bias"]) for k in range(count))


def _array(values: Tensor) -> Array:
    return np.array(values.detach().double().numpy())


def _rebuild(meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> DecoderCore:
    layers = unpacked_layers(arrays, int(meta["layers"]))
    return DecoderCore(meta["family"], layers, arrays["noise"])


register_core("gan", MappedSampler, _rebuild)
register_core("vae", MappedSampler, _rebuild)


@dataclass(frozen=True, slots=True)
class AdversarialTrainer(Recipe):
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

    References
    ----------
    Goodfellow et al., *Generative Adversarial Nets* (2014).
    """

    family = "gan"
    loss = "discriminator"

    latent: int = 4
    hidden: int = 64
    learning_rate: float = 1e-3
    batch: int = 128
    epochs: int = 100

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted[MappedSampler]:
        """Train one generator; the same arguments give the same bits.

        Raises
        ------
        InputError
            For negative weights, a constant feature, or different features.
        NumericsError
            If the loss is no longer finite.
        """
        started = time.perf_counter()
        input_map, student = prepare(training, validation, seeds, self.input_map)
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
        core = DecoderCore(self.family, layers_of(game.generator), np.zeros(training.d))
        model = MappedSampler(core, input_map)
        return Fitted(model, curves[:, 0], curves[:, 1], self.epochs - 1, self.facts(started))


class _Game:
    def __init__(self, settings: AdversarialTrainer, student: Student) -> None:
        self.settings = settings
        self.student = student
        self.stream = student.seeds.at("shuffle").torch()
        d, hidden = student.training.z.shape[1], settings.hidden
        with seed_scope(student.seeds.at("initial")):
            self.generator = perceptron(settings.latent, hidden, hidden, d)
            self.critic = perceptron(d, hidden, hidden, 1)
        self.adams = [
            torch.optim.Adam(net.parameters(), lr=settings.learning_rate, betas=(0.5, 0.9))
            for net in (self.generator, self.critic)
        ]

    def epoch(self) -> tuple[float, float]:
        total = 0.0
        sample = self.student.training
        order = torch.randperm(len(sample.z), generator=self.stream)
        for rows in torch.split(order, self.settings.batch):
            z, weights = sample.z[rows], sample.weights[rows]
            loss = self._critic_loss(z, weights, self._fakes(len(z)).detach())
            self._descend(1, loss)
            self._descend(0, softplus(-self.critic(self._fakes(len(z)))).mean())
            total += float(loss.detach()) * len(z)
        held_out = self.student.validation
        with torch.no_grad():
            fakes = self._fakes(len(held_out.z))
            loss = self._critic_loss(held_out.z, held_out.weights, fakes)
        return total / len(sample.z), float(loss)

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


@dataclass(frozen=True, slots=True)
class AutoencoderTrainer(LikelihoodRecipe[MappedSampler]):
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

    References
    ----------
    Kingma and Welling, *Auto-Encoding Variational Bayes* (2014).
    """

    family = "vae"
    loss = "evidence bound"

    latent: int = 2
    hidden: int = 64
    learning_rate: float = 3e-3
    batch: int = 128
    epochs: int = 60
    patience: int = 60
    clip: float = 5.0

    def draft(self, input_map: InputMap, student: Student) -> Draft[MappedSampler]:
        """Return network and model."""
        net = _Autoencoder(student.columns, self, student.seeds.at("latent").torch())

        def model() -> MappedSampler:
            noise = np.array(net.log_width.detach().double().exp().numpy())
            return MappedSampler(DecoderCore(self.family, layers_of(net.decoder), noise), input_map)

        return net, model


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
