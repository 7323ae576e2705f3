"""Whose a file is: only what verisimile wrote is replaced without being asked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from verisimile.core.errors import InputError

CREATOR = "verisimile"
"""What figures and pages say of their maker."""

REMARK = f"<!-- written by {CREATOR} -->"
"""The last line of files that have no other place for it."""

NAMES = ("report.html", "result.json", "junit.xml", "summary.md")
"""The files of a report, beside its figures."""

_LAST = re.compile(re.escape(REMARK.encode()) + rb"\s*\Z")
_SIGNS: Mapping[str, re.Pattern[bytes]] = {
    ".html": re.compile(rb"\A.{0,1000}<meta name=\"generator\" content=\"verisimile\">", re.DOTALL),
    ".json": re.compile(rb'\A\s*\{\s*"schema":\s*"verisimile\.(report|passport)/'),
    ".xml": _LAST,
    ".md": _LAST,
    ".pdf": re.compile(rb"\A%PDF.*/Creator \(verisimile\)", re.DOTALL),
}
_REPORT = 2**28  # bytes: no file of ours is larger


def check_own(
    folder: Path, names: Iterable[str] = NAMES, *, force: bool, way: str = "--force"
) -> None:
    """Raise unless files of these names in `folder` are free, or were written by a report.

    `way` is how the caller is forced, for the message.  A folder in the way is refused in any case.

    Raises
    ------
    InputError
        Naming the file of somebody else.
    """
    for name in names:
        file = folder / name
        if not os.path.lexists(file):
            continue
        if file.is_dir():
            raise InputError(
                str(file),
                got="a folder",
                expected="a file of an earlier report, or nothing",
                remedy="Move it away, or choose another folder.",
            )
        if not force and not _is_own(file):
            raise InputError(
                str(file),
                got="a file that verisimile has not written",
                expected="one of an earlier report, or nothing: it would be replaced",
                remedy=f"Choose another folder, or say {way}.",
            )


def _is_own(file: Path) -> bool:
    try:
        with file.open("rb") as handle:
            data = handle.read(_REPORT)
    except OSError:
        return False
    return _SIGNS[file.suffix].search(data) is not None
