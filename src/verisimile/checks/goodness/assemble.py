"""From fits and toys to the result of a goodness-of-fit test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.goodness.calibration import Calibration
from verisimile.checks.goodness.parts import alternative_fit, null_notes
from verisimile.checks.goodness.profile import Hypothesis, Profile
from verisimile.checks.goodness.result import AlternativeFit, Goodness
from verisimile.checks.goodness.setup import Fits, Setup
from verisimile.checks.goodness.stopping import Sequential, most_toys
from verisimile.core.arrays import Array, frozen
from verisimile.data.events import Events
from verisimile.stats.aggregate import smallest_p
from verisimile.stats.nulls import Empirical
from verisimile.stats.pvalues import PValue
from verisimile.stats.sequential import besag_clifford

__all__ = ["Judge", "Trial"]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One alternative fitted to the data under one hypothesis.

    Attributes
    ----------
    name
        Name of the alternative.
    setup, fits, profile
        The placed alternative, the data as it sees them, and both fits.
    """

    name: str
    setup: Setup
    fits: Fits
    profile: Profile


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Turns statistics of data and toys into results.

    Attributes
    ----------
    null
        Calibration of the toys.
    toys
        How many were wanted.
    notes
        Warnings that concern all hypotheses.
    """

    null: Calibration
    toys: int | Sequential
    notes: tuple[str, ...]

    def result(
        self,
        trials: Sequence[Trial],
        hypothesis: Hypothesis,
        toys: Array,
        events: Events,
        *,
        members: int,
    ) -> Goodness:
        """Return the result of one hypothesis from its toys ``(B, A)``."""
        parts = tuple(
            self._part(trial, frozen(column)) for trial, column in zip(trials, toys.T, strict=True)
        )
        statistic, combined = _combined(parts)
        p_value = self._p_value(statistic, combined)
        variations = parts[0].null_pulls.size
        return Goodness(
            statistic=statistic,
            p_value=p_value,
            z=p_value.significance,
            toys=frozen(combined[: p_value.n_null]),
            most_toys=most_toys(self.toys),
            hypothesis=hypothesis.name,
            null=self.null.name,
            n_events=events.n,
            n_members=members,
            variations=variations,
            parts=parts,
            events_digest=events.digest,
            warnings=(*self.notes, *null_notes(self.null, variations, parts)),
        )

    def _part(self, trial: Trial, toys: Array) -> AlternativeFit:
        p_value = self._p_value(trial.profile.statistic, toys)
        return alternative_fit(trial.name, trial.setup, trial.fits, trial.profile, toys, p_value)

    def _p_value(self, statistic: float, toys: Array) -> PValue:
        if isinstance(self.toys, Sequential):
            return besag_clifford(
                statistic,
                toys,
                stop_after=self.toys.exceedances,
                maximum=self.toys.most,
                null=self.null.name,
            )
        return Empirical(toys, self.null.name).p_value(statistic)


def _combined(parts: tuple[AlternativeFit, ...]) -> tuple[float, Array]:
    """Return the statistic of all alternatives together, and that of the toys.

    A row with a failed fit is NaN: extreme, and counted.
    """
    if len(parts) == 1:  # also of sequential toys, which end where those of the part do
        return parts[0].statistic, parts[0].toys
    observed = np.array([part.statistic for part in parts])
    toys = np.column_stack([part.toys for part in parts])
    smallest = -np.log(smallest_p(observed, toys))
    smallest[1:][~np.isfinite(toys).all(axis=1)] = np.nan
    return math.nan if np.isnan(observed).any() else float(smallest[0]), smallest[1:]
