"""Feature by feature: Kolmogorov–Smirnov and Cramér–von Mises, which no scale changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from verisimile.checks.twosample.sliced import MeanOverLines
from verisimile.checks.twosample.steps import Lines, ends_of, sum_of_squares, supremum
from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.errors import InputError
from verisimile.samples.draws import Labels, MassRows

__all__ = ["CramerVonMises", "MarginalKS"]


@dataclass(frozen=True, slots=True)
class MarginalKS:
    r"""Mean or largest Kolmogorov–Smirnov distance of the features.

    .. math:: \frac1d \sum_j D_j \quad\text{or}\quad \max_j D_j, \qquad
              D_j = \sup_x |F_j(x) - G_j(x)|

    with weighted distribution functions.  The mean sees a small shift of many
    features, the largest that of a single one; neither sees correlations.

    Attributes
    ----------
    combine
        ``"mean"`` or ``"max"``.

    References
    ----------
    J. L. Hodges, Ark. Mat. 3 (1958) 469 (the distance of two samples).
    """

    combine: Literal["mean", "max"] = "mean"

    def __post_init__(self) -> None:
        if self.combine not in ("mean", "max"):
            raise InputError("combine", got=repr(self.combine), expected="'mean' or 'max'")

    @property
    def name(self) -> str:
        """Return ``mean ks`` or ``max ks``."""
        return f"{self.combine} ks"

    @property
    def weights(self) -> str:
        """Return ``signed``."""
        return "signed"

    def prepare(
        self,
        pooled: Array,
        weights: Array,
        rng: np.random.Generator,  # noqa: ARG002  (protocol)
    ) -> MeanOverLines | LargestOverLines:
        """Return the pooled events in order along every feature."""
        order, ends = _ordered(pooled)
        lines = Lines(order, ends.astype(float), weights, supremum)
        return MeanOverLines(lines) if self.combine == "mean" else LargestOverLines(lines)


@dataclass(frozen=True, slots=True)
class CramerVonMises:
    r"""Mean Cramér–von Mises statistic of the features.

    .. math:: T_j = \frac{n m}{n + m} \int (F_j - G_j)^2\, dH_j

    with H the distribution function of all events, unweighted.  Without weights
    and ties it is the statistic of Anderson, eq. 2; more sensitive than
    Kolmogorov–Smirnov to a difference spread over the whole feature.

    References
    ----------
    T. W. Anderson, Ann. Math. Stat. 33 (1962) 1148.
    """

    @property
    def name(self) -> str:
        """Return ``cramer-von mises``."""
        return "cramer-von mises"

    @property
    def weights(self) -> str:
        """Return ``signed``."""
        return "signed"

    def prepare(
        self,
        pooled: Array,
        weights: Array,
        rng: np.random.Generator,  # noqa: ARG002  (protocol)
    ) -> PreparedSquares:
        """Return the pooled events in order along every feature."""
        order, ends = _ordered(pooled)
        return PreparedSquares(
            MeanOverLines(Lines(order, _tie_shares(ends), weights, sum_of_squares))
        )


@dataclass(frozen=True, slots=True, eq=False)
class LargestOverLines:
    """The largest over lines of a difference of distribution functions."""

    lines: Lines

    def values(self, labels: Labels) -> Array:
        """Return the largest of each relabeling, ``(R,)``."""
        return np.asarray(self.lines.table(labels).max(axis=1))

    def of_masses(self, rows: MassRows) -> Array:
        """Return the largest of each pair of mass rows, ``(R,)``."""
        return np.asarray(self.lines.table_of(rows.signed).max(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSquares:
    """Mean squares of the differences, times the reduced number of events."""

    mean: MeanOverLines

    def values(self, labels: Labels) -> Array:
        """Return the mean statistic of each relabeling, ``(R,)``."""
        first = labels.sum(axis=1)
        second = labels.shape[1] - first
        return np.asarray(self.mean.values(labels) * (first * second / labels.shape[1]))

    def of_masses(self, rows: MassRows) -> Array:
        r"""Return the mean statistic of each pair of mass rows, ``(R,)``.

        The reduced number of events is :math:`1 / \sum v^2`, equal to nm/(n + m) without weights.
        """
        return np.asarray(self.mean.of_masses(rows) / (rows.base**2).sum())


def _ordered(pooled: Array) -> tuple[IntArray, BoolArray]:
    order = np.argsort(pooled.T, axis=1, kind="stable")
    return order, ends_of(np.take_along_axis(pooled.T, order, axis=1))


def _tie_shares(ends: BoolArray) -> Array:
    """Return the share of events in each group of ties, at its last event ``(K, N)``."""
    shares = np.zeros(ends.shape)
    for line, row in zip(ends, shares, strict=True):
        last = np.flatnonzero(line)
        row[last] = np.diff(last, prepend=-1) / line.size
    return shares
