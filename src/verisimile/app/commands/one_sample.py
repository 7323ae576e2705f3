"""``verisimile one-sample``: events against a density that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from verisimile.app import options
from verisimile.app.conclusions import Ending
from verisimile.app.models import ModelFile
from verisimile.app.preflight import check_report
from verisimile.app.reading import Reader
from verisimile.app.terminal import Clock, ExitCode
from verisimile.core.errors import InputError, require

if TYPE_CHECKING:
    from verisimile.core.arrays import Array
    from verisimile.core.result import Result
    from verisimile.core.run import Run
    from verisimile.data.events import Events
    from verisimile.density.protocol import DensityEstimator

_PER_EVENT = 2e-6  # seconds of one draw and its density
_CHUNK = 50  # toys of one task


@dataclass(frozen=True, slots=True, kw_only=True)
class OneSampleCommand(options.BesideReport):
    """Test events against a density or distribution functions that were known before them.

    Nothing in the model may have been fitted to these events.  The exit code is 0 if they are
    compatible with it, 1 if not, 3 if nothing can be said.
    """

    sample: Annotated[str, typer.Argument(metavar="EVENTS", help=options.FILE)]
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A density with draws: model.py:density, anything that verisimile.adapt takes.",
        ),
    ] = None
    cdf: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=MODEL",
            help="Distribution function of a feature: m=model.py:cdf_of_m, a function or an object "
            "with cdf; repeat.",
        ),
    ] = None
    features: options.Compared = ""
    feature: options.Described = None
    ignore: options.Ignore = None
    missing: options.Missing = None
    toys: Annotated[int, typer.Option(min=1, help="Samples drawn of the density.")] = 999
    level: Annotated[float, typer.Option(help="Significance level of the verdict.")] = 0.05
    out: options.Out = Path("one-sample")
    seed: options.Seed = options.SEED
    executor: options.Executor = ""
    shard: options.PartOfWork = ""
    max_seconds: options.MaxSeconds = None
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False

    def execute(self) -> ExitCode:
        """Test the events and write the report."""
        from verisimile.app.descriptions import feature_descriptions
        from verisimile.report.content import InputSample

        options.check_level(self.level)
        density, cdfs = self._density(), self._cdfs()
        if density is None and not cdfs:
            raise InputError(
                "MODEL",
                got="nothing",
                expected="a density, or distribution functions by --cdf",
                remedy="verisimile one-sample EVENTS model.py:density",
            )
        if density is not None:
            options.check_toys(self.toys, self.level)
        check_report(self.out, force=self.force)
        clock = Clock()
        run = options.run_in(self.home, seed=self.seed, executor=self.executor, shard=self.shard)
        with clock.stage("reading"):
            reader = Reader.of([self.sample], self.ignore, self.missing)
            columns = options.column_list(self.features)
            specs = feature_descriptions(self.feature or ())
            events = reader.events(self.sample, columns, specs=specs)
        if self.dry_run:
            return self._plan(run, events, density, cdfs)
        with clock.stage("tests"):
            results = self._results(run, events, density, cdfs)
        name = Path(self.model).name if self.model else ", ".join(cdfs)
        ending = Ending(
            title=f"Known truth: {Path(self.sample).name} and {name}",
            schema="verisimile.one-sample-summary/1",
            out=self.out,
            level=self.level,
            force=self.force,
            as_json=self.as_json,
        )
        inputs = [InputSample.of("test", self.sample, events)]
        return ending.of(run, results, clock, inputs=inputs, notes=self._notes(events))

    def _plan(
        self,
        run: Run,
        events: Events,
        density: DensityEstimator | None,
        cdfs: Mapping[str, Callable[[Array], Array]],
    ) -> ExitCode:
        from verisimile.app.plans import Planned, print_plan

        stages = [Planned(f"distribution of {name}", 1, 0, events.n * _PER_EVENT) for name in cdfs]
        if density is not None:
            held = len(run.store.addresses("likelihood"))
            seconds = self.toys * events.n * _PER_EVENT
            stages.append(Planned("likelihood toys", -(-self.toys // _CHUNK), held, seconds))
        return print_plan(run, stages, as_json=self.as_json, accounts={"test": events.account})

    def _results(
        self,
        run: Run,
        events: Events,
        density: DensityEstimator | None,
        cdfs: Mapping[str, Callable[[Array], Array]],
    ) -> list[Result]:
        from verisimile.checks.known_truth.cdf import one_sample_tests
        from verisimile.checks.known_truth.likelihood import likelihood_test

        found: list[Result] = []
        if density is not None:
            names = tuple(getattr(density, "names", events.names))
            require(
                len(names) == density.n_features,
                "MODEL",
                got=f"a density of {density.n_features} features",
                expected=f"one of the {len(names)} features {', '.join(names)}, in this order",
                remedy="Choose columns by --features, in the model's order.",
            )
            found.append(likelihood_test(run, density, events.select(names), toys=self.toys))
        if cdfs:
            found.extend(one_sample_tests(events, cdfs))
        return found

    def _density(self) -> DensityEstimator | None:
        from verisimile.density.adapters import adapt

        return None if self.model is None else adapt(_loaded(self.model, "MODEL"))

    def _cdfs(self) -> dict[str, Callable[[Array], Array]]:
        named = options.named_texts(
            self.cdf or (), "--cdf", form="NAME=MODEL", like="m=model.py:cdf_of_m"
        )
        return {name: _cdf(uri) for name, uri in named.items()}

    def _notes(self, events: Events) -> tuple[str, ...]:
        """Return what was tested against what."""
        models = [self.model] if self.model else []
        models += [text.partition("=")[2] for text in self.cdf or ()]
        hashes = ", ".join(
            f"{uri} (file of sha256 {file.sha256[:12]})"
            for uri in models
            if (file := ModelFile.named(uri)) is not None
        )
        names = ", ".join(events.names)
        tested = (
            f"the features {names} were" if len(events.names) > 1 else f"the feature {names} was"
        )
        return (f"{tested} tested against {hashes}",)


def _loaded(uri: str, option: str) -> object:
    file = ModelFile.named(uri)
    if file is None:
        raise InputError(option, got=repr(uri), expected="an object of a file: model.py:density")
    return file.load()


def _cdf(uri: str) -> Callable[[Array], Array]:
    found: Any = _loaded(uri, "--cdf")
    function = getattr(found, "cdf", found)
    if not callable(function):
        got = f"a {type(found).__name__}"
        raise InputError("--cdf", got=got, expected="a function, or an object with cdf")
    return cast("Callable[[Array], Array]", function)
