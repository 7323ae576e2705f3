"""Names of files that say who writes them, and whether that process is still there."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import socket
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_NAME = re.compile(r"(?P<machine>[^/.]+)-(?P<pid>[0-9]{1,10})-(?P<token>[0-9a-f]{8})")
_LONGEST_HOST = 40


@functools.cache
def this_machine() -> str:
    """Return what tells this machine from all others whose process numbers mean another thing.

    The host name alone does not: containers on one host count processes on their own, and
    cloned machines share a name.  Six digits stand for kernel boot and process namespace.
    """
    host = re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())[:_LONGEST_HOST]
    parts = []
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return f"{host}_{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:6]}"


@dataclass(frozen=True, slots=True)
class FileWriter:
    """A process that writes files, as their names say it.

    Parameters
    ----------
    machine
        Of the process; see :func:`this_machine`.
    pid
        Its number there.
    token
        Eight random digits, so that no two files of it have one name.
    """

    machine: str = field(default_factory=this_machine)
    pid: int = field(default_factory=os.getpid)
    token: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def __str__(self) -> str:
        """Return the part of a file name that :meth:`named` reads."""
        return f"{self.machine}-{self.pid}-{self.token}"

    @classmethod
    def named(cls, text: str) -> FileWriter | None:
        """Return the writer that a text names, None if it names none."""
        found = _NAME.fullmatch(text)
        return cls(found["machine"], int(found["pid"]), found["token"]) if found else None

    @property
    def gone(self) -> bool:
        """Whether the process is known to be dead; of another machine nothing is known."""
        return self.machine == this_machine() and not alive(self.pid)


def alive(pid: int, born: int | None = None) -> bool:
    """Return whether a process of this machine is there; in doubt it is.

    `born`, from :func:`birth`, tells it from a later process with the same number.
    """
    if os.name != "posix":
        return True  # os.kill would not ask there, but kill
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    told = _status(pid)
    if told is None:
        return True
    state, started = told
    # A zombie has ended, though its parent has not asked yet.
    return state not in "ZX" and born in (None, started)


def birth(pid: int) -> int | None:
    """Return when a process of this machine began, in ticks since the boot, if /proc tells."""
    told = _status(pid)
    return None if told is None else told[1]


def _status(pid: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command's name, in brackets, may hold anything.
    words = text.rpartition(")")[2].split()
    return words[0], int(words[19])
