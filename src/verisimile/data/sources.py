"""Whatever holds events as an open source: files and lists of files, frames, tables, arrays."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from verisimile.core.errors import InputError, require
from verisimile.core.progress import Progress, Silent
from verisimile.data.calo.source import open_showers
from verisimile.data.computed import with_computed
from verisimile.data.feature import Feature, listing, suggestion
from verisimile.data.formats.file import EventFile, Labels
from verisimile.data.formats.registry import FORMATS
from verisimile.data.held import has_columns, held_source
from verisimile.data.request import Request
from verisimile.data.source import Column, Source, Values

SHOWERS = "calo="

_GRAMMAR = re.compile(rf"(.*?({'|'.join(map(re.escape, FORMATS))}))(?::(.*))?", re.I | re.S)
_WILD = re.compile(r"[*?[]")


def is_table(value: object) -> bool:
    """Return whether a value brings columns with names: a path, a frame, a table, a dict."""
    return isinstance(value, str | os.PathLike) or _is_paths(value) or has_columns(value)


@contextmanager
def opened(
    value: Any,  # noqa: ANN401  (see `Held`)
    request: Request,
    progress: Progress | None = None,
) -> Iterator[Source]:
    """Open whatever holds events; errors name the file they come from.

    The progress is that of several files.
    """
    if isinstance(value, str | os.PathLike) or _is_paths(value):
        with _opened_files(files_of(value), request, progress or Silent()) as source:
            yield source
    else:
        yield with_computed(held_source(value, request.labels), request)


def _is_paths(value: object) -> bool:
    return bool(
        isinstance(value, list | tuple)
        and value
        and all(isinstance(item, str | os.PathLike) for item in value)
    )


def files_of(value: Any) -> list[EventFile]:  # noqa: ANN401  (a path, a pattern, several)
    """Return the files that a path, a pattern such as ``run_*.root:Events`` or a list names."""
    if isinstance(value, str | os.PathLike):
        file = parsed(value)
        if file.path.exists() or not _WILD.search(str(file.path)):
            return [file]
        paths = sorted(glob.glob(str(file.path)))  # noqa: PTH207  (a pattern of any depth)
        require(paths, str(value), got="no file of this pattern", expected="existing local files")
        return [EventFile(Path(path), file.suffix, file.part) for path in paths]
    return [file for item in value for file in files_of(item)]


def parsed(uri: str | os.PathLike[str]) -> EventFile:
    """Return what ``path.suffix[:tree or group]`` names, whether it exists or not."""
    match = _GRAMMAR.fullmatch(os.fspath(uri))
    if match is None:
        raise InputError(
            str(uri),
            got="an unknown file format",
            expected=f"a name ending in {', '.join(FORMATS)}",
            remedy="ROOT and HDF5 files take a part: z.root:Tree, z.h5:group.",
        )
    path, suffix, part = match.groups()
    require(
        part is None or FORMATS[suffix.lower()].has_parts,
        str(uri),
        got=f"a part {part!r} of a {suffix} file",
        expected="the file name alone",
    )
    return EventFile(Path(path), suffix.lower(), part or None)


@contextmanager
def _opened_files(
    files: Sequence[EventFile], request: Request, progress: Progress
) -> Iterator[Source]:
    if len(files) == 1:
        with _opened_file(files[0], request) as source:
            yield source
    else:
        yield _chained(files, request, progress)


@contextmanager
def _opened_file(file: EventFile, request: Request) -> Iterator[Source]:
    """Open a file, put its name in front of every message, turn parsers' errors into ours."""
    _check_exists(file.path)
    try:
        with _content(file, request.labels) as source:
            yield with_computed(source, request)
    except InputError as error:
        raise error.within(file) from None
    except Exception as error:
        # Damaged files make the parsers raise anything: zlib.error, TypeError, MemoryError, …
        raise InputError(
            str(file),
            got=f"a file that cannot be read ({type(error).__name__}: {error})",
            expected=f"an intact {file.suffix} file",
            remedy="Is it complete, and of the format that its name says?",
        ) from error


