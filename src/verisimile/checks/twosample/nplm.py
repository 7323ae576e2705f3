"""The new-physics learning machine as a two-sample statistic: a kernel likelihood ratio."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import special, stats
from scipy.spatial import distance

from verisimile.checks.twosample.logistic import Logistic
from verisimile.checks.twosample.statistic import Labels
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.stats.aggregate import Combined, min_p

__all__ = ["NPLM", "PreparedNPLM", "extended_ratio"]

_PAIRS_OF = 1000
_BLOCK = 32_000_000  # bytes of one (N, R) array
_RANK = 1e-10
_UNDERFLOW = 1e-250


@dataclass(frozen=True, slots=True)
class NPLM:
    r"""Kernel logistic likelihood-ratio statistic, the largest over bandwidths.

    With the data D (the second sample, weights :math:`u_i`) and the reference R
    (the first, weights scaled to the data's sum), f minimises

    .. math:: \sum_D u \log(1 + e^{-f}) + \sum_R w \log(1 + e^{f})
              + \lambda N \lVert f \rVert^2, \qquad
              w_i = u_i \frac{\sum_D u}{\sum_R u}, \quad
              f = \sum_m c_m e^{-|x - x_m|^2 / 2\sigma^2},

    and the statistic is twice the extended log likelihood ratio,

    .. math:: t_\sigma = -2 \Big[ \sum_R w (e^f - 1) - \sum_D u f \Big].

    Widths :math:`\sigma` are quantiles of the pooled pairwise distances.  With
    several, each :math:`t_\sigma` is turned into the tail probability of a
    Gamma law with the mean and variance of `pilots` relabelings of the same
    pool, and the statistic is :math:`-\log \min_\sigma p_\sigma`.  The law only
    puts the widths on one scale: validity comes from the permutations, under
    which the pilots are fixed.

    Attributes
    ----------
    quantiles
        Of the pairwise distances, one for each width.
    centres
        Nyström centres, drawn from the pool; by default :math:`\lceil\sqrt N\rceil`,
        at least 20.
    penalty
        :math:`\lambda`.
    pilots
        Relabelings that put several widths on one scale.

    Raises
    ------
    InputError
        If a parameter is out of range.

    References
    ----------
    M. Letizia et al., Eur. Phys. J. C 82 (2022) 879 (arXiv:2204.02317), sec. 3;
    several widths: G. Grosso, M. Letizia, arXiv:2408.12296.
    """

    quantiles: tuple[float, ...] = (0.9,)
    centres: int | None = None
    penalty: float = 1e-6
    pilots: int = 100

    def __post_init__(self) -> None:
        _check(self)

    @property
    def name(self) -> str:
        """Its name in tables."""
        return "NPLM"

    @property
    def weights(self) -> str:
        """Positive: a logistic loss with negative weights has no minimum."""
        return "positive"

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> PreparedNPLM:
        """Return the statistic bound to events ``(N, d)``, on common scales.

        Raises
        ------
        InputError
            If a weight is not positive, or all events are equal.
        """
        if not (weights > 0.0).all():
            raise InputError(
                "weights",
                got=f"{int((weights <= 0.0).sum())} weights that are not positive",
                expected="positive weights",
                remedy="With signed weights, use a statistic such as the energy distance.",
            )
        n = pooled.shape[0]
        count = min(n, self.centres or max(20, int(np.ceil(np.sqrt(n)))))
        centres = pooled[np.sort(rng.permutation(n)[:count])]
        some = pooled[rng.permutation(n)[:_PAIRS_OF]]
        unit = weights / weights.mean()
        bases = tuple(
            _basis(pooled, centres, unit, width, self.penalty)
            for width in _widths(some, self.quantiles)
        )
        return PreparedNPLM(bases, unit, self.pilots, int(rng.integers(2**62)))


@dataclass(frozen=True, slots=True, eq=False)
class _Basis:
    width: float
    functions: Array
    penalty: Array


@dataclass(frozen=True, slots=True, eq=False)
class PreparedNPLM:
    """NPLM bound to pooled events: whitened kernel functions for each width."""

    bases: tuple[_Basis, ...]
    weights: Array
    pilots: int
    seed: int
    _scale: dict[int, Array] = field(default_factory=dict)

    @property
    def widths(self) -> Array:
        """Kernel widths ``(J,)``."""
        return np.array([basis.width for basis in self.bases])

    def values(self, labels: Labels) -> Array:
        """Return the statistic of each relabeling ``(R,)``; NaN where a fit did not converge."""
        columns = self.columns(labels)
        if columns.shape[1] == 1:
            return columns[:, 0]
        return _smallest(columns, self._pilot_columns(labels))

    def columns(self, labels: Labels) -> Array:
        """Return t of each relabeling and width ``(R, J)``."""
        rows = max(1, _BLOCK // (8 * labels.shape[1]))
        parts = [
            np.column_stack([self._ratios(basis, labels[i : i + rows]) for basis in self.bases])
            for i in range(0, labels.shape[0], rows)
        ]
        return np.concatenate(parts)

    def combined(self, labels: Labels) -> Combined:
        """Return the min-p over the widths; row 0 is the data, the others are relabelings.

        Data and relabelings are ranked in one pool at every width
        (:func:`~verisimile.stats.aggregate.min_p`), so no law is assumed.  It needs
        many more relabelings than widths: with few, the smallest rank is often shared.
        """
        columns = self.columns(labels)
        return min_p(columns[0], columns[1:], null="permutations")

    def _ratios(self, basis: _Basis, labels: Labels) -> Array:
        data, reference = _sides(labels, self.weights)
        fit = Logistic(basis.functions, basis.penalty, data, reference).minimise()
        t = extended_ratio(fit.values, data, reference)
        return np.where(fit.converged, t, np.nan)

    def _pilot_columns(self, labels: Labels) -> Array:
        # The same for every call: a relabeling must not decide what it is measured with.
        first = int(labels[0].sum())
        if first not in self._scale:
            rng = np.random.default_rng(self.seed)
            flags = np.arange(self.weights.size) < first
            thrown = np.stack([rng.permutation(flags) for _ in range(self.pilots)])
            self._scale[first] = self.columns(thrown)
        return self._scale[first]


def extended_ratio(values: Array, data: Array, reference: Array) -> Array:
    r"""Return :math:`t = -2 [\sum_R w (e^f - 1) - \sum_D u f]` of each column ``(R,)``."""
    excess = np.where(reference > 0.0, np.expm1(np.where(reference > 0.0, values, 0.0)), 0.0)
    return np.asarray(-2.0 * (reference * excess - data * values).sum(axis=0))


def _sides(labels: Labels, weights: Array) -> tuple[Array, Array]:
    """Return weights of data and reference ``(N, R)``; both columns have the same sum."""
    first = labels.T.astype(np.float64) * weights[:, None]
    data = weights[:, None] - first
    return data, first * (data.sum(axis=0) / first.sum(axis=0))


def _basis(pooled: Array, centres: Array, weights: Array, width: float, penalty: float) -> _Basis:
    r"""Return functions whose penalised Hessian at f = 0 is the unit matrix.

    Nyström: with :math:`K_{MM} = V S V^T`, the functions :math:`K_{NM} V S^{-1/2}`
    have unit norm in the kernel's space.  A second rotation makes the Hessian
    diagonal too.
    """
    inner = _kernel(centres, centres, width)
    size, vectors = np.linalg.eigh(inner)
    kept = size > _RANK * size[-1]
    features = _kernel(pooled, centres, width) @ (vectors[:, kept] / np.sqrt(size[kept]))
    ridge = 2.0 * penalty * pooled.shape[0]
    # Each event counts a quarter of its weight at f = 0, whichever side it is on.
    bend, turn = np.linalg.eigh(0.25 * features.T @ (weights[:, None] * features))
    scale = np.maximum(bend, 0.0) + ridge
    return _Basis(width, features @ (turn / np.sqrt(scale)), ridge / scale)


def _kernel(x: Array, centres: Array, width: float) -> Array:
    return np.asarray(np.exp(-0.5 * distance.cdist(x, centres, "sqeuclidean") / width**2))


def _widths(some: Array, quantiles: tuple[float, ...]) -> list[float]:
    apart = distance.pdist(some)
    found = [float(np.quantile(apart, q)) for q in quantiles]
    if min(found) > 0.0:
        return found
    raise InputError(
        "pooled",
        got="a quantile of the pairwise distances that is zero",
        expected="events that differ",
        remedy="Take larger quantiles, or drop constant columns.",
    )


def _smallest(columns: Array, pilots: Array) -> Array:
    """Return -log of the smallest Gamma tail probability over the widths ``(R,)``."""
    mean, variance = np.nanmean(pilots, axis=0), np.nanvar(pilots, axis=0)
    return np.asarray((-_log_tail(columns * mean / variance, mean**2 / variance)).max(axis=1))


def _log_tail(x: Array, shape: Array) -> Array:
    """Return the log tail probability of the unit Gamma law, also where the tail underflows."""
    tail = stats.gamma.sf(x, shape)
    far = np.maximum(x, 1.0)
    leading = (shape - 1.0) * np.log(far) - far - special.gammaln(shape)
    near = np.log(np.maximum(tail, _UNDERFLOW))
    return np.asarray(np.where(tail > _UNDERFLOW, near, leading), dtype=np.float64)


def _check(of: NPLM) -> None:
    if not of.quantiles or not all(0.0 < q <= 1.0 for q in of.quantiles):
        raise InputError("NPLM.quantiles", got=of.quantiles, expected="numbers in (0, 1]")
    if of.centres is not None and of.centres < 1:
        raise InputError("NPLM.centres", got=of.centres, expected="at least one centre")
    if not of.penalty > 0.0:
        raise InputError("NPLM.penalty", got=of.penalty, expected="a positive number")
    if of.pilots < 20:
        raise InputError("NPLM.pilots", got=of.pilots, expected="at least 20")
