r"""Expectations of all members from one pooled sample, with their full covariance.

Draws of all members in equal shares follow :math:`\bar f = \frac1M \sum_i f_i`, and
:math:`r_i = f_i / \bar f \le M` carries them to each member.  Every member then
sees the same events: what the members have in common cancels in their differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.density.protocol import Sampler
from verisimile.mixture.objective import scaled

__all__ = ["Calibrated", "density_ratios", "stratified"]

_RTOL = 1e-10
_UNDEFINED = 1e-3  # share of draws without any density beyond which nothing is believed


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    r"""Sums of products of ratios over a pool, and estimates that are calibrated on them.

    The exact expectations :math:`E_{\bar f}[r_j] = 1` serve as control variates:
    with :math:`T(h) = \sum_z h\, r r^T` and :math:`A = T(1)`,

    .. math:: O = T(h)\, A^{-1} 1, \qquad
              V = \frac{T(h^2) - T(h)\, A^{-1}\, T(h)}{N (N - M)}

    so that :math:`\sum_i w_i O_i = \sum_i w_i` exactly for :math:`h = 1`, and
    the error of any signed sum is :math:`w^T V w`.  Residuals of the regression
    are orthogonal to every :math:`r_j`, so that equal shares bring no further gain.

    Attributes
    ----------
    base
        A, ``(M, M)``.
    count
        N, events of the pool.
    """

    base: Array
    count: int

    def expectations(self, first: Array) -> Array:
        """Return members' expectations ``(..., M)`` from T(h), ``(..., M, M)``."""
        return np.asarray(first @ (self._inverse() @ np.ones(self.base.shape[0])))

    def covariances(self, first: Array, second: Array) -> Array:
        """Return their covariances ``(..., M, M)`` from T(h) and T(h squared)."""
        residual = second - first @ self._inverse() @ first
        return np.asarray(residual / (self.count * max(self.count - self.base.shape[0], 1)))

    def _inverse(self) -> Array:
        # Members that repeat each other leave the constant inside the span.
        return np.asarray(np.linalg.pinv(self.base, rcond=_RTOL, hermitian=True))


def density_ratios(logf: Array) -> tuple[Array, Array]:
    r"""Return :math:`r = f / \bar f` where any member has density, and where that is.

    Raises
    ------
    NumericsError
        If so many draws have no density that sampler and density do not belong together.
    """
    defined = logf.max(axis=1) > -np.inf
    if defined.mean() < 1.0 - _UNDEFINED:
        raise NumericsError(
            "draws of the members",
            got=f"{int((~defined).sum())} of {defined.size} without any density",
            expected="draws where their own member has density",
            remedy="vs.check_estimator tells whether sampler and density belong together.",
        )
    density, _ = scaled(logf[defined])
    return density / density.mean(axis=1, keepdims=True), defined


def stratified(members: Sequence[Sampler], each: int, rng: np.random.Generator) -> Array:
    """Return `each` draws of every member, one member after the other."""
    return np.concatenate([member.sample(each, rng) for member in members])
