"""The files of families of generators, as the command line names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from verisimile.core.errors import InputError

_FEWEST = 3


def family_files(
    generated: Sequence[str], against: str | None, *, apart: Path | None = None
) -> dict[str, list[str]]:
    """Return the files of each family by its name, the folder they lie in.

    Parameters
    ----------
    generated, against
        Files, patterns or folders of the first family; pattern or folder of the second.
    apart
        A file that is no sample, if it lies in a folder of samples.

    Raises
    ------
    InputError
        If a family has too few files.  An unquoted pattern as `against` is expanded by the
        shell, and all but its first file would be taken for the first family: that too.
    """
    first = [uri for text in generated for uri in _expanded(text, apart)]
    if against is None:
        return _named([first])
    second = _expanded(against, apart)
    shared = {Path(uri).parent for uri in first} & {Path(uri).parent for uri in second}
    if len(second) == 1 and shared:
        raise InputError(
            "--against",
            got=f"one file, {second[0]!r}, and others of its folder as the first family",
            expected="a folder, or a pattern in quotes",
            remedy="For instance --against 'b/*.parquet'.",
        )
    return _named([first, second])


def _expanded(text: str, apart: Path | None) -> list[str]:
    path = Path(text)
    if path.is_dir():
        return sorted(
            str(file)
            for file in path.iterdir()
            if file.is_file() and not (apart is not None and file.resolve() == apart.resolve())
        )
    if any(mark in text for mark in "*?["):
        anchor = path.anchor or "."
        pattern = str(path.relative_to(anchor)) if path.anchor else text
        found = sorted(str(file) for file in Path(anchor).glob(pattern))
        if not found:
            raise InputError(text, got="no file of this pattern", expected="samples of generators")
        return found
    return [text]


def _named(groups: list[list[str]]) -> dict[str, list[str]]:
    for uris in groups:
        if len(uris) < _FEWEST:
            raise InputError(
                "generators",
                got=f"{len(uris)} of a family: {', '.join(uris)}",
                expected=f"samples of at least {_FEWEST} generators",
                remedy="A band needs several trainings; one sample is for `verisimile validate`.",
            )
    folders = [Path(uris[0]).parent.name or f"family {i}" for i, uris in enumerate(groups, 1)]
    if len(set(folders)) < len(folders):
        folders = [f"family {i}" for i in range(1, len(groups) + 1)]
    return dict(zip(folders, groups, strict=True))
