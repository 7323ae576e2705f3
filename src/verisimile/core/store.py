"""Where finished work is kept: one record per address, valid or not there."""

from __future__ import annotations

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Protocol

from verisimile.core.canonical import JSON, plain, restore
from verisimile.core.durable import (
    files_below,
    is_temporary,
    named,
    read_bytes,
    remove,
    until_there,
    write_atomic,
)
from verisimile.core.errors import InputError, StoreError
from verisimile.core.records import (
    Payload,
    Receipt,
    Record,
    State,
    check_address,
    examine,
    pack,
    representable,
)
from verisimile.core.segments import Segments

_RECENT = 120.0  # seconds: longer than a network file system keeps what it knew


class Store(Protocol):
    """Records under addresses, and a few JSON documents beside them.

    A record counts only if its text parses, its schema is known, its
    fingerprint is the expected one and its payload has the noted hash.
    """

    @property
    def portable(self) -> bool:
        """Whether the store may be sent to a worker, who then writes himself."""

    def load(self, address: str, fingerprint: str, *, written: bool = False) -> Record | None:
        """Return the valid record at `address`, or None.

        One that is known to be `written`, perhaps on another machine, is waited for a little.
        """

    def state(self, address: str, fingerprint: str) -> State:
        """Return whether the record is missing, stale, corrupt or valid."""

    def save(
        self, address: str, fingerprint: str, label: str, payload: Payload, *, seeds: str = ""
    ) -> Receipt:
        """Write the record, in place of any older one."""

    def append(
        self, address: str, fingerprint: str, label: str, payload: Payload, *, seeds: str = ""
    ) -> Receipt:
        """Write one of many small records, where files would be too many."""

    def discard(self, address: str) -> None:
        """Remove the record at `address`, of any state, if there is one."""

    def addresses(self, prefix: str = "") -> list[str]:
        """Return the sorted addresses below the folder `prefix`, of records of any state."""

    def read_json(self, name: str) -> JSON:
        """Return the document `name`, or None if there is none."""

    def write_json(self, name: str, value: JSON) -> None:
        """Write the document `name` in one piece."""


