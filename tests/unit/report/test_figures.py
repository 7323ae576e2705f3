"""Every figure can be drawn from every result, and says what it shows."""

from __future__ import annotations

import math
from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from report_values import make_content, make_fit, make_goodness, make_marginal
from verisimile.data.feature import Feature
from verisimile.report.sections.goodness_figures import marginal_figure, null_figure
from verisimile.report.sections.origin import training_figure, weights_figure
from verisimile.report.style import readable, to_pdf, to_png


def test_marginal_shows_data_model_bands_and_alternative() -> None:
    figure = marginal_figure(make_marginal())
    upper, lower = figure.axes
    legend = upper.get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["DATA", "REF", "±1σ", "±2σ", "LRT RECO"]
    assert lower.get_xlabel() == "$p_T$ [GeV]"
    assert upper.get_xscale() == "log"
    assert to_png(figure).startswith(b"\x89PNG")
    assert to_pdf(figure).startswith(b"%PDF")


def test_points_beyond_the_ratio_panel_are_marked_at_its_edge() -> None:
    counts = np.array([1.0, 40.0, 35.0, 320.0, 118.0, 0.0])
    marginal = replace(make_marginal(), counts=counts, count_low=counts, count_high=counts + 6.0)
    lower = marginal_figure(marginal).axes[1]
    top = lower.get_ylim()[1]
    beyond = next(line for line in lower.lines if line.get_marker() == "^")
    assert list(np.asarray(beyond.get_xdata())) == [pytest.approx(np.sqrt(8.0))]
    assert np.asarray(beyond.get_ydata())[0] < top


@pytest.mark.parametrize("statistic", [30.0, 5000.0, math.inf, math.nan])
@pytest.mark.parametrize("failed", [0, 99])
def test_null_is_drawn_whatever_came_out(statistic: float, failed: int) -> None:
    figure = null_figure(make_goodness(statistic, failed=failed))
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert "observed" in legend.get_texts()[-1].get_text()
    assert to_png(figure)


def test_a_far_observation_stays_in_the_picture() -> None:
    axes = null_figure(make_goodness(5000.0, toys=30)).axes[0]
    assert axes.get_xlim()[1] >= 5000.0


def test_equal_toys_have_a_bin() -> None:
    test = replace(make_goodness(3.0), toys=np.full(99, 3.0))
    assert to_png(null_figure(test))


def test_training_marks_the_best_epoch() -> None:
    member = make_content().training[0]
    axes = training_figure([member, replace(member, best_epoch=-1)]).axes[0]
    best = [line for line in axes.lines if line.get_marker() == "o"]
    assert [list(np.asarray(line.get_xdata())) for line in best] == [[12]]


def test_weights_have_error_bars() -> None:
    fit = make_fit()
    container = weights_figure(fit).axes[0].containers[0]
    assert container.get_label() == "fitted weight ± 1σ"


@pytest.mark.parametrize("text", ["$p_T^{", "50 $ and more", "$\\frac{a}$", "a_b^c \\ {"])
def test_a_bad_label_costs_no_report(text: str) -> None:
    marginal = replace(make_marginal(), feature=Feature("x", label=text))
    assert to_png(marginal_figure(marginal))


def test_good_math_is_kept() -> None:
    assert readable(r"$p_T$ [GeV]") == r"$p_T$ [GeV]"
    assert readable("5 $") == r"5 \$"


def test_style_leaves_matplotlib_alone() -> None:
    before = dict(matplotlib.rcParams)
    to_pdf(weights_figure(make_fit()))
    assert dict(matplotlib.rcParams) == before


def test_files_do_not_depend_on_the_day() -> None:
    figures = [to_pdf(weights_figure(make_fit())) for _ in range(2)]
    assert figures[0] == figures[1]
    assert b"CreationDate" not in figures[0]
