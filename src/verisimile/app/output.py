"""What commands print: text for people, or one JSON object for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import typer

from verisimile.core.canonical import JSON, plain

__all__ = ["print_json", "print_lines", "print_table"]


def print_json(schema: str, values: Mapping[str, JSON]) -> None:
    """Print one strict JSON object, its schema first."""
    typer.echo(json.dumps(plain({"schema": schema, **values}), indent=1, allow_nan=False))


def print_lines(*lines: str) -> None:
    """Print text for people."""
    for line in lines:
        typer.echo(line)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns."""
    cells = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(row[j]) for row in cells) for j in range(len(columns))]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())
