"""Mistakes of the input that would otherwise read as a bad generator: units, columns, rounding."""

from __future__ import annotations

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.data.events import Events

__all__ = ["check_units", "rounding_mismatches", "swapped_columns"]

_STEP = 1000.0  # MeV and GeV, mm and m
_TOLERANCE = 1.3
_PROBE = 5000  # events that are looked at
_APART, _ALIKE = 0.15, 0.05  # Kolmogorov distances
_FEWEST = 100
_DECIMALS = 4  # digits after the point that are looked for
_SINGLE, _DOUBLE = "single precision", "double precision"


def check_units(reference: Events, generated: Events) -> None:
    """Raise if a feature is a thousand times as large in one sample as in the other.

    Compared are the median and the upper quartile of the absolute values: both must
    agree on the factor.

    Raises
    ------
    InputError
        Naming the features, and what to do.
    """
    found = [
        f"{name!r} about {factor:g} times as large"
        for j, name in enumerate(reference.names)
        if (factor := _factor(reference.x[:, j], generated.x[:, j])) is not None
    ]
    if found:
        raise InputError(
            "generated sample",
            got=f"{', '.join(found)} as in the reference sample",
            expected="the same units in both",
            remedy="MeV and GeV? Convert one of the files.",
        )


def swapped_columns(reference: Events, generated: Events) -> list[str]:
    """Return a warning for every two features that look exchanged in the generated sample.

    Two features look exchanged if each differs clearly from its namesake (Kolmogorov
    distance above 0.15) and agrees with the other one (below 0.05).
    """
    if min(reference.n, generated.n) < _FEWEST:
        return []
    ours, theirs = _probe(reference), _probe(generated)
    apart = [j for j in range(reference.d) if _distance(ours[:, j], theirs[:, j]) > _APART]
    return [
        f"features {reference.names[i]!r} and {reference.names[j]!r} look exchanged in the "
        "generated sample: check the names of its columns"
        for place, i in enumerate(apart)
        for j in apart[place + 1 :]
        if max(_distance(ours[:, i], theirs[:, j]), _distance(ours[:, j], theirs[:, i])) < _ALIKE
    ]


def rounding_mismatches(reference: Events, generated: Events) -> list[str]:
    """Return warnings of features that are rounded in one sample and otherwise in the other.

    Looked for are whole numbers, one to four decimals, and single precision.  Tests see such a
    difference as well as they see one of physics.
    """
    if min(reference.n, generated.n) < _FEWEST:
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
        if fine and bool((np.abs(column - np.round(column, digits)) <= _room(slack, digits)).all()):
            return "whole numbers" if digits == 0 else f"{digits} decimals"
    return _SINGLE if single else _DOUBLE


def _room(slack: Array, digits: int) -> Array:
    return slack if digits else np.zeros_like(slack)


def _factor(ours: Array, theirs: Array) -> float | None:
    sizes = [np.quantile(np.abs(column), (0.5, 0.75)) for column in (ours, theirs)]
    if not all((size > 0.0).all() for size in sizes):
        return None
    ratio = sizes[1] / sizes[0]
    for factor in (_STEP, 1.0 / _STEP):
        if (np.abs(np.log(ratio / factor)) < np.log(_TOLERANCE)).all():
            return factor
    return None


def _probe(events: Events) -> Array:
    # Evenly spread: a file may be sorted.
    return events.x[:: max(1, events.n // _PROBE)]


def _distance(first: Array, second: Array) -> float:
    return float(stats.ks_2samp(first, second, method="asymp").statistic)
