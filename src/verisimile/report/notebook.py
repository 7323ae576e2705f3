"""What a notebook shows of a result: its numbers, and the first rows of its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from verisimile.core.frames import Row, rows, scalars
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
    """Return a result as HTML: numbers of all of it, then its table without what is repeated."""
    own = scalars(result)
    table = rows(result) if getattr(type(result), "listed", ()) else []
    parts = [f"<p><b>{escape(type(result).__name__)}</b></p>", _list(own)]
    if table:
        names = list(dict.fromkeys(name for row in table for name in row))
        kept = [name for name in names if any(row.get(name) not in (None, "") for row in table)]
        parts.append(_table(table[:_MOST], kept))
        if len(table) > _MOST:
            parts.append(f"<p>{len(table) - _MOST} more rows: <code>.to_frame()</code></p>")
    return f'<div class="verisimile-result">{"".join(parts)}</div>'


def _list(own: Row) -> str:
    if not own:
        return ""
    cells = "".join(
        f'<tr><th scope="row" style="text-align: left">{escape(name)}</th>'
        f'<td style="{_NUMBERS}">{_text(cell)}</td></tr>'
        for name, cell in own.items()
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
    if isinstance(cell, Significance):
        return escape(z_bound(cell))
    if isinstance(cell, PValue):
        said = shown(cell) if cell.n_null else p_value(cell)
        return escape(f"{said}, {z_words(cell)}")
    if hasattr(cell, "item"):
        cell = cell.item()
    text = shown(cell)
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\N{HORIZONTAL ELLIPSIS}")
