"""Processes that write into run folders, to be started, stopped and killed by tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

APPENDER = """
import sys
import numpy as np
from verisimile.core.records import Payload
from verisimile.core.store import DirectoryStore

folder, prefix, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = DirectoryStore(folder)
for index in range(number):
    store.append(f"{prefix}/{index:05d}", "f", "toys", Payload({"x": np.full(50, float(index))}))
    if index == 0:
        print("ready", flush=True)
"""

CLAIMER = """
import sys
from pathlib import Path
from verisimile.core.errors import StoreError
from verisimile.core.lease import Lease

fingerprint, *folders = sys.argv[1:]
print("ready", flush=True)
for folder in folders:
    sys.stdin.readline()
    lease = Lease.of(Path(folder))
    try:
        claim = lease.claim("members/0000", fingerprint, "members")
    except StoreError as error:
        print("refused", error, flush=True)
    else:
        print("shares" if claim.shared else "holds", *claim.notes, flush=True)
    sys.stdin.readline()
    if folder != folders[-1]:
        lease.close()
"""

NO_PRIVILEGE = """
import ctypes
# Root may write everywhere: take CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH from this process.
header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None).capget(header, sets) == 0
sets[0] &= ~0b110
assert ctypes.CDLL(None).capset(header, sets) == 0
"""


class Process:
    """A Python process that reads lines from us and prints lines for us."""

    def __init__(self, code: str, *arguments: object) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    @property
    def pid(self) -> int:
        """Its number."""
        return self.popen.pid

    def line(self) -> str:
        """Return the next line that it prints."""
        return _of(self.popen.stdout).readline().strip()

    def go_on(self) -> None:
        """Send it a line."""
        _of(self.popen.stdin).write("\n")
        _of(self.popen.stdin).flush()

    def end(self) -> None:
        """Let it come to its end, and wait for that."""
        self.popen.communicate(timeout=120)

    def kill(self) -> None:
        """Kill it, and wait for that."""
        self.popen.kill()
        self.popen.communicate(timeout=120)


def _of(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise AssertionError("the stream was not asked for")
    return stream


def segments_of(folder: Path) -> list[Path]:
    """Return the segments of a run folder."""
    return sorted((folder / "segments").glob("*.log"))
