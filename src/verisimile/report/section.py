"""Sections: what a report says of each kind of result, and how the kind is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from verisimile.report import sections as _folder
from verisimile.report.content import ReportInput
from verisimile.report.numbers import shown
from verisimile.report.page import Answer, Illustration, Lead, Part, Table
from verisimile.report.verdict import Finding, decision, measurement
from verisimile.stats.pvalues import PValue

R = TypeVar("R")
Columns: TypeAlias = Mapping[str, str | Callable[[Any], str]]


class Section(Generic[R]):
    """What a report says of all its results of some kinds.

    A subclass under ``@takes(Kind, ...)``, in a file of ``report/sections``, is all that a new
    kind needs: its `title`, `question`, `caption` and `columns`.  A result with a `p_value` is then
    tested, any other measured; `judge`, `tables` and `figures` say more.

    Attributes
    ----------
    kinds
        Classes of the results it takes; set by `takes`.
    title
        Heading of its part, and of a report in which it comes first; empty: no such report's.
    text
        What a reader must know to understand it.
    question
        What is asked of a result.
    caption, columns, first
        Of a table with one row for each result: what it shows, the headings with the fields that
        are under them (or functions of the result), and the heading of the names.
    order
        Its place among the sections, ascending.
    field
        Of a report's content, where its results are.
    results
        The results.
    content
        That of the report.
    level
        Of each test: the report's, divided by the number of results (Bonferroni).
    """

    kinds: ClassVar[tuple[type, ...]] = ()
    title: ClassVar[str] = ""
    text: ClassVar[str] = ""
    question: ClassVar[str] = ""
    caption: ClassVar[str] = ""
    columns: ClassVar[Columns] = {}
    first: ClassVar[str] = "Result"
    order: ClassVar[int] = 60
    field: ClassVar[str] = "results"

    def __init__(self, results: Sequence[R], content: ReportInput) -> None:
        self.results, self.content = results, content
        self.level = content.level / max(len(results), 1)

    def judge(self, name: str, result: R) -> Iterator[Finding]:
        """Yield what is concluded from one result; a measurement says the first column."""
        p = getattr(result, "p_value", None)
        if isinstance(p, PValue):
            yield decision(name, self.question, p, self.level)
        else:
            yield measurement(name, self.question, self.sentence(result))

    def sentence(self, result: R) -> str:
        """Return what was measured, in a sentence."""
        heading, column = next(iter(self.columns.items()))
        return f"{heading} {cell(result, column)}."

    def tables(self) -> Iterator[Table]:
        """Yield the tables of all results."""
        if self.columns:
            yield listing(self.caption, self.named, self.columns, first=self.first)

    def figures(self) -> Iterator[Illustration]:
        """Yield the figures of all results, whose names must be those of no other section."""
        yield from ()

    def name(self, result: R) -> str:  # noqa: ARG002
        """Return how the reader knows a result; where several have one name, they are counted."""
        return self.title

    @property
    def named(self) -> Iterator[tuple[str, R]]:
        """Each result with its name."""
        names = [self.name(result) for result in self.results]
        for place, (name, result) in enumerate(zip(names, self.results, strict=True), 1):
            several = names.count(name) > 1
            yield f"{name} {names[:place].count(name)}" if several else name, result

    def findings(self) -> Iterator[Finding]:
        """Yield all conclusions."""
        for name, result in self.named:
            yield from self.judge(name, result)

    def summaries(self) -> Iterator[Table]:
        """Yield the tables of conclusions; those of one caption are joined on the page."""
        yield verdict_table(
            tuple(self.findings()),
            f"Verdicts at a significance level of {self.content.level:g}, shared by the tests of a "
            "section (Bonferroni). What is measured neither passes nor fails.",
        )

    def leads(self) -> Iterator[Lead]:
        """Yield features or regions that may matter most; the page shows the worst three of all."""
        yield from ()

    def answers(self) -> Iterator[Answer]:
        """Yield what the results say to the questions of the first screen."""
        yield from ()

    def parts(self) -> Iterator[Part]:
        """Yield what follows the summary."""
        yield Part(self.title, self.text, tuple(self.figures()), tuple(self.tables()))

    def warnings(self) -> Iterator[str]:
        """Yield what a reader must know of the results."""
        for result in self.results:
            yield from getattr(result, "warnings", ())

    @classmethod
    def arranged(cls, results: Sequence[Any]) -> Sequence[R]:
        """Return results as the content holds them."""
        return results

    @classmethod
    def stored(cls, results: Sequence[object]) -> Mapping[str, object]:
        """Return the fields of a report's content that hold these results."""
        return {cls.field: tuple(cls.arranged(results))}

    @classmethod
    def of(cls, content: ReportInput) -> Sequence[R]:
        """Return its results in a report's content."""
        kinds: Any = cls.kinds
        return [result for result in getattr(content, cls.field) if isinstance(result, kinds)]


def verdict_table(found: Sequence[Finding], caption: str, *, first: str = "Result") -> Table:
    """Return one row per finding: what, question, verdict, words."""
    return Table(
        caption,
        columns=(first, "Question", "Verdict", "In words"),
        rows=tuple((f.sample, f.hypothesis, f.word, f.sentence) for f in found),
        marks=tuple(finding.mark for finding in found),
        words=frozenset({1, 2, 3}),
    )


def listing(
    caption: str, named: Iterable[tuple[str, object]], columns: Columns, *, first: str = "Result"
) -> Table:
    """Return a table with a row for each named result and a column for each field of it."""
    rows = [(name, [cell(result, column) for column in columns.values()]) for name, result in named]
    words = {k for _, cells in rows for k, text in enumerate(cells, 1) if text[:1].isalpha()}
    return Table(
        caption,
        (first, *columns),
        tuple((name, *cells) for name, cells in rows),
        words=frozenset(words),
    )


def cell(result: object, column: str | Callable[[Any], str]) -> str:
    """Return the text of a field, or of a function of a result."""
    return shown(getattr(result, column)) if isinstance(column, str) else column(result)


_KNOWN: list[type[Section[Any]]] = []
S = TypeVar("S", bound="type[Section[Any]]")


def takes(*kinds: type) -> Callable[[S], S]:
    """Return a decorator that makes a section known, as that of these kinds of results."""

    def decorator(section: S) -> S:
        section.kinds = kinds
        _KNOWN.append(section)
        return section

    return decorator


def known_sections() -> list[type[Section[Any]]]:
    """Return all sections in the order of a page, those of ``report/sections`` loaded first."""
    for module in iter_modules(_folder.__path__, f"{_folder.__name__}."):
        import_module(module.name)
    return sorted(_KNOWN, key=lambda section: (section.order, section.title))


def sections_of(content: ReportInput) -> list[Section[Any]]:
    """Return the sections of a report, in order: those that have results in it."""
    known = [(section, section.of(content)) for section in known_sections()]
    return [section(results, content) for section, results in known if results]
