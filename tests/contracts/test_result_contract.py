"""Whoever holds a result can draw it, tabulate it, write it, and look at it in a notebook."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import verisimile as vs
from report_values import make_goodness
from result_examples import examples, histogram, made
from result_kinds import MADE
from verisimile.core.result import Result, from_dict, schema_of
from verisimile.report import figures
from verisimile.report.drawing import drawn, figure_of
from verisimile.report.section import known_sections

# What is a part or a record, and has no figure of its own: its whole result has.
NO_FIGURE = {
    "Account", "Alike", "AreaDifference", "AreaSpread", "BinCoverage", "BinErrors", "Closure",
    "Conclusion", "Contents", "Copies", "Crossing", "DiscrepancyRecord", "Document", "Environment",
    "FitRecord", "Axis", "DiscrepancyBasis", "Functions", "Night", "SignalFit", "TemplateAxis",
    "InputSample", "Interval",
    "MetricBound", "NullCurves", "ObservableCoverage", "PairRate", "PairedTests", "RadialBand",
    "RecallBand", "ReportComparison", "ReportInput", "SampleRows", "ScaleRating", "Stage",
    "TailRange", "Timings", "UnfinishedStage", "Violations", "WeightTail",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


class _Balance(HTMLParser):
    """Counts tags that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.open.append(tag)
        self.rows += tag == "tr"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _on_pages() -> set[type]:
    """Return the kinds that reports take: all that public functions return are among them."""
    return {kind for section in known_sections() for kind in section.kinds}


def test_examples_are_of_every_kind_of_a_report_and_all_are_results() -> None:
    known = tuple(examples())
    assert not {kind.__name__ for kind in _on_pages() if not issubclass(kind, known)}
    assert not {kind.__name__ for kind in examples() if not issubclass(kind, Result)}


def test_every_kind_is_drawn_or_has_a_reason() -> None:
    kinds = {kind.__name__ for kind in examples()}
    without = {kind.__name__ for kind in examples() if not drawn().keys() & set(kind.__mro__)}
    assert without == NO_FIGURE & kinds
    assert not {kind.__name__ for kind in drawn()} - kinds


def test_every_drawing_function_is_public() -> None:
    """`draw` knows those alone that `vs.figures` loads, whatever a page has loaded before it."""
    missing = {
        function.__name__
        for function in drawn().values()
        if getattr(figures, function.__name__, None) is not function
    }
    assert missing == set()


def _names() -> list[str]:
    return sorted(kind.__name__ for kind in drawn())


@pytest.mark.parametrize("name", _names())
def test_every_figure_takes_axes_has_labels_and_returns_the_axes(name: str) -> None:
    result = next(one for kind, one in examples().items() if kind.__name__ == name)
    assert isinstance(result, Result)
    given = plt.figure().add_subplot(1, 2, 2)
    assert result.plot(ax=given) is given
    assert given in given.figure.axes
    labels = [f"{axes.get_xlabel()}{axes.get_ylabel()}" for axes in given.figure.axes]
    assert any(labels)
    new = result.plot()
    assert new.figure is plt.gcf()
    assert new is not given


@pytest.mark.parametrize("kind", sorted(MADE))
def test_every_result_is_a_dict_a_frame_and_a_page_of_a_notebook(kind: str) -> None:
    for result in made(kind):
        assert isinstance(result, Result)
        data = result.to_dict()
        assert data["schema"] == schema_of(type(result))
        assert type(from_dict(data)) is type(result)
        frame = result.to_frame()
        assert isinstance(frame, pd.DataFrame)
        assert len(frame) > 0
        assert len(frame.columns) > 0
        assert not frame.map(lambda cell: isinstance(cell, Result | np.ndarray)).any(axis=None)
        _check_html(result, len(frame) if type(result).listed else 0)


def _check_html(result: Result, rows: int) -> None:
    page = _Balance()
    html = result._repr_html_()
    page.feed(html)
    assert page.open == []
    assert page.rows >= min(rows, 20)
    assert type(result).__name__ in html
    assert "<script" not in html


def test_parts_are_tables_too() -> None:
    for one in examples().values():
        assert isinstance(one, Result)
        _check_html(one, 0)
        assert isinstance(one.to_frame(), pd.DataFrame)


def test_a_frame_has_values_and_errors_in_columns_of_their_own() -> None:
    frame = made("Validation")[0].to_frame()  # type: ignore[attr-defined]
    assert frame["name"].tolist() == ["max-ks"]
    assert {"p_value", "p_value_low", "p_value_high", "adjusted"} <= set(frame.columns)
    bins = histogram().to_frame()  # type: ignore[attr-defined]
    assert bins.columns.tolist() == ["low", "high", "values", "errors"]
    assert bins["low"].tolist() == pytest.approx([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0])
    assert bins["values"].sum() == pytest.approx(1.0, abs=0.05)


def test_a_notebook_shows_no_p_value_of_zero_and_a_bound_at_the_floor() -> None:
    html = make_goodness(1000.0)._repr_html_()
    assert "0.01 (" in html
    assert "Z &gt; " in html


def test_text_of_strangers_is_escaped() -> None:
    assert "<ll>" not in vs.figures.draw(made("Goodness")[2]).figure.axes[0].get_title()
    page = made("DiscrepancySummary")[0]._repr_html_()  # type: ignore[attr-defined]
    assert "pt &lt;ll&gt;" in page
    assert "pt <ll>" not in page


def test_without_pandas_an_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "pandas")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(vs.InputError, match=r"pip install pandas.*to_dict\(\)"):
        vs.Estimate(1.0, 0.1).to_frame()


def test_axes_placed_by_hand_are_refused_where_they_must_be_divided() -> None:
    by_hand = Figure().add_axes((0.1, 0.1, 0.8, 0.8))
    assert vs.Estimate(1.0, 0.1).plot(ax=by_hand) is by_hand
    with pytest.raises(vs.InputError, match=r"plt\.subplots\(\)"):
        made("MarginalPair")[0].plot(ax=by_hand)  # type: ignore[attr-defined]


def test_a_kind_without_figure_is_told() -> None:
    with pytest.raises(vs.InputError, match="a str; expected one of Agreement"):
        vs.figures.draw("result")


def test_panels_share_the_place_of_the_axes_that_were_given() -> None:
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    made("MarginalPair")[0].plot(ax=left)  # type: ignore[attr-defined]
    histogram().plot(ax=right)  # type: ignore[attr-defined]
    figure.canvas.draw()
    below = figure.axes[2]
    assert below.get_position().x1 < right.get_position().x0
    assert below.get_position().y1 <= left.get_position().y0
    assert right.get_xlabel() == "m [GeV]"


def test_figures_of_reports_are_known_to_no_window() -> None:
    figure = figure_of(figures.plot_numbers, vs.Estimate(1.0, 0.1))
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == []


def test_what_a_notebook_sets_for_a_new_figure_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    real = plt.figure

    def figure(**options: Any) -> Figure:  # noqa: ANN401
        matplotlib.interactive(True)
        return real(**options)

    monkeypatch.setattr(plt, "figure", figure)
    try:
        vs.Estimate(1.0, 0.1).plot()
        assert matplotlib.is_interactive()
    finally:
        matplotlib.interactive(False)


def test_points_leave_their_neighbours_the_room() -> None:
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    vs.Estimate(1.0, 0.1).plot(ax=right)
    figure.canvas.draw()
    assert left.get_position().width > 0.35


def test_public_functions_are_documented() -> None:
    names = [name for name in dir(figures) if name.startswith("plot_")]
    assert len(names) > 35
    assert all(getattr(figures, name).__doc__ for name in names)
