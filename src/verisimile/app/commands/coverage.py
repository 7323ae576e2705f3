"""``verisimile coverage``: whether the errors of a fitted run contain the truth as stated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.descriptions import as_fitted
from verisimile.app.preflight import check_folder, check_report
from verisimile.app.reading import (
    Accounts,
    Reader,
    accounts_of,
    say_accounts,
    warn_of_doubts,
    warn_of_losses,
)
from verisimile.app.terminal import Clock, ExitCode
from verisimile.core.errors import InputError

if TYPE_CHECKING:
    from verisimile.checks.coverage.observables import Observable
    from verisimile.core.run import Run
    from verisimile.data.description import Description
    from verisimile.data.events import Events
    from verisimile.data.feature import Feature
    from verisimile.mixture.model import Mixture
    from verisimile.report.document import Document

_ONE_SIGMA = 0.6827
_SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageCommand:
    """Count how often the errors of observables of the mixture in RUN contain the truth.

    The members are given; only the weights are refitted, with the discrepancy if
    RUN has one.  The exit code is 0 if the nominal level lies in the exact interval
    of every rate, 1 if not, 3 if there are too few data sets to tell.
    """

    home: options.RunFolder
    truth: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Large sample of a known truth; the fitted mixture itself (closure) by default.",
        ),
    ] = None
    ignore: options.Ignore = None
    missing: options.Missing = None
    moment: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:ORDER]", help="Mean of a feature's power; all means if none."),
    ] = None
    quantile: Annotated[
        list[str] | None, typer.Option(metavar="NAME:P", help="Quantile of a feature.")
    ] = None
    bin_: Annotated[
        list[str] | None,
        typer.Option("--bin", metavar="NAME:LOW:HIGH", help="Probability of a range."),
    ] = None
    feature: options.Described = None
    datasets: Annotated[
        int | None,
        typer.Option(min=2, help="Pseudo-experiments: 300 by default, 100 with a discrepancy."),
    ] = None
    events: Annotated[
        int | None, typer.Option(min=1, help="Events in each; as many as the fit had by default.")
    ] = None
    level: Annotated[
        float, typer.Option(help="Nominal content of the intervals; one sigma by default.")
    ] = _ONE_SIGMA
    report: options.Report = None
    seed: options.OtherSeed = None
    executor: options.Executor = ""
    shard: options.PartOfWork = ""
    max_seconds: options.MaxSeconds = None
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False

    def execute(self) -> ExitCode:
        """Count, write the report if one is wanted, and return the verdict's code."""
        from verisimile.app.stages import fitted_content
        from verisimile.app.study import open_run
        from verisimile.checks.coverage.conditional import coverage, usual_datasets
        from verisimile.checks.coverage.members import pilot_columns
        from verisimile.checks.coverage.observables import bind_all
        from verisimile.checks.coverage.result import check_sizes
        from verisimile.checks.coverage.truth import SampledTruth
        from verisimile.ensemble.cross import load_trained
        from verisimile.mixture.io import load_mixture
        from verisimile.report.content import InputSample
        from verisimile.report.sections.coverage import too_few_datasets

        options.check_level(self.level)
        if self.report is not None:
            check_report(self.report, "--report", force=self.force)
        check_folder(self.home, "RUN")
        clock = Clock()
        study, run = open_run(self.home, seed=self.seed, executor=self.executor, shard=self.shard)
        study.require_density(self.home)
        with clock.stage("reading"):
            ensemble, mixture = load_trained(run), load_mixture(run)
            said = as_fitted(self.feature, mixture.features)
            truth = self._truth(mixture, said)
            observables = chosen_observables(
                [spec.name for spec in mixture.features],
                moments=self.moment or (),
                quantiles=self.quantile or (),
                bins=self.bin_ or (),
                units=_units(mixture.features, said, truth),
            )
        check_bins(observables.values(), mixture.features)
        datasets = self.datasets or usual_datasets(mixture)
        check_sizes(level=self.level, datasets=datasets, events=self._size(mixture))
        inputs = () if truth is None else (InputSample.of("truth", str(self.truth), truth),)
        accounts = accounts_of([*study.inputs, *inputs])
        warn_of_losses(accounts)
        blind = too_few_datasets(
            datasets, len(observables), nominal=self.level, level=_SIGNIFICANCE
        )
        doubts = [blind] if blind else []
        if self.dry_run:
            bind_all(observables, pilot_columns(mixture, run.seeds.at("coverage")))
            return self._plan(run, mixture, datasets, accounts, doubts)
        warn_of_doubts(doubts)
        with clock.stage("coverage"):
            found = coverage(
                run,
                mixture,
                None if truth is None else SampledTruth(truth.x),
                observables=observables,
                level=self.level,
                datasets=datasets,
                events=self.events,
            )
        content = replace(
            fitted_content(
                study,
                ensemble,
                mixture,
                timings=clock.timings,
                inputs=inputs,
                notes=study.weight_notes("the data sets of this study are unweighted."),
            ),
            coverage=(found,),
            level=_SIGNIFICANCE,
            title=f"Coverage: {'closure' if self.truth is None else Path(self.truth).name}",
        )
        return terminal.conclude(run, content, self.report, self._print, force=self.force)

    def _truth(self, mixture: Mixture, said: Mapping[str, Description]) -> Events | None:
        from verisimile.data.events import match_features

        if self.truth is None:
            return None
        reader = Reader.of([self.truth], self.ignore, self.missing)
        names = [spec.name for spec in mixture.features]
        events = match_features(
            reader.needed(self.truth, names, specs=said),
            mixture.features,
            where=f"truth ({self.truth})",
            of="run",
        )
        size = self._size(mixture)
        if events.n <= size:
            raise InputError(
                "--truth",
                got=f"{events.n} events",
                expected=f"more than the {size} of one data set, ten times as many or more",
                remedy="Give a larger sample, or smaller data sets by --events.",
            )
        return events

    def _size(self, mixture: Mixture) -> int:
        """Return the number of events of a data set."""
        return self.events or mixture.fit.record.n_events

    def _plan(
        self,
        run: Run,
        mixture: Mixture,
        datasets: int,
        accounts: Accounts,
        doubts: Sequence[str],
    ) -> ExitCode:
        from verisimile.app.plans import coverage_stages, discrepancy_seconds, print_plan
        from verisimile.mixture.discrepancy.corrected import CorrectedMixture

        fitted = mixture.fit.record.n_events
        corrected = isinstance(mixture, CorrectedMixture)
        planned = coverage_stages(
            run,
            datasets=datasets,
            events=self._size(mixture),
            members=len(mixture.members),
            learnt=discrepancy_seconds(events=fitted, features=mixture.n_features)
            if corrected
            else 0.0,
        )
        return print_plan(run, planned, as_json=self.as_json, accounts=accounts, doubts=doubts)

    def _print(self, report: Document, page: Path | None) -> None:
        from verisimile.core.result import to_dict
        from verisimile.report.sections.coverage import coverage_table

        if self.as_json:
            terminal.print_summary(
                "verisimile.coverage-summary/1",
                report,
                page,
                {"verdict": report.verdict, "level": report.content.level},
                {"coverage": [to_dict(study) for study in report.content.coverage]},
            )
            return
        say_accounts(accounts_of(report.content.inputs))
        for study, finding in zip(report.content.coverage, report.findings, strict=False):
            terminal.print_table(coverage_table(study, report.content.level))
            terminal.print_lines("", finding.sentence)
        # Samples with columns that were left out come last.
        rest = report.findings[len(report.content.coverage) :]
        terminal.print_lines(*(finding.sentence for finding in rest))
        terminal.print_lines(*(f"Note: {note}" for note in report.warnings))
        if page is not None:
            terminal.print_lines(f"Report: {page}")


