"""How often the errors of density ratios hold the exact ratio, for three kinds of learners."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

import verisimile as vs
from statistical import assert_rate
from verisimile.samples.learners import Classifier, boosted_trees, perceptron, polynomial

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

LEARNERS: dict[str, tuple[Classifier, int]] = {
    "polynomial": (cast(Classifier, polynomial(degree=2)), 200),
    "perceptron": (perceptron(hidden=(16,), epochs=100), 100),
    "trees": (boosted_trees(), 100),
}
AT = np.array([[-1.0], [0.0], [0.7], [1.5]])
LEVELS = (0.6827, 0.95)


@pytest.mark.parametrize("name", list(LEARNERS))
def test_errors_of_a_ratio_cover(name: str, show: Show) -> None:
    learner, repetitions = LEARNERS[name]
    rng, exact = np.random.default_rng(821), 0.5 * AT[:, 0] - 0.125
    pulls, weights_alone, means = [], [], []
    for repetition in range(repetitions):
        p, g = rng.normal(0.5, 1.0, (1000, 1)), rng.normal(size=(1000, 1))
        plan = vs.BootstrapPlan(members=6)
        found = vs.mixture.fit_ratio(vs.Run(vs.Seeds(repetition)), p, g, plan, learner)
        odds = found.log_ratios(AT)
        away, (own, _) = found.log_ratio(AT) - exact, found.fit.deviations(odds)
        pulls.append(away / found.std(AT))
        weights_alone.append(away / (np.sqrt((own**2).sum(axis=1)) / found.weights(AT)))
        centred = odds - found.fit.log_means
        spread = odds.std(axis=1, ddof=1) / np.sqrt(odds.shape[1])
        means.append((centred.mean(axis=1) - exact) / spread)
    for title, found_pulls in (
        ("band", pulls),
        ("weights alone", weights_alone),
        ("standard error of the mean", means),
    ):
        sizes = np.abs(found_pulls)
        show(f"{name}, {title}: 68 % {(sizes < 1.0).mean(0)}, 95 % {(sizes < 1.96).mean(0)}")
    for place in range(len(AT)):
        for reach, level in zip((1.0, 1.96), LEVELS, strict=True):
            hits = int((np.abs(pulls)[:, place] < reach).sum())
            # Steps of trees are a bias that all members share.
            if name != "trees":
                assert_rate(hits, repetitions, level)
    # The twins: the mean's standard error knows nothing of the events that all members share.
    with pytest.raises(AssertionError):
        assert_rate(int((np.abs(means)[:, 3] < 1.96).sum()), repetitions, 0.95)
    if name == "trees":
        with pytest.raises(AssertionError):
            assert_rate(int((np.abs(weights_alone)[:, 3] < 1.96).sum()), repetitions, 0.95)
        assert (np.abs(pulls) < 1.96).mean() > 0.85
