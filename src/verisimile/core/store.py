"""Where finished work is kept: one record per address, valid or not there."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from pathlib import Path
from typing import Protocol

from verisimile.core.canonical import JSON, plain, restored
from verisimile.core.errors import InputError, StoreError
from verisimile.core.records import (
    Payload,
    Receipt,
    Record,
    State,
    check_address,
    examine,
    pack,
)


class Store(Protocol):
    """Records under addresses, and a few JSON documents beside them.

    A record counts only if its text parses, its schema is known, its
    fingerprint is the expected one and its payload has the noted hash.
    """

    @property
    def portable(self) -> bool:
        """Whether the store may be sent to a worker, who then writes himself."""
        ...

    def load(self, address: str, fingerprint: str) -> Record | None:
        """Return the valid record at `address`, or None."""
        ...

    def state(self, address: str, fingerprint: str) -> State:
        """Return whether the record is missing, stale, corrupt or valid."""
        ...

    def save(
        self, address: str, fingerprint: str, label: str, payload: Payload, *, seeds: str = ""
    ) -> Receipt:
        """Write the record, in place of any older one."""
        ...

    def addresses(self, prefix: str = "") -> list[str]:
        """Return the sorted addresses below the folder `prefix`, of records of any state."""
        ...

    def read_json(self, name: str) -> JSON:
        """Return the document `name`, or None if there is none."""
        ...

    def write_json(self, name: str, value: JSON) -> None:
        """Write the document `name` in one piece."""
        ...


class MemoryStore:
    """A store in this process: nothing outlives it, everything else is the same.

    It holds the very bytes that a `DirectoryStore` would write, so arrays are
    copied and hash-checked here too.
    """

    __slots__ = ("_documents", "_records")

    portable = False

    def __init__(self) -> None:
        self._records: dict[str, tuple[bytes, bytes]] = {}
        self._documents: dict[str, JSON] = {}

    def __repr__(self) -> str:
        """Return one line with the number of records."""
        return f"MemoryStore({len(self._records)} records)"

    def load(self, address: str, fingerprint: str) -> Record | None:
        """Return the valid record at `address`, or None."""
        return self._examine(address, fingerprint)[1]

    def state(self, address: str, fingerprint: str) -> State:
        """Return whether the record is missing, stale, corrupt or valid."""
        return self._examine(address, fingerprint)[0]

    def save(
        self, address: str, fingerprint: str, label: str, payload: Payload, *, seeds: str = ""
    ) -> Receipt:
        """Keep a copy of the payload, in place of any older one."""
        data, text, receipt = pack(address, fingerprint, label, payload, seeds=seeds)
        self._records[address] = (text, data)
        return receipt

    def addresses(self, prefix: str = "") -> list[str]:
        """Return the sorted addresses below the folder `prefix`."""
        start = f"{check_address(prefix)}/" if prefix else ""
        return sorted(address for address in self._records if address.startswith(start))

    def read_json(self, name: str) -> JSON:
        """Return the document `name`, or None if there is none."""
        return restored(self._documents.get(_document(name)))

    def write_json(self, name: str, value: JSON) -> None:
        """Keep a copy of the document `name`."""
        key = _document(name)
        if key in self._records:
            raise StoreError(
                name, got="the address of a record", expected="a name that is free", remedy=""
            )
        self._documents[key] = plain(value, name)

    def _examine(self, address: str, fingerprint: str) -> tuple[State, Record | None]:
        text, data = self._records.get(check_address(address), (None, b""))
        return examine(address, fingerprint, text, lambda: data)


def open_store(store: str | Path | Store | None) -> Store:
    """Return the store that is meant: a folder's, the one given, or a new one in memory.

    Raises
    ------
    InputError
        If it is none of these.
    """
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


def _document(name: str) -> str:
    return check_address(name).removesuffix(".json")


class DirectoryStore:
    """Records as pairs of files below one folder.

    The record at ``members/0007`` is ``members/0007.safetensors`` (arrays) and
    ``members/0007.json`` (schema, fingerprint, label, seeds, meta, hashes).
    The payload is written first, so a JSON file is the mark of a finished
    record; whatever a killed process leaves behind fails the hash check or is
    a hidden ``*.tmp`` file.  Several processes may write at the same time.

    Raises
    ------
    InputError
        If `path` is a file.
    """

    __slots__ = ("path",)

    portable = True

    def __init__(self, path: str | Path) -> None:
        # Absolute, because a worker may have another working directory.
        self.path = Path(path).expanduser().absolute()
        if self.path.exists() and not self.path.is_dir():
            raise InputError("store", got=f"the file {self.path}", expected="a folder", remedy="")

    def __repr__(self) -> str:
        """Return one line with the folder."""
        return f"DirectoryStore({str(self.path)!r})"

    def load(self, address: str, fingerprint: str) -> Record | None:
        """Return the valid record at `address`, or None."""
        return self._examine(address, fingerprint)[1]

    def state(self, address: str, fingerprint: str) -> State:
        """Return whether the record is missing, stale, corrupt or valid."""
        return self._examine(address, fingerprint)[0]

    def save(
        self, address: str, fingerprint: str, label: str, payload: Payload, *, seeds: str = ""
    ) -> Receipt:
        """Write payload, then record, in place of any older ones.

        Raises
        ------
        StoreError
            If the file system refuses.
        """
        data, text, receipt = pack(address, fingerprint, label, payload, seeds=seeds)
        write_atomic(self._file(address, ".safetensors"), data)
        write_atomic(self._file(address, ".json"), text)
        return receipt

    def addresses(self, prefix: str = "") -> list[str]:
        """Return the sorted addresses below the folder `prefix`."""
        folder = self.path / check_address(prefix) if prefix else self.path
        found = (
            path.relative_to(self.path).as_posix().removesuffix(".json")
            for path in folder.rglob("*.json")
        )
        return sorted(address for address in found if self._file(address, ".safetensors").is_file())

    def read_json(self, name: str) -> JSON:
        """Return the document `name`, or None if there is none.

        Raises
        ------
        StoreError
            If the file is not JSON.
        """
        path = self._document(name)
        text = _bytes(path)
        if text is None:
            return None
        try:
            value: JSON = json.loads(text)
        except ValueError as error:
            raise StoreError(
                str(path), got=f"text that is not JSON ({error})", expected="a JSON document"
            ) from None
        return restored(value)

    def write_json(self, name: str, value: JSON) -> None:
        """Write the document `name` (``manifest`` is ``manifest.json``) in one piece."""
        path = self._document(name)
        if path.with_name(path.name.removesuffix(".json") + ".safetensors").exists():
            raise StoreError(
                str(path), got="the address of a record", expected="a name that is free"
            )
        write_atomic(path, json.dumps(plain(value, name), indent=1, allow_nan=False).encode())

    def _examine(self, address: str, fingerprint: str) -> tuple[State, Record | None]:
        text = _bytes(self._file(check_address(address), ".json"))
        payload = self._file(address, ".safetensors")
        return examine(address, fingerprint, text, lambda: _bytes(payload))

    def _file(self, address: str, suffix: str) -> Path:
        # Not with_suffix: an address may contain dots.
        return self.path / f"{address}{suffix}"

    def _document(self, name: str) -> Path:
        return self._file(check_address(name).removesuffix(".json"), ".json")


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that no reader ever sees a part of it.

    Temporary file in the same folder, flush, fsync, ``os.replace``, fsync of
    the folder.  A process killed on the way leaves at most a hidden ``*.tmp``
    file that nobody reads.

    Raises
    ------
    StoreError
        If the file system refuses (full, read-only, no permission).
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
