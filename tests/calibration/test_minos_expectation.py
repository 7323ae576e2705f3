"""Profile intervals of a mixture with its discrepancy hold the truth, on average over observables.

Three ensembles whose members are all wrong in the same way, ten data sets for each.  The intervals
of one data set, and those of one ensemble, move together: the check is on the mean over all,
within five of the errors that data sets show.  Defective twin: the profile of the weights alone,
for given members, of the same events.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

from biased_ensemble import Observables, corrected, fitted, members, truth
from statistical import assert_within
from verisimile.checks.coverage.corrected import JointRefit
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.discrepancy.profile import minos_expectation
from verisimile.mixture.minos import minos_observable

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1800)]

ENSEMBLES, DATASETS, EVENTS = 3, 10, 1000
SETTINGS = Discrepancy(reference=10_000, draws=60)
CHOSEN = (2, 4, 9, 12, 17)  # bins of the bulk of both features, and a box

Inside = tuple[Array, Array]
"""Whether the intervals ``(data sets, observables)`` hold the truth: with discrepancy, without."""


def _content(x: Array, seen: Observables, which: int) -> Array:
    return seen(x)[:, which]


def _of_an_ensemble(seed: int, seen: Observables, true: Array) -> Inside:
    rng = np.random.default_rng([81, seed])
    events = Events(truth(EVENTS, rng), names=("a", "b"))
    mixture = corrected(fitted(members(4, 3000, rng), events), events, seed, SETTINGS)
    run = Run(Seeds(seed))
    refit = JointRefit.of(mixture, *mixture.weighted_draws(run))
    given = np.array([seen(m.sample(50_000, rng)).mean(axis=0) for m in mixture.members])
    honest, plain = [], []
    for dataset in range(DATASETS):
        x = truth(EVENTS, rng)
        law = refit(x, mixture.log_densities(x), Seeds(seed).at(dataset)).mixture
        found = [
            minos_expectation(law, functools.partial(_content, seen=seen, which=k), run)
            for k in CHOSEN
        ]
        logf = mixture.log_densities(x)
        alone = [minos_observable(logf, given[:, k]) for k in CHOSEN]
        honest.append(
            [each.low <= true[k] <= each.high for k, each in zip(CHOSEN, found, strict=True)]
        )
        plain.append(
            [each.low <= true[k] <= each.high for k, each in zip(CHOSEN, alone, strict=True)]
        )
    return np.array(honest, dtype=float), np.array(plain, dtype=float)


def test_profile_intervals_hold_the_truth_on_average() -> None:
    rng = np.random.default_rng(80)
    many = truth(400_000, rng)
    seen = Observables(many[:20_000], 4, rng)
    true = np.concatenate([seen(part) for part in np.split(many, 20)]).mean(axis=0)
    found = [_of_an_ensemble(seed, seen, true) for seed in range(ENSEMBLES)]

    def assert_covers(inside: Array) -> None:
        by_dataset = inside.mean(axis=1)
        error = max(by_dataset.std(ddof=1), 0.1) / np.sqrt(by_dataset.size)
        assert_within(by_dataset.mean(), 0.6827, error)

    assert_covers(np.concatenate([honest for honest, _ in found]))
    with pytest.raises(AssertionError):
        assert_covers(np.concatenate([plain for _, plain in found]))
