"""Large arguments of tasks, once in a file for all workers instead of in every message."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import pickle
import shutil
import struct
import tempfile
import threading
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle

from verisimile.core.errors import StoreError
from verisimile.core.store import DirectoryStore, Store
from verisimile.core.writers import FileWriter

FOLDER = "shared"
"""Where the files are below a run folder; what is there can go once no run is at work."""

_INLINE = 512  # bytes of an argument that stays in the message
_SIMPLE = (bool, int, float, str, type(None), range)
_KEPT = 2**29  # bytes of opened parcels that a worker keeps for its next task
_ALIGN = 64
_COUNT = struct.Struct("<Q")
_PART = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Parcel:
    """An argument that lies in a file, named by the sha256 of its content."""

    folder: str
    sha256: str

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.folder) / self.sha256


class Parcels:
    """Arguments of the tasks of a run, as its workers are told of them.

    An object that many tasks share is written once; the next map of the run knows the objects
    of the last one.  Workers find the files below the run folder, which they must all see;
    without a run folder, in a temporary one of this machine.
    """

    __slots__ = ("__weakref__", "_known", "_store", "_temporary", "_used", "_writer", "_written")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writer = FileWriter()
        self._temporary: Path | None = None
        # The objects are held, so that no other can take their id.
        self._known: dict[int, tuple[object, Parcel | None]] = {}
        self._used: dict[int, tuple[object, Parcel | None]] = {}
        self._written: set[Path] = set()
        weakref.finalize(self, _remove, self._written)

    @contextlib.contextmanager
    def map(self) -> Iterator[None]:
        """Forget, and remove, at the end of the block whatever was not sent inside."""
        self._used = {}
        try:
            yield
        finally:
            self._known, self._used = self._used, {}
            sent = {parcel.path for _, parcel in self._known.values() if parcel}
            gone = self._written - sent
            self._written &= sent
            _remove(gone)

    def sealed(self, args: Sequence[Any]) -> tuple[Any, ...]:
        """Return the arguments, a parcel for each that is large."""
        return tuple(arg if isinstance(arg, _SIMPLE) else self._sealed(arg) for arg in args)

    def _sealed(self, arg: object) -> object:
        found = self._used.get(id(arg)) or self._known.get(id(arg))
        if found is None or found[1] is not None and not found[1].path.exists():
            found = arg, self._parcel(arg)
        self._used[id(arg)] = found
        return arg if found[1] is None else found[1]

    def _parcel(self, arg: object) -> Parcel | None:
        parts = _parts(arg)
        if sum(len(part) for part in parts) <= _INLINE:
            return None
        sha256 = hashlib.sha256()
        for part in parts:
            sha256.update(part)
        parcel = Parcel(str(self._folder()), sha256.hexdigest())
        if not parcel.path.exists():
            _write(parcel.path, parts)
            self._written.add(parcel.path)
        return parcel

    def _folder(self) -> Path:
        if isinstance(self._store, DirectoryStore):
            # Each driver has its own, which none takes from another's workers.
            return self._store.path / FOLDER / str(self._writer)
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="verisimile-"))
            weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
        return self._temporary


def _remove(paths: set[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        with contextlib.suppress(OSError):  # which others are in
            folder.rmdir()


def opened(args: Sequence[Any]) -> tuple[Any, ...]:
    """Return the arguments themselves, in the worker."""
    return tuple(_CACHE.get(arg) if isinstance(arg, Parcel) else arg for arg in args)


def _parts(arg: object) -> list[bytes | memoryview]:
    """Return a header, the pickle, and the bytes of its arrays, each at a multiple of 64."""
    buffers: list[pickle.PickleBuffer] = []
    body = cloudpickle.dumps(arg, protocol=5, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    header = _COUNT.pack(len(views)) + _PART.pack(len(body), 0)
    header += b"".join(_PART.pack(view.nbytes, view.readonly) for view in views)
    parts: list[bytes | memoryview] = []
    for part in (header, body, *views):
        parts += [part, bytes(-len(part) % _ALIGN)]
    return parts


def _write(path: Path, parts: Sequence[bytes | memoryview]) -> None:
    # Not made to last a power cut: whoever reads it compares the hash.
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.writelines(parts)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(
            str(path),
            got=f"{type(error).__name__}: {error}",
            expected="a writable place for what the tasks share",
            remedy="Free some space or choose another folder.",
        ) from error


class _Cache:
    """The last parcels that this process opened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[object, int]] = OrderedDict()

    def get(self, parcel: Parcel) -> object:
        with self._lock:
            if parcel.sha256 not in self._held:
                self._held[parcel.sha256] = _open(parcel)
            self._held.move_to_end(parcel.sha256)
            while len(self._held) > 1 and sum(size for _, size in self._held.values()) > _KEPT:
                self._held.popitem(last=False)
            return self._held[parcel.sha256][0]


_CACHE = _Cache()


def _open(parcel: Parcel) -> tuple[object, int]:
    """Return what is in a parcel, and its bytes.

    Nothing is unpickled but what has the hash that the driver named.  Arrays stay in the
    mapped file, whose pages all workers of a machine share until one writes to its own.
    """
    try:
        with parcel.path.open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    except (OSError, ValueError) as error:
        raise StoreError(
            str(parcel.path),
            got=f"{type(error).__name__}: {error}",
            expected="what the tasks share, written there by the driver",
            remedy="All workers must see the run folder under the same path.",
        ) from error
    if hashlib.sha256(data).hexdigest() != parcel.sha256:
        raise StoreError(
            str(parcel.path),
            got="other bytes than the driver wrote",
            expected=f"sha256 {parcel.sha256[:16]}...",
            remedy="Delete the file and run the same command again.",
        )
    (count,) = _COUNT.unpack_from(data)
    sizes = list(_PART.iter_unpack(data[_COUNT.size : _COUNT.size + (count + 1) * _PART.size]))
    at = _aligned(_COUNT.size + len(sizes) * _PART.size)
    parts = []
    for size, readonly in sizes:
        part = data[at : at + size]
        parts.append(part.toreadonly() if readonly else part)
        at += _aligned(size)
    return pickle.loads(parts[0], buffers=parts[1:]), len(data)


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN
