"""Where finished work is kept: one record per address, valid or not there."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from verisimile.core.canonical import JSON, plain, restore
from verisimile.core.errors import InputError, StoreError
from verisimile.core.records import Payload, Receipt, Record, State, check_address, examine, pack


class Store(Protocol):
    """Records under addresses, and a few JSON documents beside them.

    A record counts only if its text parses, its schema is known, its
    fingerprint is the expected one and its payload has the noted hash.
    """

    @property
    def portable(self) -> bool:
        """Whether the store may be sent to a worker, who then writes himself."""

    def load(self, address: str, fingerprint: str) -> Record | None:
        """Return the valid record at `address`, or None."""

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

    def load(self, address: str, fingerprint: str) -> Record | None:
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
        except ValueError as error:
            raise StoreError(
                self._place(name),
                got=f"text that is not JSON ({error})",
                expected="a JSON document",
            ) from None

    def write_json(self, name: str, value: JSON) -> None:
        """Write the document `name` in one piece."""
        document = _document(name)
        if self._read(document.removesuffix(".json") + ".safetensors") is not None:
            raise StoreError(
                self._place(name), got="the address of a record", expected="a name that is free"
            )
        text = json.dumps(plain(value, name), indent=1, allow_nan=False)
        self._write(document, text.encode())

    def _examine(self, address: str, fingerprint: str) -> tuple[State, Record | None]:
        text = self._read(f"{check_address(address)}.json")
        return examine(address, fingerprint, text, lambda: self._read(f"{address}.safetensors"))


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
    """Records as pairs of files below one folder, documents as single ones.

    The payload is written first, so a JSON file is the mark of a finished
    record; whatever a killed process leaves behind fails the hash check or is
    a hidden ``*.tmp`` file.  Several processes may write at the same time.
    """

    __slots__ = ("path",)

    portable = True

    def __init__(self, path: str | Path) -> None:
        # Absolute, because a worker may have another working directory.
        self.path = Path(path).expanduser().absolute()
        if self.path.exists() and not self.path.is_dir():
            raise InputError("store", got=f"the file {self.path}", expected="a folder")

    def __repr__(self) -> str:
        """Return one line with the folder."""
        return f"DirectoryStore({str(self.path)!r})"

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, name: str, data: bytes) -> None:
        write_atomic(self.path / name, data)

    def _remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def _names(self, folder: str) -> Iterable[str]:
        files = (self.path / folder).rglob("*.*")
        return (file.relative_to(self.path).as_posix() for file in files)

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


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that no reader ever sees a part of it.

    Temporary file in the same folder, flush, fsync, ``os.replace``, fsync of
    the folder.  A process killed on the way leaves at most a hidden ``*.tmp``
    file that nobody reads.  A StoreError says that the file system refuses.
    """
    # Not mkstemp: its mode 0600 would lock a shared folder for the group.
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_durably(temporary, data)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(
            str(path),
            got=f"{type(error).__name__}: {error}",
            expected="a writable place",
            remedy="Free some space or choose another folder.",
        ) from error
    _sync_folder(path.parent)


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("xb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    # Some network file systems cannot sync a folder; the hash check of the
    # records covers a rename that is lost with a power cut.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
