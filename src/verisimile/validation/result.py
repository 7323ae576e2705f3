"""Everything that a validation has found, without any verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from verisimile.checks.classifier.diagnosis import ClassifierDiagnosis
from verisimile.checks.known_truth.likelihood import LikelihoodTest
from verisimile.checks.physics.constraints import ConstraintComparison
from verisimile.checks.physics.correlations import CorrelationComparison
from verisimile.checks.physics.histograms import MarginalPair, PairMap
from verisimile.checks.physics.moments import MomentComparison
from verisimile.checks.physics.selections import EfficiencyComparison
from verisimile.checks.support.study import Support
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.sensitivity import Sensitivity
from verisimile.checks.twosample.windows import Windows
from verisimile.core.result import Estimate, Result, register
from verisimile.samples.copies import SampleRows
from verisimile.stats.pvalues import PValue
from verisimile.validation.samples import Overlap


@register("battery-test", 1)
@dataclass(frozen=True, slots=True, eq=False)
class BatteryTest(Result):
    """One test of the battery.

    Attributes
    ----------
    name
        As in the study.
    sees
        What it is best at.
    p_value
        None if the test was not made, or makes no verdict.
    adjusted
        Holm's p-value, corrected for all tests; NaN without a p-value.
    outcome
        The two-sample result, where it is one.
    reason
        Why the test was not made, or makes no verdict.
    """

    name: str
    sees: str
    p_value: PValue | None = None
    adjusted: float = np.nan
    outcome: TwoSample | None = None
    reason: str = ""


@register("alike", 1)
@dataclass(frozen=True, slots=True)
class Alike(Result):
    """The lower tail: events of two samples that are nearer to each other than chance has them.

    Attributes
    ----------
    pairs
        Mutual nearest neighbours of both samples together.
    across, expected
        Pairs with one event in each sample, and how many independent samples have.
    pair_p
        Probability of so many.
    tail_p
        Of the battery's distances all being so small, on the same relabelings; None if there
        are no distances.
    p
        Of both: twice the smaller one.
    """

    pairs: int
    across: int
    expected: float
    pair_p: float
    tail_p: PValue | None
    p: float


@register("physics", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Physics(Result):
    """What a physicist looks at first.

    Attributes
    ----------
    marginals
        One comparison per feature.
    moments
        Four moments per feature.
    correlations
        All pairs; None for a single feature.
    planes
        Maps of the pairs whose correlations differ most.
    selections
        Efficiencies in both samples.
    constraints
        Violations in both samples.
    """

    marginals: tuple[MarginalPair, ...]
    moments: tuple[MomentComparison, ...]
    correlations: CorrelationComparison | None
    planes: tuple[PairMap, ...]
    selections: tuple[EfficiencyComparison, ...]
    constraints: tuple[ConstraintComparison, ...]
    listed: ClassVar[tuple[str, ...]] = ("marginals",)


@register("bound", 1)
@dataclass(frozen=True, slots=True)
class MetricBound(Result):
    """A threshold of the study: bounds of a named number, either may be None."""

    name: str
    min: float | None
    max: float | None


@register("validation", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Validation(Result):
    """What a battery of tests shows between a reference and a generated sample.

    Attributes
    ----------
    tests
        One entry per test asked for, those that could not be made included.
    p_value
        One p-value for all tests that were made; None if none was.
    required
        Names of tests without which there is no verdict.
    metrics
        Named numbers with errors (NaN where there is none), for thresholds.
    bounds
        The study's thresholds.
    sensitivities
        The smallest effects that tests would have seen.
    windows
        Where the samples differ most, feature by feature.
    classifier, support, physics, likelihood
        Results of their parts; None if not made.
    overlaps
        Events that samples share beyond chance.
    alike
        Whether reference and generated sample are more alike than independent samples are.
    rows
        Events and different rows of each sample.
    doubts
        Columns that were left out although they may be features: why nothing may pass.
    n_reference, n_generated
        Sizes.
    warnings
        What a reader must know.
    """

    tests: tuple[BatteryTest, ...]
    p_value: PValue | None
    required: tuple[str, ...]
    metrics: Mapping[str, Estimate]
    bounds: tuple[MetricBound, ...]
    sensitivities: tuple[Sensitivity, ...]
    windows: Windows | None
    classifier: ClassifierDiagnosis | None
    support: Support | None
    physics: Physics | None
    likelihood: LikelihoodTest | None
    overlaps: tuple[Overlap, ...]
    n_reference: int
    n_generated: int
    alike: Alike | None = None
    rows: tuple[SampleRows, ...] = ()
    doubts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    listed: ClassVar[tuple[str, ...]] = ("tests",)

    def __repr__(self) -> str:
        """Return one line: sizes, tests, global p-value."""
        made = sum(test.p_value is not None for test in self.tests)
        p = "none" if self.p_value is None else f"{self.p_value.value:.3g}"
        return (
            f"Validation({self.n_generated} against {self.n_reference} events, "
            f"{made} of {len(self.tests)} tests, global p = {p})"
        )
