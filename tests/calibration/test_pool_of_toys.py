"""Fresh toys give uniform p-values; toys drawn with replacement from a pool do not.

A toy of n events from a pool of n_pool inherits the pool's own fluctuation about the model, so
that its statistic is larger than that of data: by 1 + n / n_pool on average, where the statistic
is quadratic in the fluctuation.  The test then misses deviations that it should see: its
p-values are too large, and no number of toys mends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from analytic import family
from statistical import assert_rate, assert_uniform
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.null import NullModel
from verisimile.checks.goodness.profile import HYPOTHESES
from verisimile.checks.goodness.search import Setup
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.mixture.fit import single_weight
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import SignedSample
from verisimile.stats.pvalues import Empirical

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1800)]

EXPERIMENTS, TOYS, EVENTS = 300, 39, 500
KERNELS = GaussianKernels(count=10, width=0.7, reference=400)
LEVEL = 0.01  # of each check, two-sided
NO_WEIGHTS = np.zeros(0)
EXPANSION = 0.15  # the likelihood ratio of 500 events is quadratic to about this fraction


@dataclass(frozen=True)
class Study:
    """P-values ``(experiments,)``, and the mean statistic of data and of toys."""

    p: Array
    data: float
    toys: float


@pytest.fixture(scope="module")
def setup() -> Setup:
    model = Mixture(family(1), single_weight())
    return KERNELS.prepare(Run(Seeds(20261206)), NullModel.of(model), events=EVENTS)


def _statistic(setup: Setup, sample: SignedSample, rows: slice | Array = slice(None)) -> float:
    fits = setup.observe(sample.x[rows], sample.log_densities[rows])
    return fits.profile(HYPOTHESES["single"], NO_WEIGHTS).statistic


def _study(setup: Setup, pool_size: int | None) -> Study:
    """Test data of the model against fresh toys, or against toys from one pool per test."""
    p, data, means = [], [], []
    for experiment in range(EXPERIMENTS):
        rng = Seeds(20261206).at("fresh" if pool_size is None else pool_size, experiment).numpy()
        observed = _statistic(setup, setup.null.sample(NO_WEIGHTS, EVENTS, rng))
        if pool_size is None:
            toys = [
                _statistic(setup, setup.null.sample(NO_WEIGHTS, EVENTS, rng)) for _ in range(TOYS)
            ]
        else:
            pool = setup.null.sample(NO_WEIGHTS, pool_size, rng)
            draws = rng.integers(pool_size, size=(TOYS, EVENTS))
            toys = [_statistic(setup, pool, rows) for rows in draws]
        p.append(Empirical(np.array(toys), "toys").p_value(observed).value)
        data.append(observed)
        means.append(np.mean(toys))
    return Study(np.array(p), float(np.mean(data)), float(np.mean(means)))


def _shown(name: str, study: Study, show: Show) -> None:
    show(
        f"{name:22s} mean t: data {study.data:5.2f}, toys {study.toys:5.2f}; "
        f"p <= 0.05 in {(study.p <= 0.05).mean():.3f}, mean p {study.p.mean():.3f}"
    )


def _assert_calibrated(p: Array) -> None:
    assert_rate(int((p <= 0.05).sum()), EXPERIMENTS, 0.05, alpha=LEVEL)
    spread = Seeds(20261206).at("spread").numpy()
    assert_uniform(p, alpha=LEVEL, steps=TOYS + 1, rng=spread)


def test_fresh_toys_give_uniform_p_values(setup: Setup, show: Show) -> None:
    study = _study(setup, None)
    _shown("fresh toys", study, show)
    _assert_calibrated(study.p)


@pytest.mark.parametrize("pools", [1, 3])
def test_toys_from_a_pool_with_replacement_do_not(setup: Setup, pools: int, show: Show) -> None:
    # Defective twin, on the same check.
    study = _study(setup, pools * EVENTS)
    _shown(f"pool of {pools} x {EVENTS} events", study, show)
    assert study.toys / study.data == pytest.approx(1.0 + 1.0 / pools, rel=EXPANSION)
    with pytest.raises(AssertionError, match="outside|not uniform"):
        _assert_calibrated(study.p)
