"""Digests of what the commands write: whether a change of the code has moved a number.

    python tests/reference/digests.py --write before.json     # on the code as it was
    python tests/reference/digests.py --check before.json     # on the code as it is

Every command runs in a folder of its own, on the embedded events, with few members, toys and
relabelings.  What names no number (dates, versions, timings, the machine) is left out.  Digests are
those of one machine: another processor rounds the last bits differently, so that none are
kept here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from verisimile.data.events import Events
from verisimile.data.example import load_example
from verisimile.data.files import write_events

_VARYING = {"written", "versions", "timings", "seconds", "machine", "python", "cpus"}
_TRAINING = ("--members", "3", "--epochs", "2")
COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "demo": (("demo", "--toys", "19", *_TRAINING, "--out", "out"),),
    "validate": (
        ("validate", "truth.parquet", "tune.parquet", "--train", "train.parquet")
        + ("--permutations", "99", "--out", "out"),
    ),
    "validate with weights": (
        ("validate", "truth.parquet", "tune.parquet", "--weights", "pt_ll")
        + ("--permutations", "99", "--out", "out"),
    ),
    "amplify": (
        ("amplify", "tune.parquet", "--holdout", "truth.parquet", "--train", "train.parquet")
        + ("--regions", "5,10", "--out", "out"),
    ),
    "compare": (
        ("compare", "a", "--against", "b", "--truth", "truth.parquet")
        + ("--score", "trees", "--out", "out"),
    ),
    "coverage": (
        ("fit", "train.parquet", "--fit-fraction", "0.4", *_TRAINING, "--out", "run"),
        ("coverage", "run", "--datasets", "20", "--events", "200", "--report", "out"),
    ),
}


def main() -> None:
    """Write digests, or compare with written ones; exit with 1 if one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--check", type=Path)
    options = parser.parse_args()
    # Read first: a file that is not there must not cost the minutes that follow.
    before = json.loads(options.check.read_text(encoding="utf-8")) if options.check else {}
    found = {}
    for name, commands in COMMANDS.items():
        found[name] = _digest(commands)
        print(f"{name}: {found[name]}", flush=True)
    if options.write:
        options.write.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if options.check:
        moved = sorted(name for name in found if found[name] != before.get(name))
        print(f"moved: {', '.join(moved) or 'nothing'}")
        sys.exit(bool(moved))


def _digest(commands: tuple[tuple[str, ...], ...]) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_inputs(folder)
        for command in commands:
            code = "from verisimile.app.cli import main; main()"
            done = subprocess.run(
                [sys.executable, "-c", code, *command, "--executor", "serial"],
                cwd=folder,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
            if not (folder / "out" / "result.json").exists() and command is commands[-1]:
                sys.exit(f"{' '.join(command)} wrote no result.json:\n{done.stdout}{done.stderr}")
        result = json.loads((folder / "out" / "result.json").read_text(encoding="utf-8"))
    text = json.dumps(_constant(result), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _write_inputs(folder: Path) -> None:
    samples = load_example()
    truth, tune = samples["truth"], samples["generator_tune"]
    write_events(truth.take(np.arange(0, 1500)), folder / "truth.parquet")
    write_events(truth.take(np.arange(1500, 3000)), folder / "train.parquet")
    write_events(tune.take(np.arange(0, 1500)), folder / "tune.parquet")
    for family, source in (("a", truth), ("b", tune)):
        (folder / family).mkdir()
        for i in range(4):
            write_events(_part(source, i), folder / family / f"{i}.parquet")


def _part(source: Events, i: int) -> Events:
    return source.take(np.arange(3000 + 500 * i, 3500 + 500 * i))


def _constant(value: object) -> object:
    if isinstance(value, dict):
        return {k: _constant(v) for k, v in value.items() if k not in _VARYING}
    if isinstance(value, list):
        return [_constant(item) for item in value]
    return value


if __name__ == "__main__":
    main()
