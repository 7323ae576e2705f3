"""Histograms of boost-histogram and hist go in as edges, and come out with their errors."""

from __future__ import annotations

import boost_histogram as bh
import numpy as np
import pytest

import verisimile as vs
from report_values import make_marginal
from result_examples import histogram
from verisimile.core.hists import as_edges
from verisimile.mixture.model import HistogramEstimate

EDGES = [0.0, 1.0, 3.0]
FORMS = {
    "list": EDGES,
    "axis": bh.axis.Variable(EDGES),
    "histogram": bh.Histogram(bh.axis.Variable(EDGES)),
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_edges_are_those_of_an_array_an_axis_or_a_histogram(form: str) -> None:
    assert as_edges(FORMS[form], "edges").tolist() == EDGES  # type: ignore[arg-type]
    contents = vs.BinContent.each("m", FORMS[form])  # type: ignore[arg-type]
    assert list(contents.values()) == [
        vs.BinContent("m", 0.0, 1.0),
        vs.BinContent("m", 1.0, 3.0),
    ]


def test_several_axes_and_falling_edges_are_refused() -> None:
    plane = bh.Histogram(bh.axis.Regular(2, 0.0, 1.0), bh.axis.Regular(2, 0.0, 1.0))
    with pytest.raises(vs.InputError, match="2 axes; expected one of one axis"):
        as_edges(plane, "edges")
    with pytest.raises(vs.InputError, match="at least two increasing edges"):
        as_edges([1.0, 0.0], "edges")


def test_a_mixture_fills_bins_of_an_axis_and_gives_a_histogram_back() -> None:
    estimate = histogram()
    assert isinstance(estimate, HistogramEstimate)
    out = estimate.to_hist()
    assert out.axes[0].edges == pytest.approx(estimate.edges)
    assert out.values() == pytest.approx(estimate.values)
    assert out.variances() == pytest.approx(estimate.errors**2)


def test_hist_reads_names_and_labels() -> None:
    hist = pytest.importorskip("hist")
    estimate = histogram()
    assert isinstance(estimate, HistogramEstimate)
    theirs = hist.Hist(estimate.to_hist())
    assert (theirs.axes[0].name, theirs.axes[0].label) == ("m", "m [GeV]")
    assert as_edges(theirs, "edges") == pytest.approx(estimate.edges)


def test_marginals_of_two_samples_have_given_edges_and_their_sums_of_weights() -> None:
    rng = np.random.default_rng(3)
    weights = rng.uniform(0.5, 1.5, 200)
    first = vs.Events(rng.normal(size=(200, 2)), names=("m", "pt"))
    second = vs.Events(rng.normal(size=(200, 2)), names=("m", "pt"), weights=weights)
    axis = bh.axis.Regular(4, -1.0, 1.0)
    pair, other = vs.physics.marginal_pair(first, second, bins={"m": axis})
    assert pair.edges == pytest.approx(axis.edges)
    assert other.edges.size > pair.edges.size
    ours = pair.to_hists()
    theirs = bh.Histogram(axis, storage=bh.storage.Weight())
    theirs.fill(second.column("m"), weight=weights)
    assert set(ours) == {"reference", "generated"}
    assert ours["generated"].values(flow=True) == pytest.approx(theirs.values(flow=True))
    assert ours["generated"].variances(flow=True) == pytest.approx(theirs.variances(flow=True))


def test_a_tested_marginal_has_counts_and_what_was_expected() -> None:
    marginal = make_marginal()
    found = marginal.to_hists()
    assert found["data"].values() == pytest.approx(marginal.counts)
    assert found["expected"].variances() == pytest.approx(marginal.errors**2)
    assert found["data"].axes[0].label == "$p_T$ [GeV]"
