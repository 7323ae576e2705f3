"""What a report is made of: results and where they come from, without any wording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verisimile.checks.amplification.study import AmplificationStudy
from verisimile.checks.coverage.result import Coverage
from verisimile.checks.goodness.localise import Hotspots
from verisimile.checks.goodness.result import Goodness
from verisimile.checks.marginals.comparison import MarginalComparison
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import register
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.mixture.fit import WeightFit
from verisimile.validation.result import Validation

__all__ = [
    "InputSample",
    "MemberTraining",
    "NamedAmplification",
    "NamedValidation",
    "ReportInput",
    "SampleResult",
    "Stage",
    "Timings",
    "gathered",
]

_TITLE = "Goodness of fit"


@register("input-sample", 1)
@dataclass(frozen=True, slots=True)
class InputSample:
    """A sample that went in: what it was used for, where it lay, what it held."""

    role: str
    source: str
    n: int
    weighted: bool
    n_effective: float
    digest: str
    features: tuple[Feature, ...]

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
        )


@register("member-training", 1)
@dataclass(frozen=True, slots=True, eq=False)
class MemberTraining:
    """How one ensemble member was trained: curves in nats per event, ``(epochs,)``."""

    address: str
    sha256: str
    training: Array
    validation: Array
    best_epoch: int
    seconds: float


@register("stage", 1)
@dataclass(frozen=True, slots=True)
class Stage:
    """Wall-clock seconds of one stage; small when its work was already in the store."""

    name: str
    seconds: float


@register("timings", 1)
@dataclass(frozen=True, slots=True)
class Timings:
    """Wall-clock times, in the order in which the stages ran."""

    stages: tuple[Stage, ...] = ()

    @property
    def total(self) -> float:
        """Sum over stages."""
        return sum(stage.seconds for stage in self.stages)


@register("sample-result", 1)
@dataclass(frozen=True, slots=True, eq=False)
class SampleResult:
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
class NamedValidation:
    """A validation and how the reader knows its generated sample."""

    name: str
    validation: Validation


@register("named-amplification", 1)
@dataclass(frozen=True, slots=True, eq=False)
class NamedAmplification:
    """A study of amplification and how the reader knows its generator."""

    name: str
    study: AmplificationStudy


@register("report-input", 1)
@dataclass(frozen=True, slots=True, eq=False)
class ReportInput:
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
    """

    samples: tuple[SampleResult, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    validations: tuple[NamedValidation, ...] = ()
    amplifications: tuple[NamedAmplification, ...] = ()
    training: tuple[MemberTraining, ...] = ()
    fit: WeightFit | None = None
    inputs: tuple[InputSample, ...] = ()
    timings: Timings = Timings()
    warnings: tuple[str, ...] = ()
    command: str = ""
    level: float = 0.05
    decisive: str = "ensemble+uncertainty"
    title: str = _TITLE

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise InputError("level", got=self.level, expected="a number in (0, 1)")


def gathered(results: Sequence[object]) -> ReportInput:
    """Return a report's content from loose results.

    Tests and marginals are put together by their test sample; of weight fits
    and timings there may be one.

    Raises
    ------
    InputError
        If something among them has no place in a report.
    """
    for result in results:
        if not isinstance(result, _ACCEPTED):
            raise InputError(
                "results",
                got=f"a {type(result).__name__}",
                expected=f"any of {', '.join(kind.__name__ for kind in _ACCEPTED)}",
                remedy="Give a ReportInput to arrange a report yourself.",
            )
    fits = [result for result in results if isinstance(result, WeightFit)]
    timings = [result for result in results if isinstance(result, Timings)]
    if len(fits) > 1 or len(timings) > 1:
        raise InputError(
            "results",
            got=f"{len(fits)} weight fits and {len(timings)} timings",
            expected="at most one of each",
        )
    samples, validations = _by_sample(results), _validations(results)
    return ReportInput(
        samples=samples,
        coverage=tuple(result for result in results if isinstance(result, Coverage)),
        validations=validations,
        amplifications=_amplifications(results),
        training=tuple(result for result in results if isinstance(result, MemberTraining)),
        fit=fits[0] if fits else None,
        inputs=tuple(result for result in results if isinstance(result, InputSample)),
        timings=timings[0] if timings else Timings(),
        title="Validation" if validations and not samples else _TITLE,
    )


def _by_sample(results: Sequence[object]) -> tuple[SampleResult, ...]:
    tests = [result for result in results if isinstance(result, Goodness)]
    marginals = [result for result in results if isinstance(result, MarginalComparison)]
    digests = dict.fromkeys(
        [test.events_digest for test in tests] + [item.events_digest for item in marginals]
    )
    return (
        *(result for result in results if isinstance(result, SampleResult)),
        *(
            SampleResult(
                name=f"sample {digest[:8]}",
                goodness=tuple(test for test in tests if test.events_digest == digest),
                marginals=tuple(item for item in marginals if item.events_digest == digest),
            )
            for digest in digests
        ),
    )


def _validations(results: Sequence[object]) -> tuple[NamedValidation, ...]:
    loose = [result for result in results if isinstance(result, Validation)]
    return (
        *(result for result in results if isinstance(result, NamedValidation)),
        *(NamedValidation(f"generated sample {i}", found) for i, found in enumerate(loose, 1)),
    )


def _amplifications(results: Sequence[object]) -> tuple[NamedAmplification, ...]:
    loose = [result for result in results if isinstance(result, AmplificationStudy)]
    return (
        *(result for result in results if isinstance(result, NamedAmplification)),
        *(NamedAmplification(f"generator {i}", found) for i, found in enumerate(loose, 1)),
    )


_ACCEPTED = (
    Goodness,
    MarginalComparison,
    Coverage,
    Validation,
    NamedValidation,
    AmplificationStudy,
    NamedAmplification,
    WeightFit,
    SampleResult,
    MemberTraining,
    InputSample,
    Timings,
)
