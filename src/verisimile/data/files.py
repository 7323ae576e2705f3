"""Reading and writing events: one grammar, ``path.suffix[:tree or group]``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, require
from verisimile.data.calo.files import open_showers
from verisimile.data.events import Events, name_list
from verisimile.data.feature import Feature, suggestion
from verisimile.data.formats import FORMATS, EventFile, Labels
from verisimile.data.table import Request, Source

_SHOWERS = "calo="
_GRAMMAR = re.compile(rf"(.*?({'|'.join(map(re.escape, FORMATS))}))(?::(.*))?", re.I | re.S)


def read_events(
    uri: str | os.PathLike[str],
    *,
    features: Sequence[str] | None = None,
    weights: str | None = None,
    specs: Mapping[str, Feature] | None = None,
    group: str | None = None,
) -> Events:
    """Read events from a file; columns are matched by name.

    Parameters
    ----------
    uri
        ``z.parquet``, ``z.root:Tree`` (TTree or RNTuple), ``z.h5:group`` (a group of
        flat datasets, a matrix, or a table of named fields), ``z.npz`` (one array per
        column), ``z.npy`` (a matrix) or ``z.csv`` (with a header).  Calorimeter showers:
        ``z.hdf5:calo=binning.xml[,particle]``, see `verisimile.data.calo.files`.
    features
        The columns to read, in this order; by default every flat numeric column
        except weights and groups, in file order.  They name the columns of a bare matrix,
        whose last columns hold the weights, then the groups, if these are asked for.
    weights
        The column with the event weights, of any sign.  None reads none.
    specs
        Specifications by column name; they override those a Parquet file carries.
    group
        The column that says which rows belong together, such as an event number: integers
        of any size, whole floats or text.  None reads none: every row is independent.

    Raises
    ------
    InputError
        If the file is missing, empty, unreadable or of unknown format; if a tree or
        group is not named; if a column is missing, not numeric, not finite or not
        exact as a double; if a column ``weight``, ``weights``, ``group`` or ``groups`` is
        neither claimed nor left out by a list of features.
    SupportError
        If values lie outside the support of their feature.
    """
    names = None if features is None else name_list(features, "features")
    request = Request(names, weights, dict(specs or {}), group)
    with _opened(uri, request) as source:
        return request.events(source)


@dataclass(frozen=True, slots=True)
class GeneratorOutput:
    """What a generator wrote: its finite events, and how many rows were not finite."""

    events: Events
    missed: int

    @property
    def rows(self) -> Array:
        """All rows ``(n, d)``, those that were not finite as NaN at the end."""
        lost = np.full((self.missed, self.events.d), np.nan)
        return np.concatenate([self.events.x, lost])


def read_generated(uri: str | os.PathLike[str], *, features: Sequence[str]) -> GeneratorOutput:
    """Read what a generator wrote, without weights; rows that are not finite are counted.

    To leave them out in silence would flatter a generator that diverges.  Arguments and
    errors as of :func:`read_events`, except that a file is only refused without any finite row.
    """
    request = Request(name_list(features, "features"))
    with _opened(uri, request) as source:
        return GeneratorOutput(*request.finite_events(source))


def column_names(uri: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the names of the columns in a file, in file order; those that are no numbers too."""
    with _opened(uri, Request()) as source:
        return tuple(source.columns)


def file_of(uri: str | os.PathLike[str]) -> Path:
    """Return the file that a ``path.suffix[:tree or group]`` names, whether it exists or not.

    Examples
    --------
    >>> file_of("fast.root:Events").name
    'fast.root'
    """
    return _parsed(uri).path


def write_events(events: Events, path: str | os.PathLike[str]) -> None:
    """Write events to a file of any readable format but npy, whole or not at all.

    Weights go into a column ``weight``, groups into ``group``; specifications into the
    metadata of a Parquet file.  A ROOT tree is called ``events`` unless ``path`` names it.
    An InputError says that a column's name is taken, or cannot be written in this format.
    """
    file = _parsed(path)
    write = FORMATS[file.suffix].write
    if write is None:
        raise InputError(str(path), got="npy, which has no column names", expected="npz")
    if (file.part or "").startswith(_SHOWERS):
        raise InputError(str(path), got="features of showers", expected="a group to write them to")
    if not file.path.parent.is_dir():
        raise InputError(str(path), got="a folder that does not exist", expected="an existing one")
    draft = file.path.with_name(f".{file.path.name}.{uuid4().hex}{file.suffix}")
    try:
        write(events, replace(file, path=draft))
        draft.replace(file.path)
    finally:
        draft.unlink(missing_ok=True)


def _parsed(uri: str | os.PathLike[str]) -> EventFile:
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
def _opened(uri: str | os.PathLike[str], request: Request) -> Iterator[Source]:
    """Open a file, put its name in front of every message, turn parsers' errors into ours."""
    file = _parsed(uri)
    _check_exists(file.path)
    try:
        with _content(file, request.labels) as source:
            yield source
    except InputError as error:
        raise error.within(file) from None
    except MemoryError:
        raise
    except Exception as error:
        # Damaged files make the parsers raise anything: zlib.error, TypeError, RuntimeError, …
        raise InputError(
            str(file),
            got=f"a file that cannot be read ({type(error).__name__}: {error})",
            expected=f"an intact {file.suffix} file",
            remedy="Is it complete, and of the format that its name says?",
        ) from error


def _content(file: EventFile, labels: Labels) -> AbstractContextManager[Source]:
    described = file.part or ""
    if file.suffix in (".h5", ".hdf5") and described.startswith(_SHOWERS):
        return open_showers(file.path, described.removeprefix(_SHOWERS), labels)
    return FORMATS[file.suffix].open(file, labels)


def _check_exists(path: Path) -> None:
    if not path.is_file():
        siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(
            str(path),
            got="a folder" if path.is_dir() else "no such file",
            expected="an existing local file",
            remedy=suggestion(path.name, siblings),
        )
    require(path.stat().st_size, str(path), got="an empty file", expected="events")
