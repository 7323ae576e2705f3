"""What a report is made of: results and where they come from, without any wording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from verisimile.checks.amplification.study import AmplificationStudy
from verisimile.checks.coverage.result import Coverage
from verisimile.checks.goodness.localise import Hotspots
from verisimile.checks.goodness.marginals import MarginalComparison
from verisimile.checks.goodness.result import Goodness
from verisimile.checks.precision_recall.band import Band
from verisimile.checks.precision_recall.comparison import BandComparison
from verisimile.checks.precision_recall.variance import VarianceParts
from verisimile.core.arrays import Array, require_fraction
from verisimile.core.result import Result, register
from verisimile.data.account import Account
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.mixture.fit import WeightFit
from verisimile.report.sections.family_figures import SamplePanels
from verisimile.validation.result import Validation

TITLE = "Goodness of fit"
SEVERAL = "Report"  # of several kinds of results, none of them the chief one


@register("input-sample", 3)
@dataclass(frozen=True, slots=True)
class InputSample(Result):
    """A sample that went in: what it was used for, where it lay, what it held.

    `groups` is the number of groups of rows that belong together, None if rows stand alone;
    `account` says what became of the columns and rows of its source, None of an array.
    """

    role: str
    source: str
    n: int
    weighted: bool
    n_effective: float
    digest: str
    features: tuple[Feature, ...]
    groups: int | None = None
    account: Account | None = None

    @classmethod
    def of(cls, role: str, source: str, events: Events) -> InputSample:
        """Return the description of `events`."""
        return cls(
            role=role,
            source=source,
            n=events.n,
            weighted=events.weights is not None,
            n_effective=events.n_effective,
            digest=events.digest,
            features=events.features,
            groups=None if events.group is None else events.n_groups,
            account=events.account,
        )


@register("member-training", 1)
@dataclass(frozen=True, slots=True, eq=False)
class MemberTraining(Result):
    """How one ensemble member was trained: curves in nats per event, ``(epochs,)``."""

    address: str
    sha256: str
    training: Array
    validation: Array
    best_epoch: int
    seconds: float
    listed: ClassVar[tuple[str, ...]] = ("training", "validation")


@register("stage", 1)
@dataclass(frozen=True, slots=True)
class Stage(Result):
    """Wall-clock seconds of one stage; small when its work was already in the store."""

    name: str
    seconds: float


@register("timings", 1)
@dataclass(frozen=True, slots=True)
class Timings(Result):
    """Wall-clock times, in the order in which the stages ran."""

    stages: tuple[Stage, ...] = ()
    listed: ClassVar[tuple[str, ...]] = ("stages",)

    @property
    def total(self) -> float:
        """Sum over stages."""
        return sum(stage.seconds for stage in self.stages)


@register("sample-result", 1)
@dataclass(frozen=True, slots=True, eq=False)
class SampleResult(Result):
    """Everything that was found out about one test sample.

    Attributes
    ----------
    name
        How the reader knows the sample.
    goodness
        Tests under one or more hypotheses.
    marginals
        One comparison per feature.
    about
        What the sample is, in a sentence.
    hotspots
        Where the sample deviates most under the last of the hypotheses.
    """

    name: str
    goodness: tuple[Goodness, ...]
    marginals: tuple[MarginalComparison, ...] = ()
    about: str = ""
    hotspots: Hotspots | None = None


@register("named-validation", 1)
@dataclass(frozen=True, slots=True, eq=False)
class NamedValidation(Result):
    """A validation and how the reader knows its generated sample."""

    name: str
    validation: Validation


@register("named-amplification", 1)
@dataclass(frozen=True, slots=True, eq=False)
class NamedAmplification(Result):
    """A study of amplification and how the reader knows its generator."""

    name: str
    study: AmplificationStudy


@register("family-study", 1)
@dataclass(frozen=True, slots=True, eq=False)
class FamilyStudy(Result):
    """Precision-recall bands of one family of generators, or of two and their comparison.

    Attributes
    ----------
    names, bands
        Of each family.
    comparison
        Of the first with the second.
    panels
        Truth, best and worst samples to look at.
    variances
        Components of the variance of each family's areas.
    """

    names: tuple[str, ...]
    bands: tuple[Band, ...]
    comparison: BandComparison | None = None
    panels: SamplePanels | None = None
    variances: tuple[VarianceParts, ...] = ()


@register("unfinished-stage", 1)
@dataclass(frozen=True, slots=True)
class UnfinishedStage(Result):
    """A stage of a study of several that ended without a result, and why."""

    stage: str
    reason: str


@register("report-input", 1)
@dataclass(frozen=True, slots=True, eq=False)
class ReportInput(Result):
    """The content of a report.

    Attributes
    ----------
    samples
        Test samples with their results, in reading order.
    coverage
        Studies of how often intervals contain the truth.
    validations
        Comparisons of generated samples with a reference.
    amplifications
        How many events generators are worth.
    families
        Bands of families of generators.
    training, fit
        The ensemble's members, and the weights of the mixture.
    inputs
        Samples that went in.
    timings
        Wall-clock times.
    warnings
        What a reader must know, beyond the warnings inside the results.
    command
        The shell command that makes this report again.
    level
        Significance level of the verdicts, in (0, 1).
    decisive
        Hypothesis whose verdict counts; the others stand for comparison.  If no
        test has it, all count.
    title
        Heading.
    results
        All others, each of a kind that a section takes.
    """

    samples: tuple[SampleResult, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    validations: tuple[NamedValidation, ...] = ()
    amplifications: tuple[NamedAmplification, ...] = ()
    families: tuple[FamilyStudy, ...] = ()
    training: tuple[MemberTraining, ...] = ()
    fit: WeightFit | None = None
    inputs: tuple[InputSample, ...] = ()
    timings: Timings = Timings()
    warnings: tuple[str, ...] = ()
    command: str = ""
    level: float = 0.05
    decisive: str = "ensemble+uncertainty"
    title: str = TITLE
    results: tuple[Result, ...] = ()

    def __post_init__(self) -> None:
        require_fraction(self.level, "level")
