"""Simulations with draws for each: what every check of a posterior begins with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, IntArray, as_matrix
from verisimile.core.errors import require
from verisimile.core.run import Run
from verisimile.density.protocol import ConditionalDensity


def posterior_draws(
    run: Run, model: ConditionalDensity, contexts: npt.ArrayLike, count: int
) -> Array:
    """Return S = `count` independent draws of f(theta | x) for each context, ``(n, S, d)``.

    Theta are the features of the model, and x ``(n, k)`` its context columns.
    """
    rows = as_matrix(contexts, "contexts", columns=model.n_context)
    require(count >= 1, "count", got=count, expected="one draw or more per context")
    rng = run.at("posterior draws").seeds.numpy()
    found = model.sample(np.repeat(rows, count, axis=0), rng)
    return np.asarray(found, dtype=np.float64).reshape(len(rows), count, model.n_features)


@dataclass(frozen=True, slots=True, eq=False)
class Simulations:
    """Parameters, draws and contexts of n simulations, checked.

    Attributes
    ----------
    draws
        Of the posterior at each x, ``(n, S, d)``.
    truths
        Parameters that were simulated with, ``(n, d)``.
    contexts
        What was simulated, x ``(n, k)``; no columns if not needed.
    """

    draws: Array
    truths: Array
    contexts: Array

    @classmethod
    def checked(
        cls, draws: npt.ArrayLike, truths: npt.ArrayLike, contexts: npt.ArrayLike | None
    ) -> Simulations:
        """Return them finite and with shapes that fit, two simulations or more."""
        true = as_matrix(truths, "truths")
        n, d = true.shape
        require(n >= 2, "truths", got=f"{n} simulations", expected="two or more")
        found = as_draws(draws, "draws", rows=n, columns=d)
        given = np.empty((n, 0)) if contexts is None else as_matrix(contexts, "contexts")
        got = f"{len(given)} rows for {n} simulations"
        require(len(given) == n, "contexts", got=got, expected="one row per simulation")
        return cls(found, true, given)

    @property
    def n(self) -> int:
        """Number of simulations."""
        return len(self.truths)

    @property
    def n_draws(self) -> int:
        """Number of draws S of each."""
        return int(self.draws.shape[1])

    def hidden(self, rng: np.random.Generator) -> Hidden:
        """Return truths put among their draws, each at a random place."""
        n, count, d = self.draws.shape
        place = rng.integers(count + 1, size=n)
        pool = np.empty((n, count + 1, d))
        pool[:, :count] = self.draws
        rows = np.arange(n)
        # Whoever sits where the truth goes moves to the end; a truth at the end stays there.
        pool[rows, count] = pool[rows, place]
        pool[rows, place] = self.truths
        return Hidden(pool, np.asarray(place, dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """Truths among their draws: exchangeable if the posterior is exact.

    Attributes
    ----------
    pool
        Truth and draws of each simulation ``(n, S + 1, d)``.
    place
        Where the truth is ``(n,)``.
    """

    pool: Array
    place: IntArray


def as_draws(draws: npt.ArrayLike, name: str, *, rows: int, columns: int) -> Array:
    """Return draws ``(rows, S, columns)``, finite, float64."""
    found = np.asarray(draws)
    fine = found.ndim == 3 and found.shape[::2] == (rows, columns) and found.shape[1] >= 1
    expected = f"draws of shape ({rows}, S, {columns})"
    require(fine, name, got=f"an array of shape {found.shape}", expected=expected)
    return as_matrix(found.reshape(-1, columns), name).reshape(found.shape)
