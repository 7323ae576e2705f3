"""The page: headings, tables and figures of plain text, as one HTML file without scripts."""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import jinja2
from matplotlib.figure import Figure

from verisimile.report.numbers import signed


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
    note
        What its columns mean, below it.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[str, ...] = ()
    words: frozenset[int] = frozenset()
    folded: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Illustration:
    """A figure with its words: file name, caption, and the text that stands for it.

    Small ones go three to a row, broad ones have a row of their own, folded ones are shown on
    demand.  A glance is a small form of a figure that the page has elsewhere, and has no file.
    """

    name: str
    caption: str
    alt: str
    figure: Figure
    small: bool = False
    broad: bool = False
    folded: bool = False
    glance: bool = False


@dataclass(frozen=True, slots=True)
class Banner:
    """What is concluded with one verdict: sentences, and how many more there are."""

    mark: str
    sentences: tuple[str, ...]
    more: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Lead:
    """A feature or region that matters most: how far off, which way, and its figure.

    Attributes
    ----------
    name
        Feature or region, with the unit.
    z
        Signed difference over its error; NaN where there is none.
    words
        Direction, size, and how likely by chance.
    picture
        Its figure; None only where nothing can be drawn.
    mark
        Verdict of the sample that it is about, or nothing.
    measure
        What is shown in the place of z, where there is none.
    """

    name: str
    z: float
    words: str
    picture: Illustration | None
    mark: str = ""
    measure: str = ""

    @property
    def shown(self) -> str:
        """Its z, or what is shown in its place."""
        if not math.isfinite(self.z):
            return self.measure
        return f"z = {signed(self.z)}"


class Question(StrEnum):
    """What a physicist asks of a generator, in this order on every page."""

    SAME = "Same distribution?"
    WHERE = "Where?"
    MEMORISED = "Memorised?"
    WORTH = "How many events is it worth?"
    VISIBLE = "Could we have seen it?"
    COVERED = "Do stated errors hold?"
    BETTER = "Which family is nearer to the truth?"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question has for an answer: in a word, and in a sentence."""

    question: Question
    subject: str
    word: str
    sentence: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Caution:
    """Warnings of one consequence."""

    heading: str
    texts: tuple[str, ...]
    folded: bool


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
    title, verdict
        Heading, overall verdict.
    banners
        One for each verdict, the worst fault first.
    leads
        The features or regions that matter most, the worst first.
    answers, unasked
        One row for each question; those that were not asked, with the commands that do.
    summaries
        The tables of tests.
    cautions
        Warnings, those of the worst consequence first.
    parts
        The rest, in order.
    command
        Shell command that makes the report again.
    written
        Date, time and version.
    """

    title: str
    verdict: str
    banners: tuple[Banner, ...]
    leads: tuple[Lead, ...]
    answers: tuple[Answer, ...]
    unasked: tuple[tuple[str, str], ...]
    summaries: tuple[Table, ...]
    cautions: tuple[Caution, ...]
    parts: tuple[Part, ...]
    command: str
    written: str

    @property
    def pictures(self) -> tuple[Illustration, ...]:
        """All illustrations in reading order, each once."""
        first = (lead.picture for lead in self.leads if lead.picture is not None)
        later = (picture for part in self.parts for picture in part.illustrations)
        return tuple({picture.name: picture for picture in (*first, *later)}.values())

    @property
    def headings(self) -> tuple[str, ...]:
        """Titles of the parts for the contents, without the name that all share."""
        titles = [part.title for part in self.parts]
        names = {title.rpartition(": ")[0] for title in titles} - {""}
        if len(names) != 1:
            return tuple(titles)
        short = [title.rpartition(": ")[2] for title in titles]
        return tuple(f"{title[:1].upper()}{title[1:]}" for title in short)

    @property
    def leading(self) -> frozenset[str]:
        """Names of the illustrations that come first, and are not shown again."""
        return frozenset(lead.picture.name for lead in self.leads if lead.picture is not None)


def render(page: Page, images: Mapping[str, bytes]) -> str:
    """Return the page as HTML, with the PNG of each illustration by its name."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("verisimile.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tied"] = tied
    encoded = {name: b64encode(png).decode("ascii") for name, png in images.items()}
    return environment.get_template("report.html.j2").render(page=page, images=encoded)


_RELATION = re.compile(r"(?:\b[pzZt] )?[=<>] (?=[\d\N{MINUS SIGN}+∞])|(?<=\d) (?=%)")


def tied(text: str) -> str:
    r"""Return `text` with relations such as ``p = 0.01`` that are not broken over lines.

    Examples
    --------
    >>> tied("Rejected: p = 0.01.").split(" ")
    ['Rejected:', 'p\xa0=\xa00.01.']
    """
    return _RELATION.sub(lambda found: found.group().replace(" ", "\N{NO-BREAK SPACE}"), text)


def slug(text: str) -> str:
    """Return `text` as a part of a file's name.

    Examples
    --------
    >>> slug("pT <ll>")
    'pt-ll'
    """
    # Cut, because file systems take no name of more than 255 bytes.
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-") or "x"
