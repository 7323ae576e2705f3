"""From features in their units to the flow's coordinates: support, scale, normal scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.canonical import JSON
from verisimile.data.columns import Probit
from verisimile.data.events import Events
from verisimile.data.transforms import Chain, feature_transform, from_config
from verisimile.density.normal_scores import NormalScores

__all__ = ["InputMap"]


@dataclass(frozen=True, slots=True, eq=False)
class InputMap:
    """The fixed first step of a flow, fitted on its training events.

    Bounded features are unfolded and standardised (`data.transforms`), then
    each is Gaussianised through its quantiles.  In a bootstrap ensemble each
    replica fits its own map, so that the ensemble's spread contains the
    statistical error of the quantiles too.
    """

    chain: Chain
    scores: NormalScores

    @classmethod
    def fit(cls, events: Events, most_bins: int) -> InputMap:
        """Return the map of these events, with at most `most_bins` bins per feature."""
        chain = feature_transform(events)
        values, _ = chain.forward(events.x)
        scores = NormalScores.fit(
            values,
            events.weights,
            most_bins=most_bins,
            exponential=[not isinstance(column, Probit) for column in chain.columns],
        )
        return cls(chain, scores)

    @classmethod
    def of(cls, config: Mapping[str, JSON], arrays: Mapping[str, npt.NDArray[Any]]) -> InputMap:
        """Return the map that `config` and `arrays` describe."""
        stored = [np.asarray(arrays[key]) for key in sorted(arrays) if key.startswith("scores.")]
        return cls(from_config(config), NormalScores.of(stored))

    def config(self) -> dict[str, JSON]:
        """Return the JSON part of the description."""
        return self.chain.config()

    def arrays(self) -> dict[str, Array]:
        """Return the array part of the description."""
        return {f"scores.{number:05d}": a for number, a in enumerate(self.scores.arrays)}

    def inside(self, x: Array) -> BoolArray:
        """Return which rows lie in the support ``(n,)``."""
        return self.chain.inside(x)

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return coordinates ``(n, d)`` of rows in the support, and ``log |J|`` ``(n,)``."""
        values, outer = self.chain.forward(x)
        scores, inner = self.scores.forward(values)
        return scores, outer + inner

    def inverse(self, z: Array) -> Array:
        """Return the features ``(n, d)`` of given coordinates."""
        return self.chain.inverse(self.scores.inverse(z))
