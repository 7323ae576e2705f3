"""`LastLayerTrainer`: cheap members, which share a trained flow but for its output layers."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, require
from verisimile.data.events import Events
from verisimile.density.flows.engines import Engine, Loop
from verisimile.density.flows.nflows import Architecture, Parameters
from verisimile.density.flows.packed import PackedLayout
from verisimile.density.flows.spline import SplineFlow
from verisimile.density.flows.trainer import SplineRecipe
from verisimile.density.identity import content_key
from verisimile.density.input_map import InputMap
from verisimile.density.training import (
    Schedule,
    Student,
    refuse_signed,
    require_positive_settings,
)


@dataclass(frozen=True, slots=True)
class LastLayerTrainer(SplineRecipe[SplineFlow]):
    r"""A trained flow, of which only the output layers of the conditioners are fitted again.

    Spline layer l has parameters :math:`V_l\, h_l(x; \theta) + b_l`, (d (3 K − 1),) for each
    event, with hidden units :math:`h_l` ``(H,)``.  Member m shares the trunk θ and the input
    map bit for bit and has its own heads, which begin at those of the trunk,

    .. math:: (V^m, b^m) \approx \arg\min_{V, b}
              -\tfrac1n \sum_n c^m_n u_n \log p(x_n \mid \theta, V, b)

    with how often :math:`c^m_n` event n is in the member's replica.  Each member is a
    `SplineFlow`, and an ensemble of them one like any other::

        trunk = flow.fit(training, validation, seeds).model
        vs.fit_ensemble(run, events, vs.BootstrapPlan(members=20), LastLayerTrainer(trunk))

    The number of epochs is fixed: early stopping would look at events that the trunk has seen.
    The validation losses of the curves are told, and decide nothing.

    What the members share is not in their spread: the initialisation of the trunk, and all that
    its features owe to its training sample.  The spread grows with `learning_rate` and `epochs`,
    which nothing in the data decides; the page *Uncertainty of bin contents* counts what it covers.

    If the trunk was trained on other events than the ensemble's, none of these may be among those
    of a weight fit either: the footprint of the ensemble does not know them.

    Parameters
    ----------
    trunk
        A trained flow without residual blocks.
    epochs
        How often the heads see the replica; few epochs leave members close to the trunk.
    learning_rate
        First step size of Adam; falls to zero along half a cosine.  The default was chosen by
        the coverage of one truth in two features.
    batch, clip
        As of `SplineFlowTrainer`.

    References
    ----------
    Snoek et al., *Scalable Bayesian Optimization Using Deep Neural Networks* (2015).
    Kristiadi et al., *Being Bayesian, Even Just a Bit, Fixes Overconfidence in ReLU Networks*
    (2020).  Both give the last layer a Gaussian posterior, where this draws bootstrap replicas.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> events = vs.Events(np.random.default_rng(1).normal(size=(300, 1)), names=("m",))
    >>> flow = vs.SplineFlowTrainer(layers=1, hidden=8, epochs=2)
    >>> trunk = flow.fit(*events.split((0.8, 0.2), vs.Seeds(1)), vs.Seeds(2)).model
    >>> trainer = vs.density.LastLayerTrainer(trunk)
    >>> run = vs.Run(vs.Seeds(3))
    >>> len(vs.fit_ensemble(run, events, vs.BootstrapPlan(members=3), trainer))
    3
    """

    family = "last-layer"

    trunk: SplineFlow
    epochs: int = 5
    learning_rate: float = 3e-2
    batch: int = 256
    clip: float = 5.0

    def __post_init__(self) -> None:
        require(
            isinstance(self.trunk, SplineFlow),
            "LastLayerTrainer.trunk",
            got=repr(self.trunk),
            expected="a trained flow without context",
            remedy="Train one: SplineFlowTrainer().fit(training, validation, seeds).model.",
        )
        require(
            not self.trunk.shape.residual,
            "LastLayerTrainer.trunk",
            got="residual blocks",
            expected="feed-forward conditioners",
            remedy="Train the trunk with residual=False.",
        )
        require_positive_settings(self)

    def config(self) -> dict[str, JSON]:
        """Return all settings, the trunk by a hash of its parameters."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "trunk"}
        known = {"family": self.family, "version": self.version}
        return {**known, **own, "trunk": content_key(self.trunk, 1)}

    def check(self, events: Events) -> None:
        """Raise what `fit` would say about the sample as such, before any work is done."""
        refuse_signed(events, "training")
        names = self.trunk.input_map.chain.names
        require(
            events.names == names,
            "events",
            got=f"the features {', '.join(events.names)}",
            expected=f"those of the trunk, {', '.join(names)}",
        )
        outside = int(np.sum(~self.trunk.input_map.inside(events.x)))
        require(
            not outside,
            "events",
            got=f"{outside} outside the support of the trunk",
            expected="events where it has a density",
        )

    def schedule(self) -> Schedule:
        """Return a schedule that comes to its end and keeps it."""
        return SplineRecipe.schedule(self)._replace(keep="last")

    def input_map(self, training: Events) -> InputMap:
        """Return that of the trunk."""
        self.check(training)
        return self.trunk.input_map

    def stack(self, columns: int) -> Architecture:  # noqa: ARG002  (that of the trunk)
        """Return size and shape of the trunk."""
        return self.trunk.shape

    def layout(self, shape: Architecture) -> PackedLayout:
        """Return where parameters are: the heads alone are trained."""
        return PackedLayout(shape, heads_alone=True)

    def start(self, shape: Architecture, student: Student) -> Parameters:  # noqa: ARG002  (the trunk's)
        """Return the parameters of the trunk."""
        return self.trunk.parameters

    def model(self, shape: Architecture, parameters: Parameters, input_map: InputMap) -> SplineFlow:
        """Return the member."""
        return SplineFlow(shape, parameters, input_map, precision=self.trunk.precision)

    def engine(self, columns: int, wanted: Engine | None = None) -> Engine:
        """Return what will train the heads; an InputError for the loop, which trains all."""
        if isinstance(wanted, Loop):
            raise InputError(
                "engine",
                got="Loop() for last layers",
                expected="Compiled() or Stacked()",
                remedy="Leave the engine out for the fastest one.",
            )
        return SplineRecipe.engine(self, columns, wanted)
