"""The samples of a validation: matched, extended, cut, and looked at for mix-ups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.core.errors import InputError
from verisimile.data.derived import derived
from verisimile.data.events import Events, match_features
from verisimile.data.expressions import Condition
from verisimile.data.periods import periods, with_periods
from verisimile.samples.repeats import SampleRows, equal_rows, rows_of
from verisimile.validation.columns import compared, computed_columns, needed_columns
from verisimile.validation.mix_ups import check_units, rounding_mismatches, swapped_columns
from verisimile.validation.overlaps import Overlap, overlaps
from verisimile.validation.study import Study

__all__ = ["Inputs", "gathered_inputs"]

_FEWEST = 2


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What the tests see.

    Attributes
    ----------
    reference, generated, train
        The compared features of the samples, in the same order.
    conditioned
        Reference and generated events with all their columns, for conditions.
    overlaps
        Copies that two of the samples share.
    rows
        Different rows of each sample.
    warnings
        What a reader must know.
    """

    reference: Events
    generated: Events
    train: Events | None
    conditioned: tuple[Events, Events]
    overlaps: tuple[Overlap, ...]
    rows: tuple[SampleRows, ...]
    warnings: tuple[str, ...]


def gathered_inputs(
    reference: Events, generated: Events, train: Events | None, study: Study
) -> Inputs:
    """Return the samples as the tests shall see them.

    Features are matched by name, the study's observables are appended, and its cut is
    applied to every sample.

    Raises
    ------
    InputError
        If features do not match, a cut leaves too few events, an expression cannot be
        evaluated, or one sample looks as if its units were others.
    """
    named = _matched(reference, generated, train, needed_columns(study))
    extended = {role: _extended(events, role, study) for role, events in named.items()}
    for role, events in extended.items():
        _check_size(events, role)
    turning = periods(study.samples.periodic)
    shown = {
        role: with_periods(compared(events, study), turning) for role, events in extended.items()
    }
    ours, theirs = shown["reference"], shown["generated"]
    check_units(ours, theirs)
    found, rows = overlaps(shown), rows_of(shown)
    for role in (each.role for each in rows if each.dependent):
        if shown[role].group is None:
            codes = equal_rows(shown[role].x)
            shown[role], extended[role] = (
                Events(each.x, each.weights, features=each.features, group=codes)
                for each in (shown[role], extended[role])
            )
    return Inputs(
        shown["reference"],
        shown["generated"],
        shown.get("train"),
        (extended["reference"], extended["generated"]),
        found,
        rows,
        (
            *(overlap.warning for overlap in found),
            *(each.warning for each in rows if each.repeated),
            *swapped_columns(ours, theirs),
            *rounding_mismatches(ours, theirs),
            *_constant(ours, theirs),
            *_shrunk(named, extended),
        ),
    )


def _matched(
    reference: Events, generated: Events, train: Events | None, columns: list[str] | None
) -> dict[str, Events]:
    """Return the samples with the same columns in the same order."""
    named = {"reference": reference, "generated": generated}
    if train is not None:
        named["train"] = train
    if columns is not None:
        named = {role: events.select(columns) for role, events in named.items()}
    features = named["reference"].features
    return {role: match_features(events, features) for role, events in named.items()}


def _extended(events: Events, role: str, study: Study) -> Events:
    # The cut comes first: a logarithm may need it.
    return derived(_cut(events, role, study.samples.cut), computed_columns(study))


def _cut(events: Events, role: str, text: str | None) -> Events:
    if text is None:
        return events
    passed = Condition(text).of(events)
    if not passed.any():
        raise InputError(
            f"{role} sample",
            got=f"none of {events.n} events that fulfils {text!r}",
            expected="events",
            remedy="Check the cut, and the units of the columns in it.",
        )
    return events.take(passed)


def _check_size(events: Events, role: str) -> None:
    if events.n < _FEWEST:
        raise InputError(
            f"{role} sample",
            got=f"{events.n} event",
            expected="two events or more",
            remedy="Check the file and the cut: a comparison needs a spread within each sample.",
        )


def _constant(reference: Events, generated: Events) -> list[str]:
    found = []
    for j, name in enumerate(reference.names):
        ours, theirs = (np.ptp(events.x[:, j]) > 0.0 for events in (reference, generated))
        if not ours and not theirs:
            same = reference.x[0, j] == generated.x[0, j]
            where = "and is left out" if same else "in each sample"
            found.append(f"feature {name!r} has one value only {where}")
        elif ours != theirs:
            which = "generated" if ours else "reference"
            found.append(f"feature {name!r} has one value only in the {which} sample")
    return found


def _shrunk(before: Mapping[str, Events], after: Mapping[str, Events]) -> list[str]:
    """Say how much of each sample a cut has left."""
    return [
        f"the cut leaves {after[role].n} of {events.n} events of the {role} sample"
        for role, events in before.items()
        if after[role].n < events.n
    ]
