"""The published statistic of 10 662 is 10 649.8 of normalisation artefact.

Numbers: G. Badaracco et al., sec. 3, as run: N = 100 000 events, 60 members,
20 kernels, penalty 10^6; stored null toys have mean 10 662 and masses near 2.30 and 2.57.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analytic import Blend
from statistical import FIVE_SIGMA
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.null import NullModel
from verisimile.checks.goodness.profile import HYPOTHESES
from verisimile.checks.goodness.soft_penalty import penalised_mass, soft_penalty_ratio
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.mixture.fit import single_weight
from verisimile.mixture.model import Mixture

N, MEMBERS, KERNELS = 100_000, 60, 20


def test_the_closed_form_gives_the_published_artefact() -> None:
    null, alternative = (penalised_mass(N, m) for m in (MEMBERS, MEMBERS + KERNELS))
    assert N * math.log(alternative / null) == pytest.approx(10_649.8, abs=0.05)


def test_a_true_model_gets_ten_thousand_units_from_the_penalty_and_tens_without() -> None:
    truth = Blend(np.array([[-0.5, 0.6]]), np.array([[0.25, 0.4]]), np.ones(1))
    settings = GaussianKernels(count=KERNELS, width=0.3)
    null = NullModel.of(Mixture([truth], single_weight()))
    setup = settings.prepare(Run(Seeds(1)), null, events=N)
    x = truth.sample(N, np.random.default_rng(71))
    fits = setup.observe(x, truth.log_prob(x)[:, None])
    soft = soft_penalty_ratio(fits.rows, setup.basis, coefficients=(MEMBERS, MEMBERS + KERNELS))
    assert soft.null_mass == pytest.approx(2.303, abs=5e-4)
    assert soft.alternative_mass == pytest.approx(2.562, abs=5e-4)
    assert soft.artefact == pytest.approx(10_649.8, abs=0.05)
    # Without the artefact the model is true: chi-square with K - 1 degrees of freedom at most.
    # The published statistic has no factor two.
    largest = float(stats.chi2.isf(FIVE_SIGMA, KERNELS - 1))
    assert 0.0 < 2 * (soft.statistic - soft.artefact) < largest
    exact = fits.profile(HYPOTHESES["single"], np.zeros(0)).statistic
    assert 0.0 < exact < largest
