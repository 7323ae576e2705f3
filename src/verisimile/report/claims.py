"""What a fit claims of its errors, and how far a test may trust them, in sentences."""

from __future__ import annotations

from verisimile.checks.goodness.result import Goodness
from verisimile.mixture.discrepancy.posterior import DiscrepancySummary
from verisimile.report.numbers import count, fixed, rough

AS_PUBLISHED = (
    "Without discrepancy, the pipeline as published: errors are those of the weights given the "
    "members, and what all members miss alike is not in them."
)

UNMOVED = "no bin is off by more than two errors"


def claimed(found: DiscrepancySummary | None) -> str:
    """Return what a fit claims with and without its discrepancy, and where the members are off."""
    if found is None:
        return AS_PUBLISHED
    record, off = found.record, found.notable()
    where = f"the members are off most for {off[0]}" if off else UNMOVED
    return (
        f"Claimed errors of the features' bins are {fixed(found.claimed)} of the counting error "
        f"of the {count(record.n_events)} events of the fit, {fixed(found.claimed_by_weights)} "
        f"without the discrepancy of the members; {count(record.effective)} of its "
        f"{count(record.n_functions)} functions were determined, and {where}."
    )


def supported(test: Goodness) -> str:
    """Return which size of a test its stated errors support; nothing of a plain mixture."""
    if test.supports is None or test.learnt_from is None:
        return ""
    return (
        f"The stated errors support a test of {rough(test.supports)} events, whose own counting "
        f"error is as large; they were learnt from {count(test.learnt_from)} events, and "
        f"{count(test.n_events)} were tested."
    )


def reservation(test: Goodness) -> str:
    """Return why a rejection may be the ensemble's and not the data's; nothing if it is not."""
    if test.learns_too_little and test.learnt_from is not None:
        learnt = count(test.learnt_from)
        return (
            f" The ensemble's errors were learnt from {learnt} events, fewer than the "
            f"{count(test.n_events)} tested: a rejection of this size cannot be told from what "
            f"the ensemble has not learnt. Fit on as many events as are tested, or test {learnt} "
            "at most."
        )
    if test.ignores_common_errors and test.n_training is not None:
        return (
            " The claimed errors leave out what all members miss alike, which may show in "
            f"{count(test.n_events)} events after {count(test.n_training)} of training."
        )
    return ""
