"""The fitted mixture as its own truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.coverage.responses import Response
from verisimile.core.arrays import Array
from verisimile.core.result import Estimate
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import sample_signed

__all__ = ["MixtureTruth", "closure_notes", "closure_values"]

_NOTICEABLE = 0.03  # standard deviations


@dataclass(frozen=True, slots=True, eq=False)
class MixtureTruth:
    """Draws from the positive part of a fitted mixture."""

    mixture: Mixture

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.mixture.n_features

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``."""
        return sample_signed(self.mixture.members, self.mixture.weights, n, rng).x

    def log_prob(self, x: Array) -> Array:
        """Return log-densities ``(n,)``."""
        return self.mixture.log_prob(x)


def closure_values(mixture: Mixture, responses: Sequence[Response]) -> tuple[Estimate, ...]:
    """Return the mixture's own values, whose Monte-Carlo error the estimates share exactly."""
    return tuple(Estimate(response.value(mixture.weights), 0.0) for response in responses)


def closure_notes(mixture: Mixture, events: int) -> tuple[str, ...]:
    r"""Return a warning if the negative mass, which no event can show, shifts the estimates.

    Of the order of :math:`N_- \sqrt{n}` standard deviations.
    """
    shift = mixture.fit.record.negative_mass * math.sqrt(events)
    if not shift > _NOTICEABLE:
        return ()
    return (
        f"closure: the mixture has a negative mass of {mixture.fit.record.negative_mass:.2g}, "
        f"which sampling cuts away: with {events} events estimates are off by about "
        f"{shift:.2g} standard deviations.",
    )
