"""The window of an angle that goes over the cut is shaded on both ends of the axis."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.patches import Rectangle

from verisimile.checks.physics.histograms import marginal_pair
from verisimile.checks.twosample.windows import deviating_windows
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.report.sections.validation_figures import pair_figure


def test_a_window_over_the_cut_is_drawn_on_both_sides(rng: np.random.Generator) -> None:
    phi = rng.uniform(-math.pi, math.pi, (2, 1000))
    phi[1, :200] = (rng.normal(0.0, 0.1, 200) % (2.0 * math.pi)) - math.pi
    features = [Feature("phi", kind="periodic")]
    first, second = (Events(one[:, None], features=features) for one in phi)
    (pair,) = marginal_pair(first, second)
    window = deviating_windows(first, second).windows[0]
    assert window.low < math.pi < window.high
    axes = pair_figure(pair, [window]).axes[0]
    low, high = axes.get_xlim()
    assert (low, high) == (pair.edges[0], pair.edges[-1])
    shaded = [
        (patch.get_x(), patch.get_x() + patch.get_width())
        for patch in axes.patches
        if isinstance(patch, Rectangle)
    ]
    seen = [(a, b) for a, b in shaded if b > low and a < high]
    assert [a < low for a, _ in sorted(seen)] == [True, False]
    assert sorted(seen)[1][1] > high
