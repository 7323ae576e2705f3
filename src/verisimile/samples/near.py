"""Events that lie far nearer to an event of another sample than independent events would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.spatial import cKDTree
from scipy.special import gammaln

from verisimile.core.arrays import Array, IntArray
from verisimile.stats.coincidences import SMALLEST

CHANCE = 1e-3  # of an independent event to look like a near copy
_QUERIES = 10_000
_PAIRED = 20_000
_SUMMED = 1_500  # pairs for which the law is summed


@dataclass(frozen=True, slots=True)
class Near:
    """Near copies: how many, how many by chance, and the probability of so many.

    Attributes
    ----------
    count, expected
        Events of the second sample, scaled up from those that were looked at.
    p
        One-sided p-value.
    """

    count: int
    expected: float
    p: float


@dataclass(frozen=True, slots=True)
class Twins:
    """Pairs of mutual nearest neighbours of two samples together.

    Attributes
    ----------
    pairs, across
        Number of pairs, and of those with one event in each sample.
    expected
        Of `across`, for two independent samples of one law.
    p
        Probability of `across` or more.
    """

    pairs: int
    across: int
    expected: float
    p: float


def scales(x: Array) -> Array:
    """Return a scale of each column ``(d,)``: the interquartile range, or the standard deviation.

    Infinite for a column of one value, which then has no part in distances.
    """
    low, high = np.quantile(x, (0.25, 0.75), axis=0)
    wide = np.where(high > low, high - low, x.std(axis=0))
    return np.asarray(np.where(np.ptp(x, axis=0) > 0.0, wide, np.inf))


def near_ratio(d: int) -> float:
    r"""Return the ratio :math:`\tau = \varepsilon^{1/d}` of distances below which an event is near.

    Around a point of a smooth law the volume up to the nearest event is exponential, so that
    an independent event is within :math:`\tau` times the next distance with probability
    :math:`\varepsilon` = 0.001 in any dimension and of any density.
    """
    return float(CHANCE ** (1.0 / d))


def near_copies(first: Array, second: Array) -> Near:
    r"""Return how many events of a second sample are near copies of a first sample's.

    Event y is near its nearest neighbour x of the first sample, at distance a, if
    :math:`a \le \tau b` with b the distance of x to its nearest neighbour in its own sample.
    As many events of either sample are looked at in the same way within their own sample.  If the
    samples are independent, the numbers C across and W within have about one expectation,
    also on lattices and in fewer dimensions than there are columns, and

    .. math:: p = P(\mathrm{Bin}(C + W, 1/2) \ge C) .

    In one dimension neighbours of many events are so near that only tiny shifts show.

    Parameters
    ----------
    first, second
        Events ``(n, d)`` and ``(m, d)``; at most 10 000 of each, evenly spread, are asked
        for their neighbours among all.
    """
    scale = scales(np.concatenate([first, second]))
    x, y = (part[:, np.isfinite(scale)] / scale[np.isfinite(scale)] for part in (first, second))
    looked = min(x.shape[0], y.shape[0], _QUERIES)
    if looked < 4 or x.shape[1] == 0:
        return Near(0, 0.0, 1.0)
    ratio = near_ratio(x.shape[1])
    one, other = cKDTree(x), cKDTree(y)
    across = _across(one, _spread(y, looked), ratio)
    within = max(_within(tree, looked, ratio) for tree in (one, other))
    factor = second.shape[0] / looked
    return Near(
        round(factor * across),
        factor * within,
        max(SMALLEST, float(stats.binom.sf(across - 1, across + within, 0.5))),
    )


def twins(first: Array, second: Array, rng: np.random.Generator) -> Twins:
    r"""Return the pairs of mutual nearest neighbours, and how many have an event in each sample.

    Pairs do not share events and are found without knowing which sample an event is of.  For
    independent samples of one law all ways to label the N = n + m events are equally likely,
    and of M pairs

    .. math:: P(C = c) = \binom{M}{c} 2^c \sum_k \binom{M - c}{k}
              \binom{N - 2M}{n - c - 2k} \Big/ \binom{N}{n} .

    Copies pair with their originals.  The law is summed for up to 1500 pairs; for more it
    is the binomial law of probability :math:`2nm / N(N-1)`, whose tail is longer.

    Parameters
    ----------
    first, second
        Events ``(n, d)`` and ``(m, d)``; the neighbours of 20 000, evenly spread, are looked for
        among all.
    rng
        Decides between equally near events.
    """
    pool = np.concatenate([first, second])
    n, total = first.shape[0], pool.shape[0]
    scale = scales(pool)
    known = np.isfinite(scale)
    if total < 4 or not known.any():
        return Twins(0, 0, 0.0, 1.0)
    order = rng.permutation(total)
    labels = order < n
    pairs = _mutual(pool[order][:, known] / scale[known])
    across = int((labels[pairs[:, 0]] != labels[pairs[:, 1]]).sum())
    m = total - n
    chance = 2.0 * n * m / (total * (total - 1.0))
    count = pairs.shape[0]
    p = (
        _summed(across, count, n, total)
        if count <= _SUMMED
        else float(stats.binom.sf(across - 1, count, chance))
    )
    return Twins(count, across, count * chance, max(SMALLEST, p))


def _mutual(x: Array) -> IntArray:
    """Return pairs of rows that are each other's nearest neighbours ``(M, 2)``, of some rows."""
    tree = cKDTree(x)
    rows = np.arange(min(x.shape[0], _PAIRED))  # in random order already
    nearest = _others(tree, rows, 1)[1][:, 0]
    mutual = _others(tree, nearest, 1)[1][:, 0] == rows
    pairs = np.sort(np.stack([rows[mutual], nearest[mutual]], axis=1), axis=1)
    return np.asarray(np.unique(pairs, axis=0), dtype=np.int64).reshape(-1, 2)


