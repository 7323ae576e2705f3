"""Inception score from class probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.errors import require
from verisimile.core.result import Estimate, Result, register

_TOLERANCE = 1e-4


@register("inception-score", 1)
@dataclass(frozen=True, slots=True)
class InceptionScore(Result):
    """Inception score of a sample.

    Attributes
    ----------
    score
        Mean over the splits, and its error.  This is the number that others quote,
        with `spread`.
    spread
        Standard deviation between the splits.
    whole
        Of all events at once.  It exceeds `score` if the splits are small: the score
        of few events is biased.
    """

    score: Estimate
    spread: float
    whole: float
    classes: int
    splits: int


def inception_score(
    probabilities: npt.ArrayLike, rng: np.random.Generator, *, splits: int = 10
) -> InceptionScore:
    r"""Return the Inception score of class probabilities ``(n, K)``.

    .. math:: \mathrm{IS} = \exp\Big(\frac1n \sum_i \sum_c p(c|x_i)
              \log \frac{p(c|x_i)}{p(c)}\Big), \qquad p(c) = \frac1n \sum_i p(c|x_i)

    between 1 and K.  It never sees the truth: a generator of one perfect event
    per class gets K.  Events are divided into splits at random, because samples
    are often ordered by class.

    References
    ----------
    T. Salimans et al., arXiv:1606.03498, sec. 4; S. Barratt, R. Sharma,
    arXiv:1801.01973, on the bias of splits.
    """
    p = as_matrix(probabilities, "probabilities")
    require(
        (p >= 0.0).all() and (np.abs(p.sum(axis=1) - 1.0) <= _TOLERANCE).all(),
        "probabilities",
        got="rows that are negative somewhere or do not sum to one",
        expected="class probabilities (events, classes)",
        remedy="Apply the softmax to the classifier's outputs.",
    )
    enough, got = splits >= 2 and len(p) >= 2 * splits, f"{splits} of {len(p)} events"
    require(enough, "splits", got=got, expected="at least 2, of two events")
    parts = np.array([_score(part) for part in np.array_split(rng.permutation(p), splits)])
    spread = float(parts.std(ddof=1))
    score = Estimate(float(parts.mean()), spread / float(np.sqrt(splits)))
    return InceptionScore(score, spread, _score(p), p.shape[1], splits)


def _score(p: Array) -> float:
    return float(np.exp(rel_entr(p, p.mean(axis=0)).sum(axis=1).mean()))
