"""Strengths of systems from pairwise wins, by maximum likelihood."""

from __future__ import annotations

import numpy as np
from scipy import sparse, special

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError

__all__ = ["bradley_terry", "check_connected", "information", "inverse_information"]

_STEPS, _SMALL = 100, 1e-12


def bradley_terry(wins: Array) -> Array:
    r"""Return the log-strengths ``(k,)``, which add up to zero.

    .. math:: P(i \text{ beats } j) = \frac{1}{1 + e^{\lambda_j - \lambda_i}}

    from wins ``(k, k)`` of the row over the column; a tie is half a win for both.
    Newton's method with halved steps; the likelihood is concave.

    Raises
    ------
    InputError
        If the comparisons do not connect all systems in both directions.
    NumericsError
        If the iteration does not end.

    References
    ----------
    R. A. Bradley, M. E. Terry, Biometrika 39 (1952) 324; L. R. Ford, Am. Math. Mon. 64
    (1957) 28 (existence).
    """
    check_connected(wins, tuple(map(str, range(len(wins)))))
    played, strengths = wins + wins.T, np.zeros(len(wins))
    for _ in range(_STEPS):
        gradient = wins.sum(axis=1) - (played * _chance(strengths)).sum(axis=1)
        step = _inverse(information(wins, strengths)) @ gradient
        strengths = _ahead(wins, strengths, step)
        if gradient @ step < _SMALL:
            return np.asarray(strengths - strengths.mean())
    raise NumericsError(
        "Bradley-Terry", got=f"no maximum after {_STEPS} steps", expected="a finite maximum"
    )


def information(wins: Array, strengths: Array) -> Array:
    r"""Return :math:`\sum n_{ij} p_{ij} p_{ji} (e_i - e_j)(e_i - e_j)^T`, ``(k, k)``."""
    chance = _chance(strengths)
    weight = (wins + wins.T) * chance * chance.T
    return np.asarray(np.diag(weight.sum(axis=1)) - weight)


def check_connected(wins: Array, names: tuple[str, ...]) -> None:
    """Raise unless every system has beaten every other, directly or through others.

    Raises
    ------
    InputError
        With the systems that never beat, or never lose to, the rest.
    """
    count, group = sparse.csgraph.connected_components(
        sparse.csr_matrix(wins > 0.0), directed=True, connection="strong"
    )
    if count == 1:
        return
    parts = [[names[i] for i in np.flatnonzero(group == g)] for g in range(count)]
    raise InputError(
        "preferences",
        got=f"the groups {parts} without wins or ties both ways between them",
        expected="a chain of wins from every system to every other: otherwise the likelihood"
        " grows without end and no strengths exist",
        remedy="Ask for more comparisons between these groups, or drop a system.",
    )


def inverse_information(wins: Array, strengths: Array) -> Array:
    """Return the covariance of strengths that add up to zero, for independent answers."""
    return _inverse(information(wins, strengths))


def _inverse(matrix: Array) -> Array:
    # Adding a constant to all strengths changes nothing: that direction is taken out.
    k = len(matrix)
    constant = np.full((k, k), 1.0 / k)
    return np.asarray(np.linalg.inv(matrix + constant) - constant)


def _ahead(wins: Array, strengths: Array, step: Array) -> Array:
    start = _log_likelihood(wins, strengths)
    for _ in range(60):
        if _log_likelihood(wins, strengths + step) >= start - 1e-9 * abs(start):
            break
        step = 0.5 * step
    return np.asarray(strengths + step)


def _log_likelihood(wins: Array, strengths: Array) -> float:
    return float((wins * special.log_expit(strengths[:, None] - strengths)).sum())


def _chance(strengths: Array) -> Array:
    return np.asarray(special.expit(strengths[:, None] - strengths), dtype=np.float64)
