"""Where finished work is kept: one record per address, valid or not there."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from verisimile.core.canonical import JSON, plain, restored
from verisimile.core.directory_store import DirectoryStore
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

__all__ = [
    "JSON",
    "DirectoryStore",
    "MemoryStore",
    "Payload",
    "Receipt",
    "Record",
    "State",
    "Store",
    "check_address",
    "open_store",
]


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
