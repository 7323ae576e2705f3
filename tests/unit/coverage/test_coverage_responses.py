"""Propagation to linear observables and quantiles, against independent calculations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr

from coverage_values import PAPER, spanning_members, spanning_mixture
from verisimile.checks.coverage.bound import Columns, Drawn
from verisimile.checks.coverage.observables import BinContent, Moment, Observable, Quantile
from verisimile.checks.coverage.responses import CrossingResponse, LinearResponse
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run

MEMBERS = spanning_members(4)
MIXTURE = spanning_mixture(MEMBERS, 2000)


def test_linear_error_is_that_of_the_mixture() -> None:
    means, variances = np.array([0.1, 0.4, -0.2, 0.7]), np.array([1e-4, 2e-4, 0.0, 3e-4])
    found = LinearResponse(means, variances).estimate(MIXTURE.fit)
    w, c = MIXTURE.weights, MIXTURE.fit.covariance
    assert found.value == pytest.approx(float(w @ means))
    assert found.sampling == pytest.approx(float((w**2 * variances).sum()))
    assert found.error == pytest.approx(math.sqrt(means @ c @ means + found.sampling))


def test_bin_content_agrees_with_the_mixtures_histogram() -> None:
    run = Run(Seeds(2))
    draws = MIXTURE.draws(run, 20_000)
    bound = BinContent("x0", -0.5, 0.0).bind(Columns(("x0", "x1"), draws[0]))
    parts = [
        bound.respond(Drawn(member, x)) for member, x in zip(MIXTURE.members, draws, strict=True)
    ]
    response = bound.collect(np.array([p[0] for p in parts]), np.array([p[1] for p in parts]))
    found = response.estimate(MIXTURE.fit)
    histogram = MIXTURE.histogram(np.array([-0.5, 0.0]), feature="x0", run=run, draws=20_000)
    assert found.value == pytest.approx(histogram.values[0])
    assert found.error == pytest.approx(histogram.errors[0], rel=1e-4)


def test_quantile_error_is_the_change_of_the_quantile_along_eigenvariations() -> None:
    # Independent of the density: shift the weights by small eigen-variations and look.
    nodes = np.linspace(-1.5, 2.7, 4001)
    z = (nodes[:, None, None] - [m.means[:, 1] for m in MEMBERS]) / [
        m.sigmas[:, 1] for m in MEMBERS
    ]
    cdf = (ndtr(z) * [m.shares for m in MEMBERS]).sum(axis=2).T
    response = CrossingResponse(0.9, nodes, cdf, np.zeros(cdf.shape))
    values, vectors = np.linalg.eigh(MIXTURE.fit.covariance)
    steps = vectors * np.sqrt(np.clip(values, 0.0, None))

    def quantile(weights: Array) -> float:
        return float(np.interp(0.9, weights @ response.means, response.nodes))

    w, h = MIXTURE.weights, 0.01
    slopes = [(quantile(w + h * s) - quantile(w - h * s)) / (2.0 * h) for s in steps.T]
    found = response.estimate(MIXTURE.fit)
    assert found.value == pytest.approx(quantile(w))
    expected = math.sqrt(float(np.square(slopes).sum()))
    # The density is differenced over 4 % of probability: (2 %)^2 q''' / (6 q') is 1 % here.
    assert found.error == pytest.approx(expected, rel=0.02)


def test_a_quantile_beyond_the_nodes_is_nan() -> None:
    means = np.linspace(0.1, 0.5, 3)[None].repeat(4, axis=0)
    response = CrossingResponse(0.9, np.arange(3.0), means, np.zeros((4, 3)))
    assert math.isnan(response.estimate(MIXTURE.fit).value)


def test_truth_sample_gives_quantiles_and_moments_with_errors() -> None:
    rng = np.random.default_rng(4)
    drawn = Drawn(PAPER, PAPER.sample(100_000, rng))
    columns = Columns(("x0", "x1"), drawn.x[:1000])
    mean = Moment("x0").bind(columns).true_value(drawn)
    assert mean.error == pytest.approx(0.25 / math.sqrt(100_000), rel=0.02)
    median = Quantile("x0", 0.5).bind(columns).true_value(drawn)
    assert median.error == pytest.approx(0.25 * math.sqrt(math.pi / 2 / 100_000), rel=0.03)
    assert abs(median.value + 0.5) < 5 * median.error


def test_keys_tell_observables_apart() -> None:
    columns = Columns(("x0", "x1"), PAPER.sample(100, np.random.default_rng(5)))
    observables: list[Observable] = [
        Moment("x0"),
        Moment("x1"),
        Moment("x0", 2),
        BinContent("x0", 8.0, 9.0),
        BinContent("x0", 8.0, 9.5),
        Quantile("x0", 0.5),
        Quantile("x0", 0.6),
    ]
    keys = {item.bind(columns).key for item in observables}
    assert len(keys) == len(observables)
