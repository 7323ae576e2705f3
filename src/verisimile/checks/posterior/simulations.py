"""Simulations with draws for each: what every check of a posterior begins with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, IntArray, as_matrix
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.density.protocol import ConditionalDensity

_FEWEST = 2


def posterior_draws(
    run: Run, model: ConditionalDensity, contexts: npt.ArrayLike, count: int
) -> Array:
    """Return `count` independent draws of f(theta | x) for each context, ``(n, S, d)``.

    Parameters
    ----------
    run
        Carries the random streams.
    model
        The conditional density: theta are its features, x its context columns.
    contexts
        x of the simulations ``(n, k)``.
    count
        S, draws for each.

    Raises
    ------
    InputError
        If there is nothing to draw, or the contexts do not fit.
    """
    rows = as_matrix(contexts, "contexts", columns=model.n_context)
    if count < 1:
        raise InputError("count", got=count, expected="one draw or more per context")
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
        """Return them with shapes that fit.

        Raises
        ------
        InputError
            If a shape is wrong, a value not finite, or there are fewer than two simulations.
        """
        true = as_matrix(truths, "truths")
        if len(true) < _FEWEST:
            raise InputError("truths", got=f"{len(true)} simulations", expected="two or more")
        found = as_draws(draws, "draws", rows=true.shape[0], columns=true.shape[1])
        given = np.empty((len(true), 0)) if contexts is None else as_matrix(contexts, "contexts")
        if len(given) != len(true):
            raise InputError(
                "contexts",
                got=f"{len(given)} rows for {len(true)} simulations",
                expected="one row per simulation",
            )
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
    """Return draws ``(rows, S, columns)``, finite, float64.

    Raises
    ------
    InputError
        If the shape is another, or a value is not finite.
    """
    found = np.asarray(draws)
    expected = f"draws of shape ({rows}, S, {columns})"
    if found.ndim != 3 or found.shape[::2] != (rows, columns) or found.shape[1] < 1:
        raise InputError(name, got=f"an array of shape {found.shape}", expected=expected)
    return as_matrix(found.reshape(-1, columns), name).reshape(found.shape)
