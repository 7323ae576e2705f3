"""On real events the comparisons name the feature and the place that were spoiled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from verisimile.checks.physics.correlations import correlations
from verisimile.checks.physics.histograms import marginal_pair
from verisimile.checks.physics.moments import moments
from verisimile.checks.physics.selections import efficiencies
from verisimile.data.events import Events
from verisimile.data.example import load_example
from verisimile.data.expressions import Condition
from verisimile.stats.aggregate import holm


@pytest.fixture(scope="module")
def example() -> Mapping[str, Events]:
    return load_example()


def test_a_smeared_peak_is_named(example: Mapping[str, Events]) -> None:
    found = marginal_pair(example["truth"], example["surrogate_smeared"])
    worst = min(found, key=lambda one: one.p_value)
    assert worst.feature.name == "m_ll"
    assert worst.p_value < 1e-10
    assert 85.0 < worst.worst[0] < 95.0


def test_a_softer_spectrum_is_named(example: Mapping[str, Events]) -> None:
    truth, tune = example["truth"], example["generator_tune"]
    found = marginal_pair(truth, tune)
    assert min(found, key=lambda one: one.p_value).feature.name == "pt_ll"
    worst = max(moments(truth, tune), key=lambda one: abs(one.z[0]))
    assert worst.feature.name == "pt_ll"
    assert worst.z[0] < -5.0
    hard, peak = efficiencies(
        truth, tune, {"hard": Condition("pt_ll > 60"), "peak": Condition("86 < m_ll < 96")}
    )
    assert hard.z < -3.0
    assert hard.p_value < 1e-3 < peak.p_value


def test_halves_of_the_truth_agree(example: Mapping[str, Events]) -> None:
    truth = example["truth"]
    first, second = truth.take(np.arange(0, truth.n, 2)), truth.take(np.arange(1, truth.n, 2))
    pairs = marginal_pair(first, second, train=second)
    assert holm([one.p_value for one in pairs]).min() > 1e-4
    assert all(one.train is not None and one.train.chi2 == one.chi2 for one in pairs)
    assert np.nanmin(correlations(first, second).adjusted) > 1e-4
