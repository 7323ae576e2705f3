"""Does a value change with the size of the training sample: slopes, with samples as units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

import verisimile as vs
from verisimile.core.arrays import Array

_LEVEL = 0.95


@dataclass(frozen=True)
class Trend:
    """Change of a mean with each doubling of the training sample.

    Attributes
    ----------
    slope, low, high
        Least squares over the units' means, and Student's 95 % interval.
    p
        Two-sided, add-one, of the slope's size under relabelings of units.
    units
        Training samples.
    """

    slope: float
    low: float
    high: float
    p: float
    units: int
    permutations: int

    def as_json(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)


def trend(
    seeds: vs.Seeds,
    values: Sequence[Array],
    sizes: Sequence[int],
    units: Sequence[Sequence[int]],
    *,
    permutations: int = 999,
) -> Trend:
    r"""Return the slope of values over the binary logarithm of the training sample's size.

    Members that share a training sample are dependent: their mean is one unit, and units are
    relabeled.  If the size does not matter all units have one law, whatever it is, and

    .. math:: p = \frac{1 + \#\{b : |\hat s_b| \ge |\hat s|\}}{1 + B}

    is valid at any number of them.  The interval is that of a straight line with equal normal
    errors.

    Parameters
    ----------
    values
        Of the members of each cell.
    sizes
        Training events of each cell.
    units
        Training sample of each member of each cell.
    """
    pairs = [
        (float(np.log2(size)), float(value[np.asarray(unit) == k].mean()))
        for value, size, unit in zip(values, sizes, units, strict=True)
        for k in sorted(set(unit))
    ]
    x, y = np.array(pairs).T
    line = stats.linregress(x, y)
    half = float(stats.t.isf(0.5 * (1.0 - _LEVEL), x.size - 2)) * float(line.stderr)
    centred = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    drawn = seeds.numpy().permuted(np.repeat(y[None], permutations, axis=0), axis=1)
    # Relabelings that are the observed one differ from it by rounding only.
    extreme = int((np.abs(drawn @ centred) >= abs(float(line.slope)) * (1.0 - 1e-9)).sum())
    return Trend(
        slope=float(line.slope),
        low=float(line.slope) - half,
        high=float(line.slope) + half,
        p=(1.0 + extreme) / (1.0 + permutations),
        units=x.size,
        permutations=permutations,
    )


def distances_from_median(values: Array) -> Array:
    """Return what Brown and Forsythe's test of equal spread compares."""
    return np.asarray(np.abs(values - np.median(values)))


def ratio_interval(first: Array, second: Array) -> tuple[float, float, float]:
    """Return the ratio of two standard deviations and Fisher's 95 % interval.

    It holds for independent normal members; those of one training sample are not quite.
    """
    ratio = float(first.std(ddof=1) / second.std(ddof=1))
    tail, free = 0.5 * (1.0 - _LEVEL), (first.size - 1, second.size - 1)
    low, high = stats.f.isf([tail, 1.0 - tail], *free)
    return ratio, ratio / float(low) ** 0.5, ratio / float(high) ** 0.5
