"""Tables of a classifier's diagnosis: the area, closure, and where the largest weights lie."""

from __future__ import annotations

from verisimile.checks.classifier.diagnosis import ClassifierDiagnosis
from verisimile.report.numbers import (
    count,
    fixed,
    p_interval,
    p_value,
    percent,
    plain_number,
    value_and_error,
)
from verisimile.report.page import Table

__all__ = ["closure_table", "diagnosis_table", "tail_table"]

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


def tail_table(found: ClassifierDiagnosis) -> Table:
    """Return where the events with the largest and the smallest weights lie."""
    rows = []
    for tail in found.tails:
        for place, where in enumerate(tail.ranges[:_RANGES]):
            rows.append(
                (
                    f"{tail.side}, {_ordinal(place)}",
                    where.feature,
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
