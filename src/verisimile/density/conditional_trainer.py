"""`ConditionalSplineFlowTrainer`: the default recipe for f(x | c)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events, match_features
from verisimile.data.names import listing, require, unique
from verisimile.data.transforms import feature_transform
from verisimile.density.conditional import ConditionalFitted
from verisimile.density.conditional_flow import ConditionalMap, ConditionalSplineFlow
from verisimile.density.nflows_backend import build, export
from verisimile.density.torch_scope import seeded
from verisimile.density.training import Sample, refuse_signed, train

if TYPE_CHECKING:
    from verisimile.density.spline_flow import SplineFlowTrainer

__all__ = ["ConditionalSplineFlowTrainer"]


@dataclass(frozen=True, slots=True)
class ConditionalSplineFlowTrainer:
    r"""Spline flow of the features given the context, trained by maximum likelihood.

    .. math:: L = -\tfrac1n \sum_n u_n \log p(x_n \mid c_n)

    Made by ``SplineFlowTrainer(...).given("pt_ll")``.

    Parameters
    ----------
    context
        Names of the columns that are conditions; all others are features.
    flow
        Size and training of the flow.

    Raises
    ------
    InputError
        If no context is named, or one twice.
    """

    context: tuple[str, ...]
    flow: SplineFlowTrainer

    def __post_init__(self) -> None:
        unique(self.context, "context")
        if not self.context:
            raise InputError(
                "context",
                got="no column",
                expected="names of columns that are given",
                remedy="Use SplineFlowTrainer itself for a density without context.",
            )

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        family: dict[str, JSON] = {"family": ConditionalSplineFlow.family, "version": 1}
        return {**self.flow.config(), **family, "context": list(self.context)}

    def check(self, events: Events) -> None:
        """Raise what `fit` would say about the sample as such, before any work is done.

        Raises
        ------
        InputError
            For a missing context column, no feature beside them, negative
            weights, a constant column, or fewer events than columns.
        """
        require(self.context, events.names, "context")
        if len(self.context) == events.d:
            raise InputError(
                "context",
                got=f"all columns, {listing(self.context)}",
                expected="at least one column that is a feature",
            )
        refuse_signed(events, "training")
        feature_transform(events)

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> ConditionalFitted:
        """Train a flow; the same arguments give the same bits.

        Parameters
        ----------
        training
            Events ``(n, d + C)``, repeats allowed; weights must not be negative.
        validation
            Events that decide when to stop; they should share none with `training`.
        seeds
            Streams of the initial weights and of the shuffling.

        Raises
        ------
        InputError
            As `check`, or for different columns of the two samples.
        NumericsError
            If the loss is no longer finite.
        """
        started = time.perf_counter()
        validation = match_features(validation, training.features)
        refuse_signed(validation, "validation")
        self.check(training)
        maps = ConditionalMap.fit(training, self.context, self.flow.marginal_bins)
        c = len(self.context)
        shape = self.flow.architecture(training.d - c, context=c)
        with seeded(seeds.at("initial")):
            stack = build(shape)
        curves = train(
            stack,
            _sample(training, maps),
            _sample(validation, maps),
            self.flow.schedule(),
            seeds,
        )
        return ConditionalFitted(
            ConditionalSplineFlow(shape, export(stack), maps, precision=self.flow.precision),
            curves.training,
            curves.validation,
            curves.best,
            {"seconds": time.perf_counter() - started},
        )


def _sample(events: Events, maps: ConditionalMap) -> Sample:
    x, context = (events.select(m.chain.names).x for m in (maps.features, maps.context))
    rows, log_jacobian = maps.rows(x, context)
    return Sample.of(rows, log_jacobian, events.weights)
