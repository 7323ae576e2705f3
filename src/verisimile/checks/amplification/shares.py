"""Shares of two samples in regions, and the distance between them free of counting noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import NumericsError, require


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    r"""Shares of a sample in N regions.

    Attributes
    ----------
    values
        :math:`g_j = \sum_{i \in R_j} w_i / \sum_i w_i`, ``(N,)``.
    squares
        :math:`\sum_{i \in R_j} w_i^2 / (\sum_i w_i)^2`, ``(N,)``; :math:`g_j / n` of plain events.
    """

    values: Array
    squares: Array

    @property
    def n_effective(self) -> float:
        r"""Return :math:`(\sum w)^2 / \sum w^2`."""
        return 1.0 / float(self.squares.sum())

    @property
    def diagonal(self) -> Array:
        r"""Unbiased variance of each share, :math:`g (1 - g) / (n - 1)` of plain events."""
        total = self.squares.sum()
        plain = self.squares * (1.0 - 2.0 * self.values) + total * self.values**2
        return np.asarray(plain * self._unbiasing)

    @property
    def spread(self) -> float:
        r"""Unbiased estimate of :math:`\sum_j p_j (1 - p_j)`."""
        return float(1.0 - (self.values**2).sum() + self.diagonal.sum())

    def low_rank(self) -> tuple[Array, Array, Array]:
        r"""Return D ``(N,)``, U ``(N, 2)``, M ``(2, 2)``: the shares' covariance D + U M U^T.

        .. math:: V_{jk} = \delta_{jk} s_j - g_j s_k - s_j g_k + g_j g_k \sum_l s_l
        """
        factors = np.column_stack([self.values, self.squares])
        middle = np.array([[self.squares.sum(), -1.0], [-1.0, 0.0]])
        return self.squares * self._unbiasing, factors, middle * self._unbiasing

    @property
    def _unbiasing(self) -> float:
        return self.n_effective / (self.n_effective - 1.0)


def shares_of(labels: IntArray, count: int, weights: Array | None, name: str) -> Shares:
    """Return the shares of two or more events in their regions."""
    if weights is None:
        values = np.bincount(labels, minlength=count) / labels.size
        shares = Shares(values, values / labels.size)
    else:
        reject_signed(weights, name)
        total = weights.sum()
        values = np.bincount(labels, weights, minlength=count) / total
        squares = np.bincount(labels, weights**2, minlength=count) / total**2
        shares = Shares(values, squares)
    got = "less than two effective events"
    require(shares.n_effective >= 2.0, name, got=got, expected="many events")
    return shares


@dataclass(frozen=True, slots=True)
class Difference:
    r"""Squared distance :math:`\sum_j (\gamma_j - p_j)^2` of the true shares, estimated.

    Attributes
    ----------
    distance
        Unbiased estimate; may be negative.
    noise, trace2
        Counting noise that was taken out, the trace of the difference's covariance V; that of V².
    along
        Noise in the direction of the difference d found, :math:`d^T V d / d^T d`, and not below
        :math:`\mathrm{tr} V^3 / \mathrm{tr} V^2`, that in the direction of noise.
    """

    distance: float
    noise: float
    trace2: float
    along: float


def difference(generated: Shares, holdout: Shares) -> Difference:
    r"""Return the squared distance of two samples' shares with the counting noise taken out.

    .. math:: \sum_j \Big[(g_j - h_j)^2 - \frac{g_j (1 - g_j)}{n_g - 1}
                          - \frac{h_j (1 - h_j)}{n_h - 1}\Big]
    """
    d = generated.values - holdout.values
    noise = float((generated.diagonal + holdout.diagonal).sum())
    squared = float(d @ d)
    a, u, m = generated.low_rank()
    b, v, k = holdout.low_rank()
    middle = np.zeros((4, 4))
    middle[:2, :2], middle[2:, 2:] = m, k
    covariance = _Covariance(a + b, np.column_stack([u, v]), middle)
    trace2, trace3 = covariance.traces()
    if noise <= 0.0:
        raise NumericsError(
            "regions",
            got="all events of both samples in one region",
            expected="events in several regions",
            remedy="Divide the space where the events are.",
        )
    of_noise = trace3 / trace2
    return Difference(
        distance=squared - noise,
        noise=noise,
        trace2=trace2,
        along=max(float(d @ covariance.times(d)) / squared, of_noise) if squared else of_noise,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Covariance:
    """A diagonal ``(N,)`` plus U M U^T of rank four, never made a matrix."""

    diagonal: Array
    factors: Array
    middle: Array

    def times(self, vector: Array) -> Array:
        return np.asarray(
            self.diagonal * vector + self.factors @ (self.middle @ (self.factors.T @ vector))
        )

    def traces(self) -> tuple[float, float]:
        """Return the traces of the square and of the cube."""
        a = self.diagonal
        once, twice, thrice = (
            self.middle @ (self.factors.T * a**power) @ self.factors for power in range(3)
        )
        square = (a**2).sum() + 2.0 * np.trace(twice) + np.trace(once @ once)
        cube = (
            (a**3).sum()
            + 3.0 * np.trace(thrice)
            + 3.0 * np.trace(twice @ once)
            + np.trace(once @ once @ once)
        )
        return float(square), float(cube)


def reject_signed(weights: Array | None, name: str) -> None:
    """Raise if there are negative weights."""
    negative = 0 if weights is None else int((weights < 0.0).sum())
    require(
        not negative,
        f"{name}.weights",
        got=f"{negative} negative weights",
        expected="weights that are all positive",
        remedy="Counting noise of signed weights may exceed any difference: "
        "draw unweighted events first.",
    )
