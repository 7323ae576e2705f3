"""Events of every member in every region, counted without holding them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.protocol import Sampler

_CHUNK = 1 << 17  # events; fixed, so that the draws do not depend on the memory at hand

Draw = Callable[[int, np.random.Generator], Array]


class Labelled(Protocol):
    """A division of the space into regions numbered from 0."""

    @property
    def count(self) -> int:
        """Number of regions K."""
        ...

    def of(self, x: Array, /) -> IntArray:
        """Return the region of each event ``(n,)``; -1 for an event in none."""
        ...


@dataclass(frozen=True, slots=True)
class Draws:
    """A member that makes its `n` events while they are counted.

    Attributes
    ----------
    source
        A `Sampler`, or a function of a number and a generator to events ``(n, d)``.
    n
        How many events to draw.
    """

    source: Sampler | Draw
    n: int

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``."""
        x = self.source.sample(n, rng) if isinstance(self.source, Sampler) else self.source(n, rng)
        if x.ndim != 2 or x.shape[0] != n:
            raise InputError(
                "Draws.source", got=f"an array of shape {x.shape}", expected=f"{n} rows of features"
            )
        return x


Member = Events | Draws


@dataclass(frozen=True, slots=True, eq=False)
class MemberCounts:
    """Counts of J members in K regions.

    Attributes
    ----------
    counts
        ``(J, K)``.
    totals
        Events of each member ``(J,)``, those in no region included.
    """

    counts: IntArray
    totals: IntArray

    @property
    def fractions(self) -> Array:
        """Fraction of each member's events in each region ``(J, K)``."""
        return np.asarray(self.counts / self.totals[:, None])


def member_counts(counts: npt.ArrayLike, totals: npt.ArrayLike | None = None) -> MemberCounts:
    """Return checked counts; every event is in a region unless `totals` say otherwise.

    Raises
    ------
    InputError
        For fewer than three members, no regions, or counts that cannot be.
    """
    table = np.asarray(counts)
    if table.ndim != 2 or table.dtype.kind not in "iu" or table.shape[1] < 1 or (table < 0).any():
        got = f"{table.dtype} of shape {table.shape}"
        raise InputError("counts", got=got, expected="whole numbers >= 0, (members, regions)")
    sums = table.sum(axis=1)
    sizes = sums if totals is None else np.asarray(totals)
    if sizes.shape != sums.shape or (sizes < np.maximum(sums, 2)).any():
        raise InputError(
            "totals",
            got=f"{sizes.tolist()[:5]} for counts that add up to {sums.tolist()[:5]}",
            expected="at least as many events, and two, for each member",
        )
    if len(table) < 3:
        raise InputError(
            "members",
            got=len(table),
            expected="three or more",
            remedy="The spread over members, with an error, needs more of them; 30 serve well.",
        )
    return MemberCounts(table.astype(np.int64), sizes.astype(np.int64))


def count_members(run: Run, members: Sequence[Member], regions: Labelled) -> MemberCounts:
    """Count the events of every member, in chunks; the run's seeds make those to be drawn.

    Raises
    ------
    InputError
        For weighted events, fewer than three members, or regions out of range.
    """
    shown = run.progress.begin("amplification: members", len(members), 0)
    rows = []
    try:
        for index, member in enumerate(members):
            rows.append(_counted(run.at("averaging", "member", index), member, regions))
            shown.advance()
    finally:
        shown.close()
    totals = [_size(member) for member in members]
    return member_counts(np.reshape(rows, (len(rows), -1)), totals)


def tally(labels: IntArray, count: int, n: int) -> IntArray:
    """Return how many labels are -1, 0, ... ``(count + 1,)``.

    Raises
    ------
    InputError
        If they are not one for each of `n` events, or out of range.
    """
    if labels.shape != (n,) or (n and not (labels.min() >= -1 and labels.max() < count)):
        raise InputError(
            "regions.of(x)",
            got=f"labels of shape {labels.shape}",
            expected=f"one number for each of {n} events, from -1 to {count - 1}",
        )
    return np.bincount(labels + 1, minlength=count + 1).astype(np.int64)


def _counted(run: Run, member: Member, regions: Labelled) -> IntArray:
    found = np.zeros(regions.count + 1, dtype=np.int64)
    for x in _chunks(run, member):
        found += tally(regions.of(x), regions.count, x.shape[0])
    return found[1:]


def _chunks(run: Run, member: Member) -> Iterator[Array]:
    starts = range(0, _size(member), _CHUNK)
    if isinstance(member, Events):
        if member.weights is not None:
            raise InputError(
                "member_samples",
                got="weighted events",
                expected="unweighted ones, whose noise is binomial",
                remedy="Unweight them by hit-or-miss first.",
            )
        yield from (member.x[start : start + _CHUNK] for start in starts)
        return
    for chunk, start in enumerate(starts):
        yield member.draw(min(_CHUNK, member.n - start), run.seeds.at("chunk", chunk).numpy())


def _size(member: Member) -> int:
    return member.n
