"""The samples of a validation: matched, extended, cut, and looked at for mix-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, require
from verisimile.core.result import Result, register
from verisimile.data.account import doubts_of, losses_of
from verisimile.data.derived import derived, described
from verisimile.data.description import Description
from verisimile.data.events import Events
from verisimile.data.expressions import Condition
from verisimile.data.feature import require_columns
from verisimile.samples.columns import comparable, swapped_columns
from verisimile.samples.copies import SampleRows, copies_of, equal_rows, rows_of
from verisimile.samples.weighted import match_columns
from verisimile.validation.descriptions import (
    all_descriptions,
    described_alike,
    kind_mismatches,
)
from verisimile.validation.study import (
    Study,
    columns_to_compare,
    computed_columns,
    conditions,
    needed_columns,
)

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
    doubts
        Columns that were left out although they may be features: why nothing may pass.
    warnings
        What a reader must know.
    """

    reference: Events
    generated: Events
    train: Events | None
    conditioned: tuple[Events, Events]
    overlaps: tuple[Overlap, ...]
    rows: tuple[SampleRows, ...]
    doubts: tuple[str, ...]
    warnings: tuple[str, ...]


def gathered_inputs(
    reference: Events, generated: Events, train: Events | None, study: Study
) -> Inputs:
    """Return the samples as the tests shall see them.

    Features are matched by name, the study's observables are appended, and its cut is
    applied to every sample; each keeps two events, and units must not look different.
    """
    given = {"reference": reference, "generated": generated}
    if train is not None:
        given["train"] = train
    named, extended, shown = _prepared(given, study)
    ours, theirs = shown["reference"], shown["generated"]
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
        _doubts(given, study),
        (
            *losses_of({role: events.account for role, events in given.items()}),
            *(overlap.warning for overlap in found),
            *(each.warning for each in rows if each.repeated),
            *kind_mismatches(named),
            *swapped_columns(ours, theirs),
            *rounding_mismatches(ours, theirs),
            *_constant(ours, theirs),
            *_shrunk(named, extended),
        ),
    )


def check_inputs(samples: Mapping[str, Events], study: Study) -> None:
    """Raise what a validation of samples, given by their roles, would say before any test.

    Columns, units, cuts, further columns, selections and constraints are looked at; none of what
    takes long is done.
    """
    comparable(**samples)
    _, extended, shown = _prepared(samples, study)
    ours, theirs = shown["reference"], shown["generated"]
    if study.battery.physics or study.selections or study.constraints:
        match_columns(ours, theirs)
    for part, texts in (("selection", study.selections), ("constraint", study.constraints)):
        for name, condition in conditions(texts).items():
            for role in ("reference", "generated"):
                try:
                    # A constraint that is undefined is violated, which is no fault of the study.
                    condition.of(extended[role], defined=part == "selection")
                except InputError as error:
                    raise error.within(f"{part} {name!r}, {role} sample") from None


def _prepared(
    given: Mapping[str, Events], study: Study
) -> tuple[dict[str, Events], dict[str, Events], dict[str, Events]]:
    """Return the samples matched, then with further columns and cut, then what is compared."""
    computed = computed_columns(study)
    said = all_descriptions(study.features, study.samples.periodic)
    require_columns(list(said), [*given["reference"].names, *computed], "described features")
    named = _matched(given, study, said)
    extended = {role: _extended(events, role, study) for role, events in named.items()}
    of_computed = {name: each for name, each in said.items() if name in computed}
    shown = {
        role: described(columns_to_compare(events, study), of_computed)
        for role, events in extended.items()
    }
    check_units(shown["reference"], shown["generated"])
    return named, extended, shown


