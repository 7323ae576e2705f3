"""``verisimile validate``: the generated sample against the truth, and a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.descriptions import label_notes, of_files, onto_options, within_reach
from verisimile.app.models import FileSampler, ModelFile
from verisimile.app.passports import passport_plan
from verisimile.app.preflight import check_report
from verisimile.app.reading import Reader, accounts_of, holders, say_accounts, warn_of_doubts
from verisimile.app.terminal import Clock, ExitCode
from verisimile.core.errors import InputError

if TYPE_CHECKING:
    from verisimile.core.run import Run
    from verisimile.data.events import Events
    from verisimile.report.document import Document
    from verisimile.validation.study import Study

_ROLES = ("reference", "generated", "train")
_LISTS = ("features", "tests")
_ORIGIN = "verisimile validate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateCommand(options.BesideReport):
    """Compare a generated sample with the truth: tests, where they differ, and a verdict.

    The exit code is 0 if no difference is found, 1 if one is, 3 if nothing can be said.
    """

    reference: Annotated[
        str | None, typer.Argument(metavar="[REFERENCE]", help=f"Truth. {options.FILE}")
    ] = None
    generated: Annotated[
        str | None,
        typer.Argument(
            metavar="[GENERATED]",
            help="The generator's events, or a sampler to draw them from: model.py:my_sampler.",
        ),
    ] = None
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Events to draw of a sampler; as many as REFERENCE by default."),
    ] = None
    train: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What the generator was trained on: finds memorised."),
    ] = None
    study: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Study file (.toml, .yaml); options go before it."),
    ] = None
    out: options.Out = Path("validation")
    features: options.Compared = ""
    feature: options.Described = None
    ignore: options.Ignore = None
    missing: options.Missing = None
    weights: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with event weights, of any sign.")
    ] = None
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Column that says which rows belong to one physics event."
        ),
    ] = None
    periodic: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=LOW:HIGH]",
            help="A feature that comes round, as an angle does: its period, 2 pi if none; repeat.",
        ),
    ] = None
    cut: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="What events must fulfil to count.")
    ] = None
    observable: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=EXPRESSION", help="A further column; repeat for several."),
    ] = None
    selection: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=CONDITION", help="An efficiency to compare; repeat."),
    ] = None
    constraint: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=CONDITION", help="What every event must fulfil; repeat."),
    ] = None
    tests: Annotated[
        str, typer.Option(metavar="A,B,...", help="Tests to make; the whole battery by default.")
    ] = ""
    permutations: Annotated[
        int | None,
        typer.Option(
            "--permutations",
            "--relabelings",
            min=19,
            help="Of each permutation test; 999 by default.",
        ),
    ] = None
    monitor: Annotated[
        Path | None,
        typer.Option(
            metavar="STATE",
            help="Evidence of all nights, in this file: the verdict is theirs, valid at any time.",
        ),
    ] = None
    level: Annotated[
        float | None, typer.Option(help="Significance level of the verdict; 0.05 by default.")
    ] = None
    seed: Annotated[
        int | None, typer.Option(min=0, help="Entropy of all random streams; 2026 by default.")
    ] = None
    passport: Annotated[
        bool,
        typer.Option(
            "--passport",
            help="Write GENERATED.passport.json beside the sample: its digest, and what was found.",
        ),
    ] = False
    passport_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the passport there instead.")
    ] = None
    amplification: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Report of verisimile amplify on GENERATED, for the passport to quote.",
        ),
    ] = None
    executor: options.Executor = ""
    shard: options.PartOfWork = ""
    max_seconds: options.MaxSeconds = None
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False

    def execute(self) -> ExitCode:
        """Compare the samples, write the report, and return the verdict's code."""
        from verisimile.report.content import InputSample, NamedValidation, ReportInput
        from verisimile.validation.samples import check_inputs
        from verisimile.validation.validate import validate

        clock = Clock()
        study = within_reach(self._whole_study())
        check_report(self.out, force=self.force)
        run = options.run_in(self.home, seed=study.seed, executor=self.executor, shard=self.shard)
        drawn = None
        if model := ModelFile.named(study.samples.generated):
            with clock.stage("drawing"):
                study, drawn = self._drawn(run, study, model)
        with clock.stage("reading"):
            events, notes = read_samples(study)
            check_inputs(events, study)
        if self.monitor is not None:
            return self._watch(self.monitor, run, study, events, clock)
        stamp = passport_plan(
            study,
            events["generated"],
            wanted=self.passport,
            file=self.passport_file,
            amplification=self.amplification,
            force=self.force,
        )
        if self.dry_run:
            return self._plan(run, study, events)
        warn_of_doubts(_doubts(study, events))
        with clock.stage("comparison"):
            found = validate(
                run,
                events["reference"],
                events["generated"],
                train=events.get("train"),
                study=study,
            )
        terminal.warn(found.warnings)
        content = ReportInput(
            validations=(NamedValidation(model.name if model else _name(study), found),),
            inputs=tuple(
                InputSample.of(
                    role,
                    drawn if drawn and role == "generated" else getattr(study.samples, role),
                    sample,
                )
                for role, sample in events.items()
            ),
            timings=clock.timings,
            warnings=notes,
            command=options.command_line(),
            level=study.level,
            title=study.title,
        )
        code = terminal.conclude(run, content, self.out, self._print, force=self.force)
        if stamp is not None:
            place = stamp.write(run, content, events["reference"], events["generated"])
            terminal.print_lines(*(() if self.as_json else (f"Passport: {place}",)))
        return code

    def _drawn(self, run: Run, study: Study, model: ModelFile) -> tuple[Study, str]:
        """Draw the generated sample into a file beside the report; return what was drawn.

        The study that is returned has the file in place of the model.
        """
        from verisimile.data.files import check_writable, write_events

        file = self.out / "generated.parquet"
        if self.out.is_dir():
            check_writable(file, origin=_ORIGIN, force=self.force)
        sampler = FileSampler.of(model)
        alone = _with_samples(study, generated=None, train=None)
        reference = read_samples(alone)[0]["reference"]
        size = study.samples.size or reference.n
        events, source = sampler.draw(size, reference.names, run.seeds.at("generated"))
        self.out.mkdir(parents=True, exist_ok=True)
        write_events(events, file, origin=_ORIGIN)
        return _with_samples(study, generated=str(file)), source

    def _watch(
        self, state: Path, run: Run, study: Study, events: Mapping[str, Events], clock: Clock
    ) -> ExitCode:
        """Add a night to the evidence in a file; its verdict is that of all nights."""
        from verisimile.app.conclusions import Ending
        from verisimile.app.plans import Planned, print_plan
        from verisimile.report.content import InputSample
        from verisimile.validation.monitor import monitor

        if self.dry_run:
            return print_plan(run, [Planned("one night", 1, 0, 1.0)], as_json=self.as_json)
        with clock.stage("one night"):
            found = monitor(
                state,
                events["reference"],
                events["generated"],
                level=study.level,
                seed=study.seed,
            )
        ending = Ending(
            title=f"All nights of {_name(study)}",
            schema="verisimile.monitor-summary/1",
            out=self.out,
            level=study.level,
            force=self.force,
            as_json=self.as_json,
        )
        inputs = [
            InputSample.of(role, getattr(study.samples, role), sample)
            for role, sample in events.items()
        ]
        return ending.of(run, [found], clock, inputs=inputs)

    def _whole_study(self) -> Study:
        """Return the study file's study with what the options say instead."""
        from verisimile.validation.study import Battery, Samples, Study, checked_study, read_study

        study = Study() if self.study is None else read_study(self.study)
        values = study.model_dump(mode="python")
        for part, names in (
            (values["samples"], Samples.model_fields),
            (values["battery"], Battery.model_fields),
            (values, ("level", "seed")),
        ):
            part |= self._given(names)
        for name in ("observable", "selection", "constraint"):
            texts = options.named_texts(getattr(self, name) or (), f"--{name}")
            values[f"{name}s"] = {**values[f"{name}s"], **texts}
        values["features"] = onto_options(values["features"], self.feature)
        whole = checked_study(values, where="options" if self.study is None else "study")
        _check_named(whole)
        return whole

    def _given(self, names: Iterable[str]) -> dict[str, object]:
        """Return the values of those options of these names that leave no word to the file."""
        lists = {name: options.column_list(getattr(self, name), f"--{name}") for name in _LISTS}
        lists["ignore"] = list(options.ignored_names(self.ignore))
        values = {name: lists.get(name, getattr(self, name, None)) for name in names}
        return {name: value for name, value in values.items() if value not in (None, [])}

    def _plan(self, run: Run, study: Study, events: Mapping[str, Events]) -> ExitCode:
        from verisimile.app.plans import battery_stages, print_plan

        total = events["reference"].n + events["generated"].n
        planned = battery_stages(run, study.battery, events=total)
        return print_plan(
            run,
            planned,
            as_json=self.as_json,
            accounts={role: sample.account for role, sample in events.items()},
            doubts=_doubts(study, events),
        )

    def _print(self, report: Document, page: Path | None) -> None:
        from verisimile.report.sections.validation_tables import validation_summary

        level = report.content.level
        if self.as_json:
            terminal.print_summary(
                "verisimile.validation-summary/1",
                report,
                page,
                {"verdict": report.verdict, "level": level},
            )
            return
        say_accounts(accounts_of(report.content.inputs))
        terminal.print_table(validation_summary(report.content.validations[0], level), columns=-1)
        sentences = [c.sentence for c in report.conclusions if c.hypothesis == "all tests together"]
        terminal.print_lines("", *sentences)
        terminal.print_place(report, page)


