"""Errors of density ratios against known ones, and the size of tests of reweighted samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

import verisimile as vs
from ratio_pairs import BumpPair, GaussianPair
from verisimile.core.arrays import Array
from verisimile.repair.reweight import Reweighting

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

CHECKED = 3000


def learnt(
    pair: GaussianPair | BumpPair, n: int, seed: int, refits: int
) -> tuple[Reweighting, Array]:
    rng = np.random.default_rng(seed)
    found = vs.reweight(
        vs.Run(vs.Seeds(seed)),
        pair.reference(n, rng),
        pair.generated(n, rng),
        permutations=99,
        check=0.2,
        refits=refits,
    )
    return found, pair.generated(CHECKED, rng)


def covered(pair: GaussianPair | BumpPair, n: int, seeds: range, refits: int = 2) -> Array:
    """Return the share of events whose ratio is in the band, of each experiment."""
    out = []
    for seed in seeds:
        found, x = learnt(pair, n, seed, refits)
        x = x[found.inside(x)]
        w = found.weights(x)
        pulls = (np.log(w) - pair.log_ratio(x)) * w / found.errors(x)
        out.append(float((np.abs(pulls) < 1.0).mean()))
    return np.array(out)


@pytest.mark.parametrize(
    ("pair", "n", "count"),
    [
        (GaussianPair(4), 6000, 40),
        (BumpPair(4), 6000, 40),
        (GaussianPair(8), 6000, 12),
        (BumpPair(8), 6000, 12),
    ],
)
def test_bands_of_weights_cover_two_thirds(
    pair: GaussianPair | BumpPair, n: int, count: int, show: Callable[[str], None]
) -> None:
    rates = covered(pair, n, range(count))
    error = rates.std(ddof=1) / np.sqrt(count)
    show(f"{type(pair).__name__}, d = {pair.d}: {rates.mean():.3f} ± {error:.3f}")
    assert abs(rates.mean() - 0.683) < 0.04 + 2.0 * error


def test_bands_that_no_refit_has_calibrated_are_too_wide(show: Callable[[str], None]) -> None:
    """The twin: where most features are right, the posterior of the coefficients is too wide."""
    rates = covered(BumpPair(8), 6000, range(100, 106), refits=0)
    error = rates.std(ddof=1) / np.sqrt(rates.size)
    show(f"without refits: {rates.mean():.3f} ± {error:.3f}")
    assert rates.mean() - 0.683 > 0.04 + 2.0 * error


def test_tests_of_reweighted_samples_hold_their_size() -> None:
    """And those that take the weights for known do not: the twin."""
    pair, small, twin = GaussianPair(2), 0, 0
    for seed in range(100):
        rng = np.random.default_rng(1000 + seed)
        found = vs.reweight(
            vs.Run(vs.Seeds(seed)),
            pair.reference(3000, rng),
            pair.generated(3000, rng),
            permutations=199,
            check=0.5,
        )
        small += found.p_value.value <= 0.05
        fresh, x = pair.reference(3000, rng), pair.generated(3000, rng)
        known = vs.two_sample(
            vs.Run(vs.Seeds(seed)),
            fresh,
            vs.Events(x, weights=found.weights(x)),
            statistic=vs.MarginalKS(),
            permutations=199,
        )
        twin += known.p_value.value <= 0.05
    assert stats.binomtest(small, 100, 0.05, alternative="greater").pvalue > 0.01
    assert stats.binomtest(twin, 100, 0.05, alternative="greater").pvalue < 0.01
