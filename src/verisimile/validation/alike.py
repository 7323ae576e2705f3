"""Whether two samples are more alike than independent samples are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.checks.twosample.result import TwoSample, tie_threshold
from verisimile.core.result import register
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.near import twins
from verisimile.stats.aggregate import min_p
from verisimile.stats.pvalues import PValue


@register("alike", 1)
@dataclass(frozen=True, slots=True)
class Alike:
    """The lower tail: events of two samples that are nearer to each other than chance has them.

    Attributes
    ----------
    pairs
        Mutual nearest neighbours of both samples together.
    across, expected
        Pairs with one event in each sample, and how many independent samples have.
    pair_p
        Probability of so many.
    tail_p
        Of the battery's distances all being so small, on the same relabelings; None if there
        are no distances.
    p
        Of both: twice the smaller one.
    """

    pairs: int
    across: int
    expected: float
    pair_p: float
    tail_p: PValue | None
    p: float


def alike_of(
    run: Run, reference: Events, generated: Events, permuted: Mapping[str, TwoSample]
) -> Alike:
    r"""Test whether two samples are more alike than independent samples of one law are.

    Two witnesses share the error equally, :math:`p = \min(1, 2 \min(p_1, p_2))`:
    pairs of mutual nearest neighbours, which are copies if there are any
    (:func:`~verisimile.samples.near.twins`), and the lower tails of the battery's statistics, the
    smallest p-value of which is recalibrated on their common relabelings.  Samples of different
    laws are less alike and have large p-values.
    """
    found = twins(reference.x, generated.x, run.seeds.at("alike").numpy())
    tail = _tail(permuted)
    smallest = found.p if tail is None else min(found.p, tail.value)
    shares = 1.0 if tail is None else 2.0
    return Alike(
        found.pairs, found.across, found.expected, found.p, tail, min(1.0, shares * smallest)
    )


def _tail(permuted: Mapping[str, TwoSample]) -> PValue | None:
    if not permuted:
        return None
    observed = -np.array([result.observed for result in permuted.values()])
    null = -np.stack([result.null for result in permuted.values()], axis=1)
    return min_p(tie_threshold(observed, null), null, null="relabelings").p_value