def _content(file: EventFile, labels: Labels) -> AbstractContextManager[Source]:
    described = file.part or ""
    if file.suffix in (".h5", ".hdf5") and described.startswith(SHOWERS):
        return open_showers(file.path, described.removeprefix(SHOWERS), labels)
    return FORMATS[file.suffix].open(file, labels)


def _check_exists(path: Path) -> None:
    if not path.is_file():
        siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(
            str(path),
            got=_what_is(path),
            expected="an existing local file",
            remedy=suggestion(path.name, siblings) if not path.exists() else "",
        )
    require(path.stat().st_size, str(path), got="an empty file", expected="events")


def _what_is(path: Path) -> str:
    """Return what lies at a path where a file was expected."""
    try:
        if path.is_dir():
            return "a folder"
        if path.is_fifo():
            return "a pipe, which can be read only once"
        if path.is_symlink():
            return f"a link to {str(path.readlink())!r}, which leads to no file"
        return "a device" if path.exists() else "no such file"
    except OSError as error:
        return f"a path that cannot be followed ({error.strerror})"


def _chained(files: Sequence[EventFile], request: Request, progress: Progress) -> Source:
    """Return several files one after the other; each is open only while it is looked at."""
    kinds: dict[str, list[Column]] = {}
    specs: dict[str, Feature] = {}
    stored = 0
    for place, file in enumerate(files):
        with _opened_file(file, request) as source:
            offered = _wanted(source.columns, request)
            if place == 0:
                kinds, specs = {name: [] for name in offered}, dict(source.specs)
            _check_same(file, files[0], offered, kinds)
            for name, column in offered.items():
                kinds[name].append(column)
            stored += source.stored or 0

    def load(names: Sequence[str]) -> Iterator[Values]:
        parts: list[list[Values]] = []
        handle = progress.begin("reading files", total=len(files), done=0)
        try:
            for file in files:
                with _opened_file(file, request) as source:
                    parts.append(list(source.load(names)))
                handle.advance()
        finally:
            handle.close()
        for several in zip(*parts, strict=True):
            join: Any = np.ma.concatenate if any(map(_masked, several)) else np.concatenate
            yield join(several)

    columns = {name: _joint(name, found, files) for name, found in kinds.items()}
    return Source(columns, load, specs, stored or None)


def _masked(values: Values) -> bool:
    return isinstance(values, np.ma.MaskedArray)


def _wanted(columns: Mapping[str, Column], request: Request) -> dict[str, Column]:
    """Return the columns that files must have in common: those asked for, or all."""
    if request.labels is None:
        return dict(columns)
    named = dict.fromkeys((*request.asked, *request.specs))
    return {name: columns[name] for name in named if name in columns}


def _check_same(
    file: EventFile, first: EventFile, theirs: Collection[str], ours: Collection[str]
) -> None:
    missing = [name for name in ours if name not in theirs]
    more = [name for name in theirs if name not in ours]
    require(
        not missing and not more,
        str(file),
        got=f"other columns (missing: {listing(missing)}; too many: {listing(more)})",
        expected=f"the columns of {first}",
        remedy="Name only files that belong together, or list the features to read.",
    )


def _joint(name: str, found: Sequence[Column], files: Sequence[EventFile]) -> Column:
    """Return what a column is in all files together."""
    contents = {column.content for column in found}
    if contents == {"numbers", "cells"}:
        contents = {"cells"}  # text in one of them; what is wrong with it is told later
    if len(contents) > 1:
        described = {
            str(file): column.about or column.content
            for file, column in zip(files, found, strict=True)
        }
        raise InputError(
            f"column {name!r}",
            got=f"different contents ({described})",
            expected="the same kind of values in all files",
        )
    return Column(
        contents.pop(),
        found[0].about,
        sum(column.rows or 0 for column in found),
        next((column.index for column in found if column.index), ""),
        next((column.refused for column in found if column.refused), ""),
        any(column.numeric for column in found),
    )
