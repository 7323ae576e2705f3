"""Draw the figures of these pages again: all that the machine can, or those named.

.venv/bin/python docs/make_figures.py [NAME ...] [--demo demo-report/result.json] [--ring .ring]

Figures of small studies are made from nothing, in minutes.  Those of `make demo`, of the ring
study and of `make calibration` are made from what these have written; where that is not there, a
line says so.
``overhead``, ``growth`` and ``uncertainty`` are written by benchmarks.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent
DEMO = ("marginals", "tune", "null", "null-tune", "weights", "training", "demo")
GENERATORS = ("generators", "posterior")
STUDIES = (
    "coverage",
    "tilt",
    "places",
    "conditional",
    "validation",
    "described",
    "amplification",
    "families",
    "reweighting",
    "nights",
)


def main() -> None:
    """Call the scripts that draw what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--demo", type=Path, default=Path("demo-report/result.json"))
    parser.add_argument("--ring", type=Path, default=Path(".ring"))
    asked = parser.parse_args()
    wanted = set(asked.names)
    for script, names, source, arguments in (
        ("which_test", ("which-test",), None, []),
        ("study", STUDIES, None, [n for n in STUDIES if n in wanted]),
        ("generator", GENERATORS, None, [n for n in GENERATORS if n in wanted] or [*GENERATORS]),
        ("demo", DEMO, asked.demo, [str(asked.demo)]),
        ("honest", ("honest-bands",), DOCS.parent / "build" / "honest", []),
        ("benchmark", ("ring",), asked.ring, ["ring", str(asked.ring)]),
    ):
        if wanted and not wanted & set(names):
            continue
        if source is not None and not source.exists():
            sys.stderr.write(f"{', '.join(names)}: left as they are, {source} is not there\n")
            continue
        subprocess.run(
            [sys.executable, str(DOCS / f"make_{script}_figures.py"), *arguments], check=True
        )


if __name__ == "__main__":
    main()
