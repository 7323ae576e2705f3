"""The table of the gauntlet: a page for people, JSON for machines, and whether all is well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gauntlet.registry import Cell
from gauntlet.runner import ALL, Found
from gauntlet.verdicts import Count, Judged, Tally, judged, threshold
from verisimile.core.canonical import JSON

BEGIN, END = "<!-- gauntlet: begin -->", "<!-- gauntlet: end -->"

_COLUMNS = 6  # subjects of one table: more are hard to read


@dataclass(frozen=True)
class Report:
    """All verdicts.

    Attributes
    ----------
    rows
        One for each subject in each cell.
    limit
        The p-value below which a number is outside.
    seconds
        Processor time of all pseudo-experiments.
    older
        Cells whose pseudo-experiments were made by earlier code.
    """

    rows: tuple[Judged, ...]
    limit: float
    seconds: float
    older: int = 0

    @property
    def genuine(self) -> tuple[Judged, ...]:
        """Those that are right if the package is."""
        return tuple(row for row in self.rows if not row.defective)

    def faults(self, *, twins: bool = True) -> list[str]:
        """Return what must not be: cells outside, hidden refusals, errors, and twins not found."""
        found = [
            f"{row.state}: {row.subject} ({row.cell.setting.label}): {_numbers(row)}"
            for row in self.genuine
            if row.state in ("outside", "hidden", "broken")
        ]
        missed = self.missed() if twins else []
        return found + [f"no cell finds the defective twin of {name}" for name in missed]

    def missed(self) -> list[str]:
        """Return the subjects whose defective twin no cell finds, and such twins."""
        outside = {row.subject for row in self.rows if row.defective and row.state == "outside"}
        names: dict[str, bool] = {}
        for row in self.rows:
            if row.subject == ALL or (not row.tally.counts() and row.subject not in names):
                continue  # nothing was claimed
            if row.defective:
                found = row.state == "outside"
            else:
                twins = any(name.startswith(f"{row.subject}, ") for name in outside)
                found = row.twin_found or twins
            names[row.subject] = names.get(row.subject, False) or found
        return [name for name, found in names.items() if not found]

    def to_dict(self) -> dict[str, JSON]:
        """Return every number as JSON."""
        return {
            "limit": self.limit,
            "seconds": self.seconds,
            "faults": list(self.faults()),
            "rows": [_row_dict(row) for row in self.rows],
        }

    def to_markdown(self) -> str:
        """Return the tables of the page."""
        parts = [self._head(), self._summary(), self._twins()]
        for title, rows in _grouped(self.genuine).items():
            parts += [f"### {title}", *_matrices(rows)]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _head(self) -> str:
        states = [row.state for row in self.genuine]
        words = (
            ("inside", "inside"),
            ("outside", "**outside**"),
            ("refused", "refused with a reason"),
            ("hidden", "**refused in an ordinary case**"),
            ("broken", "**broken**"),
        )
        counts = [f"{states.count(state)} {text}" for state, text in words if state in states]
        cells = len({(row.cell.bench.name, row.cell.setting.label) for row in self.genuine})
        return (
            f"{len(states)} subjects in {cells} cells: {', '.join(counts)}.  A number is outside "
            f"below p = {self.limit:.2g}.  {self.seconds / 60:.0f} minutes of one core."
            + (f"  {self.older} cells were made before the last changes." if self.older else "")
        )

    def _summary(self) -> str:
        rows = [_summary_row(name, rows) for name, rows in _by_subject(self.genuine).items()]
        head = ("subject", "inside", "refused", "outside", "worst at 5 %", "worst at 32 %", "twin")
        return "### Subjects\n\n" + _table(head, rows)

    def _twins(self) -> str:
        wrong = [row for row in self.rows if row.defective]
        rows = []
        for name, group in _by_subject(wrong).items():
            found = sum(row.state == "outside" for row in group)
            rows.append(
                (name, group[0].cell.bench.defect, f"{found} of {len(group)}", *_worst(group))
            )
        if not rows:
            return ""
        head = ("defective twin", "what is wrong", "found in", "worst at 5 %", "worst at 32 %")
        return "### Defective twins\n\n" + _table(head, rows)


def report(cells: Sequence[Cell], found: Sequence[Found], *, older: int = 0) -> Report:
    """Return the verdicts on what all cells gave."""
    pairs = list(zip(cells, found, strict=True))
    tallies = [
        tally for cell, each in pairs if not cell.bench.defect for tally in each.tallies.values()
    ]
    limit = threshold(tallies)
    subjects: dict[str, dict[str, None]] = {}
    for cell, each in pairs:
        names = (name for name in each.tallies if name != ALL)
        subjects.setdefault(cell.bench.name, {}).update(dict.fromkeys(names))
    rows: list[Judged] = []
    for cell, each in pairs:
        for subject, tally in _spread(each.tallies, subjects[cell.bench.name]).items():
            rows.append(judged(cell, subject, tally, limit, each.seconds))
        if each.broken:
            tally = Tally(sum(each.broken.values()), reasons=each.broken)
            rows.append(Judged(cell, ALL, tally, "broken", twin_found=False, seconds=each.seconds))
    return Report(tuple(rows), limit, sum(each.seconds for each in found), older)


def _spread(tallies: Mapping[str, Tally], subjects: Iterable[str]) -> Mapping[str, Tally]:
    """Return tallies of subjects: a cell that refused everything refused each of the bench's."""
    if set(tallies) != {ALL}:
        return tallies
    return dict.fromkeys(subjects, tallies[ALL]) or tallies