def _matched(
    given: Mapping[str, Events], study: Study, said: Mapping[str, Description]
) -> dict[str, Events]:
    """Return the samples with the same columns in the same order, described alike."""
    columns = needed_columns(study, cut=not _is_cut(given["reference"], study.samples.cut))
    named = {
        role: _without(events, study.samples.ignore) if columns is None else events.select(columns)
        for role, events in given.items()
    }
    read = named["reference"].names
    return described_alike(
        named,
        {name: each for name, each in said.items() if name in read},
        called={role: _sample(role, study) for role in named},
    )


def _without(events: Events, ignored: Sequence[str]) -> Events:
    kept = [name for name in events.names if name not in ignored]
    return events if len(kept) == events.d else events.select(kept)


def _sample(role: str, study: Study) -> str:
    """Return how the reader knows a sample: by its role, and its file if the study names one."""
    file = getattr(study.samples, role)
    return f"{role} sample" if file is None else f"{role} sample ({file})"


def _doubts(given: Mapping[str, Events], study: Study) -> tuple[str, ...]:
    """Return the doubts of samples whose features the study does not name."""
    if study.samples.features is not None:
        return ()
    accounts = {role: events.account for role, events in given.items()}
    return doubts_of(accounts, ignored=study.samples.ignore)


def _extended(events: Events, role: str, study: Study) -> Events:
    # The cut comes first: a logarithm may need it.
    found = derived(_cut(events, role, study.samples.cut), computed_columns(study))
    require(
        found.n >= _FEWEST,
        f"{role} sample",
        got=f"{found.n} event",
        expected="two events or more",
        remedy="Check the file and the cut: a comparison needs a spread within each sample.",
    )
    return found


def _cut(events: Events, role: str, text: str | None) -> Events:
    if text is None or _is_cut(events, text):
        return events
    passed = Condition(text).of(events)
    require(
        passed.any(),
        f"{role} sample",
        got=f"none of {events.n} events that fulfils {text!r}",
        expected="events",
        remedy="Check the cut, and the units of the columns in it.",
    )
    return events.take(passed)


def _is_cut(events: Events, text: str | None) -> bool:
    """Return whether events were cut by a condition when they were read."""
    return events.account is not None and text is not None and events.account.condition == text


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
    """Say how much of each sample a cut has left, here or when it was read."""
    cut = {
        role: events.n - after[role].n + (events.account.cut if events.account else 0)
        for role, events in before.items()
    }
    return [
        f"the cut leaves {after[role].n} of {after[role].n + lost} events of the {role} sample"
        for role, lost in cut.items()
        if lost
    ]


_STEP = 1000.0  # MeV and GeV, mm and m
_TOLERANCE = 1.3
_FEWEST_COMPARED = 100
_DECIMALS = 4  # digits after the point that are looked for
_SINGLE, _DOUBLE = "single precision", "double precision"


def check_units(reference: Events, generated: Events) -> None:
    """Raise if a feature is a thousand times as large in one sample as in the other.

    Compared are the median and the upper quartile of the absolute values: both must
    agree on the factor.
    """
    found = [
        f"{name!r} about {factor:g} times as large"
        for j, name in enumerate(reference.names)
        if (factor := _factor(reference.x[:, j], generated.x[:, j])) is not None
    ]
    require(
        not found,
        "generated sample",
        got=f"{', '.join(found)} as in the reference sample",
        expected="the same units in both",
        remedy="MeV and GeV? Convert one of the files.",
    )


def rounding_mismatches(reference: Events, generated: Events) -> list[str]:
    """Return warnings of features that are rounded in one sample and otherwise in the other.

    Looked for are whole numbers, one to four decimals, and single precision.  Tests see such a
    difference as well as they see one of physics.
    """
    if min(reference.n, generated.n) < _FEWEST_COMPARED:
        return []
    found: dict[tuple[str, str], list[str]] = {}
    for name, ours, theirs in zip(reference.names, reference.x.T, generated.x.T, strict=True):
        grains = _grain(ours), _grain(theirs)
        if grains[0] != grains[1] and np.ptp(ours) > 0.0 and np.ptp(theirs) > 0.0:
            found.setdefault(grains, []).append(repr(name))
    return [
        f"{'features' if len(names) > 1 else 'feature'} {', '.join(names)}: {ours} in the "
        f"reference sample, {theirs} in the generated one; {_advice(ours, theirs)}"
        for (ours, theirs), names in found.items()
    ]


