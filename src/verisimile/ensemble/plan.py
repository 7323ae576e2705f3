"""Which training events and which initialisation each member of an ensemble has."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from verisimile.core.arrays import IntArray, require_fraction
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, require, require_at_least
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.groups import resampled_groups
from verisimile.data.row_hashes import row_hashes


class Plan(Protocol):
    """What the members of an ensemble are trained on, and how they begin."""

    __slots__ = ()

    @property
    def members(self) -> int:
        """M."""

    @property
    def max_failed(self) -> float:
        """Largest tolerated fraction of members whose training fails."""

    def config(self) -> dict[str, JSON]:
        """Return all settings."""

    def place(self, member: int) -> dict[str, JSON]:
        """Return what determines the events and the beginning of one member."""

    def replica(self, member: int) -> int:
        """Return the number of a member's training sample."""

    def initialisation(self, member: int) -> int:
        """Return the number of a member among those of its training sample."""

    def counts(
        self, n: int, replica: int, seeds: Seeds, *, group: IntArray | None = None
    ) -> IntArray:
        """Return how often each of `n` events is trained on, ``(n,)``; whole groups alike."""

    def split(self, events: Events, replica: int, seeds: Seeds) -> tuple[Events, Events]:
        """Return training events, repeated, and events for early stopping that are not among them.

        An event equal to a training event, which a sample with repeated rows can have,
        is left out of the latter: early stopping must not see what was trained on.
        """
        counts = self.counts(events.n, replica, seeds, group=events.group)
        training = events.take(np.repeat(np.arange(events.n), counts))
        hashes = row_hashes(events.x)
        unseen = (counts == 0) & ~np.isin(hashes, hashes[counts > 0])
        if not unseen.any():
            raise InputError(
                "events",
                got=f"{events.n} events, {len(np.unique(hashes))} of them distinct",
                expected="enough distinct events to leave some out of training, for early stopping",
            )
        return training, events.take(unseen)


@dataclass(frozen=True, slots=True)
class BootstrapPlan(Plan):
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

    Examples
    --------
    >>> import verisimile as vs
    >>> vs.BootstrapPlan(members=20)
    BootstrapPlan(members=20, initialisations=1, max_failed=0.2)
    """

    members: int = 20
    initialisations: int = 1
    max_failed: float = 0.2

    def __post_init__(self) -> None:
        require(
            1 <= self.initialisations <= self.members,
            "BootstrapPlan",
            got=f"{self.members} members, {self.initialisations} initialisations",
            expected="at least one of each, not more initialisations than members",
        )
        _require_share(self.max_failed, "BootstrapPlan.max_failed")

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return asdict(self)

    def place(self, member: int) -> dict[str, JSON]:
        """Return the replica and initialisation of one member."""
        return {"replica": self.replica(member), "initialisation": self.initialisation(member)}

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


@dataclass(frozen=True, slots=True)
class InitialisationPlan(Plan):
    """Members that share their training events and differ by initialisation and shuffling alone.

    Their spread is the noise of the optimiser.  What another training sample would
    change is not in it: use :class:`BootstrapPlan` for that.

    Parameters
    ----------
    members
        M.
    validation
        Share of the events that no member is trained on: early stopping looks at
        them, the same for all members.
    max_failed
        Largest tolerated fraction of members whose training fails.

    Examples
    --------
    >>> import verisimile as vs
    >>> vs.InitialisationPlan(members=5)
    InitialisationPlan(members=5, validation=0.2, max_failed=0.2)
    """

    members: int = 20
    validation: float = 0.2
    max_failed: float = 0.2

    def __post_init__(self) -> None:
        require_at_least(1, self.members, "InitialisationPlan.members")
        require_fraction(self.validation, "InitialisationPlan.validation")
        _require_share(self.max_failed, "InitialisationPlan.max_failed")

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {"kind": "initialisations", **asdict(self)}

    def place(self, member: int) -> dict[str, JSON]:
        """Return the initialisation of one member, and the share that it does not see."""
        return {"replica": 0, "initialisation": member, "validation": self.validation}

    def replica(self, member: int) -> int:  # noqa: ARG002  (one sample for all)
        """Return zero: there is one training sample."""
        return 0

    def initialisation(self, member: int) -> int:
        """Return the number of the member."""
        return member

    def counts(
        self,
        n: int,
        replica: int,  # noqa: ARG002  (one sample for all)
        seeds: Seeds,
        *,
        group: IntArray | None = None,
    ) -> IntArray:
        """Return one for events that are trained on, zero for the others, ``(n,)``.

        With groups ``(n,)`` whole ones are left out.  The stream is
        ``seeds.at("validation")``.
        """
        units = n if group is None else int(group.max()) + 1
        left_out = min(max(round(self.validation * units), 1), units - 1)
        counts = np.ones(units, dtype=np.int64)
        counts[seeds.at("validation").numpy().permutation(units)[:left_out]] = 0
        return counts if group is None else counts[group]


def _require_share(value: float, name: str) -> None:
    require(0.0 <= value < 1.0, name, got=value, expected="a fraction in [0, 1)")
