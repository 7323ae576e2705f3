"""``verisimile run``: all stages of a study file, one report, and the worst of their exit codes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from verisimile.app import options, terminal
from verisimile.app.manner import Gathered, behaving, manner
from verisimile.app.preflight import check_report
from verisimile.app.stopping import time_is_enough
from verisimile.app.terminal import Clock, ExitCode
from verisimile.core.errors import NumericsError

if TYPE_CHECKING:
    from verisimile.app.chain import ChainStudy
    from verisimile.app.chain_stages import ChainStage
    from verisimile.core.canonical import JSON
    from verisimile.report.document import Document

# From the best to the worst: a fault that was found is worse than what could not be said, as in
# the verdict of a report, and any verdict is better than none.
_ORDER = (
    ExitCode.COMPATIBLE,
    ExitCode.INCONCLUSIVE,
    ExitCode.INCOMPATIBLE,
    ExitCode.INCOMPLETE,
    ExitCode.BAD_INPUT,
    ExitCode.BUG,
)
_WORDS = {
    ExitCode.COMPATIBLE: "compatible",
    ExitCode.INCONCLUSIVE: "inconclusive",
    ExitCode.INCOMPATIBLE: "not compatible",
}
_WITHOUT_VERDICT = ("fit", "sample")


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the exit code of several stages; that of none is inconclusive.

    Examples
    --------
    >>> worst([ExitCode.COMPATIBLE, ExitCode.INCOMPATIBLE, ExitCode.INCONCLUSIVE]).name
    'INCOMPATIBLE'
    """
    return max(codes, key=_ORDER.index, default=ExitCode.INCONCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """Run all stages of the study in FILE, and write one report on them.

    A section of FILE is a command (fit, gof, coverage, sample, validate, amplify), its keys are
    the command's options; verisimile init writes such a file. What is finished is kept, and
    the same command goes on where it stopped. The exit code is that of the worst stage.
    """

    study: Annotated[
        Path, typer.Argument(metavar="FILE", help="Study of several stages: .toml or .yaml.")
    ]
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for report, run and samples; FILE's name with -report by default.",
            show_default=False,
        ),
    ] = None
    executor: options.Executor = ""
    max_seconds: options.MaxSeconds = None
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False

    @property
    def home(self) -> Path:
        """The folder of everything."""
        return self.out or self.study.with_name(f"{self.study.stem}-report")

    def execute(self) -> ExitCode:
        """Check all stages, run one after the other, and write the report on what they found."""
        from verisimile.app.chain import read_chain, with_sample
        from verisimile.app.chain_stages import (
            Parts,
            Setting,
            check_stages,
            plan_stages,
            stages_of,
        )
        from verisimile.app.cli import COMMANDS, app

        group: Any = typer.main.get_command(app)
        chain = with_sample(read_chain(self.study, group))
        check_report(self.home, force=self.force)
        with self._scratch() as scratch:
            setting = Setting(self.home, scratch, self.executor, self.force)
            parts = Parts.of(chain, scratch / "samples")
            stages = stages_of(chain, group, COMMANDS, parts, setting)
            if self.dry_run:
                return self._plan(plan_stages(stages, parts))
            check_stages(stages, parts)
            return self._run(chain, stages)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Yield where samples are written: for a plan only until it is printed."""
        if not self.dry_run:
            yield self.home
            return
        with tempfile.TemporaryDirectory(prefix="verisimile-") as folder:
            yield Path(folder)

    def _plan(self, plans: Gathered) -> ExitCode:
        from verisimile.app.plans import print_plan

        run = options.run_in(self.home, seed=0, executor=self.executor)
        return print_plan(run, plans.plans, as_json=self.as_json, doubts=plans.doubts)

    def _run(self, chain: ChainStudy, stages: Sequence[ChainStage]) -> ExitCode:
        done = Done()
        for number, stage in enumerate(stages, 1):
            terminal.announce(f"{number}/{len(stages)} {stage.title}")
            with (
                done.clock.stage(stage.title),
                behaving(replace(manner(), gathered=done.gathered)),
            ):
                if stage.follows(stages):
                    done.fail(stage.title, "the stage that makes its input failed")
                    continue
                try:
                    done.codes[stage.title] = stage.execute()
                except NumericsError as error:
                    if stage.section.command == "fit":
                        raise  # the others have nothing to work with
                    done.fail(stage.title, str(error))
        return self._conclude(chain, done)

    def _conclude(self, chain: ChainStudy, done: Done) -> ExitCode:
        """Write one report on all stages, and return the worst code."""
        from verisimile.app.chain_stages import joined
        from verisimile.app.stages import content_of_folder
        from verisimile.report.document import document
        from verisimile.report.write import write_document

        time_is_enough()
        terminal.warn(
            [f"the stage {title} can say nothing: {each}" for title, each in done.failures]
        )
        code = worst(done.codes.values())
        gathered = done.gathered.contents
        if not gathered and "fit" in done.codes:  # the page shows members and weights
            gathered = [content_of_folder(self.home / "fit")]
        if not gathered:
            self._print(done, code)
            return code
        (run, _), *_ = gathered
        contents = [content for _, content in gathered]
        report = document(run, joined(contents, chain, done.clock.timings.stages, done.failures))
        page = write_document(report, self.home, force=self.force)
        code = worst([code, terminal.verdict_code(report)])
        self._print(done, code, report, page)
        return code

    def _print(
        self,
        done: Done,
        code: ExitCode,
        report: Document | None = None,
        page: Path | None = None,
    ) -> None:
        if self.as_json:
            verdict: dict[str, JSON] = {"exit_code": int(code), "stages": done.rows}
            if report is None:
                terminal.print_json("verisimile.run-summary/1", {**verdict, "report": None})
            else:
                verdict = {"verdict": report.verdict, **verdict}
                terminal.print_summary("verisimile.run-summary/1", report, page, verdict)
            return
        done.show()
        if report is not None:
            counted = [each for each in report.findings if each.decisive and each.headline]
            terminal.print_lines("", *(f"{each.sample}: {each.sentence}" for each in counted))
            terminal.print_place(report, page)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of the stages: their codes, times and reports, and why some have none."""

    codes: dict[str, ExitCode] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    gathered: Gathered = field(default_factory=Gathered)
    clock: Clock = field(default_factory=Clock)

    def fail(self, title: str, reason: str) -> None:
        """Keep that a stage can say nothing, and why."""
        self.codes[title] = ExitCode.INCONCLUSIVE
        self.failures.append((title, reason))

    @property
    def rows(self) -> list[Any]:
        """One object for each stage, for machines."""
        return [
            {
                "stage": stage.name,
                "exit_code": int(self.codes[stage.name]),
                "seconds": stage.seconds,
            }
            for stage in self.clock.timings.stages
        ]

    def show(self) -> None:
        """Print one row for each stage."""
        from verisimile.report.numbers import duration

        rows = []
        for stage in self.clock.timings.stages:
            code = self.codes[stage.name]
            done = stage.name.split()[0] in _WITHOUT_VERDICT and code is ExitCode.COMPATIBLE
            word = "done" if done else _WORDS[code]
            rows.append((stage.name, word, duration(stage.seconds)))
        terminal.print_columns(("stage", "outcome", "time"), rows)
