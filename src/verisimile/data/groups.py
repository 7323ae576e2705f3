"""Groups of rows that belong together: the codes that say which, and what keeps them whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError, require
from verisimile.data.held import given_array

_NAME = "events.group"


def group_codes(group: npt.ArrayLike, n: int) -> IntArray:
    """Return read-only codes ``0 … G−1`` ``(n,)`` of the rows' groups, by first appearance.

    Only who belongs together counts, not what the groups are called: equal partitions have
    equal codes, whatever the labels.

    Parameters
    ----------
    group
        One label per row ``(n,)``: integers, floats that are whole, or strings; none missing.

    Examples
    --------
    >>> group_codes(["b", "a", "b"], 3).tolist()
    [0, 1, 0]
    """
    labels = _labels(group)
    require(
        labels.shape == (n,),
        _NAME,
        got=f"labels of shape {labels.shape}",
        expected=f"one label for each of the {n} events, shape ({n},)",
    )
    return compact(np.unique(labels, return_inverse=True)[1])


def compact(codes: npt.NDArray[np.integer]) -> IntArray:
    """Return integer codes renumbered ``0 … G−1`` in the order of their first appearance."""
    if (codes[1:] > codes[:-1]).all():  # rows that stand alone: no need to sort them
        compacted = np.arange(len(codes))
    else:
        _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        compacted = rank[inverse]
    compacted.setflags(write=False)
    return compacted


def stacked_groups(groups: Sequence[IntArray | None], sizes: Sequence[int]) -> IntArray | None:
    """Return the codes of samples one below the other, None if no sample has groups.

    Groups of different samples are different, whatever their codes; rows of a sample without
    groups are groups of their own.
    """
    if all(group is None for group in groups):
        return None
    parts, above = [], 0
    for group, n in zip(groups, sizes, strict=True):
        codes = np.arange(n) if group is None else group
        parts.append(codes + above)
        above += int(codes.max(initial=-1)) + 1
    return compact(np.concatenate(parts))


def parts_of_groups(codes: IntArray, shares: Array, rng: np.random.Generator) -> list[IntArray]:
    """Return the rows of random parts made of whole groups, with about the given shares of rows.

    The groups come in random order and each edge falls between two groups, where the number of
    rows before it is nearest to what the shares ask for.  No part may stay empty.
    """
    sizes = np.bincount(codes)
    order = rng.permutation(len(sizes))
    before = np.concatenate([[0], np.cumsum(sizes[order])])
    asked = np.concatenate([[0.0], np.cumsum(shares)]) * len(codes)
    edges = np.abs(before[None, :] - asked[:, None]).argmin(axis=1)
    require(
        (np.diff(edges) > 0).all(),
        "events.split",
        got=f"{len(codes)} events in {len(sizes)} groups for shares {shares.tolist()}",
        expected="at least one whole group for every part",
        remedy="Fewer or larger parts: a group is never divided.",
    )
    rows = np.argsort(np.argsort(order)[codes], kind="stable")
    ends = before[edges]
    return [rows[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]


def resampled_groups(codes: IntArray, rng: np.random.Generator) -> IntArray:
    r"""Return how often each row occurs when as many groups as there are are drawn ``(n,)``.

    .. math:: c_i = k_{g(i)}, \qquad k \sim \mathrm{Multinomial}(G; 1/G, \dots, 1/G)

    The bootstrap of blocks: rows of a group come and go together.
    """
    count = int(codes.max()) + 1
    drawn = np.bincount(rng.integers(count, size=count), minlength=count)
    return np.asarray(drawn[codes], dtype=np.int64)


def _labels(group: npt.ArrayLike) -> npt.NDArray[np.generic]:
    try:
        labels = given_array(group)
    except InputError as error:
        raise _refusal(error.got) from None
    if np.ma.is_masked(labels):
        raise _refusal("masked labels")
    if labels.dtype.kind == "O":
        labels = _of_objects(labels)
    if labels.dtype.kind == "f":
        return _whole(labels)
    if labels.dtype.kind not in "iuUST":
        raise _refusal(f"labels of type {labels.dtype}")
    return labels


def _of_objects(labels: npt.NDArray[np.object_]) -> npt.NDArray[np.generic]:
    """Return text or whole numbers held as Python objects (a column of a data frame) as such."""
    kinds = {type(label) for label in labels.flat}
    if all(issubclass(kind, str) for kind in kinds):
        return labels.astype(np.str_)
    if all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds):
        try:
            return labels.astype(np.int64)
        except OverflowError:
            return labels.astype(np.str_)
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise _refusal(f"labels of the types {names}")


def _whole(labels: npt.NDArray[np.generic]) -> Array:
    values = np.asarray(labels, dtype=np.float64)
    missing = np.flatnonzero(np.isnan(values))
    if missing.size:
        raise _refusal(f"{missing.size} missing labels (NaN), the first in row {missing[0]}")
    # An infinite label is no whole number either.
    fractional = np.flatnonzero(np.isinf(values) | (np.rint(values) != values))
    if fractional.size:
        row = fractional[0]
        raise _refusal(f"the label {values.ravel()[row]} in row {row}, which is not whole")
    return values


def _refusal(got: str) -> InputError:
    return InputError(
        _NAME,
        got=got,
        expected="integers or strings, one per event: equal ones for rows that belong together",
        remedy="An event number will do; label rows that stand alone with numbers of their own.",
    )
