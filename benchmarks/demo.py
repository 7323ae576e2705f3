"""The demo and the command line as whole processes: stage times, start-up, Python's own start.

Prints the wall time of `verisimile demo` by stage (8 members on 50 000 events,
200 toys), and the start-up of `verisimile --help` beside that of a bare interpreter.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START = "from verisimile.app.cli import main; import sys; sys.argv[0] = 'verisimile'; main()"


def main() -> None:
    """Run the demo once and the start-ups nine times."""
    helped, bare = _median(["-c", START, "--help"]), _median(["-c", "pass"])
    print(f"verisimile --help: {helped:.2f} s; python -c pass: {bare:.2f} s; ", end="")
    print(f"ratio {helped / bare:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        _run(["-c", START, "demo", "--out", folder])
        total = time.perf_counter() - began
        result = json.loads(Path(folder, "result.json").read_text(encoding="utf-8"))
    for stage in result["content"]["timings"]["stages"]:
        print(f"{stage['name']:28s}{stage['seconds']:8.1f} s")
    print(f"{'verisimile demo, all':28s}{total:8.1f} s")


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
