"""The toys of the study of amplification: their exact answers against formulas and draws."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from camel_fits import EXACT_GAIN
from statistical import assert_within

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))

from published import _amplification_truths as toys


@pytest.mark.parametrize(("regions", "gain"), EXACT_GAIN.items())
def test_the_camel_has_the_gain_of_its_fisher_information(regions: int, gain: float) -> None:
    assert toys.exact_camel_gain(regions) == pytest.approx(gain, abs=6e-4)


@pytest.mark.parametrize("side", [3, 12])
def test_a_series_scatters_as_its_closed_form_says(side: int) -> None:
    law, rng, n = toys.Series.of(30), np.random.default_rng(1), 400
    assert law.kept.sum() == 30
    cells = np.array([law.contents(law.fitted(n, rng), side) for _ in range(200)])
    squared = ((cells - 1.0 / side**2) ** 2).sum(axis=1) * n / (1.0 - 1.0 / side**2)
    assert_within(squared.mean(), 1.0 / law.exact_gain(side), squared.std() / np.sqrt(200))


def test_the_fit_of_a_shell_has_the_slopes_of_its_scores() -> None:
    rng, n = np.random.default_rng(2), 500
    truth = toys.shell(20_000, 3, rng)
    radius, height = toys.radii(truth), truth[:, 0]
    labels = 2 * (radius > np.median(radius)) + (height > 0.0)
    exact = 1.0 / toys.exact_shell_gain(truth, labels, 4)
    share = np.bincount(labels, minlength=4) / len(truth)
    found = []
    for _ in range(150):
        x = toys.fit_shell(toys.shell(n, 3, rng)).draw(4000, rng)
        r = toys.radii(x)
        got = np.bincount(2 * (r > np.median(radius)) + (x[:, 0] > 0.0), minlength=4) / len(x)
        found.append(((got - share) ** 2).sum() - (got * (1.0 - got)).sum() / 3999)
    squared = n * np.array(found) / (share * (1.0 - share)).sum()
    # Slopes are linear terms; the next order is some tenths of d / n.
    second_order = 0.05 * exact
    assert_within(squared.mean(), exact, squared.std() / np.sqrt(150) + second_order)


def test_a_power_law_is_read_off() -> None:
    a, b = toys.power_law((10, 100, 1000), (0.2, 2.0, 20.0))
    assert (a, b) == pytest.approx((0.02, 1.0))
