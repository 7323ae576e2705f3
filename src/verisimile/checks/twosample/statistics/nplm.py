"""The new-physics learning machine as a two-sample statistic: a kernel likelihood ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import linalg
from scipy.spatial import distance

from verisimile.checks.twosample.logistic import Logistic
from verisimile.checks.twosample.statistics.protocol import in_battery
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.samples.pair_sums import Masses
from verisimile.samples.pool import Labels, MassRows
from verisimile.stats.aggregate import smallest_p

_PROBES = 1000  # events whose distances give the widths
_FEWEST, _ENOUGH = 20, 64  # centres
_RANK = 1e-10


@dataclass(frozen=True, slots=True)
class NPLM:
    r"""Kernel logistic likelihood-ratio statistic.

    With the data D (the second sample, weights :math:`u_i`) and the reference R
    (the first, weights scaled to the data's sum), f minimises

    .. math:: \sum_D u \log(1 + e^{-f}) + \sum_R w \log(1 + e^{f})
              + \frac{\lVert f \rVert^2}{2 s^2}, \qquad
              w_i = u_i \frac{\sum_D u}{\sum_R u}, \quad
              f = \sum_m c_m e^{-|x - x_m|^2 / 2\sigma^2},

    and the statistic is twice the extended log likelihood ratio on the same events,

    .. math:: t = -2 \Big[ \sum_R w (e^f - 1) - \sum_D u f \Big].

    The reference fluctuates as the data do, so that t follows no chi-squared law
    of the kernels: its null comes from relabelings, each with a fit of its own.

    Attributes
    ----------
    quantile
        The width :math:`\sigma` is this quantile of the pooled pairwise distances.
    centres
        Nyström centres, drawn from the pool; None for :math:`\lceil\sqrt N\rceil`,
        at least 20 and at most 64: more of them take time and see no more.
    spread
        s, the size of log ratios that cost little: f has the penalty of a Gaussian
        process with this standard deviation.  The :math:`\lambda N \lVert f \rVert^2`
        of the reference, with its :math:`\lambda = 10^{-6}` at
        :math:`N = 5 \cdot 10^5`, is s = 1.  The same :math:`\lambda` at small N lets
        single outlying events run away, and loses power.
    most
        Events of both samples beyond which a random subset of so many is used, of the
        smaller sample as many as half of them if it has them.

    References
    ----------
    M. Letizia et al., Eur. Phys. J. C 82 (2022) 879 (arXiv:2204.02317), sec. 3.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> rng = np.random.default_rng(1)
    >>> x, y = rng.normal(size=(100, 2)), rng.normal(0.5, 1.0, (100, 2))
    >>> statistic = vs.NPLM(centres=20)
    >>> found = vs.two_sample(vs.Run(vs.Seeds(1)), x, y, statistic=statistic, permutations=99)
    >>> found.p_value.value
    0.01
    """

    name: ClassVar[str] = "nplm"
    # A logistic loss of relabelings with negative weights has no minimum; the score of samples
    # with weights, which is what a multiplier bootstrap needs, has signs.
    weights: ClassVar[str] = "positive"

    quantile: float = 0.9
    centres: int | None = None
    spread: float = 1.0
    most: int = 20_000

    def __post_init__(self) -> None:
        _check((self.quantile,), self.centres, self.spread, self.most)

    @property
    def thinned_to(self) -> int:
        """Return `most`."""
        return self.most

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> PreparedNPLM:
        """Return whitened kernel functions of the pooled events."""
        return _prepared(pooled, weights, rng, (self.quantile,), self)[0]


@dataclass(frozen=True, slots=True)
class AggregatedNPLM:
    r"""NPLM of several widths, the smallest of whose p-values is the statistic.

    .. math:: s = -\log \min_j p_j

    with each :math:`p_j` the rank among the observed and relabeled :math:`t_j` of
    its width, and s calibrated on the same relabelings: see
    :func:`~verisimile.stats.aggregate.min_p`.  Narrow widths see bumps that the
    90 % quantile of the distances smooths away.

    Attributes
    ----------
    quantiles
        Of the pooled pairwise distances, one for each width.
    centres, spread, most
        As for :class:`NPLM`; all widths share the centres.

    References
    ----------
    G. Grosso, M. Letizia, arXiv:2408.12296.
    """

    name: ClassVar[str] = "aggregated nplm"
    weights: ClassVar[str] = "positive"

    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    centres: int | None = None
    spread: float = 1.0
    most: int = 20_000

    def __post_init__(self) -> None:
        _check(self.quantiles, self.centres, self.spread, self.most)

    @property
    def thinned_to(self) -> int:
        """Return `most`."""
        return self.most

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> PreparedNPLMs:
        """Return whitened kernel functions of the pooled events for each width."""
        return PreparedNPLMs(_prepared(pooled, weights, rng, self.quantiles, self))


@dataclass(frozen=True, slots=True, eq=False)
class PreparedNPLM:
    """Kernel functions of one width on the pooled events.

    Attributes
    ----------
    width
        Kernel width, in common coordinates.
    functions
        Their values ``(n, r)``, scaled to a penalised Hessian of one at f = 0.
    ridge
        Penalty of each coefficient ``(r,)``.
    weights
        Event weights ``(n,)`` of mean one.
    """

    form: ClassVar[str] = "score of the logistic loss"

    width: float
    functions: Array
    ridge: Array
    weights: Array

    def values(self, labels: Labels) -> Array:
        """Return t of each relabeling ``(R,)``; NaN where a fit did not converge."""
        return _ratios((self,), labels)[:, 0]

    def of_masses(self, rows: MassRows) -> Array:
        r"""Return the score statistic of each pair of mass rows, ``(R,)``.

        .. math:: t = g^T H^{-1} g, \qquad g = \frac{\Psi^T (b - a)}{\sum v^2}, \qquad
                  H = \frac{\Psi^T \mathrm{diag}(p) \Psi}{\sum v^2} + \Pi

        twice the gain of the penalised logistic loss to second order at f = 0 (Rao's score
        statistic), with the functions :math:`\Psi`, their penalties :math:`\Pi`, the signed
        masses v of the samples and the shares p of all events together.  In units of the
        samples' own :math:`v^2` a place without a heavy event would have no error.
        """
        total = (rows.base**2).sum()
        share = np.abs(self.weights) / np.abs(self.weights).sum()
        bend = self.functions.T @ ((share / total)[:, None] * self.functions)
        root = np.linalg.cholesky(bend + np.diag(self.ridge))
        score = self.functions.T @ (-rows.signed.T / total)
        return np.asarray((linalg.solve_triangular(root, score, lower=True) ** 2).sum(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class PreparedNPLMs:
    """Kernel functions of several widths on the pooled events."""

    form: ClassVar[str] = PreparedNPLM.form

    parts: tuple[PreparedNPLM, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the widths."""
        return tuple(f"width {part.width:.3g}" for part in self.parts)

    def values(self, labels: Labels) -> Array:
        """Return -log of the smallest p-value of each row among the rows given, ``(R,)``."""
        table = self.table(labels)
        return np.asarray(-np.log(smallest_p(table[0], table[1:])))

    def of_masses(self, rows: MassRows) -> Array:
        """Return the score statistic of each pair of mass rows and width ``(R, J)``."""
        return np.column_stack([part.of_masses(rows) for part in self.parts])

    def table(self, labels: Labels) -> Array:
        """Return t of each relabeling and width ``(R, J)``."""
        return _ratios(self.parts, labels)


def _ratios(parts: Sequence[PreparedNPLM], labels: Labels) -> Array:
    """Return t of each relabeling and width ``(R, J)``; NaN where a fit did not converge."""
    weights = parts[0].weights
    if (weights < 0.0).any():
        raise InputError(
            "weights",
            got=f"{int((weights < 0.0).sum())} negative weights",
            expected="weights that are not negative",
            remedy="With signed weights, use a statistic such as the energy distance.",
        )
    labels, rates = np.ascontiguousarray(labels), _rates(labels, weights)
    fits = [
        Logistic(part.functions, part.ridge, labels, weights, rates).minimise() for part in parts
    ]
    return np.column_stack([np.where(fit.converged, fit.ratio, np.nan) for fit in fits])


def _rates(labels: Labels, weights: Array) -> Array:
    """Return what scales the reference's weights to the sum of the data's ``(R,)``."""
    mass = Masses.of(labels, weights)
    return np.asarray(mass.second / mass.first)


def _prepared(
    pooled: Array,
    weights: Array,
    rng: np.random.Generator,
    quantiles: tuple[float, ...],
    settings: NPLM | AggregatedNPLM,
) -> tuple[PreparedNPLM, ...]:
    order = rng.permutation(pooled.shape[0])
    root = int(np.ceil(np.sqrt(order.size)))
    count = settings.centres or min(max(_FEWEST, root), _ENOUGH)
    centres = pooled[order[:count]]
    unit, size = weights / weights.mean(), np.abs(weights) / np.abs(weights).mean()
    return tuple(
        PreparedNPLM(width, *_whitened(pooled, centres, size, width, settings.spread), unit)
        for width in _widths(pooled[order[-_PROBES:]], quantiles)
    )


def _whitened(
    x: Array, centres: Array, weights: Array, width: float, spread: float
) -> tuple[Array, Array]:
    r"""Return functions whose penalised Hessian at f = 0 is the unit matrix, and penalties.

    Nyström: with :math:`K_{MM} = V S V^T`, the functions :math:`K_{NM} V S^{-1/2}`
    have unit norm in the kernel's space.  A second rotation makes the Hessian
    diagonal too.
    """
    size, vectors = np.linalg.eigh(_kernel(centres, centres, width))
    kept = size > _RANK * size[-1]
    features = _kernel(x, centres, width) @ (vectors[:, kept] / np.sqrt(size[kept]))
    ridge = spread**-2
    # Each event counts a quarter of its weight at f = 0, whichever side it is on.
    bend, turn = np.linalg.eigh(0.25 * features.T @ (weights[:, None] * features))
    scale = np.maximum(bend, 0.0) + ridge
    return features @ (turn / np.sqrt(scale)), ridge / scale


def _kernel(x: Array, centres: Array, width: float) -> Array:
    return np.asarray(np.exp(-0.5 * distance.cdist(x, centres, "sqeuclidean") / width**2))


def _widths(some: Array, quantiles: tuple[float, ...]) -> list[float]:
    """Return quantiles of the distances; of those that are not zero if one would be."""
    apart = distance.pdist(some)
    if apart.size and np.quantile(apart, min(quantiles)) <= 0.0:
        apart = apart[apart > 0.0]
    return [float(np.quantile(apart, q)) if apart.size else 1.0 for q in quantiles]


def _check(quantiles: tuple[float, ...], centres: int | None, spread: float, most: int) -> None:
    if not quantiles or not all(0.0 < q <= 1.0 for q in quantiles):
        raise InputError("NPLM.quantile", got=quantiles, expected="numbers in (0, 1]")
    if centres is not None and centres < 1:
        raise InputError("NPLM.centres", got=centres, expected="at least one centre")
    if not spread > 0.0:
        raise InputError("NPLM.spread", got=spread, expected="a positive number")
    if most < 2:
        raise InputError("NPLM.most", got=most, expected="at least two events")


in_battery("nplm", AggregatedNPLM(most=100_000), sees="local density ratios")
