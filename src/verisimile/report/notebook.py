"""What a notebook shows of a result: its numbers, and the first rows of its table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from verisimile.core.frames import Row, rows, scalars
from verisimile.core.result import Estimate
from verisimile.report.numbers import p_value, shown, z_bound, z_words
from verisimile.stats.pvalues import PValue, Significance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 20  # rows of a table
_LONGEST = 60  # characters of a cell
_NUMBERS = "font-variant-numeric: tabular-nums; text-align: right"
_NONE = "\N{EN DASH}"


def draw(result: object, *, ax: Axes | None = None) -> Axes:
    """Draw a result of any kind: see `verisimile.report.figures`."""
    from verisimile.report import figures  # noqa: PLC0415  (loads matplotlib)

    return figures.draw(result, ax=ax)


def html(result: object) -> str:
    """Return a result as HTML: its own numbers, its table, and folded what else it says."""
    own = scalars(result, deep=False)
    more = {name: cell for name, cell in scalars(result).items() if name not in own}
    parts = [f"<p><b>{escape(type(result).__name__)}</b></p>", _list(own)]
    if getattr(type(result), "listed", ()):
        parts.append(_rows(rows(result, deep=False)))
    if more:
        parts.append(f"<details><summary>{len(more)} more numbers</summary>{_list(more)}</details>")
    return f'<div class="verisimile-result">{"".join(parts)}</div>'


def _rows(table: Sequence[Row]) -> str:
    names = list(dict.fromkeys(name for row in table for name in row))
    kept = [name for name in names if any(row.get(name) not in (None, "") for row in table)]
    left = len(table) - _MOST
    note = f"<p>{left} more rows: <code>.to_frame()</code></p>" if left > 0 else ""
    return _table(table[:_MOST], kept) + note


def _list(own: Row) -> str:
    if not own:
        return ""
    cells = "".join(
        f'<tr><th scope="row" style="text-align: left">{escape(name)}</th>'
        f'<td style="{_NUMBERS}">{_text(cell)}</td></tr>'
        for name, cell in own.items()
        if cell not in (None, "")
    )
    return f"<table>{cells}</table>"


def _table(table: Sequence[Mapping[str, object]], names: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{_NUMBERS}">{_text(row.get(name))}</td>' for name in names)
        + "</tr>"
        for row in table
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(cell: object) -> str:
    """Return a cell; a p-value with its significance, which at the floor is a bound."""
    if cell is None:
        return _NONE
    if isinstance(cell, Estimate) and math.isnan(cell.error):
        cell = cell.value  # a number whose error nobody knows
    if isinstance(cell, Significance):
        return escape(z_bound(cell))
    if isinstance(cell, PValue):
        said = shown(cell) if cell.n_null else p_value(cell)
        return escape(f"{said}, {z_words(cell)}")
    if hasattr(cell, "item"):
        cell = cell.item()
    text = shown(cell)
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\N{HORIZONTAL ELLIPSIS}")
