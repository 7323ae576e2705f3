"""Events that a sample has from another, exactly or nearly, and rows that it repeats itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.spatial import cKDTree
from scipy.special import gammaln

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.result import Result, register
from verisimile.data.events import Events, match_features
from verisimile.data.row_hashes import RowHashes, among, row_hashes
from verisimile.stats.coincidences import SMALLEST, chance_of, shared_by_chance, value_pairs

LEVEL = 1e-3  # of calling coincidences copies
# Neighbours on a lattice are not quite independent of each other, and copies are far beyond.
_STRICT = 1e-4
KINDS = {
    "exact": "bit by bit",
    "float32": "after rounding to single precision",
    "columns": "with the columns in another order",
    "near": "moved by a small part of the distance between events",
}


@register("copies", 1)
@dataclass(frozen=True, slots=True)
class Copies(Result):
    """Events of a second sample that are copies of a first sample's.

    Attributes
    ----------
    kind
        ``"exact"``, ``"float32"``, ``"columns"`` or ``"near"``, as :data:`KINDS` says;
        those of an earlier kind are not counted again.
    count
        Events of the second sample that occur in the first.
    expected
        As many as would by chance, from how often the first sample repeats itself.
    size
        Events of the second sample.
    p
        Probability of so many among coincidences of two independent samples; what would
        underflow is the smallest number.
    """

    kind: str
    count: int
    expected: float
    size: int
    p: float


def copies_of(first: Events, second: Events) -> tuple[Copies, ...]:
    r"""Return the copies of every kind that are more than chance makes.

    Rows of integers or rounded values coincide by chance, and each kind is judged by
    values that occur exactly twice in both samples together: D of them, C with one event
    in each sample.  If the samples are independent, whatever their laws, the chance of the latter
    is :math:`2ab / (a + b)^2 \le 1/2` with a and b the expected numbers of events of the value
    in the two samples, so that

    .. math:: p \le P(\mathrm{Bin}(D, 1/2) \ge C) .

    Near copies are judged by distances, see :func:`~verisimile.samples.copies.near_copies`.
    A lattice so coarse that nearly all values occur often hides copies: they are then
    not told from coincidences.

    Features are matched by name, weights do not count.

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(size=(500, 2))
    >>> [(each.kind, each.count) for each in copies_of(Events(x), Events(np.float32(x[:200])))]
    [('float32', 200)]
    """
    return tuple(_copies(first.x, match_features(second, first.features).x))


def exact_copies(first: Events, second: Events) -> Copies | None:
    """Return the exact copies, None if there are no more than chance makes: quick."""
    x, y = first.x, match_features(second, first.features).x
    return _coinciding("exact", x, y, row_hashes)[0]


def _copies(x: Array, y: Array) -> Iterator[Copies]:
    size, left = y.shape[0], y
    keys: dict[str, Callable[[Array], RowHashes]] = {
        "exact": row_hashes,
        "float32": lambda x: row_hashes(_rounded(x)),
        "columns": lambda x: row_hashes(_in_order(_rounded(x))),
    }
    views: dict[str, Callable[[Array], Array]] = {"near": np.asarray, "columns": _in_order}
    if x.shape[1] == 1:
        del keys["columns"], views["columns"]
    for kind, key in keys.items():
        found, shared = _coinciding(kind, x, left, key, size=size)
        if found is not None:
            yield found
            left = left[~shared]
        if left.shape[0] == 0:
            return
    for kind, view in views.items():  # sorting moves no event by more than it was moved
        near = near_copies(view(x), view(left))
        if near.p <= _STRICT:
            yield Copies(kind, near.count, near.expected, size, near.p)
            return


def _coinciding(
    kind: str, x: Array, y: Array, key: Callable[[Array], RowHashes], *, size: int | None = None
) -> tuple[Copies | None, BoolArray]:
    """Return the copies by equal keys if there are any beyond chance, and which they are."""
    one, other = key(x), key(y)
    shared = among(other, one)
    count = int(shared.sum())
    if not count:
        return None, shared
    p = min(shared_by_chance(one, other), _independent_columns(x, y, count))
    if p > (_STRICT if kind == "columns" else LEVEL):
        return None, shared
    _, counts = np.unique(one, return_counts=True)
    repeating = float(counts[counts > 1].sum()) / one.size
    return Copies(kind, count, repeating * y.shape[0], size or y.shape[0], p), shared


def _independent_columns(x: Array, y: Array, count: int) -> float:
    r"""Return a probability of `count` coincidences, for columns without any repeated value.

    A column without a pair of equal values in either sample has coincidences with a probability
    of about one over the number of pairs or less.  Two such columns coincide together with the
    product, so that a single shared event is no accident; with one, only many are.
    """
    fine = sum(
        bool(np.unique(a).size == a.size and np.unique(b).size == b.size)
        for a, b in zip(x.T, y.T, strict=True)
    )
    if fine < 2:
        return 1.0
    n, m = x.shape[0], y.shape[0]
    chance = 2.0 / max(n * (n - 1) + m * (m - 1), 1)
    return max(SMALLEST, float(stats.poisson.sf(count - 1, n * m * chance**2)))


def _rounded(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(x.astype(np.float32), dtype=np.float64)


def _in_order(x: Array) -> Array:
    return np.asarray(np.sort(x, axis=1))


CHANCE = 1e-3  # of an independent event to look like a near copy
_QUERIES = 10_000
_PAIRED = 20_000
_SUMMED = 1_500  # pairs for which the law is summed


@dataclass(frozen=True, slots=True)
class Near:
    """Near copies: how many, how many by chance, and the one-sided probability p of so many.

    Events of the second sample are scaled up from those that were looked at.
    """

    count: int
    expected: float
    p: float


@dataclass(frozen=True, slots=True)
class Twins:
    """Pairs of mutual nearest neighbours of two samples together.

    `across` of them have one event in each sample, `expected` for independent samples of one
    law, with the probability `p` of so many or more.
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

    In one dimension neighbours of many events are so near that only tiny shifts show.  Of
    samples ``(n, d)`` and ``(m, d)`` at most 10 000 events each, evenly spread, are asked for
    their neighbours among all.
    """
    scale = scales(np.concatenate([first, second]))
    x, y = (part[:, np.isfinite(scale)] / scale[np.isfinite(scale)] for part in (first, second))
    looked = min(x.shape[0], y.shape[0], _QUERIES)
    if looked < 4 or x.shape[1] == 0:
        return Near(0, 0.0, 1.0)
    ratio = near_ratio(x.shape[1])
    one, other = cKDTree(x), cKDTree(y)
    asked = np.linspace(0, y.shape[0] - 1, looked).astype(np.int64)
    distances, rows = one.query(y[asked], k=1)
    across = _count(distances, _others(one, rows, 1)[0][:, 0], ratio)
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
    is the binomial law of probability :math:`2nm / N(N-1)`, whose tail is longer.  The
    neighbours of 20 000 events are looked for among all; `rng` decides between equally near ones.
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


_CONTINUOUS = 0.05  # of different rows that share a value of the column
_WHOLE = 1e-6
_FEW = 0.01  # of the events: so few repetitions move no p-value that matters


@register("sample-rows", 1)
@dataclass(frozen=True, slots=True)
class SampleRows(Result):
    """How many different rows a sample has.

    Attributes
    ----------
    role
        Of the sample.
    n
        Events, those that a group repeats counted once.
    distinct
        Different rows among them.
    repeated
        Whether rows repeat more than a lattice of values explains: tests that relabel
        events then take them for more than they are.
    """

    role: str
    n: int
    distinct: int
    repeated: bool

    @property
    def dependent(self) -> bool:
        """Whether more than 1 % of the events are repetitions."""
        return self.repeated and self.n - self.distinct > _FEW * self.n

    @property
    def warning(self) -> str:
        """What repeated rows mean and what to do, in a sentence; empty without them."""
        if not self.repeated:
            return ""
        return (
            f"the {self.n} events of the {self.role} sample have {self.distinct} different rows: "
            "repeated ones are no independent events"
            f"{', and are tested as groups' if self.dependent else ''}. "
            "Keep one of each row, or say by group= which rows belong together"
        )


def rows_of(samples: Mapping[str, Events]) -> tuple[SampleRows, ...]:
    r"""Return the different rows of each sample, by role; the first sample is compared with.

    Repeated rows are explained if another sample has the same values: of values with two
    events in both samples together, thinned to one size, a quarter is expected to have both in
    this one.  They are explained as well if all features repeat their values among different
    rows, or if the values of a single feature are multiples of a step.  Rows that a group
    repeats count once.
    """
    roles = list(samples)
    matched = {
        role: _once(match_features(each, samples[roles[0]].features))
        for role, each in samples.items()
    }
    return tuple(
        _rows(role, matched[role], matched[next(r for r in roles if r != role)]) for role in roles
    )


def equal_rows(x: Array) -> IntArray:
    """Return codes ``(n,)`` that equal rows of values ``(n, d)`` share."""
    return np.asarray(np.unique(row_hashes(x), return_inverse=True)[1], dtype=np.int64)


def values_repeat(events: Events) -> bool:
    """Return whether values explain repeated rows: a lattice in all features, or no feature varies.

    A feature is on a lattice if different rows share its values, or if it is the only one
    and its values are multiples of a step.
    """
    _, first = np.unique(row_hashes(events.x), return_index=True)
    return _on_a_lattice(events.x[first])


def _once(events: Events) -> Array:
    """Return the rows, those that a group repeats once: what belongs together may be alike."""
    if events.group is None:
        return events.x
    _, first = np.unique(equal_rows(events.x) * events.n_groups + events.group, return_index=True)
    return np.asarray(events.x[np.sort(first)])


def _rows(role: str, x: Array, other: Array) -> SampleRows:
    keys = row_hashes(x)
    _, first = np.unique(keys, return_index=True)
    repeated = bool(
        first.size < x.shape[0] and _excess(x, other) <= LEVEL and not _on_a_lattice(x[first])
    )
    return SampleRows(role, x.shape[0], first.size, repeated)


def _excess(x: Array, other: Array) -> float:
    """Return the probability that so many of the values with two events have both in x."""
    keys, others = row_hashes(x), row_hashes(other)
    kept = min(np.unique(keys).size, np.unique(others).size)
    across, own, theirs = value_pairs(keys, others, kept=(kept, kept))
    return chance_of(own, across, theirs, share=0.25)


def _on_a_lattice(rows: Array) -> bool:
    """Return whether values explain repetitions, given different rows."""
    varying = rows[:, np.ptp(rows, axis=0) > 0.0]
    if varying.shape[1] == 0:
        return True
    if varying.shape[1] == 1:
        return _stepped(varying[:, 0])
    return all(_sharing(column) > _CONTINUOUS for column in varying.T)


def _stepped(values: Array) -> bool:
    gaps = np.diff(np.unique(values))
    steps = gaps / gaps.min()
    return bool((np.abs(steps - np.round(steps)) < _WHOLE * steps).all())


def _sharing(column: Array) -> float:
    _, counts = np.unique(column, return_counts=True)
    return float(counts[counts > 1].sum() / column.size)
