"""`SplineFlowTrainer`: the default recipe of a density, with or without a context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from verisimile.core.canonical import JSON
from verisimile.core.errors import require
from verisimile.data.events import Events
from verisimile.data.feature import listing, require_columns, unique
from verisimile.data.transforms import feature_transform
from verisimile.density.flows.nflows import Architecture, build, export
from verisimile.density.flows.spline import (
    ConditionalMap,
    ConditionalSplineFlow,
    Precision,
    SplineDensity,
    SplineFlow,
)
from verisimile.density.input_map import InputMap
from verisimile.density.training import (
    Draft,
    LikelihoodRecipe,
    Schedule,
    Student,
    refuse_signed,
    require_positive_settings,
)


@dataclass(frozen=True, slots=True)
class SplineFlowTrainer(LikelihoodRecipe[SplineFlow]):
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
        the real events of the example a lower likelihood for the same time.
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

    def draft(self, input_map: InputMap, student: Student) -> Draft[SplineFlow]:
        """Return network and model."""
        return _draft(self, SplineFlow, input_map, student)

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
class ConditionalSplineFlowTrainer(LikelihoodRecipe[ConditionalSplineFlow]):
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

    def draft(self, input_map: ConditionalMap, student: Student) -> Draft[ConditionalSplineFlow]:
        """Return network and model."""
        return _draft(self.flow, ConditionalSplineFlow, input_map, student, len(self.context))


F = TypeVar("F", bound=SplineDensity[Any])


def _draft(
    recipe: SplineFlowTrainer,
    kind: type[F],
    input_map: InputMap | ConditionalMap,
    student: Student,
    context: int = 0,
) -> Draft[F]:
    """Return a fresh stack, given so many context columns, and what makes the flow of it."""
    shape = recipe.architecture(student.columns - context, context=context)
    stack = build(shape)
    return stack, lambda: kind(shape, export(stack), input_map, precision=recipe.precision)
