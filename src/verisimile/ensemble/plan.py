"""Which bootstrap replica and which initialisation each member of an ensemble has."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from verisimile.core.arrays import IntArray
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.groups import resampled_groups
from verisimile.data.rows import row_hashes

__all__ = ["BootstrapPlan"]


@dataclass(frozen=True, slots=True)
class BootstrapPlan:
    """A grid of bootstrap replicas and initialisations.

    Member m has replica ``m // initialisations`` and initialisation
    ``m % initialisations``.

    Parameters
    ----------
    members
        M.
    initialisations
        Members that share one replica and differ in initial weights and
        shuffling; they separate the optimiser's noise from the data's.
    max_failed
        Largest tolerated fraction of members whose training fails.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    members: int = 20
    initialisations: int = 1
    max_failed: float = 0.2

    def __post_init__(self) -> None:
        if not (self.members >= 1 and 1 <= self.initialisations <= self.members):
            raise InputError(
                "BootstrapPlan",
                got=f"{self.members} members, {self.initialisations} initialisations",
                expected="at least one of each, not more initialisations than members",
            )
        if not 0.0 <= self.max_failed < 1.0:
            raise InputError(
                "BootstrapPlan.max_failed", got=self.max_failed, expected="a fraction in [0, 1)"
            )

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return asdict(self)

    def replica(self, member: int) -> int:
        """Return the bootstrap replica of a member."""
        return member // self.initialisations

    def initialisation(self, member: int) -> int:
        """Return the number of a member among those of its replica."""
        return member % self.initialisations

    def counts(
        self, n: int, replica: int, seeds: Seeds, *, group: IntArray | None = None
    ) -> IntArray:
        r"""Return how often each of `n` events occurs in a replica, ``(n,)``.

        .. math:: c \sim \mathrm{Multinomial}(n; 1/n, \dots, 1/n)

        With groups ``(n,)`` whole ones are drawn, as many as there are.  The stream is
        ``seeds.at("bootstrap", replica)``.
        """
        rng = seeds.at("bootstrap", replica).numpy()
        if group is not None:
            return resampled_groups(group, rng)
        return np.bincount(rng.integers(n, size=n), minlength=n).astype(np.int64)

    def split(self, events: Events, replica: int, seeds: Seeds) -> tuple[Events, Events]:
        """Return a replica's training events, repeated, and its out-of-bag events.

        An out-of-bag event equal to a training event, which a sample with
        repeated rows can have, is left out: early stopping must not see what
        was trained on.

        Raises
        ------
        InputError
            If no event is left for validation.
        """
        counts = self.counts(events.n, replica, seeds, group=events.group)
        training = events.take(np.repeat(np.arange(events.n), counts))
        hashes = row_hashes(events.x)
        unseen = (counts == 0) & ~np.isin(hashes, hashes[counts > 0])
        if not unseen.any():
            raise InputError(
                "events",
                got=f"{events.n} events, {len(np.unique(hashes))} of them distinct",
                expected="enough distinct events to leave some out of a bootstrap replica",
            )
        return training, events.take(unseen)
