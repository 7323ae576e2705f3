"""The tilt's p-value is uniform under the null, and its defective twin's is not.

Set-up and criteria are those of test_goodness_size.py, with n_D = 2 n_w.
The twin gives the data a reference sample of their own, as small as n: its noise
adds n/R to their statistic, and toys with another reference know nothing of it.
It rejects a quarter of true nulls, for which fewer experiments are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from analytic import Blend, draw, family, log_densities
from statistical import assert_rate, assert_uniform
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.null import NullModel, Predictive
from verisimile.checks.goodness.profile import HYPOTHESES
from verisimile.checks.goodness.search import Setup
from verisimile.checks.goodness.toys import Contest, throw_toys
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.stats.pvalues import Empirical

Show = Callable[[str], None]
OfData = Callable[[Seeds, NullModel, Setup], Setup]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

EXPERIMENTS, TWINS, TOYS = 320, 100, 39
N_WEIGHTS, N_TEST = 500, 1000
TRUTH = np.array([0.35, 0.25, 0.15, 0.15, 0.10])
TILT = ExponentialTilt(count=12, width=0.7, reference=5000)
NULL = Predictive()
NAMES = ("ensemble", "ensemble+uncertainty")
LEVEL = 0.01  # of each check, two-sided
LEVELS = (0.05, 0.10, 0.325)  # rates that are printed


@dataclass(frozen=True)
class Study:
    """P-values ``(experiments, hypotheses)``."""

    p: Array

    def show(self, name: str, show: Show) -> None:
        """Print the rates of rejection."""
        for hypothesis, p in zip(NAMES, self.p.T, strict=True):
            rates = "  ".join(f"{level:4.0%}: {(p <= level).mean():6.3f}" for level in LEVELS)
            show(f"{name:13s} {hypothesis:21s} rejects at  {rates}  ({p.size} experiments)")


def _null(members: list[Blend], rng: np.random.Generator) -> NullModel:
    data = draw(members, TRUTH, N_WEIGHTS, rng)
    pseudo = draw(members, np.full(TRUTH.size, 1 / TRUTH.size), 500, rng)
    fit = fit_weights(log_densities(members, data), pseudo=Pseudo(log_densities(members, pseudo)))
    return NullModel.of(Mixture(members, fit))


def _same(seeds: Seeds, null: NullModel, setup: Setup) -> Setup:
    return setup


def _own(seeds: Seeds, null: NullModel, setup: Setup) -> Setup:
    small = ExponentialTilt(count=TILT.count, width=TILT.width, reference=N_TEST)
    return small.prepare(Run(seeds.at("own")), null, events=N_TEST)


def _study(seeds: Seeds, experiments: int, of_data: OfData) -> Study:
    members = family(TRUTH.size)
    hypotheses = tuple(HYPOTHESES[name] for name in NAMES)
    values = []
    for experiment in range(experiments):
        at = seeds.at(experiment)
        rng = at.numpy()
        null = _null(members, rng)
        setup = TILT.prepare(Run(at), null, events=N_TEST)
        contest = Contest(null, (setup,), NULL, hypotheses, N_TEST)
        toys = throw_toys(Run(at), contest, TOYS).statistic[:, 0]
        assert (toys >= 0).all()  # neither negative nor NaN
        x = draw(members, TRUTH, N_TEST, rng)
        fits = of_data(at, null, setup).observe(x, log_densities(members, x))
        centre = np.zeros(null.variations.shape[1])
        found = [fits.profile(hypothesis, centre).statistic for hypothesis in hypotheses]
        values.append(
            [
                Empirical(toys[:, column], NULL.name).p_value(t).value
                for column, t in enumerate(found)
            ]
        )
    return Study(np.array(values))


def _check(p: Array, rng: np.random.Generator) -> None:
    assert_rate(int((p <= 0.05).sum()), p.size, 0.05, alpha=LEVEL)
    assert_uniform(p, alpha=LEVEL, steps=TOYS + 1, rng=rng)


def test_the_tilt_has_the_right_size(show: Show) -> None:
    seeds = Seeds(20261122).at("tilt")
    study = _study(seeds, EXPERIMENTS, _same)
    study.show("one reference", show)
    for p in study.p.T:
        _check(p, seeds.at("spread").numpy())


def test_a_reference_of_the_datas_own_rejects_true_nulls(show: Show) -> None:
    # The defective twin, on which the very same checks fail.
    seeds = Seeds(20261122).at("tilt", "own reference")
    study = _study(seeds, TWINS, _own)
    study.show("own reference", show)
    for p in study.p.T:
        with pytest.raises(AssertionError, match="outside"):
            _check(p, seeds.at("spread").numpy())
