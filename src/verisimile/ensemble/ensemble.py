"""`Ensemble`: trained members, how they came about, and their densities at events."""

from __future__ import annotations

from dataclasses import dataclass

from verisimile.core.arrays import Array
from verisimile.core.run import Failure, Run
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature
from verisimile.data.provenance import Provenance
from verisimile.density.protocol import DensityEstimator
from verisimile.ensemble.matrix import log_density_matrix
from verisimile.ensemble.member import MemberRecord

__all__ = ["Ensemble"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ensemble:
    """M density estimators of the same features, trained on replicas of the same events.

    Attributes
    ----------
    members
        The estimators, in the plan's order, without those that failed.
    features
        Specifications of the features ``(d,)``.
    records
        How each member was trained, one per member.
    failures
        Members whose training failed.
    training_digest
        Digest of the events that the replicas were drawn from.
    provenance
        Footprint of these events, to notice when a later sample shares some.
    run
        Where densities are computed and kept.
    """

    members: tuple[DensityEstimator, ...]
    features: tuple[Feature, ...]
    records: tuple[MemberRecord, ...]
    failures: tuple[Failure, ...]
    training_digest: str
    provenance: Provenance
    run: Run

    @property
    def precision_gap(self) -> float:
        """Largest ``|log f − log f₆₄|`` seen at the members' out-of-bag events."""
        return max(record.precision_gap for record in self.records)

    def log_densities(self, events: Events) -> Array:
        """Return the members' natural log-densities ``(n, M)`` in original units.

        Columns are matched by name.  The run keeps the matrix: the same events
        are evaluated once.

        Raises
        ------
        InputError
            If the features differ.
        """
        matched = match_features(events, self.features)
        return log_density_matrix(self.run, self.members, self.records, matched)

    def __len__(self) -> int:
        """Return the number of members M."""
        return len(self.members)

    def __repr__(self) -> str:
        """Return one line: members, features, failures."""
        names = ", ".join(feature.name for feature in self.features)
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"Ensemble(M={len(self.members)}, features=({names}){failed})"
