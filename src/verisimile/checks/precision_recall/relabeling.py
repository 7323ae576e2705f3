"""Studentised differences of two groups' means, for all relabelings at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.random import Seeds

__all__ = ["Relabeled", "area_interval", "relabeled"]

_TINY = 1e-12
_SAME = 1.0 - 1e-9  # relabelings that reproduce the groups differ by rounding only


@dataclass(frozen=True, slots=True, eq=False)
class Relabeled:
    """Absolute studentised differences: observed ``(L,)`` and of relabelings ``(B, L)``."""

    observed: Array
    null: Array

    def pointwise(self) -> Array:
        """Return the add-one p-value of each column alone ``(L,)``."""
        return _add_one(self.null, self.observed)

    def familywise(self) -> Array:
        """Return p-values that count relabelings whose largest value anywhere is as large."""
        return _add_one(self.null.max(axis=1, keepdims=True), self.observed)


def relabeled(seeds: Seeds, first: Array, second: Array, count: int) -> Relabeled:
    r"""Return differences of the means of curves ``(J, L)`` and ``(K, L)`` over relabelings.

    .. math:: T = |\bar R_1 - \bar R_2| / \sqrt{s_1^2 / J + s_2^2 / K}

    A column in which all curves agree has T = 0.
    """
    pool = np.concatenate([first, second])
    is_first = np.zeros((1, len(pool)))
    is_first[0, : len(first)] = 1.0
    rng = seeds.numpy()
    drawn = rng.permuted(np.repeat(is_first, count, axis=0), axis=1)
    values = _studentised(np.concatenate([is_first, drawn]), pool - pool.mean(axis=0))
    return Relabeled(values[0], values[1:])


def _studentised(labels: Array, centred: Array) -> Array:
    spread = (centred**2).sum(axis=0)
    means, variances = zip(
        *(_moments(part, centred) for part in (labels, 1.0 - labels)), strict=True
    )
    gap, scale = np.abs(means[0] - means[1]), np.sqrt(variances[0] + variances[1])
    flat = scale <= np.sqrt(_TINY * spread)
    found = np.divide(gap, scale, out=np.full_like(gap, np.inf), where=~flat)
    found[flat & (gap <= np.sqrt(_TINY * spread))] = 0.0
    return np.asarray(found)


def _moments(labels: Array, centred: Array) -> tuple[Array, Array]:
    """Return means and variances of means of the labelled rows."""
    size = labels[0].sum()
    mean = labels @ centred / size
    square = labels @ centred**2 / size
    return mean, np.maximum(square - mean**2, 0.0) / (size - 1.0)


def area_interval(
    seeds: Seeds, first: Array, second: Array, *, level: float, resamples: int
) -> tuple[float, float]:
    """Return the studentised bootstrap interval on the difference of two groups' mean areas."""
    rng = seeds.numpy()
    parts = [_resampled(rng, values, resamples) for values in (first, second)]
    shift = parts[0][0] - parts[1][0]
    scale = np.sqrt(parts[0][1] + parts[1][1])
    usable = scale > 0.0
    gap = float(first.mean() - second.mean())
    error = np.sqrt(first.var(ddof=1) / first.size + second.var(ddof=1) / second.size)
    if not usable.any():
        return gap, gap
    tail = 0.5 * (1.0 - level)
    low, high = np.quantile(shift[usable] / scale[usable], [tail, 1.0 - tail])
    return gap - float(high * error), gap - float(low * error)


def _resampled(rng: np.random.Generator, values: Array, resamples: int) -> tuple[Array, Array]:
    count = values.size
    rows = rng.multinomial(count, np.full(count, 1.0 / count), size=resamples).astype(np.float64)
    mean, variance = _moments(rows, (values - values.mean())[:, None])
    return mean[:, 0], variance[:, 0]


def _add_one(null: Array, observed: Array) -> Array:
    extreme = (null >= observed * _SAME).sum(axis=0)
    return np.asarray((1.0 + extreme) / (len(null) + 1.0))
