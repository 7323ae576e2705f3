"""The commands that make a mixture and use it: options parsed, everything else left to them.

Nothing heavy is imported here: ``verisimile --help`` must not wait for torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verisimile.app import options
from verisimile.app.exits import told


def demo(  # noqa: PLR0913  (one parameter per option)
    *,
    out: Annotated[Path, typer.Option(help="Folder for the report and the run.")] = Path(
        "demo-report"
    ),
    members: options.Members = 8,
    toys: options.Toys = 200,
    epochs: options.Epochs = None,
    seed: options.Seed = options.SEED,
    executor: options.Executor = "",
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Train, fit, test and report on real Z -> mu mu events that come with the package.

    Two test samples: truth that was held out, and another generator tune with a
    known defect.  A demonstration: the exit code is 0 when it ran to its end.
    """
    with told(out / "run"):
        from verisimile.app import demo as command

        request = command.DemoRequest(
            out=out,
            members=members,
            toys=toys,
            seed=seed,
            executor=options.default_executor(executor),
            trainer=options.trainer({"epochs": epochs or command.EPOCHS}),
            command=options.command_line(),
            as_json=as_json,
            dry_run=dry_run,
        )
        raise typer.Exit(command.execute(request))


def fit(  # noqa: PLR0913
    train: Annotated[str, typer.Argument(metavar="TRAIN", help=options.FILE)],
    *,
    out: Annotated[Path, typer.Option(help="Folder for members, weights and records.")],
    members: options.Members = 20,
    features: options.Features = "",
    support: options.Support = None,
    weights: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with event weights.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column that says which rows belong to one physics event: they are "
            "resampled together.",
        ),
    ] = None,
    fit_events: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Separate events for the fit of the mixture's weights."),
    ] = None,
    fit_fraction: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Or the part of TRAIN to split off for it; 0.4 if neither."
        ),
    ] = None,
    epochs: options.Epochs = None,
    layers: options.Layers = None,
    blocks: options.Blocks = None,
    hidden: options.Hidden = None,
    bins: options.SplineBins = None,
    batch: options.Batch = None,
    learning_rate: options.LearningRate = None,
    patience: options.Patience = None,
    seed: options.Seed = options.SEED,
    executor: options.Executor = "",
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Train an ensemble of normalizing flows on TRAIN and fit the weights of their mixture.

    Interrupted work continues when the same command is run again.
    """
    with told(out):
        from verisimile.app import fit_command as command

        request = command.FitRequest(
            train=train,
            out=out,
            members=members,
            features=options.column_list(features),
            support=options.support_bounds(support or []),
            weights=weights,
            group=group,
            fit_events=fit_events,
            fit_fraction=fit_fraction,
            seed=seed,
            executor=options.default_executor(executor),
            trainer=options.trainer(
                {
                    "epochs": epochs,
                    "layers": layers,
                    "blocks": blocks,
                    "hidden": hidden,
                    "bins": bins,
                    "batch": batch,
                    "learning_rate": learning_rate,
                    "patience": patience,
                }
            ),
            command=options.command_line(),
            as_json=as_json,
            dry_run=dry_run,
        )
        raise typer.Exit(command.execute(request))


def gof(  # noqa: PLR0913
    folder: options.RunFolder,
    test: Annotated[str, typer.Argument(metavar="TEST", help=options.FILE)],
    *,
    toys: options.Toys = 1000,
    hypothesis: Annotated[
        options.Hypothesis, typer.Option(help="What the null hypothesis leaves free.")
    ] = options.Hypothesis.UNCERTAIN,
    null: Annotated[
        options.Null, typer.Option(help="How toys are made; plug-in rejects too often.")
    ] = options.Null.PREDICTIVE,
    alternative: Annotated[
        options.Deviation,
        typer.Option(help="Form of the alternative; auto: kernels up to two features, else tilt."),
    ] = options.Deviation.AUTO,
    kernels: options.KernelCount = None,
    width: options.KernelWidths = None,
    scan: options.Scan = False,
    placements: options.Placements = 4,
    no_surprise: options.NoSurprise = False,
    exceedances: options.Exceedances = None,
    level: Annotated[float, typer.Option(help="Significance level of the verdict.")] = 0.05,
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for a report.")] = None,
    seed: options.OtherSeed = None,
    executor: options.Executor = "",
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Test whether the mixture in RUN describes the events of TEST, which it has not seen.

    The exit code is 0 if it does at the stated level, 1 if not, 3 if nothing can be said:
    so, before any work, if the toys are too few for the level.
    """
    with told(folder):
        from verisimile.app import gof_command as command

        request = command.GofRequest(
            folder=folder,
            sample=test,
            toys=command.how_many(toys, exceedances),
            hypothesis=hypothesis.value,
            null=null.value,
            deviations=command.Deviations(
                alternative.value,
                kernels,
                tuple(width) if width else None,
                scan,
                placements,
                surprise=not no_surprise,
            ),
            level=level,
            report=report,
            seed=seed,
            executor=options.default_executor(executor),
            command=options.command_line(),
            as_json=as_json,
            dry_run=dry_run,
        )
        raise typer.Exit(command.execute(request))


