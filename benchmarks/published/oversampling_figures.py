"""Figures of the study of oversampling, and the worth of a sample that they and its page show."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from published.oversampling_work import LEVEL, REFERENCES, RESOLUTIONS
from published.registry import Json
from verisimile.stats.intervals import clopper_pearson

TITLES = {
    "camel": "camel, fitted by maximum likelihood",
    "gaussian": "Gaussian of the paper, ensemble of flows",
    "Z": "Z → μμ events, ensemble of flows",
}


def worth_of(cell: Json, factor: float = np.inf) -> tuple[float, float, float]:
    """Return the worth of a sample at this factor, with its interval, in training sizes."""
    value, low, high = (
        1.0 / (1.0 / factor + max(cell[key], 1e-9)) for key in ("value", "high", "low")
    )
    return value, low, high


_COLOURS = ("#0072B2", "#D55E00")


def rejections(found: Json, figure: Figure) -> None:
    """Draw how often tests reject, by factor."""
    axes = figure.subplots(1, len(TITLES), sharey=True)
    factors = np.array(found["factors"])
    for each, (name, title) in zip(axes, TITLES.items(), strict=True):
        kind = found["kinds"][name]
        counts = np.array(kind["rejected"])
        for j, against in enumerate(REFERENCES):
            for k, test in enumerate(found["tests"]):
                rows = [
                    clopper_pearson(int(c), kind["trainings"], level=0.68) for c in counts[:, j, k]
                ]
                value = counts[:, j, k] / kind["trainings"]
                ends = np.array([tuple(row) for row in rows]).T
                each.errorbar(
                    factors * (1.0 + 0.03 * (2 * j + k - 1.5)),
                    value,
                    np.abs(ends - value),
                    fmt="os"[k],
                    ms=4,
                    lw=1.0,
                    ls="-" if k else "--",
                    color=_COLOURS[j],
                    label=f"{test}, truth {against}",
                )
        if name == "camel":
            for j in range(len(REFERENCES)):
                exact = [row[j] for row in found["chi2"]["predicted"]]
                each.plot(
                    factors,
                    exact,
                    color=_COLOURS[j],
                    lw=3.0,
                    alpha=0.3,
                    label=f"chi-square, exact, {REFERENCES[j]}",
                )
        each.axhline(LEVEL, color="0.6", lw=0.8)
        each.set(
            xscale="log", xlabel="factor", title=title.replace(", ", ",\n"), ylim=(-0.02, 1.02)
        )
        each.set_xticks(factors, [f"{factor:g}" for factor in factors])
        each.minorticks_off()
    axes[0].set_ylabel("rejected at 5 %")
    axes[0].legend(fontsize=6.5, loc="upper left")


def worth(found: Json, figure: Figure) -> None:
    """Draw what samples are worth, by factor."""
    axes = figure.subplots(1, len(TITLES))
    grid = np.geomspace(0.9, 12.0, 60)
    for each, (name, title) in zip(axes, TITLES.items(), strict=True):
        for colour, count in zip(_COLOURS, RESOLUTIONS, strict=True):
            if name == "camel":
                known = found["worth"][str(count)]
                cells = known["measured"]
                value = np.array([1.0 / cell["value"] for cell in cells])
                ends = np.array([[1.0 / cell["high"], 1.0 / cell["low"]] for cell in cells]).T
                each.errorbar(
                    found["factors"], value, np.abs(ends - value), fmt="o", ms=4, color=colour
                )
                line = 1.0 / (1.0 / grid + 1.0 / known["exact gain"])
            else:
                cell = found["kinds"][name]["measured"][str(count)]
                worth = np.array([worth_of(cell, factor) for factor in grid]).T
                each.fill_between(grid, worth[1], worth[2], color=colour, alpha=0.2, lw=0)
                line = worth[0]
            each.plot(grid, line, color=colour, label=f"{count} regions")
        each.plot(grid, grid, color="0.5", lw=0.8, ls=":", label="true events")
        each.axhline(1.0, color="0.5", lw=0.8)
        each.set(
            xscale="log",
            yscale="log",
            xlabel="generated / training events",
            ylim=(0.2, 12.0),
            title=title.replace(", ", ",\n"),
        )
        each.set_xticks(found["factors"], [f"{factor:g}" for factor in found["factors"]])
        each.set_yticks([0.2, 0.5, 1.0, 2.0, 5.0, 10.0], ["0.2", "0.5", "1", "2", "5", "10"])
        each.minorticks_off()
    axes[0].set_ylabel("worth / training events")
    axes[0].legend(fontsize=7.5, loc="upper left")
