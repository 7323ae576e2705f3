"""The smallest p-value of several alternatives, recalibrated on the same toys, is uniform.

With few toys the alternatives' p-values are often tied; equal ones are put in order by how far
out they lie.  The twin takes the smallest p-value as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from analytic import draw, family, log_densities
from statistical import assert_rate, assert_uniform
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
from verisimile.checks.goodness.result import Goodness
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

EXPERIMENTS, TOYS, N_WEIGHTS, N_TEST = 600, 39, 500, 500
TRUTH = np.array([0.35, 0.25, 0.15, 0.15, 0.10])
ALTERNATIVES = (
    GaussianKernels(count=12, width=0.4, reference=2000),
    GaussianKernels(count=12, width=0.8, reference=2000),
    ExponentialTilt(count=12, width=0.7, reference=2500),
)


def _test(seeds: Seeds) -> Goodness:
    rng, members = seeds.numpy(), family(TRUTH.size)
    flat = np.full(TRUTH.size, 1 / TRUTH.size)
    pseudo = Pseudo(log_densities(members, draw(members, flat, N_WEIGHTS, rng)))
    fit = fit_weights(log_densities(members, draw(members, TRUTH, N_WEIGHTS, rng)), pseudo=pseudo)
    return goodness_of_fit(
        Run(seeds.at("test")),
        Mixture(members, fit),
        Events(draw(members, TRUTH, N_TEST, rng)),
        alternative=ALTERNATIVES,
        hypothesis="ensemble+uncertainty",
        toys=TOYS,
    )


def test_the_smallest_p_value_has_the_right_size(show: Show) -> None:
    seeds = Seeds(20261122).at("several alternatives")
    found = [_test(seeds.at(experiment)) for experiment in range(EXPERIMENTS)]
    p = np.array([each.p_value.value for each in found])
    smallest = np.array([min(part.p_value.value for part in each.parts) for each in found])
    for name, values in {"recalibrated": p, "as it is": smallest}.items():
        rates = "  ".join(f"{a:.0%}: {(values <= a).mean():.3f}" for a in (0.05, 0.10, 0.325))
        show(f"{name:13s} rejects at {rates}")
    assert_rate(int((p <= 0.05).sum()), EXPERIMENTS, 0.05)
    assert_uniform(p, steps=TOYS + 1, rng=seeds.at("spread").numpy())
    with pytest.raises(AssertionError):
        assert_rate(int((smallest <= 0.05).sum()), EXPERIMENTS, 0.05)