def _summed(across: int, pairs: int, n: int, total: int) -> float:
    """Return P(C >= across), all terms summed."""
    c = np.arange(across, pairs + 1)[:, None]
    k = np.arange(pairs - across + 1)[None, :]
    rest = n - c - 2 * k
    possible = (k <= pairs - c) & (rest >= 0) & (rest <= total - 2 * pairs)
    log = np.where(
        possible,
        _log_choose(pairs, c)
        + c * np.log(2.0)
        + _log_choose(pairs - c, np.where(possible, k, 0))
        + _log_choose(total - 2 * pairs, np.where(possible, rest, 0)),
        -np.inf,
    )
    return float(min(1.0, np.exp(log - _log_choose(total, n)).sum()))


def _log_choose(n: Array | IntArray | int, k: Array | IntArray | int) -> Array:
    a, b = np.asarray(n, dtype=np.float64), np.asarray(k, dtype=np.float64)
    return np.asarray(gammaln(a + 1.0) - gammaln(b + 1.0) - gammaln(a - b + 1.0))


def _across(tree: cKDTree, queries: Array, ratio: float) -> int:
    distances, rows = tree.query(queries, k=1)
    beyond = _others(tree, rows, 1)[0][:, 0]
    return _count(distances, beyond, ratio)


def _within(tree: cKDTree, looked: int, ratio: float) -> int:
    rows = np.linspace(0, tree.n - 1, looked).astype(np.int64)
    distances, nearest = _others(tree, rows, 1)
    far, who = _others(tree, nearest[:, 0], 2)
    # The event that asks is no neighbour of its neighbour: it stands for one of another sample.
    beyond = np.where(who[:, 0] == rows, far[:, 1], far[:, 0])
    return _count(distances[:, 0], beyond, ratio)


def _count(distances: Array, beyond: Array, ratio: float) -> int:
    return int(((beyond > 0.0) & (distances <= ratio * beyond)).sum())


def _others(tree: cKDTree, rows: IntArray, k: int) -> tuple[Array, IntArray]:
    """Return distances and rows of the k nearest other events of rows of the tree ``(q, k)``."""
    distances, found = tree.query(tree.data[rows], k=k + 1)
    own = found == rows[:, None]
    # Among many equal events the search may not return the event itself.
    own[~own.any(axis=1), -1] = True
    return distances[~own].reshape(-1, k), found[~own].reshape(-1, k)


def _spread(x: Array, count: int) -> Array:
    return np.asarray(x[np.linspace(0, x.shape[0] - 1, count).astype(np.int64)])
