"""Commands in processes of their own, stopped before they keep a chosen record.

Where a signal meets a command must not depend on how fast either is: the command waits for it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_PATIENCE = 300.0  # seconds: far beyond any machine's need, below the time limit of a test
_WAITING = """
import signal, sys
from pathlib import Path
from verisimile.app.cli import main
from verisimile.core.store import DirectoryStore

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
sign, record = Path(sys.argv.pop(1)), sys.argv.pop(1)

def waiting(keep):
    def wait_or_keep(self, address, *args, **kwargs):
        if record in address:
            sign.touch()
            while True:
                signal.pause()
        return keep(self, address, *args, **kwargs)
    return wait_or_keep

DirectoryStore.save = waiting(DirectoryStore.save)
DirectoryStore.append = waiting(DirectoryStore.append)
main()
"""


def stop_before(
    record: str, command: Sequence[object], blow: signal.Signals, sign: Path
) -> tuple[int, str, str]:
    """Run a serial command, send `blow` when it is about to keep an address with `record` in it.

    Returns its exit code, output and errors; `sign` is a file that is not there yet.
    """
    words = [str(word) for word in (sign, record, *command)]
    process = subprocess.Popen(
        [sys.executable, "-c", _WAITING, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + _PATIENCE
    while not sign.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"never came to keep {record!r}"
        time.sleep(0.005)
    process.send_signal(blow)
    out, err = process.communicate(timeout=_PATIENCE)
    return process.returncode, out, err
