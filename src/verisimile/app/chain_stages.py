"""The stages of a study: what each is given, whether it can run, and what it would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verisimile.app import options
from verisimile.app.chain import ChainStudy, Given, StudySection, options_of
from verisimile.app.commands.amplify import AmplifyCommand
from verisimile.app.commands.coverage import CoverageCommand, chosen_observables
from verisimile.app.commands.fit import FitCommand
from verisimile.app.commands.gof import GofCommand
from verisimile.app.commands.sample import SampleCommand
from verisimile.app.commands.validate import ValidateCommand
from verisimile.app.manner import Gathered, Manner, behaving
from verisimile.app.plans import (
    Planned,
    amplification_stage,
    coverage_stages,
    discrepancy_seconds,
    draw_stage,
    toy_stage,
    unknown_stage,
)
from verisimile.checks.coverage.conditional import default_datasets
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.core.canonical import canonical
from verisimile.core.errors import VerisimileError
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.files import column_names, read_events, write_events
from verisimile.report.content import ReportInput, Stage, Timings, UnfinishedStage

if TYPE_CHECKING:
    from verisimile.app.cli import Command
    from verisimile.app.terminal import ExitCode

_ORIGIN = "verisimile run"
_DRAWN = "verisimile sample"
_OF_RUN = ("gof", "coverage", "sample")


@dataclass(frozen=True, slots=True)
class Parts:
    """The events of a study in two files: to learn, and that nothing has seen.

    Attributes
    ----------
    folder
        Where they lie, and where a sample of what was learned is written.
    learn, unseen
        The events; None if the sections of the study name their files themselves.
    """

    folder: Path
    learn: Events | None = None
    unseen: Events | None = None

    @classmethod
    def of(cls, chain: ChainStudy, folder: Path) -> Parts:
        """Read, part and write the events: the same files by the same study."""
        source = chain.source
        if source is None:
            return cls(folder)
        from verisimile.data.description import Description

        events = read_events(
            source.events,
            features=source.features,
            weights=source.weights,
            group=source.group,
            ignore=source.ignore,
            missing=source.missing,
            cut=source.cut,
            specs={name: Description(**said) for name, said in chain.features.items()},  # type: ignore[arg-type]
        )
        apart = source.unseen
        parts = cls(folder, *events.split((1.0 - apart, apart), Seeds(chain.seed)))
        folder.mkdir(parents=True, exist_ok=True)
        for name, each in (("learn", parts.learn), ("unseen", parts.unseen)):
            if each is not None:
                write_events(each, parts.file(name), origin=_ORIGIN)
        return parts

    def file(self, name: str) -> str:
        """Return the file of a part, or of what is drawn of the fit."""
        return str(self.folder / f"{name}.parquet")

    def stand_in(self, n: int) -> str:
        """Write so many events in the place of those that a fit will draw; return their file."""
        if self.learn is None:
            return self.file("generated")
        few = self.learn.take(np.arange(min(n, self.learn.n)))
        write_events(few, self.file("generated"), origin=_DRAWN)
        return self.file("generated")


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and by whom a study is run.

    Attributes
    ----------
    out
        The folder of the report, with a folder for each stage.
    scratch
        Where further files of stages are written.
    executor, force
        As the options of the same names.
    """

    out: Path
    scratch: Path
    executor: str = ""
    force: bool = False


