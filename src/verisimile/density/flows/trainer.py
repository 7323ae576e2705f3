"""`SplineFlowTrainer`: the default recipe of a density, with or without a context."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from verisimile.core.canonical import JSON
from verisimile.core.checkpoint import Checkpoint
from verisimile.core.errors import NumericsError, require
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.feature import listing, require_columns, unique
from verisimile.data.transforms import feature_transform
from verisimile.density.flows.descent import train_together
from verisimile.density.flows.engines import Compiled, Engine, Loop, Stacked, engine_for
from verisimile.density.flows.nflows import Architecture, Parameters, build, export
from verisimile.density.flows.packed import PackedLayout
from verisimile.density.flows.spline import (
    ConditionalMap,
    ConditionalSplineFlow,
    Precision,
    SplineDensity,
    SplineFlow,
)
from verisimile.density.input_map import InputMap
from verisimile.density.protocol import Fitted
from verisimile.density.torch_scope import seed_scope
from verisimile.density.training import (
    Curves,
    Draft,
    LikelihoodRecipe,
    Schedule,
    Student,
    prepare,
    refuse_signed,
    require_positive_settings,
    train,
)

F = TypeVar("F", bound=SplineDensity[Any])


class SplineRecipe(LikelihoodRecipe[F], Generic[F]):
    """What spline flows with and without context share: members may be trained together."""

    __slots__ = ()

    @abstractmethod
    def stack(self, columns: int) -> Architecture:
        """Return size and shape of the stack for so many columns, context included."""

    @abstractmethod
    def model(self, shape: Architecture, parameters: Parameters, input_map: Any) -> F:  # noqa: ANN401  (its own map)
        """Return the flow of such parameters."""

    def engine(self, columns: int, wanted: Engine | None = None) -> Engine:
        """Return what will train flows of so many columns; see `engines.engine_for`."""
        return engine_for(self.stack(columns), wanted)

    def layout(self, shape: Architecture) -> PackedLayout:
        """Return where parameters are in a vector, and which of them are trained."""
        return PackedLayout(shape)

    def start(self, shape: Architecture, student: Student) -> Parameters:
        """Return the parameters before the first step."""
        return export(_initial(shape, student))

    def draft(self, input_map: Any, student: Student) -> Draft[F]:  # noqa: ANN401  (its own map)
        """Return network and model."""
        shape = self.stack(student.columns)
        network = build(shape)
        return network, lambda: self.model(shape, export(network), input_map)

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted[F]:
        """Train a flow; the same arguments give the same bits; see `fit_many`."""
        (outcome,) = self.fit_many([(training, validation, seeds)])
        if isinstance(outcome, NumericsError):
            raise outcome
        return outcome

    def fit_many(
        self,
        members: Sequence[tuple[Events, Events, Seeds]],
        engine: Engine | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> list[Fitted[F] | NumericsError]:
        """Train several flows, each as `fit` would, up to rounding.

        Parameters
        ----------
        members
            Training events, validation events and streams of each.
        engine
            What trains them; the fastest one of this machine if not given.  It is named in
            each flow's meta.
        checkpoint
            Where unfinished work is kept and looked for; the loop over nflows keeps none.

        Returns
        -------
        list
            A flow, or the error of a training whose loss is no longer finite, for each.

        Raises
        ------
        InputError
            For negative weights, a constant feature, different features, or an engine that
            cannot train such a flow here.
        """
        started = time.perf_counter()
        pairs = [prepare(*member, self.input_map) for member in members]
        maps, students = zip(*pairs, strict=True)
        shape = self.stack(students[0].columns)
        chosen = self.engine(students[0].columns, engine)
        if isinstance(chosen, Loop):
            outcomes = [self._looped(shape, student) for student in students]
        else:
            outcomes = self._together(shape, students, chosen, checkpoint)
        facts = {**self.facts(started, len(members)), "engine": chosen.name}
        return [
            outcome
            if isinstance(outcome, NumericsError)
            else Fitted(self.model(shape, outcome[0], own), *outcome[1], facts)
            for outcome, own in zip(outcomes, maps, strict=True)
        ]

    def _looped(self, shape: Architecture, student: Student) -> _Outcome:
        network = _initial(shape, student)
        try:
            curves = train(network, student, self.schedule())
        except NumericsError as error:
            return error
        return export(network), curves

    def _together(
        self,
        shape: Architecture,
        students: Sequence[Student],
        engine: Stacked | Compiled,
        checkpoint: Checkpoint | None,
    ) -> list[_Outcome]:
        layout = self.layout(shape)
        starts = np.stack([layout.pack(self.start(shape, each)) for each in students])
        ends = train_together(layout, starts, students, self.schedule(), engine, checkpoint)
        return [
            end if isinstance(end, NumericsError) else (layout.unpack(end.parameters), end.curves)
            for end in ends
        ]


_Outcome = tuple[Parameters, Curves] | NumericsError


def _initial(shape: Architecture, student: Student) -> torch.nn.Module:
    with seed_scope(student.seeds.at("initial")):
        return build(shape)


@dataclass(frozen=True, slots=True)
class SplineFlowTrainer(SplineRecipe[SplineFlow]):
    """Masked autoregressive rational-quadratic spline flow, trained by maximum likelihood.

    Parameters
    ----------
    layers
        Autoregressive layers; the order of features is reversed from one to the next.
    blocks, hidden
        Hidden maps after the first, and their width, of each layer's conditioner.
    bins
        Spline bins per feature and layer.
    tail_bound
        The splines act on ``[-tail_bound, tail_bound]`` of each normal score.
    residual
        Residual conditioner blocks (the nflows default): twice the cost, and on
        the events of the example a lower likelihood for the same time.
    marginal_bins
        Largest number of quantile bins in the Gaussianisation of each feature
        (one per 1000 events, at least 8); 0 leaves standardisation alone.
    learning_rate
        First step size of Adam; falls to zero along half a cosine.
    batch
        Largest batch; small samples get n / 32, so that an epoch has enough steps.
    epochs
        Length of the schedule.
    patience
        Epochs without a smaller validation loss before training ends.
    clip
        Largest norm of the gradient of one batch.
    precision
        Of the trained flow's layers when evaluated, ``float32`` or ``float64``;
        training is in float32.

    References
    ----------
    Durkan et al., *Neural Spline Flows* (2019).
    Papamakarios et al., *Masked Autoregressive Flow* (2017).

    Examples
    --------
    >>> import verisimile as vs
    >>> trainer = vs.SplineFlowTrainer(layers=2, hidden=32, epochs=8)
    >>> trainer.config()["hidden"]
    32
    """

    family = SplineFlow.family

    layers: int = 3
    blocks: int = 2
    hidden: int = 64
    bins: int = 8
    tail_bound: float = 5.0
    residual: bool = False
    marginal_bins: int = 32
    learning_rate: float = 1e-2
    batch: int = 256
    epochs: int = 20
    patience: int = 8
    clip: float = 5.0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        self.architecture(1)
        require_positive_settings(self)
        require(
            self.precision in ("float32", "float64"),
            "SplineFlowTrainer",
            got=f"precision={self.precision!r}",
            expected="precision 'float32' or 'float64'",
        )

    def check(self, events: Events) -> None:
        """Raise what `fit` would say about the sample as such, before any work is done."""
        refuse_signed(events, "training")
        feature_transform(events)

    def stack(self, columns: int) -> Architecture:
        """Return size and shape of the stack for so many columns."""
        return self.architecture(columns)

    def model(self, shape: Architecture, parameters: Parameters, input_map: InputMap) -> SplineFlow:
        """Return the trained flow."""
        return SplineFlow(shape, parameters, input_map, precision=self.precision)

    def given(self, *context: str) -> ConditionalSplineFlowTrainer:
        """Return the recipe for f(x | c): these columns are conditions, all others features.

        Examples
        --------
        >>> SplineFlowTrainer().given("pt_ll").context
        ('pt_ll',)
        """
        return ConditionalSplineFlowTrainer(context, self)

    def architecture(self, d: int, *, context: int = 0) -> Architecture:
        """Return size and shape of the stack for `d` features and `context` columns given."""
        return Architecture(
            d,
            self.layers,
            self.blocks,
            self.hidden,
            self.bins,
            self.tail_bound,
            self.residual,
            context,
        )


@dataclass(frozen=True, slots=True)
class ConditionalSplineFlowTrainer(SplineRecipe[ConditionalSplineFlow]):
    r"""Spline flow of the features given the context, trained by maximum likelihood.

    .. math:: L = -\tfrac1n \sum_n u_n \log p(x_n \mid c_n)

    Made by ``SplineFlowTrainer(...).given("pt_ll")``.

    Parameters
    ----------
    context
        Names of the columns that are conditions; all others are features.
    flow
        Size and training of the flow.
    """

    context: tuple[str, ...]
    flow: SplineFlowTrainer

    family = ConditionalSplineFlow.family

    def __post_init__(self) -> None:
        unique(self.context, "context")
        require(
            self.context,
            "context",
            got="no column",
            expected="names of columns that are given",
            remedy="Use SplineFlowTrainer itself for a density without context.",
        )

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        family: dict[str, JSON] = {"family": self.family, "version": self.version}
        return {**self.flow.config(), **family, "context": list(self.context)}

    def check(self, events: Events) -> None:
        """Raise what `fit` would say about the sample as such, before any work is done."""
        require_columns(self.context, events.names, "context")
        require(
            len(self.context) < events.d,
            "context",
            got=f"all columns, {listing(self.context)}",
            expected="at least one column that is a feature",
        )
        self.flow.check(events)

    def schedule(self) -> Schedule:
        """Return the schedule of the flow."""
        return self.flow.schedule()

    def input_map(self, training: Events) -> ConditionalMap:  # type: ignore[override]
        """Return the maps of x and of c, fitted on the training events."""
        self.check(training)
        return ConditionalMap.fit(training, self.context, self.flow.marginal_bins)

    def stack(self, columns: int) -> Architecture:
        """Return size and shape of the stack for so many columns, with the context."""
        given = len(self.context)
        return self.flow.architecture(columns - given, context=given)

    def model(
        self, shape: Architecture, parameters: Parameters, input_map: ConditionalMap
    ) -> ConditionalSplineFlow:
        """Return the trained flow."""
        return ConditionalSplineFlow(shape, parameters, input_map, precision=self.flow.precision)
