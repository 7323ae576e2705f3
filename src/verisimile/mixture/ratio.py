"""Ensembles of classifiers as one density ratio with errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike, as_events, matched_values
from verisimile.ensemble.plan import BootstrapPlan
from verisimile.mixture.ratio_fit import RatioFit, fit_ratio_weights
from verisimile.samples.learners import (
    Classifier,
    TrainedClassifier,
    boosted_trees,
    check_learner,
    trained,
)

_EDGE = 1e-9  # a probability closer to zero or one is what rounding makes of it
_FEWEST = 40


@dataclass(frozen=True, slots=True, eq=False)
class RatioMixture:
    r"""The density ratio :math:`\hat r(x) = \sum_i w_i r_i(x)` of reference to generated events.

    Attributes
    ----------
    members
        Trained classifiers; they live in this process, as scikit-learn has no storage but pickle.
    fit
        Weights and their covariance, which can be kept.
    features
        Columns, in order.
    warnings
        What to know before using it.
    """

    members: tuple[TrainedClassifier, ...]
    fit: RatioFit
    features: tuple[Feature, ...]
    warnings: tuple[str, ...] = ()

    def log_ratios(self, x: EventsLike) -> Array:
        r"""Return the members' :math:`\log D/(1 - D)` ``(n, M)``, before normalisation."""
        return _log_odds(self.members, matched_values(x, self.features, "x"))

    def log_ratio(self, x: EventsLike) -> Array:
        """Return log r ``(n,)``; minus infinity where signed weights leave no positive ratio."""
        return self.fit.log_ratio(self.log_ratios(x))

    def weights(self, x: EventsLike) -> Array:
        """Return r ``(n,)``, the weights that make generated events follow the reference."""
        return np.asarray(np.exp(self.log_ratio(x)))

    def errors(self, x: EventsLike) -> Array:
        """Return the standard deviation of r ``(n,)``."""
        return self.fit.error(self.log_ratios(x))

    def std(self, x: EventsLike) -> Array:
        """Return the standard deviation of log r ``(n,)``; infinite where r is not positive."""
        odds = self.log_ratios(x)
        ratio = np.exp(self.fit.log_ratio(odds))
        out = np.full(ratio.shape, np.inf)
        return np.asarray(np.divide(self.fit.error(odds), ratio, out=out, where=ratio > 0.0))

    def covariance(self, x: EventsLike) -> Array:
        """Return the covariance of r between events ``(n, n)``."""
        own, beyond = self.fit.deviations(self.log_ratios(x))
        return np.asarray(own @ own.T + beyond @ beyond.T)


def fit_ratio(
    run: Run,
    reference: EventsLike,
    generated: EventsLike,
    plan: BootstrapPlan = BootstrapPlan(members=10),  # noqa: B008  (a frozen value)
    learner: Classifier | None = None,
    *,
    fraction: float = 0.5,
) -> RatioMixture:
    r"""Learn the density ratio of two samples by an ensemble of classifiers, with errors.

    Members are trained on bootstrap samples of a part of both samples, and weighted on the
    other part (:func:`fit_ratio_weights`), which also normalises them:

    .. math:: r_i(x) \propto \frac{D_i(x)}{1 - D_i(x)}, \qquad \langle r_i \rangle_g = 1 .

    The error :math:`\sigma(x)` holds the fluctuations of both parts of both samples and the
    scatter of the members.  It does not hold what every member has wrong alike: the steps of
    boosted trees, a shape that a small learner cannot have, events beyond the generated ones.

    Parameters
    ----------
    run
        Seeds of split, bootstrap and initialisation.
    reference, generated
        Events, matched by name, with positive weights if any.
    plan
        Number of members and of initialisations of each bootstrap sample.
    learner
        A scikit-learn classifier with probabilities that takes sample weights; for None,
        boosted trees.  A smooth ratio wants a smooth learner, as ``samples.learners.perceptron``:
        its errors are half as large.  Wrap one whose probabilities are not calibrated in
        ``sklearn.calibration.CalibratedClassifierCV``.
    fraction
        Part of each sample that is trained on; the rest decides the weights.

    References
    ----------
    K. Cranmer, J. Pavez, G. Louppe, arXiv:1506.02169 (ratios from classifiers);
    S. Benevedes, J. Thaler, arXiv:2506.00113 (weights of ratios :math:`w_i f_i`).
    """
    p = as_events(reference, "reference")
    g = match_features(as_events(generated, "generated"), p.features)
    require(plan.members > 1, "plan", got=f"{plan.members} member", expected="two or more")
    require(0.0 < fraction < 1.0, "fraction", got=fraction, expected="a number in (0, 1)")
    for name, events in (("reference", p), ("generated", g)):
        require(events.n >= _FEWEST, name, got=f"{events.n} events", expected=f"{_FEWEST} or more")
        positive = events.weights is None or bool((events.weights > 0.0).all())
        require(positive, name, got="weights that are not positive", expected="positive weights")
    chosen = check_learner(boosted_trees() if learner is None else learner, weighted=True)
    parts = [
        events.split((fraction, 1.0 - fraction), run.seeds.at("ratio", name))
        for name, events in (("reference", p), ("generated", g))
    ]
    members = tuple(
        _member(run.seeds.at("ratio"), [part[0] for part in parts], plan, m, chosen)
        for m in range(plan.members)
    )
    held = [part[1] for part in parts]
    found = fit_ratio_weights(
        *(_log_odds(members, events.x) for events in held),
        reference_weights=held[0].weights,
        generated_weights=held[1].weights,
    )
    return RatioMixture(members, found, p.features, _warnings(members))


def _member(
    seeds: Seeds, samples: Sequence[Events], plan: BootstrapPlan, m: int, learner: Classifier
) -> TrainedClassifier:
    """Return one classifier, trained with the bootstrap counts as weights."""
    replica = plan.replica(m)
    sizes: list[Array] = []
    for name, events in zip(("reference", "generated"), samples, strict=True):
        counts = plan.counts(events.n, replica, seeds.at(name), group=events.group)
        drawn = counts * (1.0 if events.weights is None else events.weights)
        sizes.append(np.asarray(drawn / drawn.mean(), dtype=np.float64))
    size = np.concatenate(sizes)
    x = np.concatenate([events.x for events in samples])
    truth = np.arange(size.size) < samples[0].n
    # Not repeated, but weighted: a learner's own validation events must not be among the others.
    used = size > 0.0
    return trained(learner, seeds.at("member", m), x[used], truth[used], size[used])


def _log_odds(members: Sequence[TrainedClassifier], x: Array) -> Array:
    columns = []
    for member in members:
        d = np.clip(member.scores(x), _EDGE, 1.0 - _EDGE)
        columns.append(np.log(d) - np.log1p(-d))
    return np.column_stack(columns)


def _warnings(members: Sequence[TrainedClassifier]) -> tuple[str, ...]:
    count = sum(not member.finished for member in members)
    if not count:
        return ()
    return (f"{count} of {len(members)} trainings did not converge: train longer",)
