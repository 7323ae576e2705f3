"""`BayesianFlowTrainer` and `DropoutFlowTrainer`: one training, many members."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.density.flows.nflows import Parameters, build, export
from verisimile.density.flows.random_weights import BayesianFlow, DropoutFlow
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.protocol import Fitted
from verisimile.density.torch_scope import seeded
from verisimile.density.training import prepare_one, require_positive, train


@dataclass(frozen=True, slots=True)
class BayesianFlowTrainer:
    r"""Spline flow with independent Gaussian weights, by the evidence lower bound.

    .. math:: L = E_q\left[-\tfrac1n \sum_n \log p(x_n \mid w)\right]
                  + \tfrac{1}{n}\,\mathrm{KL}\left(q \,\|\, N(0, s^2)\right)

    The validation loss, which decides when to stop, is that of the mean weights.
    The validity of the spread is a hope, not a theorem: it follows the length of
    the schedule.  Compare with an ensemble.

    Parameters
    ----------
    flow
        Size and schedule of the flow.
    prior
        s.
    initial
        First width of the weights' posterior.
    draws
        Draws whose average is the model's own density.

    Raises
    ------
    InputError
        If a setting is out of range.

    References
    ----------
    Blundell et al., *Weight Uncertainty in Neural Networks* (2015).
    Bellagente et al., *Understanding Event-Generation Networks via Uncertainties* (2022).
    """

    flow: SplineFlowTrainer = field(default_factory=SplineFlowTrainer)
    prior: float = 1.0
    initial: float = 1e-2
    draws: int = 16

    def __post_init__(self) -> None:
        require_positive(self)

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {**asdict(self), "family": BayesianFlow.family, "version": 1}

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted:
        """Train the posterior; the same arguments give the same bits.

        Raises
        ------
        InputError
            For negative weights, a constant feature, or different features.
        NumericsError
            If the loss is no longer finite.
        """
        started = time.perf_counter()
        input_map, student = prepare_one(training, validation, seeds, self.flow.marginal_bins)
        shape = self.flow.architecture(training.d)
        with seeded(seeds.at("initial")):
            net = Variational(
                build(shape),
                training.n,
                prior=self.prior,
                initial=self.initial,
                generator=seeds.at("weights").torch(),
            )
        curves = train(net, student.training, student.validation, self.flow.schedule(), seeds)
        mean, spread = net.posterior()
        model = BayesianFlow(
            shape, input_map, mean=mean, spread=spread, draws=self.draws, entropy=_entropy(seeds)
        )
        return curves.fitted(model, started)


@dataclass(frozen=True, slots=True)
class DropoutFlowTrainer:
    """Spline flow trained, and used, with random absences of its hidden units.

    Each training event has its own mask; a draw has one mask for all events, so
    that it is a density.  The spread depends on p, which nothing in the data
    decides: a baseline to compare with, not an error bar.

    Parameters
    ----------
    flow
        Size and schedule of the flow, without residual blocks.
    probability
        p of an absence.
    draws
        Draws whose average is the model's own density.

    Raises
    ------
    InputError
        If a setting is out of range.

    References
    ----------
    Gal and Ghahramani, *Dropout as a Bayesian Approximation* (2016).
    """

    flow: SplineFlowTrainer = field(default_factory=SplineFlowTrainer)
    probability: float = 0.05
    draws: int = 16

    def __post_init__(self) -> None:
        require_positive(self)
        if self.probability >= 1 or self.flow.residual:
            raise InputError(
                "DropoutFlowTrainer",
                got=f"probability={self.probability}, residual={self.flow.residual}",
                expected="a probability below 1, residual=False",
            )

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {**asdict(self), "family": DropoutFlow.family, "version": 1}

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted:
        """Train the flow; the same arguments give the same bits.

        Raises
        ------
        InputError
            For negative weights, a constant feature, or different features.
        NumericsError
            If the loss is no longer finite.
        """
        started = time.perf_counter()
        input_map, student = prepare_one(training, validation, seeds, self.flow.marginal_bins)
        shape = self.flow.architecture(training.d)
        with seeded(seeds.at("initial")):
            stack = build(shape)
        for module in stack.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = self.probability
        # torch's dropout knows no stream but the global one.
        with seeded(seeds.at("absences")):
            curves = train(stack, student.training, student.validation, self.flow.schedule(), seeds)
        model = DropoutFlow(
            shape,
            input_map,
            parameters=export(stack),
            probability=self.probability,
            draws=self.draws,
            entropy=_entropy(seeds),
        )
        return curves.fitted(model, started)


def _entropy(seeds: Seeds) -> int:
    return seeds.at("draws").integer()


class Variational(torch.nn.Module):
    """The stack with random weights in training, and with their means in evaluation.

    The KL term is taken off the log-determinant, whose mean the loss contains.

    Parameters
    ----------
    stack
        A fresh stack; its weights become the means.
    n
        Number of training events.
    prior
        s, the width of the prior.
    initial
        First width of every weight's posterior.
    generator
        Of the weights in training.
    """

    def __init__(
        self,
        stack: torch.nn.Module,
        n: float,
        *,
        prior: float,
        initial: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.stack = stack
        self.n = n
        self.prior = prior
        self.generator = generator
        self.names = [name for name, _ in stack.named_parameters()]
        self.log_spread = torch.nn.ParameterList(
            torch.full_like(values, math.log(initial)) for values in stack.parameters()
        )
        modules = dict(stack.named_modules())
        # A masked weight is no weight: it counts neither in the draws nor in the KL.
        self.masks = [_mask(modules, name) for name in self.names]

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs ``(n, d)`` and log-determinants ``(n,)``, less KL / n in training."""
        if not self.training:
            outputs: tuple[Tensor, Tensor] = self.stack(z)
            return outputs
        weights = {
            name: mean + log_spread.exp() * self._noise(mean)
            for name, mean, log_spread in zip(
                self.names, self.stack.parameters(), self.log_spread, strict=True
            )
        }
        u, log_det = torch.func.functional_call(self.stack, weights, (z,))
        return u, log_det - self.divergence() / self.n

    def divergence(self) -> Tensor:
        """Return KL(q‖p₀), in closed form."""
        total = torch.zeros(())
        for mean, log_spread, mask in zip(
            self.stack.parameters(), self.log_spread, self.masks, strict=True
        ):
            ratio = (2 * (log_spread - math.log(self.prior))).exp() + (mean / self.prior) ** 2
            each = 0.5 * (ratio - 1) - log_spread + math.log(self.prior)
            total = total + (each * mask).sum()
        return total

    def posterior(self) -> tuple[Parameters, Parameters]:
        """Return means and standard deviations by the names of `nflows_backend.export`."""
        mean = export(self.stack)
        kept = {name: values.detach().clone() for name, values in self.stack.named_parameters()}
        with torch.no_grad():
            for values, log_spread in zip(self.stack.parameters(), self.log_spread, strict=True):
                values.copy_(log_spread.exp())
            spread = export(self.stack)
            for name, values in self.stack.named_parameters():
                values.copy_(kept[name])
        return mean, {name: np.abs(values) for name, values in spread.items()}

    def _noise(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator)


def _mask(modules: dict[str, torch.nn.Module], name: str) -> Tensor:
    owner, _, part = name.rpartition(".")
    mask = getattr(modules[owner], "mask", None)
    return mask if part == "weight" and isinstance(mask, Tensor) else torch.ones(())
