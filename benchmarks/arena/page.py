"""``docs/arena.md`` and its figure, from the kept table: no number of it is typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from verisimile.core.result import load
from verisimile.ranking.own import own_metrics
from verisimile.ranking.result import Arena, ArenaCosts, Found, Standing
from verisimile.report import style
from verisimile.report.drawing import figure_of
from verisimile.report.sections.arena import in_percent, plot_arena, size_words

_TEMPLATE = Path(__file__).with_name("page.txt")


def write_page(results: Path, docs: Path) -> None:
    """Write the page and its figure."""
    table, costs = load(results / "arena.json"), load(results / "arena_costs.json")
    assert isinstance(table, Arena)
    assert isinstance(costs, ArenaCosts)
    figure = figure_of(plot_arena, table)
    (docs / "figures" / "arena.png").write_bytes(style.to_png(figure))
    (docs / "arena.md").write_text(page(table, costs), encoding="utf-8")


def page(table: Arena, costs: ArenaCosts) -> str:
    """Return the Markdown of the table."""
    text = _TEMPLATE.read_text(encoding="utf-8")
    parts = {
        "what": _what_came_out(table),
        "ranking": _ranking(table),
        "defects": _by_defect(table),
        "asked": _asked(table),
        "cost": _cost(table, costs),
        "again": _again(table),
    }
    for name, part in parts.items():
        text = text.replace(f"@{name}@\n", f"{part}\n")
    return text


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _what_came_out(table: Arena) -> str:
    """Return who holds its size, and who sees what."""
    judged = [one for one in table.standings if one.size is not None]
    wrong = [one for one in judged if not one.held]
    careful = [one for one in judged if any("conservative" in mark for mark in one.marks)]
    order = [one for one in table.standings if one.order]
    level = f"{100 * table.level:g} %"
    sizes = ", ".join(f"*{one.metric}* ({in_percent(one.size or Found.of(0, 0))})" for one in wrong)
    lines = [
        f"{len(judged)} of {len(table.standings)} metrics give p-values; "
        + (
            f"{len(wrong)} do not hold {level}: {sizes}." if wrong else f"all of them hold {level}."
        ),
    ]
    if careful:
        said = ", ".join(
            f"*{one.metric}* ({in_percent(one.size or Found.of(0, 0))})" for one in careful
        )
        lines.append(f"Far below it, and so less powerful than they could be: {said}.")
    if order:
        said = ", ".join(f"*{one.metric}*" for one in order)
        lines.append(f"Looking at the order of rows: {said}.")
    rows = []
    for defect, unit in zip(table.defects, table.units, strict=True):
        ranked = sorted(
            (one for one in table.standings if one.honest), key=lambda one: -_share(one, defect)
        )
        best = ranked[0]
        floor = best.found(defect).low
        near = [one for one in ranked[1:] if one.found(defect).high >= floor]
        shown = ", ".join(f"{one.metric} ({100 * _share(one, defect):.0f} %)" for one in near[:3])
        more = f" and {len(near) - 3} more" if len(near) > 3 else ""
        least = best.smallest(defect)
        found = "not in more than half" if least is None else f"{least:g} {unit}"
        rows.append(
            (
                defect,
                f"{best.metric}: {in_percent(best.found(defect))}",
                f"{shown}{more}" if near else "none",
                found,
            )
        )
    head = (
        "defect",
        "sees it best",
        "within its interval",
        f"smallest found by the best, n = {table.sizes[-1]}",
    )
    return (
        "## Who holds its size, who sees what\n\n" + "  ".join(lines) + "\n\n" + _table(head, rows)
    )


def _share(one: Standing, defect: str) -> float:
    return one.found(defect).share


def _ranking(table: Arena) -> str:
    head = ("", "metric", "gives", "size", "power", *(f"n = {n}" for n in table.sizes), "marks")
    rows = [
        (
            str(place),
            one.metric,
            one.returns,
            size_words(one),
            in_percent(one.power),
            *(_at(one, n) for n in table.sizes),
            "; ".join(one.marks) or "–",
        )
        for place, one in enumerate(table.standings, 1)
    ]
    return (
        "![Power of every metric for every defect](figures/arena.png)\n\n"
        "Power in per cent over all strengths and sizes.  A star: the size is not held, or the "
        "order of rows is looked at.\n\n"
        "## Ranking\n\nBy power over all defects, strengths and sizes; what is not honest comes "
        "last.\n\n" + _table(head, rows)
    )


def _at(one: Standing, n: int) -> str:
    return f"{100 * one.found(n=n).share:.0f} %" if n in one.sizes else "not asked"


def _by_defect(table: Arena) -> str:
    rows = [
        (one.metric, *(_seen(one, defect) for defect in table.defects)) for one in table.standings
    ]
    return (
        "## By defect\n\nPower over all strengths and sizes, and in brackets the smallest strength "
        f"that is found in more than half of pairs of n = {table.sizes[-1]}, with 97.5 % "
        "confidence.\n\n" + _table(("metric", *table.defects), rows)
    )


def _seen(one: Standing, defect: str) -> str:
    least = one.smallest(defect)
    return f"{100 * _share(one, defect):.0f} ({'–' if least is None else f'{least:g}'})"


def _asked(table: Arena) -> str:
    first = table.standings[0]
    laws = _table(("law", "what it is"), zip(table.laws, table.abouts, strict=True))
    rows = [
        (name, ", ".join(f"{each:g}" for each in strengths), unit, str(first.pairs[d][0][0]))
        for d, (name, strengths, unit) in enumerate(
            zip(table.defects, table.strengths, table.units, strict=True)
        )
    ]
    sizes = ", ".join(map(str, table.sizes))
    return (
        f"## What was asked\n\nSamples of {sizes} events each; {table.null_pairs} null pairs of "
        f"each law and size.\n\n{laws}\n"
        + _table(("defect", "strengths", "unit", "pairs of a strength and size"), rows)
    )


def _cost(table: Arena, costs: ArenaCosts) -> str:
    spent = dict(zip(costs.metrics, costs.seconds, strict=True))
    rows = [
        (
            one.metric,
            one.by,
            *(
                f"{1e3 * costs.per_answer[one.metric][str(n)]:.1f}" if n in one.sizes else "–"
                for n in table.sizes
            ),
            f"{spent[one.metric]:.0f}",
        )
        for one in table.standings
    ]
    head = ("metric", "of", *(f"n = {n}, ms" for n in table.sizes), "all answers, s")
    return (
        "## What it costs\n\nCPU time of one thread: medians of one answer, and all of them; kept "
        "beside the table, as it differs from run to run.  "
        f"{costs.total / 60.0:.0f} minutes in all.\n\n" + _table(head, rows)
    )


def _missing(table: Arena) -> str:
    """Return which measures of ours the kept table does not have."""
    there = {one.metric for one in table.standings}
    names = ", ".join(f"*{name}*" for name in own_metrics() if name not in there)
    return names and f"Of our own, the kept table does not have {names} yet.  "


def _again(table: Arena) -> str:
    return (
        "## Again\n\n```console\nmake arena            # goes on where it stopped\n```\n\n"
        f"Public seed {table.seed}, suite `{table.suite[:16]}`; the table is "
        "`benchmarks/results/arena.json`, and two runs give the same bytes, serial or in "
        "parallel.  "
        f"{_missing(table)}"
        "Other packages enter by `benchmarks/arena/peers.py`, if they are installed; kernel-nplm "
        "is on no index, and PyPI's NPLM imports tensorflow.\n"
    )