def given_to(section: StudySection, chain: ChainStudy, parts: Parts, setting: Setting) -> Given:
    """Return what a section is given: files and folders of its neighbours, and what all share."""
    fit = str(setting.out / "fit")
    defaults: dict[str, object] = {}
    if parts.unseen is not None:
        unseen = parts.file("unseen")
        defaults = {"sample": unseen, "reference": unseen, "holdout": unseen}
        defaults |= {"n": parts.unseen.n}
        if parts.unseen.weights is not None:
            defaults["weights"] = "weight"
        if parts.unseen.group is not None:
            defaults["group"] = "group"
        if section.command == "fit" or "generated" not in section.values:
            defaults["train"] = parts.file("learn")
    if chain.section("fit") is not None:
        drawn = section.command == "validate"
        defaults |= {"home": fit, "generated": parts.file("generated") if drawn else [fit]}
    if section.command not in _OF_RUN:  # whose seed is that of the fit
        defaults["seed"] = chain.seed
    if chain.source is None and section.command in ("fit", "validate"):
        defaults["feature"] = {name: dict(said) for name, said in chain.features.items() if said}
    own = section.title.replace(" ", "-")
    places = {"fit": fit, "sample": parts.file("generated")}
    forced: dict[str, object] = {
        "executor": setting.executor,
        "out": places.get(own, str(setting.out / own)),
        "report": str(setting.out),
        "force": setting.force,
    }
    if section.command != "coverage":  # whose level is that of its intervals
        forced["level"] = chain.level
    return Given(chain.file.parent, defaults, forced, setting.scratch)


@dataclass(frozen=True, slots=True)
class ChainStage:
    """A section and its command, ready to run."""

    section: StudySection
    command: Any

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.section.title

    def execute(self) -> ExitCode:
        """Run it; an error says which stage it was."""
        try:
            code: ExitCode = self.command.execute()
        except VerisimileError as error:
            raise error.within(f"[{self.title}]") from error
        return code

    def follows(self, stages: Sequence[ChainStage]) -> bool:
        """Return whether it needs what an earlier one makes, and that is not there yet."""
        made = {
            str(each.command.out)
            for each in stages
            if isinstance(each.command, FitCommand | SampleCommand)
        }
        return any(name in made and not _finished(Path(name)) for name in self._names)

    @property
    def _names(self) -> Iterator[str]:
        """All files and folders that its options name, but for what it makes."""
        for field in fields(self.command):
            value = getattr(self.command, field.name)
            if field.name not in ("out", "report") and isinstance(value, str | Path | list):
                yield from map(str, value if isinstance(value, list) else [value])


def _finished(place: Path) -> bool:
    return place.is_file() or (place / "fit.json").is_file()


def stages_of(
    chain: ChainStudy,
    group: Any,  # noqa: ANN401  (of click)
    kinds: Mapping[str, Callable[..., Command]],
    parts: Parts,
    setting: Setting,
) -> list[ChainStage]:
    """Return all stages with their options, which are parsed as those of commands are."""
    return [
        ChainStage(
            each,
            kinds[each.command](
                **options_of(
                    each, group.commands[each.command], given_to(each, chain, parts, setting)
                )
            ),
        )
        for each in chain.sections
    ]


def check_stages(stages: Sequence[ChainStage], parts: Parts) -> None:
    """Raise what any stage would before its work, as far as it can be known before the first."""
    with behaving(Manner(quiet=True, gathered=Gathered())):
        for stage in stages:
            if stage.follows(stages):
                _check_ahead(stage, parts)
            else:
                ChainStage(stage.section, replace(stage.command, dry_run=True)).execute()


def plan_stages(stages: Sequence[ChainStage], parts: Parts) -> Gathered:
    """Return what all stages would do, and why they could not pass."""
    plans = Gathered()
    for stage in stages:
        with behaving(Manner(quiet=True, gathered=Gathered())) as inside:
            ahead = stage.follows(stages)
            if ahead:
                _check_ahead(stage, parts)
            one = inside.gathered or Gathered()
            if not ahead:
                ChainStage(stage.section, replace(stage.command, dry_run=True)).execute()
            else:
                one.plans += _ahead(stage, stages, parts)
        plans.plans += [replace(each, name=f"{stage.title}: {each.name}") for each in one.plans]
        plans.doubts += one.doubts
    return plans


