"""A density made of two functions, with its inputs and outputs checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.errors import InputError


@dataclass(frozen=True, slots=True)
class CallableDensity:
    """Two functions that make a density.

    Parameters
    ----------
    n_features
        Number of features d.
    log_prob
        Function of events ``(n, d)`` to natural log-densities ``(n,)``.
    sample
        Function of a number and a `numpy.random.Generator` to events ``(n, d)``.
    """

    n_features: int
    log_prob: Callable[[Array], npt.ArrayLike]
    sample: Callable[[int, np.random.Generator], npt.ArrayLike]


@dataclass(frozen=True, slots=True)
class Adapted:
    """A density whose inputs and outputs are checked and converted.

    Functions must be of a module, not lambdas, where a process pool pickles them.
    """

    source: CallableDensity

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.source.n_features

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return natural log-densities ``(n,)``.

        Raises
        ------
        InputError
            If `x` is not a finite ``(n, d)``, or the model's answer is not ``(n,)``.
        """
        matrix = as_matrix(x, "x", columns=self.n_features)
        if not len(matrix):
            return np.zeros(0)
        # Overflow far outside is an honest minus infinity.
        with np.errstate(all="ignore"):
            values = np.array(self.source.log_prob(matrix), dtype=np.float64)
        return _shaped(values, (len(matrix),), "log_prob")

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``.

        Raises
        ------
        InputError
            If the model's answer has another shape.
        """
        if n == 0:
            return np.zeros((0, self.n_features))
        values = np.array(self.source.sample(n, rng), dtype=np.float64)
        return _shaped(values, (n, self.n_features), "sample")


def stranger_title(model: object) -> str:
    """Return the name of the model's kind, for messages."""
    return type(getattr(model, "dist", model)).__name__


def _shaped(values: Array, shape: tuple[int, ...], name: str) -> Array:
    if values.shape != shape:
        raise InputError(
            f"model.{name}", got=f"an array of shape {values.shape}", expected=f"shape {shape}"
        )
    return values
