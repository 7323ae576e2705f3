"""Pages of ``docs/studies`` from the JSON files in ``results``: no number of ours is typed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from published.registry import Json, Study, studies, table
from verisimile.report import style

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
DOCS = HERE.parents[1] / "docs"
PAGES = DOCS / "studies"
# What results have counted that do not say it: workers of a pool outlived the count.
_LEADING = "the leading process without its workers"
_MOMENT = 0.05  # minutes: who took less had all records from an earlier run
_INTRODUCTION = """# The papers' experiments

**What it answers.**  Published experiments, done again with this package: the published number
beside ours, and where they differ, why.

```console
make studies                             # all, at sizes for two cores
make studies ARGS="{first}"     # one
make studies ARGS="--size full"          # published sizes; hours, some want a GPU
```

An interrupted command goes on where it stopped.  Numbers are kept as JSON in
`benchmarks/published/results`; these pages and their figures are made of them, and no number of
ours is typed.  Which row of which paper is where is on the page
[Coverage of the papers](coverage-of-the-papers.md).
"""


def kept(study: Study) -> Json | None:
    """Return the kept result of a study, if it has been run."""
    path = RESULTS / f"{study.name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def page(study: Study, found: Json) -> str:
    """Return the page of one study."""
    spent, made = found["spent"], found["made"]
    return (
        f"# {study.title}\n\n**What it answers.**  {study.question}\n\n"
        f"Source: {study.source}.\n\n"
        f'```console\nmake studies ARGS="{study.name}"\n```\n\n'
        f"{study.words(found['numbers']).strip()}\n\n"
        f"## How it was run\n\nSize *{found['size']}*, seed {found['seed']}; {_time(spent)}.  "
        + ", ".join(f"{name} {version}" for name, version in made.items())
        + f".  Numbers: `benchmarks/published/results/{study.name}.json`.\n"
    )


def _time(spent: Json) -> str:
    if spent["wall_minutes"] < _MOMENT:
        return "the records were those of an earlier run, whose time was not kept"
    return (
        f"{spent['wall_minutes']:.1f} minutes by the clock; {spent['cpu_minutes']:.1f} minutes of "
        f"CPU, of {spent.get('counted', _LEADING)}"
        + (", since it was last resumed" if spent.get("resumed") else "")
    )


def contents(found: Mapping[str, Json]) -> str:
    """Return the page that lists the studies."""
    everything = studies()
    rows = [
        (
            each.letter,
            f"[{each.title}](studies/{name}.md)" if name in found else each.title,
            each.source,
            each.takeaway(found[name]["numbers"]) if name in found else "not run yet",
        )
        for name, each in everything.items()
    ]
    head = ("", "experiment", "published in", "what came out")
    return (
        _INTRODUCTION.format(first=next(iter(everything), "NAME")) + "\n" + table(head, rows) + "\n"
    )


def write() -> None:
    """Write all pages, and the figures of studies that have been run."""
    (PAGES / "figures").mkdir(parents=True, exist_ok=True)
    found: dict[str, Json] = {}
    for name, study in studies().items():
        result = kept(study)
        if result is None:
            continue
        found[name] = result
        (PAGES / f"{name}.md").write_text(page(study, result), encoding="utf-8")
        for title, paint in study.figures.items():
            _draw(result["numbers"], PAGES / "figures" / f"{name}-{title}.png", paint)
    (DOCS / "studies.md").write_text(contents(found), encoding="utf-8")


def _draw(numbers: Json, path: Path, paint: object) -> None:
    def painted(figure: Figure) -> None:
        paint(numbers, figure)  # type: ignore[operator]

    path.write_bytes(style.to_png(style.draw(painted, width=9.0, height=4.0)))
