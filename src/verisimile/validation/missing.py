"""Whether two samples lose different fractions of their rows for missing values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verisimile.checks.physics.selections import rate_p_value
from verisimile.core.arrays import BoolArray
from verisimile.data.events import Events
from verisimile.stats.pvalues import PValue

MISSING_VALUES = "missing values"
"""Name of the test in a battery."""


def missing_values_test(samples: Sequence[Events]) -> PValue | None:
    """Return the p-value of equal fractions of dropped rows, None if none were dropped.

    A generator that writes no value where it is wrong would look better without these rows.
    Rows count as they were read, those that a cut left out at reading not at all and later cuts
    not yet: Fisher's exact test without weights, else that
    of weighted rates (:func:`~verisimile.checks.physics.selections.rate_p_value`), with the
    weights that the dropped rows have in their source, and groups kept whole.
    """
    if all(events.account is None or events.account.lost is None for events in samples):
        return None
    rows, lost = zip(*map(_rows, samples), strict=True)
    p, method = rate_p_value(rows, lost)
    return PValue(value=p, low=p, high=p, null=method, n_null=0, n_failed=0)


def _rows(events: Events) -> tuple[Events, BoolArray]:
    """Return all rows of a sample's source, without their values, and which were dropped."""
    found = None if events.account is None else events.account.lost
    if found is None:
        return events, np.zeros(events.n, np.bool_)
    bare = np.zeros((len(found.lost), 1))
    return Events(bare, found.weights, group=found.group), found.lost
