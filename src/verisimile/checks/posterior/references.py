"""Reference points for expected coverage: where credible balls are centred."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.spatial import cKDTree

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.errors import InputError


class References(Protocol):
    """A rule that places R references for each simulation."""

    def points(self, pool: Array, contexts: Array, rng: np.random.Generator) -> Array:
        """Return references ``(n, R, d)`` from `pool` ``(n, S + 1, d)`` and x ``(n, k)``.

        The truth of each simulation is hidden at a random place among its draws, so that a
        rule may use the pool: it cannot tell which of them is the truth.
        """
        ...


@dataclass(frozen=True, slots=True)
class ShiftedCentres:
    r"""The centre of each posterior, shifted by a random linear map of x.

    .. math:: r_{ia} = \bar\theta_i + h\, \sigma \odot W_a z(x_i), \qquad
              W_a \sim N(0, 1/k)

    with :math:`\bar\theta_i` the mean of truth and draws of simulation i, :math:`\sigma` the
    mean spread within simulations and z(x) standardised.  Near the centre the distance sees a
    wrong width best; the shift by x sees a posterior that ignores x.

    Parameters
    ----------
    count
        R, maps :math:`W_a`.
    shift
        h; 0 has no dependence on x and is blind to such a posterior.

    Raises
    ------
    InputError
        If there is no map, or the shift is negative or not finite.
    """

    count: int = 4
    shift: float = 0.5

    def __post_init__(self) -> None:
        if self.count < 1 or not 0.0 <= self.shift < np.inf:
            got = f"count={self.count}, shift={self.shift}"
            raise InputError("ShiftedCentres", got=got, expected="one map or more, shift >= 0")

    def points(self, pool: Array, contexts: Array, rng: np.random.Generator) -> Array:
        """Return centres plus shifts."""
        if not contexts.shape[1]:
            raise InputError(
                "contexts",
                got="no columns",
                expected="what was simulated, x: the references depend on it",
                remedy="UniformBox() needs none, but is blind to a posterior that ignores x.",
            )
        z = _standardised(contexts)
        size = (self.count, z.shape[1], pool.shape[2])
        maps = rng.normal(size=size) / np.sqrt(z.shape[1])
        spread = np.sqrt(pool.var(axis=1).mean(axis=0))
        shifts = np.einsum("nk,rkd->nrd", z, maps)
        return np.asarray(pool.mean(axis=1)[:, None] + self.shift * spread * shifts)


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Parameters of the simulations nearest in x, out of a set of other simulations.

    Parameters
    ----------
    truths, contexts
        Of simulations ``(m, d)``, ``(m, k)`` none of which is tested: a tested truth that is
        the reference of another simulation makes ranks depend on each other.
    count
        R: the nearest, the next one, ….

    Raises
    ------
    InputError
        If the shapes do not fit, or there are fewer simulations than `count`.
    """

    truths: Array
    contexts: Array
    count: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "truths", as_matrix(self.truths, "Neighbours.truths"))
        object.__setattr__(self, "contexts", as_matrix(self.contexts, "Neighbours.contexts"))
        rows = len(self.truths)
        if len(self.contexts) != rows or not 1 <= self.count <= rows:
            got = f"{rows} truths, {len(self.contexts)} contexts, count={self.count}"
            raise InputError("Neighbours", got=got, expected="one context each, count or more")

    def points(self, pool: Array, contexts: Array, rng: np.random.Generator) -> Array:  # noqa: ARG002
        """Return parameters of neighbours in standardised x."""
        self._refuse_tested(pool, contexts)
        mean, scale = self.contexts.mean(axis=0), _scale(self.contexts)
        tree = cKDTree((self.contexts - mean) / scale)
        _, index = tree.query((contexts - mean) / scale, k=list(range(1, self.count + 1)))
        return np.asarray(self.truths[index])

    def _refuse_tested(self, pool: Array, contexts: Array) -> None:
        known = {row.tobytes(): j for j, row in enumerate(self.contexts)}
        pairs = [(i, known.get(row.tobytes())) for i, row in enumerate(contexts)]
        shared = sum(
            j is not None and bool((pool[i] == self.truths[j]).all(axis=1).any()) for i, j in pairs
        )
        if shared:
            raise InputError(
                "Neighbours",
                got=f"{shared} simulations that are also tested",
                expected="other simulations",
                remedy="Split the simulations in two.",
            )


@dataclass(frozen=True, slots=True)
class UniformBox:
    """References uniform in the box of all truths and draws, whatever x is.

    Blind to a posterior that ignores x: the prior passes.

    Parameters
    ----------
    count
        R, references for each simulation.
    """

    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError("UniformBox.count", got=self.count, expected="one or more")

    def points(self, pool: Array, contexts: Array, rng: np.random.Generator) -> Array:  # noqa: ARG002
        """Return uniform points."""
        size = (len(pool), self.count, pool.shape[2])
        return np.asarray(rng.uniform(pool.min(axis=(0, 1)), pool.max(axis=(0, 1)), size=size))


@dataclass(frozen=True, slots=True, eq=False)
class FixedPoints:
    """Given references ``(n, R, d)``, which must not depend on the truths but through x."""

    values: Array

    def points(self, pool: Array, contexts: Array, rng: np.random.Generator) -> Array:  # noqa: ARG002
        """Return them."""
        return self.values


def _standardised(x: Array) -> Array:
    return np.asarray((x - x.mean(axis=0)) / _scale(x))


def _scale(x: Array) -> Array:
    """Return the spread of each column; 1 for one that is constant."""
    spread = x.std(axis=0)
    return np.where(spread > 0.0, spread, 1.0)
