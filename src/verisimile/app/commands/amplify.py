"""``verisimile amplify``: how many events a generator is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.descriptions import as_fitted, feature_descriptions
from verisimile.app.preflight import check_report
from verisimile.app.reading import Accounts, Reader, accounts_of, say_accounts, warn_of_losses
from verisimile.app.terminal import Clock, ExitCode
from verisimile.core.errors import InputError, require

if TYPE_CHECKING:
    from verisimile.core.run import Run
    from verisimile.data.description import Description
    from verisimile.data.events import Events
    from verisimile.mixture.model import Mixture
    from verisimile.report.content import InputSample
    from verisimile.report.document import Document

_FEWEST_REGIONS = 2
_TIMES = 10  # generated events over those of the training, unless another number is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class AmplifyCommand(options.BesideReport):
    """Measure how many true events a generator is worth, against events it has never seen.

    The exit code is 0, or 1 if the generator repeats its training events.
    """

    generated: Annotated[
        list[str],
        typer.Argument(
            metavar="GENERATED...",
            help="The generator's events; several files for several trainings; or a folder made by "
            f"verisimile fit. {options.FILE}",
        ),
    ]
    holdout: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="True events that the generator has never seen."),
    ] = None
    train: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What it was trained on: memorised events are found."),
    ] = None
    n_train: Annotated[
        int | None, typer.Option(min=2, help="Training events, if --train does not say.")
    ] = None
    n_generated: Annotated[
        int | None,
        typer.Option(min=100, help="Events to draw of a run; ten times its training by default."),
    ] = None
    features: Annotated[
        str,
        typer.Option(
            metavar="A,B,...", help="Columns; all of the first file by default.", show_default=False
        ),
    ] = ""
    feature: options.Described = None
    ignore: options.Ignore = None
    missing: options.Missing = None
    regions: Annotated[
        str, typer.Option(metavar="N,N,...", help="Resolutions: numbers of regions.")
    ] = "10,20,50,100"
    condition: Annotated[
        str | None,
        typer.Option(
            metavar="FEATURE",
            help="Feature along which G is measured too, in bins, with bands that hold in all of "
            "them together.",
        ),
    ] = None
    bins: Annotated[
        str,
        typer.Option(metavar="N|A,B,...", help="Bins of --condition: number, or inner edges."),
    ] = "5"
    out: options.Out = Path("amplification")
    seed: options.Seed = options.SEED
    executor: options.Executor = ""
    shard: options.PartOfWork = ""
    max_seconds: options.MaxSeconds = None
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False

    def execute(self) -> ExitCode:
        """Measure the gain, write the report, and return 1 if the generator memorises."""
        from verisimile.checks.amplification.study import amplify, check_amplification
        from verisimile.report.content import NamedAmplification, ReportInput

        regions = options.number_list(self.regions, "--regions")
        bins = _bins(self.bins)
        self._check(regions)
        check_report(self.out, force=self.force)
        clock = Clock()
        run = options.run_in(self.home, seed=self.seed, executor=self.executor, shard=self.shard)
        with clock.stage("reading"):
            samples = self._of_run() if self._is_run else self._of_files()
            n_train = self._n_train(samples.n_train)
            check_amplification(
                samples.generated,
                samples.holdout,
                n_train=n_train,
                train=samples.train,
                mixture=samples.mixture,
                regions=regions,
                condition=self.condition,
                bins=bins,
            )
        if samples.mixture is not None:
            self._check_draws(samples, regions)
        accounts = accounts_of(self._inputs(samples))
        warn_of_losses(accounts)
        if self.dry_run:
            return self._plan(run, samples, accounts)
        if samples.mixture is not None:
            with clock.stage("generating"):
                samples = self._drawn(run, samples.mixture, samples)
        with clock.stage("amplification"):
            study = amplify(
                run,
                samples.generated,
                samples.holdout,
                n_train=n_train,
                train=samples.train,
                members=samples.members,
                mixture=samples.mixture,
                regions=regions,
                condition=self.condition,
                bins=bins,
            )
        content = ReportInput(
            amplifications=(NamedAmplification(self._name, study),),
            inputs=self._inputs(samples),
            timings=clock.timings,
            command=options.command_line(),
            title=f"Amplification: {self._name}",
        )
        return terminal.conclude(run, content, self.out, self._print, force=self.force)

    @property
    def _name(self) -> str:
        first, more = Path(self.generated[0]).name, len(self.generated) - 1
        return f"{first} and {more} more" if more else first

    @property
    def _is_run(self) -> bool:
        return Path(self.generated[0]).is_dir()

    def _check(self, regions: Sequence[int]) -> None:
        """Raise for what is wrong whatever the files hold."""
        columns = options.column_list(self.features)
        if self.condition is not None and columns and self.condition not in columns:
            raise InputError(
                "--condition",
                got=repr(self.condition),
                expected=f"one of --features {', '.join(columns)}",
            )
        if self.holdout is None:
            raise InputError(
                "--holdout",
                got="nothing",
                expected="a file of true events that the generator has never seen",
                remedy="Set some aside before training, or train again without a part of the "
                "training events and use that part. Against the training sample itself a "
                "generator that memorises looks perfect.",
            )
        if min(regions) < _FEWEST_REGIONS:
            raise InputError("--regions", got=min(regions), expected="two or more each")
        folders = [uri for uri in self.generated if Path(uri).is_dir()]
        if folders and len(self.generated) > 1:
            raise InputError(
                "GENERATED",
                got=f"{len(self.generated)} names, {folders[0]} among them, which is a folder",
                expected="files, or one run",
                remedy="Draw events of each run by verisimile sample, and give the files.",
            )

    def _plan(self, run: Run, samples: AmplifiedSamples, accounts: Accounts) -> ExitCode:
        """Print the plan: what is given is read, nothing is drawn."""
        from verisimile.app.plans import amplification_stage, print_plan

        events = samples.holdout.n + sum(each.n for each in samples.generated)
        planned = (
            amplification_stage(events)
            if samples.mixture is None
            else amplification_stage(
                events, of_run=self._size(samples), members=len(samples.mixture.members)
            )
        )
        if self.condition is not None:
            planned = replace(planned, name=f"{planned.name}, also in bins of {self.condition}")
        return print_plan(run, [planned], as_json=self.as_json, accounts=accounts)

    def _of_files(self) -> AmplifiedSamples:
        from verisimile.data.events import match_features

        columns = options.column_list(self.features)
        reader = Reader.of(self._files(self.generated), self.ignore, self.missing)
        said = feature_descriptions(self.feature or ())
        generated = tuple(reader.events(uri, columns, specs=said) for uri in self.generated)
        first = generated[0]
        for uri, events in zip(self.generated[1:], generated[1:], strict=True):
            match_features(events, first.features, where=uri, of=self.generated[0])
        holdout, train = self._true(reader, first.names, said)
        return AmplifiedSamples(generated, holdout, train, None if train is None else train.n)

    def _of_run(self) -> AmplifiedSamples:
        """Return what is known of a fitted run before anything is drawn of it."""
        mixture, n_train = _fitted(self.generated[0])
        reader = Reader.of(self._files(()), self.ignore, self.missing)
        said = as_fitted(self.feature, mixture.features)
        holdout, train = self._true(reader, [spec.name for spec in mixture.features], said)
        return AmplifiedSamples((), holdout, train, n_train, mixture=mixture)

    def _drawn(self, run: Run, mixture: Mixture, samples: AmplifiedSamples) -> AmplifiedSamples:
        """Return the samples with events of a run's mixture and of its members."""
        from verisimile.app.plans import MEMBER_EVENTS
        from verisimile.app.stages import draw_members
        from verisimile.data.events import Events

        size = self._size(samples)
        events = Events(mixture.draw(size, run.at("generated")).x, features=mixture.features)
        members = draw_members(mixture, run, min(size, MEMBER_EVENTS))
        return replace(samples, generated=(events,), members=members)

    def _size(self, samples: AmplifiedSamples) -> int:
        return self.n_generated or _TIMES * (samples.n_train or 0)

    def _check_draws(self, samples: AmplifiedSamples, regions: Sequence[int]) -> None:
        """Raise if too few events will be drawn of a run: half of them make the regions."""
        made_of = self._size(samples) // 2
        require(
            max(regions) <= made_of,
            "--regions",
            got=f"{max(regions)} regions to be made of {made_of} events",
            expected="no more than events",
            remedy=f"Ask for fewer regions, or for --n-generated {2 * max(regions)} or more.",
        )

    def _files(self, generated: Sequence[str]) -> list[str]:
        return [*generated, *filter(None, (self.holdout, self.train))]

    def _true(
        self, reader: Reader, names: Sequence[str], said: Mapping[str, Description]
    ) -> tuple[Events, Events | None]:
        """Return holdout and training events with the columns of the generator."""
        of_these = {name: each for name, each in said.items() if name in names}
        holdout = reader.needed(self.holdout or "", names, specs=of_these)
        if self.train is None:
            return holdout, None
        return holdout, reader.needed(self.train, names, specs=of_these)

    def _n_train(self, known: int | None) -> int:
        found = self.n_train or known
        if found is None:
            raise InputError(
                "--n-train",
                got="neither --train nor --n-train",
                expected="the number of events that the generator was trained on",
                remedy="Give the training sample by --train: memorised events are then looked for.",
            )
        return found

    def _inputs(self, samples: AmplifiedSamples) -> tuple[InputSample, ...]:
        from verisimile.report.content import InputSample

        roles = [f"generated {i}" for i in range(1, len(self.generated) + 1)]
        if self._is_run:
            roles = ["generated"]
        found = [
            InputSample.of(role, uri, events)
            for role, uri, events in zip(roles, self.generated, samples.generated, strict=False)
        ]
        found.append(InputSample.of("holdout", self.holdout or "", samples.holdout))
        if samples.train is not None:
            found.append(InputSample.of("training", self.train or "", samples.train))
        return tuple(found)

    def _print(self, report: Document, page: Path | None) -> None:
        from verisimile.report.sections.amplification import gain_table

        if self.as_json:
            verdict = {"verdict": report.verdict}
            terminal.print_summary("verisimile.amplification-summary/1", report, page, verdict)
            return
        say_accounts(accounts_of(report.content.inputs))
        terminal.print_table(gain_table(report.content.amplifications[0].study))
        terminal.print_lines("", *(conclusion.sentence for conclusion in report.conclusions))
        terminal.print_place(report, page)


@dataclass(frozen=True, slots=True, eq=False)
class AmplifiedSamples:
    """What is measured; of a fitted run, its members' events and its mixture too."""

    generated: tuple[Events, ...]
    holdout: Events
    train: Events | None
    n_train: int | None
    members: tuple[Events, ...] = ()
    mixture: Mixture | None = None


def _bins(text: str) -> int | tuple[float, ...]:
    """Return the number of bins, or their inner edges."""
    try:
        edges = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            "--bins", got=repr(text), expected="a whole number, or edges with commas"
        ) from None
    if len(edges) > 1:
        return edges
    require(
        edges[0].is_integer() and edges[0] >= _FEWEST_REGIONS,
        "--bins",
        got=text,
        expected="a whole number from 2 on, or two inner edges or more",
    )
    return int(edges[0])


def _fitted(folder: str) -> tuple[Mixture, int]:
    """Return the mixture in a folder, and its events of training and weight fit together."""
    from verisimile.app.study import open_run
    from verisimile.ensemble.cross import load_trained
    from verisimile.mixture.io import load_mixture

    study, run = open_run(Path(folder))
    study.require_density(Path(folder))
    load_trained(run)
    return load_mixture(run), sum(sample.n for sample in study.inputs)
