"""The tests of a study, each made or refused with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from verisimile.checks.classifier.diagnosis import ClassifierDiagnosis, diagnose_with_classifier
from verisimile.checks.twosample.permutation import permute_pool
from verisimile.checks.twosample.result import TwoSample, tie_threshold
from verisimile.checks.twosample.sensitivity import Sensitivity, effects_on, tilts_of
from verisimile.checks.twosample.statistics.protocol import Thinned, entries
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.core.shards import each_of
from verisimile.data.events import Events
from verisimile.samples.coordinates import Coordinates
from verisimile.samples.copies import twins
from verisimile.samples.learners import Classifier, boosted_trees, perceptron
from verisimile.samples.pool import Pool, pool_samples
from verisimile.stats.aggregate import holm, min_p
from verisimile.stats.pvalues import PValue
from verisimile.validation.missing import MISSING_VALUES
from verisimile.validation.result import Alike, BatteryTest
from verisimile.validation.study import CLASSIFIER, Battery

_CLASSIFIER_SEES = "any difference that it can learn"
_FEW = 20  # events, more than enough for a million labelings
_SEES = {MISSING_VALUES: "a generator that writes no value where it is wrong"}
_LEARNERS: Mapping[str, Callable[[], Classifier]] = {
    "trees": boosted_trees,
    "perceptron": perceptron,
}


_Made: TypeAlias = tuple[ClassifierDiagnosis | None, BatteryTest]


class Pools:
    """Two samples as one pool in each of the coordinates that tests want, made when first used."""

    __slots__ = ("_made", "exchangeable", "generated", "reference")

    def __init__(self, reference: Events, generated: Events, *, exchangeable: bool) -> None:
        self.reference, self.generated, self.exchangeable = reference, generated, exchangeable
        self._made: dict[Coordinates, Pool] = {}

    def of(self, coordinates: Coordinates) -> Pool:
        """Return the pool in these coordinates."""
        if coordinates not in self._made:
            self._made[coordinates] = pool_samples(
                self.reference,
                self.generated,
                coordinates,
                exchangeable_weights=self.exchangeable,
            )
        return self._made[coordinates]


@dataclass(frozen=True, slots=True, eq=False)
class BatteryOutcome:
    """All tests of a study.

    Attributes
    ----------
    tests
        One entry per test, adjusted for their number.
    p_value
        For all of them together.
    classifier
        The diagnosis behind the classifier's p-value.
    pools
        The samples as the tests took them.
    """

    tests: tuple[BatteryTest, ...]
    p_value: PValue | None
    classifier: ClassifierDiagnosis | None
    pools: Pools

    @property
    def permuted(self) -> Mapping[str, TwoSample]:
        """Two-sample results that are verdicts, by the names of their tests."""
        return {
            test.name: test.outcome
            for test in self.tests
            if test.outcome is not None and test.p_value is not None
        }

    def warnings(self) -> tuple[str, ...]:
        """Return what the tests warn of, each once."""
        notes = [note for result in self.permuted.values() for note in result.warnings]
        if self.classifier is not None:
            notes += self.classifier.warnings
        return tuple(dict.fromkeys(notes))


def battery_of(
    run: Run,
    reference: Events,
    generated: Events,
    battery: Battery,
    *,
    further: Mapping[str, PValue],
) -> BatteryOutcome:
    """Make the tests of a battery; `further` p-values belong to the same family.

    A test that cannot take the samples, or whose null has too few effective events for a
    verdict, has no p-value and says why; others go on.
    """
    names = [name for name in battery.tests if name != CLASSIFIER]
    pools = Pools(reference, generated, exchangeable=battery.exchangeable_weights)
    calls = [partial(_permuted, run, pools, name, battery) for name in names]
    if CLASSIFIER in battery.tests:
        calls.append(partial(_classified, run, reference, generated, battery))
    made = each_of(calls)
    diagnosis = next((found for found, _ in made if found is not None), None)
    tests = [test for _, test in made]
    tests += [
        BatteryTest(name, _SEES.get(name, "what the study names"), p) for name, p in further.items()
    ]
    outcomes = [t.outcome for t in tests if t.outcome is not None and t.p_value is not None]
    others = [t.p_value for t in tests if t.outcome is None and t.p_value is not None]
    p_value = global_p_value(outcomes, others)
    return BatteryOutcome(tuple(_adjusted(tests)), p_value, diagnosis, pools)


def sensitivities_of(run: Run, tested: BatteryOutcome, *, level: float) -> Iterator[Sensitivity]:
    """Yield the smallest effects that the permutation tests would have seen.

    Seen means that the verdict on the test, which is corrected for the number K of tests, is
    failed: p is at most level / K, the first step of Holm's correction.  Where other tests see
    the same effect later steps are wider, and more is seen.  Tests of so few draws that no p
    can be so small see nothing, and have none.
    """
    corrected = level / max(1, sum(test.p_value is not None for test in tested.tests))
    able = {
        name: result
        for name, result in tested.permuted.items()
        if corrected * (1.0 + 1e-12) * (result.p_value.n_null + 1) >= 1.0
    }
    groups: dict[Coordinates, list[str]] = {}
    for name in able:
        groups.setdefault(entries()[name].coordinates, []).append(name)
    pools, tilts = tested.pools, None
    for coordinates, names in groups.items():
        pool = pools.of(coordinates)
        tilts = tilts or tilts_of(pools.reference, pools.generated, pool)
        statistics = [entries()[name].statistic for name in names]
        yield from effects_on(
            run, pool, tilts, statistics, [able[name] for name in names], corrected
        )


def _permuted(run: Run, pools: Pools, name: str, battery: Battery) -> _Made:
    this = entries()[name]
    try:
        (found,) = permute_pool(
            run, pools.of(this.coordinates), [this.statistic], permutations=battery.permutations
        )
    except InputError as error:
        return None, BatteryTest(name, this.sees, reason=str(error))
    p_value = None if found.refusal else found.p_value
    return None, BatteryTest(name, this.sees, p_value, outcome=found, reason=found.refusal)


def _classified(run: Run, reference: Events, generated: Events, battery: Battery) -> _Made:
    try:
        found = diagnose_with_classifier(
            run,
            reference,
            generated,
            learner=_LEARNERS[battery.learner](),
            permutations=battery.permutations,
            exchangeable_weights=battery.exchangeable_weights,
        )
    except InputError as error:
        return None, BatteryTest(CLASSIFIER, _CLASSIFIER_SEES, reason=str(error))
    p_value = None if found.refusal else found.p_value
    return found, BatteryTest(CLASSIFIER, _CLASSIFIER_SEES, p_value, reason=found.refusal)


def _adjusted(tests: Sequence[BatteryTest]) -> Iterator[BatteryTest]:
    adjusted = iter(holm([t.p_value.value for t in tests if t.p_value is not None]))
    for test in tests:
        yield test if test.p_value is None else replace(test, adjusted=float(next(adjusted)))


def global_p_value(permuted: Sequence[TwoSample], others: Sequence[PValue]) -> PValue | None:
    r"""Return one p-value for all tests, None if there are none.

    K tests on common draws of the null are combined by the smallest of their p-values,
    recalibrated on these draws, which uses that they are correlated; L other
    p-values have equal shares of the error with them (Bonferroni):

    .. math:: p = \min\left(1,\ \frac{K+L}{K}\,p_{\min}, \ (K+L)\,\min_l p_l\right)

    Tests that relabel a part of the events have draws of their own, and are such a group by
    themselves for each number of events; multipliers are those of all events anywhere.

    It is never above the smallest of Holm's adjusted p-values, so that nothing is significant
    after Holm's correction where this is not.

    Parameters
    ----------
    permuted
        Results of two-sample tests of the same samples.
    others
        P-values of tests with nulls of their own.
    """
    total = len(permuted) + len(others)
    if not total:
        return None
    candidates = [_scaled(p, total) for p in others]
    candidates += [
        _scaled(_smallest(group, null=group[0].p_value.null), total / len(group))
        for group in draw_groups(permuted)
    ]
    return min(candidates, key=lambda p: p.value)


def draw_groups(permuted: Sequence[TwoSample]) -> tuple[tuple[TwoSample, ...], ...]:
    """Return the results in groups that have their draws of the null in common."""
    groups: dict[tuple[object, ...], list[TwoSample]] = {}
    for result in permuted:
        null = result.p_value.null
        used = result.n_used if null == "relabelings" else ()
        groups.setdefault((null, *used), []).append(result)
    return tuple(tuple(group) for group in groups.values())


def smallest_p_value(
    battery: Battery, sizes: tuple[float, float], *, weighted: bool, further: int = 0
) -> float:
    """Return the smallest p-value for all tests together that tests with draws can give.

    Parameters
    ----------
    battery
        Its tests and permutations.
    sizes
        Events of both samples.
    weighted
        Whether draws of the null are multipliers, which all tests share.
    further
        Number of further tests in the family.
    """
    groups: dict[object, int] = {}
    for name in battery.tests:
        statistic = None if name == CLASSIFIER else entries()[name].statistic
        most = statistic.thinned_to if isinstance(statistic, Thinned) else math.inf
        used = CLASSIFIER if statistic is None else 0 if weighted else min(most, sum(sizes))
        groups[used] = groups.get(used, 0) + 1
    draws = min(battery.permutations + 1, labelings(sizes))
    return (len(battery.tests) + further) / max(groups.values(), default=1) / draws


def labelings(sizes: tuple[float, float]) -> float:
    """Return in how many ways the pooled events can be labelled; infinity for very many."""
    few, more = sorted(round(size) for size in sizes)
    return math.comb(few + more, few) if few < _FEW else math.inf


def _smallest(permuted: Sequence[TwoSample], *, null: str, sign: float = 1.0) -> PValue:
    """Return the smallest p-value of several results, recalibrated on their common draws."""
    observed = sign * np.array([result.observed for result in permuted])
    draws = sign * np.stack([result.null for result in permuted], axis=1)
    return min_p(tie_threshold(observed, draws), draws, null=null).p_value


def _scaled(p: PValue, factor: float) -> PValue:
    value, low, high = (min(1.0, factor * each) for each in (p.value, p.low, p.high))
    return replace(p, value=value, low=low, high=high)


def alike_of(
    run: Run, reference: Events, generated: Events, permuted: Mapping[str, TwoSample]
) -> Alike:
    r"""Test whether two samples are more alike than independent samples of one law are.

    Two witnesses share the error equally, :math:`p = \min(1, 2 \min(p_1, p_2))`:
    pairs of mutual nearest neighbours, which are copies if there are any
    (:func:`~verisimile.samples.copies.twins`), and the lower tails of the battery's statistics, the
    smallest p-value of which is recalibrated on their common relabelings.  Samples of different
    laws are less alike and have large p-values.
    """
    found = twins(reference.x, generated.x, run.seeds.at("alike").numpy())
    several = tuple(permuted.values())
    tail = _smallest(several, null="relabelings", sign=-1.0) if several else None
    smallest = found.p if tail is None else min(found.p, tail.value)
    shares = 1.0 if tail is None else 2.0
    return Alike(
        found.pairs, found.across, found.expected, found.p, tail, min(1.0, shares * smallest)
    )