def chosen_observables(
    features: Sequence[str],
    *,
    moments: Sequence[str] = (),
    quantiles: Sequence[str] = (),
    bins: Sequence[str] = (),
    units: Mapping[str, str] | None = None,
) -> dict[str, Observable]:
    """Return the observables by the names that tables show; all means if none is chosen.

    Moments are ``name`` or ``name:order``, quantiles ``name:probability``, bins
    ``name:low:high``, each with one of the features.  Where its unit is known, names end with it.

    Examples
    --------
    >>> list(chosen_observables(["pt", "m"], moments=["pt:2"], bins=["m:80:100"]))
    ['mean of pt^2', '80 <= m < 100']
    """
    from verisimile.checks.coverage.observables import BinContent, Moment, Quantile

    known = {name: unit for name, unit in (units or {}).items() if unit}
    if not (moments or quantiles or bins):
        return {_measured(f"mean of {name}", known.get(name)): Moment(name) for name in features}
    found: dict[str, Observable] = {}
    for text in moments:
        name, order = _moment(text, features)
        said = f"mean of {name}" if order == 1 else f"mean of {name}^{order}"
        found[_measured(said, known.get(name), order)] = Moment(name, order)
    for text in quantiles:
        name, (probability,) = _numbers("--quantile", text, features, "name:probability", 1)
        said = f"{probability:g} quantile of {name}"
        found[_measured(said, known.get(name))] = Quantile(name, probability)
    for text in bins:
        name, (low, high) = _numbers("--bin", text, features, "name:low:high", 2)
        said = f"{low:g} <= {name} < {high:g}"
        found[_measured(said, known.get(name))] = BinContent(name, low, high)
    return found


def check_bins(observables: Iterable[Observable], features: Sequence[Feature]) -> None:
    """Raise if a bin lies where its feature cannot be: its probability is zero, whatever is fitted.

    Raises
    ------
    InputError
        Naming the bin and the support.
    """
    from verisimile.checks.coverage.observables import BinContent

    specs = {spec.name: spec for spec in features}
    for each in observables:
        if not isinstance(each, BinContent):
            continue
        spec = specs[each.feature]
        if each.high <= spec.low or each.low > spec.high:
            raise InputError(
                "--bin",
                got=f"{each.low:g} <= {each.feature} < {each.high:g}",
                expected=f"a range that meets the support, {spec.low:g} to {spec.high:g}",
            )


def _measured(said: str, unit: str | None, order: int = 1) -> str:
    """Return the name of an observable with its unit, to a power."""
    return f"{said} [{unit if order == 1 else f'{unit}^{order}'}]" if unit else said


def _units(
    features: Sequence[Feature], said: Mapping[str, Description], truth: Events | None
) -> dict[str, str]:
    """Return the unit of each feature, by the fit, the option or the truth's file."""
    stated = {name: one.unit or "" for name, one in said.items()}
    read = {} if truth is None else {spec.name: spec.unit for spec in truth.features}
    return {
        spec.name: spec.unit or stated.get(spec.name, "") or read.get(spec.name, "")
        for spec in features
    }


def _moment(text: str, features: Sequence[str]) -> tuple[str, int]:
    if text in features:  # a name may have colons
        return text, 1
    name, (order,) = _numbers("--moment", text, features, "name or name:order", 1)
    if not order.is_integer():
        raise InputError("--moment", got=repr(text), expected="a whole order")
    return name, int(order)


def _numbers(
    option: str, text: str, features: Sequence[str], form: str, count: int
) -> tuple[str, list[float]]:
    name, *parts = text.rsplit(":", count)
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if name not in features or len(numbers) != count:
        raise InputError(
            option, got=repr(text), expected=f"{form}, with a name of {list(features)}"
        )
    return name, numbers
