"""The area under the ROC curve as a function of masses, and its null for weights of two laws."""

from __future__ import annotations

import numpy as np

from verisimile.checks.classifier.auc import tied_p_value
from verisimile.checks.classifier.crossfit import ClassifierPool
from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.random import Seeds
from verisimile.data.groups import compact
from verisimile.samples.pool import multiplier_draws, relabel, stretched_signs, variance_freedom
from verisimile.stats.pvalues import PValue

_ENTRIES = 4_000_000  # 32 MiB for each of a few arrays of masses at a time


def areas_of_masses(scores: Array, first: Array, second: Array) -> Array:
    r"""Return the area between two distributions on the same scores, of each row ``(R,)``.

    .. math:: A(a, b) = \sum_{ij} a_i b_j ([s_j < s_i] + \tfrac12 [s_j = s_i])

    Parameters
    ----------
    scores
        ``(n,)``.
    first, second
        Masses a and b ``(R, n)``, of either sign, rows that sum to one.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0.0)
    a, b = (np.add.reduceat(rows[:, order], starts, axis=1) for rows in (first, second))
    return np.asarray((a * (np.cumsum(b, axis=1) - 0.5 * b)).sum(axis=1))


def multiplier_p_value(
    scores: Array, pool: ClassifierPool, rows: IntArray, seeds: Seeds, *, draws: int
) -> PValue:
    r"""Return :math:`(k + 1)/(B + 1)` from multiplied masses of independent test events.

    To first order :math:`A - \tfrac12 = \sum_i v_i F_p(s_i)` with the masses v of the true
    less the generated events and the pooled distribution function F of the scores, which
    these events did not shape.  Draws of the null are :math:`A(p + \delta^*_1, p + \delta^*_2)`
    with the fluctuations of :func:`~verisimile.samples.pool.multiplier_draws`: each sample keeps
    its own variance, whatever made its weights, and draws are those of a t law
    (:func:`~verisimile.samples.pool.stretched_signs`).

    Parameters
    ----------
    scores
        Of the test events ``(n,)``.
    pool, rows
        Both samples, and which of their events these are ``(n,)``.
    seeds
        Root of the streams of draws.
    draws
        B.
    """
    truth, masses, units = pool.truth[rows], pool.masses[rows], pool.units[rows]
    sides = [np.where(side, masses, 0.0) / masses[side].sum() for side in (truth, ~truth)]
    worth = [1.0 / float((np.bincount(units, weights=side) ** 2).sum()) for side in sides]
    centre = (worth[0] * sides[0] + worth[1] * sides[1]) / sum(worth)
    freedom = variance_freedom(sides[0] - sides[1], units)
    step, toys = max(1, _ENTRIES // rows.size), []
    for start in range(0, draws, step):
        several = range(start, min(start + step, draws))
        signs = stretched_signs(seeds, several, pool.n_units, freedom)
        drawn = []
        for sample, side in zip((truth, ~truth), sides, strict=True):
            rows_of = np.tile(centre, (len(signs), 1))
            rows_of[:, sample] += multiplier_draws(side[sample], units[sample], signs)
            drawn.append(rows_of)
        toys.append(areas_of_masses(scores, drawn[0], drawn[1]))
    observed = areas_of_masses(scores, sides[0][None], sides[1][None])
    return tied_p_value(np.concatenate(toys), float(observed[0]), "multipliers")


def group_p_value(
    scores: Array, pool: ClassifierPool, rows: IntArray, seeds: Seeds, *, draws: int
) -> PValue:
    """Return the same from labels permuted among whole groups of independent test events."""
    truth, masses, units = pool.truth[rows], pool.masses[rows], compact(pool.units[rows])
    ours = np.unique(units[truth]).size
    step = max(1, _ENTRIES // rows.size)
    toys = []
    for start in range(0, draws, step):
        labels = relabel(units, ours, seeds, start, min(step, draws - start))
        toys.append(_labeled_areas(scores, masses, labels))
    observed = _labeled_areas(scores, masses, truth[None])
    return tied_p_value(np.concatenate(toys), float(observed[0]), "permutations of groups")


def _labeled_areas(scores: Array, masses: Array, labels: BoolArray) -> Array:
    sides = [np.where(side, masses, 0.0) for side in (labels, ~labels)]
    a, b = (side / side.sum(axis=1, keepdims=True) for side in sides)
    return areas_of_masses(scores, a, b)
