"""The coverage figure shows every rate with its interval, and pulls whatever they are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from verisimile.checks.coverage.result import Outcomes, summarise
from verisimile.core.result import Estimate
from verisimile.report.sections.coverage import coverage_figure
from verisimile.report.style import to_png


@pytest.mark.parametrize("observables", [1, 2, 6])
@pytest.mark.parametrize("failed", [0, 50])
def test_coverage_is_drawn_whatever_came_out(observables: int, failed: int) -> None:
    values = np.random.default_rng(1).standard_normal((50, observables))
    values[0] = 40.0
    values[:failed] = math.nan
    names = [f"${{bad$ {i}" for i in range(observables)]
    result = summarise(
        Outcomes(values, np.ones(values.shape), np.zeros(values.shape)),
        names,
        [Estimate(0.0, 0.0)] * observables,
        mode="retrained",
        level=0.6827,
        n_events=10,
    )
    figure = coverage_figure(result)
    rates, *others = figure.axes
    assert len(others) == (failed < 50)  # without any pull there is nothing to show beside
    assert len(rates.get_yticks()) == observables
    assert "retrained" in rates.get_title(loc="left")
    assert all("pull" in pulls.get_xlabel() for pulls in others)
    assert to_png(figure).startswith(b"\x89PNG")
