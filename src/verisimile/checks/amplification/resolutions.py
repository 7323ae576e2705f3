"""Regions at several resolutions, and the generated events that are left to be counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.amplification.median_splits import median_split_regions
from verisimile.checks.amplification.regions import Regions, quantile_regions
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events

__all__ = ["PER_REGION", "Resolutions", "equal_regions", "resolutions_of"]

PER_REGION = 200
"""Events for each region's edges; its share is then right within 7 %."""


@dataclass(frozen=True, slots=True, eq=False)
class Resolutions:
    """Regions in ascending number, and each generated sample without the events that made them.

    Attributes
    ----------
    regions
        One division of the space for each resolution.
    counted
        What is left of the generated samples.
    used
        Generated events that the edges took.
    warnings
        What a reader must know.
    """

    regions: tuple[Regions, ...]
    counted: tuple[Events, ...]
    used: int
    warnings: tuple[str, ...]


def equal_regions(sample: Array, count: int) -> Regions:
    """Return quantile intervals of one feature, or boxes by median splits of several."""
    return (quantile_regions if sample.shape[1] == 1 else median_split_regions)(sample, count)


def resolutions_of(
    seeds: Seeds, generated: Sequence[Events], wanted: Sequence[int] | Sequence[Regions] | Regions
) -> Resolutions:
    """Return regions of equal generated share, or the caller's own.

    Up to half of each generated sample, and no more than 200 events for each of the finest
    regions, makes the edges and is not counted.

    Raises
    ------
    InputError
        If no regions are asked for, or there are fewer events than regions.
    """
    counts, own = _sorted_out(wanted)
    if own:
        return Resolutions(_ascending(own), tuple(generated), 0, ())
    sample, counted = _apart(seeds, generated, counts[-1])
    made = _ascending([equal_regions(sample, count) for count in counts])
    return Resolutions(made, counted, len(sample), _too_few(made, counts))


def _sorted_out(
    wanted: Sequence[int] | Sequence[Regions] | Regions,
) -> tuple[list[int], list[Regions]]:
    """Return the numbers, ascending, or the regions."""
    each: list[int | Regions] = list(wanted) if isinstance(wanted, Sequence) else [wanted]
    counts = sorted({int(item) for item in each if isinstance(item, int | np.integer)})
    own = [item for item in each if not isinstance(item, int | np.integer)]
    if not (bool(counts) ^ bool(own)):
        raise InputError("regions", got=repr(wanted), expected="numbers of regions, or regions")
    return counts, own


def _ascending(made: Sequence[Regions]) -> tuple[Regions, ...]:
    """Return one of each number of regions; ties may have made several into the same."""
    distinct = {each.count: each for each in made if each.count > 1}
    if not distinct:
        raise InputError(
            "regions",
            got="a single one, as the generated events are all alike",
            expected="two or more",
            remedy="Nothing can be said at this resolution but that the generator is constant.",
        )
    return tuple(distinct[count] for count in sorted(distinct))


def _apart(
    seeds: Seeds, generated: Sequence[Events], finest: int
) -> tuple[Array, tuple[Events, ...]]:
    """Return events for the edges, equally many of each sample, and the rest."""
    share = math.ceil(finest * PER_REGION / len(generated))
    edges, counted = [], []
    for number, events in enumerate(generated):
        rng = seeds.at("edges", number).numpy()
        order = rng.permutation(events.n)
        size = min(share, events.n // 2)
        if size < 1:
            raise InputError("generated", got=f"{events.n} events", expected="two or more")
        edges.append(_plain(events, order[:size], rng))
        counted.append(events.take(order[size:]))
    return np.concatenate(edges), tuple(counted)


def _plain(events: Events, rows: IntArray, rng: np.random.Generator) -> Array:
    """Return rows, drawn with replacement in proportion to their weights if they have any."""
    if events.weights is None:
        return np.asarray(events.x[rows])
    weights = np.maximum(events.weights[rows], 0.0)
    if not weights.any():
        raise InputError("generated.weights", got="none positive", expected="positive weights")
    drawn = rng.choice(rows, size=rows.size, p=weights / weights.sum())
    return np.asarray(events.x[drawn])


def _too_few(made: Sequence[Regions], counts: Sequence[int]) -> tuple[str, ...]:
    found = [each.count for each in made]
    if found == list(counts):
        return ()
    return (f"repeated values allow only {found} regions where {list(counts)} were asked for",)
