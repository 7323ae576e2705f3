"""Errors of a corrected conditional mixture cover at given contexts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from biased_conditional import corrected, density, fitted, members, quantiles, truth
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.mixture.discrepancy.conditional import CorrectedConditionalMixture
from verisimile.mixture.discrepancy.fit import Discrepancy

pytestmark = pytest.mark.calibration

ENSEMBLES, SETS = 4, 20
N_TRAIN, N_FIT = 4000, 3000
CONTEXTS = (-1.2, -0.5, 0.0, 0.7, 1.3)
LEVELS = np.array([0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0])
POINTS = np.array([0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99])
NODES = 24  # of each bin, Gauss and Legendre
FAR = 1e-6  # probability beyond the outermost nodes


def at_context(mixture: CorrectedConditionalMixture, c: float) -> tuple[Array, Array]:
    """Return pulls of bins and of densities ``(2, O)``, with and without the discrepancy.

    Norm and gradients are sums over nodes and not over draws, so that nothing but the claimed
    covariance is judged.
    """
    x, dx = _nodes(c)
    points = quantiles(POINTS, c)
    both = np.concatenate([x.ravel(), points])[:, None]
    context = np.full(both.shape, c)
    logf = mixture.log_densities(both, context)
    fit = mixture.discrepancy
    rows = fit.functions.at(np.hstack([both, context]), logf)
    plain = np.exp(logf) @ mixture.weights
    free, size = fit.functions.free, fit.coefficients.size
    expected = np.concatenate([np.diff(LEVELS), density(points, c)])
    own = plain * np.exp(rows @ fit.coefficients)
    laws = (
        (own, rows, fit.covariance),
        # The weights alone: covariance one in the eigen-variations.
        (plain, rows[:, :free], np.eye(free)),
    )
    assert size > free
    return tuple(_pulls(*law, dx, expected) for law in laws)  # type: ignore[return-value]


def _pulls(law: Array, rows: Array, covariance: Array, dx: Array, expected: Array) -> Array:
    count = dx.size
    p = law[:count] * dx.ravel()
    total = p.sum()
    p, at_points = p / total, law[count:] / total
    means = p @ rows[:count]
    varied = rows - means
    gradient = (p[:, None] * varied[:count]).reshape(*dx.shape, -1).sum(axis=1)
    gradients = np.vstack([gradient, at_points[:, None] * varied[count:]])
    errors = np.sqrt(np.einsum("op,pq,oq->o", gradients, covariance, gradients))
    values = np.concatenate([p.reshape(dx.shape).sum(axis=1), at_points])
    return np.asarray((values - expected) / errors)


def _nodes(c: float) -> tuple[Array, Array]:
    """Return nodes and weights of each bin ``(B, NODES)``, at equal true probability."""
    t, w = np.polynomial.legendre.leggauss(NODES)
    ends = np.clip(LEVELS, FAR, 1.0 - FAR)
    width = np.diff(ends)[:, None]
    x = quantiles(ends[:-1, None] + 0.5 * (t + 1.0) * width, c)
    return x, 0.5 * w * width / density(x, c)


def pulls(scale: float, sets: int) -> tuple[Array, Array]:
    """Return pulls with and without the discrepancy, each ``(E, S, C, O)``."""
    settings = Discrepancy(scale=scale, draws=100)
    found = np.array(
        [
            [
                [at_context(mixture, c) for c in CONTEXTS]
                for mixture in _mixtures(ensemble, sets, settings)
            ]
            for ensemble in range(ENSEMBLES)
        ]
    )
    return found[:, :, :, 0], found[:, :, :, 1]


def _mixtures(ensemble: int, sets: int, settings: Discrepancy) -> list[CorrectedConditionalMixture]:
    parts = members(4, N_TRAIN, Seeds(2).at("train", ensemble).numpy())
    made = []
    for data in range(sets):
        events = truth(N_FIT, Seeds(3).at("fit", ensemble, data).numpy())
        made.append(corrected(fitted(parts, events), events, data, settings))
    return made


def rates(found: Array) -> tuple[float, float, float]:
    """Return the rates at 68 and 95 %, and the error of the first by the ensembles' scatter."""
    inside = np.abs(found) < 1.0
    scatter = inside.mean(axis=(1, 2, 3)).std(ddof=1) / math.sqrt(len(found))
    return float(inside.mean()), float((np.abs(found) < 1.96).mean()), float(scatter)


def test_coverage_of_bins_and_densities_at_contexts() -> None:
    found, plain = pulls(0.05, SETS)
    at68, at95, error = rates(found)
    assert abs(at68 - 0.6827) < 0.04 + 2.0 * error, (at68, error)
    assert abs(at95 - 0.95) < 0.03, at95
    # The twin: the errors of the weights alone.
    assert rates(plain)[0] < 0.4


def test_scales_that_are_almost_zero_cover_too_little() -> None:
    found, _ = pulls(1e-4, 5)
    assert rates(found)[0] < 0.5
