"""What every form of the test shares: checked inputs, the outcome of one alternative, notes."""

from __future__ import annotations

import math

import numpy as np

from verisimile.checks.goodness.calibration import Calibration, PlugIn
from verisimile.checks.goodness.profile import HYPOTHESES, Hypothesis, Profile
from verisimile.checks.goodness.result import AlternativeFit, FittedRatio
from verisimile.checks.goodness.setup import Fits, Setup
from verisimile.checks.goodness.stopping import Sequential
from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.stats.pvalues import PValue

__all__ = ["alternative_fit", "check_sample", "null_notes", "resolved"]


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
