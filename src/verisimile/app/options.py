"""Options that commands share, and how the text of options becomes values."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app.manner import manner
from verisimile.core.errors import InputError, NumericsError

if TYPE_CHECKING:
    from verisimile.core.run import Run
    from verisimile.density.flows.engines import Engine
    from verisimile.density.flows.trainer import SplineFlowTrainer
    from verisimile.mixture.discrepancy.fit import Discrepancy

SEED = 2026
FILE = "Events: .parquet, .feather, .root:Tree, .h5:group, .fits, .npz, .npy or .csv."
TRAINING_PANEL = "Training of each flow"


class MissingRows(StrEnum):
    """What becomes of rows without a value."""

    REFUSE = "refuse"
    DROP = "drop"


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
        metavar="serial|loky:N|dask:...",
        help="Who does the work; by default one process per core. Changes no number.",
        show_default=False,
    ),
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="Stop after so many seconds of work with exit code 4; the same command goes on.",
    ),
]
PartOfWork = Annotated[
    str,
    typer.Option(
        metavar="K/N",
        help="Do every N-th task from the K-th on and end with 4; the same command without it "
        "does what is missing and reports.",
        show_default=False,
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace files that this command has not written.")
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for report and run.")]
Report = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for a report.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder made by verisimile fit.")]
Compared = Annotated[
    str, typer.Option(metavar="A,B,...", help="Columns to compare; all by default.")
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        metavar="A,B,...", help="Columns to leave out, of the files that have them; repeat."
    ),
]
Missing = Annotated[
    MissingRows | None,
    typer.Option(help="Refuse rows without a value, or drop and count them; refuse by default."),
]
Described = Annotated[
    list[str] | None,
    typer.Option(
        "--feature",
        metavar="NAME:KEY=VALUE,...",
        help="What a column is: unit, label (LaTeX between dollars), kind, low, high, transform; "
        "repeat.",
    ),
]
Members = Annotated[int, typer.Option(min=1, help="Members of the ensemble.")]
Toys = Annotated[int, typer.Option(min=1, help="Pseudo-experiments of the null distribution.")]
LearnDiscrepancy = Annotated[
    bool,
    typer.Option(
        "--discrepancy/--no-discrepancy",
        help="Learn what all members miss alike too; without it errors are those of the weights "
        "alone, as published.",
    ),
]
Epochs = Annotated[
    int | None, typer.Option(min=1, help="Length of the schedule.", rich_help_panel=TRAINING_PANEL)
]


class EngineName(StrEnum):
    """What takes the steps of the training."""

    AUTO = "auto"
    COMPILED = "compiled"
    STACKED = "stacked"
    LOOP = "loop"

    def built(self) -> Engine | None:
        """Return the engine that is meant, None for the fastest one."""
        from verisimile.density.flows.engines import Compiled, Loop, Stacked

        kinds = {self.COMPILED: Compiled, self.STACKED: Stacked, self.LOOP: Loop}
        return kinds[self]() if self in kinds else None


EngineOption = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="Compiled code, all flows as one stack in torch, or one by one by nflows; the "
        "fastest one of this machine by default.",
        rich_help_panel=TRAINING_PANEL,
    ),
]


class BesideReport:
    """A command that keeps its records in a folder beside its report."""

    __slots__ = ()
    out: Path

    @property
    def home(self) -> Path:
        """The run folder."""
        return self.out / "run"


def trainer(settings: Mapping[str, float | None]) -> SplineFlowTrainer:
    """Return the default trainer with those of the settings that are not None."""
    from verisimile.density.flows.trainer import SplineFlowTrainer

    given = {name: value for name, value in settings.items() if value is not None}
    return SplineFlowTrainer(**given)  # type: ignore[arg-type]


def discrepancy(wanted: bool) -> Discrepancy | None:  # noqa: FBT001  (an option's value)
    """Return the default settings of a discrepancy, or None if none is wanted."""
    from verisimile.mixture.discrepancy.fit import Discrepancy

    return Discrepancy() if wanted else None


def default_executor(text: str) -> str:
    """Return `text`, or one worker process per physical core if it is empty."""
    if text:
        return text
    import loky

    cores = loky.cpu_count(only_physical_cores=True)
    return "serial" if cores < 2 else f"loky:{cores}"


def run_in(folder: Path, *, seed: int, executor: str, shard: str = "") -> Run:
    """Return the run that keeps its work in `folder` and shows its progress.

    With a `shard`, ``k/N``, it does that part of every map.
    """
    from verisimile.core.random import Seeds
    from verisimile.core.run import Run

    return Run(
        Seeds(seed),
        executor=default_executor(executor),
        store=folder,
        progress=not manner().quiet,
        shard=shard or None,
    )


def command_line() -> str:
    """Return the shell command that this process runs, for reports."""
    return shlex.join(["verisimile", *sys.argv[1:]])


def check_level(level: float) -> None:
    """Raise unless `level` is a probability: before hours of toys or fits, not after."""
    if not 0.0 < level < 1.0:
        raise InputError("--level", got=level, expected="a number between 0 and 1")


def check_toys(toys: int, level: float) -> None:
    """Raise unless so many toys can reach the level: any test would be inconclusive."""
    needed = math.ceil(1.0 / level - 1e-9) - 1
    if toys < needed:
        raise NumericsError(
            "--toys",
            got=f"{toys}, whose smallest p-value is {1.0 / (toys + 1):.3g}",
            expected=f"at least {needed} to reach the level {level:g}",
            remedy=f"Use --toys {max(needed, 1000)}: {needed} can only just tell.",
        )


def column_list(text: str, option: str = "--features") -> list[str] | None:
    """Return the names in ``a,b,c`` of an option; None for no text.

    Commas in brackets are part of a name, which may be ``hypot(px, py)``.
    """
    if not text:
        return None
    names, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth <= 0:
            names.append("")
        else:
            names[-1] += letter
    names = [name.strip() for name in names]
    if not all(names):
        raise InputError(option, got=repr(text), expected="names with commas between them")
    return names


def ignored_names(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names in all ``a,b`` of ``--ignore``, each once.

    Examples
    --------
    >>> ignored_names(["run,event", "genWeight", "run"])
    ('run', 'event', 'genWeight')
    """
    found = [name for text in texts or () for name in column_list(text, "--ignore") or ()]
    return tuple(dict.fromkeys(found))