def _with_samples(study: Study, **roles: str | None) -> Study:
    return study.model_copy(update={"samples": study.samples.model_copy(update=roles)})


def _check_named(study: Study) -> None:
    for role in ("reference", "generated"):
        if getattr(study.samples, role) is None:
            raise InputError(
                role.upper(),
                got="no file",
                expected=f"the {role} sample's file",
                remedy="verisimile validate REFERENCE GENERATED, or name both in the study file.",
            )


def _name(study: Study) -> str:
    from verisimile.data.files import file_of

    # Without suffix: the same events have the same name in every format.
    return file_of(study.samples.generated).stem if study.samples.generated else "generated"


def read_samples(study: Study) -> tuple[dict[str, Events], tuple[str, ...]]:
    """Return all samples that a study names by their role, and what a reader must know of them."""
    from verisimile.validation.study import needed_columns

    samples = study.samples
    uris = {role: uri for role in _ROLES if (uri := getattr(samples, role)) is not None}
    weights = _holders(samples.weights, uris, "weights", "column of weights")
    groups = _holders(samples.group, uris, "group", "column of groups")
    features, specs = needed_columns(study, cut=False), of_files(study)
    reader = Reader(holders(samples.ignore, list(uris.values()), "ignore"), samples.missing)
    events = {
        role: reader.events(
            uri,
            features,
            weights=weights[role],
            group=groups[role],
            specs=specs,
            cut=samples.cut,
        )
        for role, uri in uris.items()
    }
    return events, (
        *label_notes(
            [spec for sample in events.values() for spec in sample.features], study.features
        ),
        *_notes(study.samples.weights, weights, "taken as unweighted"),
        *_notes(study.samples.group, groups, "its rows are taken as independent"),
    )


