"""The package's own measures of two samples, as metrics of the arena."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from verisimile.checks.classifier.auc import auc_p_value
from verisimile.checks.physics.correlations import correlations, spearman
from verisimile.checks.physics.histograms import marginal_pair
from verisimile.checks.physics.moments import moments
from verisimile.checks.support.study import Balls, evaluate
from verisimile.checks.twosample.permutation import Job, permutation_test
from verisimile.checks.twosample.statistics.mmd import MMD
from verisimile.checks.twosample.statistics.nplm import NPLM
from verisimile.checks.twosample.statistics.protocol import Statistic, entries
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.ranking.metrics import Metric
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import Coordinates, Standardised
from verisimile.samples.copies import scales, twins
from verisimile.samples.learners import Classifier, boosted_trees, perceptron, scores
from verisimile.samples.pool import pool_samples
from verisimile.stats.aggregate import holm, min_p

_PERMUTATIONS = 99
_NEIGHBOURS = 5
_BATTERY = ("energy", "sliced-ks", "max-ks", "interval-scan")
_PERMUTED = ("energy", "mmd", "max-ks", "nplm")
_SINGLE: Mapping[str, Statistic] = {"mmd, one width": MMD(), "nplm, one width": NPLM()}
_LEARNERS: Mapping[str, Callable[[], Classifier]] = {
    "trees": boosted_trees,
    "perceptron": perceptron,
}


@dataclass(frozen=True, slots=True)
class StatisticValue:
    """The value of a statistic, large for different samples."""

    statistic: Statistic
    coordinates: Coordinates = Standardised()

    def __call__(self, reference: Array, generated: Array) -> float:
        """Return the value."""
        first, second = comparable(reference=reference, generated=generated)
        pool = pool_samples(first, second, self.coordinates)
        labels = (np.arange(len(pool.x)) < pool.sizes[0])[None]
        return float(Job(pool, self.statistic, Seeds(0)).relabeled(labels)[0, 0])


@dataclass(frozen=True, slots=True)
class Together:
    """The exact p-value of tests of the battery: the smallest of theirs, on common relabelings."""

    names: tuple[str, ...]
    permutations: int = _PERMUTATIONS

    def __call__(self, reference: Array, generated: Array) -> float:
        """Return the p-value; fixed seeds make it a function of the pair."""
        at: dict[Coordinates, list[Statistic]] = {}
        for name in self.names:
            at.setdefault(entries()[name].coordinates, []).append(entries()[name].statistic)
        found = [
            each
            for coordinates, statistics in at.items()
            for each in permutation_test(
                Run(Seeds(0)),
                reference,
                generated,
                statistics,
                permutations=self.permutations,
                coordinates=coordinates,
            )
        ]
        if len(found) == 1:
            return found[0].p_value.value
        observed = [each.observed for each in found]
        return min_p(observed, np.column_stack([each.null for each in found])).p_value.value


@dataclass(frozen=True, slots=True)
class Trained:
    """The exact p-value of a classifier's area: half the events train it, half are permuted."""

    learner: str
    permutations: int = _PERMUTATIONS

    def __call__(self, reference: Array, generated: Array) -> float:
        """Return the p-value."""
        rng = Seeds(0).at("halves").numpy()
        x = np.concatenate([reference, generated])
        truth = np.arange(len(x)) < len(reference)
        order = rng.permutation(len(x))
        training, test = order[: len(x) // 2], order[len(x) // 2 :]
        learned, _ = scores(
            _LEARNERS[self.learner](), Seeds(0), x[training], truth[training], None, x[test]
        )
        ones = np.ones(len(test))
        return auc_p_value(learned, truth[test], ones, rng, permutations=self.permutations).value


@dataclass(frozen=True, slots=True)
class Supported:
    """One of precision, recall, density and coverage, in units of the reference's widths."""

    place: int
    neighbours: int = _NEIGHBOURS

    def __call__(self, reference: Array, generated: Array) -> float:
        """Return the score."""
        unit = scales(reference)
        real, fake = (Balls.of(x / unit, self.neighbours) for x in (reference, generated))
        return float(evaluate(real, fake, beta=1.0)[self.place])


def marginal_p(reference: Array, generated: Array) -> float:
    """Return the smallest p-value of the histograms of all features, corrected by Holm."""
    return _smallest(pair.p_value for pair in marginal_pair(reference, generated, bins=20))


def moment_p(reference: Array, generated: Array) -> float:
    """Return the smallest p-value of four moments of all features, corrected by Holm."""
    return _smallest(p for one in moments(reference, generated) for p in one.p_values)


def correlation_p(reference: Array, generated: Array) -> float:
    """Return the smallest p-value of the rank correlations of all pairs, corrected by Holm."""
    adjusted = correlations(reference, generated, coefficient=spearman).adjusted
    return float(np.nanmin(adjusted)) if np.isfinite(adjusted).any() else 1.0


def twin_p(reference: Array, generated: Array) -> float:
    """Return the p-value of pairs of mutual nearest neighbours: copies pair with originals."""
    return twins(reference, generated, Seeds(0).at("twins").numpy()).p


def _smallest(p_values: Iterable[float]) -> float:
    adjusted = holm(np.array(list(p_values)))
    return float(np.nanmin(adjusted)) if np.isfinite(adjusted).any() else 1.0


def own_metrics(names: Iterable[str] | None = None) -> dict[str, Metric]:
    """Return the package's metrics by name: all tests of the battery, and what has no relabelings.

    Parameters
    ----------
    names
        Those wanted; None for all.

    Raises
    ------
    InputError
        If one is unknown.

    Examples
    --------
    >>> list(own_metrics(["energy", "recall"]))
    ['energy', 'recall']
    """
    known = {metric.name: metric for metric in _all()}
    wanted = list(known if names is None else names)
    for name in wanted:
        if name not in known:
            raise InputError(
                "metrics",
                got=repr(name),
                expected=f"one of {', '.join(known)}, or file.py:function",
            )
    return {name: known[name] for name in wanted}


def _all() -> list[Metric]:
    """Return the metrics: exact p-values where relabelings define or combine, else scores."""
    found = [
        Metric(name, Together((name,)), "p-value")
        if name in _PERMUTED
        else Metric(name, StatisticValue(entry.statistic, entry.coordinates), "score", "large")
        for name, entry in entries().items()
    ]
    found += [Metric(name, StatisticValue(one), "score", "large") for name, one in _SINGLE.items()]
    found.append(Metric("battery, four tests", Together(_BATTERY), "p-value"))
    found += [Metric(f"classifier, {name}", Trained(name), "p-value") for name in _LEARNERS]
    found += [
        Metric("marginals", marginal_p, "p-value"),
        Metric("moments", moment_p, "p-value"),
        Metric("correlations", correlation_p, "p-value"),
        Metric("twins", twin_p, "p-value"),
    ]
    supports = enumerate(("precision", "recall", "density", "coverage"))
    found += [Metric(name, Supported(k), "score", "either") for k, name in supports]
    return [replace(metric, by="verisimile") for metric in found]
