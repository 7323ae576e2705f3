"""Values that two samples share, counted so that chance can be told from copies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from verisimile.core.arrays import Array, IntArray

Keys = npt.NDArray[np.uint64]

SMALLEST = float(np.finfo(np.float64).tiny)  # a p-value is never zero


_THINNER = (0.25, 0.0625)


def shared_by_chance(one: Keys, other: Keys) -> float:
    r"""Return a bound on the probability of so many shared values in two independent samples.

    With a and b the expected numbers of events of a value in the two samples, :math:`2ab \le
    (a + b)^2 / 2` value by value: of the values with two events in both samples together, at
    most half have one event in each (:func:`chance_of`).  Where a sample has pairs of its own,
    either is thinned to a quarter and a sixteenth as well, which leaves fewer of them and bounds
    the number across by their geometric mean; the smallest of five p-values is multiplied by five.
    """
    across, *within = value_pairs(one, other)
    p = chance_of(across, *within)
    if across == 0.0 or not any(within):
        return p
    n, m = float(np.unique(one).size), float(min(np.unique(other).size, one.size))
    thinned = [(share * n, m) for share in _THINNER] + [(n, share * m) for share in _THINNER]
    others = [chance_of(*value_pairs(one, other, kept=kept)) for kept in thinned]
    return min(1.0, (1 + len(others)) * min(p, *others))


def value_pairs(
    one: Keys, other: Keys, *, kept: tuple[float, float] | None = None
) -> tuple[float, float, float]:
    r"""Return the numbers of values with one event in each sample, two in the first, in the other.

    They are expectations over samples thinned to `kept` events: each event is kept with
    probability :math:`\pi`, and j of c events remain with the binomial probability.
    By default a sample is thinned to as many events as it has values, and the second to no
    more than the first has: a second sample that returns each event of the first 25 times has no
    pair otherwise.
    """
    values, place = np.unique(np.concatenate([one, other]), return_inverse=True)
    counts = [
        np.bincount(part, minlength=values.size) for part in (place[: one.size], place[one.size :])
    ]
    distinct = [int((each > 0).sum()) for each in counts]
    sizes = kept or (distinct[0], min(distinct[1], one.size))
    first, second = (
        _thinned(each, size / max(int(each.sum()), 1))
        for each, size in zip(counts, sizes, strict=True)
    )
    return (
        float(first[1] @ second[1]),
        float(first[2] @ second[0]),
        float(first[0] @ second[2]),
    )


def _thinned(counts: IntArray, share: float) -> Array:
    """Return the probabilities of 0, 1 and 2 events left of each value, ``(3, V)``."""
    if share >= 1.0:
        return np.array([counts == j for j in range(3)], dtype=np.float64)
    return np.array([stats.binom.pmf(j, counts, share) for j in range(3)])


def chance_of(across: float, *within: float, share: float = 0.5) -> float:
    r"""Return :math:`P(\mathrm{Bin}(D, q) \ge C)` of C of D in all; fractions are allowed.

    With q = 1/2 it bounds the probability of so many values with one event in each of two
    independent samples, whatever their laws.
    """
    if across <= 0.0:
        return 1.0
    return max(SMALLEST, float(special.betainc(across, sum(within) + 1.0, share)))
