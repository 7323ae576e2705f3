"""Events that one sample has from another: copies beyond the coincidences of their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.result import register
from verisimile.data.events import Events, RowHashes, match_features, row_hashes
from verisimile.samples.near import near_copies
from verisimile.stats.coincidences import SMALLEST, shared_by_chance

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
class Copies:
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

    Near copies are judged by distances, see :func:`~verisimile.samples.near.near_copies`.
    A lattice so coarse that nearly all values occur often hides copies: they are then
    not told from coincidences.

    Parameters
    ----------
    first, second
        Samples; features are matched by name, weights do not count.

    Raises
    ------
    InputError
        If the features differ.

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(size=(500, 2))
    >>> [(each.kind, each.count) for each in copies_of(Events(x), Events(np.float32(x[:200])))]
    [('float32', 200)]
    """
    return tuple(_found(first.x, match_features(second, first.features).x))


def exact_copies(first: Events, second: Events) -> Copies | None:
    """Return the exact copies, None if there are no more than chance makes: quick."""
    x, y = first.x, match_features(second, first.features).x
    found, _ = _coinciding("exact", x, y, row_hashes)
    return found


def _found(x: Array, y: Array) -> Iterator[Copies]:
    size, left = y.shape[0], y
    keys: dict[str, Callable[[Array], RowHashes]] = {"exact": row_hashes, "float32": _single}
    if x.shape[1] > 1:
        keys["columns"] = _sorted
    for kind, key in keys.items():
        found, among = _coinciding(kind, x, left, key, size=size)
        if found is not None:
            yield found
            left = left[~among]
        if left.shape[0] == 0:
            return
    views: dict[str, Callable[[Array], Array]] = {"near": np.asarray}
    if x.shape[1] > 1:
        # Sorting moves no event by more than it was moved.
        views["columns"] = _in_order
    for kind, view in views.items():
        near = near_copies(view(x), view(left))
        if near.p <= _STRICT:
            yield Copies(kind, near.count, near.expected, size, near.p)
            return


def _coinciding(
    kind: str, x: Array, y: Array, key: Callable[[Array], RowHashes], *, size: int | None = None
) -> tuple[Copies | None, BoolArray]:
    """Return the copies by equal keys if there are any beyond chance, and which they are."""
    one, other = key(x), key(y)
    among = np.isin(other, one)
    count = int(among.sum())
    if not count:
        return None, among
    p = min(shared_by_chance(one, other), _independent_columns(x, y, count))
    if p > (_STRICT if kind == "columns" else LEVEL):
        return None, among
    _, counts = np.unique(one, return_counts=True)
    repeating = float(counts[counts > 1].sum()) / one.size
    return Copies(kind, count, repeating * y.shape[0], size or y.shape[0], p), among


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


def _single(x: Array) -> RowHashes:
    return row_hashes(_rounded(x))


def _sorted(x: Array) -> RowHashes:
    return row_hashes(_in_order(_rounded(x)))


def _in_order(x: Array) -> Array:
    return np.asarray(np.sort(x, axis=1))
