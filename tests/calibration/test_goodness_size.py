"""The goodness-of-fit p-value is uniform under the null, and its defective twin is not.

Each pseudo-experiment fits the weights on its own n_w events, tests n_D = 4 n_w
fresh events of the same truth (inside the members' span, with kernels as wide as
the members' satellites), and throws its own 39 toys: p = (k + 1) / 40 then
rejects at 5 % in exactly 5 % of true nulls.  With 320 pseudo-experiments the 99 %
binomial interval reaches from 2.2 to 8.8 %: a true size of 12 % would be
rejected with probability 0.97.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from analytic import Blend, draw, family, log_densities
from statistical import assert_rate, assert_uniform
from verisimile.checks.goodness.calibration import Calibration, FluctuatedCentre, PlugIn, Predictive
from verisimile.checks.goodness.gaussian import GaussianKernels
from verisimile.checks.goodness.likelihood_ratio import compare_hypotheses
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

EXPERIMENTS, TOYS = 320, 39
N_WEIGHTS, N_TEST = 500, 2000
TRUTH = np.array([0.35, 0.25, 0.15, 0.15, 0.10])
KERNELS = GaussianKernels(count=12, width=0.7, reference=400)
LEVEL = 0.01  # of each check, two-sided
LEVELS = (0.05, 0.10, 0.325)  # rates that are printed


@dataclass(frozen=True)
class Study:
    """P-values ``(experiments,)`` by hypothesis."""

    ensemble: Array
    profiled: Array


def _mixture(members: list[Blend], rng: np.random.Generator) -> Mixture:
    data = draw(members, TRUTH, N_WEIGHTS, rng)
    pseudo = draw(members, np.full(TRUTH.size, 1 / TRUTH.size), 500, rng)
    fit = fit_weights(log_densities(members, data), pseudo=Pseudo(log_densities(members, pseudo)))
    return Mixture(members, fit)


def _study(seeds: Seeds, null: Calibration) -> Study:
    members = family(TRUTH.size)
    values, failed = [], 0
    for experiment in range(EXPERIMENTS):
        at = seeds.at(experiment)
        rng = at.numpy()
        mixture = _mixture(members, rng)
        found = compare_hypotheses(
            Run(at),
            mixture,
            Events(draw(members, TRUTH, N_TEST, rng)),
            alternative=KERNELS,
            hypotheses=("ensemble", "ensemble+uncertainty"),
            null=null,
            toys=TOYS,
        )
        # A fluctuated centre may forbid an event, which then counts as extreme; NaN never occurs.
        assert all(g.statistic >= 0 and (g.toys >= 0).all() for g in found)
        failed += sum(g.n_failed for g in found)
        values.append([g.p_value.value for g in found])
    assert failed <= 1e-3 * 2 * EXPERIMENTS * TOYS
    table = np.array(values)
    return Study(table[:, 0], table[:, 1])


def _rows(study: Study, null: Calibration, show: Show) -> list[Array]:
    rows = {"ensemble": study.ensemble, "ensemble+uncertainty": study.profiled}
    for name, p in rows.items():
        rates = "  ".join(f"{level:4.0%}: {(p <= level).mean():6.3f}" for level in LEVELS)
        show(f"{null.name:17s} {name:21s} rejects at  {rates}  ({EXPERIMENTS} experiments)")
    return list(rows.values())


def _rejected(p: Array) -> int:
    return int((p <= 0.05).sum())


@pytest.mark.parametrize("null", [Predictive(), FluctuatedCentre()], ids=lambda null: null.name)
def test_valid_calibrations_have_the_right_size(null: Calibration, show: Show) -> None:
    seeds = Seeds(20261122).at(null.name)
    for p in _rows(_study(seeds, null), null, show):
        assert_rate(_rejected(p), EXPERIMENTS, 0.05, alpha=LEVEL)
        assert_uniform(p, alpha=LEVEL, steps=TOYS + 1, rng=seeds.at("spread").numpy())


def test_plug_in_toys_reject_true_nulls_too_often(show: Show) -> None:
    # The defective twin: the published calibration, on which the very same checks fail.
    seeds = Seeds(20261122).at("plug-in")
    for p in _rows(_study(seeds, PlugIn()), PlugIn(), show):
        with pytest.raises(AssertionError, match="outside"):
            assert_rate(_rejected(p), EXPERIMENTS, 0.05, alpha=LEVEL)
        with pytest.raises(AssertionError, match="not uniform"):
            assert_uniform(p, alpha=LEVEL, steps=TOYS + 1, rng=seeds.at("spread").numpy())
