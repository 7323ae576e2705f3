"""``verisimile compare``: precision–recall bands of families of generators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from verisimile.app.clock import Clock
from verisimile.app.exits import ExitCode
from verisimile.app.gof_command import EXIT_CODES
from verisimile.app.output import print_json, print_lines, print_table
from verisimile.app.plans import Planned, print_plan
from verisimile.checks.precision_recall.band import Band, precision_recall_band
from verisimile.checks.precision_recall.comparison import compare_curves
from verisimile.core.arrays import frozen
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.files import read_events
from verisimile.report.content import FamilyStudy, InputSample, ReportInput
from verisimile.report.document import Document, document
from verisimile.report.family_page import family_table
from verisimile.report.numbers import duration
from verisimile.report.sample_panels import sample_panels
from verisimile.report.write import write_document

__all__ = ["CompareRequest", "execute"]

_FEWEST = 3
_PER_EVENT = 3e-5  # seconds of one core, one curve


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """The options of ``verisimile compare`` as values."""

    generated: tuple[str, ...]
    against: str | None
    truth: str
    features: Sequence[str] | None
    relabelings: int
    out: Path
    seed: int
    executor: str
    command: str
    as_json: bool
    dry_run: bool


def execute(request: CompareRequest) -> ExitCode:
    """Draw the curves, compare the families if there are two, and write the report."""
    clock = Clock()
    run = Run(
        Seeds(request.seed), executor=request.executor, store=request.out / "run", progress=True
    )
    families = _families(request)
    with clock.stage("reading"):
        truth = read_events(request.truth, features=request.features)
        names = list(truth.names)
        groups = [[read_events(uri, features=names) for uri in uris] for uris in families.values()]
    if request.dry_run:
        curves = sum(len(group) for group in groups)
        seconds = curves * (truth.n + groups[0][0].n) * _PER_EVENT
        print_plan(run, [Planned("curves", curves, 0, seconds)], as_json=request.as_json)
        return ExitCode.COMPATIBLE
    with clock.stage("precision and recall"):
        bands = [
            precision_recall_band(run.at("family", index), truth, group)
            for index, group in enumerate(groups)
        ]
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
        panels=sample_panels(truth, groups, bands, _file_names(families)),
    )
    content = ReportInput(
        families=(study,),
        inputs=_inputs(families, groups, request.truth, truth),
        timings=clock.timings,
        command=request.command,
        title=f"Precision and recall: {', '.join(families)}",
    )
    report = document(run, content)
    page = write_document(report, request.out)
    _print(report, page, as_json=request.as_json)
    return EXIT_CODES[report.verdict]


def _families(request: CompareRequest) -> dict[str, list[str]]:
    """Return the files of each family by its name, the folder they lie in.

    An unquoted pattern after ``--against`` is expanded by the shell, and all but its first file
    would be taken for the other family.
    """
    first = [uri for text in request.generated for uri in _expanded(text)]
    if request.against is None:
        return _named([first])
    second = _expanded(request.against)
    shared = {Path(uri).parent for uri in first} & {Path(uri).parent for uri in second}
    if len(second) == 1 and shared:
        raise InputError(
            "--against",
            got=f"one file, {second[0]!r}, and others of its folder as the first family",
            expected="a folder, or a pattern in quotes",
            remedy="For instance --against 'b/*.parquet'.",
        )
    return _named([first, second])


def _expanded(text: str) -> list[str]:
    path = Path(text)
    if path.is_dir():
        return sorted(str(file) for file in path.iterdir() if file.is_file())
    if any(mark in text for mark in "*?["):
        anchor = path.anchor or "."
        pattern = str(path.relative_to(anchor)) if path.anchor else text
        found = sorted(str(file) for file in Path(anchor).glob(pattern))
        if not found:
            raise InputError(text, got="no file of this pattern", expected="samples of generators")
        return found
    return [text]


def _named(groups: list[list[str]]) -> dict[str, list[str]]:
    for uris in groups:
        if len(uris) < _FEWEST:
            raise InputError(
                "generators",
                got=f"{len(uris)} of a family: {', '.join(uris)}",
                expected=f"samples of at least {_FEWEST} generators",
                remedy="A band needs several trainings; one sample is for `verisimile validate`.",
            )
    folders = [Path(uris[0]).parent.name or f"family {i}" for i, uris in enumerate(groups, 1)]
    if len(set(folders)) < len(folders):
        folders = [f"family {i}" for i in range(1, len(groups) + 1)]
    return dict(zip(folders, groups, strict=True))


def _file_names(families: dict[str, list[str]]) -> list[list[str]]:
    return [[Path(uri).name for uri in uris] for uris in families.values()]


def _slim(band: Band) -> Band:
    """Return the band without every member's interpolated curve, for reports and records."""
    none = frozen(np.empty((0, band.recall.recall.size)))
    return replace(band, recall=replace(band.recall, precision=none))


def _inputs(
    families: dict[str, list[str]], groups: list[list[Events]], uri: str, truth: Events
) -> tuple[InputSample, ...]:
    found = [InputSample.of("truth", uri, truth)]
    for (name, uris), group in zip(families.items(), groups, strict=True):
        found += [InputSample.of(name, one, e) for one, e in zip(uris, group, strict=True)]
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
    table = family_table(report.content.families[0])
    print_table(table.columns, table.rows)
    print_lines(
        "",
        *(conclusion.sentence for conclusion in report.conclusions),
        f"Report: {page}  ({duration(report.content.timings.total)})",
    )
