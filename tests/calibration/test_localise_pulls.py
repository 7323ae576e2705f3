"""The scores of single kernels are standard normal under the null, and their twins are not.

Each pseudo-experiment draws weights within the covariance of one weight fit and 4 n_w events
from them, and localises.  A score is a sum of n bounded terms: its law is normal up to
1 / sqrt(n); kernels that hold fewer than twenty events are left out.  Mean and
variance of a kernel's scores must agree with 0 and 1 within 5 standard errors, of which the
variance's is sqrt(2 / experiments); the estimated information may add 3 % to the variance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from analytic import draw, family, log_densities
from statistical import assert_within
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.likelihood_ratio import compare_hypotheses
from verisimile.checks.goodness.localise import information, localise, nearness
from verisimile.checks.goodness.null import NullModel, Predictive
from verisimile.checks.goodness.result import Goodness
from verisimile.checks.goodness.search import Alternative
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1800)]

EXPERIMENTS, N_WEIGHTS, N_TEST, DRAWS = 300, 500, 2000, 6000
TRUTH = np.array([0.35, 0.25, 0.15, 0.15, 0.10])
ALTERNATIVES = (
    GaussianKernels(count=8, width=0.7, reference=400),
    ExponentialTilt(count=8, width=0.7),
)
HYPOTHESES = ("ensemble", "ensemble+uncertainty")
ESTIMATED = 0.03
BUSY = 20


def _naive(run: Run, tested: Goodness, x: Array) -> Array:
    """Return scores whose errors know nothing of the weights (the defective twin)."""
    fitted = tested.fitted
    assert fitted is not None
    kernels = fitted.setup.kernels
    known = information(run, fitted, kernels, DRAWS)
    score = nearness(kernels, x).sum(axis=0) - x.shape[0] * known.expected
    variance = x.shape[0] * known.kernels + (x.shape[0] * known.error) ** 2
    return np.asarray(score / np.sqrt(variance))


@pytest.fixture(scope="module", params=ALTERNATIVES, ids=["kernels", "tilt"])
def pulls(request: pytest.FixtureRequest) -> dict[str, Array]:
    """Return the scores ``(experiments, K)`` by hypothesis, and those of the twins."""
    seeds = Seeds(20261204)
    members = family(TRUTH.size)
    data = draw(members, TRUTH, N_WEIGHTS, seeds.at("weights").numpy())
    mixture = Mixture(members, fit_weights(log_densities(members, data)))
    null = NullModel.of(mixture)
    rows: dict[str, list[Array]] = {name: [] for name in (*HYPOTHESES, *map(_twin, HYPOTHESES))}
    expected: list[Array] = []
    for experiment in range(EXPERIMENTS):
        rng = seeds.at("data", experiment).numpy()
        truth, _ = Predictive().draw(null.variations.shape[1], rng)
        x = null.sample(truth, N_TEST, rng).x
        for tested in _tested(mixture, Events(x), request.param):
            run = Run(seeds.at("draws", experiment))
            found = localise(run, tested, Events(x), draws=DRAWS)
            rows[tested.hypothesis].append(found.z)
            expected.append(found.expected)
            rows[_twin(tested.hypothesis)].append(_naive(run.at("twin"), tested, x))
    # A score of few events is skewed, as a Poisson number is.
    busy = np.mean(expected, axis=0) > BUSY
    assert busy.sum() > 4
    return {name: np.array(z)[:, busy] for name, z in rows.items()}


def _twin(hypothesis: str) -> str:
    return f"{hypothesis}, weights ignored"


def _tested(mixture: Mixture, events: Events, alternative: Alternative) -> tuple[Goodness, ...]:
    # The seeds of the kernels are fixed: every experiment asks the same places.
    run = Run(Seeds(20261204).at("kernels"))
    return compare_hypotheses(
        run, mixture, events, alternative=alternative, hypotheses=HYPOTHESES, toys=1
    )


def _assert_standard(z: Array) -> None:
    error = np.sqrt(1.0 / EXPERIMENTS)
    assert_within(z.mean(axis=0), 0.0, error)
    assert_within(z.var(axis=0), 1.0, np.sqrt(2.0) * error + ESTIMATED / 5.0)


def _shown(name: str, z: Array, show: Show) -> None:
    variance = z.var(axis=0)
    show(
        f"{name:38s} mean {z.mean():+.3f}, variance by kernel {variance.min():.2f} to "
        f"{variance.max():.2f}, |z| > 1.96 in {(np.abs(z) > 1.96).mean():.3f}"
    )


@pytest.mark.parametrize("hypothesis", HYPOTHESES)
def test_scores_are_standard_normal(pulls: dict[str, Array], hypothesis: str, show: Show) -> None:
    z = pulls[hypothesis]
    _shown(hypothesis, z, show)
    _assert_standard(z)
    for column in z.T:
        assert stats.kstest(column, "norm").pvalue > 1e-4 / z.shape[1]


@pytest.mark.parametrize("hypothesis", HYPOTHESES)
def test_scores_that_ignore_the_weights_are_not(
    pulls: dict[str, Array], hypothesis: str, show: Show
) -> None:
    z = pulls[_twin(hypothesis)]
    _shown(_twin(hypothesis), z, show)
    with pytest.raises(AssertionError, match="off by"):
        _assert_standard(z)