def _advice(ours: str, theirs: str) -> str:
    if {ours, theirs} == {_SINGLE, _DOUBLE}:
        return "no test of distributions sees this difference, but copies are found after rounding"
    return "round both alike, or tests see the rounding"


def _grain(column: Array) -> str:
    """Return what values of a column are rounded to."""
    with np.errstate(over="ignore"):
        single = bool((column == column.astype(np.float32)).all())
    epsilon = float(np.finfo(np.float32 if single else np.float64).eps)
    slack = 2.0 * epsilon * np.abs(column)
    for digits in range(_DECIMALS + 1):
        # A step near the resolution of the numbers says nothing.
        fine = slack.max() < 1e-2 * 10.0**-digits or digits == 0
        room = slack if digits else 0.0
        if fine and bool((np.abs(column - np.round(column, digits)) <= room).all()):
            return "whole numbers" if digits == 0 else f"{digits} decimals"
    return _SINGLE if single else _DOUBLE


def _factor(ours: Array, theirs: Array) -> float | None:
    sizes = [np.quantile(np.abs(column), (0.5, 0.75)) for column in (ours, theirs)]
    if not all((size > 0.0).all() for size in sizes):
        return None
    ratio = sizes[1] / sizes[0]
    for factor in (_STEP, 1.0 / _STEP):
        if (np.abs(np.log(ratio / factor)) < np.log(_TOLERANCE)).all():
            return factor
    return None


_PAIRS = (("train", "generated"), ("train", "reference"), ("reference", "generated"))
_MEANING = {
    ("train", "generated"): "the generator returns events that it was trained on, and its "
    "sample is worth no more events than those",
    ("train", "reference"): "the reference sample is not independent of the training, and a "
    "generator that memorises looks better on it than it is",
    ("reference", "generated"): "samples that share events look more alike than they are, and no "
    "p-value between them is valid",
}


_HOW = {
    "exact": "occur in",
    "float32": "are single-precision copies of events of",
    "columns": "are copies, with columns in another order, of events of",
    "near": "are nearly copies of events of",
}


@register("overlap", 1)
@dataclass(frozen=True, slots=True)
class Overlap(Result):
    """Events of one sample that are copies of another's, more than coincide by chance.

    Attributes
    ----------
    first, second
        Roles of the samples.
    shared
        Events of the second that occur in the first.
    size
        Events of the second.
    kind
        ``"exact"``, ``"float32"`` (rounded), ``"columns"`` (in another order) or ``"near"``
        (moved by little).
    expected
        How many would occur by chance.
    """

    first: str
    second: str
    shared: int
    size: int
    kind: str = "exact"
    expected: float = 0.0

    @property
    def fraction(self) -> float:
        """Share of the second sample."""
        return self.shared / self.size

    @property
    def warning(self) -> str:
        """What it means, in a sentence."""
        meaning = _MEANING[(self.first, self.second)]
        chance = f" ({self.expected:.3g} by chance)" if self.expected >= 1.0 else ""
        return (
            f"{self.shared} of {self.size} events ({100.0 * self.fraction:.3g} %) of the "
            f"{self.second} sample {_HOW[self.kind]} the {self.first} sample{chance}: {meaning}"
        )


def overlaps(samples: Mapping[str, Events]) -> tuple[Overlap, ...]:
    """Return what each pair of samples shares beyond chance, one entry per kind of copy."""
    return tuple(
        Overlap(first, second, found.count, found.size, found.kind, found.expected)
        for first, second in _PAIRS
        if first in samples and second in samples
        for found in copies_of(samples[first], samples[second])
    )
