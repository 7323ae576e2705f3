"""What a two-sample statistic is: prepared once on the pooled events, valued on draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from verisimile.core.arrays import Array
from verisimile.samples.angles import Angle
from verisimile.samples.draws import Labels, MassRows


class Prepared(Protocol):
    """A statistic that has seen the pooled events, but not which sample they belong to."""

    def values(self, labels: Labels) -> Array:
        """Return the statistic of each relabeling, ``(R,)``; large means different."""
        ...


@runtime_checkable
class Tabulated(Protocol):
    """A prepared statistic of several columns, which min-p combines on the same relabelings."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the J columns."""
        ...

    def values(self, labels: Labels) -> Array:
        """Return -log of the smallest p-value, ``(R,)``, of each row among the rows given."""
        ...

    def table(self, labels: Labels) -> Array:
        """Return every column of each relabeling, ``(R, J)``."""
        ...


@runtime_checkable
class OfMasses(Protocol):
    """A prepared statistic that is a function of two distributions on the pooled events.

    Where weights of the samples follow different laws, relabelings are no null; a
    multiplier bootstrap is, for such a statistic.
    """

    def of_masses(self, rows: MassRows) -> Array:
        """Return the statistic of each pair of mass rows, ``(R,)``, or its columns ``(R, J)``."""
        ...


@runtime_checkable
class Demanding(Protocol):
    """A statistic that needs more effective events than others where samples have weights."""

    @property
    def fewest_effective(self) -> float:
        """Of either sample."""


@runtime_checkable
class Detailed(Protocol):
    """A prepared statistic with more to say about the observed labels."""

    def values(self, labels: Labels) -> Array:
        """Return the statistic of each relabeling, ``(R,)``."""
        ...

    def details(self, labels: Labels) -> Mapping[str, float]:
        """Return named numbers for one labeling ``(1, N)``."""
        ...


class Statistic(Protocol):
    """A measure of the difference of two samples.

    The engine keeps null values by ``repr``: a frozen dataclass whose ``repr``
    names every setting is what it wants.
    """

    @property
    def name(self) -> str:
        """Short name, the key of its result."""
        ...

    @property
    def weights(self) -> str:
        """The most general event weights that it can take: none, positive or signed."""
        ...

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> Prepared:
        """Do once what no relabeling changes.

        Parameters
        ----------
        pooled
            All events in common coordinates ``(N, d)``.
        weights
            Their weights ``(N,)``, ones if there are none.
        rng
            For choices that do not look at labels, such as directions.
        """
        ...


@runtime_checkable
class AroundCircles(Protocol):
    """A statistic that takes a periodic feature along its circle, not as cosine and sine."""

    def prepare_around(self, pooled: Array, weights: Array, angles: Sequence[Angle]) -> Prepared:
        """Do once what no relabeling changes, for events some of whose columns are on circles."""
        ...


@runtime_checkable
class Thinned(Protocol):
    """A statistic that takes so many events at most, which the engine sees to."""

    @property
    def thinned_to(self) -> int:
        """The most pooled events that it is prepared on."""
        ...


@runtime_checkable
class Formed(Protocol):
    """A prepared statistic that takes another form where samples have weights."""

    @property
    def form(self) -> str:
        """What is computed then."""
        ...
