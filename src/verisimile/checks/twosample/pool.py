"""Two samples become one pool of events, of which relabelings choose the first sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.checks.twosample.coordinates import Coordinates, varying
from verisimile.checks.twosample.statistic import Labels, Statistic
from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events, match_features
from verisimile.samples.copies import exact_copies

__all__ = ["Pool", "accepts", "pooled"]

_FEWEST = 2
_FEW_EFFECTIVE = 30.0
_RANKS = ("none", "positive", "signed")


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """All events in common coordinates, the first sample's first.

    Attributes
    ----------
    x
        Coordinates ``(N, d)``, constant features left out.
    weights
        ``(N,)``, of mean one in either sample; ones if there are none.
    sizes
        Events of the first and of the second sample.
    n_effective
        Their effective numbers.
    kind
        ``"none"``, ``"positive"`` or ``"signed"`` weights.
    coordinates
        Name of the coordinates.
    warnings
        What a reader must know.
    """

    x: Array
    weights: Array
    sizes: tuple[int, int]
    n_effective: tuple[float, float]
    kind: str
    coordinates: str
    warnings: tuple[str, ...]

    @property
    def key(self) -> str:
        """Content key of the pooled events and of who they belong to."""
        return digest(self.x, self.weights, np.array(self.sizes))

    def observed(self) -> Labels:
        """Return the true labels ``(1, N)``."""
        return np.arange(sum(self.sizes))[None, :] < self.sizes[0]

    def relabeled(self, seeds: Seeds, first: int, count: int) -> Labels:
        """Return relabelings number `first` and following ``(count, N)``, one stream each."""
        labels = np.zeros((count, sum(self.sizes)), dtype=np.bool_)
        for row in range(count):
            order = seeds.at(first + row).numpy().permutation(labels.shape[1])
            labels[row, order[: self.sizes[0]]] = True
        return labels


def pooled(first: Events, second: Events, coordinates: Coordinates) -> Pool:
    """Return the pool of two samples, features matched by name.

    Raises
    ------
    InputError
        If the features differ, a sample has fewer than two events or weights
        without a positive sum, or no feature has more than one value.
    """
    second = match_features(second, first.features)
    for events, name in ((first, "first sample"), (second, "second sample")):
        _check_size(events, name)
    x = np.concatenate([first.x, second.x])
    kept = varying(x)
    _check_features(first, any_varies=bool(kept.any()))
    return Pool(
        x=frozen(coordinates.of(x[:, kept])),
        weights=frozen(
            np.concatenate([_unit(first, "first sample"), _unit(second, "second sample")])
        ),
        sizes=(first.n, second.n),
        n_effective=(first.n_effective, second.n_effective),
        kind=max(_kind(first), _kind(second), key=_RANKS.index),
        coordinates=coordinates.name,
        warnings=(
            *(
                f"feature {name!r} has one value only and is left out"
                for name, varies in zip(first.names, kept, strict=True)
                if not varies
            ),
            *_sharing(first, second),
            *_weighting(first, second),
        ),
    )


def accepts(statistic: Statistic, kind: str) -> None:
    """Raise unless the statistic can take weights of this kind.

    Raises
    ------
    InputError
        With the reason.
    """
    if _RANKS.index(kind) > _RANKS.index(statistic.weights):
        raise InputError(
            f"statistic {statistic.name!r}",
            got=f"events with {kind} weights",
            expected={"none": "unweighted events", "positive": "weights that are not negative"}[
                statistic.weights
            ],
            remedy="Use a statistic for such weights (energy, MMD, or those of distribution"
            " functions), or events unweighted by accept and reject.",
        )


def _check_size(events: Events, name: str) -> None:
    if events.n < _FEWEST:
        raise InputError(
            name,
            got=f"{events.n} event",
            expected="two events or more",
            remedy="Check the selection: a test needs a spread within each sample.",
        )


def _check_features(events: Events, *, any_varies: bool) -> None:
    if not any_varies:
        raise InputError(
            "samples",
            got=f"one and the same value of every feature {events.names}",
            expected="a feature that varies",
            remedy="Check the columns that were read.",
        )


def _unit(events: Events, name: str) -> Array:
    """Return weights of mean one: a common scale, whatever luminosity they were made for."""
    if events.weights is None:
        return np.ones(events.n)
    scaled = events.weights / np.abs(events.weights).max()
    if not scaled.sum() > 0.0:
        raise InputError(
            name,
            got=f"weights with the sum {events.weights.sum():.4g}",
            expected="a positive sum",
            remedy="A density cannot be normalised otherwise; take more events.",
        )
    return np.asarray(scaled / scaled.mean())


def _kind(events: Events) -> str:
    if events.weights is None:
        return "none"
    return "signed" if events.signed else "positive"


def _sharing(first: Events, second: Events) -> list[str]:
    shared = exact_copies(first, second)
    if shared is None:
        return []
    return [
        f"{shared.count} of {second.n} events of the second sample occur in the first: "
        "samples that share events look more alike than they are"
    ]


def _weighting(first: Events, second: Events) -> list[str]:
    found = []
    if (first.weights is None) != (second.weights is None):
        found.append(
            "only one sample is weighted: relabelings exchange events with their weights, and the "
            "p-value is exact only if both samples have weights of one law"
        )
    for events, name in ((first, "first"), (second, "second")):
        if events.weights is not None and events.n_effective < _FEW_EFFECTIVE:
            found.append(
                f"the {name} sample is worth {events.n_effective:.1f} unweighted events only"
            )
    return found
