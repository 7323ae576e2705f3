"""``verisimile validate``: the generated sample against the truth, and a verdict."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from verisimile.app.exits import ExitCode
from verisimile.app.gof_command import EXIT_CODES
from verisimile.app.plans import battery_stages, print_plan
from verisimile.app.terminal import Clock, print_json, print_lines, print_table
from verisimile.app.validate_samples import read_samples
from verisimile.app.validate_study import StudyOptions, study_of
from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.files import file_of
from verisimile.report.content import NamedValidation, ReportInput
from verisimile.report.document import Document, document
from verisimile.report.numbers import duration
from verisimile.report.sections.validation_tables import validation_summary
from verisimile.report.write import write_document
from verisimile.validation.samples import gathered_inputs
from verisimile.validation.validate import validate


@dataclass(frozen=True, slots=True)
class ValidateRequest:
    """The options of ``verisimile validate`` as values."""

    options: StudyOptions
    out: Path
    executor: str
    command: str
    as_json: bool
    dry_run: bool


def execute(request: ValidateRequest) -> ExitCode:
    """Compare the samples, write the report, and return the verdict's code."""
    clock = Clock()
    study = study_of(request.options)
    _check_folder(request.out)
    run = Run(
        Seeds(study.seed), executor=request.executor, store=request.out / "run", progress=True
    )
    with clock.stage("reading"):
        samples = read_samples(study)
    reference, generated = samples.events["reference"], samples.events["generated"]
    if request.dry_run:
        # What the real run refuses, units mixed up above all, is refused here too.
        gathered_inputs(reference, generated, samples.events.get("train"), study)
        planned = battery_stages(run, study.battery, events=reference.n + generated.n)
        print_plan(run, planned, as_json=request.as_json)
        return ExitCode.COMPATIBLE
    with clock.stage("comparison"):
        found = validate(run, reference, generated, train=samples.events.get("train"), study=study)
    for note in found.warnings:
        warnings.warn(note, VerisimileWarning, stacklevel=2)
    content = ReportInput(
        validations=(NamedValidation(_name(study.samples.generated), found),),
        inputs=samples.inputs,
        timings=clock.timings,
        warnings=samples.warnings,
        command=request.command,
        level=study.level,
        title=study.title,
    )
    report = document(run, content)
    page = write_document(report, request.out)
    _print(report, page, as_json=request.as_json)
    return EXIT_CODES[report.verdict]


def _check_folder(out: Path) -> None:
    # Hours of relabelings must not end in a place where nothing can be written.
    for place in (out, *out.parents):
        if place.exists() and not place.is_dir():
            raise InputError("--out", got=f"{place}, which is a file", expected="a folder")


def _name(uri: str | None) -> str:
    # Without suffix: the same events have the same name in every format.
    return file_of(uri).stem if uri else "generated"


def _print(report: Document, page: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(
            "verisimile.validation-summary/1",
            {
                "verdict": report.verdict,
                "level": report.content.level,
                "conclusions": [to_dict(conclusion) for conclusion in report.conclusions],
                "warnings": list(report.warnings),
                "timings": to_dict(report.content.timings),
                "report": str(page),
            },
        )
        return
    table = validation_summary(report.content.validations[0], report.content.level)
    print_table(table.columns[:-1], [row[:-1] for row in table.rows])
    sentences = [c.sentence for c in report.conclusions if c.hypothesis == "all tests together"]
    print_lines("", *sentences, f"Report: {page}  ({duration(report.content.timings.total)})")
