"""Mistakes of the input that would otherwise read as a bad generator: units, swapped columns."""

from __future__ import annotations

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.data.events import Events

__all__ = ["check_units", "swapped_columns"]

_STEP = 1000.0  # MeV and GeV, mm and m
_TOLERANCE = 1.3
_PROBE = 5000  # events that are looked at
_APART, _ALIKE = 0.15, 0.05  # Kolmogorov distances
_FEWEST = 100


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
