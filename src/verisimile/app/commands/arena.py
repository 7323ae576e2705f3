"""``verisimile arena``: measures of two samples, ranked by their size and by what they see."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options
from verisimile.app.conclusions import Ending
from verisimile.app.models import ModelFile
from verisimile.app.preflight import check_report
from verisimile.app.terminal import Clock, ExitCode
from verisimile.core.errors import InputError

if TYPE_CHECKING:
    from verisimile.core.arrays import Array
    from verisimile.core.run import Run
    from verisimile.ranking.metrics import Metric
    from verisimile.ranking.result import Arena
    from verisimile.ranking.suite import Suite

_OURS = "ours"
_PER_ANSWER = 0.02  # seconds


@dataclass(frozen=True, slots=True)
class FileFunction:
    """A function of a Python file, which every worker process loads for itself."""

    file: ModelFile
    sha256: str

    @property
    def key(self) -> str:
        """What tells it from others: the bytes of its file, and its name."""
        return f"{self.file.name}:{self.sha256}"

    def __call__(self, reference: Array, generated: Array) -> object:
        """Return what the function returns."""
        return _loaded(self.file)(reference, generated)  # type: ignore[operator]


@cache
def _loaded(file: ModelFile) -> object:
    return file.load()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaCommand(options.BesideReport):
    """Rank measures of two samples: hidden null pairs and planted defects, size and power.

    METRIC is a function of a file, my_metric.py:fn, which takes two arrays (reference, generated)
    and returns a number; or the name of one of ours, such as energy; or ours, for all of them.
    """

    metrics: Annotated[
        list[str], typer.Argument(metavar="METRIC...", help="my_metric.py:fn, a name, or ours.")
    ]
    p_values: Annotated[
        bool,
        typer.Option(
            "--p-values",
            help="The files' functions return p-values, to be taken at their word; else scores.",
        ),
    ] = False
    quick: Annotated[
        bool, typer.Option("--quick", help="A suite of seconds, with wide intervals.")
    ] = False
    events: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Real events, as one more null. {options.FILE}"),
    ] = None
    features: options.Compared = ""
    largest: Annotated[
        int | None, typer.Option(min=1, help="The largest samples to ask the files' functions.")
    ] = None
    out: options.Out = Path("arena")
    seed: options.Seed = options.SEED
    executor: options.Executor = ""
    shard: options.PartOfWork = ""
    max_seconds: options.MaxSeconds = None
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False
    level: float = field(default=0.05, init=False)

    def execute(self) -> ExitCode:
        """Ask the metrics, and write the table as JSON and as a page."""
        from verisimile.core.result import save
        from verisimile.ranking.arena import arena

        check_report(self.out, force=self.force)
        clock = Clock()
        run = options.run_in(self.home, seed=self.seed, executor=self.executor, shard=self.shard)
        with clock.stage("reading"):
            metrics, suite = self._metrics(), self._suite()
        if self.dry_run:
            return self._plan(run, metrics, suite)
        with clock.stage("arena"):
            found = arena(run, metrics, suite)
        ending = Ending(
            title="Arena",
            schema="verisimile.arena-summary/1",
            out=self.out,
            level=self.level,
            force=self.force,
            as_json=self.as_json,
        )
        costs = () if found.costs is None else (found.costs,)
        code = ending.of(run, [found, *costs], clock, notes=self._notes(found))
        save(found, self.out / "arena.json")
        for each in costs:
            save(each, self.out / "arena-costs.json")
        return code

    def _metrics(self) -> dict[str, Metric]:
        """Return what is to be ranked, an InputError for what is no metric."""
        from verisimile.ranking.own import own_metrics

        found: dict[str, Metric] = {}
        for text in self.metrics:
            file = ModelFile.named(text)
            made = (
                {text: self._of_file(text, file)}
                if file is not None
                else own_metrics(None if text == _OURS else [text])
            )
            found |= made
        return found

    def _of_file(self, text: str, file: ModelFile) -> Metric:
        from verisimile.ranking.metrics import Metric

        loaded = _loaded(file)
        if isinstance(loaded, Metric) or not callable(loaded):
            raise InputError(
                text,
                got=f"a {type(loaded).__name__}",
                expected="a function of two arrays, reference and generated, that returns a number",
                remedy="Give the function itself, with --p-values if it returns p-values.",
            )
        declared = str(getattr(loaded, "returns", "score"))
        return Metric(
            text,
            FileFunction(file, file.sha256),
            "p-value" if self.p_values or declared == "p-value" else "score",
            getattr(loaded, "direction", "either"),
            self.largest,
            str(file.path),
        )

    def _suite(self) -> Suite:
        from verisimile.data.files import read_events
        from verisimile.ranking.laws import events_law
        from verisimile.ranking.suite import Suite

        suite = Suite.quick() if self.quick else Suite()
        if self.events is None:
            return suite
        events = read_events(self.events)
        names = options.column_list(self.features)
        return suite.with_law(
            events_law(self.events.stem, events if names is None else events.select(names))
        )

    def _plan(self, run: Run, metrics: dict[str, Metric], suite: Suite) -> ExitCode:
        from verisimile.app.plans import Planned, print_plan

        answers = sum(
            one.n in metric.sizes(suite.sizes)
            for metric in metrics.values()
            for one in suite.showings()
        )
        there = len(run.store.addresses("arena"))
        tasks = -(-answers // 50)
        stage = Planned("arena", tasks, there, answers * _PER_ANSWER)
        return print_plan(run, [stage], as_json=self.as_json)

    def _notes(self, found: Arena) -> tuple[str, ...]:
        return (
            f"all pairs follow from the public seed {found.seed}; the same command with it gives "
            "the same arena.json",
        )
