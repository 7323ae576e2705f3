"""Rows that a sample repeats, and whether its values explain them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, IntArray
from verisimile.core.result import register
from verisimile.data.events import Events, match_features, row_hashes
from verisimile.samples.copies import LEVEL
from verisimile.stats.coincidences import chance_of, value_pairs

_CONTINUOUS = 0.05  # of different rows that share a value of the column
_WHOLE = 1e-6
_FEW = 0.01  # of the events: so few repetitions move no p-value that matters


@register("sample-rows", 1)
@dataclass(frozen=True, slots=True)
class SampleRows:
    """How many different rows a sample has.

    Attributes
    ----------
    role
        Of the sample.
    n
        Events, those that a group repeats counted once.
    distinct
        Different rows among them.
    repeated
        Whether rows repeat more than a lattice of values explains: tests that relabel
        events then take them for more than they are.
    """

    role: str
    n: int
    distinct: int
    repeated: bool

    @property
    def dependent(self) -> bool:
        """Whether more than 1 % of the events are repetitions."""
        return self.repeated and self.n - self.distinct > _FEW * self.n

    @property
    def warning(self) -> str:
        """What repeated rows mean and what to do, in a sentence; empty without them."""
        if not self.repeated:
            return ""
        return (
            f"the {self.n} events of the {self.role} sample have {self.distinct} different rows: "
            "repeated ones are no independent events"
            f"{', and are tested as groups' if self.dependent else ''}. "
            "Keep one of each row, or say by group= which rows belong together"
        )


def rows_of(samples: Mapping[str, Events]) -> tuple[SampleRows, ...]:
    r"""Return the different rows of each sample, by role; the first sample is compared with.

    Repeated rows are explained if another sample has the same values: of values with two
    events in both samples together, thinned to one size, a quarter is expected to have both in
    this one.  They are explained as well if all features repeat their values among different
    rows, or if the values of a single feature are multiples of a step.  Rows that a group
    repeats count once.

    Raises
    ------
    InputError
        If the features differ.
    """
    roles = list(samples)
    matched = {
        role: _once(match_features(each, samples[roles[0]].features))
        for role, each in samples.items()
    }
    return tuple(
        _rows(role, matched[role], matched[next(r for r in roles if r != role)]) for role in roles
    )


def equal_rows(x: Array) -> IntArray:
    """Return codes ``(n,)`` that equal rows of values ``(n, d)`` share."""
    return np.asarray(np.unique(row_hashes(x), return_inverse=True)[1], dtype=np.int64)


def values_repeat(events: Events) -> bool:
    """Return whether values explain repeated rows: a lattice in all features, or no feature varies.

    A feature is on a lattice if different rows share its values, or if it is the only one
    and its values are multiples of a step.
    """
    _, first = np.unique(row_hashes(events.x), return_index=True)
    return _on_a_lattice(events.x[first])


def _once(events: Events) -> Array:
    """Return the rows, those that a group repeats once: what belongs together may be alike."""
    if events.group is None:
        return events.x
    _, first = np.unique(equal_rows(events.x) * events.n_groups + events.group, return_index=True)
    return np.asarray(events.x[np.sort(first)])


def _rows(role: str, x: Array, other: Array) -> SampleRows:
    keys = row_hashes(x)
    _, first = np.unique(keys, return_index=True)
    repeated = bool(
        first.size < x.shape[0] and _excess(x, other) <= LEVEL and not _on_a_lattice(x[first])
    )
    return SampleRows(role, x.shape[0], first.size, repeated)


def _excess(x: Array, other: Array) -> float:
    """Return the probability that so many of the values with two events have both in x."""
    keys, others = row_hashes(x), row_hashes(other)
    kept = min(np.unique(keys).size, np.unique(others).size)
    across, own, theirs = value_pairs(keys, others, kept=(kept, kept))
    return chance_of(own, across, theirs, share=0.25)


def _on_a_lattice(rows: Array) -> bool:
    """Return whether values explain repetitions, given different rows."""
    varying = rows[:, np.ptp(rows, axis=0) > 0.0]
    if varying.shape[1] == 0:
        return True
    if varying.shape[1] == 1:
        return _stepped(varying[:, 0])
    return all(_sharing(column) > _CONTINUOUS for column in varying.T)


def _stepped(values: Array) -> bool:
    gaps = np.diff(np.unique(values))
    steps = gaps / gaps.min()
    return bool((np.abs(steps - np.round(steps)) < _WHOLE * steps).all())


def _sharing(column: Array) -> float:
    _, counts = np.unique(column, return_counts=True)
    return float(counts[counts > 1].sum() / column.size)
