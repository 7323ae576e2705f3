"""``verisimile sample``: unweighted events of a fitted run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.preflight import check_folder
from verisimile.app.terminal import ExitCode

_ORIGIN = "verisimile sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCommand:
    """Draw unweighted events from the mixture in RUN."""

    home: options.RunFolder
    n: Annotated[int, typer.Option("-n", min=1, help="Number of events.")]
    out: Annotated[str, typer.Option(metavar="FILE", help="File to write; its suffix decides.")]
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
        _, run = open_run(self.home, seed=self.seed)
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
