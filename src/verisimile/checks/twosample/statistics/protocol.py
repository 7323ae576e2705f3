"""What a two-sample statistic is, what it may offer besides, and how it joins the battery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, runtime_checkable

import numpy as np

from verisimile.checks.twosample import statistics
from verisimile.core.arrays import Array
from verisimile.core.errors import require
from verisimile.samples.coordinates import Angle, Coordinates, Standardised
from verisimile.samples.pool import Labels, MassRows


class Prepared(Protocol):
    """A statistic that has seen the pooled events, but not which sample they belong to."""

    def values(self, labels: Labels) -> Array:
        """Return the statistic of each relabeling, ``(R,)``; large means different."""


class Statistic(Protocol):
    """A measure of the difference of two samples.

    The engine keeps null values by ``repr``: a frozen dataclass whose ``repr``
    names every setting is what it wants, with `name` and `weights` as class variables.
    """

    @property
    def name(self) -> str:
        """Short name, the key of its result."""

    @property
    def weights(self) -> str:
        """The most general event weights that it can take: none, positive or signed."""

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


@runtime_checkable
class Demanding(Protocol):
    """A statistic that needs more effective events than others where samples have weights."""

    @property
    def fewest_effective(self) -> float:
        """Of either sample."""


@runtime_checkable
class Thinned(Protocol):
    """A statistic that takes so many events at most, which the engine sees to."""

    @property
    def thinned_to(self) -> int:
        """The most pooled events that it is prepared on."""


@runtime_checkable
class AroundCircles(Protocol):
    """A statistic that takes a periodic feature along its circle, not as cosine and sine."""

    def prepare_around(self, pooled: Array, weights: Array, angles: Sequence[Angle]) -> Prepared:
        """Do once what no relabeling changes, for events some of whose columns are on circles."""


@runtime_checkable
class Tabulated(Prepared, Protocol):
    """A prepared statistic of several columns, which min-p combines on the same relabelings.

    Its `values` are -log of the smallest p-value of each row among the rows given.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the J columns."""

    def table(self, labels: Labels) -> Array:
        """Return every column of each relabeling, ``(R, J)``."""


@runtime_checkable
class OfMasses(Protocol):
    """A prepared statistic that is a function of two distributions on the pooled events.

    Where weights of the samples follow different laws, relabelings are no null; a
    multiplier bootstrap is, for such a statistic.
    """

    def of_masses(self, rows: MassRows) -> Array:
        """Return the statistic of each pair of mass rows, ``(R,)``, or its columns ``(R, J)``."""


@runtime_checkable
class Formed(Protocol):
    """A prepared statistic that takes another form where samples have weights."""

    @property
    def form(self) -> str:
        """What is computed then."""


@runtime_checkable
class Detailed(Prepared, Protocol):
    """A prepared statistic with more to say about the observed labels."""

    def details(self, labels: Labels) -> Mapping[str, float]:
        """Return named numbers for one labeling ``(1, N)``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A test of the battery.

    Attributes
    ----------
    statistic
        What is compared.
    coordinates
        Where distances are taken: normal scores for statistics of moments, which
        the heavy tail of one feature would dominate otherwise.
    sees
        What it is best at, in a few words.
    """

    statistic: Statistic
    coordinates: Coordinates
    sees: str


_ENTRIES: dict[str, Entry] = {}
# The order of the battery; files that are not named follow, by name.
_FIRST = (
    "energy", "mmd", "distribution_functions", "interval_scan", "frechet", "kernel_distance", "nplm"
)  # fmt: skip


def in_battery(
    name: str,
    statistic: Statistic,
    *,
    sees: str,
    coordinates: Coordinates = Standardised(),  # noqa: B008  (frozen)
) -> None:
    """Make a statistic the test `name` of the battery: one line at the end of its file.

    Every file of `checks/twosample/statistics` is read, so that a new one needs no other
    mention: it is run by ``validate``, known to studies and held to the contract tests.
    """
    made = Entry(statistic, coordinates, sees)
    known = _ENTRIES.setdefault(name, made)
    require(known == made, "in_battery", got=f"{name!r} twice", expected="a new name")


def entries() -> Mapping[str, Entry]:
    """Return the tests of the battery by their names, but the classifier.

    Their order is that of their files, whatever was imported first.
    """
    found = [module.name for module in iter_modules(statistics.__path__)]
    homes = [f"{statistics.__name__}.{name}" for name in dict.fromkeys((*_FIRST, *found))]
    for home in homes:
        import_module(home)
    place = {home: number for number, home in enumerate(homes)}

    def rank(item: tuple[str, Entry]) -> int:
        return place.get(type(item[1].statistic).__module__, len(homes))

    return dict(sorted(_ENTRIES.items(), key=rank))
