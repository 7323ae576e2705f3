"""Nearest true events of generated ones, and what random labels of the true events make of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.run import Run
from verisimile.samples.near import near_ratio

__all__ = ["NAMES", "Attraction"]

NAMES = ("share", "log ratio", "copies")
_NEIGHBOURS = 8
_MOST = float(np.log(1000.0))  # a copy counts as a thousand times nearer, not infinitely


@dataclass(frozen=True, slots=True, eq=False)
class Attraction:
    """What true events draw of the generated ones, linear in who is labelled held out.

    Attributes
    ----------
    pulls
        For each true event that is nearest to any generated one, and summed over the latter: how
        many, their log ratios of second to first distance, how many are near copies; over
        the number of generated events, ``(3, K)``.
    held
        Which of those true events are held out ``(K,)``.
    sizes
        Training and held-out events, nearest to any or not.
    """

    pulls: Array
    held: BoolArray
    sizes: tuple[int, int]

    @classmethod
    def of(cls, generated: Array, train: Array, holdout: Array, run: Run) -> Attraction:
        """Return it for events ``(n, d)`` in coordinates where distances mean something."""
        total = len(train) + len(holdout)
        # In random order: the search may return equally near events by their row.
        order = run.seeds.numpy().permutation(total)
        tree = cKDTree(np.concatenate([train, holdout])[order])
        distances, found = tree.query(generated, k=min(_NEIGHBOURS, total))
        nearest, second = distances[:, :1], distances[:, 1]
        # Events at the same distance share a query.
        shares = (distances == nearest) / (distances == nearest).sum(axis=1, keepdims=True)
        scores = (
            np.ones(len(generated)),
            _log_ratio(nearest[:, 0], second),
            _near(tree, found[:, 0], nearest[:, 0]),
        )
        pulls = np.array([
            np.bincount(found.ravel(), (shares * score[:, None]).ravel(), minlength=total)
            for score in scores
        ])  # fmt: skip
        active = pulls[0] > 0.0
        return cls(
            pulls[:, active] / len(generated),
            (order >= len(train))[active],
            (len(train), len(holdout)),
        )

    @property
    def expected(self) -> float:
        """Share of the true events that are of training."""
        return self.sizes[0] / sum(self.sizes)

    def observed(self) -> Array:
        """Return share, log ratio and copies for the true labels ``(3,)``."""
        return self._values(self.pulls[:, self.held].sum(axis=1))

    def relabeled(self, rng: np.random.Generator, count: int) -> Array:
        """Return them for random labels, as many held out as there are ``(count, 3)``."""
        active = self.held.size
        train, held = self.sizes
        # Of the true events that are nearest to none it only matters how many are held out.
        drawn = rng.hypergeometric(active, train + held - active, held, size=count)
        sums = [
            self.pulls[:, rng.permutation(active)[: int(number)]].sum(axis=1) for number in drawn
        ]
        return np.array([self._values(each) for each in sums])

    def _values(self, held: Array) -> Array:
        r"""Return the statistics, given the sums over held-out events.

        The log ratio is the mean of :math:`-s` for events nearest to training and of
        :math:`s \pi / (1 - \pi)` for the others, s of second to first distance, which is zero
        in expectation for any share :math:`\pi` of training events.
        """
        total = self.pulls.sum(axis=1)
        return np.array([
            total[0] - held[0],
            held[1] / (1.0 - self.expected) - total[1],
            total[2] - held[2],
        ])  # fmt: skip


def _log_ratio(nearest: Array, second: Array) -> Array:
    ratio = np.full(nearest.shape, np.exp(_MOST))
    np.divide(second, nearest, out=ratio, where=nearest > 0.0)
    return np.where(second > 0.0, np.log(np.minimum(ratio, np.exp(_MOST))), 0.0)


def _near(tree: cKDTree, rows: IntArray, distances: Array) -> Array:
    """Return which queries are copies, or far nearer than true events are to each other."""
    # Copies of the nearest event are no neighbours of it: the first one apart is.
    around = tree.query(tree.data[rows], k=min(_NEIGHBOURS, tree.n))[0]
    apart = np.where(around > 0.0, around, np.inf).min(axis=1)
    ratio = near_ratio(tree.m)
    return np.asarray(
        (distances == 0.0) | (np.isfinite(apart) & (distances <= ratio * apart)), dtype=np.float64
    )
