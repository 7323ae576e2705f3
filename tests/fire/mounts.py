"""A small file system of one's own, for a process in a name space of mounts of its own."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_READ_ONLY, _REMOUNT = 1, 32


def mount_small(folder: Path, size: str) -> None:
    """Put an empty file system of that size on a folder."""
    _mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={size}".encode())


def remount(folder: Path, *, read_only: bool) -> None:
    """Forbid or allow writing to it."""
    flags = _REMOUNT | (_READ_ONLY if read_only else 0)
    _mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, None)


def _mount(
    source: bytes, target: bytes, kind: bytes | None, flags: int, data: bytes | None
) -> None:
    _checked(_LIBC.mount(source, target, kind, ctypes.c_ulong(flags), data))


def _checked(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
