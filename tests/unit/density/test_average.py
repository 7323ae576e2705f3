"""The average of densities is one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.density.adapters import adapt
from verisimile.density.average import AveragedDensity
from verisimile.density.check import check_estimator

PARTS = (adapt(stats.norm(0.0, 1.0)), adapt(stats.norm(4.0, 0.5)), adapt(stats.uniform(-1.0, 2.0)))


def test_its_density_is_the_mean_of_the_parts() -> None:
    x = np.linspace(-3.0, 6.0, 50)[:, None]
    each = [np.exp(part.log_prob(x)) for part in PARTS]
    np.testing.assert_allclose(np.exp(AveragedDensity(PARTS).log_prob(x)), np.mean(each, axis=0))
    nowhere = AveragedDensity((PARTS[2], PARTS[2])).log_prob(np.array([[5.0]]))
    assert nowhere.tolist() == [-np.inf]


def test_it_keeps_what_an_estimator_promises() -> None:
    checked = check_estimator(AveragedDensity(PARTS[:2]), seeds=Seeds(1))
    assert checked.problems == ()
    # Draws of all parts are mixed: the first half looks like the second.
    x = AveragedDensity(PARTS).sample(4000, np.random.default_rng(1))[:, 0]
    assert stats.ks_2samp(x[:2000], x[2000:]).pvalue > 1e-3
    assert AveragedDensity(PARTS).sample(0, np.random.default_rng(1)).shape == (0, 1)


def test_parts_of_other_features_are_refused() -> None:
    two = adapt(stats.multivariate_normal([0.0, 0.0]))
    with pytest.raises(InputError, match="2 densities of"):
        AveragedDensity((PARTS[0], two))
    with pytest.raises(InputError, match="0 densities"):
        AveragedDensity(())
