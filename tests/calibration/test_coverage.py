"""First moments of the published Gaussian are covered as often as stated, their twin is not.

The truth lies in the span of 12 analytic members, with signed weights.  Each data
set refits the weights on its own events.  With 400 data sets the 95 % binomial
interval reaches 4.6 % to either side; the defective twin, with half of the
covariance, covers 52 % and misses the nominal rate by six standard errors.

Basis and number of events were chosen after trials on a basis with larger signed
weights, where the members' finite draws biased one feature: docs/coverage.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from analytic import Blend, log_densities
from coverage_values import PAPER, spanning_members, spanning_mixture
from statistical import assert_rate
from verisimile.checks.coverage.conditional import coverage
from verisimile.checks.coverage.observables import Moment, Observable
from verisimile.checks.coverage.result import Coverage, ObservableCoverage
from verisimile.checks.coverage.retrained import coverage_retrained
from verisimile.checks.coverage.summary import Outcomes, summarise
from verisimile.checks.coverage.truth import KnownTruth
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

NOMINAL = 0.6827
LEVEL = 0.05  # of each check, two-sided: the 95 % interval
DATASETS, EVENTS, MEMBERS = 400, 4000, 12
RETRAINED = 300
MEANS: dict[str, Observable] = {"mean x0": Moment("x0"), "mean x1": Moment("x1")}
TRUTH = KnownTruth(PAPER, {"mean x0": -0.5, "mean x1": 0.6})


def _check(items: Sequence[ObservableCoverage]) -> None:
    for item in items:
        assert_rate(item.covered, item.trials, NOMINAL, alpha=LEVEL)


def _print(found: Coverage, title: str, show: Show) -> None:
    for item in found.observables:
        show(
            f"{title:30s} {item.name}: {item.rate:.4f} [{item.low:.4f}, {item.high:.4f}]  "
            f"pull {item.pull_mean:+.3f} ± {item.pull_mean_error:.3f}, "
            f"width {item.pull_width:.3f} ± {item.pull_width_error:.3f}  "
            f"({item.trials} data sets, {item.failed} failed, "
            f"{item.sampling_share:.1%} from draws)"
        )


@pytest.fixture(scope="module")
def conditional() -> Coverage:
    """Return the study that the right check and its defective twin share."""
    mixture = spanning_mixture(spanning_members(MEMBERS), EVENTS)
    return coverage(
        Run(Seeds(20261123)),
        mixture,
        TRUTH,
        observables=MEANS,
        level=NOMINAL,
        datasets=DATASETS,
    )


def test_first_moments_are_covered(conditional: Coverage, show: Show) -> None:
    _print(conditional, conditional.mode, show)
    assert all(item.failed == 0 for item in conditional.observables)
    _check(conditional.observables)


def test_half_the_covariance_does_not_cover(conditional: Coverage, show: Show) -> None:
    # The defective twin, on which the very same check fails for both features.
    pulls = conditional.pulls
    errors = np.full(pulls.shape, np.sqrt(0.5))
    twin = summarise(
        Outcomes(pulls, errors, np.zeros(pulls.shape)),
        list(MEANS),
        [Estimate(0.0, 0.0)] * len(MEANS),
        mode=conditional.mode,
        level=NOMINAL,
        n_events=EVENTS,
    )
    _print(twin, "covariance x 0.5", show)
    for item in twin.observables:
        with pytest.raises(AssertionError, match="outside"):
            _check([item])


def _gaussians(members: int) -> Callable[[Seeds, Events], Mixture]:
    """Return a recipe: Gaussians fitted to bootstrap replicas of one half, weights on the other."""

    def make(seeds: Seeds, events: Events) -> Mixture:
        rng = seeds.numpy()
        half = events.n // 2
        replicas = [events.x[rng.integers(half, size=half)] for _ in range(members)]
        made = [Blend(x.mean(axis=0)[None], x.std(axis=0)[None], np.ones(1)) for x in replicas]
        return Mixture(made, fit_weights(log_densities(made, events.x[half:])))

    return make


def test_retrained_members_cover_only_when_they_are_many(show: Show) -> None:
    # The training fluctuates in four directions (two means, two widths), and M - 1 are free.
    found = {}
    for members in (2, 3, 5):
        study = coverage_retrained(
            Run(Seeds(20261124)).at(members),
            _gaussians(members),
            TRUTH,
            observables=MEANS,
            level=NOMINAL,
            datasets=RETRAINED,
            events=2000,
        )
        _print(study, f"{study.mode}, M = {members}", show)
        found[members] = study
    for item in found[2].observables:
        with pytest.raises(AssertionError, match="outside"):
            _check([item])
    for few, many in zip(found[2].observables, found[5].observables, strict=True):
        assert many.low > few.high