class _NamedBytes(ABC):
    """What both stores make of bytes under names: two of them a record, one a document.

    The record at ``members/0007`` is ``members/0007.safetensors`` (arrays) and
    ``members/0007.json`` (schema, fingerprint, label, seeds, meta, hashes); the document
    ``manifest`` is ``manifest.json``.
    """

    __slots__ = ()

    @abstractmethod
    def _read(self, name: str) -> bytes | None: ...

    @abstractmethod
    def _write(self, name: str, data: bytes) -> None: ...

    @abstractmethod
    def _remove(self, name: str) -> None: ...

    @abstractmethod
    def _names(self, folder: str) -> Iterable[str]: ...

    @abstractmethod
    def _place(self, name: str) -> str: ...

    def load(self, address: str, fingerprint: str, *, written: bool = False) -> Record | None:  # noqa: ARG002
        """Return the valid record at `address`, or None."""
        return self._examine(address, fingerprint)[1]

    def state(self, address: str, fingerprint: str) -> State:
        """Return whether the record is missing, stale, corrupt or valid."""
        return self._examine(address, fingerprint)[0]

    def save(
        self, address: str, fingerprint: str, label: str, payload: Payload, *, seeds: str = ""
    ) -> Receipt:
        """Write payload, then record, in place of any older ones."""
        data, text, receipt = pack(address, fingerprint, label, payload, seeds=seeds)
        self._write(f"{address}.safetensors", data)
        self._write(f"{address}.json", text)
        return receipt

    def append(
        self, address: str, fingerprint: str, label: str, payload: Payload, *, seeds: str = ""
    ) -> Receipt:
        """Write one of many small records, where files would be too many."""
        return self.save(address, fingerprint, label, payload, seeds=seeds)

    def discard(self, address: str) -> None:
        """Remove the record at `address`, of any state, if there is one."""
        # The mark of a finished record goes first.
        for ending in ("json", "safetensors"):
            self._remove(f"{check_address(address)}.{ending}")

    def addresses(self, prefix: str = "") -> list[str]:
        """Return the sorted addresses below the folder `prefix`, of records of any state."""
        names = set(self._names(f"{check_address(prefix)}/" if prefix else ""))
        stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return sorted(stem for stem in stems if f"{stem}.safetensors" in names)

    def read_json(self, name: str) -> JSON:
        """Return the document `name`, or None if there is none."""
        text = self._read(_document(name))
        try:
            return None if text is None else restore(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise StoreError(
                self._place(name),
                got=f"text that is not JSON ({error})",
                expected="a JSON document",
                remedy="Take it from a copy, or choose another folder.",
            ) from None

    def write_json(self, name: str, value: JSON) -> None:
        """Write the document `name` in one piece."""
        document = _document(name)
        if self._read(document.removesuffix(".json") + ".safetensors") is not None:
            raise StoreError(
                self._place(name), got="the address of a record", expected="a name that is free"
            )
        with representable(name):
            text = json.dumps(plain(value, name), indent=1, allow_nan=False).encode()
        if not self._holds(document, text):
            self._write(document, text)

    def _holds(self, name: str, data: bytes) -> bool:
        # What is there need not be written again, perhaps where nothing can be written.
        return self._read(name) == data

    def _examine(self, address: str, fingerprint: str) -> tuple[State, Record | None]:
        text = self._read(f"{check_address(address)}.json")
        return examine(address, fingerprint, text, lambda: self._payload(address))

    def _payload(self, address: str) -> bytes | None:
        return self._read(f"{address}.safetensors")


def _better(one: State, other: State) -> State:
    worth: tuple[State, ...] = ("valid", "corrupt", "stale", "missing")
    return min(one, other, key=worth.index)


def _document(name: str) -> str:
    return check_address(name).removesuffix(".json") + ".json"


class MemoryStore(_NamedBytes):
    """A store in this process: nothing outlives it, everything else is the same.

    It holds the very bytes that a `DirectoryStore` would write, so arrays are
    copied and hash-checked here too.
    """

    __slots__ = ("_files",)

    portable = False

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def __repr__(self) -> str:
        """Return one line with the number of records."""
        return f"MemoryStore({len(self.addresses())} records)"

    def _read(self, name: str) -> bytes | None:
        return self._files.get(name)

    def _write(self, name: str, data: bytes) -> None:
        self._files[name] = data

    def _remove(self, name: str) -> None:
        self._files.pop(name, None)

    def _names(self, folder: str) -> Iterable[str]:
        return (name for name in self._files if name.startswith(folder))

    def _place(self, name: str) -> str:
        return name


class DirectoryStore(_NamedBytes):
    """Records as pairs of files below one folder or in its segments, documents as single files.

    The payload is written first, so a JSON file is the mark of a finished
    record; whatever a killed process leaves behind fails the hash check or is
    a hidden ``*.tmp`` file.  Several processes may write at the same time.
    A valid record counts wherever it is.
    """

    __slots__ = ("_index", "path")

    portable = True

    def __init__(self, path: str | Path) -> None:
        try:
            # Absolute, because a worker may have another working directory.
            self.path = Path(path).expanduser().absolute()
        except RuntimeError as error:
            raise InputError("store", got=f"{path}", expected="a folder") from error
        self._index: tuple[int, Segments] | None = None
        if "\0" in str(self.path):
            raise InputError("store", got=repr(str(self.path)), expected="a folder")
        with named(self.path, "a folder that can be read"):
            there = self.path.exists()
        if there and not self.path.is_dir():
            raise InputError("store", got=f"the file {self.path}", expected="a folder")

    def __repr__(self) -> str:
        """Return one line with the folder."""
        return f"DirectoryStore({str(self.path)!r})"

    def __reduce__(self) -> tuple[type[DirectoryStore], tuple[Path]]:
        """Travel to workers by path alone: they look around for themselves."""
        return DirectoryStore, (self.path,)

    @property
    def segments(self) -> Segments:
        """The small records of the folder."""
        # A forked process must not wait for a lock that a thread of its parent held.
        pid = os.getpid()
        if self._index is None or self._index[0] != pid:
            self._index = pid, Segments(self.path)
        return self._index[1]

    def load(self, address: str, fingerprint: str, *, written: bool = False) -> Record | None:
        """Return the valid record at `address`, or None; one that is `written` is waited for."""
        record = self._examine(address, fingerprint)[1]
        if record is None and written:
            return until_there(lambda: self._examine(address, fingerprint, thoroughly=True)[1])
        return record

    def save(
        self, address: str, fingerprint: str, label: str, payload: Payload, *, seeds: str = ""
    ) -> Receipt:
        """Write payload, then record, in place of any older ones."""
        data, text, receipt = pack(address, fingerprint, label, payload, seeds=seeds)
        if self._holds(f"{address}.json", text) and self._holds(f"{address}.safetensors", data):
            return receipt
        # One fsync, of the payload, where a full disk or a quota shows: the mark of a finished
        # record comes after it.  Text and names follow with the system's own writing, within half
        # a minute.  A power cut in that time may cost the record, which then is missing or fails
        # its seal or hash, and is made again; the death of a process costs nothing.
        write_atomic(self.path / f"{address}.safetensors", data, folder=False)
        write_atomic(self.path / f"{address}.json", text, folder=False, sync=False)
        return receipt

    def append(
        self, address: str, fingerprint: str, label: str, payload: Payload, *, seeds: str = ""
    ) -> Receipt:
        """Write one of many small records to the segment of this process."""
        data, text, receipt = pack(address, fingerprint, label, payload, seeds=seeds)
        self.segments.append(text, data, address, fingerprint)
        return receipt

    def discard(self, address: str) -> None:
        """Remove the record at `address`, of any state, if there is one."""
        super().discard(address)
        self.segments.discard(address)

    def pairs(self) -> list[str]:
        """Return the sorted addresses of what are two files."""
        return super().addresses()

    def addresses(self, prefix: str = "") -> list[str]:
        """Return the sorted addresses below the folder `prefix`, of records of any state."""
        small = self.segments.addresses()
        below = f"{prefix}/" if prefix else ""
        return sorted({*super().addresses(prefix), *(a for a in small if a.startswith(below))})

    def _examine(
        self, address: str, fingerprint: str, *, thoroughly: bool = False
    ) -> tuple[State, Record | None]:
        state, record = super()._examine(address, fingerprint)
        if record is not None:
            return state, record
        small = self._small(address, fingerprint, thoroughly=thoroughly)
        if small[1] is None and self.segments.look_around():
            small = self._small(address, fingerprint)
        return _better(state, small[0]), small[1]

    def _small(
        self, address: str, fingerprint: str, *, thoroughly: bool = False
    ) -> tuple[State, Record | None]:
        """Return what the segments hold of an address."""
        state: State = "missing"
        places = self.segments.find(address, thoroughly=thoroughly)
        # Those of other configurations are read where the own is missing: to refuse later schemas.
        for place in sorted(places, key=lambda place: place.fingerprint != fingerprint):
            text, data = self.segments.read(place) or (b"", b"")
            found, record = examine(address, fingerprint, text, partial(bytes, data))
            if record is not None:
                return found, record
            state = _better(state, found)
        return state, None

    def _payload(self, address: str) -> bytes | None:
        found = super()._payload(address)
        if found is None and self._is_recent(f"{address}.json"):
            # Written before its text, it may yet be seen after it on another machine.
            return until_there(lambda: super(DirectoryStore, self)._payload(address))
        return found

    def _is_recent(self, name: str) -> bool:
        with named(self.path / name, "a file that can be read"):
            try:
                return abs(time.time() - (self.path / name).stat().st_mtime) < _RECENT
            except FileNotFoundError:
                return False

    def _read(self, name: str) -> bytes | None:
        return read_bytes(self.path / name)

    def _write(self, name: str, data: bytes) -> None:
        write_atomic(self.path / name, data)

    def _remove(self, name: str) -> None:
        remove(self.path / name)

    def _names(self, folder: str) -> Iterable[str]:
        paths = (path for path in files_below(self.path / folder) if not is_temporary(path))
        return (path.relative_to(self.path).as_posix() for path in paths)

    def _place(self, name: str) -> str:
        return str(self.path / _document(name))


def open_store(store: str | Path | Store | None) -> Store:
    """Return the store that is meant: a folder's, the one given, or a new one in memory."""
    if store is None:
        return MemoryStore()
    if isinstance(store, str | Path):
        return DirectoryStore(store)
    if callable(getattr(store, "load", None)) and callable(getattr(store, "save", None)):
        return store
    raise InputError(
        "store",
        got=f"a {type(store).__name__}",
        expected="a folder, a Store, or None for a store in memory",
        remedy='For example vs.Run(seeds, store="runs/z").',
    )
