"""Scores that the caller gives: a classifier, exact densities, any score of own features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from verisimile.checks.precision_recall.scores import Score
from verisimile.core.arrays import Array, BoolArray, as_matrix
from verisimile.core.errors import InputError, NumericsError

__all__ = ["ClassifierScore", "FitPredict", "LogDensities", "MappedScore"]

FitPredict = Callable[[Array, BoolArray, Array, np.random.Generator], Array]


@dataclass(frozen=True, slots=True)
class ClassifierScore:
    """A classifier's output.

    Parameters
    ----------
    fit_predict
        Called with events to learn from ``(n, d)``, whether each is of the reference ``(n,)``, the
        events to score, and a random generator; returns the scores of these.
    name
        What it is called in results.
    """

    fit_predict: FitPredict
    name: str = "classifier"
    learns = True

    def score(
        self, reference: Array, generated: Array, points: Array, rng: np.random.Generator
    ) -> Array:
        """Return the outputs ``(n,)``."""
        true = np.arange(len(reference) + len(generated)) < len(reference)
        pool = np.concatenate([reference, generated])
        scores = np.asarray(self.fit_predict(pool, true, points, rng), dtype=np.float64)
        return _checked(scores, len(points), "ClassifierScore.fit_predict")


@dataclass(frozen=True, slots=True)
class LogDensities:
    r"""The exact order: :math:`\log p(z) - \log q(z)`, and no event is needed to learn it.

    Parameters
    ----------
    reference, generated
        Natural log-densities of the truth and of the generator, ``(n, d)`` to ``(n,)``.
    """

    reference: Callable[[Array], Array]
    generated: Callable[[Array], Array]
    name = "log-densities"
    learns = False

    def score(
        self, reference: Array, generated: Array, points: Array, rng: np.random.Generator
    ) -> Array:
        """Return the log-ratios ``(n,)``; zero where both densities vanish."""
        del reference, generated, rng
        p, q = (
            _checked(np.asarray(log(points), dtype=np.float64), len(points), "log-densities")
            for log in (self.reference, self.generated)
        )
        neither = np.isneginf(p) & np.isneginf(q)
        return np.subtract(p, q, out=np.zeros_like(p), where=~neither)


@dataclass(frozen=True, slots=True)
class MappedScore:
    """Another score in features of your own: a network's last layer, shower shapes.

    Parameters
    ----------
    inner
        The score of the features.
    features
        Events ``(n, d)`` to features ``(n, k)``, all finite.
    """

    inner: Score
    features: Callable[[Array], Array]

    @property
    def name(self) -> str:
        """That of the score, marked."""
        return f"{self.inner.name} of features"

    @property
    def learns(self) -> bool:
        """As the score."""
        return self.inner.learns

    def score(
        self, reference: Array, generated: Array, points: Array, rng: np.random.Generator
    ) -> Array:
        """Return the scores of the features ``(n,)``."""
        x, y, z = (
            as_matrix(self.features(sample), "MappedScore.features")
            for sample in (reference, generated, points)
        )
        return self.inner.score(x, y, z, rng)


def _checked(scores: Array, n: int, name: str) -> Array:
    if scores.shape != (n,):
        raise InputError(name, got=f"shape {scores.shape}", expected=f"shape {(n,)}")
    if np.isnan(scores).any():
        raise NumericsError(
            name,
            got=f"{int(np.isnan(scores).sum())} values that are NaN of {n}",
            expected="numbers, infinite ones included",
        )
    return scores
