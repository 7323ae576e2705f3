"""How much memory may still be taken, and the refusal of what declares more than that."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from verisimile.core.errors import InputError, require

_SHARE = 0.8  # of what is available; the rest is for the work
_SMALL = 2**20  # bytes, not worth a look at what is left
_LARGE = 512 * 2**20  # bytes
_RATIO = 400  # bytes in memory for one of the file: real events reach about ten

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def available_memory() -> float:
    """Return the bytes that this process may still take; infinite where nobody knows.

    The least of what the machine has left, the process group and the process are allowed.
    """
    return max(0.0, min(_limits(), default=math.inf))


def require_memory(needed: int, where: str, *, stored: int | None = None, what: str = "") -> None:
    """Raise an InputError if `needed` bytes are not there, or too many for `stored` ones on disk.

    Called with what a file *declares*, before anything of that size is allocated.
    """
    if needed <= _SMALL:
        return
    said = f"{what or 'values'} of {_size(needed)}"
    free = available_memory()
    require(
        needed <= _SHARE * free,
        where,
        got=said,
        expected=f"less than {_SHARE:.0%} of the available memory ({_size(free)})",
        remedy="Name the features that are needed, or take a part of the events.",
    )
    if stored is not None and needed > _LARGE and needed > _RATIO * max(stored, 1):
        raise InputError(
            where,
            got=f"{said} in {_size(stored)} on disk",
            expected=f"at most {_RATIO} times the size of the file",
            remedy="A damaged or hostile file declares more than it holds; a real one with so "
            "few different values can be written without compression.",
        )


def _limits() -> Iterator[float]:
    machine = _first_number(_MEMINFO, "MemAvailable:")
    if machine is not None:
        yield 1024.0 * machine
    elif hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        yield float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    group = _number(_GROUP / "memory.max")
    used = _number(_GROUP / "memory.current")
    if group is not None and used is not None:
        # Pages of files that nobody has open count as used, and are given back when asked for.
        cached = _first_number(_GROUP / "memory.stat", "inactive_file") or 0.0
        yield group - used + cached
    if sys.platform != "win32":
        import resource  # noqa: PLC0415  (not everywhere)

        allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
        pages = _number(Path("/proc/self/statm"))
        if allowed != resource.RLIM_INFINITY and pages is not None:
            yield allowed - pages * os.sysconf("SC_PAGE_SIZE")


def _number(path: Path) -> float | None:
    """Return the first word of a file as a number; None without the file or a number."""
    try:
        return float(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _first_number(path: Path, key: str) -> float | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) for line in lines if line.split()[0] == key), None)


def _size(number: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024.0:
            return f"{number:.0f} {unit}" if number >= 100.0 else f"{number:.3g} {unit}"
        number /= 1024.0
    return f"{number:.3g} TiB"
