"""Precision, recall, density and coverage of one sample by the other's nearest-neighbour balls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.checks.support.balls import membership, neighbour_balls
from verisimile.core.arrays import Array, IntArray

__all__ = ["NAMES", "Balls", "evaluate", "expected_coverage"]

NAMES = ("precision", "recall", "density", "coverage", "f_beta")


@dataclass(frozen=True, slots=True, eq=False)
class Balls:
    """Closed balls around events that reach their k-th neighbour.

    Attributes
    ----------
    x
        Events ``(n, d)``.
    radii
        Squared distances to the k-th neighbours ``(n,)``.
    within
        Other events of the sample in each ball ``(n,)``: k, or more where they tie.
    tied
        Whether more than k are in any ball, so that the law has atoms or a lattice.
    """

    x: Array
    radii: Array
    within: IntArray
    tied: bool

    @classmethod
    def of(cls, x: Array, k: int) -> Balls:
        """Return the balls that reach the k-th neighbour of each event."""
        radii, within = neighbour_balls(x, k)
        return cls(x, radii, within, bool((within > k).any()))


def evaluate(real: Balls, fake: Balls, *, beta: float) -> Array:
    r"""Return precision, recall, density, coverage and :math:`F_\beta`, ``(5,)``.

    With :math:`B_k(x_i)` the closed ball around true event i that reaches its k-th
    true neighbour and holds :math:`k_i \ge k` true events beside it (more than k where
    they tie), and likewise for generated events y,

    .. math::
        P &= \tfrac1m \#\{j : y_j \in \cup_i B_k(x_i)\}, \qquad
        R = \tfrac1n \#\{i : x_i \in \cup_j B_k(y_j)\}, \\
        D &= \tfrac1m \sum_i \#\{j : y_j \in B_k(x_i)\} / k_i, \qquad
        C = \tfrac1n \#\{i : \exists j\; y_j \in B_k(x_i)\}, \\
        F_\beta &= (1 + \beta^2)\, P R / (\beta^2 P + R).

    For continuous laws these are the published numbers.  With open balls a perfect
    generator of a coarse lattice has nothing in any ball, and with k in place of
    :math:`k_i` its density would be far above one.

    References
    ----------
    M. F. Naeem et al., arXiv:2002.09797, eqs. 1 to 4 (for laws without ties);
    T. Kynkäänniemi et al., arXiv:1904.06991, eqs. 1 and 2 (closed balls);
    :math:`F_\beta`: M. S. M. Sajjadi et al., arXiv:1806.00035, sec. 3.
    """
    found = membership(real.x, fake.x, real.radii, fake.radii)
    precision, recall = float(found.fake_in_real.mean()), float(found.real_in_fake.mean())
    density = float((found.counts / real.within).sum() / fake.x.shape[0])
    return np.array([precision, recall, density, found.covered.mean(), _f(precision, recall, beta)])


def expected_coverage(n: int, m: int, k: int) -> float:
    r"""Return the coverage of n true by m generated events of the same continuous law.

    .. math:: E[C] = 1 - \prod_{i=1}^{k} \frac{n - i}{n + m - i}

    in any number of dimensions: event i is not covered if its k nearest among the
    n - 1 other true and the m generated events are all true.  Its limit for
    many events, n = m, is :math:`1 - 2^{-k}`.

    References
    ----------
    M. F. Naeem et al., arXiv:2002.09797, lemma 2.

    Examples
    --------
    >>> round(expected_coverage(10_000, 10_000, 5), 4)
    0.9688
    """
    i = np.arange(1, k + 1)
    return float(1.0 - np.prod((n - i) / (n + m - i)))


def _f(precision: float, recall: float, beta: float) -> float:
    total = beta**2 * precision + recall
    return (1.0 + beta**2) * precision * recall / total if total > 0.0 else 0.0
