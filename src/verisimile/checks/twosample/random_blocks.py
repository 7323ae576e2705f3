"""Random blocks of a sample, for errors by leaving each of them out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, BoolArray, as_matrix, as_vector
from verisimile.core.errors import InputError

__all__ = ["checked_sample", "jackknife_error", "membership"]


def checked_sample(
    values: npt.ArrayLike,
    weights: npt.ArrayLike | None,
    name: str,
    blocks: int,
    *,
    columns: int | None = None,
) -> tuple[Array, Array]:
    """Return events ``(n, d)`` and weights ``(n,)`` that can be divided into so many blocks.

    Raises
    ------
    InputError
        For unusable arrays, fewer than 4 blocks, or blocks of fewer than two events.
    """
    x = as_matrix(values, name, columns=columns)
    if blocks < 4 or x.shape[0] < 2 * blocks:
        raise InputError(
            name,
            got=f"{x.shape[0]} events in {blocks} blocks",
            expected="at least 4 blocks of at least two events",
            remedy="Use fewer blocks or more events.",
        )
    if weights is None:
        return x, np.ones(x.shape[0])
    w = as_vector(weights, f"{name} weights", length=x.shape[0])
    if w.sum() <= 0.0:
        raise InputError(f"{name} weights", got=f"the sum {w.sum():g}", expected="a positive sum")
    return x, w


def membership(n: int, blocks: int, rng: np.random.Generator) -> BoolArray:
    """Return a random partition ``(B, n)`` into blocks of equal size, to one event."""
    member = rng.permutation(np.arange(n) % blocks)
    return np.asarray(member == np.arange(blocks)[:, None])


def jackknife_error(replicas: Array) -> float:
    """Return the standard error from replicas ``(B,)`` that each leave one block out."""
    return float(np.sqrt((replicas.size - 1) * replicas.var()))