def number_list(text: str, option: str) -> tuple[int, ...]:
    """Return the whole numbers in ``10,20,50``."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(option, got=repr(text), expected="whole numbers with commas") from None


def named_texts(
    texts: Sequence[str],
    option: str,
    *,
    form: str = "NAME=EXPRESSION",
    like: str = "peak=abs(m_ll - 91.2) < 5",
) -> dict[str, str]:
    """Return ``NAME=EXPRESSION`` texts by name, each once; `form` and `like` are for the error.

    Examples
    --------
    >>> named_texts(["z peak = abs(m_ll - 91) < 5"], "--selection")
    {'z peak': 'abs(m_ll - 91) < 5'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, expression = (part.strip() for part in text.partition("="))
        if not (name and equals and expression) or expression.startswith("="):
            raise InputError(
                option,
                got=repr(text),
                expected=form,
                remedy=f"For instance {option} '{like}'.",
            )
        if name in found:
            raise InputError(option, got=f"{name!r} twice", expected="different names")
        found[name] = expression
    return found


def support_bounds(texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return the bounds in ``name=low:high`` by name, each once; an empty side is unbounded.

    Examples
    --------
    >>> support_bounds(["m_ll=60:120", "pt=0:"])
    {'m_ll': (60.0, 120.0), 'pt': (0.0, inf)}
    """
    bounds: dict[str, tuple[float, float]] = {}
    for text in texts:
        name, _, sides = text.rpartition("=")
        pair = _pair(sides)
        if not name or name in bounds or pair is None:
            raise InputError(
                "--support",
                got=repr(text),
                expected="name=low:high, once for each feature",
                remedy="Leave a side empty where there is no bound: --support pt=0:",
            )
        bounds[name] = pair
    return bounds


def _pair(sides: str) -> tuple[float, float] | None:
    low, colon, high = sides.partition(":")
    try:
        pair = float(low or -math.inf), float(high or math.inf)
    except ValueError:
        return None
    if not colon or math.isnan(sum(pair)) and pair != (-math.inf, math.inf):
        return None
    return pair