def put_into(path: Path, text: str) -> None:
    """Replace what stands between the markers of a page."""
    page = path.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or END not in rest:
        raise ValueError(f"{path} has no markers {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def _row_dict(row: Judged) -> dict[str, JSON]:
    return {
        "bench": row.cell.bench.name,
        "setting": row.cell.setting.label,
        "ordinary": row.cell.setting.ordinary,
        "subject": row.subject,
        "defect": row.cell.bench.defect,
        "state": row.state,
        "experiments": row.tally.experiments,
        "refused": row.tally.refused,
        "reasons": dict(row.tally.reasons or {}),
        "levels": [_count_dict(count) for count in row.tally.counts()],
        "twin": [_count_dict(count) for count in row.tally.counts(twin=True)],
        "twin_found": row.twin_found,
        "seconds": row.seconds,
    }


def _count_dict(count: Count) -> dict[str, JSON]:
    return {
        "level": count.level,
        "misses": count.misses,
        "claims": count.claims,
        "rate": count.rate,
        "interval": list(count.interval),
        "p": count.p,
    }


def _by_subject(rows: Iterable[Judged]) -> Mapping[str, list[Judged]]:
    found: dict[str, list[Judged]] = {}
    for row in rows:
        found.setdefault(row.subject, []).append(row)
    return found


def _grouped(rows: Iterable[Judged]) -> Mapping[str, list[Judged]]:
    found: dict[str, list[Judged]] = {}
    for row in rows:
        found.setdefault(row.cell.bench.title, []).append(row)
    return found


def _summary_row(name: str, rows: Sequence[Judged]) -> tuple[str, ...]:
    states = [row.state for row in rows]
    refused = states.count("refused")
    hidden, broken = states.count("hidden"), states.count("broken")
    unwanted = [f"{hidden} hidden"] * bool(hidden) + [f"{broken} broken"] * bool(broken)
    outside = states.count("outside")
    twins = sum(row.twin_found for row in rows)
    return (
        name,
        str(states.count("inside")),
        ", ".join([str(refused), *(f"**{word}**" for word in unwanted)]),
        f"**{outside}**" if outside else "0",
        *_worst(rows),
        f"{twins}",
    )


def _worst(rows: Sequence[Judged]) -> tuple[str, str]:
    """Return the numbers farthest above 5 and 32 %, with interval and place."""
    texts = []
    for level in (0.05, 0.32):
        found = [
            (count.p, count, row)
            for row in rows
            for count in row.tally.counts()
            if count.level == level
        ]
        if not found:
            texts.append("–")
            continue
        _, count, row = min(found, key=lambda each: each[0])
        low, high = count.interval
        texts.append(
            f"{100 * count.rate:.1f} [{100 * low:.1f}, {100 * high:.1f}] {row.cell.setting.label}"
        )
    return texts[0], texts[1]


def _matrices(rows: Sequence[Judged]) -> list[str]:
    subjects = list(_by_subject(row for row in rows if row.subject != ALL)) or [ALL]
    reasons: dict[str, str] = {}
    cells: dict[str, dict[str, Judged]] = {}
    for row in rows:
        cells.setdefault(row.cell.setting.label, {})[row.subject] = row
    parts = []
    for start in range(0, len(subjects), _COLUMNS):
        shown = subjects[start : start + _COLUMNS]
        lines = [
            (label, *(_entry(found, name, reasons) for name in shown), *_size(found, start))
            for label, found in cells.items()
        ]
        last = ("experiments", "seconds") if start == 0 else ()
        parts.append(_table(("setting", *shown, *last), lines))
    if reasons:
        parts.append("  \n".join(f"[{mark}] {_clean(reason)}" for reason, mark in reasons.items()))
    return parts


def _entry(found: Mapping[str, Judged], name: str, reasons: dict[str, str]) -> str:
    row = found.get(name) or found.get(ALL)
    if row is None:
        return ""
    mark = ""
    if row.reason and row.state != "inside":
        mark = f" [{reasons.setdefault(row.reason, str(len(reasons) + 1))}]"
    numbers = _numbers(row)
    if row.state == "inside":
        return numbers
    if row.state == "refused":
        return f"refused{mark}"
    return f"**{numbers if row.state == 'outside' else row.state}**{mark}"


def _numbers(row: Judged) -> str:
    by_level = {count.level: count for count in row.tally.counts()}
    texts = [
        f"{100 * by_level[level].rate:.{digits}f}" if level in by_level else "–"
        for level, digits in ((0.05, 1), (0.32, 0))
    ]
    return " / ".join(texts) if by_level else row.reason


def _size(found: Mapping[str, Judged], start: int) -> tuple[str, ...]:
    if start:
        return ()
    most = max(found.values(), key=lambda row: row.tally.experiments)
    return str(most.tally.experiments), f"{most.seconds:.3g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_clean(word) for word in line)} |" for line in lines)


def _clean(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
