"""``verisimile compare``: precision–recall bands of families of generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.descriptions import feature_descriptions, label_notes
from verisimile.app.preflight import check_report
from verisimile.app.reading import Accounts, Reader, accounts_of, say_accounts, warn_of_losses
from verisimile.app.terminal import Clock, ExitCode
from verisimile.core.errors import InputError

if TYPE_CHECKING:
    from verisimile.app.commands.compare_factors import Factors
    from verisimile.checks.precision_recall.band import Band
    from verisimile.checks.precision_recall.best import BestScore
    from verisimile.checks.precision_recall.scores import Score
    from verisimile.core.run import Run
    from verisimile.data.events import Events
    from verisimile.data.files import GeneratorOutput
    from verisimile.report.content import FamilyStudy, InputSample
    from verisimile.report.document import Document

    _Family = Sequence[tuple[str, GeneratorOutput]]  # files and what was drawn

_FEWEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareCommand(options.BesideReport):
    """Draw precision-recall bands of families of generators, and test whether they differ."""

    generated: Annotated[
        list[str],
        typer.Argument(
            metavar="GENERATED...",
            help="Samples of three or more generators of one family: files, a pattern in quotes, "
            f"or a folder. {options.FILE}",
        ),
    ]
    truth: Annotated[str, typer.Option(metavar="FILE", help="True events none of them has seen.")]
    against: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Another family: a folder, or a pattern in quotes."),
    ] = None
    features: options.Compared = ""
    feature: options.Described = None
    ignore: options.Ignore = None
    missing: options.Missing = None
    factors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Labels of the samples, a column 'file' and one per factor: divides the variance "
            "of the areas.",
        ),
    ] = None
    nested: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=OUTER,...",
            help="A factor whose labels begin anew within others; repeat.",
        ),
    ] = None
    permutations: Annotated[
        int, typer.Option("--permutations", "--relabelings", min=19, help="Of whole curves.")
    ] = 999
    score: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What orders the events: best (of several), linear, mixtures, trees, knn or "
            "parzen, each a bound of the true curve; published for the recipe of the literature.",
        ),
    ] = "best"
    out: options.Out = Path("comparison")
    seed: options.Seed = options.SEED
    executor: options.Executor = ""
    shard: options.PartOfWork = ""
    max_seconds: options.MaxSeconds = None
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False

    def execute(self) -> ExitCode:
        """Draw the curves, compare the families if there are two, and write the report."""
        from verisimile.checks.precision_recall.swapped import generated_sample, true_sample
        from verisimile.data.derived import worded_by
        from verisimile.data.files import read_generated
        from verisimile.report.content import ReportInput

        columns = options.column_list(self.features)
        clock, score = Clock(), named_score(self.score)
        check_report(self.out, force=self.force)
        run = options.run_in(self.home, seed=self.seed, executor=self.executor, shard=self.shard)
        files = family_files(self.generated, self.against, apart=self.factors)
        factors = self._factors(files)
        with clock.stage("reading"):
            said = feature_descriptions(self.feature or ())
            uris = [self.truth, *(uri for each in files.values() for uri in each)]
            reader = Reader.of(uris, self.ignore, self.missing)
            truth = reader.events(self.truth, columns, specs=said)
            names = list(truth.names)
            said = {name: each for name, each in said.items() if name in names}
            families = {
                name: [(uri, read_generated(uri, features=names, specs=said)) for uri in uris]
                for name, uris in files.items()
            }
            drawn = [one.events for family in families.values() for _, one in family]
            truth = worded_by(truth, drawn)
            notes = (*terminal.warn(_lost_notes(families)), *label_notes(truth.features))
            true_sample(truth)
            for events in drawn:
                generated_sample(events, truth)
        accounts = {"truth": truth.account}
        warn_of_losses(accounts)
        if self.dry_run:
            return self._plan(run, truth, list(families.values()), accounts)
        study = self._study(run, clock, truth, families, score)
        if factors is not None:
            areas = [band.auc for band in study.bands]
            study = replace(study, variances=factors.parts(areas))
        content = ReportInput(
            families=(study,),
            inputs=self._inputs(truth, families),
            timings=clock.timings,
            warnings=notes if factors is None else (*notes, *terminal.warn([factors.warning])),
            command=options.command_line(),
            title=f"Precision and recall: {', '.join(files)}",
        )
        return terminal.conclude(run, content, self.out, self._print, force=self.force)

    def _factors(self, files: Mapping[str, list[str]]) -> Factors | None:
        from verisimile.app.commands.compare_factors import read_factors

        if self.factors is not None:
            return read_factors(self.factors, files, self.nested or ())
        if self.nested:
            raise InputError(
                "--nested", got=", ".join(self.nested), expected="a table of labels, --factors FILE"
            )
        return None

    def _plan(
        self, run: Run, truth: Events, families: Sequence[_Family], accounts: Accounts
    ) -> ExitCode:
        from verisimile.app.plans import curve_stages, print_plan

        stages = curve_stages(
            curves=sum(len(family) for family in families),
            events=truth.n + families[0][0][1].events.n,
            score=self.score,
        )
        return print_plan(run, stages, as_json=self.as_json, accounts=accounts)

    def _study(
        self,
        run: Run,
        clock: Clock,
        truth: Events,
        families: Mapping[str, _Family],
        score: Score | BestScore,
    ) -> FamilyStudy:
        from verisimile.checks.precision_recall.band import precision_recall_bands
        from verisimile.checks.precision_recall.comparison import compare_curves
        from verisimile.report.content import FamilyStudy
        from verisimile.report.sections.family_figures import sample_panels

        samples = [
            [one.rows if one.missed else one.events for _, one in family]
            for family in families.values()
        ]
        with clock.stage("precision and recall"):
            bands = precision_recall_bands(run, truth, samples, score=score)
        with clock.stage("comparison"):
            compared = (
                compare_curves(run, bands[0], bands[1], permutations=self.permutations)
                if len(bands) > 1
                else None
            )
        names = [[Path(uri).name for uri, _ in family] for family in families.values()]
        return FamilyStudy(
            names=tuple(families),
            bands=tuple(_slim(band) for band in bands),
            comparison=compared,
            panels=sample_panels(truth, samples, bands, names),
        )

    def _inputs(self, truth: Events, families: Mapping[str, _Family]) -> tuple[InputSample, ...]:
        from verisimile.report.content import InputSample

        return (
            InputSample.of("truth", self.truth, truth),
            *(
                InputSample.of(name, uri, one.events)
                for name, family in families.items()
                for uri, one in family
            ),
        )

    def _print(self, report: Document, page: Path | None) -> None:
        from verisimile.report.sections.families import family_table, variance_table

        if self.as_json:
            terminal.print_summary("verisimile.comparison-summary/1", report, page, {})
            return
        (study,) = report.content.families
        say_accounts(accounts_of(report.content.inputs))
        terminal.print_table(family_table(study))
        if study.variances:
            terminal.print_table(variance_table(study))
        outcomes = (
            f"{finding.sample}: {finding.outcome}." if finding.measured else finding.sentence
            for finding in report.findings
        )
        terminal.print_lines("", *outcomes)
        terminal.print_place(report, page)


def _lost_notes(families: Mapping[str, _Family]) -> list[str]:
    return [
        f"{uri}: {one.missed} of {one.events.n + one.missed} generated events are not finite and"
        " count as misses, where no true event is."
        for family in families.values()
        for uri, one in family
        if one.missed
    ]


def _slim(band: Band) -> Band:
    """Return the band without every member's interpolated curve, for reports and records."""
    import numpy as np

    from verisimile.core.arrays import frozen

    none = frozen(np.empty((0, band.recall.recall.size)))
    return replace(band, recall=replace(band.recall, precision=none))


