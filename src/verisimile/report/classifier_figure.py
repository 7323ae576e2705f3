"""The figure of a classifier: ROC, calibration of its scores, distribution of its weights."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.checks.classifier.diagnosis import ClassifierDiagnosis
from verisimile.report import style

__all__ = ["classifier_figure"]


def classifier_figure(found: ClassifierDiagnosis) -> Figure:
    """Return the three panels side by side."""
    return style.draw(lambda figure: _paint(figure, found), width=10.6, height=3.5)


def _paint(figure: Figure, found: ClassifierDiagnosis) -> None:
    left, middle, right = figure.subplots(1, 3)
    _roc(left, found)
    _calibration(middle, found)
    _weights(right, found)


def _roc(axes: Axes, found: ClassifierDiagnosis) -> None:
    curve = found.roc
    axes.plot([0, 1], [0, 1], color=style.MUTED, ls=(0, (4, 2)), lw=1.0, label="no difference")
    axes.fill_between(curve.generated, curve.low, curve.high, color=style.BAND_1, lw=0.0)
    axes.plot(
        curve.generated,
        curve.truth,
        color=style.REFERENCE,
        label=f"AUC {found.auc.value:.4f} ± {found.auc.error:.4f}",
    )
    axes.set_xlabel("share of generated events kept")
    axes.set_ylabel("share of true events kept")
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.0)
    axes.legend(loc="lower right")


def _calibration(axes: Axes, found: ClassifierDiagnosis) -> None:
    bins = found.calibration
    known = np.isfinite(bins.observed)
    x, y = bins.predicted[known], bins.observed[known]
    axes.plot([0, 1], [0, 1], color=style.MUTED, ls=(0, (4, 2)), lw=1.0)
    errors = np.clip([y - bins.low[known], bins.high[known] - y], 0.0, None)
    axes.errorbar(x, y, yerr=errors, fmt="o", color=style.DATA, ms=3.0, elinewidth=0.9)
    reach = np.concatenate([x, bins.low[known], bins.high[known]])
    margin = 0.05 * max(np.ptp(reach), 0.01) if reach.size else 0.0
    if reach.size:
        span = (reach.min() - margin, reach.max() + margin)
        axes.set_xlim(*span)
        axes.set_ylim(*span)
    axes.locator_params(nbins=6)
    axes.set_xlabel("score: predicted share of true events")
    axes.set_ylabel("observed share")


def _weights(axes: Axes, found: ClassifierDiagnosis) -> None:
    shown = found.histogram
    for values, colour, label in (
        (shown.truth, style.REFERENCE, "true events"),
        (shown.generated, style.ALTERNATIVE, "generated events"),
    ):
        axes.stairs(values, shown.edges, baseline=None, color=colour, label=label)
    axes.axvline(0.0, color=style.MUTED, lw=1.0, ls=(0, (4, 2)))
    axes.set_yscale("log")
    positive = np.concatenate([shown.truth, shown.generated])
    positive = positive[positive > 0.0]
    if positive.size:
        axes.set_ylim(0.5 * positive.min(), 4.0 * positive.max())
    axes.set_xlabel("log w = log (true / generated density)")
    axes.set_ylabel("share of the sample")
    axes.legend(loc="upper right")
