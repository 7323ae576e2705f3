"""``verisimile compare``: precision–recall bands of families of generators."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from verisimile.app.compare_factors import Factors, read_factors
from verisimile.app.compare_families import family_files
from verisimile.app.compare_scores import named_score
from verisimile.app.exits import ExitCode
from verisimile.app.gof_command import EXIT_CODES
from verisimile.app.plans import curve_stages, print_plan
from verisimile.app.terminal import Clock, print_json, print_lines, print_table
from verisimile.checks.precision_recall.band import Band, precision_recall_bands
from verisimile.checks.precision_recall.comparison import compare_curves
from verisimile.core.arrays import frozen
from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.files import GeneratorOutput, read_events, read_generated
from verisimile.report.content import FamilyStudy, InputSample, ReportInput
from verisimile.report.document import Document, document
from verisimile.report.numbers import duration
from verisimile.report.sections.families import family_table, variance_table
from verisimile.report.sections.family_figures import sample_panels
from verisimile.report.write import write_document


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """The options of ``verisimile compare`` as values."""

    generated: tuple[str, ...]
    against: str | None
    truth: str
    features: Sequence[str] | None
    factors: Path | None
    nested: tuple[str, ...]
    relabelings: int
    score: str
    out: Path
    seed: int
    executor: str
    command: str
    as_json: bool
    dry_run: bool


def execute(request: CompareRequest) -> ExitCode:
    """Draw the curves, compare the families if there are two, and write the report."""
    clock, score = Clock(), named_score(request.score)
    run = Run(
        Seeds(request.seed), executor=request.executor, store=request.out / "run", progress=True
    )
    families = family_files(request.generated, request.against, apart=request.factors)
    factors = _factors(request, families)
    with clock.stage("reading"):
        truth = read_events(request.truth, features=request.features)
        names = list(truth.names)
        groups = [
            [read_generated(uri, features=names) for uri in uris] for uris in families.values()
        ]
        lost = _told(_lost_notes(families, groups))
    if request.dry_run:
        curves = sum(len(group) for group in groups)
        events = truth.n + groups[0][0].events.n
        stages = curve_stages(curves=curves, events=events, score=request.score)
        print_plan(run, stages, as_json=request.as_json)
        return ExitCode.COMPATIBLE
    samples = [[one.rows if one.missed else one.events for one in group] for group in groups]
    with clock.stage("precision and recall"):
        bands = precision_recall_bands(run, truth, samples, score=score)
    with clock.stage("comparison"):
        compared = (
            compare_curves(run, bands[0], bands[1], relabelings=request.relabelings)
            if len(bands) > 1
            else None
        )
    study = FamilyStudy(
        names=tuple(families),
        bands=tuple(_slim(band) for band in bands),
        comparison=compared,
        panels=sample_panels(truth, samples, bands, _file_names(families)),
        variances=() if factors is None else factors.parts([band.auc for band in bands]),
    )
    content = ReportInput(
        families=(study,),
        inputs=_inputs(families, groups, request.truth, truth),
        timings=clock.timings,
        warnings=(*lost, *(() if factors is None else _told([factors.warning]))),
        command=request.command,
        title=f"Precision and recall: {', '.join(families)}",
    )
    report = document(run, content)
    page = write_document(report, request.out)
    _print(report, page, as_json=request.as_json)
    return EXIT_CODES[report.verdict]


def _factors(request: CompareRequest, families: dict[str, list[str]]) -> Factors | None:
    if request.factors is not None:
        return read_factors(request.factors, families, request.nested)
    if request.nested:
        raise InputError(
            "--nested", got=", ".join(request.nested), expected="a table of labels, --factors FILE"
        )
    return None


def _told(notes: Sequence[str]) -> tuple[str, ...]:
    for note in notes:
        warnings.warn(note, VerisimileWarning, stacklevel=2)
    return tuple(notes)


def _lost_notes(
    families: dict[str, list[str]], groups: Sequence[Sequence[GeneratorOutput]]
) -> list[str]:
    return [
        f"{uri}: {one.missed} of {one.events.n + one.missed} generated events are not finite and"
        " count as misses, where no true event is."
        for uris, group in zip(families.values(), groups, strict=True)
        for uri, one in zip(uris, group, strict=True)
        if one.missed
    ]


def _file_names(families: dict[str, list[str]]) -> list[list[str]]:
    return [[Path(uri).name for uri in uris] for uris in families.values()]


def _slim(band: Band) -> Band:
    """Return the band without every member's interpolated curve, for reports and records."""
    none = frozen(np.empty((0, band.recall.recall.size)))
    return replace(band, recall=replace(band.recall, precision=none))


def _inputs(
    families: dict[str, list[str]],
    groups: Sequence[Sequence[GeneratorOutput]],
    uri: str,
    truth: Events,
) -> tuple[InputSample, ...]:
    found = [InputSample.of("truth", uri, truth)]
    for (name, uris), group in zip(families.items(), groups, strict=True):
        found += [InputSample.of(name, one, e.events) for one, e in zip(uris, group, strict=True)]
    return tuple(found)


def _print(report: Document, page: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(
            "verisimile.comparison-summary/1",
            {
                "conclusions": [to_dict(conclusion) for conclusion in report.conclusions],
                "warnings": list(report.warnings),
                "timings": to_dict(report.content.timings),
                "report": str(page),
            },
        )
        return
    (study,) = report.content.families
    tables = [family_table(study), *([variance_table(study)] if study.variances else [])]
    for table in tables:
        print_table(table.columns, table.rows)
    print_lines(
        "",
        *(f"{finding.sample}: {finding.outcome}." for finding in report.findings),
        f"Report: {page}  ({duration(report.content.timings.total)})",
    )
