"""Weighted means and covariances of many subsets of one sample, as matrix products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, BoolArray, as_matrix, as_vector
from verisimile.core.errors import require
from verisimile.samples.pair_sums import row_blocks

_WIDE = 64
_ENTRIES = 1 << 21


@dataclass(frozen=True, slots=True, eq=False)
class MomentSums:
    r"""Sums over subsets, additive: :math:`\sum w, \sum w^2, \sum w x, \sum w x x^T`.

    Attributes
    ----------
    weight, square
        Sums of the weights and of their squares ``(R,)``.
    first
        ``(R, d)``.
    second
        ``(R, d, d)``.
    """

    weight: Array
    square: Array
    first: Array
    second: Array

    def combined(self, design: Array) -> MomentSums:
        """Return the sums over unions of the subsets; `design` ``(K, R)`` counts them."""
        d = self.first.shape[1]
        flat = design @ self.second.reshape(-1, d * d)
        weight, square, first = (design @ s for s in (self.weight, self.square, self.first))
        return MomentSums(weight, square, first, flat.reshape(-1, d, d))

    def without(self, other: MomentSums) -> MomentSums:
        """Return the sums over the events that `other` left out."""
        return MomentSums(
            self.weight - other.weight,
            self.square - other.square,
            self.first - other.first,
            self.second - other.second,
        )

    def mean(self) -> Array:
        """Return the weighted means ``(R, d)``."""
        return self.first / self.weight[:, None]

    def covariance(self) -> Array:
        r"""Return the unbiased covariances ``(R, d, d)``.

        .. math:: \Big(\sum w x x^T - W \bar x \bar x^T\Big) \Big/ (W - \textstyle\sum w^2 / W)
        """
        mean = self.mean()
        centred = self.second - self.weight[:, None, None] * mean[:, :, None] * mean[:, None, :]
        scale = self.weight - self.square / self.weight
        return np.asarray(centred / scale[:, None, None])

    def inverse_size(self) -> Array:
        r"""Return one over the effective number of events, :math:`\sum w^2 / W^2`, ``(R,)``."""
        return np.asarray(self.square / self.weight**2)


def pair_chunk(d: int) -> int:
    """Return how many subsets' covariances fit into the working memory."""
    return max(1, _ENTRIES // (d * d))


def subset_sums(x: Array, weights: Array, labels: BoolArray) -> MomentSums:
    """Return the sums over the rows that each of `labels` ``(R, n)`` marks.

    Up to 64 features: one matrix product of labels and the columns
    ``(w, w^2, w x, w x x^T)``, built in blocks of rows.  Beyond, one product
    per subset.  Weights are not negative.
    """
    return _wide(x, weights, labels) if x.shape[1] > _WIDE else _narrow(x, weights, labels)


def mass_moments(x: Array, masses: Array) -> tuple[Array, Array]:
    r"""Return means ``(R, d)`` and covariances ``(R, d, d)`` of rows of masses ``(R, n)``.

    .. math:: \mu = \sum_i a_i x_i, \qquad S = \sum_i a_i x_i x_i^T - \mu \mu^T

    for rows of sum one and either sign: S need not be positive.
    """
    count, d = masses.shape[0], x.shape[1]
    mean, second = np.zeros((count, d)), np.zeros((count, d, d))
    for part in row_blocks(x.shape[0], max(d * d, count), _ENTRIES, least=256):
        values = x[part]
        mean += masses[:, part] @ values
        products = (values[:, :, None] * values[:, None, :]).reshape(-1, d * d)
        second += (masses[:, part] @ products).reshape(count, d, d)
    return mean, np.asarray(second - mean[:, :, None] * mean[:, None, :])


def _narrow(x: Array, weights: Array, labels: BoolArray) -> MomentSums:
    d = x.shape[1]
    rows, columns = np.triu_indices(d)
    total = np.zeros((labels.shape[0], 2 + d + rows.size))
    for part in row_blocks(x.shape[0], max(total.shape), _ENTRIES, least=256):
        values = np.ascontiguousarray(x[part].T)
        w = weights[part]
        powers = np.vstack([np.ones_like(w)[None], w[None], values, values[rows] * values[columns]])
        powers *= w
        total += labels[:, part].astype(np.float64) @ powers.T
    second = np.empty((labels.shape[0], d, d))
    second[:, rows, columns] = total[:, 2 + d :]
    second[:, columns, rows] = total[:, 2 + d :]
    return MomentSums(total[:, 0], total[:, 1], total[:, 2 : 2 + d], second)


def _wide(x: Array, weights: Array, labels: BoolArray) -> MomentSums:
    chosen = labels.astype(np.float64)
    second = np.empty((labels.shape[0], x.shape[1], x.shape[1]))
    for out, mask in zip(second, labels, strict=True):
        scaled = x[mask] * np.sqrt(weights[mask])[:, None]
        np.matmul(scaled.T, scaled, out=out)
    return MomentSums(
        chosen @ weights, chosen @ weights**2, chosen @ (weights[:, None] * x), second
    )


def checked_sample(
    values: npt.ArrayLike,
    weights: npt.ArrayLike | None,
    name: str,
    blocks: int,
) -> tuple[Array, Array]:
    """Return events ``(n, d)`` and weights ``(n,)`` that can be divided into so many blocks.

    Raises
    ------
    InputError
        For unusable arrays, fewer than 4 blocks, or blocks of fewer than two events.
    """
    x = as_matrix(values, name)
    require(
        blocks >= 4 and x.shape[0] >= 2 * blocks,
        name,
        got=f"{x.shape[0]} events in {blocks} blocks",
        expected="at least 4 blocks of at least two events",
        remedy="Use fewer blocks or more events.",
    )
    if weights is None:
        return x, np.ones(x.shape[0])
    w = as_vector(weights, f"{name} weights", length=x.shape[0])
    got = f"the sum {w.sum():g}"
    require(w.sum() > 0.0, f"{name} weights", got=got, expected="a positive sum")
    return x, w


def membership(n: int, blocks: int, rng: np.random.Generator) -> BoolArray:
    """Return a random partition ``(B, n)`` into blocks of equal size, to one event."""
    member = rng.permutation(np.arange(n) % blocks)
    return np.asarray(member == np.arange(blocks)[:, None])


def jackknife_error(replicas: Array) -> float:
    """Return the standard error from replicas ``(B,)`` that each leave one block out."""
    return float(np.sqrt((replicas.size - 1) * replicas.var()))
