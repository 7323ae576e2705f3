"""The command ``verisimile``: its commands, and what all of them share.

Nothing heavy is imported here, nor by a command before it runs: ``verisimile --help`` must not
wait for torch.
"""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, get_type_hints

import typer

from verisimile.app import options
from verisimile.app.commands.amplify import AmplifyCommand
from verisimile.app.commands.arena import ArenaCommand
from verisimile.app.commands.check_passport import CheckPassportCommand
from verisimile.app.commands.compare import CompareCommand
from verisimile.app.commands.coverage import CoverageCommand
from verisimile.app.commands.demo import DemoCommand
from verisimile.app.commands.fit import FitCommand
from verisimile.app.commands.gc import GcCommand
from verisimile.app.commands.gof import GofCommand
from verisimile.app.commands.init import InitCommand
from verisimile.app.commands.inspect import InspectCommand
from verisimile.app.commands.one_sample import OneSampleCommand
from verisimile.app.commands.posterior import PosteriorCommand
from verisimile.app.commands.ratings import RatingsCommand
from verisimile.app.commands.report import ReportCommand
from verisimile.app.commands.reweight import ReweightCommand
from verisimile.app.commands.run import RunCommand
from verisimile.app.commands.sample import SampleCommand
from verisimile.app.commands.submit import SubmitCommand
from verisimile.app.commands.templates import TemplatesCommand
from verisimile.app.commands.validate import ValidateCommand
from verisimile.app.examples import said_of
from verisimile.app.manner import Debug, Manner, Quiet, behaving
from verisimile.app.stopping import check_seconds, stoppable
from verisimile.app.terminal import (
    ExitCode,
    exit_on_error,
    give_up_output,
    undelivered,
)

app = typer.Typer(
    name="verisimile",
    help="Can this learned density be trusted? Compare a generated sample with the truth; or "
    "train an ensemble of flows, fit their mixture, and test it on events that it has not seen.",
    epilog="Exit codes: 0 compatible or done, 1 not compatible, 2 bad input, 3 inconclusive, "
    "4 interrupted and resumable.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old terminal must not cost a result
    try:
        try:
            app()
        except SystemExit as end:
            # The parser's own answer to `--help | head`; its 1 would read as a verdict.
            if isinstance(end.__context__, BrokenPipeError):
                raise end.__context__ from None
            raise
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:  # of --help and --version: what a command prints, it checks itself
        give_up_output()
        typer.echo(f"error: {undelivered(error)}", err=True)
        sys.exit(ExitCode.INCOMPLETE)


class Command(Protocol):
    """A dataclass of options: its fields are what typer parses, its docstring is the help."""

    @property
    def home(self) -> Path | None:
        """The folder where finished work is kept, if any is."""
        ...

    def execute(self) -> ExitCode:
        """Do what the options say."""
        ...


def command(kind: Callable[..., Command]) -> Callable[..., None]:
    """Return a function for typer: its parameters are the fields of `kind`, it executes one.

    Every command has ``--debug`` too, and what computes has ``--quiet``.
    """
    own = inspect.signature(kind, eval_str=True)
    shared = {"debug": Debug, **({"quiet": Quiet} if "dry_run" in own.parameters else {})}

    def call(**values: object) -> None:
        asked = {name: bool(values.pop(name)) for name in shared}
        chosen = kind(**values)
        seconds: float | None = getattr(chosen, "max_seconds", None)
        with behaving(Manner(debug=asked["debug"], quiet=asked.get("quiet", False))):
            with exit_on_error():
                check_seconds(seconds)
            # The outer one is for a signal between the two.
            with exit_on_error(chosen.home), stoppable(seconds), exit_on_error(chosen.home):
                raise typer.Exit(chosen.execute())

    call.__doc__ = kind.__doc__
    call.__annotations__ = {**get_type_hints(kind), **shared}
    call.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*own.parameters.values(), *(_switch(name, shared[name]) for name in shared)]
    )
    return call


def _switch(name: str, kind: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)


@app.callback()
def _root(version: options.Version = False) -> None:  # noqa: FBT002
    pass


COMMANDS: Mapping[str, Callable[..., Command]] = {
    "demo": DemoCommand,
    "init": InitCommand,
    "run": RunCommand,
    "validate": ValidateCommand,
    "check-passport": CheckPassportCommand,
    "amplify": AmplifyCommand,
    "compare": CompareCommand,
    "reweight": ReweightCommand,
    "fit": FitCommand,
    "gof": GofCommand,
    "coverage": CoverageCommand,
    "sample": SampleCommand,
    "templates": TemplatesCommand,
    "one-sample": OneSampleCommand,
    "posterior": PosteriorCommand,
    "ratings": RatingsCommand,
    "arena": ArenaCommand,
    "report": ReportCommand,
    "inspect": InspectCommand,
    "gc": GcCommand,
}
"""All but submit, which submits one of them."""

for _name, _kind in COMMANDS.items():
    app.command(_name, epilog=said_of(_name))(command(_kind))

# What submit does not know are the options of the command that it submits.
app.command(
    "submit",
    context_settings={"ignore_unknown_options": True},
    epilog=said_of("submit"),
)(command(SubmitCommand))