def coverage(  # noqa: PLR0913
    folder: options.RunFolder,
    *,
    truth: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Large sample of a known truth; the fitted mixture itself (closure) by default.",
        ),
    ] = None,
    moment: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:ORDER]", help="Mean of a feature's power; all means if none."),
    ] = None,
    quantile: Annotated[
        list[str] | None, typer.Option(metavar="NAME:P", help="Quantile of a feature.")
    ] = None,
    bin_: Annotated[
        list[str] | None,
        typer.Option("--bin", metavar="NAME:LOW:HIGH", help="Probability of a range."),
    ] = None,
    datasets: Annotated[int, typer.Option(min=2, help="Pseudo-experiments.")] = 300,
    events: Annotated[
        int | None, typer.Option(min=1, help="Events in each; as many as the fit had by default.")
    ] = None,
    level: Annotated[
        float, typer.Option(help="Nominal content of the intervals; one sigma by default.")
    ] = options.ONE_SIGMA,
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for a report.")] = None,
    seed: options.OtherSeed = None,
    executor: options.Executor = "",
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Count how often the errors of observables of the mixture in RUN contain the truth.

    The members are given, only the weights are refitted.  The exit code is 0 if
    the nominal level lies in the exact interval of every rate, 1 if not, 3 if
    there are too few data sets to tell.
    """
    with told(folder):
        from verisimile.app import coverage_command as command

        request = command.CoverageRequest(
            folder=folder,
            truth=truth,
            moments=tuple(moment or ()),
            quantiles=tuple(quantile or ()),
            bins=tuple(bin_ or ()),
            datasets=datasets,
            events=events,
            level=level,
            report=report,
            seed=seed,
            executor=options.default_executor(executor),
            command=options.command_line(),
            as_json=as_json,
            dry_run=dry_run,
        )
        raise typer.Exit(command.execute(request))


def sample(
    folder: options.RunFolder,
    *,
    n: Annotated[int, typer.Option("-n", min=1, help="Number of events.")],
    out: Annotated[str, typer.Option(metavar="FILE", help="File to write; its suffix decides.")],
    seed: options.OtherSeed = None,
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Draw unweighted events from the mixture in RUN."""
    with told(folder):
        from verisimile.app import sample_command as command

        request = command.SampleRequest(folder, n, out, seed, as_json, dry_run)
        raise typer.Exit(command.execute(request))


def inspect(folder: options.RunFolder, *, as_json: options.Json = False) -> None:
    """Check and describe what RUN holds."""
    with told(folder):
        from verisimile.app import inspect_command as command

        raise typer.Exit(command.execute(folder, as_json=as_json))
