"""From fits and toys to the result of a goodness-of-fit test: what every form shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from verisimile.checks.goodness.alternatives.protocol import Fits, Setup
from verisimile.checks.goodness.joined import Columns, failure_notes
from verisimile.checks.goodness.null import Calibration, PlugIn
from verisimile.checks.goodness.profile import HYPOTHESES, Hypothesis, Profile
from verisimile.checks.goodness.result import AlternativeFit, FittedRatio, Goodness
from verisimile.checks.goodness.toys import Sequential, most_toys
from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.stats.nulls import Empirical
from verisimile.stats.pvalues import PValue


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One alternative fitted to the data under one hypothesis, at each of its placements.

    Attributes
    ----------
    name
        Name of the alternative.
    setups, fits, profiles
        The placed alternative, the data as it sees them, and both fits, P of each.
    """

    name: str
    setups: tuple[Setup, ...]
    fits: tuple[Fits, ...]
    profiles: tuple[Profile, ...]

    @property
    def statistic(self) -> float:
        """The mean likelihood ratio."""
        return float(np.mean([profile.statistic for profile in self.profiles]))

    def part(self, toys: Array, null: str) -> AlternativeFit:
        """Return the outcome from toys ``(B, P)``; its fitted densities are the first placement's.

        The p-value is that of the mean over the placements.
        """
        column = toys.mean(axis=1)
        p_value = Empirical(column, null).p_value(self.statistic)
        first = alternative_fit(
            self.name, self.setups[0], self.fits[0], self.profiles[0], column, p_value
        )
        own = np.array([profile.statistic for profile in self.profiles])
        return replace(
            first,
            statistic=self.statistic,
            gap=float(np.mean([profile.gap for profile in self.profiles])),
            capped=max(fits.capped for fits in self.fits),
            placement_statistics=frozen(own),
            placement_p_values=frozen(
                np.array(
                    [
                        Empirical(each, null).p_value(float(t)).value
                        for t, each in zip(own, toys.T, strict=True)
                    ]
                )
            ),
        )


def averaged(toys: Array, trials: Sequence[Trial]) -> list[Array]:
    """Return the toys ``(B, P)`` of each alternative from those of all placements ``(B, A)``."""
    ends = np.cumsum([len(trial.profiles) for trial in trials])
    return np.split(toys, ends[:-1], axis=1)


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
        columns: Columns,
        toys: Array,
        events: Events,
        *,
        members: int,
    ) -> Goodness:
        """Return the result of one hypothesis.

        Parameters
        ----------
        trials
            Its alternatives.
        hypothesis
            What was left free.
        columns
            Data and toys of every statistic, and what joins them.
        toys
            Likelihood ratios of all placements ``(B, A)``.
        events
            The test sample.
        members
            M.
        """
        parts = tuple(
            trial.part(each, self.null.name)
            for trial, each in zip(trials, averaged(toys, trials), strict=True)
        )
        joined = columns.joined(self.toys, self.null.name)
        if columns.alone:  # one statistic: its p-value is the test's, also of sequential toys
            used = frozen(joined.toys[: joined.p_value.n_null])
            parts = (replace(parts[0], p_value=joined.p_value, toys=used),)
        variations = parts[0].null_pulls.size
        notes = (
            *self.notes,
            *null_notes(self.null, variations, parts),
            *failure_notes(columns.toys[: joined.p_value.n_null]),
        )
        return Goodness(
            statistic=joined.statistic,
            p_value=joined.p_value,
            z=joined.p_value.significance,
            toys=frozen(joined.toys[: joined.p_value.n_null]),
            most_toys=most_toys(self.toys),
            hypothesis=hypothesis.name,
            null=self.null.name,
            n_events=events.n,
            n_members=members,
            variations=variations,
            parts=parts,
            events_digest=events.digest,
            warnings=notes,
            surprise=columns.surprise,
            rule=joined.rule,
        )


def alternative_fit(
    name: str, setup: Setup, fits: Fits, profile: Profile, toys: Array, p_value: PValue
) -> AlternativeFit:
    """Return the outcome of one alternative on one data set, compared with its toys."""
    return AlternativeFit(
        alternative=name,
        statistic=profile.statistic,
        p_value=p_value,
        toys=frozen(toys[: p_value.n_null]),
        n_kernels=setup.kernels.widths.size,
        rank=setup.rank,
        widths=_spread(setup.kernels.widths),
        gap=profile.gap,
        capped=fits.capped,
        null_pulls=frozen(profile.null),
        alternative_pulls=frozen(profile.alternative),
        coefficients=frozen(setup.coefficients(profile)),
        fitted=FittedRatio(setup, profile),
    )


def resolved(name: str) -> Hypothesis:
    """Return the hypothesis of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in HYPOTHESES:
        raise InputError("hypothesis", got=repr(name), expected=f"one of {list(HYPOTHESES)}")
    return HYPOTHESES[name]


def check_sample(events: Events, toys: int | Sequential) -> None:
    """Raise unless the test sample is unweighted and there are toys to compare it with."""
    if events.weights is not None:
        raise InputError(
            "events.weights",
            got="a weighted test sample",
            expected="unweighted events: the toys have none",
            remedy="Unweight the sample, or drop the weights if they are all equal.",
        )
    if not isinstance(toys, Sequential) and toys < 1:
        raise InputError("toys", got=toys, expected="at least one toy", remedy="Use 200 or more.")


def null_notes(
    null: Calibration, variations: int, parts: tuple[AlternativeFit, ...]
) -> tuple[str, ...]:
    """Return what a reader must know about the calibration and the fits."""
    notes = []
    if isinstance(null, PlugIn) and variations:
        notes.append(
            "plug-in toys have a perfect constraint that no data set has: true models are "
            "rejected too often. Use Predictive()."
        )
    if any(math.isinf(part.statistic) for part in parts):
        notes.append("some event has no density under the null: the statistic is infinite.")
    if any(math.isnan(part.statistic) for part in parts):
        notes.append("the fit to the test sample did not converge: there is no statistic.")
    return tuple(notes)


def _spread(widths: Array) -> tuple[float, float, float]:
    if not widths.size:  # an alternative without kernels is the null
        return math.nan, math.nan, math.nan
    return float(widths.min()), float(np.median(widths)), float(widths.max())
