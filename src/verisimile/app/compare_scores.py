"""The scores of ``verisimile compare`` by the names of the command line."""

from __future__ import annotations

from collections.abc import Callable

from verisimile.checks.precision_recall.best import BestScore
from verisimile.checks.precision_recall.learned_scores import (
    BoostedTrees,
    LinearScore,
    MixtureRatio,
)
from verisimile.checks.precision_recall.scores import Parzen, PooledNeighbours, Score
from verisimile.core.errors import InputError

_SCORES: dict[str, Callable[[], Score | BestScore]] = {
    "best": BestScore,
    "linear": lambda: BestScore((LinearScore(),)),
    "mixtures": lambda: BestScore((MixtureRatio(),)),
    "trees": lambda: BestScore((BoostedTrees(), BoostedTrees(distances=True))),
    "knn": lambda: BestScore((PooledNeighbours(5), PooledNeighbours(15), PooledNeighbours())),
    "parzen": lambda: BestScore((Parzen(),)),
    "published": PooledNeighbours,
}


def named_score(name: str) -> Score | BestScore:
    """Return the score of a name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in _SCORES:
        raise InputError("--score", got=repr(name), expected=f"one of {', '.join(_SCORES)}")
    return _SCORES[name]()
