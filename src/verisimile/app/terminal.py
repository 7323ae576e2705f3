"""What commands print: text for people or one JSON object, and the times of stages."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import typer

from verisimile.core.canonical import JSON, plain
from verisimile.report.content import Stage, Timings


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


class Clock:
    """Notes how long each stage took; a stage that comes again is added up."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block under the given name."""
        start = time.perf_counter()
        try:
            yield
        finally:
            passed = time.perf_counter() - start
            self._seconds[name] = self._seconds.get(name, 0.0) + passed

    @property
    def timings(self) -> Timings:
        """The times so far, in the order in which the stages first ran."""
        return Timings(tuple(Stage(name, seconds) for name, seconds in self._seconds.items()))