def named_score(name: str) -> Score | BestScore:
    """Return the score of a name of the command line."""
    from verisimile.checks.precision_recall import learned_scores as learned
    from verisimile.checks.precision_recall.best import BestScore
    from verisimile.checks.precision_recall.scores import Parzen, PooledNeighbours

    scores: dict[str, Score | BestScore] = {
        "best": BestScore(),
        "linear": BestScore((learned.LinearScore(),)),
        "mixtures": BestScore((learned.MixtureRatio(),)),
        "trees": BestScore((learned.BoostedTrees(), learned.BoostedTrees(distances=True))),
        "knn": BestScore((PooledNeighbours(5), PooledNeighbours(15), PooledNeighbours())),
        "parzen": BestScore((Parzen(),)),
        "published": PooledNeighbours(),
    }
    if name not in scores:
        raise InputError("--score", got=repr(name), expected=f"one of {', '.join(scores)}")
    return scores[name]


def family_files(
    generated: Sequence[str], against: str | None, *, apart: Path | None = None
) -> dict[str, list[str]]:
    """Return the files of each family by its name, the folder they lie in.

    Parameters
    ----------
    generated, against
        Files, patterns or folders of the first family; pattern or folder of the second.
    apart
        A file that is no sample, if it lies in a folder of samples.

    Raises
    ------
    InputError
        If a family has too few files.  An unquoted pattern as `against` is expanded by the
        shell, and all but its first file would be taken for the first family: that too.
    """
    first = [uri for text in generated for uri in _expanded(text, apart)]
    if against is None:
        return _named([first])
    second = _expanded(against, apart)
    shared = {Path(uri).parent for uri in first} & {Path(uri).parent for uri in second}
    if len(second) == 1 and shared:
        raise InputError(
            "--against",
            got=f"one file, {second[0]!r}, and others of its folder as the first family",
            expected="a folder, or a pattern in quotes",
            remedy="For instance --against 'b/*.parquet'.",
        )
    return _named([first, second])


def _expanded(text: str, apart: Path | None) -> list[str]:
    path = Path(text)
    if path.is_dir():
        return sorted(
            str(file)
            for file in path.iterdir()
            if file.is_file() and not (apart is not None and file.resolve() == apart.resolve())
        )
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
