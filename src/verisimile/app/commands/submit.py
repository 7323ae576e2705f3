"""``verisimile submit``: a command as a job array of a batch system."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from verisimile.app.terminal import ExitCode, print_lines
from verisimile.core.errors import InputError, require

_OURS = {"shard": "--shard", "max_seconds": "--max-seconds", "executor": "--executor"}

# Of click, which may be a package of its own or a part of typer.
_UsageError: type[Any] = typer.BadParameter.__mro__[1]


class BatchSystem(StrEnum):
    """Who runs the jobs."""

    SLURM = "slurm"
    HTCONDOR = "htcondor"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitCommand:
    """Print COMMAND as a job array: every job does a shard of it, the last one merges.

    The options of COMMAND are checked now.  Nothing is submitted.
    """

    words: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND...", help="A command with its options: gof RUN TEST ..."),
    ]
    system: Annotated[BatchSystem, typer.Option(help="Who runs the jobs.")]
    shards: Annotated[int, typer.Option(min=1, max=10_000, help="Number of jobs.")] = 40
    time: Annotated[str, typer.Option(metavar="HH:MM:SS", help="Time limit of a job.")] = "01:00:00"
    memory: Annotated[int, typer.Option(metavar="GB", min=1, help="Memory of a job.")] = 4
    setup: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LINE", help="Shell line before the command, as 'module load python'; repeat."
        ),
    ] = None
    container: Annotated[
        str, typer.Option(metavar="IMAGE", help="Run the command in this image, by apptainer.")
    ] = ""
    script: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there, if nothing is there yet.")
    ] = None

    @property
    def home(self) -> None:
        """No folder: nothing is kept."""
        return

    def execute(self) -> ExitCode:
        """Check the command and print its jobs."""
        from verisimile.app import jobs
        from verisimile.app.cli import app

        check_words(typer.main.get_command(app), self.words)
        ready = not (self.setup or self.container)
        program = shutil.which("verisimile") if ready else None
        array = jobs.JobArray(
            command=[program or "verisimile", *self.words],
            folder=str(Path.cwd()),
            shards=self.shards,
            seconds=jobs.seconds_of(self.time),
            memory=self.memory,
            setup=self.setup or (),
            container=self.container,
        )
        write = {BatchSystem.SLURM: jobs.slurm, BatchSystem.HTCONDOR: jobs.htcondor}
        text = write[self.system](array)
        if self.script is None:
            print_lines(text.rstrip("\n"))
        else:
            _write_new(self.script, text)
        return ExitCode.COMPATIBLE


def check_words(group: object, words: list[str]) -> None:
    """Raise unless `words` is a command that can be cut into shards, with options it knows.

    Raises
    ------
    InputError
        With what the command's own parser says.
    """
    commands: dict[str, Any] = getattr(group, "commands", {})
    sharded = [
        name
        for name, each in commands.items()
        if "shard" in {parameter.name for parameter in each.params}
    ]
    name, *rest = words
    require(
        name in sharded,
        "submit",
        got=repr(name),
        expected=f"one of {', '.join(sharded)}, with its options",
        remedy="Options of submit that COMMAND has too go before it.",
    )
    try:
        context = commands[name].make_context(name, rest)
    except _UsageError as error:
        raise InputError(
            f"submit {name}", got=error.format_message(), expected="options that it knows"
        ) from None
    for parameter, option in _OURS.items():
        source = context.get_parameter_source(parameter)
        require(
            source is None or source.name == "DEFAULT",
            f"submit {name}",
            got=option,
            expected="no such option: submit sets it for each job",
        )


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(
            "--script",
            got=f"{path} ({type(error).__name__})",
            expected="a new file in a folder where you can write",
        ) from error
