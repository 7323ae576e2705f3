"""The table of faults: each executor, each fault, in every stage of a small study.

Fit, goodness of fit, validation and coverage (``tests/fire/study.py``) are done by real processes,
to which the fault happens once in each of the four stages; where it ends the driver, the same call
is made again until all is done.  `same` says whether every number is, bit for bit, that of an
undisturbed serial run; `ends` how the drivers ended, one after the other (4 an error by name and
work kept, -9 killed, 0 done); `again` how many steps (members, toys, blocks of relabelings, data
sets) of 388 were done more than once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import verisimile as vs
from fire import study
from fire.scenario import EXECUTORS, FAULTS, OF_THE_DISK, STEPS, sensible

TESTS = Path(__file__).resolve().parents[1] / "tests"


def row(fault: str, executor: str) -> dict[str, object]:
    """Return what came of one row."""
    words = ["unshare", "-rm"] if fault in OF_THE_DISK else []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        words += [sys.executable, "-m", "fire.scenario", fault, executor, f"{folder}/fire"]
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"digest": "", "ends": [], "steps": {}, "said": done.stderr[-500:]}
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the table."""
    quiet = study.perform_stages(vs.Run(vs.Seeds(study.SEED)), study.STAGES)
    print(f"{'fault':16}{'executor':10}{'same':6}{'again':>6}{'s':>6}  ends")
    for executor in EXECUTORS:
        for fault in FAULTS:
            if not sensible(fault, executor):
                continue
            began = time.perf_counter()
            found = row(fault, executor)
            same = "yes" if found["digest"] == quiet else "NO"
            steps = found["steps"]
            more = sum(steps.values()) - sum(STEPS.values()) if isinstance(steps, dict) else 0
            seconds = time.perf_counter() - began
            print(
                f"{fault:16}{executor:10}{same:6}{more:6d}{seconds:6.0f}  {found['ends']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
