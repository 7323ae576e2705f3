"""Tables of the studies of honest errors, put into their page between marks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "honest-bands.md"


def write_table(name: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->`` by a table."""
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    text = PAGE.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    found = re.subn(
        f"{re.escape(start)}.*?{re.escape(end)}", f"{start}\n{table}\n{end}", text, flags=re.DOTALL
    )
    if found[1] != 1:
        raise ValueError(f"{PAGE} has {found[1]} places for the table {name!r}")
    PAGE.write_text(found[0], encoding="utf-8")
