"""Figures of tests, training and weights: functions of results that compute nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from verisimile.checks.goodness.result import Goodness
from verisimile.core.arrays import Array
from verisimile.mixture.fit import WeightFit
from verisimile.report import numbers, style
from verisimile.report.content import MemberTraining

__all__ = ["null_figure", "training_figure", "weights_figure"]

_FAR = 5.0  # an observation so many times beyond the largest toy needs a logarithmic axis
_BINS = 30
_CROWDED = 30
_SHORT = 3.4


def null_figure(test: Goodness) -> Figure:
    """Return the null distribution of the statistic with the observed value.

    References
    ----------
    G. Badaracco et al., fig. 2.
    """
    return style.draw(lambda figure: _null(figure.add_subplot(), test), width=4.2, height=_SHORT)


def training_figure(members: Sequence[MemberTraining]) -> Figure:
    """Return training and validation curves of all members, the best epochs marked."""
    return style.draw(lambda figure: _training(figure.add_subplot(), members), height=_SHORT)


def weights_figure(fit: WeightFit) -> Figure:
    """Return the fitted weights with their standard deviations."""
    return style.draw(lambda figure: _weights(figure.add_subplot(), fit), height=_SHORT)


def _null(axes: Axes, test: Goodness) -> None:
    # The likelihood ratio and not what joins it with others: that is a rank among the toys.
    part = test.leading
    toys = part.toys[np.isfinite(part.toys)]
    observed = part.statistic
    if toys.size:
        edges = _null_edges(toys, observed)
        heights, _ = np.histogram(toys, edges)
        label = f"{numbers.count(toys.size)} toys"
        axes.stairs(heights, edges, fill=True, color=style.TOYS, label=label)
        if edges[0] > 0.0 and observed > _FAR * toys.max():
            axes.set_xscale("log")
    if math.isfinite(observed):
        axes.axvline(observed, color=style.ALTERNATIVE, label=f"observed, t = {observed:.1f}")
    else:
        axes.plot(
            [], [], color=style.ALTERNATIVE, label=f"observed: {numbers.plain_number(observed)}"
        )
    axes.set_xlabel("statistic t")
    axes.set_ylabel("toys per bin")
    axes.set_ylim(0.0, 1.12 * max(axes.get_ylim()[1], 1.0))
    _legend_above(axes)
    axes.set_title(_null_title(test), loc="left", pad=26)


def _null_title(test: Goodness) -> str:
    p, z = numbers.p_value(test.p_value), numbers.fixed(test.z.value)
    return f"{test.hypothesis}:  p = {p},  Z = {z}"


def _null_edges(toys: Array, observed: float) -> Array:
    low, high = float(toys.min()), float(toys.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    if low > 0.0 and math.isfinite(observed) and observed > _FAR * high:
        return np.geomspace(low, high, _BINS + 1)
    return np.linspace(low, high, _BINS + 1)


def _training(axes: Axes, members: Sequence[MemberTraining]) -> None:
    alpha = 0.9 if len(members) <= _CROWDED else 0.4
    for index, member in enumerate(members):
        first = index == 0
        curves = (
            (member.training, style.BAND_1, "training"),
            (member.validation, style.REFERENCE, "validation"),
        )
        for curve, colour, label in curves:
            epochs = np.arange(1, curve.size + 1)
            axes.plot(
                epochs, curve, color=colour, alpha=alpha, lw=1.0, label=label if first else None
            )
        if 0 <= member.best_epoch < member.validation.size:
            axes.plot(
                member.best_epoch + 1,
                member.validation[member.best_epoch],
                "o",
                color=style.ALTERNATIVE,
                ms=4,
                label="best epoch" if first else None,
            )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss per event [nats]")
    _legend_above(axes)


def _weights(axes: Axes, fit: WeightFit) -> None:
    members = fit.weights.size
    errors = np.sqrt(np.clip(np.diag(fit.covariance), 0.0, None))
    axes.axhline(0.0, color=style.MUTED, lw=0.8)
    axes.axhline(1.0 / members, color=style.MUTED, lw=0.8, ls="--", label="equal weights")
    axes.errorbar(
        np.arange(members),
        fit.weights,
        yerr=errors,
        fmt="o",
        color=style.REFERENCE,
        ms=5 if members <= _CROWDED else 3,
        label="fitted weight ± 1σ",
    )
    axes.set_xlabel("member")
    axes.set_ylabel("weight")
    if members <= _CROWDED:
        axes.set_xticks(np.arange(members))
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    """Put the legend in one row above the axes, where it can hide nothing."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=5, borderaxespad=0.1)
