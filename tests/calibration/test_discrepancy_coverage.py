"""Errors of a corrected mixture cover where all members are wrong alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from biased_ensemble import Observables, corrected, fitted, members, truth
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.discrepancy.fit import Discrepancy

pytestmark = pytest.mark.calibration

ENSEMBLES, SETS = 4, 30
N_TRAIN, N_FIT = 4000, 3000


def pulls(scale: float, sets: int) -> tuple[Array, Array, Array]:
    """Return pulls with and without the discrepancy ``(E S, O)``, and claimed over counted."""
    large = truth(1_000_000, Seeds(1).at("truth").numpy())
    observables = Observables(large, 16, Seeds(1).at("boxes").numpy())
    expected = observables(large).mean(axis=0)
    counted = np.sqrt(expected * (1.0 - expected) / N_FIT)
    settings = Discrepancy(scale=scale, reference=20_000, draws=150)
    found, plain, claimed = [], [], []
    for ensemble in range(ENSEMBLES):
        parts = members(6, N_TRAIN, Seeds(2).at("train", ensemble).numpy())
        for data in range(sets):
            place = ensemble * SETS + data
            events = Events(truth(N_FIT, Seeds(3).at("fit", place).numpy()))
            mixture = fitted(parts, events)
            fit = corrected(mixture, events, place, settings).discrepancy
            drawn = mixture.draw(40_000, Run(Seeds(place)))
            values = observables(drawn.x)
            rows = fit.functions.at(drawn.x, drawn.log_densities)
            mean, covariance, _ = fit.moments(values, drawn.x, rows)
            error = np.sqrt(np.diag(covariance))
            found.append((mean - expected) / error)
            claimed.append(error / counted)
            # The weights alone: covariance one in the eigen-variations.
            s = rows[:, : fit.functions.free]
            gradient = (s - s.mean(axis=0)).T @ (values - values.mean(axis=0)) / len(s)
            alone = np.sqrt((gradient**2).sum(axis=0) + values.var(axis=0) / len(s))
            plain.append((values.mean(axis=0) - expected) / alone)
    return np.array(found), np.array(plain), np.array(claimed)


def test_coverage_of_bins_and_boxes() -> None:
    found, plain, claimed = pulls(0.05, SETS)
    at68, at95 = ((np.abs(found) < z).mean() for z in (1.0, 1.96))
    # Data sets of one ensemble share its bias, and observables of one data set their noise: the
    # scatter between ensembles is what the average can be trusted to.
    scatter = np.abs(found).reshape(ENSEMBLES, -1)
    error = (scatter < 1.0).mean(axis=1).std(ddof=1) / math.sqrt(ENSEMBLES)
    assert abs(at68 - 0.6827) < 0.04 + 2.0 * error, (at68, error)
    assert abs(at95 - 0.95) < 0.03, at95
    assert np.sqrt((claimed**2).mean()) < 1.0
    # The twin: the errors of the weights alone.
    assert (np.abs(plain) < 1.0).mean() < 0.4


def test_scales_that_are_almost_zero_cover_too_little() -> None:
    found, _, _ = pulls(1e-4, 5)
    assert (np.abs(found) < 1.0).mean() < 0.5
