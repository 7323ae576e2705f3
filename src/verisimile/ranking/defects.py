"""Planted defects: what is wrong with the generated sample, in graded strengths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, require
from verisimile.data.inputs import EventsLike
from verisimile.ranking.laws import (
    ZMUMU,
    Law,
    Scales,
    events_law,
    identity_of,
    scales_of,
    zmumu_tune,
)

SPARE = 3
"""Events of the law that a defect has for each event of the generated sample."""

_TAIL = 0.9  # quantile from which a column has a tail
_HOLE = 0.25  # share of the events that are the lost mode
_PEAK, _WIDTH = 0.6, 0.03  # quantile at which a bump is, and its width in that of the column


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a defect is made of.

    Attributes
    ----------
    reference
        The pair's reference sample ``(n, d)``, for generators that have memorised it.
    pool
        Independent events of the law, three times as many: the first n are a perfect sample.
    law, scales
        The law, and the centres and widths of its columns.
    rng
        Random stream of this pair.
    """

    reference: Array
    pool: Array
    law: Law
    scales: Scales
    rng: np.random.Generator

    @property
    def n(self) -> int:
        """Number of events that are wanted."""
        return len(self.pool) // SPARE

    def sample(self) -> Array:
        """Return a perfect sample, to be spoiled."""
        return self.pool[: self.n].copy()

    def chosen(self, share: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which of the n events are among a random share: its number is binomial."""
        return self.rng.random(self.n) < share

    def kept(self, lost: np.ndarray[tuple[int], np.dtype[np.bool_]], share: float) -> Array:
        """Return n events of the pool without a share of those that may be lost."""
        gone = lost & (self.rng.random(len(self.pool)) < share)
        return self.pool[~gone][: self.n]


@dataclass(frozen=True, slots=True)
class Defect:
    """Something wrong with the generated sample.

    Attributes
    ----------
    name
        How tables call it.
    plant
        ``plant(material, strength)`` returns the generated sample ``(n, d)``.
    strengths
        Three or more, ascending.
    unit
        What a strength is.
    laws
        Names of the laws in which it is planted; empty for all.
    """

    name: str
    plant: Callable[[Material, float], Array]
    strengths: tuple[float, ...]
    unit: str
    laws: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(
            len(self.strengths) > 0 and list(self.strengths) == sorted(set(self.strengths)),
            "Defect.strengths",
            got=self.strengths,
            expected="different numbers in ascending order",
        )

    def identity(self) -> JSON:
        """Return what tells it from other defects, for fingerprints of kept answers."""
        return [self.name, identity_of(self.plant), list(self.strengths), list(self.laws)]

    def planted(
        self, reference: Array, pool: Array, law: Law, grade: int, rng: np.random.Generator
    ) -> Array:
        """Return the generated sample of one pair, at the strength of this place."""
        material = Material(reference, pool, law, scales_of(law), rng)
        spoiled = self.plant(material, self.strengths[grade])
        if spoiled.shape != (material.n, pool.shape[1]):
            raise InputError(
                f"defect {self.name!r}",
                got=f"a sample of shape {spoiled.shape}",
                expected=f"{(material.n, pool.shape[1])}",
            )
        return spoiled


def shift(m: Material, strength: float) -> Array:
    """Move a column by so many of its widths."""
    x, k = m.sample(), m.law.column
    x[:, k] += strength * m.scales.width[k]
    return x


def width(m: Material, strength: float) -> Array:
    """Make a column wider about its median, by this share of its width."""
    x, k = m.sample(), m.law.column
    x[:, k] += strength * (x[:, k] - m.scales.centre[k])
    return x


def dependence(m: Material, strength: float) -> Array:
    """Exchange a column among a share of the events: no marginal changes, dependence is lost."""
    x, k = m.sample(), m.law.column
    rows = np.flatnonzero(m.chosen(strength))
    x[rows, k] = x[m.rng.permutation(rows), k]
    return x


def tail_lost(m: Material, strength: float) -> Array:
    """Lose a share of the tail of a column."""
    k = m.law.column
    return m.kept(m.pool[:, k] > m.scales.quantile(k, _TAIL), strength)


def tail_heavier(m: Material, strength: float) -> Array:
    """Stretch the tail of a column, by this share of the distance from where it begins."""
    x, k = m.sample(), m.law.column
    edge = m.scales.quantile(k, _TAIL)
    x[:, k] += strength * np.maximum(x[:, k] - edge, 0.0)
    return x


def bump(m: Material, strength: float) -> Array:
    """Put a share of the events into a narrow bump of a column."""
    x, k = m.sample(), m.law.column
    there = m.chosen(strength)
    centre, sigma = m.scales.quantile(k, _PEAK), _WIDTH * m.scales.width[k]
    x[there, k] = centre + sigma * m.rng.standard_normal(int(there.sum()))
    return x


def missing_mode(m: Material, strength: float) -> Array:
    """Lose a share of the events in the ball about the centre that holds a quarter of the law."""
    columns = list(m.law.continuous)

    def radius(x: Array) -> Array:
        z = (x[:, columns] - m.scales.centre[columns]) / m.scales.width[columns]
        return np.asarray(np.square(z).sum(axis=1))

    inside = radius(m.pool) < np.quantile(radius(m.scales.events), _HOLE)
    return m.kept(inside, strength)


def smearing(m: Material, strength: float) -> Array:
    """Add normal noise of this share of the width to all continuous columns."""
    x, columns = m.sample(), list(m.law.continuous)
    noise = m.rng.standard_normal((m.n, len(columns)))
    x[:, columns] += strength * m.scales.width[columns] * noise
    return x


def repeated(m: Material, strength: float) -> Array:
    """Replace a share of the events by copies of the others."""
    x = m.sample()
    own = max(1, round((1.0 - strength) * m.n))
    x[own:] = x[m.rng.integers(own, size=m.n - own)]
    return x


def memorised(m: Material, strength: float) -> Array:
    """Replace a share of the events by events of the reference."""
    x = m.sample()
    count = min(round(strength * m.n), len(m.reference))
    x[:count] = m.reference[m.rng.permutation(len(m.reference))[:count]]
    return x


def rounding(m: Material, strength: float) -> Array:
    """Round a column to multiples of this share of its width."""
    x, k = m.sample(), m.law.column
    step = strength * m.scales.width[k]
    x[:, k] = step * np.round(x[:, k] / step)
    return x


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """A share of the events comes from another generator; `draw` gives its events."""

    draw: Callable[[int, np.random.Generator], Array]

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"mixed:{identity_of(self.draw)}"

    def __call__(self, m: Material, strength: float) -> Array:
        """Return the sample with this share of the other generator's events."""
        x = m.sample()
        there = m.chosen(strength)
        x[there] = self.draw(m.n, m.rng)[: int(there.sum())]
        return x


def other_generator(
    name: str,
    law: Law,
    events: EventsLike,
    *,
    strengths: tuple[float, ...] = (0.25, 0.5, 1.0),
) -> Defect:
    """Return the defect that a share of a law's events comes from another generator.

    `events` have the columns of the law, and are at least as many as the largest sample.
    """
    other = events_law(name, events)
    return Defect(name, Mixed(other.draw), strengths, "share of its events", laws=(law.name,))


DEFECTS = (
    Defect("shift", shift, (0.1, 0.2, 0.4), "widths"),
    Defect("width", width, (0.15, 0.3, 0.6), "of the width"),
    Defect("dependence", dependence, (0.3, 0.6, 1.0), "share of events exchanged"),
    Defect("tail lost", tail_lost, (0.25, 0.5, 1.0), "share of the upper tenth"),
    Defect("tail heavier", tail_heavier, (1.0, 2.5, 6.0), "stretched by"),
    Defect("bump", bump, (0.05, 0.1, 0.2), "share of events"),
    Defect("missing mode", missing_mode, (0.25, 0.5, 1.0), "share of the central quarter"),
    Defect("smearing", smearing, (0.2, 0.4, 0.8), "widths"),
    Defect("repeated", repeated, (0.5, 0.75, 0.9), "share of copies of others"),
    Defect("memorised", memorised, (0.25, 0.5, 1.0), "share of the reference"),
    Defect("rounding", rounding, (0.25, 0.5, 1.0), "widths"),
    Defect(
        "other tune", Mixed(zmumu_tune), (0.25, 0.5, 1.0), "share of its events", laws=(ZMUMU.name,)
    ),
)
"""What the default suite plants, in laws of any kind."""
