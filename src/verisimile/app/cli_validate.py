"""The command that compares two samples: options parsed, everything else left to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verisimile.app import options
from verisimile.app.exits import told


def validate(  # noqa: PLR0913  (one parameter per option)
    reference: Annotated[
        str | None, typer.Argument(metavar="[REFERENCE]", help=f"Truth. {options.FILE}")
    ] = None,
    generated: Annotated[
        str | None, typer.Argument(metavar="[GENERATED]", help="The generator's events.")
    ] = None,
    *,
    train: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What the generator was trained on: finds memorised."),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Study file (.toml, .yaml); options go before it."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for report and run.")] = Path(
        "validation"
    ),
    features: Annotated[
        str,
        typer.Option(metavar="A,B,...", help="Columns to compare; all by default."),
    ] = "",
    weights: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with event weights, of any sign.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Column that says which rows belong to one physics event."
        ),
    ] = None,
    periodic: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=LOW:HIGH]",
            help="A feature that comes round, as an angle does: its period, 2 pi if none; repeat.",
        ),
    ] = None,
    cut: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="What events must fulfil to count.")
    ] = None,
    observable: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=EXPRESSION", help="A further column; repeat for several."),
    ] = None,
    selection: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=CONDITION", help="An efficiency to compare; repeat."),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=CONDITION", help="What every event must fulfil; repeat."),
    ] = None,
    tests: Annotated[
        str, typer.Option(metavar="A,B,...", help="Tests to make; the whole battery by default.")
    ] = "",
    relabelings: Annotated[
        int | None, typer.Option(min=19, help="Of each permutation test; 999 by default.")
    ] = None,
    level: Annotated[
        float | None, typer.Option(help="Significance level of the verdict; 0.05 by default.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Entropy of all random streams; 2026 by default.")
    ] = None,
    executor: options.Executor = "",
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Compare a generated sample with the truth: tests, where they differ, and a verdict.

    The exit code is 0 if no difference is found, 1 if one is, 3 if nothing can be said.
    """
    with told(out / "run"):
        from verisimile.app import validate_command as command
        from verisimile.app.validate_study import StudyOptions

        request = command.ValidateRequest(
            options=StudyOptions(
                study=study,
                reference=reference,
                generated=generated,
                train=train,
                features=options.column_list(features),
                weights=weights,
                group=group,
                periodic=tuple(periodic or ()),
                cut=cut,
                observables=tuple(observable or ()),
                selections=tuple(selection or ()),
                constraints=tuple(constraint or ()),
                tests=options.column_list(tests, "--tests"),
                relabelings=relabelings,
                level=level,
                seed=seed,
            ),
            out=out,
            executor=options.default_executor(executor),
            command=options.command_line(),
            as_json=as_json,
            dry_run=dry_run,
        )
        raise typer.Exit(command.execute(request))
