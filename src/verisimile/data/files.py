"""Reading and writing events: one grammar, ``path.suffix[:tree or group]``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, StoreError
from verisimile.core.progress import Progress, resolve_progress
from verisimile.data.checked import ignored, name_list
from verisimile.data.description import Description
from verisimile.data.events import Events, events_of_table
from verisimile.data.feature import Feature
from verisimile.data.formats.arrow import origin_of
from verisimile.data.formats.file import EventFile, Writer
from verisimile.data.formats.registry import FORMATS
from verisimile.data.inputs import EventsLike, as_events
from verisimile.data.request import Missing, Request
from verisimile.data.sources import SHOWERS, files_of, opened, parsed

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_WITH_ORIGIN = (".parquet", ".feather", ".arrow")


def read_events(  # noqa: PLR0913  (what to read, and in what roles)
    uri: Paths,
    *,
    features: Sequence[str] | None = None,
    weights: str | None = None,
    specs: Mapping[str, Feature | Description] | None = None,
    group: str | None = None,
    ignore: Sequence[str] = (),
    missing: Missing = "refuse",
    cut: str | None = None,
    progress: bool | Progress = False,
) -> Events:
    """Read events from one file or several; columns are matched by name.

    Parameters
    ----------
    uri
        ``z.parquet``, ``z.feather`` or ``z.arrow``, ``z.root:Tree`` (TTree or RNTuple),
        ``z.h5:group`` (a group of flat datasets, a matrix, a table of named fields, a frame of
        pandas), ``z.npz`` (one array per column), ``z.npy`` (a matrix), ``z.fits`` or ``z.csv``
        (with a header); a pattern such as ``run_*.root:Tree``, or a list of files with the same
        columns.  Calorimeter showers: ``z.hdf5:calo=binning.xml[,particle]``, see
        `verisimile.data.calo.files`.
    features
        The columns to read, in this order; by default every flat numeric column
        except weights and groups, in file order.  What is no column is an expression over
        columns, and its text the feature's name: ``Muon_pt[0]``, ``count(Jet_pt)``,
        ``sum(Jet_pt[Jet_pt > 30])``, ``hypot(px, py)``; see
        `verisimile.data.expressions.Expression`.  Names are those of the columns of a bare
        matrix, whose last columns hold the weights, then the groups, if these are asked for.
    weights
        The column with the event weights, of any sign.  None reads none.
    specs
        Specifications by column name, instead of those that a file carries; or what is said of
        some columns, a `Description`, which leaves the rest to the file.
    group
        The column that says which rows belong together, such as an event number: integers
        of any size, whole floats or text.  None reads none: every row is independent.
    ignore
        Columns to leave out, whatever they hold.
    missing
        ``refuse`` rows without a value (NaN, null, an empty cell), or ``drop`` and count them.
    cut
        A condition that events must fulfil, over any columns of the file, such as
        ``count(Jet_pt) >= 2 && MET_pt > 30``.  What is missing in the other events does not
        matter; an event for which it is undefined has a missing value.
    progress
        Whether several files show a bar on a terminal, or who is told of them, as of `Run`.

    Returns
    -------
    Events
        Their `account` says which columns were kept, which left out and why.

    Raises
    ------
    InputError
        If the file is missing, empty, unreadable or of unknown format, or declares more than
        the memory holds; if a tree or group is not named; if a column is missing, not numeric,
        not finite or not exact as a double, or a cell is no number; if a column named like
        weights or groups is neither claimed, ignored nor left out by a list of features.
    SupportError
        If values lie outside the support of their feature.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import verisimile as vs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "z.csv"
    ...     _ = vs.write_events(vs.Events({"m": [91.2, 90.1], "pt": [10.0, 12.5]}), file)
    ...     events = vs.read_events(file, features=["m"])
    >>> events
    Events(n=2, d=1, names=('m',), unweighted)
    """
    names = None if features is None else name_list(features, "features")
    request = Request(names, weights, specs or {}, group, ignored(ignore), missing, cut)
    with opened(uri, request, resolve_progress(progress)) as source:
        table = request.table(source)
        try:
            return events_of_table(table)
        except InputError as error:
            files = files_of(uri)
            if len(files) == 1:
                raise  # named where it was opened
            joined = f"{len(files)} files from {files[0]} to {files[-1]}, rows counted through"
            raise error.within(joined) from None


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


def read_generated(
    uri: Paths,
    *,
    features: Sequence[str],
    specs: Mapping[str, Feature | Description] | None = None,
) -> GeneratorOutput:
    """Read what a generator wrote, without weights; rows that are not finite are counted.

    To leave them out in silence would flatter a generator that diverges.  Arguments and
    errors as of :func:`read_events`, except that a file is only refused without any finite row.
    """
    request = Request(name_list(features, "features"), specs=dict(specs or {}))
    with opened(uri, request) as source:
        table, missed = request.rows(source)
        return GeneratorOutput(events_of_table(table), missed)


def column_names(uri: Paths) -> tuple[str, ...]:
    """Return the names of the columns in a file, in file order; those that are no numbers too."""
    with opened(uri, Request()) as source:
        return tuple(source.columns)


def file_of(uri: str | os.PathLike[str]) -> Path:
    """Return the file that a ``path.suffix[:tree or group]`` names, whether it exists or not.

    Examples
    --------
    >>> file_of("fast.root:Events").name
    'fast.root'
    """
    return parsed(uri).path


def write_events(events: EventsLike, path: str | os.PathLike[str], *, origin: str = "") -> None:
    """Write events to a file of any readable format but npy, whole or not at all.

    Weights go into a column ``weight``, groups into ``group``; specifications into the
    metadata of a Parquet or Feather file, the attributes of an HDF5 file, units into a FITS
    header.  A ROOT tree is called ``events``, a FITS table ``EVENTS``, unless ``path`` names it.
    An InputError says that a column's name is taken, or cannot be written in this format, a
    StoreError that the file system refuses.  `origin` is kept in Parquet and Feather files.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import verisimile as vs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "z.parquet"
    ...     _ = vs.write_events(vs.Events({"m": [91.2, 90.1]}), file)
    ...     events = vs.read_events(file)
    >>> events
    Events(n=2, d=1, names=('m',), unweighted)
    """
    events = as_events(events, "events")
    file, write = _writable(path)
    draft = file.path.with_name(f".{file.path.name}.{uuid4().hex}{file.suffix}")
    try:
        write(events.to_dict(), events.features, replace(file, path=draft, origin=origin))
        draft.replace(file.path)
    except OSError as error:
        raise StoreError(
            str(path),
            got=f"{type(error).__name__}: {error}",
            expected="a writable place",
            remedy="Free some space or choose another folder.",
        ) from error
    finally:
        # A full or damaged disk may not let it go either.
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def check_writable(
    path: str | os.PathLike[str], *, origin: str | None = None, force: bool = False
) -> Path:
    """Return the file that `write_events` would write, or raise what it would say before.

    With an `origin`, a file that is there must have it, unless by `force`: no other is replaced.
    """
    file = _writable(path)[0]
    if file.path.is_dir():
        raise InputError(str(path), got="a folder", expected="a file's name that is free")
    if origin is None or force or not os.path.lexists(file.path):
        return file.path
    tells = file.suffix in _WITH_ORIGIN
    if not (tells and origin_of(file) == origin):
        raise InputError(
            str(path),
            got="a file that is there, "
            + ("made by something else" if tells else f"and {file.suffix} does not say by whom"),
            expected="a name that is free",
            remedy="Choose another name, or say --force.",
        )
    return file.path


def _writable(path: str | os.PathLike[str]) -> tuple[EventFile, Writer]:
    file = parsed(path)
    write = FORMATS[file.suffix].write
    if write is None:
        raise InputError(str(path), got="npy, which has no column names", expected="npz")
    if (file.part or "").startswith(SHOWERS):
        raise InputError(str(path), got="features of showers", expected="a group to write them to")
    if not file.path.parent.is_dir():
        raise InputError(str(path), got="a folder that does not exist", expected="an existing one")
    return file, write
