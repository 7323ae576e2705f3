"""What makes events less independent than they look: seen before, or rows of one group."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.core.errors import VerisimileWarning
from verisimile.data.events import Events
from verisimile.data.row_hashes import RowHashes, row_hashes, shared_rows
from verisimile.stats.coincidences import shared_by_chance

TRAINING = "training"
"""Role of the sample that trained the members."""

_LEVEL = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A sample used before: its role, content digest and row hashes ``(n,)``."""

    role: str
    digest: str
    rows: RowHashes

    @classmethod
    def of(cls, role: str, events: Events) -> Seen:
        """Return the footprint of `events` in a given role."""
        return cls(role, events.digest, row_hashes(events.x))


Provenance = tuple[Seen, ...]


def warn_overlap(provenance: Provenance, events: Events, role: str) -> tuple[str, ...]:
    """Return one warning per earlier sample that shares rows with `events`, and issue it.

    Members' training data, weight-fit data and test data must be disjoint: a
    test on events that the model has seen finds too good an agreement.  One more
    warning says if rows that come in groups are counted as independent.
    """
    hashes = row_hashes(events.x)
    messages = []
    for seen in provenance:
        shared = shared_rows(hashes, seen.rows)
        # Rows on a lattice of values coincide by chance, rows that are all distinct do not.
        if shared and (
            all(np.unique(rows).size == rows.size for rows in (hashes, seen.rows))
            or shared_by_chance(seen.rows, hashes) <= _LEVEL
        ):
            messages.append(
                f"{shared} of {events.n} {role} events are also in the {seen.role} sample "
                f"({seen.digest[:12]}): the result looks better than it is. "
                "Use disjoint samples (Events.split)."
            )
    messages += group_notes({role: events})
    for message in messages:
        warnings.warn(message, VerisimileWarning, stacklevel=3)
    return tuple(messages)


def group_notes(samples: Mapping[str, Events]) -> list[str]:
    """Return one note per sample whose grouped rows a method counts as independent events."""
    return [
        f"the {events.n} {role} events come in {events.n_groups} groups, and are counted as "
        "independent here: errors and p-values are too small if rows of a group depend on "
        "each other"
        for role, events in samples.items()
        if events.n_groups < events.n
    ]
