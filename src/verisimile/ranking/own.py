"""The package's own measures of two samples, as metrics of the arena."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.checks.classifier.auc import auc_p_value
from verisimile.checks.physics.correlations import correlations, spearman
from verisimile.checks.physics.histograms import marginal_pair
from verisimile.checks.physics.moments import moments
from verisimile.checks.support.study import Balls, evaluate
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.statistics.mmd import MMD
from verisimile.checks.twosample.statistics.nplm import NPLM
from verisimile.checks.twosample.statistics.protocol import Statistic, entries
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.ranking.metrics import Metric
from verisimile.samples.copies import scales, twins
from verisimile.samples.coordinates import Coordinates, Standardised
from verisimile.samples.learners import Classifier, boosted_trees, perceptron, scores
from verisimile.stats.aggregate import holm, min_p

_PERMUTATIONS = 99
_NEIGHBOURS = 5
_BATTERY = ("energy", "sliced-ks", "max-ks", "interval-scan", "frechet")
_SINGLE: Mapping[str, Statistic] = {"mmd, one width": MMD(), "nplm, one width": NPLM()}
_LEARNERS: Mapping[str, Callable[[], Classifier]] = {
    "trees": boosted_trees,
    "perceptron": perceptron,
}
_SLOW = 500  # the largest samples of what trains or solves


def _run() -> Run:
    # Fixed: the answer to a pair is then a function of the pair.
    return Run(Seeds(0))


@dataclass(frozen=True, slots=True)
class Permuted:
    """The exact p-value of a statistic, by relabelings."""

    statistic: Statistic
    coordinates: Coordinates = Standardised()
    permutations: int = _PERMUTATIONS

    def __call__(self, reference: Array, generated: Array) -> float:
        """Return the p-value."""
        (found,) = permutation_test(
            _run(),
            reference,
            generated,
            [self.statistic],
            permutations=self.permutations,
            coordinates=self.coordinates,
        )
        return found.p_value.value


@dataclass(frozen=True, slots=True)
class Together:
    """The exact p-value of several tests of the battery: the smallest of theirs, recalibrated."""

    names: tuple[str, ...] = _BATTERY
    permutations: int = _PERMUTATIONS

    def __call__(self, reference: Array, generated: Array) -> float:
        """Return the p-value."""
        found = [
            permutation_test(
                _run(),
                reference,
                generated,
                [entries()[name].statistic],
                permutations=self.permutations,
                coordinates=entries()[name].coordinates,
            )[0]
            for name in self.names
        ]
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
                "metrics", got=repr(name), expected=f"one of {', '.join(known)}, or file.py:function"
            )
    return {name: known[name] for name in wanted}


def _all() -> list[Metric]:
    by = "verisimile"
    found = [
        Metric(name, Permuted(entry.statistic, entry.coordinates), "p-value", by=by)
        for name, entry in entries().items()
    ]
    found += [Metric(name, Permuted(one), "p-value", by=by) for name, one in _SINGLE.items()]
    found.append(Metric("battery, five tests", Together(), "p-value", by=by))
    found += [
        Metric(f"classifier, {name}", Trained(name), "p-value", largest=_SLOW, by=by)
        for name in _LEARNERS
    ]
    found += [
        Metric("marginals", marginal_p, "p-value", by=by),
        Metric("moments", moment_p, "p-value", by=by),
        Metric("correlations", correlation_p, "p-value", by=by),
        Metric("twins", twin_p, "p-value", by=by),
    ]
    supports = enumerate(("precision", "recall", "density", "coverage"))
    return [*found, *(Metric(name, Supported(k), "score", by=by) for k, name in supports)]

