"""``python -m fuzz``: read damaged files and odd values, and end with 1 if a fault was found."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fuzz.cases import VALUES, WORDS
from fuzz.faults import replayed
from fuzz.outcomes import FAULTS
from fuzz.runner import Plan, run_plan
from fuzz.table import fault_lines, table
from verisimile.data.formats.registry import FORMATS

_ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    told = _parser().parse_args(arguments)
    if told.replay is not None:
        found = replayed(told.replay)
        _say(f"{found.kind}\n{found.about}")
        return 1 if found.kind in FAULTS else 0
    kinds = tuple(
        kind if kind in (WORDS, VALUES) else f".{kind.lstrip('.')}" for kind in told.format or ()
    )
    plan = Plan(told.folder, told.seed, told.inputs, kinds, told.workers, told.cpu, told.peak)
    start = time.monotonic()
    chunks = run_plan(plan, _say)
    faults = fault_lines(chunks)
    text = "\n".join([table(chunks), *faults, ""])
    (told.folder / "table.md").write_text(text, encoding="utf-8")
    _say(f"{text}\n{(time.monotonic() - start) / 60:.1f} minutes; the table is in {told.folder}")
    return 1 if faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="of all kinds together")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cpu", type=int, default=5, help="seconds for one input")
    parser.add_argument("--peak", type=int, default=2048, help="MiB for one input")
    parser.add_argument(
        "--format",
        nargs="+",
        metavar="KIND",
        choices=[*(suffix[1:] for suffix in FORMATS), WORDS, VALUES],
        help=f"these alone: a suffix, {WORDS} (of files and columns) or {VALUES} (in memory)",
    )
    parser.add_argument("--folder", type=Path, default=_ROOT / "build" / "fuzz")
    parser.add_argument("--replay", type=Path, help="one fault of a folder, in this process")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
