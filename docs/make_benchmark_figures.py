"""Draw the figures of long benchmarks from the folders that these have written.

.venv/bin/python docs/make_benchmark_figures.py ring .ring
.venv/bin/python docs/make_benchmark_figures.py uncertainty FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from safetensors.numpy import load_file

import verisimile as vs
from verisimile.checks import precision_recall as pr
from verisimile.core.store import DirectoryStore
from verisimile.data.truths import RingOfEight
from verisimile.report import style

OUT = Path(__file__).parent / "figures"
ARMS = {
    "decay": ("falling step size", style.REFERENCE),
    "constant": ("constant", style.ALTERNATIVE),
}
SHOWN = 3000
LEVELS = {68: style.REFERENCE, 95: style.ALTERNATIVE}


def main(name: str, folder: Path) -> None:
    """Write one figure."""
    (OUT / f"{name}.png").write_bytes(style.to_png(FIGURES[name](folder)))


def ring(folder: Path) -> Figure:
    """Return areas of all trainings, and the best and worst sample of each depth."""
    store = DirectoryStore(folder)
    areas: dict[str, Any] = {arm: store.read_json(f"areas-{arm}") for arm in ARMS}
    return style.draw(lambda figure: _paint(figure, folder, areas), width=8.4, height=6.6)


def uncertainty(folder: Path) -> Figure:
    """Return rates of intervals that hold the truth, in small boxes."""
    found = json.loads((folder / "uncertainty.json").read_text(encoding="utf-8"))["boxes"]["36"]
    names = [name for name in found if not name.endswith("plain sd")][::-1]

    def paint(figure: Figure) -> None:
        rates, sizes = figure.subplots(1, 2, sharey=True, width_ratios=(1.4, 1.0))
        for level, (nominal, colour) in enumerate(LEVELS.items()):
            held = [found[name]["rates"][level] for name in names]
            values, errors = ([100 * one[key] for one in held] for key in ("value", "error"))
            rates.errorbar(values, range(len(names)), xerr=errors, fmt="o", ms=4, color=colour)
            rates.axvline(nominal, color=colour, lw=1.0, ls=(0, (4, 2)))
        rates.set_yticks(range(len(names)), names)
        rates.set_xlabel("intervals that hold the true content [%]")
        for key, colour in {"claimed": style.REFERENCE, "actual": style.DATA}.items():
            values = [found[name][key]["value"] for name in names]
            sizes.plot(values, range(len(names)), "o", ms=4, color=colour, label=key)
        sizes.set_xlabel("error / that of counts")
        sizes.set_xlim(left=0.0)
        sizes.legend(loc="upper right", fontsize=8)

    return style.draw(paint, width=8.4, height=4.2)


def _paint(figure: Figure, folder: Path, areas: dict[str, Any]) -> None:
    upper, *lower = figure.subplots(3, 4, height_ratios=(1.2, 1.0, 1.0))
    spec = upper[0].get_gridspec()
    for axes in upper:
        axes.remove()
    _areas(figure.add_subplot(spec[0, :]), areas)
    for row, (word, pick) in zip(
        lower, {"best": np.argmax, "worst": np.argmin}.items(), strict=True
    ):
        for axes, (depth, found) in zip(row, areas["decay"].items(), strict=True):
            member = int(pick(found["areas"]))
            x = load_file(folder / f"decay/depth{depth}/draws{member:02d}.safetensors")["x"]
            axes.plot(*x[:SHOWN].T, ".", ms=0.8, color=style.REFERENCE)
            axes.set_title(f"depth {depth}, {word}: {found['areas'][member]:.3f}", fontsize=8)
            axes.set(xlim=(-7, 7), ylim=(-7, 7), aspect="equal", xticks=[], yticks=[])


def _areas(axes: Axes, areas: dict[str, Any]) -> None:
    for shift, (arm, (label, colour)) in zip((-0.13, 0.13), ARMS.items(), strict=True):
        for place, (depth, found) in enumerate(areas[arm].items()):
            values = np.array(found["areas"])
            spread = np.random.default_rng(int(depth)).uniform(-0.07, 0.07, values.size)
            axes.plot(
                place + shift + spread,
                values,
                ".",
                color=colour,
                ms=4,
                label=label if place == 0 else None,
            )
    depths = list(areas["decay"])
    axes.axhline(_perfect(), color=style.MUTED, lw=1.0, ls=(0, (4, 2)), label="perfect generator")
    axes.set_xticks(range(len(depths)), [f"depth {depth}" for depth in depths])
    axes.set_ylabel("area, published score")
    axes.legend(loc="lower center", fontsize=8)


def _perfect() -> float:
    """Return the mean area of fresh events of the truth, as many as in the study."""
    truth = RingOfEight()
    areas = []
    for number in range(6):
        run = vs.Run(vs.Seeds(2026).at("perfect", number))
        one, other = (truth.sample(10_000, run.seeds.at(word).numpy()) for word in ("x", "y"))
        score = pr.PooledNeighbours()  # as of the study
        curve = vs.precision_recall(run, vs.Events(one), other, score=score, null_draws=0)
        areas.append(curve.auc.value)
    return float(np.mean(areas))


FIGURES: dict[str, Callable[[Path], Figure]] = {"ring": ring, "uncertainty": uncertainty}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
