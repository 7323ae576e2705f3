"""`BayesianFlowTrainer` and `DropoutFlowTrainer`: one training, many members."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field

import torch

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.density.nflows_backend import build, export
from verisimile.density.posterior_flow import BayesianFlow, DropoutFlow
from verisimile.density.protocol import Fitted
from verisimile.density.settings import require_positive
from verisimile.density.spline_flow import SplineFlowTrainer
from verisimile.density.students import prepare_one
from verisimile.density.torch_scope import seeded
from verisimile.density.training import train
from verisimile.density.variational import Variational

__all__ = ["BayesianFlowTrainer", "DropoutFlowTrainer"]


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
