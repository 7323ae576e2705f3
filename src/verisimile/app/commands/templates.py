"""``verisimile templates``: histograms of a fitted density for an analysis, with all errors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options
from verisimile.app.axes import AxisOption, axes_of
from verisimile.app.conclusions import Ending
from verisimile.app.preflight import check_report
from verisimile.app.terminal import Clock, ExitCode
from verisimile.core.errors import InputError, require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verisimile.core.arrays import Array
    from verisimile.core.result import Result
    from verisimile.mixture.templates import Templates


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplatesCommand:
    """Write a histogram of the density in RUN with its errors as independent variations.

    DIR/templates.json has contents, variations and statistical errors.  With --signal and
    --observed also a workspace of pyhf, a folder that cabinetry reads (of one feature), and the
    fitted strength.
    """

    home: options.RunFolder
    axis: AxisOption = None
    events: Annotated[float, typer.Option(help="Expected events in the whole space.")] = 1.0
    filled: Annotated[
        int | None,
        typer.Option(
            min=1, help="Generated events that the analysis fills the bins with: adds their error."
        ),
    ] = None
    signal: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Events of a signal of strength one, unweighted."),
    ] = None
    strength: Annotated[
        float | None,
        typer.Option(help="Expected signal events at strength one; those of FILE by default."),
    ] = None
    observed: Annotated[
        str | None, typer.Option(metavar="FILE", help="Events that were observed.")
    ] = None
    out: options.Out = Path("templates")
    seed: options.OtherSeed = None
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False

    def execute(self) -> ExitCode:
        """Make the templates and what an analysis reads."""
        from verisimile.app.plans import Planned, print_plan
        from verisimile.app.study import open_run
        from verisimile.mixture.io import load_mixture

        axes = axes_of(self.axis or ())
        require(axes, "--axis", got="none", expected="bins", remedy="--axis m_ll=60:120:24")
        require(self.events > 0.0, "--events", got=self.events, expected="a number above zero")
        if (self.signal is None) != (self.observed is None):
            raise InputError(
                "--signal, --observed",
                got="one of them",
                expected="both, or none",
                remedy="A workspace needs a signal and observed events.",
            )
        check_report(self.out, force=self.force)
        study, run = open_run(self.home, seed=self.seed)
        require(
            not study.samples_only and not study.context,
            "RUN",
            got="members without a density, or a density of a context",
            expected="a fitted density",
            remedy="Templates of samplers are histograms of their events.",
        )
        if self.dry_run:
            return print_plan(run, [Planned("draws", 1, 0, 10.0)], as_json=self.as_json)
        clock = Clock()
        mixture = load_mixture(run)
        with clock.stage("templates"):
            made = mixture.templates(axes, run, events=self.events, filled=self.filled)
        results: list[Result] = [made]
        self.out.mkdir(parents=True, exist_ok=True)
        notes = [self._write(made)]
        if self.signal is not None and self.observed is not None:
            with clock.stage("analysis"):
                results.append(self._analysed(made, axes, notes))
        ending = Ending(
            title=f"Templates of {self.home}",
            schema="verisimile.templates-summary/1",
            out=self.out,
            level=0.05,
            force=self.force,
            as_json=self.as_json,
        )
        return ending.of(run, results, clock, notes=notes)

    def _write(self, made: Templates) -> str:
        from verisimile.core.durable import write_atomic

        said = {
            "axes": [
                {"feature": axis.feature.name, "unit": axis.feature.unit, "edges": list(axis.edges)}
                for axis in made.axes
            ],
            "nominal": made.nominal.tolist(),
            "statistical": made.statistical.tolist(),
            "variations": made.variations.tolist(),
        }
        path = self.out / "templates.json"
        write_atomic(path, json.dumps(said, indent=1).encode())
        return f"contents and variations are in {path}"

    def _analysed(self, made: Templates, axes: Mapping[str, Array], notes: list[str]) -> Result:
        """Write the workspaces; return the fitted strength of the signal."""
        from verisimile.core.durable import write_atomic
        from verisimile.mixture.workspace import write_cabinetry
        from verisimile.repair.signal import fit_signal

        observed, signal = (self._counted(str(file), axes) for file in (self.observed, self.signal))
        if self.strength is not None:
            signal = signal * (self.strength / signal.sum())
        path = self.out / "pyhf.json"
        workspace = made.to_pyhf(signal, observed)
        write_atomic(path, json.dumps(workspace, indent=1).encode())
        notes.append(f"the workspace of pyhf is {path}")
        if len(made.axes) == 1:
            place = write_cabinetry(made, self.out / "cabinetry", signal, observed)
            notes.append(f"cabinetry reads {place}")
        return fit_signal(made, signal, observed)

    def _counted(self, file: str, axes: Mapping[str, Array]) -> Array:
        """Return the events of a file in each bin."""
        import numpy as np

        from verisimile.data.files import read_events
        from verisimile.mixture.templates import TemplateBins

        events = read_events(file, features=list(axes))
        inside = TemplateBins.of(axes, events.features).inside(events.x)
        return np.asarray(inside.sum(axis=0))
