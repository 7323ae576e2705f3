"""Draw the figures of these pages again from the report that `make demo` wrote.

.venv/bin/python docs/make_demo_figures.py demo-report/result.json
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from verisimile.report.document import read_report
from verisimile.report.sections.goodness_figures import marginal_figure, null_figure
from verisimile.report.sections.origin import training_figure, weights_figure

OUT = Path(__file__).parent / "figures"
DPI = 110


def main(result: str) -> None:
    """Write every PNG that a page or the README shows."""
    content = read_report(result).content
    truth, tune = content.samples
    momentum = {m.feature.name: m for m in tune.marginals}["pt_ll"]
    mass = {m.feature.name: m for m in truth.marginals}["m_ll"]
    _save(marginal_figure(mass), "marginals")
    _save(marginal_figure(momentum), "tune")
    _save(null_figure(truth.goodness[-1]), "null")
    _save(null_figure(tune.goodness[-1]), "null-tune")
    if content.fit is not None:
        _save(weights_figure(content.fit), "weights")
    _save(training_figure(content.training), "training")
    _join("marginals", "tune", "demo")


def _save(figure: Figure, name: str) -> None:
    OUT.mkdir(exist_ok=True)
    figure.savefig(OUT / f"{name}.png", dpi=DPI, metadata={"Software": None})


def _join(left: str, right: str, name: str) -> None:
    parts = [Image.open(OUT / f"{part}.png").convert("RGB") for part in (left, right)]
    wide = Image.new("RGB", (sum(p.width for p in parts), max(p.height for p in parts)), "white")
    wide.paste(parts[0], (0, 0))
    wide.paste(parts[1], (parts[0].width, 0))
    wide.save(OUT / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
