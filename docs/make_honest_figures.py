"""Draw the figure of honest-bands.md from the studies that `make calibration` keeps.

.venv/bin/python docs/make_honest_figures.py
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.bind import fit_mixture
from verisimile.mixture.discrepancy.corrected import CorrectedMixture, correct_mixture
from verisimile.mixture.discrepancy.posterior import FeatureBand
from verisimile.report import style

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from honest_processes import ENSEMBLES, PROCESSES
from honest_study import study

FIGURE = Path(__file__).parent / "figures" / "honest-bands.png"
SETS = 10


def fitted() -> CorrectedMixture:
    """Return the first ensemble of Z events, with its discrepancy."""
    process = PROCESSES["Z"]
    x = process.events()[-process.n_fit :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run, events = Run(Seeds(1)), Events(x, features=process.features)
        plain = fit_mixture(run, process.ensemble(0), events, discrepancy=None)
    return correct_mixture(run, plain, events)


def paint_feature(axes: Axes, band: FeatureBand, truth: Array) -> None:
    """Paint both bands of one feature, and the truth, in counting errors of the fit."""
    edges = band.edges.copy()
    edges[0], edges[-1] = -np.inf, np.inf
    true = np.histogram(truth, edges)[0] / truth.size
    k = np.arange(true.size)
    for errors, label, colour in (
        (band.errors, "with the discrepancy", style.REFERENCE),
        (band.plain_errors, "weights alone", style.ALTERNATIVE),
    ):
        half = errors / band.counted
        axes.fill_between(k, -half, half, alpha=0.35, color=colour, label=label, linewidth=0)
    axes.plot(
        k,
        (true - band.corrected) / band.counted,
        "o",
        color=style.DATA,
        ms=4,
        label="truth, corrected",
    )
    axes.plot(
        k,
        (true - band.plain) / band.counted,
        "x",
        color=style.ALTERNATIVE,
        ms=4,
        label="truth, mixture uncorrected",
    )
    axes.set_xlabel(f"bin of {band.feature}, 0.5 % to 99.5 %")
    axes.set_ylim(-4, 4)


def paint_coverage(axes: Axes) -> None:
    """Paint how often 68 % intervals hold the truth, without and with, for each process."""
    for place, name in enumerate(PROCESSES):
        found = study(name, SETS, range(ENSEMBLES))
        for pulls, colour, shift in (
            (found.plain_pulls, style.ALTERNATIVE, -0.15),
            (found.pulls, style.REFERENCE, 0.15),
        ):
            rates = (np.abs(pulls) < 1.0).mean(axis=(1, 2))
            axes.plot(np.full(rates.size, place + shift), 100 * rates, "o", color=colour, ms=5)
    axes.axhline(68.27, color=style.DATA, lw=1)
    axes.axhspan(64.27, 72.27, color=style.DATA, alpha=0.12, lw=0)
    axes.set_xticks(range(len(PROCESSES)), list(PROCESSES))
    axes.set_ylim(0, 100)
    axes.set_ylabel("intervals at 68 % that hold the truth, %")


def main() -> None:
    """Draw and write."""
    mixture = fitted()
    truth = PROCESSES["Z"].truth()

    def paint(figure: Figure) -> None:
        left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.2))
        for axes, j in ((left, 0), (middle, 3)):
            paint_feature(axes, mixture.discrepancy.bands[j], truth[:, j])
        left.set_ylabel("truth less mixture, in counting errors")
        left.legend(fontsize=7, loc="upper center", ncols=2)
        paint_coverage(right)

    FIGURE.write_bytes(style.to_png(style.draw(paint, width=11.0, height=3.8)))


if __name__ == "__main__":
    main()
