"""``verisimile sample``: unweighted events of a fitted run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from verisimile.app.exits import ExitCode
from verisimile.app.study import load_study
from verisimile.app.terminal import print_json, print_lines
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.files import write_events
from verisimile.mixture.io import load_mixture
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import SampleAudit
from verisimile.report.numbers import count, percent, value_and_error


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """The options of ``verisimile sample`` as values."""

    folder: Path
    n: int
    out: str
    seed: int | None
    as_json: bool
    dry_run: bool


def execute(request: SampleRequest) -> ExitCode:
    """Draw the events and write them."""
    study = load_study(Run(Seeds(0), store=request.folder).store)
    run = Run(Seeds(study.seed if request.seed is None else request.seed), store=request.folder)
    mixture = load_mixture(run)
    if request.dry_run:
        _print_plan(request, mixture)
        return ExitCode.COMPATIBLE
    drawn = mixture.draw(request.n, run)
    events = Events(drawn.x, features=mixture.features)
    write_events(events, request.out)
    _print(request, events, drawn.audit, run)
    return ExitCode.COMPATIBLE


def _print_plan(request: SampleRequest, mixture: Mixture) -> None:
    if request.as_json:
        print_json("verisimile.plan/1", {"n": request.n, "out": request.out})
        return
    print_lines(f"Would draw {count(request.n)} events of {mixture} and write {request.out}.")


def _print(request: SampleRequest, events: Events, audit: SampleAudit, run: Run) -> None:
    if request.as_json:
        print_json(
            "verisimile.sample/1",
            {
                "out": request.out,
                "n": events.n,
                "digest": events.digest,
                "seeds": str(run.seeds),
                "audit": to_dict(audit),
            },
        )
        return
    mass = value_and_error(audit.negative_mass.value, audit.negative_mass.error)
    print_lines(
        f"{count(events.n)} events in {request.out} (seed {run.seeds.entropy}: the same command "
        "gives the same events).",
        f"Accepted {percent(audit.accepted / audit.proposed)} of the proposals; negative mass "
        f"of the mixture {mass}.",
    )
