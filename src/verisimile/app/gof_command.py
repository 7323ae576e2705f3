"""``verisimile gof``: whether a fitted run describes a test sample."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from verisimile.app import stages
from verisimile.app.exits import ExitCode
from verisimile.app.plans import print_plan, toy_stage
from verisimile.app.study import FitStudy, load_study
from verisimile.app.terminal import Clock, print_json, print_lines, print_table
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.likelihood_ratio import default_alternative
from verisimile.checks.goodness.null import (
    Calibration,
    FluctuatedCentre,
    PlugIn,
    Predictive,
)
from verisimile.checks.goodness.search import PLACEMENTS, Alternative, Search, Surprise
from verisimile.checks.goodness.toys import Sequential, most_toys
from verisimile.core.errors import InputError, NumericsError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.files import read_events
from verisimile.ensemble.fit import load_ensemble
from verisimile.mixture.io import load_mixture
from verisimile.mixture.model import Mixture
from verisimile.report.content import InputSample, ReportInput, Timings
from verisimile.report.document import Document, document
from verisimile.report.sections.goodness import SampleTests
from verisimile.report.verdict import Verdict
from verisimile.report.write import write_document

_Form = GaussianKernels | ExponentialTilt

NULLS: dict[str, Calibration] = {
    null.name: null for null in (Predictive(), FluctuatedCentre(), PlugIn())
}
EXIT_CODES = {
    Verdict.PASSED.value: ExitCode.COMPATIBLE,
    Verdict.FAILED.value: ExitCode.INCOMPATIBLE,
    Verdict.INCONCLUSIVE.value: ExitCode.INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True)
class Deviations:
    """What the options say about the alternative.

    Attributes
    ----------
    form
        ``kernels``, ``tilt``, ``both``, or ``auto`` for what has more power.
    kernels
        K, None for the default of each form.
    widths
        Kernel widths, None for the default.
    scan
        Whether each width is an alternative of its own.
    placements
        How often the kernels are placed.
    surprise
        Whether events are noticed that the model calls impossible.
    """

    form: str
    kernels: int | None
    widths: tuple[float, ...] | None
    scan: bool
    placements: int = PLACEMENTS
    surprise: bool = True

    def search(self, features: int) -> Search:
        """Return what is looked for; several alternatives join by their smallest p-value."""
        surprise = Surprise() if self.surprise else None
        return Search(self._alternatives(features), self.placements, surprise)

    def _alternatives(self, features: int) -> tuple[Alternative, ...]:
        forms: dict[str, tuple[_Form, ...]] = {
            "kernels": (GaussianKernels(),),
            "tilt": (ExponentialTilt(),),
            "both": (GaussianKernels(), ExponentialTilt()),
            "auto": (default_alternative(features),),
        }
        return tuple(each for form in forms[self.form] for each in self._each(form))

    def _each(self, default: _Form) -> tuple[_Form, ...]:
        count = default.count if self.kernels is None else self.kernels
        plain = replace(default, count=count)
        if self.widths is None:
            return plain.scan() if self.scan else (plain,)
        if self.scan:
            return tuple(replace(plain, width=width) for width in self.widths)
        return (replace(plain, width=self.widths),)


@dataclass(frozen=True, slots=True)
class GofRequest:
    """The options of ``verisimile gof`` as values."""

    folder: Path
    sample: str
    toys: int | Sequential
    hypothesis: str
    null: str
    deviations: Deviations
    level: float
    report: Path | None
    seed: int | None
    executor: str
    command: str
    as_json: bool
    dry_run: bool

    def __post_init__(self) -> None:
        # Noticed before hours of toys, not after.
        if not 0.0 < self.level < 1.0:
            raise InputError("--level", got=self.level, expected="a number between 0 and 1")
        check_toys(most_toys(self.toys), self.level)


def check_toys(toys: int, level: float) -> None:
    """Raise unless so many toys can reach the level.

    Raises
    ------
    NumericsError
        If they cannot: whatever the sample, the test would be inconclusive.
    """
    needed = math.ceil(1.0 / level - 1e-9) - 1
    if toys < needed:
        raise NumericsError(
            "--toys",
            got=f"{toys}, whose smallest p-value is {1.0 / (toys + 1):.3g}",
            expected=f"at least {needed} to reach the level {level:g}",
            remedy=f"Use --toys {max(needed, 1000)}: {needed} can only just tell.",
        )


def how_many(toys: int, exceedances: int | None) -> int | Sequential:
    """Return the number of toys, or until when they are thrown."""
    return toys if exceedances is None else Sequential(exceedances, toys)


def execute(request: GofRequest) -> ExitCode:
    """Test the sample, write the report if one is wanted, and return the verdict's code."""
    clock = Clock()
    study = load_study(Run(Seeds(0), store=request.folder).store)
    run = Run(
        Seeds(study.seed if request.seed is None else request.seed),
        executor=request.executor,
        store=request.folder,
        progress=True,
    )
    with clock.stage("reading"):
        ensemble, mixture = load_ensemble(run), load_mixture(run)
        names = [spec.name for spec in mixture.features]
        events = read_events(request.sample, features=names)
    match_features(events, mixture.features)  # as the test does: units stated as others end here
    if request.dry_run:
        _print_plan(request, run, mixture, events)
        return ExitCode.COMPATIBLE
    result = stages.compare(
        run,
        mixture,
        events,
        stages.ProfileSettings(
            toys=request.toys,
            hypotheses=(request.hypothesis,),
            null=NULLS[request.null],
            search=request.deviations.search(mixture.n_features),
            marginals=request.report is not None,
        ),
        name=Path(request.sample).name,
        clock=clock,
    )
    content = ReportInput(
        samples=(result,),
        training=stages.training_of(ensemble),
        fit=mixture.fit,
        inputs=(*study.inputs, InputSample.of("test", request.sample, events)),
        timings=Timings((*study.timings.stages, *clock.timings.stages)),
        warnings=(*stages.failure_notes(ensemble), *_warnings(study, request.sample)),
        command=f"{study.command}\n{request.command}",
        level=request.level,
        title=f"Goodness of fit: {result.name}",
    )
    report = document(run, content)
    page = write_document(report, request.report) if request.report else None
    _print(report, page, as_json=request.as_json)
    return EXIT_CODES[report.verdict]


