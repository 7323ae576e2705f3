"""Reading and writing events: one grammar, ``path.suffix[:tree or group]``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.data import readers, writers
from verisimile.data.calo import files as showers
from verisimile.data.events import Events, name_list
from verisimile.data.feature import Feature, suggestion
from verisimile.data.table import Request, Source

_SUFFIXES = (".parquet", ".root", ".h5", ".hdf5", ".npz", ".npy", ".csv")
_SHOWERS = "calo="
_WITH_PART = (".root", ".h5", ".hdf5")
_GRAMMAR = re.compile(rf"(.*?({'|'.join(map(re.escape, _SUFFIXES))}))(?::(.*))?", re.I | re.S)


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
    request = Request(
        None if features is None else name_list(features, "features"),
        weights,
        dict(specs or {}),
        group,
    )
    place = _parse(uri)
    _check_file(place.path)
    with _told(place), _open(place, request) as source:
        return request.events(source)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a generator wrote: its finite events, and how many rows were not finite."""

    events: Events
    missed: int

    @property
    def rows(self) -> Array:
        """All rows ``(n, d)``, those that were not finite as NaN at the end."""
        lost = np.full((self.missed, self.events.d), np.nan)
        return np.concatenate([self.events.x, lost])


def read_drawn(uri: str | os.PathLike[str], *, features: Sequence[str]) -> Drawn:
    """Read what a generator wrote, without weights; rows that are not finite are counted.

    To leave them out in silence would flatter a generator that diverges.

    Parameters
    ----------
    uri, features
        As of :func:`read_events`.

    Raises
    ------
    InputError
        As of :func:`read_events`, except that only a file without any finite row is refused.
    SupportError
        If values lie outside the support of their feature.
    """
    request = Request(name_list(features, "features"), None, {})
    place = _parse(uri)
    _check_file(place.path)
    with _told(place), _open(place, request) as source:
        return Drawn(*request.finite_events(source))


def column_names(uri: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the names of the columns in a file, in file order; those that are no numbers too.

    Raises
    ------
    InputError
        If the file is missing, unreadable, of unknown format, or a bare matrix.
    """
    place = _parse(uri)
    _check_file(place.path)
    with _told(place), _open(place, Request()) as source:
        return tuple(source.columns)


def file_of(uri: str | os.PathLike[str]) -> Path:
    """Return the file that a ``path.suffix[:tree or group]`` names, whether it exists or not.

    Raises
    ------
    InputError
        If the format is unknown.

    Examples
    --------
    >>> file_of("fast.root:Events").name
    'fast.root'
    """
    return _parse(uri).path


def write_events(events: Events, path: str | os.PathLike[str]) -> None:
    """Write events to a file of any readable format but npy, whole or not at all.

    Weights go into a column ``weight``, groups into ``group``; specifications into the
    metadata of a Parquet file.  A ROOT tree is called ``events`` unless ``path`` names it.

    Raises
    ------
    InputError
        If the format is unknown, the folder does not exist, or a name cannot be
        written in this format.
    """
    place = _parse(path)
    if place.suffix == ".npy":
        raise InputError(str(path), got="npy, which has no column names", expected="npz")
    if (place.part or "").startswith(_SHOWERS):
        raise InputError(str(path), got="features of showers", expected="a group to write them to")
    if not place.path.parent.is_dir():
        raise InputError(str(path), got="a folder that does not exist", expected="an existing one")
    columns = writers.columns_of(events)
    draft = place.path.with_name(f".{place.path.name}.{uuid4().hex}{place.suffix}")
    try:
        _write(events, columns, _Place(draft, place.suffix, place.part))
        draft.replace(place.path)
    finally:
        draft.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Place:
    path: Path
    suffix: str
    part: str | None

    def __str__(self) -> str:
        return f"{self.path}:{self.part}" if self.part else str(self.path)


def _parse(uri: str | os.PathLike[str]) -> _Place:
    match = _GRAMMAR.fullmatch(os.fspath(uri))
    if match is None:
        raise InputError(
            str(uri),
            got="an unknown file format",
            expected=f"a name ending in {', '.join(_SUFFIXES)}",
            remedy="ROOT and HDF5 files take a part: z.root:Tree, z.h5:group.",
        )
    path, suffix, part = match.groups()
    if part is not None and suffix.lower() not in _WITH_PART:
        raise InputError(
            str(uri), got=f"a part {part!r} of a {suffix} file", expected="the file name alone"
        )
    return _Place(Path(path), suffix.lower(), part or None)


def _check_file(path: Path) -> None:
    if not path.is_file():
        siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(
            str(path),
            got="a folder" if path.is_dir() else "no such file",
            expected="an existing local file",
            remedy=suggestion(path.name, siblings),
        )
    if not path.stat().st_size:
        raise InputError(str(path), got="an empty file", expected="events")


def _open(place: _Place, request: Request) -> AbstractContextManager[Source]:
    match place.suffix:
        case ".root":
            return readers.open_root(place.path, place.part)
        case ".h5" | ".hdf5" if place.part is not None and place.part.startswith(_SHOWERS):
            described = place.part.removeprefix(_SHOWERS)
            return showers.open_showers(place.path, described, request.labels)
        case ".h5" | ".hdf5":
            return readers.open_hdf5(place.path, place.part, request.labels)
        case ".npz":
            return readers.open_npz(place.path, request.labels)
        case ".npy":
            return readers.open_npy(place.path, request.labels)
        case ".csv":
            return readers.open_csv(place.path)
    return readers.open_parquet(place.path)


def _write(events: Events, columns: writers.Columns, place: _Place) -> None:
    match place.suffix:
        case ".root":
            writers.write_root(columns, place.path, place.part or "events")
        case ".h5" | ".hdf5":
            writers.write_hdf5(columns, place.path, place.part or "/")
        case ".npz":
            writers.write_npz(columns, place.path)
        case ".csv":
            writers.write_csv(columns, place.path)
        case _:
            writers.write_parquet(columns, events.features, place.path)


@contextmanager
def _told(place: _Place) -> Iterator[None]:
    """Put the file's name in front of every message, and turn parsers' errors into ours."""
    try:
        yield
    except InputError as error:
        raise type(error)(
            f"{place}: {error.name}", got=error.got, expected=error.expected, remedy=error.remedy
        ) from None
    except MemoryError:
        raise
    except Exception as error:
        # Damaged files make the parsers raise anything: zlib.error, TypeError, RuntimeError, …
        raise InputError(
            str(place),
            got=f"a file that cannot be read ({type(error).__name__}: {error})",
            expected=f"an intact {place.suffix} file",
            remedy="Is it complete, and of the format that its name says?",
        ) from error
