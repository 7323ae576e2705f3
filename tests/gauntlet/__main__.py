"""``python -m gauntlet``: run the grid, write its table, and end with 1 if anything is wrong."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from gauntlet.codes import code_digest, codes_of
from gauntlet.pairs import EVENTS
from gauntlet.registry import all_benches, cells
from gauntlet.runner import Plan, run_cells
from gauntlet.table import put_into, report
from verisimile.core.random import Seeds
from verisimile.core.run import Run

_ROOT = Path(__file__).parents[2]
_SEED = 20_261_129
_BUSY = 0.9  # share of the workers' time that is spent on pseudo-experiments
_FULL, _QUICK = 55.0, 5.0  # minutes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    told = _parser().parse_args(arguments)
    if told.events is not None:
        os.environ[EVENTS] = str(told.events.resolve())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # results keep what they warn of
        return _done(told)


def _done(told: argparse.Namespace) -> int:
    benches = all_benches()
    chosen = [benches[name] for name in (told.only or benches)]
    work = cells(chosen)
    minutes = told.budget or (_QUICK if told.quick else _FULL)
    seconds = 60.0 * minutes * told.workers * _BUSY
    codes = codes_of(told.folder, work, told.again)
    older = sum(code != code_digest() for code in codes)
    plan = Plan(seconds, 0.15, 3, codes) if told.quick else Plan(seconds, codes=codes)
    executor = "serial" if told.workers == 1 else f"loky:{told.workers}"
    run = Run(Seeds(told.seed), executor=executor, store=told.folder / "store")
    start = time.monotonic()
    found = report(work, run_cells(run, work, plan, _say), older=older)
    text = json.dumps(found.to_dict(), indent=1, allow_nan=False)
    (told.folder / "table.json").write_text(text, encoding="utf-8")
    (told.folder / "table.md").write_text(found.to_markdown(), encoding="utf-8")
    if told.page is not None and not (told.quick or told.only):  # the page shows the whole
        put_into(told.page, found.to_markdown())
    _say(f"{(time.monotonic() - start) / 60:.1f} minutes; the table is in {told.folder}")
    faults = found.faults(twins=not told.quick)  # a few experiments may miss a twin
    for fault in faults:
        _say(fault)
    _say(f"{len(faults)} faults" if faults else "all cells inside, or refused with a reason")
    return 1 if faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gauntlet", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few pseudo-experiments, no page")
    parser.add_argument("--budget", type=float, metavar="MINUTES", help="of all workers; 55")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=_SEED)
    parser.add_argument("--events", type=Path, help="a file of events to draw samples from as well")
    parser.add_argument("--only", nargs="+", metavar="BENCH", help="these benches alone")
    parser.add_argument(
        "--again",
        nargs="+",
        metavar="CELL",
        help="after a change: these cells anew (family/setting, * and ?), others as they were",
    )
    parser.add_argument("--folder", type=Path, default=_ROOT / "build" / "gauntlet")
    parser.add_argument("--page", type=Path, help="the page whose table is replaced")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
