"""Run benchmarks, keep what they print, and make ``docs/measured.md`` of it.

    python benchmarks/_page.py [NAME ...]

Without names all of them run, which takes hours.  The page shows of each the newest output that is
kept in ``benchmarks/results``, with the day and the machine; no number of it is typed.
"""

from __future__ import annotations

import ast
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "measured.md"
INTRODUCTION = """# Measured

How long things take, beside whom, and how that grows.  Ratios are taken within one run,
against the named peer.  `make bench` runs all benchmarks and writes this page;
`make bench ONLY="ensemble_speed growth"` runs some.  Whether p-values and errors are *right*
is on the page [Calibrated](calibrated.md).
"""


def run(script: Path) -> None:
    """Run one benchmark and keep its output, if it comes to its end."""
    print(f"== {script.stem}", flush=True)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, cwd=HERE.parent
    )
    lines = []
    for line in process.stdout or ():
        print(line, end="", flush=True)
        lines.append(line)
    if process.wait():
        print(f"{script.stem} ended with {process.returncode}; its older output is kept")
        return
    facts = {
        "day": datetime.now(tz=UTC).date().isoformat(),
        "seconds": round(time.perf_counter() - started),
        "machine": f"{os.cpu_count()} cores, {processor()}",
        "versions": {name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn")},
        "output": "".join(lines),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{script.stem}.json").write_text(json.dumps(facts, indent=1) + "\n")


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def page(benchmarks: list[Path]) -> str:
    """Return the page of all outputs that are kept."""
    parts = [INTRODUCTION]
    for script in benchmarks:
        found = RESULTS / f"{script.stem}.json"
        summary, _, rest = (ast.get_docstring(ast.parse(script.read_text())) or "").partition("\n")
        parts.append(f"## {summary}\n")
        if not found.exists():
            parts.append(f"`benchmarks/{script.name}` was not run yet on this page.\n")
            continue
        facts = json.loads(found.read_text())
        libraries = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
        told = f"{facts['day']}, {facts['machine']}, {facts['seconds']} s; {libraries}."
        figure = HERE.parent / "docs" / "figures" / f"{script.stem}.png"
        shown = f"![{summary}](figures/{figure.name})\n" if figure.exists() else ""
        parts.append(f"`benchmarks/{script.name}`, {told}\n")
        parts.append(f"{prose(rest)}\n\n```text\n{facts['output'].rstrip()}\n```\n{shown}")
    return "\n".join(parts)


def prose(text: str) -> str:
    """Return the paragraphs of a docstring, without its lines of commands."""
    paragraphs = [part for part in text.strip().split("\n\n") if not part.startswith("    ")]
    return "\n\n".join(paragraphs)


def scripts() -> list[Path]:
    """Return all benchmarks."""
    return sorted(path for path in HERE.glob("*.py") if not path.name.startswith("_"))


def main() -> None:
    """Run what is named, or everything, and write the page."""
    known = scripts()
    wanted = set(sys.argv[1:]) or {path.stem for path in known}
    unknown = wanted - {path.stem for path in known}
    if unknown:
        raise SystemExit(f"no such benchmark: {', '.join(sorted(unknown))}")
    for script in known:
        if script.stem in wanted:
            run(script)
    PAGE.write_text(page(known))


if __name__ == "__main__":
    main()
