"""Bins follow ranges and specifications, and never the data's fluctuations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from verisimile.core.errors import InputError
from verisimile.data.feature import Feature
from verisimile.samples.contents import bin_edges, cells_of, holds_zeros, is_logarithmic


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
    assert is_logarithmic(edges)
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
def test_other_features_are_linear(feature: Feature, rng: np.random.Generator) -> None:
    samples = [rng.uniform(0.1, 1.0, 500), rng.exponential(0.2, 500) + 0.1]
    assert not is_logarithmic(bin_edges(feature, samples, bins=12))


def decades(rng: np.random.Generator) -> np.ndarray:
    return np.asarray(10.0 ** rng.uniform(-2.0, 3.0, 4000))


def test_three_decades_between_the_outskirts_get_equal_ratios(rng: np.random.Generator) -> None:
    edges = bin_edges(Feature("e"), [decades(rng), decades(rng)], bins=10)
    assert is_logarithmic(edges)
    assert edges[0] == pytest.approx(0.01, rel=0.05)
    assert edges[-1] == pytest.approx(1000.0, rel=0.05)


@pytest.mark.parametrize("law", ["uniform", "exponential", "rayleigh", "half-normal"])
def test_laws_that_only_begin_at_zero_keep_equal_widths(law: str, rng: np.random.Generator) -> None:
    draws = {
        "uniform": rng.uniform(0.0, 1.0, 20_000),
        "exponential": rng.exponential(1.0, 20_000),
        "rayleigh": rng.rayleigh(1.0, 20_000),
        "half-normal": np.abs(rng.normal(size=20_000)),
    }
    edges = bin_edges(Feature("x"), [draws[law]], bins=40)
    assert np.diff(edges) == pytest.approx(np.diff(edges)[0])


def test_a_negative_value_or_another_transform_keeps_equal_widths(
    rng: np.random.Generator,
) -> None:
    crossing = np.append(decades(rng), -1e-3)
    assert not is_logarithmic(bin_edges(Feature("e"), [crossing], bins=10))
    plain = Feature("e", transform="identity")
    assert not is_logarithmic(bin_edges(plain, [decades(rng)], bins=10))


@pytest.mark.parametrize("wide", [False, True])
def test_the_zeros_of_a_spike_have_a_bin_for_themselves(
    wide: bool, rng: np.random.Generator
) -> None:
    energy = decades(rng) if wide else rng.uniform(25.0, 300.0, 4000)
    sample = np.concatenate([np.zeros(3000), energy])
    edges = bin_edges(Feature("e", kind="spike-at-zero"), [sample, sample[1:]], bins=20)
    assert edges.size == 21
    assert (np.diff(edges) > 0).all()
    assert holds_zeros(edges)
    assert is_logarithmic(edges) == wide
    assert np.bincount(cells_of(sample, edges))[1] == 3000
    smeared = np.where(sample == 0.0, 1e-6, sample)
    assert np.bincount(cells_of(smeared, edges))[1] == 0


def test_a_spike_among_negative_values_or_without_zeros_is_binned_as_before(
    rng: np.random.Generator,
) -> None:
    sample = rng.normal(size=1000)
    spike = Feature("e", kind="spike-at-zero")
    for values in (np.append(sample, 0.0), np.abs(sample) + 1.0):
        assert list(bin_edges(spike, [values], bins=9)) == list(
            bin_edges(Feature("e"), [values], bins=9)
        )


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
