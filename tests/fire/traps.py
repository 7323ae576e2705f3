"""Places inside tasks where a fault waits, and a log of how much work was done.

The folder of the traps is in the environment, which workers inherit; a trap is a file
``armed-STAGE`` with the name of a fault, and goes off once, in whichever process renames it first.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path

FOLDER = "FIRE_TRAPS"
"""The variable of the environment."""

_POISON = 1  # the place of the task that is deadly in each of its attempts
MOST = 1000.0  # seconds of a task without an end: longer than anybody waits


def arm(folder: Path, stage: str, fault: str) -> None:
    """Lay a trap in a stage."""
    waiting = folder / f"new-{stage}"
    waiting.write_text(fault)
    waiting.replace(folder / f"armed-{stage}")


def disarm(folder: Path, stage: str) -> None:
    """Take it away."""
    (folder / f"armed-{stage}").unlink(missing_ok=True)


def sprung(folder: Path, stage: str) -> bool:
    """Return whether it went off."""
    return (folder / f"sprung-{stage}").exists()


def worked(folder: Path, stage: str) -> int:
    """Return how often the stage's function was called in tasks."""
    log = folder / f"{stage}.log"
    return log.stat().st_size if log.exists() else 0


def step(stage: str) -> None:
    """Note one step of a stage, and go into the trap if it is there."""
    index = _task()
    if not (named := os.environ.get(FOLDER)) or index is None:
        return
    folder = Path(named)
    with (folder / f"{stage}.log").open("ab", buffering=0) as log:
        log.write(b".")
    try:
        fault = (folder / f"armed-{stage}").read_text()
    except FileNotFoundError:
        return
    if index == _POISON if fault == "poison" else _first(folder, stage):
        _FAULTS[fault](folder)


def _task() -> int | None:
    """Return the place of the task that runs, None outside of tasks."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == "perform":
            return int(frame.f_locals["call"].index)
    return None


def _first(folder: Path, stage: str) -> bool:
    try:
        (folder / f"armed-{stage}").rename(folder / f"sprung-{stage}")
    except FileNotFoundError:
        return False
    return True


def _driver(folder: Path) -> int:
    return int((folder / "driver").read_text())


def _die(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _poison(folder: Path) -> None:
    # For whoever does that task, until the trap is taken away.
    for armed in folder.glob("armed-*"):
        stage = armed.name.removeprefix("armed-")
        if (folder / f"{stage}.log").exists():
            (folder / f"sprung-{stage}").touch()
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_driver(folder: Path) -> None:
    os.kill(_driver(folder), signal.SIGKILL)
    time.sleep(2.0)  # so that its own task is not done


def _terminate(folder: Path) -> None:
    os.kill(_driver(folder), signal.SIGTERM)
    time.sleep(0.5)


def _kill_scheduler(folder: Path) -> None:
    os.kill(int((folder / "scheduler").read_text()), signal.SIGKILL)


def _stop(folder: Path) -> None:
    (folder / "stopped").write_text(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGSTOP)


def _hang(_: Path) -> None:
    end = time.monotonic() + MOST
    while time.monotonic() < end:
        time.sleep(0.05)


def _fill_disk(folder: Path) -> None:
    small = Path((folder / "small").read_text())
    with (small / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def _no_memory(_: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**24, before[1]))
    try:
        bytearray(2**30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _read_only(folder: Path) -> None:
    from fire.mounts import remount

    remount(Path((folder / "small").read_text()), read_only=True)


_FAULTS = {
    "kill-worker": _die,
    "kill-driver": _kill_driver,
    "terminate": _terminate,
    "kill-scheduler": _kill_scheduler,
    "stop": _stop,
    "hang": _hang,
    "fill-disk": _fill_disk,
    "no-memory": _no_memory,
    "poison": _poison,
    "read-only": _read_only,
}
