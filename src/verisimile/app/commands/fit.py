"""``verisimile fit``: from a file of events to a folder with a fitted mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.descriptions import with_support
from verisimile.app.preflight import check_folder
from verisimile.app.reading import Accounts, Reader, accounts_of, say_accounts
from verisimile.app.stopping import time_is_enough
from verisimile.app.terminal import Clock, ExitCode
from verisimile.app.trainers import SAMPLERS, TrainerName
from verisimile.core.errors import InputError

if TYPE_CHECKING:
    from verisimile.app.stages import Fitting
    from verisimile.app.study import FitStudy
    from verisimile.core.run import Run
    from verisimile.data.description import Description
    from verisimile.data.events import Events
    from verisimile.data.feature import Feature
    from verisimile.density.protocol import AnyTrainer
    from verisimile.ensemble.cross import Trained
    from verisimile.mixture.conditional import ConditionalMixture
    from verisimile.mixture.model import Mixture

_FOLDS = 4
_SETTINGS = ("epochs", "layers", "blocks", "hidden", "bins", "batch", "learning_rate", "patience")
_PANEL = options.TRAINING_PANEL


def _show_trainers(wanted: bool) -> None:  # noqa: FBT001  (typer's signature)
    if not wanted:
        return
    from verisimile.app.trainers import rows

    terminal.print_columns(("trainer", "setting", "default", "value"), rows())
    raise typer.Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class FitCommand:
    """Train an ensemble of normalizing flows on TRAIN and fit the weights of their mixture.

    All events serve both ends, none of them twice in one fit: flows are trained outside of
    each of several folds, and weights are fitted to densities of flows that did not see the event.
    --fit-events or --fit-fraction keep the two apart instead.

    Other models than spline flows by --trainer, their settings by --set; diffusion, gan and vae
    know no density, so that there are no weights to fit: verisimile sample draws from them.
    With --given the density is conditional, and verisimile gof tests it in bins of a condition.

    Interrupted work continues when the same command is run again.
    """

    train: Annotated[str, typer.Argument(metavar="TRAIN", help=options.FILE)]
    out: Annotated[Path, typer.Option(help="Folder for members, weights and records.")]
    members: options.Members = 20
    features: Annotated[
        str,
        typer.Option(
            metavar="A,B,...",
            help="Columns to learn; all numeric ones by default.",
            show_default=False,
        ),
    ] = ""
    feature: options.Described = None
    ignore: options.Ignore = None
    missing: options.Missing = None
    support: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LOW:HIGH",
            help="Bounds of a feature, for each that has some; an empty side has none.",
        ),
    ] = None
    weights: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with event weights.")
    ] = None
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column that says which rows belong to one physics event: they are "
            "resampled together.",
        ),
    ] = None
    fit_events: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Separate events for the fit of the mixture's weights."),
    ] = None
    fit_fraction: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Or the part of TRAIN to split off for it."),
    ] = None
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help=f"Folds of TRAIN if neither is given, {_FOLDS} by default; the members are "
            "shared out among them.",
            show_default=False,
        ),
    ] = None
    discrepancy: options.LearnDiscrepancy = True
    given: Annotated[
        str,
        typer.Option(
            metavar="A,B,...",
            help="Columns that are conditions: learn the density of the others given them. With "
            "--fit-events or --fit-fraction.",
            show_default=False,
        ),
    ] = ""
    trainer: Annotated[
        TrainerName, typer.Option(help="What makes each member.", rich_help_panel=_PANEL)
    ] = TrainerName.SPLINE
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of the trainer, such as epochs=40; repeat.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    trainers: Annotated[
        bool,
        typer.Option(
            "--trainers",
            help="Show all trainers with their settings and defaults.",
            callback=_show_trainers,
            is_eager=True,
            rich_help_panel=_PANEL,
        ),
    ] = False
    epochs: options.Epochs = None
    layers: Annotated[
        int | None,
        typer.Option(min=1, help="Autoregressive spline layers.", rich_help_panel=_PANEL),
    ] = None
    blocks: Annotated[
        int | None, typer.Option(min=0, help="Hidden maps per layer.", rich_help_panel=_PANEL)
    ] = None
    hidden: Annotated[
        int | None, typer.Option(min=1, help="Their width.", rich_help_panel=_PANEL)
    ] = None
    bins: Annotated[
        int | None, typer.Option(min=2, help="Spline bins.", rich_help_panel=_PANEL)
    ] = None
    batch: Annotated[
        int | None, typer.Option(min=1, help="Largest batch.", rich_help_panel=_PANEL)
    ] = None
    learning_rate: Annotated[
        float | None, typer.Option(help="First step size.", rich_help_panel=_PANEL)
    ] = None
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="Epochs without improvement.", rich_help_panel=_PANEL),
    ] = None
    engine: options.EngineOption = options.EngineName.AUTO
    seed: options.Seed = options.SEED
    executor: options.Executor = ""
    shard: options.PartOfWork = ""
    max_seconds: options.MaxSeconds = None
    as_json: options.Json = False
    dry_run: options.DryRun = False

    @property
    def home(self) -> Path:
        """The run folder."""
        return self.out

    def execute(self) -> ExitCode:
        """Read, train, fit, keep, and say what came out."""
        from verisimile.app import stages
        from verisimile.app.study import (
            check_free,
            discrepancy_settings,
            finish,
            new_study,
            without_density,
        )
        from verisimile.data.account import doubts_of, losses_of
        from verisimile.report.content import InputSample

        said = with_support(self.feature, self.support or ())
        mixed = not self._sampling and not self.given
        discrepancy = options.discrepancy(self.discrepancy and mixed)
        trainer = self._trainer()
        check_folder(self.out)
        clock = Clock()
        run = options.run_in(self.home, seed=self.seed, executor=self.executor, shard=self.shard)
        folds = self._folds()
        with clock.stage("reading"):
            samples = self._samples(run, said)
        members = -(-self.members // folds) * folds
        study = new_study(
            [
                InputSample.of(role, source, events)
                for (role, source), events in zip(self._sources(), samples, strict=True)
            ],
            trainer,
            seed=self.seed,
            members=members,
            weights=self.weights,
            also={
                "features": [spec.to_dict() for spec in samples[0].features],
                **({"folds": folds} if folds > 1 else {}),
                **discrepancy_settings(discrepancy),
                **(without_density() if self._sampling else {}),
            },
        )
        check_free(run.store, study)
        fitting = stages.Fitting(
            samples,
            members=members,
            folds=folds,
            trainer=trainer,
            engine=self.engine.built(),
            discrepancy=discrepancy,
            weighted=not self._sampling,
        )
        fitting.check(run)
        # A part that was split off has the account of the whole.
        accounts = accounts_of(study.inputs[: 1 if self.fit_events is None else 2])
        terminal.warn([*losses_of(accounts), *doubts_of(accounts)])
        if members > self.members:
            terminal.warn(
                [f"{members} flows, and not {self.members}: equally many for {folds} folds"]
            )
        if self.dry_run:
            return self._plan(run, fitting, accounts)
        mixture: Mixture | ConditionalMixture | None = None
        if self._sampling:
            ensemble = fitting.train(run, clock)
        elif self.given:
            ensemble, mixture = fitting.fit_conditional(run, clock)
        else:
            ensemble, mixture = fitting.fit(run, clock)
        terminal.check_whole(run)
        time_is_enough()
        study = finish(run.store, study, clock.timings)
        terminal.warn(stages.failure_notes(ensemble))
        if not self.as_json:
            say_accounts(accounts)
        self._print(study, ensemble, mixture)
        return ExitCode.COMPATIBLE

    @property
    def _sampling(self) -> bool:
        """Whether the members have no density, so that there is no mixture."""
        return self.trainer in SAMPLERS

    def _trainer(self) -> AnyTrainer:
        """Return the trainer with what --set and the options of its settings say."""
        from verisimile.app.trainers import given, trainer_of

        texts = options.named_texts(self.set_ or (), "--set", form="KEY=VALUE", like="epochs=40")
        for name in _SETTINGS:
            value = getattr(self, name)
            if value is None:
                continue
            if name in texts:
                option = f"--{name.replace('_', '-')}"
                raise InputError("--set", got=f"{name} and {option}", expected="one of the two")
            texts[name] = str(value)
        return given(trainer_of(self.trainer, texts), options.column_list(self.given, "--given"))

    def _plan(self, run: Run, fitting: Fitting, accounts: Accounts) -> ExitCode:
        from verisimile.app.plans import mixture_stage, print_plan, training_stage
        from verisimile.app.trainers import length_of

        planned = training_stage(
            run,
            members=fitting.members,
            events=fitting.trained_on,
            epochs=length_of(fitting.trainer),
            engine=fitting.engine_name,
            folds=fitting.folds,
        )
        stages = [planned]
        if fitting.weighted:
            events = fitting.samples[-1]
            learns = fitting.discrepancy is not None
            stages.append(
                mixture_stage(events.n, events.d, members=fitting.members, corrected=learns)
            )
        return print_plan(run, stages, as_json=self.as_json, accounts=accounts, verdict=False)

    @property
    def mixture_members(self) -> int:
        """The members of the mixture: those of all folds that share a place are one."""
        return -(-self.members // self._folds())

    def _folds(self) -> int:
        """Return K, one if training and weight fit have samples of their own."""
        apart = self.fit_events is not None or self.fit_fraction is not None
        if self._sampling:
            if apart or self.folds is not None:
                raise InputError(
                    "--fit-events, --fit-fraction, --folds",
                    got=f"also --trainer {self.trainer.value}, which has no density",
                    expected="none of them: there are no weights to fit",
                )
            return 1
        if self.given and not apart:
            raise InputError(
                "--given",
                got="neither --fit-events nor --fit-fraction",
                expected="events apart for the weights of a conditional density",
                remedy="For instance --fit-fraction 0.4.",
            )
        if not apart:
            return self.folds or _FOLDS
        if self.folds is not None:
            raise InputError(
                "--folds",
                got="also --fit-events or --fit-fraction",
                expected="one of the three",
                remedy="Over folds all events of TRAIN serve training and weight fit.",
            )
        return 1

    def _sources(self) -> list[tuple[str, str]]:
        """Return role and source of each sample."""
        if self._folds() > 1:
            return [("training and weight fit", self.train)]
        if self._sampling:
            return [("training", self.train)]
        apart = self.fit_events or f"{self.train} (split off)"
        return [("training", self.train), ("weight fit", apart)]

    def _samples(self, run: Run, said: Mapping[str, Description]) -> tuple[Events, ...]:
        from verisimile.data.derived import worded_by
        from verisimile.data.events import match_features
        from verisimile.data.feature import require_columns

        if self.fit_events is not None and self.fit_fraction is not None:
            raise InputError(
                "--fit-fraction",
                got="also --fit-events",
                expected="one of the two",
                remedy="A separate file for the weight fit leaves all of TRAIN for training.",
            )
        files = [self.train, *([] if self.fit_events is None else [self.fit_events])]
        reader = Reader.of(files, self.ignore, self.missing)
        columns = options.column_list(self.features)
        events = reader.events(
            self.train, columns, weights=self.weights, group=self.group, specs=said
        )
        require_columns(list(said), events.names, "--feature, --support")
        if self._folds() > 1 or self._sampling:
            return (events,)
        if self.fit_events is None:
            share = self.fit_fraction or 0.0
            return events.split((1.0 - share, share), run.seeds)
        more = reader.events(
            self.fit_events,
            list(events.names),
            weights=self.weights,
            group=self.group,
            specs={spec.name: _but_for_words(spec, said) for spec in events.features},
        )
        more = match_features(more, events.features, where=self.fit_events, of=self.train)
        events = worded_by(events, [more])
        return events, more.with_features(events.features)

    def _print(
        self, study: FitStudy, ensemble: Trained, mixture: Mixture | ConditionalMixture | None
    ) -> None:
        from verisimile.app.stages import learnt, learnt_json, shares_of, training_of
        from verisimile.core.result import to_dict
        from verisimile.report.claims import claimed
        from verisimile.report.numbers import duration, plain_number, value_and_error

        members = training_of(ensemble)
        if self.as_json:
            terminal.print_json(
                "verisimile.fit-summary/1",
                {
                    "folder": str(self.out),
                    "study": to_dict(study),
                    "members": [{"address": m.address, "sha256": m.sha256} for m in members],
                    "fit": None if mixture is None else to_dict(mixture.fit),
                    "discrepancy": None if mixture is None else learnt_json(mixture),
                },
            )
            return
        weights = ["none"] * len(members)
        if mixture is not None:
            pairs = zip(*shares_of(ensemble, mixture), strict=True)
            weights = [value_and_error(float(w), float(error)) for w, error in pairs]
        terminal.print_columns(
            ("member", "epochs", "best", "validation loss", "time", "weight", "sha256"),
            [
                (
                    m.address,
                    str(m.validation.size),
                    str(m.best_epoch + 1),
                    plain_number(float(m.validation[m.best_epoch]), digits=5),
                    duration(m.seconds),
                    weight,
                    m.sha256[:12],
                )
                for m, weight in zip(members, weights, strict=True)
            ],
        )
        kept = f"Kept in {self.out} ({duration(study.timings.total)}). Next: verisimile"
        if mixture is None:
            terminal.print_lines(
                "No weights: the members draw events and know no density.",
                f"{kept} sample {self.out} -n 100000 --out generated.parquet",
            )
            return
        r = mixture.fit.record
        terminal.print_lines(
            f"Weights fitted on {r.n_events} events: effective rank {r.effective_rank}, "
            f"sum of |w| {r.l1_norm:.3f}, negative mass "
            f"{value_and_error(r.negative_mass, r.negative_mass_error)}.",
            *([] if self.given else [claimed(learnt(mixture))]),
            f"{kept} gof {self.out} TEST",
            f"Its page: verisimile report {self.out} --out {self.out.name}-page",
        )


def _but_for_words(spec: Feature, said: Mapping[str, Description]) -> Description:
    """Return what the training sample says of a feature, its unit and label left to the other."""
    from verisimile.data.description import Description

    stated = said.get(spec.name, Description())
    return Description(
        unit=stated.unit,
        label=stated.label,
        kind=spec.kind,
        low=spec.low,
        high=spec.high,
        transform=spec.transform,
    )