def _holders(
    name: str | None, uris: Mapping[str, str], option: str, contents: str
) -> dict[str, str | None]:
    """Return the column's name for each sample that has it: a generator's events often do not."""
    found = holders([] if name is None else [name], list(uris.values()), option, contents=contents)
    return {role: name if found[uri] else None for role, uri in uris.items()}


def _doubts(study: Study, events: Mapping[str, Events]) -> list[str]:
    """Return why no p-value could be at or below the level; nothing if one could."""
    from verisimile.report.sections.validation_verdict import out_of_reach
    from verisimile.validation.battery import smallest_p_value
    from verisimile.validation.missing import missing_values_test

    pair = (events["reference"], events["generated"])
    exact = len(study.selections) + len(study.constraints)  # these reach any level
    smallest = smallest_p_value(
        study.battery,
        (pair[0].n_effective, pair[1].n_effective),
        weighted=any(each.weights is not None for each in pair),
        further=exact + (missing_values_test(pair) is not None),
    )
    if smallest <= study.level or exact:
        return []
    return [
        f"{out_of_reach(smallest)}, and the level is {study.level:g} (more --permutations, or "
        "fewer --tests, reach lower)"
    ]


def _notes(name: str | None, holders: Mapping[str, str | None], so: str) -> tuple[str, ...]:
    if name is None or all(holders.values()):
        return ()
    plain = " and ".join(role for role, column in holders.items() if column is None)
    return terminal.warn([f"there is no column {name!r} in the {plain} sample: {so}"])