def _check_ahead(stage: ChainStage, parts: Parts) -> None:
    """Raise for what is wrong whatever the fit will be."""
    command = stage.command
    try:
        if isinstance(command, GofCommand):
            options.check_level(command.level)
            options.check_toys(command.toys, command.level)
            column_names(command.sample)
        if isinstance(command, CoverageCommand):
            options.check_level(command.level)
            if parts.learn is not None:
                chosen_observables(
                    parts.learn.names,
                    moments=command.moment or (),
                    quantiles=command.quantile or (),
                    bins=command.bin_ or (),
                )
        if isinstance(command, AmplifyCommand) and command.holdout is not None:
            column_names(command.holdout)
    except VerisimileError as error:
        raise error.within(f"[{stage.title}]") from None


def _ahead(stage: ChainStage, stages: Sequence[ChainStage], parts: Parts) -> list[Planned]:
    """Return what a stage would do with a fit that is not there yet."""
    fit = next((each.command for each in stages if isinstance(each.command, FitCommand)), None)
    command, run = stage.command, Run(Seeds(0))
    if isinstance(command, ValidateCommand):
        n = next((s.command.n for s in stages if isinstance(s.command, SampleCommand)), 0)
        with behaving(Manner(quiet=True, gathered=Gathered())) as inside:
            stand_in = replace(command, generated=parts.stand_in(n), dry_run=True)
            ChainStage(stage.section, stand_in).execute()
        return [] if inside.gathered is None else inside.gathered.plans
    if fit is None or parts.learn is None or parts.unseen is None:
        return [unknown_stage()]
    members = fit.mixture_members
    if isinstance(command, GofCommand):
        known = command.sample == parts.file("unseen")
        return [
            toy_stage(
                run,
                toys=command.toys,
                events=parts.unseen.n if known else read_events(command.sample).n,
                members=members,
                kernels=command.kernels or GaussianKernels().count,
                placements=command.placements,
                corrected=fit.discrepancy,
            )
        ]
    if isinstance(command, CoverageCommand):
        datasets = command.datasets or default_datasets(corrected=fit.discrepancy)
        return coverage_stages(
            run,
            datasets=datasets,
            events=command.events or parts.learn.n,
            members=members,
            learnt=discrepancy_seconds(events=parts.learn.n, features=parts.learn.d)
            if fit.discrepancy
            else 0.0,
        )
    if isinstance(command, SampleCommand):
        return [draw_stage(command.n)]
    if isinstance(command, AmplifyCommand):
        n = command.n_generated or 10 * parts.learn.n
        return [amplification_stage(parts.unseen.n, of_run=n, members=members)]
    return [unknown_stage()]


def joined(
    contents: Sequence[ReportInput],
    chain: ChainStudy,
    stages: Sequence[Stage],
    failures: Sequence[tuple[str, str]],
) -> ReportInput:
    """Return the reports of all stages as one, what several of them say once.

    `failures` are stages that have none, and why.
    """
    inputs = {(each.role, each.digest): each for one in contents for each in one.inputs}
    results = {canonical(to_dict(each)): each for one in contents for each in one.results}
    warnings = dict.fromkeys(note for one in contents for note in one.warnings)
    unfinished = [UnfinishedStage(title, reason) for title, reason in failures]
    return ReportInput(
        samples=tuple(each for one in contents for each in one.samples),
        coverage=tuple(each for one in contents for each in one.coverage),
        validations=tuple(each for one in contents for each in one.validations),
        amplifications=tuple(each for one in contents for each in one.amplifications),
        families=tuple(each for one in contents for each in one.families),
        training=next((one.training for one in contents if one.training), ()),
        fit=next((one.fit for one in contents if one.fit is not None), None),
        inputs=tuple(inputs.values()),
        timings=Timings(tuple(stages)),
        warnings=tuple(warnings),
        command=options.command_line(),
        level=chain.level,
        title=chain.title,
        results=(*results.values(), *unfinished),
    )
