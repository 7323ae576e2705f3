"""Bytes of files, through slow network file systems, and every refusal by its name."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from verisimile.core.errors import StoreError
from verisimile.core.writers import FileWriter

Found = TypeVar("Found")

WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds before each further try where waiting may help: 1.55 s in all."""

_PASSING = {
    getattr(errno, name)
    for name in ("ESTALE", "EINTR", "EAGAIN", "EBUSY", "ETIMEDOUT", "EIO")
    if hasattr(errno, name)
}
_FULL = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_OBSTRUCTED = {errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENOTEMPTY, errno.EEXIST}
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EROFS}

_ENDING = ".tmp"
_OLD_NAME = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")  # of versions that named no writer
_LONGEST_STEM = 80
_DAY = 86_400.0


def patiently(action: Callable[[], Found]) -> Found:
    """Return what `action` returns, tried again after each of `WAITS` if the error may pass."""
    for wait in WAITS:
        try:
            return action()
        except OSError as error:
            if error.errno not in _PASSING:
                raise
        time.sleep(wait)
    return action()


def until_there(look: Callable[[], Found | None]) -> Found | None:
    """Return what `look` finds, looking again after each of `WAITS` while it is None.

    For what another machine is known to have written: a network file system may show it late.
    """
    found = look()
    for wait in WAITS:
        if found is not None:
            break
        time.sleep(wait)
        found = look()
    return found


@contextlib.contextmanager
def named(path: Path | str, expected: str) -> Iterator[None]:
    """Turn an operating system's refusal inside the block into a StoreError about `path`."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            str(path),
            got=f"{type(error).__name__}: {error}",
            expected=expected,
            remedy=_remedy(error.errno),
        ) from error


def _remedy(number: int | None) -> str:
    if number in _FULL:
        return (
            "Free some space or choose another folder; what is finished is kept, "
            "and the same command does the rest."
        )
    if number in _FORBIDDEN:
        return "Ask for the permission, or choose another folder."
    if number in _OBSTRUCTED:
        return "Something else is in its place: move that away, or choose another folder."
    if number == errno.ENAMETOOLONG:
        return "Choose a shorter name."
    return (
        "Look after the disk or the network file system, then run the same command again: "
        "what is finished is kept."
    )


def read_bytes(path: Path) -> bytes | None:
    """Return the bytes of a file, None if there is none; a StoreError says what is in the way."""
    with named(path, "a file that can be read"):
        try:
            return patiently(path.read_bytes)
        except FileNotFoundError:
            return None


def remove(path: Path) -> bool:
    """Remove a file and return whether there was one; a StoreError says what is in the way."""
    with named(path, "a file that can be removed"):
        # A read-only file system refuses to remove even what is not there.
        if not os.path.lexists(path):
            return False
        patiently(lambda: path.unlink(missing_ok=True))
        return True


def write_atomic(path: Path, data: bytes, *, folder: bool = True, sync: bool = True) -> None:
    """Write `data` to `path` so that no reader ever sees a part of it.

    Temporary file in the same folder, flush, fsync, ``os.replace``, fsync of
    the folder.  A process killed on the way leaves at most a hidden ``*.tmp``
    file that nobody reads, and :func:`sweep` finds.  A StoreError says that the
    file system refuses.

    Parameters
    ----------
    path
        Where to.
    data
        All of the file.
    folder
        Whether to wait until the new name is on the disk.
    sync
        Whether to wait until the bytes are.
    """
    # Not mkstemp: its mode 0600 would lock a shared folder for the group.
    temporary = path.parent / f".{path.name[:_LONGEST_STEM]}.{FileWriter()}{_ENDING}"
    with named(path, "a writable place"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(temporary, data, sync=sync)
            patiently(lambda: temporary.replace(path))
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    if folder:
        _sync_folder(path.parent)


def _write(path: Path, data: bytes, *, sync: bool) -> None:
    with path.open("xb") as handle:
        handle.write(data)
        handle.flush()
        if sync:
            sync_data(handle.fileno())


def sync_data(descriptor: int) -> None:
    """Wait until a file's bytes are on the disk, where the file system can tell."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


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


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, which need not exist; a StoreError names what is shut."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # somebody else's file that has gone
            with named(error.filename or folder, "a folder that can be read"):
                raise error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in names)


def is_temporary(path: Path) -> bool:
    """Return whether a file is one that :func:`write_atomic` makes on its way."""
    return _writer_of(path) is not None or _OLD_NAME.fullmatch(path.name) is not None


def abandoned(path: Path) -> bool:
    """Return whether nobody will finish a temporary file: its writer is dead, or a day has gone."""
    writer = _writer_of(path)
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return False
    return age > _DAY or (writer is not None and writer.gone)


def _writer_of(path: Path) -> FileWriter | None:
    """Return the writer in ``.stem.json.WRITER.tmp``; a writer has no dots."""
    parts = path.name.split(".")
    ours = len(parts) > 3 and not parts[0] and f".{parts[-1]}" == _ENDING
    return FileWriter.named(parts[-2]) if ours else None


def sweep(folder: Path) -> list[Path]:
    """Remove the temporary files below `folder` that nobody will finish, and return them."""
    return [path for path in files_below(folder) if _swept(path)]


def _swept(path: Path) -> bool:
    if not (is_temporary(path) and abandoned(path)):
        return False
    try:
        return remove(path)
    except StoreError:
        return False  # another user's, who will sweep it himself
