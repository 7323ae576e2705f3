"""``verisimile gof``: whether a fitted run describes a test sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.conclusions import Ending
from verisimile.app.descriptions import as_fitted, label_notes
from verisimile.app.preflight import check_folder, check_report
from verisimile.app.reading import Accounts, Reader, accounts_of, say_accounts, warn_of_losses
from verisimile.app.terminal import Clock, ExitCode

if TYPE_CHECKING:
    from verisimile.app.study import FitStudy
    from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
    from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
    from verisimile.checks.goodness.null import Calibration
    from verisimile.checks.goodness.search import Search
    from verisimile.core.run import Run
    from verisimile.data.events import Events
    from verisimile.mixture.model import Mixture
    from verisimile.report.document import Document

    _Form = GaussianKernels | ExponentialTilt


_KERNELS_OF_A_BIN = 40


class NullHypothesis(StrEnum):
    """What the null hypothesis leaves free."""

    SINGLE = "single"
    ENSEMBLE = "ensemble"
    UNCERTAIN = "ensemble+uncertainty"


class AlternativeForm(StrEnum):
    """The form of the alternative."""

    AUTO = "auto"
    KERNELS = "kernels"
    TILT = "tilt"
    BOTH = "both"


class ToyCalibration(StrEnum):
    """How toys are made."""

    PREDICTIVE = "predictive"
    FLUCTUATED = "fluctuated-centre"
    PLUG_IN = "plug-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class GofCommand:
    """Test whether the mixture in RUN describes the events of TEST, which it has not seen.

    The exit code is 0 if it does at the stated level, 1 if not, 3 if nothing can be said:
    so, before any work, if the toys are too few for the level.
    """

    home: options.RunFolder
    sample: Annotated[str, typer.Argument(metavar="TEST", help=options.FILE)]
    feature: options.Described = None
    ignore: options.Ignore = None
    missing: options.Missing = None
    toys: options.Toys = 1000
    hypothesis: Annotated[
        NullHypothesis, typer.Option(help="What the null hypothesis leaves free.")
    ] = NullHypothesis.UNCERTAIN
    null: Annotated[
        ToyCalibration, typer.Option(help="How toys are made; plug-in rejects too often.")
    ] = ToyCalibration.PREDICTIVE
    alternative: Annotated[
        AlternativeForm,
        typer.Option(help="Form of the alternative; auto: kernels up to two features, else tilt."),
    ] = AlternativeForm.AUTO
    kernels: Annotated[
        int | None, typer.Option(min=2, help="Kernels of the alternative.", show_default=False)
    ] = None
    width: Annotated[
        list[float] | None,
        typer.Option(
            help="Kernel width in normal scores; repeat for several. Default: two "
            "quantiles of the distances between events.",
        ),
    ] = None
    scan: Annotated[
        bool,
        typer.Option(
            "--scan",
            help="Test each width alone and correct for their number; default widths then "
            "are three quantiles of distances.",
        ),
    ] = False
    placements: Annotated[
        int,
        typer.Option(min=1, help="Times that the kernels are placed; t is the mean over them."),
    ] = 4
    no_surprise: Annotated[
        bool,
        typer.Option(
            "--no-surprise",
            help="Leave it to the alternative to notice events that the model calls impossible.",
        ),
    ] = False
    exceedances: Annotated[
        int | None,
        typer.Option(min=1, help="Stop as soon as so many toys are as extreme as the data."),
    ] = None
    context: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Condition whose bins are tested, of a run with --given; its first by default.",
            show_default=False,
        ),
    ] = ""
    bins: Annotated[int, typer.Option(min=1, help="Their number.")] = 5
    level: Annotated[float, typer.Option(help="Significance level of the verdict.")] = 0.05
    report: options.Report = None
    seed: options.OtherSeed = None
    executor: options.Executor = ""
    shard: options.PartOfWork = ""
    max_seconds: options.MaxSeconds = None
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False

    def execute(self) -> ExitCode:
        """Test the sample, write the report if one is wanted, and return the verdict's code."""
        from verisimile.app import stages
        from verisimile.app.study import open_run
        from verisimile.checks.goodness.likelihood_ratio import check_comparison
        from verisimile.checks.goodness.toys import Sequential
        from verisimile.data.events import match_features
        from verisimile.ensemble.cross import load_trained
        from verisimile.mixture.io import load_mixture
        from verisimile.report.content import InputSample

        toys = self.toys if self.exceedances is None else Sequential(self.exceedances, self.toys)
        options.check_level(self.level)
        options.check_toys(self.toys, self.level)
        if self.report is not None:
            check_report(self.report, "--report", force=self.force)
        check_folder(self.home, "RUN")
        clock = Clock()
        study, run = open_run(self.home, seed=self.seed, executor=self.executor, shard=self.shard)
        if study.context:
            return self._in_context(study, run, clock)
        study.require_density(self.home)
        with clock.stage("reading"):
            ensemble, mixture = load_trained(run), load_mixture(run)
            names = [spec.name for spec in mixture.features]
            reader = Reader.of([self.sample], self.ignore, self.missing)
            events = match_features(
                reader.needed(self.sample, names, specs=as_fitted(self.feature, mixture.features)),
                mixture.features,
                where=f"test sample ({self.sample})",
                of="run",
            )
            labels = label_notes((*mixture.features, *events.features))
        settings = stages.ProfileSettings(
            toys=toys,
            hypotheses=(self.hypothesis.value,),
            null=self._null(),
            search=self._search(mixture.n_features),
            marginals=self.report is not None,
        )
        check_comparison(
            mixture,
            events,
            alternative=settings.search,
            hypotheses=settings.hypotheses,
            toys=settings.toys,
        )
        inputs = (InputSample.of("test", self.sample, events),)
        accounts = accounts_of([*study.inputs, *inputs])
        warn_of_losses(accounts)
        if self.dry_run:
            return self._plan(run, mixture, events, accounts)
        name = Path(self.sample).name
        result = stages.compare(run, mixture, events, settings, name=name, clock=clock)
        content = replace(
            stages.fitted_content(
                study,
                ensemble,
                mixture,
                timings=clock.timings,
                inputs=inputs,
                notes=(
                    *labels,
                    *terminal.warn(
                        study.weight_notes(
                            f"the test takes the events of {self.sample} as unweighted."
                        )
                    ),
                ),
            ),
            samples=(result,),
            level=self.level,
            title=f"Goodness of fit: {name}",
        )
        return terminal.conclude(run, content, self.report, self._print, force=self.force)

    def _in_context(self, study: FitStudy, run: Run, clock: Clock) -> ExitCode:
        """Test a conditional density in bins of a condition."""
        from verisimile.app.commands.gof_context import ContextTest

        test = ContextTest(
            home=self.home,
            sample=self.sample,
            context=self.context or study.context[0],
            bins=self.bins,
            toys=self.toys,
            hypothesis=self.hypothesis.value,
            null=self._null(),
            search=replace(self, kernels=self.kernels or _KERNELS_OF_A_BIN)._search(1),
            reader=Reader.of([self.sample], self.ignore, self.missing),
            described=self.feature or (),
        )
        return test.conclude(
            run,
            study,
            clock,
            Ending(
                title=f"Goodness of fit in context: {Path(self.sample).name}",
                schema="verisimile.gof-context/1",
                out=self.report,
                level=self.level,
                force=self.force,
                as_json=self.as_json,
            ),
            dry_run=self.dry_run,
        )

    def _null(self) -> Calibration:
        from verisimile.checks.goodness.null import FluctuatedCentre, PlugIn, Predictive

        nulls: tuple[Calibration, ...] = (Predictive(), FluctuatedCentre(), PlugIn())
        return next(null for null in nulls if null.name == self.null.value)

    def _search(self, features: int) -> Search:
        """Return what is looked for; several alternatives join by their smallest p-value."""
        from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
        from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
        from verisimile.checks.goodness.likelihood_ratio import default_alternative
        from verisimile.checks.goodness.search import Search, Surprise

        forms: dict[AlternativeForm, tuple[_Form, ...]] = {
            AlternativeForm.KERNELS: (GaussianKernels(),),
            AlternativeForm.TILT: (ExponentialTilt(),),
            AlternativeForm.BOTH: (GaussianKernels(), ExponentialTilt()),
            AlternativeForm.AUTO: (default_alternative(features),),
        }
        return Search(
            tuple(each for form in forms[self.alternative] for each in self._of_each_width(form)),
            self.placements,
            None if self.no_surprise else Surprise(),
        )

    def _of_each_width(self, default: _Form) -> tuple[_Form, ...]:
        plain = replace(default, count=default.count if self.kernels is None else self.kernels)
        if not self.width:
            return plain.scan() if self.scan else (plain,)
        if self.scan:
            return tuple(replace(plain, width=width) for width in self.width)
        return (replace(plain, width=tuple(self.width)),)

    def _plan(self, run: Run, mixture: Mixture, events: Events, accounts: Accounts) -> ExitCode:
        from verisimile.app.plans import print_plan, toy_stage
        from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
        from verisimile.mixture.discrepancy.corrected import CorrectedMixture

        planned = toy_stage(
            run,
            toys=self.toys,
            events=events.n,
            members=len(mixture.members),
            kernels=self.kernels or GaussianKernels().count,
            placements=self.placements,
            corrected=isinstance(mixture, CorrectedMixture),
        )
        return print_plan(run, [planned], as_json=self.as_json, accounts=accounts)

    def _print(self, report: Document, page: Path | None) -> None:
        from verisimile.core.result import to_dict
        from verisimile.report.claims import supported

        if self.as_json:
            terminal.print_summary(
                "verisimile.gof/1",
                report,
                page,
                {"verdict": report.verdict, "level": report.content.level},
                {
                    "goodness": [
                        to_dict(test) for each in report.content.samples for test in each.goodness
                    ]
                },
            )
            return
        say_accounts(accounts_of(report.content.inputs))
        terminal.print_verdicts(report)
        terminal.print_lines(
            *filter(None, map(supported, report.content.samples[0].goodness)),
        )
        if page is not None:
            terminal.print_lines(f"Report: {page}")
