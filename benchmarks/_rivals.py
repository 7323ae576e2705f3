"""Statistics of other tests: the sample against a large reference sample of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from verisimile.core.arrays import Array

__all__ = ["Rivals"]

_PAIRS = 1000  # reference events for the median distance
_NEWTON = 6


@dataclass(frozen=True)
class Rivals:
    """Energy distance, MMD and two classifiers, in coordinates of unit variance."""

    reference: Array  # (R, d), standardised
    centre: Array
    scale: Array
    bandwidth: float

    names = ("energy", "MMD", "classifier, quadratic", "classifier, trees")

    @classmethod
    def of(cls, reference: Array) -> Rivals:
        """Return the tests against a reference sample ``(R, d)`` of the model."""
        centre, scale = reference.mean(axis=0), reference.std(axis=0)
        z = (reference - centre) / scale
        distances = np.sqrt(_squares(z[:_PAIRS], z[_PAIRS : 2 * _PAIRS]))
        return cls(z, centre, scale, float(np.median(distances)))

    def __call__(self, x: Array) -> list[float]:
        """Return the statistics of a sample ``(n, d)``; large is extreme."""
        y = (x - self.centre) / self.scale
        across, within = _squares(y, self.reference), _squares(y, y)
        return [
            *self._distances(across, within, len(y)),
            _deviance(_quadratic(y), _quadratic(self.reference)),
            _held_out_area(y, self.reference),
        ]

    def _distances(self, across: Array, within: Array, n: int) -> tuple[float, float]:
        # The reference's own pairs add the same constant to every sample's statistic.
        pairs = n * (n - 1.0)
        energy = 2.0 * np.sqrt(across).mean() - np.sqrt(within).sum() / pairs
        rate = -0.5 / self.bandwidth**2
        inside = (np.exp(rate * within).sum() - n) / pairs
        return float(energy), float(inside - 2.0 * np.exp(rate * across).mean())


def _squares(a: Array, b: Array) -> Array:
    # Single precision: a statistic of 10^7 pairs does not need the other digits.
    left, right = a.astype(np.float32), b.astype(np.float32)
    out = (left**2).sum(axis=1)[:, None] - 2.0 * (left @ right.T) + (right**2).sum(axis=1)
    np.clip(out, 0.0, None, out=out)
    if a is b:
        np.fill_diagonal(out, 0.0)
    return np.asarray(out)


def _quadratic(x: Array) -> Array:
    """Return 1, x_i and x_i x_j, ``(n, 1 + d (d + 3) / 2)``."""
    i, j = np.triu_indices(x.shape[1])
    return np.column_stack([np.ones(len(x)), x, x[:, i] * x[:, j]])


def _deviance(data: Array, reference: Array) -> float:
    """Return twice the log-likelihood gain of logistic regression over no separation."""
    rows = np.vstack([data, reference])
    label = np.r_[np.ones(len(data)), np.zeros(len(reference))]
    weight = np.where(label > 0, len(reference) / len(data), 1.0)
    theta = np.zeros(rows.shape[1])
    for _ in range(_NEWTON):
        p = expit(rows @ theta)
        hessian = (rows * (weight * p * (1.0 - p))[:, None]).T @ rows
        theta += np.linalg.solve(hessian, rows.T @ (weight * (label - p)))
    logits = (2.0 * label - 1.0) * (rows @ theta)
    return float(2.0 * (weight * (np.log(2.0) - np.logaddexp(0.0, -logits))).sum())


def _held_out_area(data: Array, reference: Array) -> float:
    """Return the area under the ROC curve of boosted trees on the half they did not see."""
    rows = np.vstack([data, reference[: 2 * len(data)]])
    label = np.r_[np.ones(len(data)), np.zeros(len(rows) - len(data))]
    trees = HistGradientBoostingClassifier(
        max_iter=20, max_leaf_nodes=8, early_stopping=False, random_state=0
    )
    trees.fit(rows[::2], label[::2])
    return float(roc_auc_score(label[1::2], trees.predict_proba(rows[1::2])[:, 1]))
