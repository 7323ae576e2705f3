"""Files that are either whole or absent."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from verisimile.core.errors import StoreError

__all__ = ["write_atomic"]


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
