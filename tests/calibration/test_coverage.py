"""First moments of the published Gaussian are covered as often as stated, twins are not.

The truth lies in the span of 12 analytic members, with signed weights: mild ones
(sum of moduli about 2) and large ones (about 100).  Each data set refits the
weights on its own events.  The check is the exact binomial interval of level 95 %
for each feature: a correct program fails it for one feature in 20, so for an
arbitrary seed one of the two bases fails in about one case of six.  The seeds were
set before the first run, and are fixed; a failure after a change is to be followed
up with more data sets, never with another seed.

With 600 data sets the interval reaches 3.8 % to either side.  Half of the
covariance covers 52 %, eight standard errors away.  Draws of each member by itself,
as many in all as the pool has, shift all data sets alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from coverage_values import PAPER, spanning_members, spanning_mixture
from statistical import assert_rate
from verisimile.checks.coverage.basis import BasisTerm, LeaveOneOut
from verisimile.checks.coverage.conditional import coverage
from verisimile.checks.coverage.observables import Moment, Observable
from verisimile.checks.coverage.result import Coverage, ObservableCoverage, Outcomes, summarise
from verisimile.checks.coverage.retrained import MakeMixture, coverage_retrained
from verisimile.checks.coverage.truth import KnownTruth
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.truths import GaussianTruth
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import member_log_densities

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

NOMINAL = 0.6827
LEVEL = 0.05  # of each check, two-sided: the 95 % interval
DATASETS, EVENTS, MEMBERS = 600, 4000, 12
RETRAINED = 300
BASES = {"mild": 0.3, "large": 0.9}
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


def _basis(name: str) -> Mixture:
    return spanning_mixture(spanning_members(MEMBERS, mixing=BASES[name]), EVENTS)


@pytest.fixture(scope="module", params=list(BASES))
def conditional(request: pytest.FixtureRequest) -> tuple[str, Coverage]:
    """Return the study that the right check and its defective twins share."""
    found = coverage(
        Run(Seeds(20261123).at(request.param)),
        _basis(request.param),
        TRUTH,
        observables=MEANS,
        level=NOMINAL,
        datasets=DATASETS,
    )
    return request.param, found


def test_first_moments_are_covered(conditional: tuple[str, Coverage], show: Show) -> None:
    name, found = conditional
    _print(found, f"{found.mode}, {name} weights", show)
    assert all(item.failed == 0 for item in found.observables)
    assert all(item.sampling_share < 0.02 for item in found.observables)
    _check(found.observables)


def _twin(found: Coverage, pulls: Array, error: float) -> Coverage:
    """Return the same study with other pulls."""
    return summarise(
        Outcomes(pulls, np.full(pulls.shape, error), np.zeros(pulls.shape)),
        list(MEANS),
        [Estimate(0.0, 0.0)] * len(MEANS),
        mode=found.mode,
        level=NOMINAL,
        n_events=EVENTS,
    )


def test_half_the_covariance_does_not_cover(conditional: tuple[str, Coverage], show: Show) -> None:
    # The defective twin, on which the very same check fails for both features.
    name, found = conditional
    twin = _twin(found, found.pulls, float(np.sqrt(0.5)))
    _print(twin, f"covariance x 0.5, {name}", show)
    for item in twin.observables:
        with pytest.raises(AssertionError, match="outside"):
            _check([item])


def test_separate_draws_of_each_member_do_not_cover(show: Show) -> None:
    # The defective twin of the pool: as many draws in all, but each member on its own.
    mixture = _basis("large")
    rng = np.random.default_rng(20261126)
    draws = 200_000 // MEMBERS
    means = np.array([m.sample(draws, rng).mean(axis=0) for m in mixture.members])
    pulls = []
    for _ in range(100):
        fit = fit_weights(mixture.log_densities(PAPER.sample(EVENTS, rng)))
        error = np.sqrt(np.diag(means.T @ fit.covariance @ means))
        pulls.append((fit.weights @ means - PAPER.mu) / error)
    twin = _twin(_EMPTY, np.array(pulls), 1.0)
    _print(twin, "separate draws", show)
    with pytest.raises(AssertionError, match="outside"):
        _check(twin.observables)


_EMPTY = Coverage("conditional", NOMINAL, 0.95, 0, EVENTS, (), np.empty((0, 2)))


def _gaussians(members: int) -> MakeMixture:
    """Return a recipe: Gaussians fitted to bootstrap replicas of one half, weights on the other."""

    def make(seeds: Seeds, events: Events) -> tuple[Mixture, Events]:
        rng = seeds.numpy()
        half = events.n // 2
        replicas = [events.x[rng.integers(half, size=half)] for _ in range(members)]
        made = [GaussianTruth(tuple(x.mean(axis=0)), tuple(x.std(axis=0))) for x in replicas]
        rest = Events(events.x[half:])
        return Mixture(made, fit_weights(member_log_densities(made, rest.x))), rest

    return make


def _retrained(members: int, basis: BasisTerm | None = None) -> Coverage:
    return coverage_retrained(
        Run(Seeds(20261124)).at(members),
        _gaussians(members),
        TRUTH,
        observables=MEANS,
        level=NOMINAL,
        datasets=RETRAINED,
        events=2000,
        basis=basis,
    )


def test_retrained_members_cover_only_when_they_are_many(show: Show) -> None:
    # The training fluctuates in four directions (two means, two widths), and M - 1 are free.
    found = {members: _retrained(members) for members in (2, 3, 5, 10, 20)}
    for members, study in found.items():
        _print(study, f"{study.mode}, M = {members}", show)
    for item in found[2].observables:
        with pytest.raises(AssertionError, match="outside"):
            _check([item])
    for few, many in zip(found[2].observables, found[5].observables, strict=True):
        assert many.low > few.high


def test_members_left_out_in_turn_restore_coverage(show: Show) -> None:
    found = {members: _retrained(members, LeaveOneOut()) for members in (2, 3, 5, 10, 20)}
    for members, study in found.items():
        _print(study, f"{study.mode} + basis, M = {members}", show)
    # Two members have a single difference, too little for a variance: better, not enough.
    for with_term, without in zip(found[2].observables, _retrained(2).observables, strict=True):
        assert with_term.low > without.high
    # From three members on nothing is missing; before they are enough it is a little wide.
    for members in (3, 5, 10, 20):
        for item in found[members].observables:
            assert item.high >= NOMINAL
    # Once the members span what the training does, there is nothing to add.
    np.testing.assert_allclose(found[20].pulls, _retrained(20).pulls, rtol=0.02)
