"""Options of the commands, and how their text becomes values."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping
from enum import StrEnum
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.core.errors import InputError

if TYPE_CHECKING:
    from verisimile.density.flows.trainer import SplineFlowTrainer

SEED = 2026
ONE_SIGMA = 0.6827
FILE = "Events: .parquet, .root:Tree, .h5:group, .npz, .npy or .csv."


class Hypothesis(StrEnum):
    """What the null hypothesis leaves free."""

    SINGLE = "single"
    ENSEMBLE = "ensemble"
    UNCERTAIN = "ensemble+uncertainty"


class Deviation(StrEnum):
    """The form of the alternative."""

    AUTO = "auto"
    KERNELS = "kernels"
    TILT = "tilt"
    BOTH = "both"


class Null(StrEnum):
    """How toys are made."""

    PREDICTIVE = "predictive"
    FLUCTUATED = "fluctuated-centre"
    PLUG_IN = "plug-in"


def _show_version(wanted: bool) -> None:  # noqa: FBT001  (typer's signature)
    if not wanted:
        return
    try:
        typer.echo(f"verisimile {installed_version('verisimile')}")
    except PackageNotFoundError:
        typer.echo("verisimile 0+unknown")
    raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", help="Say the version.", callback=_show_version, is_eager=True),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done and roughly how long it takes.")
]
Seed = Annotated[int, typer.Option(min=0, help="Entropy of all random streams.")]
OtherSeed = Annotated[
    int | None, typer.Option(min=0, help="Other random streams than those of the fit.")
]
Executor = Annotated[
    str,
    typer.Option(
        metavar="serial|loky:N",
        help="Who does the work; by default one process per core. Changes no number.",
        show_default=False,
    ),
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder made by verisimile fit.")]
Members = Annotated[int, typer.Option(min=1, help="Members of the ensemble.")]
Toys = Annotated[int, typer.Option(min=1, help="Pseudo-experiments of the null distribution.")]
KernelCount = Annotated[
    int | None, typer.Option(min=2, help="Kernels of the alternative.", show_default=False)
]
KernelWidths = Annotated[
    list[float] | None,
    typer.Option(
        help="Kernel width in normal scores; repeat for several. Default: two "
        "quantiles of the distances between events.",
    ),
]
Scan = Annotated[
    bool,
    typer.Option(
        "--scan",
        help="Test each width alone and correct for their number; default widths then "
        "are three quantiles of distances.",
    ),
]
Placements = Annotated[
    int,
    typer.Option(min=1, help="Times that the kernels are placed; t is the mean over them."),
]
NoSurprise = Annotated[
    bool,
    typer.Option(
        "--no-surprise",
        help="Leave it to the alternative to notice events that the model calls impossible.",
    ),
]
Exceedances = Annotated[
    int | None,
    typer.Option(min=1, help="Stop as soon as so many toys are as extreme as the data."),
]
Features = Annotated[
    str,
    typer.Option(
        metavar="A,B,...", help="Columns to learn; all numeric ones by default.", show_default=False
    ),
]
Support = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=LOW:HIGH",
        help="Bounds of a feature, for each that has some; an empty side has none.",
    ),
]
_PANEL = "Training of each flow"
Epochs = Annotated[
    int | None, typer.Option(min=1, help="Length of the schedule.", rich_help_panel=_PANEL)
]
Layers = Annotated[
    int | None, typer.Option(min=1, help="Autoregressive spline layers.", rich_help_panel=_PANEL)
]
Blocks = Annotated[
    int | None, typer.Option(min=0, help="Hidden maps per layer.", rich_help_panel=_PANEL)
]
Hidden = Annotated[int | None, typer.Option(min=1, help="Their width.", rich_help_panel=_PANEL)]
SplineBins = Annotated[int | None, typer.Option(min=2, help="Spline bins.", rich_help_panel=_PANEL)]
Batch = Annotated[int | None, typer.Option(min=1, help="Largest batch.", rich_help_panel=_PANEL)]
LearningRate = Annotated[
    float | None, typer.Option(help="First step size.", rich_help_panel=_PANEL)
]
Patience = Annotated[
    int | None,
    typer.Option(min=1, help="Epochs without improvement.", rich_help_panel=_PANEL),
]


def trainer(settings: Mapping[str, float | None]) -> SplineFlowTrainer:
    """Return the default trainer with those of the settings that are not None.

    Raises
    ------
    InputError
        If a setting is out of range.
    """
    from verisimile.density.flows.trainer import SplineFlowTrainer

    given = {name: value for name, value in settings.items() if value is not None}
    return SplineFlowTrainer(**given)  # type: ignore[arg-type]


def default_executor(text: str) -> str:
    """Return `text`, or one worker process per physical core if it is empty."""
    if text:
        return text
    import loky

    cores = loky.cpu_count(only_physical_cores=True)
    return "serial" if cores < 2 else f"loky:{cores}"


def command_line() -> str:
    """Return the shell command that this process runs, for reports."""
    return shlex.join(["verisimile", *sys.argv[1:]])


def column_list(text: str, option: str = "--features") -> list[str] | None:
    """Return the names in ``a,b,c`` of an option; None for no text.

    Raises
    ------
    InputError
        If a name is empty.
    """
    if not text:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise InputError(option, got=repr(text), expected="names with commas between them")
    return names


def number_list(text: str, option: str) -> tuple[int, ...]:
    """Return the whole numbers in ``10,20,50``.

    Raises
    ------
    InputError
        If one is no whole number.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(option, got=repr(text), expected="whole numbers with commas") from None


def support_bounds(texts: list[str]) -> dict[str, tuple[float, float]]:
    """Return the bounds in ``name=low:high`` by name; an empty side is unbounded.

    Raises
    ------
    InputError
        If a text has another form, or a name comes twice.

    Examples
    --------
    >>> support_bounds(["m_ll=60:120", "pt=0:"])
    {'m_ll': (60.0, 120.0), 'pt': (0.0, inf)}
    """
    bounds: dict[str, tuple[float, float]] = {}
    for text in texts:
        name, _, sides = text.rpartition("=")
        if not name or name in bounds:
            raise _bad_support(text)
        bounds[name] = _pair(text, sides)
    return bounds


def _pair(text: str, sides: str) -> tuple[float, float]:
    low, colon, high = sides.partition(":")
    try:
        pair = float(low or -math.inf), float(high or math.inf)
    except ValueError:
        raise _bad_support(text) from None
    if not colon or math.isnan(sum(pair)) and pair != (-math.inf, math.inf):
        raise _bad_support(text)
    return pair


def _bad_support(text: str) -> InputError:
    return InputError(
        "--support",
        got=repr(text),
        expected="name=low:high, once for each feature",
        remedy="Leave a side empty where there is no bound: --support pt=0:",
    )
