"""The arena's table: all our measures and those of other packages, and the page of them.

    cd benchmarks && python -m arena [--executor loky:2] [--folder build/arena] [--page]

Answers are kept in the folder: the same command goes on where it stopped.  ``--page`` only
writes ``docs/arena.md`` and its figure again, from ``benchmarks/results/arena.json``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
from pathlib import Path

import verisimile as vs
from arena.page import write_page
from arena.peers import peers
from verisimile.core.result import save
from verisimile.ranking.own import own_metrics

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
SEED = 2026


def main() -> None:
    """Ask what has not been asked, and write results and page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--executor", default="loky:2")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "arena")
    parser.add_argument("--page", action="store_true", help="only write the page")
    asked = parser.parse_args()
    if not asked.page:
        measure(asked.folder, asked.executor)
    write_page(RESULTS, ROOT / "docs")


def measure(folder: Path, executor: str) -> None:
    """Ask every metric, one after the other, and keep the table."""
    run = vs.Run(vs.Seeds(SEED), executor=executor, store=folder)
    metrics = {**own_metrics(), **peers()}
    for name, metric in metrics.items():
        found = vs.arena(run, {name: metric})
        print(f"{name}: {found.costs.total if found.costs else 0.0:.0f} s of CPU", flush=True)
    found = vs.arena(run, metrics)
    save(found, RESULTS / "arena.json")
    save(found.costs, RESULTS / "arena_costs.json")


if __name__ == "__main__":
    main()
