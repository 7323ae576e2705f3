"""The classifier's logit of events: out of fold where it was trained, the folds' mean elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.samples.coordinates import circles, in_turns, periodic
from verisimile.samples.learners import Classifier, TrainedClassifier, trained

_SURE = 1e-4  # scores nearer to 0 or 1 are taken for it: a tree that is certain has seen few


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Classifiers of the folds; none of them for a ratio without a classifier."""

    members: tuple[TrainedClassifier, ...]

    def of(self, events: Events) -> Array:
        """Return the mean logit of the folds ``(n, 1)``, zero without a classifier."""
        if not self.members:
            return np.zeros((events.n, 1))
        x = _inputs(events)
        return np.asarray(
            np.mean([_logit(each.scores(x)) for each in self.members], axis=0)[:, None]
        )


def cross_fitted(
    samples: Sequence[Events], learner: Classifier, folds: int, seeds: Seeds
) -> tuple[Levels, list[tuple[Events, Array]]]:
    """Return classifiers of two samples, the first true, and their events out of fold.

    Of each sample the events, in the order of the folds, and their logits ``(n, 1)``.  Both samples
    weigh the same, whatever their sizes; groups stay whole.
    """
    parts = [
        events.split([1.0 / folds] * folds, seeds.at("folds", k))
        for k, events in enumerate(samples)
    ]
    members, held = [], []
    for fold in range(folds):
        train = [
            Events.concatenate([part for k, part in enumerate(own) if k != fold]) for own in parts
        ]
        sizes = [_weights(events) for events in train]
        fitted = trained(
            learner,
            seeds.at("fold", fold),
            np.concatenate([_inputs(events) for events in train]),
            np.arange(train[0].n + train[1].n) < train[0].n,
            np.concatenate(sizes),
        )
        members.append(fitted)
        held.append([_logit(fitted.scores(_inputs(own[fold]))) for own in parts])
    return Levels(tuple(members)), [
        (Events.concatenate(own), np.concatenate([each[k] for each in held])[:, None])
        for k, own in enumerate(parts)
    ]


def _weights(events: Events) -> Array:
    u = np.ones(events.n) if events.weights is None else events.weights
    return np.asarray(u / u.mean() / events.n * 1000.0)


def _inputs(events: Events) -> Array:
    around = periodic(events.features)
    if not around.any():
        return events.x
    return circles(in_turns(events.x, events.features), around).x


def _logit(score: Array) -> Array:
    return np.asarray(logit(np.clip(score, _SURE, 1.0 - _SURE)))
