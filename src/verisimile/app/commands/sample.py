"""``verisimile sample``: unweighted events of a fitted run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.preflight import check_folder
from verisimile.app.terminal import ExitCode
from verisimile.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from verisimile.app.study import FitStudy
    from verisimile.core.run import Run
    from verisimile.data.events import Events

_ORIGIN = "verisimile sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCommand:
    """Draw unweighted events from the mixture in RUN.

    Members without a density (gan, vae, diffusion) have no weights: all draw equally many.
    """

    home: options.RunFolder
    n: Annotated[int, typer.Option("-n", min=1, help="Number of events.")]
    out: Annotated[str, typer.Option(metavar="FILE", help="File to write; its suffix decides.")]
    contexts: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Of a run with --given: events whose conditions are taken, at random.",
        ),
    ] = None
    seed: options.OtherSeed = None
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False

    def execute(self) -> ExitCode:
        """Draw the events and write them."""
        from verisimile.app.plans import draw_stage, print_plan
        from verisimile.app.study import open_run
        from verisimile.core.result import to_dict
        from verisimile.data.events import Events
        from verisimile.data.files import check_writable, write_events
        from verisimile.mixture.discrepancy.corrected import CorrectedMixture
        from verisimile.mixture.io import load_mixture
        from verisimile.report.numbers import count, percent, rough, value_and_error

        file = check_writable(self.out, origin=_ORIGIN, force=self.force)
        check_folder(file.parent)
        study, run = open_run(self.home, seed=self.seed)
        if study.samples_only:
            return self._of_members(run)
        if study.context:
            return self._at_contexts(study, run)
        mixture = load_mixture(run)
        if self.dry_run:
            return print_plan(run, [draw_stage(self.n)], as_json=self.as_json, verdict=False)
        drawn = mixture.draw(self.n, run)
        events, audit = Events(drawn.x, features=mixture.features), drawn.audit
        # Somebody may have written there meanwhile.
        check_writable(self.out, origin=_ORIGIN, force=self.force)
        write_events(events, self.out, origin=_ORIGIN)
        if self.as_json:
            terminal.print_json(
                "verisimile.sample/1",
                {
                    "out": self.out,
                    "n": events.n,
                    "digest": events.digest,
                    "seeds": str(run.seeds),
                    "audit": to_dict(audit),
                },
            )
            return ExitCode.COMPATIBLE
        mass = value_and_error(audit.negative_mass.value, audit.negative_mass.error)
        terminal.print_lines(
            f"{count(events.n)} events in {self.out} (seed {run.seeds.entropy}: the same command "
            "gives the same events).",
            f"Accepted {percent(audit.accepted / audit.proposed)} of the proposals; negative mass "
            f"of the mixture {mass}.",
        )
        if isinstance(mixture, CorrectedMixture):
            terminal.print_lines(
                f"Kept in proportion up to {rough(audit.bound)} times the density of the members; "
                f"{percent(audit.overweight)} of the probability is beyond, where events repeat."
            )
        return ExitCode.COMPATIBLE

    def _at_contexts(self, study: FitStudy, run: Run) -> ExitCode:
        """Draw events of a conditional density, each at the conditions of an event of a file."""
        from verisimile.data.files import read_events
        from verisimile.mixture.io import load_conditional_mixture

        named = ", ".join(study.context)
        if self.contexts is None:
            raise InputError(
                "--contexts",
                got=f"nothing, for a density given {named}",
                expected=f"a file with the columns {named}",
                remedy="For instance the test sample.",
            )
        mixture = load_conditional_mixture(run)
        found = read_events(self.contexts, features=mixture.context.names)
        rows = run.seeds.at("contexts").numpy().integers(found.n, size=self.n)
        return self._write(
            f"{mixture} at contexts of {self.contexts}",
            lambda: mixture.sample(found.take(rows), run),
            run,
        )

    def _of_members(self, run: Run) -> ExitCode:
        """Draw equal shares of members that know no density."""
        from verisimile.app.stages import draw_equally
        from verisimile.data.events import Events
        from verisimile.ensemble.fit import load_ensemble

        ensemble = load_ensemble(run)

        def drawn() -> Events:
            x = draw_equally(ensemble.samplers, self.n, run.seeds.at("sample"))
            return Events(x, features=ensemble.features)

        return self._write(f"{len(ensemble)} members in equal shares", drawn, run)

    def _write(self, model: str, draw: Callable[[], Events], run: Run) -> ExitCode:
        """Write what is drawn, or say what would be; there are no proposals to audit."""
        from verisimile.data.files import check_writable, write_events
        from verisimile.report.numbers import count

        if self.dry_run and self.as_json:
            terminal.print_json("verisimile.plan/1", {"n": self.n, "out": self.out})
            return ExitCode.COMPATIBLE
        if self.dry_run:
            terminal.print_lines(f"Would draw {count(self.n)} events of {model} to {self.out}.")
            return ExitCode.COMPATIBLE
        events = draw()
        check_writable(self.out, origin=_ORIGIN, force=self.force)
        write_events(events, self.out, origin=_ORIGIN)
        if self.as_json:
            terminal.print_json(
                "verisimile.sample/1",
                {
                    "out": self.out,
                    "n": events.n,
                    "digest": events.digest,
                    "seeds": str(run.seeds),
                    "audit": None,
                },
            )
            return ExitCode.COMPATIBLE
        terminal.print_lines(
            f"{count(events.n)} events of {model} in {self.out} (seed {run.seeds.entropy}: the "
            "same command gives the same events)."
        )
        return ExitCode.COMPATIBLE
