"""Truth and generated events with contexts: which of them share one, and how to relabel them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from verisimile.checks.classifier.samples import Pool, pool_of
from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.errors import InputError
from verisimile.data.coerce import name_list
from verisimile.data.events import Events
from verisimile.data.names import require
from verisimile.samples.angles import Circles

__all__ = ["GroupedPool", "grouped", "relabeled"]


@dataclass(frozen=True, slots=True, eq=False)
class GroupedPool(Pool):
    """A pool whose events belong to groups of equal contexts.

    Attributes
    ----------
    groups
        Number of the context of each event ``(N,)``.
    """

    groups: IntArray

    def folds(self, count: int, rng: np.random.Generator) -> IntArray:
        """Return a fold for each event ``(N,)``.

        Groups stay whole, unless both samples have many events in them: a classifier
        that trained on one of a pair would expect the other's label at its context.
        """
        out = rng.permutation(np.arange(self.sizes.shape[0]) % count)[self.groups]
        for group in np.flatnonzero(self.sizes.min(axis=1) >= 4 * count):
            for side in (self.truth, ~self.truth):
                rows = np.flatnonzero((self.groups == group) & side)
                out[rows] = rng.permutation(np.arange(rows.size) % count)
        return np.asarray(out, dtype=np.int64)

    @property
    def sizes(self) -> IntArray:
        """True and generated events of each group ``(G, 2)``."""
        count = int(self.groups.max()) + 1
        sides = (self.groups[self.truth], self.groups[~self.truth])
        return np.stack([np.bincount(side, minlength=count) for side in sides], axis=1)

    @property
    def share(self) -> float | None:
        """Share of true events at every context if it is one number, else None."""
        sizes = self.sizes
        shares = sizes[:, 0] / sizes.sum(axis=1)
        return float(shares[0]) if np.ptp(shares) < 1e-12 and 0.0 < shares[0] < 1.0 else None

    def context_pool(self, columns: IntArray) -> GroupedPool:
        """Return the pool with the given columns only."""
        names = tuple(self.names[j] for j in columns.tolist())
        x = np.ascontiguousarray(self.x[:, columns])
        if self.circled is None:
            return replace(self, x=x, names=names)
        kept = np.isin(self.circled.source, columns)
        around = Circles(self.circled.x[:, kept], self.circled.source[kept], ())
        return replace(self, x=x, names=names, circled=around)


def grouped(
    truth: Events, generated: Events, contexts: Sequence[str]
) -> tuple[GroupedPool, IntArray]:
    """Return both samples in one pool with groups of equal contexts, and the contexts' columns.

    Raises
    ------
    InputError
        If features do not match, a context does not exist, no other feature is left, or
        events have weights or groups.
    """
    names = name_list(contexts, "contexts")
    require(names, truth.names, "contexts")
    if len(names) == truth.d:
        raise InputError(
            "contexts", got="all features", expected="at least one feature that is no context"
        )
    for word, events in (("truth", truth), ("generated", generated)):
        if events.weights is not None:
            raise InputError(
                f"{word}.weights", got="weights", expected="none: events are exchanged one by one"
            )
        if events.n_groups < events.n:
            raise InputError(
                f"{word}.group", got="groups", expected="none: events are exchanged one by one"
            )
    pool = pool_of(truth, generated)
    columns = np.array([pool.names.index(name) for name in names], dtype=np.int64)
    _, groups = np.unique(pool.x[:, columns] + 0.0, axis=0, return_inverse=True)
    found = GroupedPool(
        pool.x,
        pool.truth,
        pool.weights,
        pool.weighted,
        pool.names,
        groups.reshape(-1),
        circled=pool.circled,
    )
    return found, columns


def relabeled(
    truth: BoolArray, groups: IntArray, count: int, rng: np.random.Generator
) -> BoolArray:
    """Return labels ``(count, n)`` shuffled within groups: each keeps its true events' number."""
    order = np.argsort(groups, kind="stable")
    keys: Array = rng.random((count, truth.size)) + groups[order]
    out = np.empty((count, truth.size), dtype=np.bool_)
    out[:, order] = truth[order][np.argsort(keys, axis=1)]
    return out
