"""Two reports side by side: verdicts, what went in, numbers that changed, figures in pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from verisimile.report.difference import (
    NOTHING,
    Change,
    ReportComparison,
    joined,
    number_changes,
    origin_changes,
    paired,
    paired_parts,
    stored_numbers,
)
from verisimile.report.document import Document
from verisimile.report.numbers import count, plain_number
from verisimile.report.page import Illustration, Part, Table
from verisimile.report.section import Section, takes
from verisimile.report.verdict import OUTCOMES, Finding, Verdict

_OPEN = 40  # rows of changed numbers, beyond which a table is folded


@takes(ReportComparison)
class ReportComparisons(Section[ReportComparison]):
    """Two reports; the second's verdict is that of the page."""

    title = "Two reports"
    order = 80

    def judge(self, name: str, result: ReportComparison) -> Iterator[Finding]:  # noqa: ARG002
        """Yield the verdict of the first report, and that of the second, which counts."""
        first, second = result.names
        before, now = Verdict(result.first.verdict), Verdict(result.second.verdict)
        question = "verdict of the report"
        said, since = (one.line.rstrip(".") for one in (result.first, result.second))
        yield Finding(first, question, before, f"{said}.", decisive=False, headline=False)
        yield Finding(
            second,
            question,
            now,
            f"{since}; {first} was {before.value}.",
            outcome=f"{OUTCOMES[now]}; {first} was {before.value}",
        )

    def parts(self) -> Iterator[Part]:
        """Yield what changed, then the figures of both."""
        for place, result in enumerate(self.results, 1):
            pairs = paired_parts(result)
            numbers = list(number_changes(pairs))
            tables = [overview_table(result, numbers), verdicts_table(result)]
            if notes := warnings_table(result):
                tables.append(notes)
            tables += change_tables(result, [*origin_changes(result), *numbers])
            yield Part(
                "What changed",
                "Numbers are compared as the tables of the pages show them, rounded.",
                tables=tuple(tables),
            )
            for number, (one, other) in enumerate(pairs, 1):
                if pictures := picture_pairs(result, one, other, f"{place}-{number}"):
                    titles = (NOTHING if part is None else part.title for part in (one, other))
                    yield Part(f"{joined(*titles)}: figures", "", tuple(pictures))


def overview_table(result: ReportComparison, numbers: Sequence[Change]) -> Table:
    """Return what two reports are, row by row, and whether it is the same."""
    stored = stored_numbers(result)
    far = f" (finite ones by up to {plain_number(stored.largest, digits=2)} of the larger)"
    first, second = _about(result.first), _about(result.second)
    rows = [
        (what, value, second[what], "same" if value == second[what] else "changed")
        for what, value in first.items()
    ]
    return Table(
        f"{count(len(numbers))} cells of tables read differently. In result.json "
        f"{count(stored.different)} of {count(stored.compared)} numbers that both have are not "
        f"the same{far if stored.different else ''}; {count(stored.unpaired)} are in one of them "
        "only. Wall-clock times are left out.",
        ("What", *result.names, "Same"),
        tuple(rows),
        words=frozenset({1, 2, 3}),
    )


def _about(report: Document) -> dict[str, str]:
    content, environment = report.content, report.environment
    versions = environment.versions
    return {
        "Verdict": report.verdict,
        "Level": f"{content.level:g}",
        "Title": content.title,
        "Samples": ", ".join(f"{one.role} {one.digest[:12]}" for one in content.inputs) or NOTHING,
        "Events": ", ".join(f"{one.role} {count(one.n)}" for one in content.inputs) or NOTHING,
        "Random streams": environment.seeds,
        "verisimile": versions.get("verisimile", NOTHING),
        "Python": environment.python,
        "Warnings": count(len(report.warnings)),
        "Written": environment.written,
        "Command": content.command or NOTHING,
    }


def verdicts_table(result: ReportComparison) -> Table:
    """Return every conclusion of both reports."""
    pairs = paired(
        result.first.conclusions, result.second.conclusions, lambda c: (c.sample, c.hypothesis)
    )
    rows = []
    for one, other in pairs:
        names = [
            ("", "") if each is None else (each.sample, each.hypothesis) for each in (one, other)
        ]
        a, b = (NOTHING if each is None else each.verdict for each in (one, other))
        said = (NOTHING if each is None else each.sentence for each in (one, other))
        sample, question = (joined(*pair) for pair in zip(*names, strict=True))
        rows.append((sample, question, a if a == b else f"{a} → {b}", *said))
    return Table(
        "Verdicts of both reports.",
        ("Result", "Question", "Verdict", *result.names),
        tuple(rows),
        words=frozenset({1, 2, 3, 4}),
    )


def warnings_table(result: ReportComparison) -> Table | None:
    """Return the warnings that one of the reports has and the other has not."""
    first, second = result.first.warnings, result.second.warnings
    rows = [
        (name, note)
        for name, mine, other in zip(result.names, (first, second), (second, first), strict=True)
        for note in mine
        if note not in other
    ]
    if not rows:
        return None
    return Table(
        "Warnings of one report alone.", ("Report", "Warning"), tuple(rows), words=frozenset({1})
    )


def change_tables(result: ReportComparison, changes: Sequence[Change]) -> Iterator[Table]:
    """Yield a table for each part that has changes."""
    for part, group in groupby(changes, key=lambda change: change.part):
        rows = tuple((each.row, each.column, each.first, each.second) for each in group)
        yield Table(
            f"{part}: {count(len(rows))} {'cell' if len(rows) == 1 else 'cells'}.",
            ("Row", "Column", *result.names),
            rows,
            words=frozenset({1, 2, 3}),
            folded=len(rows) > _OPEN,
        )


def picture_pairs(
    result: ReportComparison, first: Part | None, second: Part | None, place: str
) -> list[Illustration]:
    """Return the figures of two parts in pairs, each under its report's name."""
    pairs = paired(
        () if first is None else first.illustrations,
        () if second is None else second.illustrations,
        lambda picture: picture.name,
    )
    return [
        replace(
            picture,
            name=f"{which}-{place}-{picture.name}",
            caption=f"{name}: {picture.caption}",
            alt=f"{name}: {picture.alt}",
            small=False,
        )
        for pair in pairs
        for which, name, picture in zip(("first", "second"), result.names, pair, strict=True)
        if picture is not None
    ]
