"""Which features come round, and after how much: texts and specifications of periodic features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.data.feature import require_columns

Ends = tuple[float, float] | None
"""Where one period begins and ends; None for an angle in radians, cut anywhere."""


def periods(texts: Sequence[str]) -> dict[str, Ends]:
    """Return by name the ends of a period in ``name=low:high``, None for a bare ``name``.

    Raises
    ------
    InputError
        If a text has another form, the ends are not in order, or a name comes twice.

    Examples
    --------
    >>> periods(["phi", "angle=0:360"])
    {'phi': None, 'angle': (0.0, 360.0)}
    """
    found: dict[str, Ends] = {}
    for text in texts:
        name, equals, ends = text.rpartition("=") if "=" in text else (text, "", "")
        name = name.strip()
        if not name or name in found:
            raise _fault(text)
        found[name] = _ends(text, ends) if equals else None
    return found


def with_periods(events: Events, ends: Mapping[str, Ends]) -> Events:
    """Return `events` whose features of the given names are periodic.

    Raises
    ------
    InputError
        If there is no such feature.
    SupportError
        If values lie outside the ends of the period.
    """
    if not ends:
        return events
    require_columns(list(ends), events.names, "periodic")
    features = []
    for spec in events.features:
        if spec.name not in ends:
            features.append(spec)
            continue
        low, high = ends[spec.name] or (spec.low, spec.high)
        features.append(replace(spec, kind="periodic", low=low, high=high))
    return Events(events.x, events.weights, features=features, group=events.group)


def _ends(text: str, ends: str) -> tuple[float, float]:
    low, colon, high = ends.partition(":")
    try:
        pair = float(low), float(high)
    except ValueError:
        raise _fault(text) from None
    if not colon or not all(map(math.isfinite, pair)) or not pair[0] < pair[1]:
        raise _fault(text)
    return pair


def _fault(text: str) -> InputError:
    return InputError(
        "periodic",
        got=repr(text),
        expected="name, or name=low:high with the ends of one period, each name once",
        remedy="For instance phi for an angle in radians, angle=0:360 for one in degrees.",
    )
