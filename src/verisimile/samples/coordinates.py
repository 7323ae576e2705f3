r"""Coordinates common to two samples, made of the pooled events without their labels.

A periodic feature is a point on a circle, so that no number depends on where it is cut: an
angle :math:`\varphi` becomes :math:`(\cos, \sin)` in a frame made of the pooled events
themselves, turned by their mean direction, which turns with them.  Whatever is made of these
columns, ranks and axes included, is the same for samples that are both turned by any angle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from scipy import special, stats

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.errors import InputError
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature

_HARMONICS = 8
_NOTHING = 1e-8  # a mean resultant that is rounding: the pooled events have this symmetry
_DECIMALS = 12  # of a turn: events at one place stay there, however the samples are turned
_MOST_TURNS = 2.0  # of angles without a stated period: differences of two angles have so many


class Coordinates(Protocol):
    """A map of the pooled events that treats all of them alike."""

    @property
    def name(self) -> str:
        """What it is called in results."""

    def of(self, pooled: Array, blocks: Sequence[Sequence[int]] = ()) -> Array:
        """Return the coordinates ``(N, d)`` of events ``(N, d)`` without constant columns.

        Columns of a block, such as the cosine and the sine of one angle, have one scale.
        """


@dataclass(frozen=True, slots=True)
class Standardised:
    r"""Each feature less its mean, in units of its standard deviation.

    .. math:: z_{ij} = (x_{ij} - \bar x_j) / s_j

    with both taken over all events of both samples, unweighted; columns of a block share
    the root of their summed variances.  Distances keep
    the shape of the feature, its tails included: one event at 100 standard
    deviations then counts as far as it is.
    """

    name: ClassVar[str] = "standardised"

    def of(self, pooled: Array, blocks: Sequence[Sequence[int]] = ()) -> Array:
        """Return the coordinates ``(N, d)``."""
        # Scaled first, so that the squares of huge values stay finite.
        scaled = pooled / np.abs(pooled).max(axis=0)
        centred = scaled - scaled.mean(axis=0)
        centred /= np.abs(centred).max(axis=0)
        found = np.asarray(centred / centred.std(axis=0))
        for block in map(list, blocks):
            apart = pooled[:, block] - pooled[:, block].mean(axis=0)
            found[:, block] = apart / np.sqrt(apart.var(axis=0).sum())
        return found


@dataclass(frozen=True, slots=True)
class NormalScores:
    r"""Each feature through its pooled ranks to a standard normal.

    .. math:: z_{ij} = \Phi^{-1}\left((r_{ij} - \tfrac12) / N\right)

    with mid-ranks r of ties.  Unchanged by any increasing map of a feature, and
    no tail dominates; differences far in a tail count for less than with
    :class:`Standardised`.  Every column has its own ranks, also in a block.
    """

    name: ClassVar[str] = "normal scores"

    def of(
        self,
        pooled: Array,
        blocks: Sequence[Sequence[int]] = (),  # noqa: ARG002  (protocol)
    ) -> Array:
        """Return the coordinates ``(N, d)``."""
        ranks = stats.rankdata(pooled, method="average", axis=0)
        return np.asarray(special.ndtri((ranks - 0.5) / len(pooled)))


def varying(pooled: Array) -> BoolArray:
    """Return which columns hold more than one value, ``(d,)``."""
    return np.asarray(pooled.min(axis=0) < pooled.max(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class Angle:
    """One periodic feature of the pooled events.

    Attributes
    ----------
    columns
        Its columns among those of the circles: cosine and sine, or the one that varies.
    turn
        Position on the circle in turns, from 0 to 1 ``(N,)``.
    """

    columns: tuple[int, ...]
    turn: Array

    def take(self, rows: IntArray) -> Angle:
        """Return the same for some of the events."""
        return Angle(self.columns, self.turn[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Circles:
    """Pooled events with their periodic features on circles.

    Attributes
    ----------
    x
        ``(N, d')``: features as they are, and cosine and sine of the periodic ones.
    source
        Which of the features each column comes from ``(d',)``.
    angles
        The periodic features.
    """

    x: Array
    source: IntArray
    angles: tuple[Angle, ...]

    @property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """Columns that need a common scale."""
        return tuple(angle.columns for angle in self.angles)


def periodic(features: Sequence[Feature]) -> BoolArray:
    """Return which features are periodic ``(d,)``."""
    return np.array([feature.kind == "periodic" for feature in features], dtype=np.bool_)


def in_turns(x: Array, features: Sequence[Feature]) -> Array:
    r"""Return pooled events ``(N, d)`` with periodic features as positions in turns.

    .. math:: u_i = \varphi_i / P - \arg(m_k) / 2 \pi k + \tfrac12 \mod 1, \qquad
              m_k = \tfrac1N \sum_i e^{2 \pi i k \varphi_i / P}

    with the first harmonic k whose mean does not vanish, as it does for events with the
    symmetry of a lattice: the mean direction lies at one half, the cut opposite to it.  If
    all angles are turned alike, u stays.

    Raises
    ------
    InputError
        If a periodic feature without bounds, taken for an angle in radians, goes round more
        than twice.
    """
    if not periodic(features).any():
        return x
    found = x.copy()
    for j in np.flatnonzero(periodic(features)).tolist():
        found[:, j] = _from_cut(_positions(x[:, j], features[j]))
    return found


def circles(unrolled: Array, around: BoolArray) -> Circles:
    """Return events of :func:`turned` ``(N, d)`` with the features `around` on circles."""
    columns: list[Array] = []
    source: list[int] = []
    angles: list[Angle] = []
    for j, column in enumerate(unrolled.T):
        if not around[j]:
            columns.append(column)
            source.append(j)
            continue
        pair = [part for part in _pair(column) if part.min() < part.max()]
        first = len(columns)
        angles.append(Angle(tuple(range(first, first + len(pair))), column))
        columns += pair
        source += [j] * len(pair)
    return Circles(np.column_stack(columns), np.array(source, dtype=np.int64), tuple(angles))


def circular_events(samples: Sequence[Events]) -> tuple[Events, ...]:
    """Return samples whose periodic features are two, ``phi (cos)`` and ``phi (sin)``.

    Both are taken about the mean direction of all samples together, features matched by
    name to the first sample's.  Their moments, correlations and distances do not depend on
    where the angle is cut.
    """
    features = samples[0].features
    around = periodic(features)
    if not around.any():
        return tuple(samples)
    matched = [match_features(one, features) for one in samples]
    unrolled = in_turns(np.concatenate([one.x for one in matched]), features)
    columns, specs = [], []
    for j, feature in enumerate(features):
        if not around[j]:
            columns.append(unrolled[:, j])
            specs.append(feature)
            continue
        # The mean direction lies at half a turn: about it the cosine is largest.
        columns += [-part for part in _pair(unrolled[:, j])]
        label = feature.label or feature.name
        specs += [
            Feature(f"{feature.name} ({word})", label=f"{label} ({word})")
            for word in ("cos", "sin")
        ]
    parts = np.split(np.column_stack(columns), np.cumsum([one.n for one in matched])[:-1])
    return tuple(
        Events(part, one.weights, features=specs, group=one.group)
        for part, one in zip(parts, matched, strict=True)
    )


def on_circles(x: Array, reference: Events) -> Array:
    """Return rows ``(n, d')`` with periodic features as cosine and sine, ``(n, d)`` without any.

    Both are taken about the mean direction of `reference`, whose features these are: if its
    events and the rows are turned alike, nothing changes.  Values that are not finite stay so.
    """
    around = periodic(reference.features)
    if not around.any():
        return x
    columns: list[Array] = []
    for j, feature in enumerate(reference.features):
        if not around[j]:
            columns.append(x[:, j])
            continue
        own, given = (values[:, j] for values in (reference.x, x))
        _positions(own, feature)
        turn = _from_cut(np.concatenate([own, given]) / feature.period % 1.0, of=own.size)
        columns += _pair(turn[own.size :])
    return np.column_stack(columns)


def _positions(values: Array, feature: Feature) -> Array:
    """Return angles in turns, of any integer part."""
    turns = values / feature.period
    if feature.bounds < 2 and np.ptp(turns) > _MOST_TURNS * (1.0 + 1e-6):
        raise InputError(
            f"feature {feature.name!r}",
            got=f"a periodic feature without bounds, and values from {values.min():.6g} "
            f"to {values.max():.6g}",
            expected="an angle in radians, or the ends of its period as low and high",
            remedy=f"For degrees: Feature({feature.name!r}, kind='periodic', low=0, high=360).",
        )
    return np.asarray(turns % 1.0)


def _from_cut(turn: Array, *, of: int | None = None) -> Array:
    """Return positions from the cut opposite to the mean direction of the first `of` of them."""
    shift = 0.0
    for harmonic in range(1, _HARMONICS + 1):
        mean = np.exp(2.0j * np.pi * harmonic * turn[:of]).mean()
        if abs(mean) > _NOTHING:
            shift = float(np.angle(mean)) / (2.0 * np.pi * harmonic)
            break
    # Rounded, so that events at one place stay at one; and a whole turn is none.
    return np.asarray(np.round((turn - shift + 0.5) % 1.0, _DECIMALS) % 1.0)


def _pair(turn: Array) -> tuple[Array, Array]:
    angle = 2.0 * np.pi * turn
    cosine, sine = (np.asarray(np.round(of(angle), _DECIMALS) + 0.0) for of in (np.cos, np.sin))
    return cosine, sine
