"""Headings, tables and figures of plain text: all that the page's template knows of."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text; the first column names the rows.

    Attributes
    ----------
    caption
        What it shows.
    columns
        Headings.
    rows
        Cells as shown.
    marks
        A verdict per row (``aside`` for rows that stand for comparison), or nothing.
    words
        Columns that hold words and not numbers (the first always does).
    folded
        Whether it is shown on demand only.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[str, ...] = ()
    words: frozenset[int] = frozenset()
    folded: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Illustration:
    """A figure with its words: file name, caption, and the text that stands for it.

    Small ones go three to a row, broad ones have a row of their own.
    """

    name: str
    caption: str
    alt: str
    figure: Figure
    small: bool = False
    broad: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """A part of the page under one heading."""

    title: str
    text: str = ""
    illustrations: tuple[Illustration, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """The whole page.

    Attributes
    ----------
    title, verdict, line
        Heading, overall verdict, and the same in a line.
    summaries
        The tables that come first.
    warnings
        What a reader must know.
    sections
        The rest, in order.
    command
        Shell command that makes the report again.
    written
        Date, time and version.
    """

    title: str
    verdict: str
    line: str
    summaries: tuple[Table, ...]
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]
    command: str
    written: str
