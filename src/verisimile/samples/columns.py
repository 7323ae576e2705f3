"""Columns in another order in one of two samples: seen from the values, whatever the names say."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import linear_sum_assignment

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.data.inputs import EventsLike, as_events

_PROBE = 5000  # events that are looked at
_FEWEST = 100
_ALIKE, _APART = 0.05, 3.0  # Kolmogorov distance, and how many times that is clearly another law
_MISSED = 0.01  # how often one of all columns is farther from its own law than noise explains
_SIEVE = 16  # places of a column at which all others are looked at first


def comparable(**samples: EventsLike) -> tuple[Events, ...]:
    """Return samples by the names of their arguments as events, to be compared with the first.

    Columns are matched by name.  Where all that names say is the place of a column, as of
    arrays, an InputError tells columns of a sample that look permuted.
    """
    events = tuple(as_events(value, name) for name, value in samples.items())
    first, *others = samples
    for name, sample in zip(others, events[1:], strict=True):
        if events[0].nameless and sample.names == events[0].names:
            _refuse_permuted(events[0], sample, (first, name))
    return events


def _refuse_permuted(reference: Events, other: Events, roles: tuple[str, str]) -> None:
    for cycle in permuted(reference, other):
        names = [reference.names[j] for j in cycle]
        raise InputError(
            roles[1],
            got=f"columns {', '.join(names)} in another order than in {roles[0]}, by their values",
            expected="columns of arrays, which have no names, in the same order",
            remedy="Reorder them, or name the columns of both: vs.Events(x, names=[...]).",
        )


def swapped_columns(reference: Events, generated: Events) -> list[str]:
    """Return a warning for all features that look permuted in the generated sample."""
    return [
        f"features {_listed([reference.names[j] for j in cycle])} look exchanged in the "
        "generated sample: check the names of its columns"
        for cycle in permuted(reference, generated)
    ]


def _listed(names: list[str]) -> str:
    *most, last = map(repr, names)
    return f"{', '.join(most)} and {last}"


def permuted(reference: Events, other: Events) -> list[tuple[int, ...]]:
    r"""Return the cycles of columns that look permuted in the other sample.

    A column of the reference is looked for among those of the other sample if it differs clearly
    from its namesake.  Two columns are alike if their Kolmogorov distance is at most

    .. math:: a = \max\Big(0.05, \sqrt{\tfrac12 \log\tfrac{2 d}{0.01}}\,\sqrt{1/n + 1/m}\Big),

    and clearly different above 3 a.  The assignment that finds the most columns that are
    alike is taken, and its cycles in which all are.
    """
    ours, theirs = _Probe(reference), _Probe(other)
    if min(ours.size, theirs.size) < _FEWEST:
        return []
    noise = math.sqrt(0.5 * math.log(2.0 * reference.d / _MISSED))
    alike = max(_ALIKE, noise * math.sqrt(1.0 / ours.size + 1.0 / theirs.size))
    apart = [j for j in range(reference.d) if ours.distance(j, theirs, j) > _APART * alike]
    if len(apart) < 2:
        return []
    cost = np.ones((len(apart), len(apart)))
    possible = ours.possible(theirs, apart, alike)
    for row, column in np.argwhere(possible):
        distance = ours.distance(apart[row], theirs, apart[column])
        cost[row, column] = distance if distance <= alike else 1.0
    np.fill_diagonal(cost, 0.99)  # a column that is like none stays where it is
    _, assigned = linear_sum_assignment(cost)
    return [
        tuple(apart[j] for j in cycle)
        for cycle in _cycles(assigned.tolist())
        if len(cycle) > 1 and all(cost[j, assigned[j]] <= alike for j in cycle)
    ]


def _cycles(assigned: list[int]) -> list[list[int]]:
    found, seen = [], set[int]()
    for start in range(len(assigned)):
        cycle, place = [], start
        while place not in seen:
            seen.add(place)
            cycle.append(place)
            place = assigned[place]
        if cycle:
            found.append(cycle)
    return found


class _Probe:
    """Some events of a sample, evenly spread because a file may be sorted."""

    def __init__(self, events: Events) -> None:
        step = max(1, events.n // _PROBE)
        self.x = events.x[::step]
        self.weights = None if events.weights is None else events.weights[::step]
        self.size = float(len(self.x))
        if self.weights is not None:
            squares = float((self.weights**2).sum())
            self.size = float(self.weights.sum() ** 2) / squares if squares else 0.0

    def distance(self, j: int, other: _Probe, k: int) -> float:
        """Return the Kolmogorov distance of column `j` to another sample's column `k`."""
        return ks_distance(self.x[:, j], other.x[:, k], self.weights, other.weights)

    def possible(self, other: _Probe, columns: list[int], alike: float) -> BoolArray:
        """Return which columns may be alike: those that are at a few places of the other's."""
        places = np.linspace(0, len(other.x) - 1, _SIEVE).astype(np.int64)
        looked = np.sort(other.x[:, columns], axis=0)[places]
        theirs = np.array(
            [_below(other.x[:, k], looked[:, j], other.weights) for j, k in enumerate(columns)]
        )
        mine = np.array(
            [
                _below(self.x[:, k], looked.T.ravel(), self.weights).reshape(theirs.shape)
                for k in columns
            ]
        )
        return np.asarray((np.abs(mine - theirs) <= alike).all(axis=2))


def ks_distance(
    first: Array,
    second: Array,
    first_weights: Array | None = None,
    second_weights: Array | None = None,
) -> float:
    """Return the largest difference of two empirical distribution functions."""
    points = np.concatenate([first, second])
    below = _below(first, points, first_weights)
    return float(np.abs(below - _below(second, points, second_weights)).max())


def _below(values: Array, points: Array, weights: Array | None) -> Array:
    """Return the share of `values` that are not above each of the points."""
    if weights is None:
        return np.searchsorted(np.sort(values), points, side="right") / values.size
    order = np.argsort(values)
    shares = np.concatenate([[0.0], np.cumsum(weights[order])]) / weights.sum()
    return np.asarray(shares[np.searchsorted(values[order], points, side="right")])
