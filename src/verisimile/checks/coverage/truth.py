"""True values of observables: given, exact, or from a large sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.checks.coverage.bound import Bound, Drawn
from verisimile.core.arrays import Array, as_matrix, digest
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.density.protocol import Sampler

__all__ = ["KnownTruth", "draw_truth", "true_values", "truth_key"]

_SAMPLE = 1_000_000
_PROBES = 64


@dataclass(frozen=True, slots=True, eq=False)
class KnownTruth:
    """A truth with exactly known values of some observables.

    Parameters
    ----------
    sampler
        Draws events; used also for the observables without a value.
    values
        True values by the observables' names.
    """

    sampler: Sampler
    values: Mapping[str, float]

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.sampler.n_features

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``."""
        return self.sampler.sample(n, rng)


def true_values(
    truth: Sampler, observables: Mapping[str, Bound], seeds: Seeds
) -> tuple[Estimate, ...]:
    """Return the true values; those that are neither given nor exact have an error.

    Raises
    ------
    InputError
        If a value is given for an observable that is not asked for.
    """
    known = truth.values if isinstance(truth, KnownTruth) else {}
    unknown = sorted(set(known) - set(observables))
    if unknown:
        raise InputError(
            "KnownTruth.values", got=f"values of {unknown}", expected=f"of {list(observables)}"
        )
    source = truth.sampler if isinstance(truth, KnownTruth) else truth
    sampled = set(observables) != set(known)
    drawn = Drawn(source, draw_truth(source, _SAMPLE if sampled else 1, seeds.numpy()))
    return tuple(
        Estimate(float(known[name]), 0.0) if name in known else item.true_value(drawn)
        for name, item in observables.items()
    )


def draw_truth(truth: Sampler, n: int, rng: np.random.Generator) -> Array:
    """Return `n` events of the truth, checked."""
    return as_matrix(truth.sample(n, rng), "truth.sample", columns=truth.n_features)


def truth_key(truth: Sampler) -> str:
    """Return a content key: a truth has no identity of its own, so some of its events stand in."""
    return digest(draw_truth(truth, _PROBES, np.random.default_rng(0)))
