"""What a study consists of, and how its numbers are written.

A module of this package with an attribute ``STUDY`` is a study.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal

from matplotlib.figure import Figure

import verisimile as vs

Json = dict[str, Any]
Size = Literal["reduced", "full"]
SIZES: tuple[Size, ...] = ("reduced", "full")


@dataclass(frozen=True)
class Study:
    """A published experiment, done again.

    Attributes
    ----------
    name
        Of the module, the JSON file and the page; words with hyphens.
    letter
        Place in the table of studies.
    title, question, source
        The page's head, what it answers in one line, and where it was published.
    measure
        Returns the numbers: JSON without NaN, from a run (random streams, workers, a store from
        which an interrupted study goes on) and a size.
    words
        Returns the page's Markdown below the head.  Every number of ours in it comes from the
        argument; numbers of the publication are constants of the module.
    figures
        Painters of the page's figures by name, from the same numbers.
    takeaway
        Returns the one sentence that the table of studies shows.
    """

    name: str
    letter: str
    title: str
    question: str
    source: str
    measure: Callable[[vs.Run, Size], Json]
    words: Callable[[Json], str]
    takeaway: Callable[[Json], str]
    figures: Mapping[str, Callable[[Json, Figure], None]] = field(default_factory=dict)


def studies() -> dict[str, Study]:
    """Return all studies by name, in the order of their letters."""
    package = import_module("published")
    modules = [import_module(f"published.{each.name}") for each in iter_modules(package.__path__)]
    found = [module.STUDY for module in modules if hasattr(module, "STUDY")]
    return {each.name: each for each in sorted(found, key=lambda each: (each.letter, each.name))}


@dataclass(frozen=True)
class Compared:
    """A published number beside ours.

    Attributes
    ----------
    quantity
        What is compared.
    published
        The number as it was published, with its place.
    here
        Ours, with its interval.
    why
        Why they differ, in a sentence that a reader can check; "agrees" if they do not.
    """

    quantity: str
    published: str
    here: str
    why: str


def comparison(rows: Iterable[Compared]) -> str:
    """Return the table of published numbers beside ours."""
    return table(
        ("", "published", "here", "why they differ"),
        [(row.quantity, row.published, row.here, row.why) for row in rows],
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shown(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, small and large ones by powers of ten."""
    if value != 0.0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}·10<sup>{int(power)}</sup>"
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


def between(low: float, high: float, digits: int = 3) -> str:
    """Return an interval."""
    return f"{shown(low, digits)} to {shown(high, digits)}"


def percent(share: float, decimals: int = 1) -> str:
    """Return a share in per cent."""
    return f"{100.0 * share:.{decimals}f} %"
