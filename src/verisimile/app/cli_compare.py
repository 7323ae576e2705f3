"""The command that compares families of generators: options parsed, no more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verisimile.app import options
from verisimile.app.exits import told


def compare(  # noqa: PLR0913  (one parameter per option)
    generated: Annotated[
        list[str],
        typer.Argument(
            metavar="GENERATED...",
            help="Samples of three or more generators of one family: files, a pattern in quotes, "
            f"or a folder. {options.FILE}",
        ),
    ],
    *,
    truth: Annotated[str, typer.Option(metavar="FILE", help="True events none of them has seen.")],
    against: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Another family: a folder, or a pattern in quotes."),
    ] = None,
    features: Annotated[
        str, typer.Option(metavar="A,B,...", help="Columns to compare; all by default.")
    ] = "",
    factors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Labels of the samples, a column 'file' and one per factor: divides the variance "
            "of the areas.",
        ),
    ] = None,
    nested: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=OUTER,...",
            help="A factor whose labels begin anew within others; repeat.",
        ),
    ] = None,
    relabelings: Annotated[int, typer.Option(min=19, help="Of whole curves.")] = 999,
    score: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What orders the events: best (of several), linear, mixtures, trees, knn or "
            "parzen, each a bound of the true curve; published for the recipe of the literature.",
        ),
    ] = "best",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for report and run.")] = Path(
        "comparison"
    ),
    seed: options.Seed = options.SEED,
    executor: options.Executor = "",
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Draw precision-recall bands of families of generators, and test whether they differ."""
    with told(out / "run"):
        from verisimile.app import compare_command as command

        request = command.CompareRequest(
            generated=tuple(generated),
            against=against,
            truth=truth,
            features=options.column_list(features),
            factors=factors,
            nested=tuple(nested or ()),
            relabelings=relabelings,
            score=score,
            out=out,
            seed=seed,
            executor=options.default_executor(executor),
            command=options.command_line(),
            as_json=as_json,
            dry_run=dry_run,
        )
        raise typer.Exit(command.execute(request))