def _print_plan(request: GofRequest, run: Run, mixture: Mixture, events: Events) -> None:
    planned = toy_stage(
        run,
        toys=most_toys(request.toys),
        events=events.n,
        members=len(mixture.members),
        kernels=request.deviations.kernels or GaussianKernels().count,
        placements=request.deviations.placements,
    )
    print_plan(run, [planned], as_json=request.as_json)


def print_verdicts(report: Document) -> None:
    """Print one row per test and one sentence per decisive test."""
    (table,) = SampleTests(report.content.samples, report.content).summaries()
    print_table(table.columns[:-1], [row[:-1] for row in table.rows])
    print_lines("", *(f"{c.sample}: {c.sentence}" for c in report.conclusions if c.decisive))


def _print(report: Document, page: Path | None, *, as_json: bool) -> None:
    if as_json:
        print_json(
            "verisimile.gof/1",
            {
                "verdict": report.verdict,
                "level": report.content.level,
                "conclusions": [to_dict(conclusion) for conclusion in report.conclusions],
                "goodness": [to_dict(t) for each in report.content.samples for t in each.goodness],
                "warnings": list(report.warnings),
                "timings": to_dict(report.content.timings),
                "report": None if page is None else str(page),
            },
        )
        return
    print_verdicts(report)
    if page is not None:
        print_lines(f"Report: {page}")


def _warnings(study: FitStudy, sample: str) -> tuple[str, ...]:
    if study.weights is None:
        return ()
    note = (
        f"the run was fitted with event weights (column {study.weights!r}), but the test takes "
        f"the events of {sample} as unweighted."
    )
    warnings.warn(note, VerisimileWarning, stacklevel=2)
    return (note,)
