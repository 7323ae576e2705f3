"""Figures of tests, fits and marginals, with the words that go with them."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.checks.goodness.marginals import MarginalComparison
from verisimile.checks.goodness.result import AlternativeFit, Goodness
from verisimile.core.arrays import Array
from verisimile.report import style
from verisimile.report.content import SampleResult
from verisimile.report.drawing import canvas, draws, figure_of, panels
from verisimile.report.numbers import (
    count,
    p_and_z,
    p_interval,
    p_value,
    plain_number,
    z_interval,
    z_words,
)
from verisimile.report.page import Illustration, slug

_STEEP = 100.0  # ratio of largest to smallest expectation from which the counts need a log axis
_LEGEND = ("DATA", "REF", "±1σ", "±2σ", "LRT RECO")
_SMALLEST_RANGE, _LARGEST_RANGE = 0.12, 1.0


@draws(MarginalComparison)
def plot_marginal(result: MarginalComparison, *, ax: Axes | None = None) -> Axes:
    """Draw counts over expectations, above the ratios to the reference.

    Parameters
    ----------
    result
        One feature of a tested sample.
    ax
        Where to draw, divided for the ratio; None for a new figure.

    Returns
    -------
    Axes
        Those of the counts.

    References
    ----------
    G. Badaracco et al., fig. 1.
    """
    with canvas(ax) as axes:
        _paint(axes, result)
    return axes


def marginal_figure(marginal: MarginalComparison) -> Figure:
    """Return counts and ratios as a figure."""
    return figure_of(plot_marginal, marginal)


def marginal_glance(marginal: MarginalComparison) -> Figure:
    """Return it small, for the first screen."""
    return style.draw(
        lambda figure: _paint(figure.add_subplot(), marginal, columns=3), width=3.9, height=3.3
    )


def _paint(upper: Axes, marginal: MarginalComparison, columns: int = 5) -> None:
    upper, lower = panels(upper, heights=(2.6, 1.0), share=True)
    _counts(upper, marginal)
    _ratios(lower, marginal)
    style.feature_axis(upper, marginal.feature, marginal.edges)
    style.mark_zeros(upper, marginal.edges)
    upper.tick_params(labelbottom=False)
    handles, labels = upper.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: _LEGEND.index(labels[i]))
    upper.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
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
    x = style.centres(marginal.edges, logarithmic=marginal.logarithmic)
    style.mark_off_scale(axes, x, marginal.counts / expected, half, inside=0.9)
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
        style.centres(marginal.edges, logarithmic=marginal.logarithmic),
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


def _half_range(marginal: MarginalComparison, expected: Array) -> float:
    """Return half the height of the ratio panel: bands, and points that are well measured."""
    error = (marginal.count_high - marginal.count_low) / (2.0 * expected)
    measured = np.nan_to_num(error, nan=np.inf) < 0.5
    spread = np.abs(marginal.counts / expected - 1.0) + error
    reach = np.concatenate([spread[measured], 2.5 * (marginal.errors / expected)[measured], [0.0]])
    return float(np.clip(1.1 * reach.max(), _SMALLEST_RANGE, _LARGEST_RANGE))


_FAR = 5.0  # an observation so many times beyond the largest toy needs a logarithmic axis
_BINS = 30


@draws(Goodness)
def plot_goodness(result: Goodness, *, ax: Axes | None = None) -> Axes:
    """Draw the null distribution of the likelihood ratio with the observed value.

    References
    ----------
    G. Badaracco et al., fig. 2.
    """
    with canvas(ax, width=4.2, height=3.4) as axes:
        _null(axes, result)
    return axes


def null_figure(test: Goodness) -> Figure:
    """Return the null distribution as a figure."""
    return figure_of(plot_goodness, test)


def _null(axes: Axes, test: Goodness) -> None:
    # The likelihood ratio and not what joins it with others: that is a rank among the toys.
    paint_null(axes, test.leading.toys, test.leading.statistic)
    said = p_and_z(test.p_value)
    axes.set_title(f"{test.hypothesis}:  {said}", loc="left", pad=26)


@draws(AlternativeFit)
def plot_alternative(result: AlternativeFit, *, ax: Axes | None = None) -> Axes:
    """Draw the null distribution of the likelihood ratio of one alternative."""
    with canvas(ax, width=4.2, height=3.4) as axes:
        paint_null(axes, result.toys, result.statistic)
        axes.set_title(f"{result.alternative}:  p = {p_value(result.p_value)}", loc="left", pad=26)
    return axes


def paint_null(
    axes: Axes, values: Array, observed: float, *, draws_of: str = "toys", symbol: str = "t"
) -> None:
    """Draw the values of a statistic on draws of its null, and the observed one."""
    toys = values[np.isfinite(values)]
    if toys.size:
        edges = _null_edges(toys, observed)
        heights, _ = np.histogram(toys, edges)
        label = f"{count(toys.size)} {draws_of}"
        axes.stairs(heights, edges, fill=True, color=style.TOYS, label=label)
        if edges[0] > 0.0 and observed > _FAR * toys.max():
            axes.set_xscale("log")
    if math.isfinite(observed):
        axes.axvline(
            observed, color=style.ALTERNATIVE, label=f"observed, {symbol} = {observed:.4g}"
        )
    else:
        axes.plot([], [], color=style.ALTERNATIVE, label=f"observed: {plain_number(observed)}")
    axes.set_xlabel(f"statistic {symbol}")
    axes.set_ylabel(f"{draws_of} per bin")
    axes.set_ylim(0.0, 1.12 * max(axes.get_ylim()[1], 1.0))
    style.legend_above(axes)


def _null_edges(toys: Array, observed: float) -> Array:
    low, high = float(toys.min()), float(toys.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    if low > 0.0 and math.isfinite(observed) and observed > _FAR * high:
        return np.geomspace(low, high, _BINS + 1)
    return np.linspace(low, high, _BINS + 1)


def of_sample(sample: SampleResult, number: int) -> tuple[Illustration, ...]:
    """Return the marginals, then the null distributions, of test sample `number`."""
    return (
        *(
            _marginal(sample.name, marginal, f"{number}-{place}")
            for place, marginal in enumerate(sample.marginals, 1)
        ),
        *(
            null_illustration(sample.name, test, f"{number}-{place}")
            for place, test in enumerate(sample.goodness, 1)
        ),
    )


def _marginal(sample: str, marginal: MarginalComparison, number: str) -> Illustration:
    name = marginal.feature.name
    return Illustration(
        name=f"marginal-{number}-{slug(name)}",
        caption=f"{name}: {count(marginal.n_events)} events (DATA), the mixture (REF) with its 1σ "
        "and 2σ bands, and the profiled alternative (LRT RECO). χ² / degrees of freedom = "
        f"{plain_number(marginal.chi2, digits=3)} / {marginal.dof}.",
        alt=f"Histogram of {name} in {marginal.counts.size} bins for {sample}, with the ratio to "
        f"the mixture below; chi-square {plain_number(marginal.chi2, digits=3)} for "
        f"{marginal.dof} degrees of freedom.",
        figure=marginal_figure(marginal),
    )


def null_illustration(sample: str, test: Goodness, number: str) -> Illustration:
    """Return the null distribution of a test with its words."""
    p = test.p_value
    return Illustration(
        name=f"null-{number}-{slug(test.hypothesis)}",
        caption=f"{test.hypothesis}: likelihood ratio t of {count(p.n_null)} {test.null} toys, and "
        f"of the sample. {_whole(test)}p = {p_value(p)} ({p_interval(p)}), "
        f"{z_words(p)} ({z_interval(test.z)}).",
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
