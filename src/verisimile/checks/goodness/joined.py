"""Several statistics of the same data and toys as one: likelihood ratios and surprise."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from verisimile.checks.goodness.result import SurpriseFit
from verisimile.checks.goodness.surprise import NAMES, PlacedSurprise
from verisimile.checks.goodness.toys import Sequential
from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import VerisimileWarning
from verisimile.stats.aggregate import smallest_p
from verisimile.stats.nulls import Empirical
from verisimile.stats.pvalues import PValue
from verisimile.stats.sequential import besag_clifford

PILOT = 20
"""Toys apart that scale the statistics of a sequential search."""


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """One statistic of the data and of the toys ``(B,)``, its p-value, and what it is."""

    statistic: float
    toys: Array
    p_value: PValue
    rule: str


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    r"""The scale of each statistic in a pilot, :math:`z_j = (s_j - \mu_j) / \sigma_j`.

    The smallest p-value is ranked among all toys, whose number a sequential search does
    not know.  It takes :math:`\max_j z_j` instead, with moments of other toys, so that
    each toy's value depends on that toy alone.
    """

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, pilot: Array) -> Scale:
        """Return the scale from the statistics of pilot toys ``(B', J)``."""
        kept = np.where(np.isfinite(pilot), pilot, np.nan)
        known = np.isfinite(kept).any(axis=0)
        mean, deviation = np.zeros(pilot.shape[1]), np.ones(pilot.shape[1])
        mean[known] = np.nanmean(kept[:, known], axis=0)
        deviation[known] = np.nanstd(kept[:, known], axis=0)
        return cls(mean, np.where(deviation > 0.0, deviation, 1.0))

    def largest(self, table: Array) -> Array:
        """Return the largest scaled statistic of each row ``(..., J)``; NaN if one is NaN."""
        return np.asarray(((table - self.mean) / self.deviation).max(axis=-1))


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """All statistics under one hypothesis: those of the alternatives, then surprise.

    Attributes
    ----------
    observed
        Of the data ``(J,)``.
    toys
        Of the toys ``(B, J)``.
    surprise
        The surprise of the data, if it is among them.
    scale
        What joins them in a sequential search of several.
    """

    observed: Array
    toys: Array
    surprise: SurpriseFit | None
    scale: Scale | None

    @property
    def alone(self) -> bool:
        """Whether there is a single statistic."""
        return self.observed.size == 1

    def joined(self, toys: int | Sequential, null: str) -> Joined:
        """Return the test of all statistics together.

        A statistic that the data do not have, because a fit failed, is no evidence; one that
        a toy does not have is as extreme as can be.
        """
        if self.alone or self.scale is not None:
            value, thrown = self.scaled()
            rule = "t" if self.alone else "largest z"
        elif np.isnan(self.observed).all():
            value, thrown, rule = math.nan, np.full(len(self.toys), np.nan), "-log min p"
        else:
            smallest = -np.log(smallest_p(_least(self.observed, self.toys), self.toys))
            value, thrown, rule = float(smallest[0]), smallest[1:], "-log min p"
            thrown[np.isnan(self.toys).any(axis=1)] = np.nan
        return Joined(value, thrown, _p_value(value, thrown, toys, null), rule)

    def scaled(self) -> tuple[float, Array]:
        """Return the only statistic, or the largest scaled one, of the data and of the toys."""
        if self.scale is None:
            return float(self.observed[0]), self.toys[:, 0]
        known = self.observed[~np.isnan(self.observed)]
        least = np.where(np.isnan(self.observed), -np.inf, self.observed)
        value = float(self.scale.largest(least)) if known.size else math.nan
        return value, self.scale.largest(self.toys)


def surprise_fit(
    placed: PlacedSurprise, logf: Array, toys: Array, null: str, *, centre: Array
) -> SurpriseFit:
    """Return the surprise of data with log-densities ``(n, M)`` beside its toys ``(B, 2)``."""
    seen, values = placed.of(logf, centre), placed.statistics(logf, centre)
    p_values = tuple(
        Empirical(column, null).p_value(float(value))
        for value, column in zip(values, toys.T, strict=True)
    )
    return SurpriseFit(
        names=NAMES,
        statistics=frozen(values),
        toys=frozen(toys),
        p_values=p_values,
        threshold=placed.threshold,
        largest=float(seen.max()),
        beyond=int((seen > placed.threshold).sum()),
        impossible=int(np.isposinf(seen).sum()),
    )


def failure_notes(toys: Array) -> tuple[str, ...]:
    """Warn of toys ``(B, J)`` without a finite statistic, and return the warning for the result."""
    failed = int(np.isnan(toys).any(axis=1).sum())
    impossible = int((~np.isfinite(toys)).any(axis=1).sum()) - failed
    if not failed + impossible:
        return ()
    note = (
        f"{failed + impossible} of {len(toys)} toys have no finite statistic ({failed} failed, "
        f"{impossible} hold an event to which the null gives no density); each counts as extreme."
    )
    warnings.warn(note, VerisimileWarning, stacklevel=2)
    return (note,)


def _least(observed: Array, toys: Array) -> Array:
    """Return the statistics of the data, those that failed below all toys' ``(J,)``."""
    lowest = np.where(np.isfinite(toys), toys, np.inf).min(axis=0, initial=0.0)
    return np.where(np.isnan(observed), lowest - 1.0, observed)


def _p_value(value: float, thrown: Array, toys: int | Sequential, null: str) -> PValue:
    if not isinstance(toys, Sequential):
        return Empirical(thrown, null).p_value(value)
    return besag_clifford(value, thrown, stop_after=toys.exceedances, maximum=toys.most, null=null)
