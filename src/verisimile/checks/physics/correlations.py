"""Correlation matrices of both samples, and the significance of their difference."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import require
from verisimile.core.result import Result, register
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import circular_events, periodic
from verisimile.samples.weighted import EqualLaws, match_columns, shares
from verisimile.stats.aggregate import holm


@dataclass(frozen=True, slots=True, eq=False)
class Correlated:
    """Correlations of one sample's features.

    Attributes
    ----------
    matrix
        Coefficients ``(d, d)``.
    aligned
        Values ``(n, d)`` with the same coefficients, and with marginals that do not depend
        on location and scale, so that those of two samples can be pooled.
    influence
        From two features' numbers to the influence function ``(n,)`` of their coefficient.
    """

    matrix: Array
    aligned: Array
    influence: Callable[[int, int], Array]


Coefficient = Callable[[Array, Array], Correlated]
"""From values ``(n, d)`` and shares ``(n,)`` to correlations."""


@register("correlation-comparison", 1)
@dataclass(frozen=True, slots=True, eq=False)
class CorrelationComparison(Result):
    """Correlation matrices of the reference and of the generated sample.

    Attributes
    ----------
    coefficient
        ``"pearson"`` or ``"spearman"``.
    reference, generated
        Correlation matrices ``(d, d)``; NaN where a feature does not vary.
    error
        Standard deviation of generated minus reference if both have one law ``(d, d)``.
    z
        Difference over error, or Rao's score if it is smaller ``(d, d)``; NaN on the diagonal.
    adjusted
        Two-sided p-values, corrected for all pairs by Holm ``(d, d)``; NaN where
        fewer than five events carry the error.
    """

    features: tuple[Feature, ...]
    coefficient: str
    reference: Array
    generated: Array
    error: Array
    z: Array
    adjusted: Array
    listed: ClassVar[tuple[str, ...]] = ("pairs",)

    @property
    def pairs(self) -> tuple[dict[str, str | float], ...]:
        """Names, correlations, error, z and corrected p-value of each pair of features."""
        values = ("reference", "generated", "error", "z", "adjusted")
        return tuple(
            {
                "first": self.features[j].name,
                "second": self.features[k].name,
                **{name: float(getattr(self, name)[j, k]) for name in values},
            }
            for j, k in zip(*np.triu_indices(len(self.features), 1), strict=True)
        )

    def __repr__(self) -> str:
        pairs = self.worst(1)
        name = "no pair"
        if pairs:
            j, k = (self.features.index(one) for one in pairs[0])
            place = f"{pairs[0][0].name} and {pairs[0][1].name}"
            name = f"{place}: z={self.z[j, k]:+.1f}, adjusted p={self.adjusted[j, k]:.3g}"
        return f"CorrelationComparison({self.coefficient}, d={len(self.features)}, {name})"

    def worst(self, count: int) -> tuple[tuple[Feature, Feature], ...]:
        """Return the pairs with the largest pulls, at most `count`, the largest first."""
        rows, columns = np.triu_indices(len(self.features), 1)
        size = np.abs(self.z[rows, columns])
        order = [k for k in np.argsort(-size, kind="stable") if np.isfinite(size[k])][:count]
        return tuple((self.features[rows[k]], self.features[columns[k]]) for k in order)


def correlations(
    reference: EventsLike, generated: EventsLike, *, coefficient: Coefficient | None = None
) -> CorrelationComparison:
    r"""Compare all pairs' correlations, with weights of any sign and groups of rows.

    .. math:: z_{jk} = (r^g_{jk} - r^f_{jk}) / \sqrt{V_{jk}}

    with V from the influence functions at the pooled events, each sample in its own units, or
    Rao's score if it is smaller: :class:`~verisimile.samples.weighted.EqualLaws`.
    A periodic feature is two, as for :func:`~verisimile.checks.physics.moments.moments`.

    `coefficient` is :func:`pearson` by default, or :func:`spearman`.  Samples are independent, and
    features are matched by name; two at least.
    """
    reference, generated = comparable(reference=reference, generated=generated)
    other = match_columns(reference, generated)
    several = reference.d > 1 or periodic(reference.features).any()
    require(several, "features", got="one feature", expected="two or more for correlations")
    reference, other = circular_events((reference, other))
    measure = coefficient or pearson
    pair = EqualLaws((reference, other))
    first, second = (measure(one.x, shares(one)) for one in pair.samples)
    own = measure(np.concatenate([first.aligned, second.aligned]), pair.pool)
    common = measure(np.concatenate([one.x for one in pair.samples]), pair.pool)
    difference = second.matrix - first.matrix
    error, z, p = np.full((3, *difference.shape), np.nan)
    for j, k in itertools.combinations(range(len(difference)), 2):
        if np.isfinite(difference[j, k]):
            found = pair.score(difference[j, k], own.influence(j, k), common.influence(j, k))
            for matrix, value in ((error, found.error), (z, found.z), (p, found.p_values)):
                matrix[j, k] = matrix[k, j] = value
    upper = np.triu_indices(len(p), 1)
    adjusted = np.full_like(p, np.nan)
    adjusted[upper] = adjusted.T[upper] = holm(p[upper])
    return CorrelationComparison(
        features=reference.features,
        coefficient=getattr(measure, "__name__", "correlation"),
        reference=frozen(first.matrix),
        generated=frozen(second.matrix),
        error=frozen(error),
        z=frozen(z),
        adjusted=frozen(adjusted),
    )


def pearson(x: Array, v: Array) -> Correlated:
    r"""Return Pearson's correlations ``(d, d)`` and their influence functions.

    .. math:: \psi_i = t_{ij} t_{ik} - \tfrac12 r_{jk} (t_{ij}^2 + t_{ik}^2)

    with t the standardised features: no normal law is assumed.  NaN for a feature whose
    variance is zero, or negative by signed weights.  Of values ``(n, d)`` and their shares
    ``(n,)`` of sum one.
    """
    apart = x - x[0]
    apart -= v @ apart
    variance = v @ apart**2
    varies = variance > (1e-12 * np.abs(apart).max(axis=0)) ** 2
    t = np.ascontiguousarray((apart / np.sqrt(np.where(varies, variance, np.nan))).T)
    r = (t * v) @ t.T

    def influence(j: int, k: int) -> Array:
        return np.asarray(t[j] * t[k] - 0.5 * r[j, k] * (t[j] ** 2 + t[k] ** 2))

    return Correlated(r, t.T, influence)


def spearman(x: Array, v: Array) -> Correlated:
    r"""Return Spearman's correlations ``(d, d)`` and their influence functions.

    The correlation of the midranks :math:`F_j(x) = P(X_j < x) + \frac12 P(X_j = x)`,

    .. math:: \rho_{jk} = c_{jk} / \sqrt{c_{jj} c_{kk}}, \quad
              c_{jk} = \sum_i v_i (F_{ij} - \tfrac12)(F_{ik} - \tfrac12),

    whose ranks are estimated as well: the influence function of c is

    .. math:: \psi_i = (F_{ij} - \tfrac12)(F_{ik} - \tfrac12) + h_{jk}(x_{ij}) + h_{kj}(x_{ik})
              - 3 c_{jk}, \quad h_{jk}(x) = \sum_l v_l [x \prec x_{lj}] (F_{lk} - \tfrac12)

    with :math:`[\prec]` one half for ties.  Shares v are of sum one, and of any sign.
    """
    ranks = [_Midranks(column, v) for column in x.T]
    own = [_influence(one, one, v) for one in ranks]
    size = np.sqrt([moment if moment > 0.0 else np.nan for moment, _ in own])
    centred = np.array([one.centred for one in ranks])
    rho = (centred * v) @ centred.T / np.outer(size, size)

    def influence(j: int, k: int) -> Array:
        _, psi = own[j] if j == k else _influence(ranks[j], ranks[k], v)
        change = 0.5 * rho[j, k] * (own[j][1] / own[j][0] + own[k][1] / own[k][0])
        return np.asarray(psi / (size[j] * size[k]) - change)

    return Correlated(rho, centred.T, influence)


class _Midranks:
    """One column's order, the span of each event's ties, and its midranks minus one half."""

    def __init__(self, column: Array, v: Array) -> None:
        self._order = np.argsort(column, kind="stable")
        ordered = column[self._order]
        self._left = np.searchsorted(ordered, column, "left")
        self._right = np.searchsorted(ordered, column, "right")
        # Equal values have no spread of ranks, not even by rounding.
        constant = bool(ordered[0] == ordered[-1])
        self.centred = np.zeros(column.size) if constant else self._halved(v)[0] - 0.5

    def _halved(self, terms: Array) -> tuple[Array, float]:
        """Return the sum of `terms` over events below each, ties half, ``(n,)``, and over all."""
        content = np.concatenate([[0.0], np.cumsum(terms[self._order])])
        return 0.5 * (content[self._left] + content[self._right]), float(content[-1])

    def above(self, terms: Array) -> Array:
        """Return the sum of `terms` over events above each, ties half, ``(n,)``."""
        below, total = self._halved(terms)
        return np.asarray(total - below)


def _influence(first: _Midranks, second: _Midranks, v: Array) -> tuple[float, Array]:
    product = first.centred * second.centred
    moment = float(v @ product)
    ranks = first.above(v * second.centred) + second.above(v * first.centred)
    return moment, product + ranks - 3.0 * moment
