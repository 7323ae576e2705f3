"""Figures of tests, fits and marginals, with the words that go with them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import MaxNLocator

from verisimile.checks.goodness.marginals import MarginalComparison
from verisimile.checks.goodness.result import Goodness
from verisimile.core.arrays import Array
from verisimile.mixture.fit import WeightFit
from verisimile.report import numbers, style
from verisimile.report.content import MemberTraining, SampleResult
from verisimile.report.numbers import count, fixed, p_interval, p_value, plain_number, z_interval
from verisimile.report.page import Illustration

_STEEP = 100.0  # ratio of largest to smallest expectation from which the counts need a log axis
_LEGEND = ("DATA", "REF", "±1σ", "±2σ", "LRT RECO")
_SMALLEST_RANGE, _LARGEST_RANGE = 0.12, 1.0


def marginal_figure(marginal: MarginalComparison) -> Figure:
    """Return counts over expectations, above the ratios to the reference.

    References
    ----------
    G. Badaracco et al., fig. 1.
    """
    return style.draw(lambda figure: _paint(figure, marginal), width=5.6, height=4.6)


def _paint(figure: Figure, marginal: MarginalComparison) -> None:
    grid = GridSpec(2, 1, figure=figure, height_ratios=(2.6, 1.0))
    upper = figure.add_subplot(grid[0])
    lower = figure.add_subplot(grid[1], sharex=upper)
    _counts(upper, marginal)
    _ratios(lower, marginal)
    if marginal.logarithmic:
        upper.set_xscale("log")
    upper.set_xlim(marginal.edges[0], marginal.edges[-1])
    upper.tick_params(labelbottom=False)
    handles, labels = upper.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: _LEGEND.index(labels[i]))
    upper.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=5,
        borderaxespad=0.1,
        columnspacing=1.1,
        handlelength=1.5,
    )
    lower.set_xlabel(style.readable(marginal.feature.title))


def _counts(axes: Axes, marginal: MarginalComparison) -> None:
    _bands(axes, marginal, marginal.expected, marginal.errors)
    axes.stairs(
        marginal.expected, marginal.edges, baseline=None, color=style.REFERENCE, label="REF"
    )
    _alternative(axes, marginal.alternative, marginal.edges)
    _points(axes, marginal, np.ones(marginal.counts.size))
    axes.set_ylabel("events per bin")
    positive = marginal.expected[marginal.expected > 0.0]
    top = max(marginal.count_high.max(), marginal.expected.max())
    if positive.size and positive.max() > _STEEP * positive.min():
        axes.set_yscale("log")
        axes.set_ylim(max(0.3, 0.5 * positive.min()), 1.6 * top)
    else:
        axes.set_ylim(0.0, 1.08 * top)


def _ratios(axes: Axes, marginal: MarginalComparison) -> None:
    expected = np.where(marginal.expected > 0.0, marginal.expected, np.nan)
    half = _half_range(marginal, expected)
    _bands(axes, marginal, np.ones(expected.size), marginal.errors / expected)
    axes.axhline(1.0, color=style.REFERENCE, lw=1.0)
    _alternative(axes, marginal.alternative / expected, marginal.edges)
    _points(axes, marginal, expected)
    _off_scale(axes, marginal, marginal.counts / expected, half)
    axes.set_ylim(1.0 - half, 1.0 + half)
    axes.set_ylabel("ratio to REF")


def _bands(axes: Axes, marginal: MarginalComparison, centre: Array, error: Array) -> None:
    for width, colour in ((2.0, style.BAND_2), (1.0, style.BAND_1)):
        axes.stairs(
            centre + width * error,
            marginal.edges,
            baseline=centre - width * error,
            fill=True,
            color=colour,
            lw=0.0,
            label=f"±{width:.0f}σ",
        )


def _alternative(axes: Axes, values: Array, edges: Array) -> None:
    axes.stairs(
        values, edges, baseline=None, color=style.ALTERNATIVE, ls=(0, (4, 1.5)), label="LRT RECO"
    )


def _points(axes: Axes, marginal: MarginalComparison, scale: Array) -> None:
    axes.errorbar(
        _centres(marginal),
        marginal.counts / scale,
        yerr=(
            (marginal.counts - marginal.count_low) / scale,
            (marginal.count_high - marginal.counts) / scale,
        ),
        fmt="o",
        color=style.DATA,
        ms=3.0,
        elinewidth=0.9,
        label="DATA",
    )


def _off_scale(axes: Axes, marginal: MarginalComparison, ratio: Array, half: float) -> None:
    """Mark points beyond the ratio panel at its edge, so that none is missing."""
    for beyond, marker, y in (
        (ratio > 1.0 + half, "^", 1.0 + 0.9 * half),
        (ratio < 1.0 - half, "v", 1.0 - 0.9 * half),
    ):
        x = _centres(marginal)[beyond]
        axes.plot(x, np.full(x.size, y), marker, color=style.DATA, ms=4.0, mfc="none")


def _half_range(marginal: MarginalComparison, expected: Array) -> float:
    """Return half the height of the ratio panel: bands, and points that are well measured."""
    error = (marginal.count_high - marginal.count_low) / (2.0 * expected)
    measured = np.nan_to_num(error, nan=np.inf) < 0.5
    spread = np.abs(marginal.counts / expected - 1.0) + error
    reach = np.concatenate([spread[measured], 2.5 * (marginal.errors / expected)[measured], [0.0]])
    return float(np.clip(1.1 * reach.max(), _SMALLEST_RANGE, _LARGEST_RANGE))


def _centres(marginal: MarginalComparison) -> Array:
    low, high = marginal.edges[:-1], marginal.edges[1:]
    return np.sqrt(low * high) if marginal.logarithmic else 0.5 * (low + high)


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


def of_sample(sample: SampleResult, number: int) -> tuple[Illustration, ...]:
    """Return the marginals, then the null distributions, of test sample `number`."""
    return (
        *(
            _marginal(sample.name, marginal, f"{number}-{place}")
            for place, marginal in enumerate(sample.marginals, 1)
        ),
        *(
            _null_illustration(sample.name, test, f"{number}-{place}")
            for place, test in enumerate(sample.goodness, 1)
        ),
    )


def of_ensemble(members: Sequence[MemberTraining]) -> Illustration:
    """Return the training curves of all members."""
    best = [m.validation[m.best_epoch] for m in members if 0 <= m.best_epoch < m.validation.size]
    spread = f" from {min(best):.4f} to {max(best):.4f} nats per event" if best else ""
    return Illustration(
        name="training",
        caption="Training and validation loss of each member; the dot marks the epoch that was "
        "kept.",
        alt=f"Loss curves of {len(members)} members, best validation losses{spread}.",
        figure=training_figure(members),
    )


def of_weights(fit: WeightFit) -> Illustration:
    """Return the fitted weights."""
    low, high = float(fit.weights.min()), float(fit.weights.max())
    return Illustration(
        name="weights",
        caption="Mixture weights with the standard deviations of their joint fit. They sum to one, "
        "may be negative, and are strongly correlated where members are alike.",
        alt=f"{fit.weights.size} weights between {plain_number(low, digits=3)} and "
        f"{plain_number(high, digits=3)}, with error bars.",
        figure=weights_figure(fit),
    )


def _marginal(sample: str, marginal: MarginalComparison, number: str) -> Illustration:
    name = marginal.feature.name
    return Illustration(
        name=f"marginal-{number}-{_slug(name)}",
        caption=f"{name}: {count(marginal.n_events)} events (DATA), the mixture (REF) with its 1σ "
        "and 2σ bands, and the profiled alternative (LRT RECO). χ² / degrees of freedom = "
        f"{plain_number(marginal.chi2, digits=3)} / {marginal.dof}.",
        alt=f"Histogram of {name} in {marginal.counts.size} bins for {sample}, with the ratio to "
        f"the mixture below; chi-square {plain_number(marginal.chi2, digits=3)} for "
        f"{marginal.dof} degrees of freedom.",
        figure=marginal_figure(marginal),
    )


def _null_illustration(sample: str, test: Goodness, number: str) -> Illustration:
    p = test.p_value
    return Illustration(
        name=f"null-{number}-{_slug(test.hypothesis)}",
        caption=f"{test.hypothesis}: likelihood ratio t of {count(p.n_null)} {test.null} toys, and "
        f"of the sample. {_whole(test)}p = {p_value(p)} ({p_interval(p)}), "
        f"Z = {fixed(test.z.value)} ({z_interval(test.z)}).",
        alt=f"Null distribution of the test statistic for {sample}, hypothesis {test.hypothesis}; "
        f"observed t = {plain_number(test.leading.statistic)}, p-value {p_value(p)}.",
        figure=null_figure(test),
        small=True,
    )


def _whole(test: Goodness) -> str:
    if len(test.parts) == 1 and test.surprise is None:
        return ""
    joined = "several alternatives" if test.surprise is None else "t and surprise"
    return f"Of {joined} together: "


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"
