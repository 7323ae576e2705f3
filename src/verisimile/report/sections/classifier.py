"""A classifier on the page: its figure, its area, closure and largest weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.checks.classifier.auc import CalibrationCurve, RocCurve
from verisimile.checks.classifier.conditional import ConditionalDiagnosis
from verisimile.checks.classifier.diagnosis import ClassifierDiagnosis, WeightHistogram
from verisimile.report import style
from verisimile.report.drawing import canvas, draws, figure_of, panels
from verisimile.report.labels import measured, stated_units
from verisimile.report.numbers import (
    count,
    fixed,
    p_interval,
    p_value,
    percent,
    plain_number,
    value_and_error,
)
from verisimile.report.page import Illustration, Table
from verisimile.report.section import Section, takes
from verisimile.report.verdict import Finding, decision

ABOUT = (
    "A classifier is trained to tell generated from true events; w is the density ratio that "
    "its scores imply."
)


@takes(ClassifierDiagnosis)
class Diagnoses(Section[ClassifierDiagnosis]):
    """Classifiers between true and generated events."""

    title = "Classifier"
    text = ABOUT
    question = "area under the ROC curve"

    def figures(self) -> Iterator[Illustration]:
        """Yield the three panels of each."""
        for place, result in enumerate(self.results, 1):
            yield classifier_illustration(result, f"loose-{place}")

    def tables(self) -> Iterator[Table]:
        """Yield area, tails and closure of each."""
        for result in self.results:
            yield from classifier_tables(result, stated_units(self.content))


@takes(ConditionalDiagnosis)
class ConditionalDiagnoses(Section[ConditionalDiagnosis]):
    """Classifiers between true and generated events at equal contexts."""

    title = "Conditional classifier"
    text = "A classifier is trained to tell generated from true events at the same context."
    caption = (
        "Area under the ROC curve of log w(x | c) beside its null, and that of the classifier on "
        "the context alone: one half if the contexts' laws agree."
    )
    columns: ClassVar = {
        "AUC": "auc",
        "Null": "null_auc",
        "p": "p_value",
        "By": lambda r: "exact permutations" if r.exact else "generalised covariance",
        "Context": "context_auc",
        "Shared contexts": lambda r: percent(r.shared),
        "Events": lambda r: f"{count(r.n_truth)} + {count(r.n_generated)}",
    }

    def judge(self, name: str, result: ConditionalDiagnosis) -> Iterator[Finding]:
        """Yield a verdict on p(x | c)."""
        question = f"law given {', '.join(result.contexts)}"
        yield decision(name, question, result.p_value, self.level)


def classifier_illustration(found: ClassifierDiagnosis, number: str) -> Illustration:
    """Return the figure with its words."""
    auc = value_and_error(found.auc.value, found.auc.error)
    return Illustration(
        name=f"classifier-{number}",
        caption="Left: ROC curve on a half that was not trained on. Middle: calibration of "
        "the scores. Right: distribution of log w in both samples.",
        alt=f"ROC curve with area {auc}, calibration of the scores, and the distribution "
        "of the weights of true and generated events.",
        figure=classifier_figure(found),
        broad=True,
    )


def classifier_tables(found: ClassifierDiagnosis, units: Mapping[str, str]) -> tuple[Table, ...]:
    """Return area, tails, closure, with units by feature."""
    return diagnosis_table(found), tail_table(found, units), closure_table(found)


@draws(ClassifierDiagnosis)
def plot_classifier(result: ClassifierDiagnosis, *, ax: Axes | None = None) -> Axes:
    """Draw ROC curve, calibration of the scores and distribution of the weights side by side.

    Parameters
    ----------
    result
        What a classifier found.
    ax
        Where to draw, divided into three; None for a new figure.

    Returns
    -------
    Axes
        Those of the ROC curve.
    """
    with canvas(ax, width=10.6, height=3.5) as axes:
        left, middle, right = panels(axes, widths=(1.0, 1.0, 1.0))
        area = f"AUC {result.auc.value:.4f} ± {result.auc.error:.4f}"
        plot_roc(result.roc, name=area, ax=left)
        plot_calibration(result.calibration, ax=middle)
        plot_log_weights(result.histogram, ax=right)
    return axes


def classifier_figure(found: ClassifierDiagnosis) -> Figure:
    """Return the three panels as a figure."""
    return figure_of(plot_classifier, found)


@draws(RocCurve)
def plot_roc(result: RocCurve, *, name: str = "classifier", ax: Axes | None = None) -> Axes:
    """Draw the efficiencies of a cut on the score, with their band."""
    with canvas(ax, width=4.2, height=3.8) as axes:
        _roc(axes, result, name)
    return axes


@draws(CalibrationCurve)
def plot_calibration(result: CalibrationCurve, *, ax: Axes | None = None) -> Axes:
    """Draw observed over predicted shares of true events."""
    with canvas(ax, width=4.2, height=3.8) as axes:
        _calibration(axes, result)
    return axes


@draws(WeightHistogram)
def plot_log_weights(result: WeightHistogram, *, ax: Axes | None = None) -> Axes:
    """Draw the distributions of log w in both samples."""
    with canvas(ax, width=4.2, height=3.8) as axes:
        _weights(axes, result)
    return axes


def _roc(axes: Axes, curve: RocCurve, name: str) -> None:
    axes.plot([0, 1], [0, 1], color=style.MUTED, ls=(0, (4, 2)), lw=1.0, label="no difference")
    axes.fill_between(curve.generated, curve.low, curve.high, color=style.BAND_1, lw=0.0)
    axes.plot(
        curve.generated,
        curve.truth,
        color=style.REFERENCE,
        label=name,
    )
    axes.set_xlabel("share of generated events kept")
    axes.set_ylabel("share of true events kept")
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.0)
    axes.legend(loc="lower right")


def _calibration(axes: Axes, bins: CalibrationCurve) -> None:
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


def _weights(axes: Axes, shown: WeightHistogram) -> None:
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


_RANGES = 2


def diagnosis_table(found: ClassifierDiagnosis) -> Table:
    """Return the area under the curve and what the scores are worth."""
    rows = (
        (
            "AUC on a half that was not trained on",
            value_and_error(found.auc.value, found.auc.error),
        ),
        ("p", f"{p_value(found.p_value)} ({p_interval(found.p_value)})"),
        ("AUC of the cross-fitted scores", fixed(found.cross_fitted_auc, places=4)),
        (
            "Expected calibration error (if every score were right)",
            f"{plain_number(found.calibration.error, digits=2)} "
            f"({plain_number(found.calibration.error_if_calibrated, digits=2)})",
        ),
        (
            "Effective generated events left by reweighting to the truth",
            percent(found.effective_fraction),
        ),
        ("Events without a finite weight", count(found.histogram.infinite)),
        ("Learner, folds", f"{found.learner.rpartition('.')[2]}, {found.folds}"),
        ("Events", f"{count(found.n_truth)} true, {count(found.n_generated)} generated"),
    )
    return Table("The classifier.", ("Quantity", "Value"), rows)


def tail_table(found: ClassifierDiagnosis, units: Mapping[str, str]) -> Table:
    """Return where the events with the largest and the smallest weights lie."""
    rows = []
    for tail in found.tails:
        for place, where in enumerate(tail.ranges[:_RANGES]):
            rows.append(
                (
                    f"{tail.side}, {_ordinal(place)}",
                    measured(where.feature, units.get(where.feature)),
                    plain_number(where.low),
                    plain_number(where.high),
                    fixed(where.concentration, places=1),
                    value_and_error(where.ratio.value, where.ratio.error),
                )
            )
    return Table(
        caption="Where the classifier's tails lie: missing, the 2 % of events with the largest "
        "weights; excess, those with the smallest. Range: 80 % of the tail, in the features that "
        "tell it best. Concentration: how much denser the tail is there. The ratio is counted, "
        "whatever the classifier believes.",
        columns=("Tail", "Feature", "From", "To", "Concentration", "True / generated there"),
        rows=tuple(rows),
        words=frozenset({1}),
    )


def _ordinal(place: int) -> str:
    return ("first feature", "second feature")[place]


def closure_table(found: ClassifierDiagnosis) -> Table:
    """Return whether the classifier's weights mend the marginals."""
    return Table(
        caption="Closure: χ² of each marginal, before and after the generated events are weighted "
        "by w. What stays large after is not understood by the classifier.",
        columns=("Feature", "χ² before", "χ² after", "dof"),
        rows=tuple(
            (
                each.feature,
                plain_number(each.before, digits=3),
                plain_number(each.after, digits=3),
                count(each.dof),
            )
            for each in found.closure
        ),
    )
