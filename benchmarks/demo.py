"""The demo and the command line as whole processes: stage times, start-up, Python's own start.

Prints the wall time of `verisimile demo` by stage (8 members on 50 000 events, 80 toys under
three hypotheses for each of two samples), what of it comes after training, the processor time of
driver and workers together, and the start-up of `verisimile --help` beside that of a bare
interpreter.

    python benchmarks/demo.py [--without-help]
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START = "from verisimile.app.cli import main; import sys; sys.argv[0] = 'verisimile'; main()"
TRAINING = "ensemble training"
BUDGET = 60.0  # seconds of wall time on two idle cores


def main() -> None:
    """Run the demo once and the start-ups nine times."""
    if "--without-help" not in sys.argv[1:]:
        helped, bare = _median(["-c", START, "--help"]), _median(["-c", "pass"])
        print(f"verisimile --help: {helped:.2f} s; python -c pass: {bare:.2f} s; ", end="")
        print(f"ratio {helped / bare:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        began, spent = time.perf_counter(), _processor_time()
        _run(["-c", START, "demo", "--out", folder])
        total, spent = time.perf_counter() - began, _processor_time() - spent
        result = json.loads(Path(folder, "result.json").read_text(encoding="utf-8"))
    stages = {each["name"]: each["seconds"] for each in result["content"]["timings"]["stages"]}
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} in the last minute")
    print(f"{'stage':40s}{'wall':>8s}{'share':>8s}")
    told = {
        **stages,
        "start, figures, writing": total - sum(stages.values()),
        "all after training": total - stages[TRAINING],
        "verisimile demo, all": total,
    }
    for name, seconds in told.items():
        print(f"{name:40s}{seconds:6.1f} s{seconds / total:8.0%}")
    print(f"processor time of all processes {spent:.1f} s; wall over budget {total / BUDGET:.2f}")


def _processor_time() -> float:
    """Return user and system time of all processes that this one has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _median(arguments: list[str]) -> float:
    times = []
    for _ in range(9):
        began = time.perf_counter()
        _run(arguments)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _run(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


if __name__ == "__main__":
    main()
