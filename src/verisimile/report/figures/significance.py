"""P-values of tests, and the draws of their nulls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from verisimile.checks.amplification.memorisation import Memorisation
from verisimile.checks.classifier.conditional import ConditionalDiagnosis
from verisimile.checks.goodness.refine import Refinement
from verisimile.checks.goodness.result import ContextGoodness, SurpriseFit
from verisimile.checks.known_truth.cdf import OneSample
from verisimile.checks.known_truth.likelihood import LikelihoodTest
from verisimile.checks.physics.constraints import ConstraintComparison
from verisimile.checks.posterior.local import LocalTest
from verisimile.checks.twosample.result import TwoSample
from verisimile.report.drawing import canvas, draws
from verisimile.report.numbers import p_value, plain_number
from verisimile.report.sections.goodness_figures import paint_null
from verisimile.report.sections.validation_figures import NamedP, plot_p_values
from verisimile.stats.aggregate import Combined
from verisimile.stats.pvalues import PValue
from verisimile.validation.result import BatteryTest, Physics


def _in_context(found: ContextGoodness) -> list[NamedP]:
    ends = list(zip(found.edges[:-1], found.edges[1:], strict=True))
    names = [f"{found.feature} {plain_number(a)} to {plain_number(b)}" for a, b in ends]
    if len(names) != len(found.parts):
        names = [part.alternative for part in found.parts]
    alone = zip(names, found.parts, strict=True)
    return [("all together", found.p_value, None), *((n, part.p_value, None) for n, part in alone)]


def _memorised(found: Memorisation) -> list[NamedP]:
    return [
        ("together", found.p_value, None),
        ("nearest in training", found.share_p, None),
        ("log of the distances", found.log_ratio_p, None),
        ("copies", found.copies_p, None),
    ]


def _local(found: LocalTest) -> list[NamedP]:
    points = zip(found.contexts, found.points, found.adjusted.tolist(), strict=True)
    named = [
        (", ".join(plain_number(float(x), digits=3) for x in np.atleast_1d(point)), p, adjusted)
        for point, p, adjusted in points
    ]
    return [("all points", found.p_value, None), *named]


_OF: dict[type, Callable[[Any], list[NamedP]]] = {
    BatteryTest: lambda r: [] if r.p_value is None else [(r.name, r.p_value, r.adjusted)],
    Combined: lambda r: [
        (r.rule, r.p_value, None),
        *((f"statistic {k}", p, None) for k, p in enumerate(r.columns, 1)),
    ],
    ConditionalDiagnosis: lambda r: [(f"law given {', '.join(r.contexts)}", r.p_value, None)],
    ConstraintComparison: lambda r: [(r.name, PValue.exact(r.p_value, r.method), None)],
    ContextGoodness: _in_context,
    LikelihoodTest: lambda r: [
        ("mean log-density", r.p_value, None),
        ("ranks of the densities", r.rank_p_value, None),
    ],
    LocalTest: _local,
    Memorisation: _memorised,
    OneSample: lambda r: [(f"{r.feature}, {r.statistic}", r.p_value, None)],
    Physics: lambda r: [
        (each.feature.name, PValue.exact(each.p_value, "chi-square"), None) for each in r.marginals
    ],
    PValue: lambda r: [(r.null, r, None)],
    Refinement: lambda r: [
        ("all looks", r.p_value, None),
        *((f"look {k}", look.p_value, None) for k, look in enumerate(r.looks, 1)),
    ],
    SurpriseFit: lambda r: [(name, p, None) for name, p in zip(r.names, r.p_values, strict=True)],
}


@draws(*_OF)
def plot_tests(result: object, *, level: float = 0.05, ax: Axes | None = None) -> Axes:
    """Draw the p-values of a result with their intervals, one in each row.

    Parameters
    ----------
    result
        A p-value or a result of one or several tests.
    level
        Significance level that is marked.
    ax
        Where to draw; None for a new figure.
    """
    return plot_p_values(_OF[type(result)](result), level=level, ax=ax)


@draws(TwoSample)
def plot_two_sample(result: TwoSample, *, ax: Axes | None = None) -> Axes:
    """Draw the statistic on all draws of its null, and the observed value."""
    with canvas(ax, width=4.8, height=3.6) as axes:
        paint_null(axes, result.null, result.observed, draws_of=result.p_value.null, symbol="T")
        axes.set_xlabel(result.statistic)
        axes.set_title(f"p = {p_value(result.p_value)}", loc="left", pad=26)
    return axes
