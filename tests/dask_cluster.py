"""A dask scheduler and its workers as processes of their own, on 127.0.0.1."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 120.0  # seconds: far beyond any machine's need


def until(condition: Callable[[], object]) -> None:
    """Wait for it, and fail loudly if it never comes."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it never came")
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class DaskProcesses:
    """A scheduler that writes a scheduler file, and workers that read it.

    Leaving the block ends them all by their ids; a nanny takes its worker with it.
    """

    def __init__(self, folder: Path, *, allowed_failures: int = 3) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures),
        }
        self.env.pop("OMP_NUM_THREADS", None)
        folder.mkdir(parents=True, exist_ok=True)
        self.scheduler = self._start("dask_scheduler", "--port", "0")

    @property
    def executor(self) -> str:
        """The word for it."""
        return f"dask:scheduler-file={self.file}"

    @property
    def address(self) -> str:
        """The scheduler's address, once it is there."""
        until(self.file.exists)
        return str(json.loads(self.file.read_text())["address"])

    def worker(self, *, threads: int = 1, nanny: bool = False) -> subprocess.Popen[bytes]:
        """Start one more worker."""
        return self._start(
            "dask_worker",
            "--nthreads",
            str(threads),
            "--nanny" if nanny else "--no-nanny",
            "--memory-limit",
            "0",
            "--local-directory",
            str(self.folder),
        )

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End one of them at once."""
        process.send_signal(signal.SIGKILL)
        process.wait()

    def __enter__(self) -> DaskProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            self.kill(process)

    def _start(self, module: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *options]
        command += ["--scheduler-file", str(self.file), "--host", "127.0.0.1", "--no-dashboard"]
        with (self.folder / f"{module}.{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=self.env, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=log
            )
        self.processes.append(process)
        return process
