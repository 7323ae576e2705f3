r"""Flows with random weights, Gaussian or thinned by dropout, whose draws are ordinary flows.

.. math:: p(x) = \int p(x \mid w)\, q(w)\, dw \approx \frac1K \sum_k p(x \mid w_k),
          \qquad w_k \sim q

Each draw :math:`w_k` is a `SplineFlow`: a member like any other of an ensemble
or of the :math:`w_i f_i` fit.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import logsumexp
from torch import Tensor

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.canonical import JSON
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.density.flows.nflows import Architecture, Parameters, build, export
from verisimile.density.flows.spline import SplineFlow
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.input_map import InputMap
from verisimile.density.registry import below, pack, register_family, under, unpack_any
from verisimile.density.torch_scope import seed_scope
from verisimile.density.training import (
    Curves,
    Draft,
    LikelihoodRecipe,
    Schedule,
    Student,
    require_positive_settings,
    train,
)


@dataclass(eq=False, repr=False)
class PosteriorFlow(ABC):
    """A spline flow whose weights have a distribution.

    As a density estimator it is the average of a fixed number of draws, the
    same ones in every process; `draw` and `members` give further ones.

    Parameters
    ----------
    shape, input_map
        As of a `SplineFlow`, the same for all draws.
    draws, entropy
        K of the average, and the seed of these draws.
    """

    family: ClassVar[str]

    shape: Architecture
    input_map: InputMap
    _: KW_ONLY
    draws: int
    entropy: int

    def __repr__(self) -> str:
        """Return one line: size and number of draws."""
        return f"{type(self).__name__}({self.shape}, draws={self.draws})"

    def __reduce__(self) -> tuple[Any, ...]:
        payload = pack(self)
        return (unpack_any, (payload.meta, payload.arrays))

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.shape.features

    def draw(self, rng: np.random.Generator) -> SplineFlow:
        """Return the flow of one draw of the weights."""
        return SplineFlow(self.shape, self._weights(rng), self.input_map)

    def members(self, count: int, seeds: Seeds) -> tuple[SplineFlow, ...]:
        """Return independent draws; number i is the same whatever the count."""
        return tuple(self.draw(seeds.at("posterior", i).numpy()) for i in range(count))

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return natural log-densities ``(n,)`` of the average over the draws."""
        logs = self.log_probs(x)
        with np.errstate(divide="ignore"):  # zero under all draws is zero
            return np.asarray(logsumexp(logs, axis=0) - np.log(self.draws))

    def log_probs(self, x: npt.ArrayLike) -> Array:
        r"""Return the natural log-densities ``(K, n)`` of the draws.

        Their standard deviation over the draws is the posterior's own error of each event's
        log-density; `verisimile.checks.coverage.spread.density_intervals` makes intervals of it.
        """
        matrix = as_matrix(x, "x", columns=self.n_features)
        return np.stack([flow.log_prob(matrix) for flow in self._fixed])

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``, each from a random one of the draws."""
        which = rng.integers(self.draws, size=n)
        x = np.empty((n, self.n_features))
        for k, flow in enumerate(self._fixed):
            own = which == k
            x[own] = flow.sample(int(own.sum()), rng)
        return x

    @cached_property
    def _fixed(self) -> tuple[SplineFlow, ...]:
        return self.members(self.draws, Seeds(self.entropy))

    @abstractmethod
    def _weights(self, rng: np.random.Generator) -> Parameters:
        """Return one draw of the layers' parameters."""

    @abstractmethod
    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the parameters of the posterior."""

    def settings(self) -> dict[str, JSON]:
        """Return what the constructor needs besides."""
        return {}


@dataclass(eq=False, repr=False)
class BayesianFlow(PosteriorFlow):
    r"""Independent Gaussians over all weights: :math:`q(w) = \prod_j N(w_j; \mu_j, \sigma_j)`.

    `mean` and `spread`, μ and σ, go by the names of `nflows.export`; masked weights have
    both zero.

    References
    ----------
    Blundell et al., *Weight Uncertainty in Neural Networks* (2015).
    """

    family = "bayesian-flow"

    _: KW_ONLY
    mean: Parameters
    spread: Parameters

    def _weights(self, rng: np.random.Generator) -> Parameters:
        return {
            name: self.mean[name]
            + self.spread[name] * rng.standard_normal(self.mean[name].shape, dtype=np.float32)
            for name in sorted(self.mean)
        }

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return means and standard deviations."""
        return {**under("mean.", self.mean), **under("spread.", self.spread)}


