"""``verisimile coverage``: whether the errors of a fitted run contain the truth as stated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from verisimile.app import stages
from verisimile.app.coverage_options import chosen_observables
from verisimile.app.exits import ExitCode
from verisimile.app.gof_command import EXIT_CODES
from verisimile.app.plans import coverage_stages, print_plan
from verisimile.app.study import FitStudy, load_study
from verisimile.app.terminal import Clock, print_json, print_lines, print_table
from verisimile.checks.coverage.conditional import coverage
from verisimile.checks.coverage.observables import Observable
from verisimile.checks.coverage.truth import SampledTruth
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.files import read_events
from verisimile.density.protocol import Sampler
from verisimile.ensemble.fit import load_ensemble
from verisimile.mixture.io import load_mixture
from verisimile.mixture.model import Mixture
from verisimile.report.content import InputSample, ReportInput, Timings
from verisimile.report.document import Document, document
from verisimile.report.sections.coverage import coverage_table
from verisimile.report.write import write_document

_SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class CoverageRequest:
    """The options of ``verisimile coverage`` as values."""

    folder: Path
    truth: str | None
    moments: tuple[str, ...]
    quantiles: tuple[str, ...]
    bins: tuple[str, ...]
    datasets: int
    events: int | None
    level: float
    report: Path | None
    seed: int | None
    executor: str
    command: str
    as_json: bool
    dry_run: bool

    def __post_init__(self) -> None:
        # Noticed before hours of fits, not after.
        if not 0.0 < self.level < 1.0:
            raise InputError("--level", got=self.level, expected="a number between 0 and 1")


def execute(request: CoverageRequest) -> ExitCode:
    """Count, write the report if one is wanted, and return the verdict's code."""
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
        observables = _observables(request, mixture)
        truth, inputs = _truth(request, mixture)
    if request.dry_run:
        _print_plan(request, run, mixture)
        return ExitCode.COMPATIBLE
    with clock.stage("coverage"):
        found = coverage(
            run,
            mixture,
            truth,
            observables=observables,
            level=request.level,
            datasets=request.datasets,
            events=request.events,
        )
    content = ReportInput(
        coverage=(found,),
        training=stages.training_of(ensemble),
        fit=mixture.fit,
        inputs=(*study.inputs, *inputs),
        timings=Timings((*study.timings.stages, *clock.timings.stages)),
        warnings=(*stages.failure_notes(ensemble), *_warnings(study)),
        command=f"{study.command}\n{request.command}",
        level=_SIGNIFICANCE,
        title=f"Coverage: {_source(request)}",
    )
    report = document(run, content)
    page = write_document(report, request.report) if request.report else None
    _print(report, page, as_json=request.as_json)
    return EXIT_CODES[report.verdict]


def _observables(request: CoverageRequest, mixture: Mixture) -> dict[str, Observable]:
    return chosen_observables(
        [spec.name for spec in mixture.features],
        moments=request.moments,
        quantiles=request.quantiles,
        bins=request.bins,
    )


def _truth(
    request: CoverageRequest, mixture: Mixture
) -> tuple[Sampler | None, tuple[InputSample, ...]]:
    if request.truth is None:
        return None, ()
    events = read_events(request.truth, features=[spec.name for spec in mixture.features])
    size = request.events or mixture.fit.record.n_events
    if events.n <= size:
        raise InputError(
            "--truth",
            got=f"{events.n} events",
            expected=f"more than the {size} of one data set, ten times as many or more",
            remedy="Give a larger sample, or smaller data sets by --events.",
        )
    return SampledTruth(events.x), (InputSample.of("truth", request.truth, events),)


def _source(request: CoverageRequest) -> str:
    return "closure" if request.truth is None else Path(request.truth).name


def _print_plan(request: CoverageRequest, run: Run, mixture: Mixture) -> None:
    planned = coverage_stages(
        run,
        datasets=request.datasets,
        events=request.events or mixture.fit.record.n_events,
        members=len(mixture.members),
    )
    print_plan(run, planned, as_json=request.as_json)


def _warnings(study: FitStudy) -> tuple[str, ...]:
    if study.weights is None:
        return ()
    return (
        f"the run was fitted with event weights (column {study.weights!r}), but the data sets of "
        "this study are unweighted.",
    )


def _print(report: Document, page: Path | None, *, as_json: bool) -> None:
    if as_json:
        print_json(
            "verisimile.coverage-summary/1",
            {
                "verdict": report.verdict,
                "level": report.content.level,
                "conclusions": [to_dict(conclusion) for conclusion in report.conclusions],
                "coverage": [to_dict(study) for study in report.content.coverage],
                "warnings": list(report.warnings),
                "timings": to_dict(report.content.timings),
                "report": None if page is None else str(page),
            },
        )
        return
    for study, finding in zip(report.content.coverage, report.findings, strict=True):
        table = coverage_table(study, report.content.level)
        print_table(table.columns, table.rows)
        print_lines("", finding.sentence)
    for note in report.warnings:
        print_lines(f"Note: {note}")
    if page is not None:
        print_lines(f"Report: {page}")
