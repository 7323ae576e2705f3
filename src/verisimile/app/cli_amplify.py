"""The command that says how many events a generator is worth: options parsed, no more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verisimile.app import options
from verisimile.app.exits import told

_REGIONS = "10,20,50,100"


def amplify(  # noqa: PLR0913  (one parameter per option)
    generated: Annotated[
        list[str],
        typer.Argument(
            metavar="GENERATED...",
            help="The generator's events; several files for several trainings; or a folder made by "
            f"verisimile fit. {options.FILE}",
        ),
    ],
    *,
    holdout: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="True events that the generator has never seen."),
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What it was trained on: memorised events are found."),
    ] = None,
    n_train: Annotated[
        int | None, typer.Option(min=2, help="Training events, if --train does not say.")
    ] = None,
    n_generated: Annotated[
        int | None,
        typer.Option(min=100, help="Events to draw of a run; ten times its training by default."),
    ] = None,
    features: Annotated[
        str,
        typer.Option(
            metavar="A,B,...", help="Columns; all of the first file by default.", show_default=False
        ),
    ] = "",
    regions: Annotated[
        str, typer.Option(metavar="N,N,...", help="Resolutions: numbers of regions.")
    ] = _REGIONS,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for report and run.")] = Path(
        "amplification"
    ),
    seed: options.Seed = options.SEED,
    executor: options.Executor = "",
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Measure how many true events a generator is worth, against events it has never seen.

    The exit code is 0, or 1 if the generator repeats its training events.
    """
    with told(out / "run"):
        from verisimile.app import amplify_command as command

        request = command.AmplifyRequest(
            generated=tuple(generated),
            holdout=holdout,
            train=train,
            n_train=n_train,
            n_generated=n_generated,
            features=options.column_list(features),
            regions=options.number_list(regions, "--regions"),
            out=out,
            seed=seed,
            executor=options.default_executor(executor),
            command=options.command_line(),
            as_json=as_json,
            dry_run=dry_run,
        )
        raise typer.Exit(command.execute(request))
