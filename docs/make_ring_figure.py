"""Draw the figure of the ring study from the folder of `benchmarks/ring_study.py`.

.venv/bin/python docs/make_ring_figure.py [.ring]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from safetensors.numpy import load_file

from verisimile.core.directory_store import DirectoryStore
from verisimile.report import style

OUT = Path(__file__).parent / "figures" / "ring.png"
ARMS = {
    "decay": ("falling step size", style.REFERENCE),
    "constant": ("constant", style.ALTERNATIVE),
}
PERFECT = 0.9989
SHOWN = 3000


def main(folder: Path) -> None:
    """Write the figure."""
    store = DirectoryStore(folder)
    areas: dict[str, Any] = {arm: store.read_json(f"areas-{arm}") for arm in ARMS}
    figure = style.draw(lambda f: _paint(f, folder, areas), width=8.4, height=7.2)
    OUT.write_bytes(style.to_png(figure))


def _paint(figure: Figure, folder: Path, areas: dict[str, Any]) -> None:
    upper, *lower = figure.subplots(
        3, 4, height_ratios=(1.3, 1.0, 1.0), gridspec_kw={"hspace": 0.32, "wspace": 0.05}
    )
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
    axes.axhline(PERFECT, color=style.MUTED, lw=1.0, ls=(0, (4, 2)), label="perfect generator")
    axes.set_xticks(range(len(depths)), [f"depth {depth}" for depth in depths])
    axes.set_ylabel("area")
    axes.legend(loc="lower right", fontsize=8)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ".ring"))
