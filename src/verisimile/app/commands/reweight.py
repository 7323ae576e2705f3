"""``verisimile reweight``: weights that make a generated sample like the reference, with errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options
from verisimile.app.axes import AxisOption, axes_of
from verisimile.app.conclusions import Ending
from verisimile.app.preflight import check_report
from verisimile.app.reading import Reader
from verisimile.app.terminal import Clock, ExitCode
from verisimile.core.errors import require

if TYPE_CHECKING:
    from verisimile.core.result import Result
    from verisimile.core.run import Run
    from verisimile.data.events import Events
    from verisimile.repair.reweight import Reweighting

_ORIGIN = "verisimile reweight"
_COLUMNS = ("w", "w_error")
_METHODS = ("tilt", "classifier", "both")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReweightCommand(options.BesideReport):
    """Learn weights that make a generated sample like the reference, and test them.

    DIR/weighted.parquet has the generated events with the columns w (mean one), w_error, and
    w_var0, w_var1 ...: weights with one of the independent variations up by a standard deviation.
    The exit code is 0 if the reweighted sample is compatible on events that the fit did not see,
    1 if not.
    """

    reference: Annotated[str, typer.Argument(metavar="REFERENCE", help=f"Truth. {options.FILE}")]
    generated: Annotated[str, typer.Argument(metavar="GENERATED", help="The generator's events.")]
    method: Annotated[
        str,
        typer.Option(
            metavar="|".join(_METHODS),
            help="What weights are made of: bumps in features and pairs, classifiers, or both.",
        ),
    ] = "tilt"
    features: options.Compared = ""
    feature: options.Described = None
    ignore: options.Ignore = None
    missing: options.Missing = None
    check: Annotated[
        float, typer.Option(help="Fraction of both samples that the tests have for themselves.")
    ] = 0.3
    looks: Annotated[
        int,
        typer.Option(min=1, help="Reweightings tested on these events so far, this one included."),
    ] = 1
    variations: Annotated[
        int, typer.Option(min=0, help="Variations that get a column, the largest ones.")
    ] = 20
    refits: Annotated[
        int, typer.Option(min=0, help="Fits of pseudo-samples that calibrate the errors.")
    ] = 2
    axis: AxisOption = None
    permutations: Annotated[int, typer.Option(min=99, help="Draws of the tests' null.")] = 499
    level: Annotated[float, typer.Option(help="Significance level of the verdict.")] = 0.05
    out: options.Out = Path("reweighting")
    seed: options.Seed = options.SEED
    executor: options.Executor = ""
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False

    def execute(self) -> ExitCode:
        """Learn and test the weights, write them and the report."""
        from verisimile.data.files import check_writable
        from verisimile.repair.reweight import check_samples
        from verisimile.report.content import InputSample

        options.check_level(self.level)
        require(
            self.method in _METHODS,
            "--method",
            got=repr(self.method),
            expected=" or ".join(_METHODS),
        )
        axes = axes_of(self.axis or ())
        check_report(self.out, force=self.force)
        file = self.out / "weighted.parquet"
        if self.out.is_dir():
            check_writable(file, origin=_ORIGIN, force=self.force)
        clock = Clock()
        run = options.run_in(self.home, seed=self.seed, executor=self.executor)
        with clock.stage("reading"):
            reference, generated = self._read()
            check_samples(reference, generated, self.check)
        if self.dry_run:
            return self._plan(run, reference, generated)
        with clock.stage("reweighting"):
            found = self._learn(run, reference, generated)
        results: list[Result] = [found]
        if axes:
            results.append(found.templates(generated, axes))
        with clock.stage("writing"):
            note = self._write(found, generated, file)
        ending = Ending(
            title=f"Reweighting: {Path(self.generated).name} to {Path(self.reference).name}",
            schema="verisimile.reweight-summary/1",
            out=self.out,
            level=self.level,
            force=self.force,
            as_json=self.as_json,
        )
        inputs = [
            InputSample.of("reference", self.reference, reference),
            InputSample.of("generated", self.generated, generated),
        ]
        return ending.of(run, results, clock, inputs=inputs, notes=(note,))

    def _read(self) -> tuple[Events, Events]:
        from verisimile.app.descriptions import feature_descriptions

        reader = Reader.of([self.reference, self.generated], self.ignore, self.missing)
        columns = options.column_list(self.features)
        specs = feature_descriptions(self.feature or ())
        reference = reader.events(self.reference, columns, specs=specs)
        generated = reader.events(self.generated, columns or list(reference.names), specs=specs)
        taken = set(_COLUMNS) & set(generated.names)
        require(
            not taken,
            "GENERATED",
            got=f"a column {', '.join(sorted(taken))}",
            expected="features only: these names are those of the weights",
            remedy="Leave it out by --ignore, or rename it.",
        )
        return reference, generated

    def _learn(self, run: Run, reference: Events, generated: Events) -> Reweighting:
        from verisimile.repair.reweight import METHODS, reweight

        method = METHODS[_METHODS.index(self.method)]
        return reweight(
            run,
            reference,
            generated,
            method=method,
            check=self.check,
            looks=self.looks,
            refits=self.refits,
            permutations=self.permutations,
        )

    def _write(self, found: Reweighting, generated: Events, file: Path) -> str:
        """Write the generated events with their weights; return what a reader must know of them."""
        import numpy as np

        from verisimile.data.events import Events
        from verisimile.data.feature import Feature
        from verisimile.data.files import write_events
        from verisimile.report.numbers import count, percent

        w, changed = found.weights(generated), found.variations(generated)
        kept = changed[:, : self.variations]
        columns = [w, found.errors(generated), *(w * (1.0 + change) for change in kept.T)]
        names = [*_COLUMNS, *(f"w_var{k}" for k in range(kept.shape[1]))]
        self.out.mkdir(parents=True, exist_ok=True)
        write_events(
            Events(
                np.column_stack([generated.x, *columns]),
                features=[*generated.features, *map(Feature, names)],
            ),
            file,
            origin=_ORIGIN,
        )
        share = float((kept**2).sum() / max(float((changed**2).sum()), np.finfo(float).tiny))
        return (
            f"{file.name} has the weights, their errors and the {count(kept.shape[1])} largest of "
            f"{count(changed.shape[1])} variations, which hold {percent(share)} of the variance"
        )

    def _plan(self, run: Run, reference: Events, generated: Events) -> ExitCode:
        from verisimile.app.plans import Planned, print_plan

        stages = [
            Planned("fit of the ratio", 1, 0, None),
            Planned("tests", 10, len(run.store.addresses("multiply")), None),
        ]
        accounts = {"reference": reference.account, "generated": generated.account}
        return print_plan(run, stages, as_json=self.as_json, accounts=accounts)
