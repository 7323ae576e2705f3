"""Which code each cell's pseudo-experiments were made by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import gauntlet
import verisimile
from gauntlet.registry import Cell


@cache
def code_digest() -> str:
    """Return the sha256 of the package and of all that makes a claim: other code is run anew."""
    package, own = (Path(str(each.__file__)).parent for each in (verisimile, gauntlet))
    helpers = [path for path in own.parent.glob("*.py") if not path.name.startswith("test_")]
    claims = [own / "claims.py", own / "pairs.py", *own.glob("families/*.py")]
    found = hashlib.sha256()
    for path in sorted([*package.rglob("*.py"), *helpers, *claims]):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def codes_of(folder: Path, cells: Sequence[Cell], again: Sequence[str] | None) -> list[str]:
    """Return the code of each cell, and keep it in the folder.

    The present code; with patterns of addresses `again` only for cells that match one, and the
    code that made them for all others.
    """
    file, now = folder / "codes.json", code_digest()
    before: dict[str, str] = {}
    if again is not None and file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
    fresh = [again is None or any(fnmatch(cell.address, one) for one in again) for cell in cells]
    codes = {
        cell.address: now if anew else before.get(cell.address, now)
        for cell, anew in zip(cells, fresh, strict=True)
    }
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**before, **codes}, indent=0), encoding="utf-8")
    return [codes[cell.address] for cell in cells]
