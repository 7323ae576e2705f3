"""Reading the samples of a validation: the columns that it needs, weights where there are some."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.data.events import Events
from verisimile.data.files import column_names, read_events
from verisimile.report.content import InputSample
from verisimile.validation.columns import needed_columns
from verisimile.validation.study import Study

__all__ = ["ReadSamples", "read_samples"]

_ROLES = ("reference", "generated", "train")


@dataclass(frozen=True, slots=True, eq=False)
class ReadSamples:
    """The samples as read, how a report describes them, and what a reader must know."""

    events: Mapping[str, Events]
    inputs: tuple[InputSample, ...]
    warnings: tuple[str, ...]


def read_samples(study: Study) -> ReadSamples:
    """Read all samples that a study names.

    Raises
    ------
    InputError
        For a file that cannot be read, or a column that is missing.
    """
    uris = {role: uri for role in _ROLES if (uri := getattr(study.samples, role)) is not None}
    weighted = _weighted(study, uris)
    features = needed_columns(study)
    events = {
        role: read_events(
            uri, features=features, weights=study.samples.weights if weighted[role] else None
        )
        for role, uri in uris.items()
    }
    return ReadSamples(
        events,
        tuple(InputSample.of(role, uris[role], sample) for role, sample in events.items()),
        tuple(_notes(study, weighted)),
    )


def _weighted(study: Study, uris: Mapping[str, str]) -> dict[str, bool]:
    """Return which samples have the column of weights: a generator's events often have none."""
    name = study.samples.weights
    if name is None:
        return dict.fromkeys(uris, False)
    found = {role: name in column_names(uri) for role, uri in uris.items()}
    if not any(found.values()):
        raise InputError(
            "weights",
            got=f"no column {name!r} in any of the samples",
            expected="the name of a column of weights in one of them or in all",
        )
    return found


def _notes(study: Study, weighted: Mapping[str, bool]) -> list[str]:
    if study.samples.weights is None or all(weighted.values()):
        return []
    plain = " and ".join(role for role, found in weighted.items() if not found)
    note = (
        f"there is no column {study.samples.weights!r} in the {plain} sample: taken as unweighted"
    )
    warnings.warn(note, VerisimileWarning, stacklevel=2)
    return [note]