@dataclass(eq=False, repr=False)
class DropoutFlow(PosteriorFlow):
    r"""Hidden units that are absent at random: a draw keeps each with probability 1 − p.

    A draw fixes the mask for all events: :math:`W \to W \mathrm{diag}(m) / (1 - p)`,
    with m of the units behind each block.

    `parameters` are what `nflows.export` returned; `probability` is p.

    References
    ----------
    Gal and Ghahramani, *Dropout as a Bayesian Approximation* (2016).
    """

    family = "dropout-flow"

    _: KW_ONLY
    parameters: Parameters
    probability: float

    def _weights(self, rng: np.random.Generator) -> Parameters:
        weights = dict(self.parameters)
        keep = 1.0 - self.probability
        for layer in range(self.shape.layers):
            # Map 0 is the first linear one, which has no dropout behind it.
            for number in range(2, self.shape.blocks + 2):
                name = f"{layer}.{number}.weight"
                mask = (rng.random(self.shape.hidden) < keep) / keep
                weights[name] = weights[name] * mask.astype(np.float32)
        return weights

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the weights without dropout."""
        return under("flow.", self.parameters)

    def settings(self) -> dict[str, JSON]:
        """Return the probability."""
        return {"probability": self.probability}


def _pack(flow: PosteriorFlow) -> Payload:
    maps = flow.input_map.payload()
    own: dict[str, JSON] = {"draws": flow.draws, "entropy": flow.entropy}
    return Payload(
        {**flow.arrays(), **maps.arrays},
        {"shape": flow.shape.config(), **maps.meta, **own, "settings": flow.settings()},
    )


def _common(spec: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    return {
        "shape": Architecture(**spec["shape"]),
        "input_map": InputMap.restored(spec, arrays),
        "draws": int(spec["draws"]),
        "entropy": int(spec["entropy"]),
    }


def _bayesian(spec: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> BayesianFlow:
    mean, spread = below("mean.", arrays), below("spread.", arrays)
    return BayesianFlow(mean=mean, spread=spread, **_common(spec, arrays))


def _dropout(spec: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> DropoutFlow:
    probability = float(spec["settings"]["probability"])
    parameters = below("flow.", arrays)
    return DropoutFlow(parameters=parameters, probability=probability, **_common(spec, arrays))


register_family(BayesianFlow.family, _pack, _bayesian)
register_family(DropoutFlow.family, _pack, _dropout)


F = TypeVar("F", bound=PosteriorFlow)


class PosteriorRecipe(LikelihoodRecipe[F], Generic[F]):
    """A spline flow's recipe, made one of a posterior."""

    __slots__ = ()
    flow: SplineFlowTrainer
    draws: int

    @property
    def marginal_bins(self) -> int:
        """Those of the flow."""
        return self.flow.marginal_bins

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {**asdict(self), "family": self.family, "version": self.version}  # type: ignore[call-overload]

    def schedule(self) -> Schedule:
        """Return that of the flow."""
        return self.flow.schedule()

    def average(self, seeds: Seeds) -> dict[str, int]:
        """Return number and seed of the draws whose average is the model's own density."""
        return {"draws": self.draws, "entropy": seeds.at("draws").integer()}


@dataclass(frozen=True, slots=True)
class BayesianFlowTrainer(PosteriorRecipe[BayesianFlow]):
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

    References
    ----------
    Blundell et al., *Weight Uncertainty in Neural Networks* (2015).
    Bellagente et al., *Understanding Event-Generation Networks via Uncertainties* (2022).
    """

    family = BayesianFlow.family

    flow: SplineFlowTrainer = field(default_factory=SplineFlowTrainer)
    prior: float = 1.0
    initial: float = 1e-2
    draws: int = 16

    def draft(self, input_map: InputMap, student: Student) -> Draft[BayesianFlow]:
        """Return network and model."""
        shape = self.flow.architecture(student.columns)
        net = Variational(
            build(shape),
            len(student.training.z),
            prior=self.prior,
            initial=self.initial,
            generator=student.seeds.at("weights").torch(),
        )

        def model() -> BayesianFlow:
            mean, spread = net.posterior()
            return BayesianFlow(
                shape, input_map, mean=mean, spread=spread, **self.average(student.seeds)
            )

        return net, model


@dataclass(frozen=True, slots=True)
class DropoutFlowTrainer(PosteriorRecipe[DropoutFlow]):
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

    References
    ----------
    Gal and Ghahramani, *Dropout as a Bayesian Approximation* (2016).
    """

    family = DropoutFlow.family

    flow: SplineFlowTrainer = field(default_factory=SplineFlowTrainer)
    probability: float = 0.05
    draws: int = 16

    def __post_init__(self) -> None:
        require_positive_settings(self)
        require(
            self.probability < 1 and not self.flow.residual,
            "DropoutFlowTrainer",
            got=f"probability={self.probability}, residual={self.flow.residual}",
            expected="a probability below 1, residual=False",
        )

    def draft(self, input_map: InputMap, student: Student) -> Draft[DropoutFlow]:
        """Return network and model."""
        shape = self.flow.architecture(student.columns)
        stack = build(shape)
        for module in stack.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = self.probability
        return stack, lambda: DropoutFlow(
            shape,
            input_map,
            parameters=export(stack),
            probability=self.probability,
            **self.average(student.seeds),
        )

    def descent(self, network: torch.nn.Module, student: Student) -> Curves:
        """Train the network."""
        # torch's dropout knows no stream but the global one.
        with seed_scope(student.seeds.at("absences")):
            return train(network, student, self.schedule())


class Variational(torch.nn.Module):
    """The stack with random weights in training, and with their means in evaluation.

    The KL term is taken off the log-determinant, whose mean the loss contains.

    The weights of the fresh `stack` become the means; `n` is the number of training events,
    `prior` the width s of the prior, `initial` the first width of every weight's posterior.
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
            name: mean + log_spread.exp() * torch.randn(mean.shape, generator=self.generator)
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
        """Return means and standard deviations by the names of `nflows.export`."""
        mean = export(self.stack)
        twin = copy.deepcopy(self.stack)
        with torch.no_grad():
            for values, log_spread in zip(twin.parameters(), self.log_spread, strict=True):
                values.copy_(log_spread.exp())
        return mean, {name: np.abs(values) for name, values in export(twin).items()}


def _mask(modules: dict[str, torch.nn.Module], name: str) -> Tensor:
    owner, _, part = name.rpartition(".")
    mask = getattr(modules[owner], "mask", None)
    return mask if part == "weight" and isinstance(mask, Tensor) else torch.ones(())
