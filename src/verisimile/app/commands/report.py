"""``verisimile report``: a report again from what is kept of it, or two side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.preflight import check_report
from verisimile.app.terminal import ExitCode
from verisimile.core.errors import InputError

if TYPE_CHECKING:
    from verisimile.report.difference import ReportComparison
    from verisimile.report.document import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCommand:
    """Make the page of DIR again from its result.json; with DIR2, show both side by side.

    Nothing is computed again: the numbers are those that were kept, judged by this version. Of a
    run folder made by fit, the page describes members and weights. The exit code is that of the
    verdict, of DIR2's if there are two.
    """

    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a report, or a run folder of fit.")
    ]
    other: Annotated[
        Path | None, typer.Argument(metavar="[DIR2]", help="A second one, compared with the first.")
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for the page; by default DIR itself, and comparison/ for two.",
            show_default=False,
        ),
    ] = None
    force: options.Force = False
    as_json: options.Json = False

    @property
    def home(self) -> Path | None:
        """None: nothing is computed, and nothing is left to go on from."""
        return None

    def execute(self) -> ExitCode:
        """Write the page, say what is on it, and return the verdict's code."""
        from verisimile.report.write import write_document

        out = self._out()
        check_report(out, force=self.force)
        report = _kept(self.folder)
        if self.other is None:
            page = write_document(report, out, force=self.force)
            self._print(report, page)
            return terminal.verdict_code(report)
        return self._compare(report, _kept(self.other), out)

    def _out(self) -> Path:
        """Return the folder of the page."""
        if self.out is not None:
            return self.out
        if self.other is not None:
            return Path("comparison")
        folder = self.folder.parent if self.folder.is_file() else self.folder
        if _is_run(folder):
            raise InputError(
                "--out",
                got=f"no folder, and {folder} is one of records",
                expected="a folder for the page",
                remedy=f"For instance --out {folder}-report.",
            )
        return folder

    def _compare(self, first: Document, second: Document, out: Path) -> ExitCode:
        from verisimile.core.random import Seeds
        from verisimile.core.run import Run
        from verisimile.report.content import ReportInput
        from verisimile.report.difference import ReportComparison
        from verisimile.report.document import document
        from verisimile.report.write import write_document

        names = _names(self.folder, self.other or self.folder)
        found = ReportComparison(names, first, second)
        content = ReportInput(
            results=(found,),
            command=options.command_line(),
            level=second.content.level,
            title=f"{names[0]} and {names[1]}",
        )
        report = document(Run(Seeds(0)), content)
        page = write_document(report, out, force=self.force)
        self._print_changes(found, report, page)
        return terminal.verdict_code(report)

    def _print(self, report: Document, page: Path) -> None:
        if self.as_json:
            terminal.print_summary(
                "verisimile.report-summary/1",
                report,
                page,
                {"verdict": report.verdict, "level": report.content.level},
            )
            return
        terminal.print_lines(f"{report.verdict.capitalize()}. {report.line}", f"Report: {page}")

    def _print_changes(self, found: ReportComparison, report: Document, page: Path) -> None:
        from verisimile.core.canonical import JSON
        from verisimile.report.difference import number_changes, origin_changes, paired_parts
        from verisimile.report.sections.comparison import overview_table

        numbers, origin = list(number_changes(paired_parts(found))), list(origin_changes(found))
        if self.as_json:
            changed: dict[str, JSON] = {
                name: [
                    {
                        "part": each.part,
                        "row": each.row,
                        "column": each.column,
                        "first": each.first,
                        "second": each.second,
                    }
                    for each in changes
                ]
                for name, changes in (("origin", origin), ("numbers", numbers))
            }
            said = {"verdict": report.verdict, "first_verdict": found.first.verdict}
            terminal.print_summary(
                "verisimile.report-comparison-summary/1", report, page, said, {"changed": changed}
            )
            return
        table = overview_table(found, numbers)
        terminal.print_table(table)
        terminal.print_lines("", table.caption, f"Report: {page}")


def _is_run(folder: Path) -> bool:
    return not (folder / "result.json").exists() and (folder / "fit.json").exists()


def _kept(place: Path) -> Document:
    """Return the report that is kept in a folder, or that of the records of a fit."""
    from verisimile.report.again import kept_report

    if not _is_run(place):
        return kept_report(place)
    from verisimile.app.stages import content_of_folder
    from verisimile.report.document import document

    return document(*content_of_folder(place))


def _names(first: Path, second: Path) -> tuple[str, str]:
    """Return the last parts of two paths that tell them apart."""
    one, other = (
        (path.parent if path.is_file() else path).resolve().parts for path in (first, second)
    )
    for length in range(1, max(len(one), len(other)) + 1):
        names = "/".join(one[-length:]), "/".join(other[-length:])
        if names[0] != names[1]:
            return names
    return f"{one[-1]} (first)", f"{other[-1]} (second)"
