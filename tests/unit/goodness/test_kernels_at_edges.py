"""Kernels that reach beyond the model's phase space can neither run away nor hide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from analytic import Blend
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels, LinearSetup
from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
from verisimile.checks.goodness.null import NullModel
from verisimile.checks.goodness.profile import HYPOTHESES, BasisDensities, profile_ratio
from verisimile.checks.goodness.search import Search
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.truths import Camel
from verisimile.mixture.fit import single_weight
from verisimile.mixture.model import Mixture


@dataclass(frozen=True)
class Ridge:
    """A thin curved ridge, y = x^2 + 0.05 N(0, 1): nearly all of the plane is forbidden."""

    n_features = 2
    thickness: float = 0.05

    def log_prob(self, x: Array) -> Array:
        off = (x[:, 1] - x[:, 0] ** 2) / self.thickness
        log = -0.5 * (x[:, 0] ** 2 + off**2) - math.log(2 * math.pi * self.thickness)
        return np.asarray(log)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        first = rng.standard_normal(n)
        return np.column_stack([first, first**2 + self.thickness * rng.standard_normal(n)])


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    return Mixture([Ridge()], single_weight())


def _setup(mixture: Mixture, reach: float) -> LinearSetup:
    kernels = GaussianKernels(count=40, width=1.0, reference=400, reach=reach)
    return kernels.prepare(Run(Seeds(1)), NullModel.of(mixture), events=2000)


def _statistics(setup: LinearSetup, barrier: BasisDensities, samples: int) -> list[float]:
    """Return t of samples of the model itself; a fit that runs away counts as infinite."""
    found = [_statistic(setup, barrier, seed) for seed in range(samples)]
    return [t if math.isfinite(t) else math.inf for t in found]


def _statistic(setup: LinearSetup, barrier: BasisDensities, seed: int) -> float:
    x = Ridge().sample(2000, np.random.default_rng(seed))
    rows = setup.observe(x, Ridge().log_prob(x)[:, None]).rows
    return profile_ratio(
        rows,
        barrier,
        setup.barrier_weight,
        setup.basis,
        hypothesis=HYPOTHESES["single"],
        centre=np.zeros(0),
        solver=setup.solver,
    ).statistic


def test_wide_kernels_are_narrowed_to_the_ridge(mixture: Mixture) -> None:
    kernels = _setup(mixture, 100.0).kernels
    assert np.median(kernels.widths) < 0.9
    assert (kernels.overreach(mixture.log_prob) <= math.log(100.0)).all()


def test_a_true_model_runs_away_only_without_probes_and_narrowing(mixture: Mixture) -> None:
    setup = _setup(mixture, 100.0)
    right = _statistics(setup, setup.barrier, 12)
    assert min(right) >= 0.0
    # Defective twin: barrier events from the model alone.  A kernel beside the
    # ridge sheds mass where no event can object, and the others take it.
    loose = _setup(mixture, 1e300)
    bare = BasisDensities(loose.barrier.base[:400], loose.barrier.design[:400], 0)
    assert max(right) < min(_statistics(loose, bare, 3))


def test_one_feature_has_kernels_wide_enough_to_hold_events() -> None:
    camel = Camel()
    mixture = Mixture([camel], single_weight())
    run = Run(Seeds(2))
    right, wrong = (Events(s * camel.sample(2000, np.random.default_rng(52))) for s in (1.0, 1.1))
    kernels = GaussianKernels(count=30, reference=500)
    setup = kernels.prepare(run, NullModel.of(mixture), events=2000)
    assert setup.kernels.widths.min() >= 0.8 * 0.05
    found = [
        goodness_of_fit(run, mixture, events, alternative=kernels, hypothesis="single", toys=39)
        for events in (right, wrong)
    ]
    assert found[1].p_value.value == 1 / 40 < found[0].p_value.value


@pytest.mark.parametrize("features", [1, 2, 4])
def test_default_kernels_do_not_run_away_in_the_tails(features: int) -> None:
    # A true model without free weights: t is about chi-square with at most `rank`
    # degrees of freedom.  The twin has kernels wider than the model itself.
    model = Blend(np.zeros((1, features)), np.ones((1, features)), np.ones(1))
    mixture = Mixture([model], single_weight())
    events = Events(model.sample(3000, np.random.default_rng(53)))
    default, wide = (
        goodness_of_fit(
            Run(Seeds(3)),
            mixture,
            events,
            alternative=Search((kernels,), placements=1),
            hypothesis="single",
            toys=19,
        )
        for kernels in (GaussianKernels(), GaussianKernels(width=(0.3, 1.0)))
    )
    rank = default.leading.rank
    assert default.leading.toys.mean() < rank + 5.0 * math.sqrt(2.0 * rank / 19) + 0.05 * rank
    if features == 1:
        rank = wide.leading.rank
        assert wide.leading.toys.mean() > rank + 5.0 * math.sqrt(2.0 * rank / 19) + 0.05 * rank
