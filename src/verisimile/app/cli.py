"""The command ``verisimile``: its commands, and what all of them share.

Nothing heavy is imported here: ``verisimile --help`` must not wait for torch.
"""

from __future__ import annotations

import io
import sys

import typer

from verisimile.app import cli_amplify, cli_compare, cli_mixture, cli_validate, options

app = typer.Typer(
    name="verisimile",
    help="Can this learned density be trusted? Compare a generated sample with the truth; or "
    "train an ensemble of flows, fit their mixture, and test it on events that it has not seen.",
    epilog="Exit codes: 0 compatible or done, 1 not compatible, 2 bad input, 3 inconclusive, "
    "4 interrupted and resumable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old terminal must not cost a result
    app()


@app.callback()
def _root(version: options.Version = False) -> None:  # noqa: FBT002
    pass


for _command in (
    cli_mixture.demo,
    cli_validate.validate,
    cli_amplify.amplify,
    cli_compare.compare,
    cli_mixture.fit,
    cli_mixture.gof,
    cli_mixture.coverage,
    cli_mixture.sample,
    cli_mixture.inspect,
):
    app.command()(_command)
