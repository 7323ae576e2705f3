"""Statistics of other tests: the sample against a large reference sample of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from verisimile.core.arrays import Array

_PAIRS = 1000  # reference events for the median distance
_NEWTON = 6
_BLOCK = 250


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
        return [
            *self._distances(y),
            _deviance(_quadratic(y), _quadratic(self.reference)),
            _held_out_area(y, self.reference),
        ]

    def _distances(self, y: Array) -> tuple[float, float]:
        # The reference's own pairs add the same constant to every sample's statistic.
        n, rate = len(y), -0.5 / self.bandwidth**2
        energy = mmd = 0.0
        for z, sign, pairs in ((self.reference, 2.0, n * len(self.reference)), (y, -1.0, n * n)):
            for start in range(0, n, _BLOCK):
                squares = _squares(y[start : start + _BLOCK], z)
                energy += sign * float(np.sqrt(squares).sum()) / pairs
                squares *= rate
                mmd -= sign * float(np.exp(squares, out=squares).sum()) / pairs
        return energy, mmd


def _squares(a: Array, b: Array) -> Array:
    # Single precision: a statistic of 10^6 pairs does not need the other digits.
    left, right = a.astype(np.float32), b.astype(np.float32)
    out = left @ (-2.0 * right.T)
    out += (left**2).sum(axis=1)[:, None]
    out += (right**2).sum(axis=1)
    return np.clip(out, 0.0, None, out=out)


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
