"""The page: headings, tables and figures of plain text, as one HTML file without scripts."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

import jinja2
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
class Part:
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
    parts
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
    parts: tuple[Part, ...]
    command: str
    written: str

    @property
    def pictures(self) -> tuple[Illustration, ...]:
        """All illustrations in reading order."""
        return tuple(picture for part in self.parts for picture in part.illustrations)


def render(page: Page, images: Mapping[str, bytes]) -> str:
    """Return the page as HTML, with the PNG of each illustration by its name."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("verisimile.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    encoded = {name: b64encode(png).decode("ascii") for name, png in images.items()}
    return environment.get_template("report.html.j2").render(page=page, images=encoded)


def slug(text: str) -> str:
    """Return `text` as a part of a file's name.

    Examples
    --------
    >>> slug("pT <ll>")
    'pt-ll'
    """
    # Cut, because file systems take no name of more than 255 bytes.
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-") or "x"
