"""Differential amplification in several features: KS distance of a classifier's scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special, stats

from verisimile.checks.amplification.kolmogorov import refuse_weights
from verisimile.checks.amplification.result import Amplification, Interval, check_plan
from verisimile.core.arrays import Array
from verisimile.core.errors import require
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable, ks_distance
from verisimile.samples.coordinates import circular_events
from verisimile.samples.learners import Classifier, boosted_trees, check_learner, scores
from verisimile.stats.intervals import ONE_SIGMA

_MEAN_SQUARE = math.pi**2 / 12.0  # of the Kolmogorov distribution
_LIMIT = 0.95
_MOST = 20_000  # of each sample, to learn from
FEWEST = 200
"""Held-out events with which a classifier learns something."""


def kolmogorov_classifier(
    run: Run,
    generated: EventsLike,
    holdout: EventsLike,
    n_train: int,
    *,
    learner: Classifier | None = None,
    levels: Sequence[float] = (ONE_SIGMA, 0.95),
) -> Amplification:
    r"""Return how many true events a generator is worth in the score of a classifier.

    A classifier learns to tell half of the holdout from as many generated events.  All other
    events are scored, and :math:`D_s` is the KS distance of the two laws of the score, which for
    the exact density ratio is their total variation.  True events in number n are at
    :math:`E D^2 = \pi^2 / 12 n` from the truth in any score that was fixed before, so that

    .. math:: \frac1G = n_\mathrm{train} \frac{D_s^2}{\pi^2 / 12}.

    The distance of this generator in this score is a fixed number, and with
    :math:`s^2 = 1/n_\mathrm{gen} + 1/m`

    .. math:: D_s \in [D - \kappa_{1 - \alpha/2}\, s,\ D + \tfrac12 z_{1 - \alpha/2}\, s]

    covers it at the least: noise adds no more than its own supremum (:math:`\kappa` of
    Kolmogorov's distribution), and takes no more away than it does at one point.
    ``details["gain_above_95"]`` is the one-sided lower limit on G.  As the score looks for the
    difference, a true sample with a classifier of its own is farther away than in a score fixed
    before: of a generator that errs like a sample, G comes out too small, and the limit holds.

    Parameters
    ----------
    run
        Streams of the split and of the classifier.
    generated, holdout
        Events without weights of one feature or more; 4 at least of each.
    n_train
        Events that the generator was trained with.
    learner
        A classifier of scikit-learn; by default boosted trees.
    levels
        Contents of the intervals, which cover at least as often.

    References
    ----------
    VERaiPHY eqs. 34-37 and section 6.2 (a classifier in several features); interval: this package.
    """
    holdout, generated = comparable(holdout=holdout, generated=generated)
    refuse_weights(generated=generated, holdout=holdout)
    check_plan(n_train, levels)
    learner = check_learner(learner or boosted_trees(), weighted=False)
    first, second, learnt = _scored(
        run, match_features(generated, holdout.features), holdout, learner
    )
    noise = 1.0 / first.size + 1.0 / second.size
    distance = ks_distance(first, second)
    excess = distance**2 - _MEAN_SQUARE * noise
    scale = n_train / _MEAN_SQUARE
    ceiling = scale * _largest(distance, noise, _LIMIT) ** 2
    return Amplification(
        measure="kolmogorov-classifier",
        resolution=0,
        inverse_gain=Estimate(scale * excess, scale * _error(excess, noise)),
        intervals=tuple(
            Interval(
                level,
                scale * _smallest(distance, noise, 0.5 * (1.0 + level)) ** 2,
                scale * _largest(distance, noise, 0.5 * (1.0 + level)) ** 2,
            )
            for level in levels
        ),
        n_train=n_train,
        n_generated=first.size,
        n_holdout=second.size,
        details={
            "distance": distance,
            "floor": math.sqrt(math.pi / 2) * math.log(2) * math.sqrt(noise),
            "gain_above_95": 1.0 / ceiling,
            "learnt from, of each": float(learnt),
        },
    )


def _scored(
    run: Run, generated: Events, holdout: Events, learner: Classifier
) -> tuple[Array, Array, int]:
    """Return scores of generated and held-out events that the classifier has not seen."""
    for events, name in ((generated, "generated"), (holdout, "holdout")):
        require(events.n >= 4, name, got=f"{events.n} events", expected="4 or more")
    true, made = (each.x for each in circular_events((holdout, generated)))
    size = min(len(true) // 2, len(made) // 2, _MOST)
    at = run.seeds.at("amplification", "classifier")
    true = true[at.at("holdout").numpy().permutation(len(true))]
    made = made[at.at("generated").numpy().permutation(len(made))]
    x = np.concatenate([true[:size], made[:size]])
    truth = np.arange(2 * size) < size
    rest = np.concatenate([made[size:], true[size:]])
    found, _ = scores(learner, at.at("learner"), x, truth, None, rest)
    return found[: len(made) - size], found[len(made) - size :], size


def _smallest(distance: float, noise: float, level: float) -> float:
    return max(0.0, distance - float(special.kolmogi(1.0 - level)) * math.sqrt(noise))


def _largest(distance: float, noise: float, level: float) -> float:
    return min(1.0, distance + 0.5 * float(stats.norm.ppf(level)) * math.sqrt(noise))


def _error(excess: float, noise: float) -> float:
    """Return the standard error of the squared distance, of Kolmogorov's law at zero distance."""
    return math.sqrt(0.4 * (_MEAN_SQUARE * noise) ** 2 + max(excess, 0.0) * noise)
