"""Several scores, the best of which is chosen on events that no curve is drawn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.precision_recall.envelope import held_out, learned_rule
from verisimile.checks.precision_recall.learned_scores import (
    BoostedTrees,
    LinearScore,
    MixtureRatio,
)
from verisimile.checks.precision_recall.scores import Parzen, PooledNeighbours, Score
from verisimile.checks.precision_recall.swapped import Halves, Sample
from verisimile.core.arrays import Array
from verisimile.core.errors import require
from verisimile.core.random import Seeds

_FEWEST_NEIGHBOURS, _STEPS = 5, 4
_APART = 5  # one event of so many chooses the score of a band


@dataclass(frozen=True, slots=True)
class BestScore:
    r"""The best of several scores: what makes the curve a bound, and a close one.

    Any test that the evaluated events did not shape has, at each angle, an expected distance
    from the origin of **at least** the true curve's, which is a minimum over all tests.  The
    lowest of several such curves is the closest bound, if it is chosen on other events.

    Parameters
    ----------
    candidates
        Scores, at least one; None for a linear discriminant, Gaussian mixtures, boosted trees of
        columns and of distances, pooled neighbours at four numbers from 5 to the root of the
        events, and Parzen.  One makes a bound of that score alone.
    """

    candidates: tuple[Score, ...] | None = None
    learns = True

    def __post_init__(self) -> None:
        given = self.candidates is None or bool(self.candidates)
        require(given, "candidates", got="none", expected="at least one score")

    @property
    def name(self) -> str:
        """That of the only candidate, or of the choice."""
        if self.candidates is not None and len(self.candidates) == 1:
            return self.candidates[0].name
        return "best of several"

    @property
    def chooses(self) -> bool:
        """Whether there is more than one candidate."""
        return self.candidates is None or len(self.candidates) > 1

    def for_events(self, n: int) -> tuple[Score, ...]:
        """Return the candidates that learn from `n` events of both samples together."""
        return self.candidates or (
            LinearScore(),
            MixtureRatio(),
            BoostedTrees(),
            BoostedTrees(distances=True),
            *neighbour_ladder(n),
            Parzen(),
        )


def neighbour_ladder(n: int) -> tuple[Score, ...]:
    r"""Return pooled neighbours at four numbers from 5 to :math:`\sqrt n`, evenly in the log."""
    most = math.isqrt(n)
    if most <= _FEWEST_NEIGHBOURS:
        return (PooledNeighbours(),)
    steps = np.geomspace(_FEWEST_NEIGHBOURS, most, _STEPS)[:-1]
    return (*(PooledNeighbours(k) for k in sorted({round(k) for k in steps})), PooledNeighbours())


def set_apart(
    seeds: Seeds, truth: Sample, groups: Sequence[Sequence[Sample]]
) -> tuple[tuple[Sample, Sample], Sample, list[list[Sample]]]:
    """Return events to choose a score on, and the rest of the reference and of all members.

    A fifth of the reference is set apart, and as many generated events, alike from all members:
    the choice sees no member and no family more than another.
    """
    part = truth.n // _APART
    rest, kept = _divided(truth, part, seeds.at("reference"))
    each = math.ceil(part / sum(len(group) for group in groups))
    rests: list[list[Sample]] = []
    taken: list[Array] = []
    for i, group in enumerate(groups):
        rests.append([])
        for j, fake in enumerate(group):
            left, apart = _divided(fake, min(each, fake.n // _APART), seeds.at("member", i, j))
            rests[-1].append(left)
            taken.append(apart.x)
    return (kept, Sample(np.concatenate(taken), 0)), rest, rests


def _divided(sample: Sample, count: int, seeds: Seeds) -> tuple[Sample, Sample]:
    order = seeds.numpy().permutation(sample.n)
    return sample.of(order[count:]), sample.of(order[:count])


def chosen_score(
    seeds: Seeds, truth: Sample, fake: Sample, best: BestScore, theta: Array
) -> BestScore:
    """Return the candidate of the least area on swapped halves of events set apart."""
    rng = seeds.numpy()
    both = Halves.swapped(truth, fake, rng)
    candidates = best.for_events(len(both[0].learn_true.x) + len(both[0].learn_fake.x))
    areas = np.zeros(len(candidates))
    for half in both:
        for i, score in enumerate(candidates):
            true, made = half.scores(score, rng)
            rule = learned_rule(true, made)
            areas[i] += held_out(rule(true), rule(made), theta).area
    return BestScore((candidates[int(areas.argmin())],))
