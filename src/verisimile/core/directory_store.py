"""A store in a folder: atomic files, checked by hash when read."""

from __future__ import annotations

import json
from pathlib import Path

from verisimile.core.atomic import write_atomic
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

__all__ = ["DirectoryStore"]


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
