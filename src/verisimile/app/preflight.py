"""What can be checked before any work: where results go, and whether they can say anything."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from verisimile.core.errors import InputError, StoreError
from verisimile.report.owned import check_own

_LEAST = 50 * 2**20  # bytes: a report, and the records of a small run


def check_folder(folder: Path, option: str = "--out") -> None:
    """Raise unless files can be written into `folder`, which need not exist yet.

    Hours of work must not end in a place where nothing can be kept.  Nothing is written here.

    Raises
    ------
    InputError
        If a file is in the way, or the place is not writable.
    StoreError
        If the disk is full.
    """
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise InputError(option, got=f"{place}, which is a file", expected="a folder")
    place = existing(folder)
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(
            option,
            got=f"{place}, where nothing may be written",
            expected="a folder that is yours, or that can be made",
            remedy="Choose another folder.",
        )
    free = shutil.disk_usage(place).free
    if free < _LEAST:
        raise StoreError(
            option,
            got=f"{free / 2**20:.3g} MiB left on the disk of {place}",
            expected=f"{_LEAST / 2**20:.0f} MiB or more",
            remedy="Free some space or choose another folder.",
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def check_report(folder: Path, option: str = "--out", *, force: bool) -> None:
    """Raise unless a report can be written into `folder` without a loss to anybody.

    Raises
    ------
    InputError, StoreError
        As :func:`check_folder`, and if a file there is not a report's, unless by `force`.
    """
    check_folder(folder, option)
    check_folder(folder / "figures", option)
    check_own(folder, force=force)


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    whole = folder.expanduser().absolute()
    return next(place for place in (whole, *whole.parents) if place.is_dir())
