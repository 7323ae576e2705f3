"""Run published experiments again, keep their numbers, and make their pages.

    cd benchmarks && python -m published [NAME ...] [--size reduced|full] [--folder F] [--pages]

Without names all of them run.  Finished studies of the folder are not run again, unfinished ones go
on; ``--pages`` writes the pages of what there is.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy
import scipy
import torch

import verisimile as vs
from published import pages
from published.registry import SIZES, Json, Size, Study, studies

ROOT = Path(__file__).resolve().parents[2]
SEED = 2026


def main() -> None:
    """Run what the command line names."""
    known = studies()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--size", choices=SIZES, default="reduced")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "studies")
    parser.add_argument("--executor", default="loky:2")
    parser.add_argument("--pages", action="store_true", help="only write the pages")
    asked = parser.parse_args()
    for name in asked.names:
        if name not in known:
            parser.error(f"unknown study {name}; there are {', '.join(known)}")
    if not asked.pages:
        for name in asked.names or known:
            _run(known[name], asked.size, asked.folder / f"{name}-{asked.size}", asked.executor)
    pages.write()


def _run(study: Study, size: Size, folder: Path, executor: str) -> None:
    done = folder / "result.json"
    if done.exists():
        print(f"{study.name}: kept in {done}", flush=True)
        found = json.loads(done.read_text(encoding="utf-8"))
    else:
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{study.name} ({size}) ...", flush=True)
        found = _measured(study, size, folder, executor)
        _write(done, found)
        print(f"  {found['spent']['wall_minutes']:.1f} min", flush=True)
    _write(pages.RESULTS / f"{study.name}.json", found)


def _measured(study: Study, size: Size, folder: Path, executor: str) -> Json:
    resumed = (folder / "store").exists()
    run = vs.Run(vs.Seeds(SEED).at(study.name), executor=executor, store=folder / "store")
    began, cpu = time.perf_counter(), _cpu()
    numbers = study.measure(run, size)
    run.executor.abort()  # idle workers would stay, and their time counts when they have ended
    return {
        "study": study.name,
        "size": size,
        "seed": SEED,
        "numbers": numbers,
        "spent": {
            "cpu_minutes": round((_cpu() - cpu) / 60.0, 2),
            "counted": "all processes",
            "resumed": resumed,
            "wall_minutes": round((time.perf_counter() - began) / 60.0, 2),
        },
        "made": {
            "verisimile": vs.__version__,
            "numpy": numpy.__version__,
            "scipy": scipy.__version__,
            "torch": torch.__version__,
        },
    }


def _cpu() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def _write(path: Path, found: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
