"""Bins follow ranges and specifications, and never the data's fluctuations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from verisimile.core.errors import InputError
from verisimile.data.feature import Feature
from verisimile.samples.contents import bin_edges, is_logarithmic


def test_equal_widths_hold_all_but_the_tails(rng: np.random.Generator) -> None:
    samples = [rng.normal(0, 1, 10_000), rng.normal(3, 1, 10_000)]
    edges = bin_edges(Feature("x"), samples, bins=40)
    assert edges.size == 41
    assert np.diff(edges) == pytest.approx(np.diff(edges)[0])
    for sample in samples:
        outside = (sample < edges[0]) | (sample > edges[-1])
        assert outside.mean() <= 0.002 + 1e-12


def test_a_positive_log_feature_gets_equal_ratios(rng: np.random.Generator) -> None:
    feature = Feature("pt", low=0.0)
    edges = bin_edges(feature, [rng.lognormal(0, 1, 5000)], bins=20)
    assert is_logarithmic(feature)
    assert edges[0] > 0
    assert edges[1:] / edges[:-1] == pytest.approx(edges[1] / edges[0])


@pytest.mark.parametrize(
    "feature",
    [
        Feature("x"),
        Feature("x", low=0.0, high=1.0),
        Feature("x", low=-1.0),
        Feature("x", high=3.0),
        Feature("x", low=0.0, transform="identity"),
        Feature("x", low=0.0, kind="discrete"),
    ],
)
def test_other_features_are_linear(feature: Feature) -> None:
    assert not is_logarithmic(feature)


def test_a_near_bound_becomes_the_edge_and_a_far_one_does_not(rng: np.random.Generator) -> None:
    sample = rng.uniform(60, 100, 5000)
    edges = bin_edges(Feature("m", low=59.0, high=1000.0), [sample], bins=10)
    assert edges[0] == 59.0
    assert edges[-1] < 100.0


def test_a_near_positive_bound_becomes_the_edge_of_log_bins(rng: np.random.Generator) -> None:
    sample = 20.0 * np.exp(rng.exponential(0.5, 5000))
    edges = bin_edges(Feature("pt", low=20.0), [sample], bins=10)
    assert edges[0] == pytest.approx(20.0)


def test_whole_numbers_fall_in_the_middle_of_bins(rng: np.random.Generator) -> None:
    sample = rng.poisson(4.0, 3000).astype(float)
    edges = bin_edges(Feature("jets", kind="discrete"), [sample], bins=40)
    assert np.diff(edges) == pytest.approx(1.0)
    assert edges[0] % 1 == 0.5
    coarse = bin_edges(Feature("jets", kind="discrete"), [sample * 100], bins=10)
    assert coarse.size <= 11
    assert coarse[-1] > np.quantile(sample * 100, 0.999)


@pytest.mark.parametrize("value", [0.0, 91.2, -3.0])
def test_one_value_still_has_a_bin_around_it(value: float) -> None:
    edges = bin_edges(Feature("x"), [np.full(10, value)], bins=4)
    assert (np.diff(edges) > 0).all()
    assert edges[0] < value < edges[-1]


def test_zeros_of_a_log_feature_do_not_break_the_bins(rng: np.random.Generator) -> None:
    sample = np.concatenate([np.zeros(500), rng.lognormal(0, 1, 500)])
    edges = bin_edges(Feature("e", low=0.0), [sample], bins=10)
    assert edges[0] == 0.0
    assert math.isfinite(edges[-1])


def test_no_bins_are_refused() -> None:
    with pytest.raises(InputError, match="at least one bin"):
        bin_edges(Feature("x"), [np.arange(3.0)], bins=0)
