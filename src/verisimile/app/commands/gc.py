"""``verisimile gc``: removes from a run folder what no later work can use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.commands.inspect import AnyRunFolder, megabytes, opened
from verisimile.app.terminal import ExitCode

if TYPE_CHECKING:
    from verisimile.core.housekeeping import Removal

_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class GcCommand:
    """Remove from RUN what no later work can use; valid records stay.

    Removed are temporary files and leases of processes that have ended,
    damaged records, checkpoints of finished work, inputs that tasks shared,
    and entries of segments that later ones supersede. Refused (exit code 2)
    while another process works in the folder.
    """

    home: AnyRunFolder
    unfinished: Annotated[
        bool,
        typer.Option(
            "--unfinished", help="Also checkpoints from which a stopped training would go on."
        ),
    ] = False
    as_json: options.Json = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, and change nothing.")
    ] = False

    def execute(self) -> ExitCode:
        """Remove it, and say how much it was."""
        from verisimile.core.housekeeping import clean

        store, _ = opened(self.home)
        removals = clean(store, unfinished=self.unfinished, dry_run=self.dry_run)
        if self.as_json:
            terminal.print_json(
                "verisimile.gc/1",
                {
                    "folder": str(self.home),
                    "dry_run": self.dry_run,
                    "removed": [
                        {"kind": each.kind, "names": list(each.names), "bytes": each.bytes}
                        for each in removals
                    ],
                    "bytes": sum(each.bytes for each in removals),
                },
            )
            return ExitCode.COMPATIBLE
        verb = "Would remove" if self.dry_run else "Removed"
        if not removals:
            terminal.print_lines("Nothing to remove.")
            return ExitCode.COMPATIBLE
        terminal.print_lines(*(f"{verb} {_told(each)}." for each in removals))
        total = sum(each.bytes for each in removals)
        terminal.print_lines(
            f"{megabytes(total)} {'would become' if self.dry_run else 'are'} free."
        )
        return ExitCode.COMPATIBLE


def _told(removal: Removal) -> str:
    more = len(removal.names) - _NAMED
    names = ", ".join(removal.names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{removal.kind}, {len(removal.names)} ({megabytes(removal.bytes)}): {names}"
