"""`SplineFlowTrainer`: the default recipe of a density, with or without a context."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events, match_features
from verisimile.data.feature import listing, require_columns, unique
from verisimile.data.transforms import feature_transform
from verisimile.density.flows.nflows import Architecture, build, export
from verisimile.density.flows.spline import (
    ConditionalMap,
    ConditionalSplineFlow,
    Precision,
    SplineFlow,
)
from verisimile.density.protocol import ConditionalFitted, Fitted
from verisimile.density.torch_scope import seeded
from verisimile.density.training import (
    Sample,
    Schedule,
    prepare_one,
    refuse_signed,
    require_positive,
    train,
)


@dataclass(frozen=True, slots=True)
class SplineFlowTrainer:
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

    Raises
    ------
    InputError
        If a setting is out of range.

    References
    ----------
    Durkan et al., *Neural Spline Flows* (2019).
    Papamakarios et al., *Masked Autoregressive Flow* (2017).
    """

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
        require_positive(self)
        if self.precision not in ("float32", "float64"):
            raise InputError(
                "SplineFlowTrainer",
                got=f"precision={self.precision!r}",
                expected="precision 'float32' or 'float64'",
            )

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {"family": SplineFlow.family, "version": 1, **asdict(self)}

    def check(self, events: Events) -> None:
        """Raise what `fit` would say about the sample as such, before any work is done.

        Raises
        ------
        InputError
            For negative weights, a constant feature, or fewer events than features.
        """
        refuse_signed(events, "training")
        feature_transform(events)

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted:
        """Train a flow; the same arguments give the same bits.

        Parameters
        ----------
        training
            Events ``(n, d)``, repeats allowed; weights must not be negative.
        validation
            Events that decide when to stop; they should share none with `training`.
        seeds
            Streams of the initial weights and of the shuffling.

        Raises
        ------
        InputError
            For negative weights, a constant feature, fewer events than
            features, or different features.
        NumericsError
            If the loss is no longer finite.
        """
        started = time.perf_counter()
        input_map, student = prepare_one(training, validation, seeds, self.marginal_bins)
        shape = self.architecture(training.d)
        with seeded(seeds.at("initial")):
            stack = build(shape)
        curves = train(stack, student.training, student.validation, self.schedule(), seeds)
        model = SplineFlow(shape, export(stack), input_map, precision=self.precision)
        return curves.fitted(model, started)

    def given(self, *context: str) -> ConditionalSplineFlowTrainer:
        """Return the recipe for f(x | c): these columns are conditions, all others features.

        Parameters
        ----------
        context
            Names of the columns that are given.

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

    def schedule(self) -> Schedule:
        """Return how long and how fast to train."""
        return Schedule(self.learning_rate, self.batch, self.epochs, self.patience, self.clip)


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
        require_columns(self.context, events.names, "context")
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
