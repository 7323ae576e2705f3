"""Truth and generated events in one pool, with weights a classifier can take."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.errors import InputError
from verisimile.data.events import Events, match_features
from verisimile.data.groups import compact
from verisimile.samples.coordinates import Circles, Standardised, circles, periodic, turned
from verisimile.samples.pool import Pool as Samples
from verisimile.samples.pool import pooled

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
        What a classifier learns with ``(N,)``: absolute event weights, scaled to mean one in
        either sample.
    weighted
        Whether either sample has weights.
    names
        Feature names.
    samples
        The same events as two-sample tests see them: their signed weights, groups and null.
        None for events that are relabeled one by one.
    circled
        Events with their periodic features on circles; None without such features.
    """

    x: Array
    truth: BoolArray
    weights: Array
    weighted: bool
    names: tuple[str, ...]
    samples: Samples | None = field(default=None, kw_only=True)
    circled: Circles | None = field(default=None, kw_only=True)

    @property
    def n_truth(self) -> int:
        """Number of true events."""
        return int(self.truth.sum())

    @property
    def n_generated(self) -> int:
        """Number of generated events."""
        return int(self.truth.size - self.truth.sum())

    @property
    def inputs(self) -> Array:
        """What a classifier sees of the events ``(N, d')``."""
        return self.x if self.circled is None else self.circled.x

    @property
    def masses(self) -> Array:
        """Event weights of either sign ``(N,)``, of mean one in either sample."""
        return self.weights if self.samples is None else self.samples.weights

    @property
    def units(self) -> IntArray:
        """What is drawn as a whole ``(N,)``: the group of each event, or its place."""
        return np.arange(self.truth.size) if self.samples is None else self.samples.units

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.truth.size if self.samples is None else self.samples.n_units

    @property
    def grouped(self) -> bool:
        """Whether some events belong together."""
        return self.n_units < self.truth.size

    def folds(self, count: int, rng: np.random.Generator) -> IntArray:
        """Return a fold number for each event ``(N,)``; every fold has its share of both.

        Groups stay whole.
        """
        out = np.empty(self.truth.size, dtype=np.int64)
        for side in (self.truth, ~self.truth):
            units = compact(self.units[side]) if self.grouped else np.arange(int(side.sum()))
            out[side] = rng.permutation(np.arange(int(units.max()) + 1) % count)[units]
        return out


def pool_of(truth: Events, generated: Events, *, exchangeable_weights: bool = False) -> Pool:
    """Return both samples in one pool, with features matched by name.

    With `exchangeable_weights` one law made the weights of both, and labels may be permuted.

    Raises
    ------
    InputError
        If features differ, no feature varies, a sample's weights have no positive sum, or it
        is too small.
    """
    matched = match_features(generated, truth.features)
    for name, events in (("truth", truth), ("generated", matched)):
        _check(name, events)
    x, around = np.concatenate([truth.x, matched.x]), periodic(truth.features)
    return Pool(
        x=x,
        truth=np.arange(truth.n + matched.n) < truth.n,
        weights=np.concatenate([_scaled(truth), _scaled(matched)]),
        weighted=truth.weights is not None or matched.weights is not None,
        names=truth.names,
        samples=pooled(truth, matched, Standardised(), exchangeable_weights=exchangeable_weights),
        circled=circles(turned(x, truth.features), around) if around.any() else None,
    )


def _scaled(events: Events) -> Array:
    if events.weights is None:
        return np.ones(events.n)
    size = np.abs(events.weights)
    return np.asarray(size / size.mean())


def _check(name: str, events: Events) -> None:
    if events.n_groups < _LEAST:
        what = "events" if events.group is None else "groups"
        raise InputError(
            name,
            got=f"{events.n_groups} {what}",
            expected=f"{_LEAST} {what} or more for a classifier",
        )
