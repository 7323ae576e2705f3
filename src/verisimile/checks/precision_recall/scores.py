"""Scores that order held-out events by how much more likely they are true than generated."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from verisimile.core.arrays import Array, BoolArray, as_matrix
from verisimile.core.errors import NumericsError, require
from verisimile.samples.neighbours import counts_within, nearest, reach


@runtime_checkable
class Score(Protocol):
    """Something that orders events; only the order of its scores matters."""

    @property
    def name(self) -> str:
        """What it is called in results."""
        ...

    @property
    def learns(self) -> bool:
        """Whether it needs events other than those that it scores."""
        ...

    def score(
        self, reference: Array, generated: Array, points: Array, rng: np.random.Generator
    ) -> Array:
        """Return scores of `points` ``(n,)``, larger where the reference is denser.

        `reference` and `generated` are the events to learn from, none of them among `points`.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Neighbours:
    k: int | None = None
    standardise: bool = True
    learns = True

    def _settled(self, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array, int]:
        """Return the events in the coordinates that count, and k."""
        n = len(x) + len(y)
        width = column_widths(x) if self.standardise else 1.0
        return x / width, y / width, z / width, max(1, math.isqrt(n)) if self.k is None else self.k


@dataclass(frozen=True, slots=True)
class PooledNeighbours(_Neighbours):
    r"""Share of reference events among the k nearest of both samples.

    .. math:: s(z) = \frac1k \#\{x \in X : |z - x| \le r_k(z; X \cup Y)\}

    The score of the published ring study, and given alone its whole recipe: halves swapped, and
    thresholds the best of the events that they are counted on.  With k of the order of
    :math:`\sqrt n` the curve of unit normals converges, with 3 or 5 it misses real differences
    (an area of 0.81 in place of 0.68 for normals one apart, 10 000 events each); finer structure
    is missed by any k (0.88 in place of 0.76 for discs against Gaussians, 10 000 events each).

    Parameters
    ----------
    k
        Neighbours; None for the root of the number of events to learn from.
    standardise
        Whether to divide each column by the reference's standard deviation.

    References
    ----------
    B. Sykes et al., arXiv:2405.01611.
    """

    @property
    def name(self) -> str:
        """With k, if it was given."""
        return "pooled neighbours" if self.k is None else f"pooled neighbours, k = {self.k}"

    def score(
        self, reference: Array, generated: Array, points: Array, rng: np.random.Generator
    ) -> Array:
        """Return the shares ``(n,)``."""
        x, y, z, k = self._settled(reference, generated, points)
        # In random order: a search returns equally near events by their row.
        order = rng.permutation(len(x) + len(y))
        rows = nearest(z, np.concatenate([x, y])[order], k)
        return np.asarray((order < len(x))[rows].mean(axis=1))


@dataclass(frozen=True, slots=True)
class _NeighbourRatio(_Neighbours, ABC):
    def score(
        self, reference: Array, generated: Array, points: Array, rng: np.random.Generator
    ) -> Array:
        """Return angles of the two numbers ``(n,)``."""
        del rng
        true, fake = self._numbers(*self._settled(reference, generated, points))
        # As an angle, ordered like the ratio; with neither in sight the event is as ratio one.
        return np.where((true == 0.0) & (fake == 0.0), 0.25 * math.pi, np.arctan2(true, fake))

    @abstractmethod
    def _numbers(self, x: Array, y: Array, z: Array, k: int) -> tuple[Array, Array]: ...


@dataclass(frozen=True, slots=True)
class BallsOfCentres(_NeighbourRatio):
    r"""Numbers of the samples' k-th-neighbour balls that hold the event: the curve of iPR.

    .. math:: s_P(z) = \#\{i : |z - x_i| \le \rho_k(x_i; X)\}

    and alike for generated events; the score is :math:`s_P` over :math:`s_Q`.  A ball's own
    centre is not its neighbour (a widespread implementation counts it: its k is one more).
    Parameters are those of :class:`PooledNeighbours`.

    References
    ----------
    T. Kynkäänniemi et al., NeurIPS 2019, eq. 1; B. Sykes et al., arXiv:2405.01611.
    """

    name = "iPR"

    def _numbers(self, x: Array, y: Array, z: Array, k: int) -> tuple[Array, Array]:
        true, fake = (counts_within(z, c, reach(c, c, k + 1)[None]) for c in (x, y))
        return true, fake


@dataclass(frozen=True, slots=True)
class CoverageScore(_NeighbourRatio):
    r"""Events of one sample nearer than the k-th neighbour in the other.

    .. math:: s_P(z) = \#\{x \in X : |z - x| \le r_k(z; Y)\}

    and :math:`s_Q` with the samples exchanged; the score is their ratio.
    Parameters are those of :class:`PooledNeighbours`.

    References
    ----------
    M. Naeem et al., ICML 2020, section 3; B. Sykes et al., arXiv:2405.01611.
    """

    name = "coverage"

    def _numbers(self, x: Array, y: Array, z: Array, k: int) -> tuple[Array, Array]:
        true = counts_within(z, x, reach(z, y, k)[:, None])
        return true, counts_within(z, y, reach(z, x, k)[:, None])


@dataclass(frozen=True, slots=True)
class Parzen(_NeighbourRatio):
    r"""Shares of events within one radius per sample: the mean distance to its k-th neighbour.

    The volumes of the two balls are different; that factor moves no threshold,
    because all of them are tried.  Parameters are those of :class:`PooledNeighbours`.

    References
    ----------
    B. Sykes et al., arXiv:2405.01611.
    """

    name = "Parzen"

    def _numbers(self, x: Array, y: Array, z: Array, k: int) -> tuple[Array, Array]:
        true, fake = (
            counts_within(z, c, np.full((1, 1), reach(c, c, k + 1).mean())) / len(c) for c in (x, y)
        )
        return true, fake


NEIGHBOURS = (PooledNeighbours, BallsOfCentres, CoverageScore, Parzen)
"""The scores that count neighbours."""


def column_widths(x: Array) -> Array:
    """Return the standard deviation of each column; one where it does not vary."""
    width = x.std(axis=0)
    return np.where(width > 0.0, width, 1.0)


FitPredict = Callable[[Array, BoolArray, Array, np.random.Generator], Array]


@dataclass(frozen=True, slots=True)
class ClassifierScore:
    """A classifier's output.

    Parameters
    ----------
    fit_predict
        Called with events to learn from ``(n, d)``, whether each is of the reference ``(n,)``, the
        events to score, and a random generator; returns the scores of these.
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
    require(scores.shape == (n,), name, got=f"shape {scores.shape}", expected=f"shape {(n,)}")
    if np.isnan(scores).any():
        raise NumericsError(
            name,
            got=f"{int(np.isnan(scores).sum())} values that are NaN of {n}",
            expected="numbers, infinite ones included",
        )
    return scores
