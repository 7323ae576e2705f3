"""Truth and generated events in one pool, with weights a classifier can take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.errors import InputError
from verisimile.data.events import Events, match_features

__all__ = ["Pool", "pool_of"]

_LEAST = 40


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Both samples, truth first.

    Attributes
    ----------
    x
        Events ``(N, d)``.
    truth
        Which are true ``(N,)``.
    weights
        Event weights ``(N,)``, scaled to mean one in either sample.
    weighted
        Whether either sample has weights.
    names
        Feature names.
    """

    x: Array
    truth: BoolArray
    weights: Array
    weighted: bool
    names: tuple[str, ...]

    @property
    def n_truth(self) -> int:
        """Number of true events."""
        return int(self.truth.sum())

    @property
    def n_generated(self) -> int:
        """Number of generated events."""
        return int(self.truth.size - self.truth.sum())

    def folds(self, count: int, rng: np.random.Generator) -> IntArray:
        """Return a fold number for each event ``(N,)``; every fold has its share of both."""
        out = np.empty(self.truth.size, dtype=np.int64)
        for side in (self.truth, ~self.truth):
            size = int(side.sum())
            out[side] = rng.permutation(np.arange(size) % count)
        return out


def pool_of(truth: Events, generated: Events) -> Pool:
    """Return both samples in one pool, with features matched by name.

    Raises
    ------
    InputError
        If features differ, a weight is not positive, or a sample is too small.
    """
    matched = match_features(generated, truth.features)
    for name, events in (("truth", truth), ("generated", matched)):
        _check(name, events)
    return Pool(
        x=np.concatenate([truth.x, matched.x]),
        truth=np.arange(truth.n + matched.n) < truth.n,
        weights=np.concatenate([_scaled(truth), _scaled(matched)]),
        weighted=truth.weights is not None or matched.weights is not None,
        names=truth.names,
    )


def _scaled(events: Events) -> Array:
    if events.weights is None:
        return np.ones(events.n)
    return np.asarray(events.weights / events.weights.mean())


def _check(name: str, events: Events) -> None:
    if events.n < _LEAST:
        raise InputError(
            name, got=f"{events.n} events", expected=f"{_LEAST} events or more for a classifier"
        )
    if events.weights is None or (events.weights > 0.0).all():
        return
    signed = "Use a statistic that takes signed weights, such as the energy distance."
    raise InputError(
        f"{name}.weights",
        got=f"{int((events.weights <= 0.0).sum())} weights that are not positive",
        expected="positive weights: with negative ones a classifier's loss has no minimum",
        remedy=signed if events.signed else "Leave out the events whose weight is zero.",
    )
