"""Reading the samples of a validation: the columns it needs, weights and groups where there are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.data.events import Events
from verisimile.data.files import column_names, read_events
from verisimile.report.content import InputSample
from verisimile.validation.study import Study, needed_columns

_ROLES = ("reference", "generated", "train")
_MEANINGS = {"weights": "weights", "group": "groups"}


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
    weights = _holders(study.samples.weights, uris, "weights")
    groups = _holders(study.samples.group, uris, "group")
    features = needed_columns(study)
    events = {
        role: read_events(uri, features=features, weights=weights[role], group=groups[role])
        for role, uri in uris.items()
    }
    return ReadSamples(
        events,
        tuple(InputSample.of(role, uris[role], sample) for role, sample in events.items()),
        (
            *_notes(study.samples.weights, weights, "taken as unweighted"),
            *_notes(study.samples.group, groups, "its rows are taken as independent"),
        ),
    )


def _holders(name: str | None, uris: Mapping[str, str], what: str) -> dict[str, str | None]:
    """Return the column's name for each sample that has it: a generator's events often do not."""
    if name is None:
        return dict.fromkeys(uris)
    found = {role: name if name in column_names(uri) else None for role, uri in uris.items()}
    if not any(found.values()):
        raise InputError(
            what,
            got=f"no column {name!r} in any of the samples",
            expected=f"the name of a column of {_MEANINGS[what]} in one of them or in all",
        )
    return found


def _notes(name: str | None, holders: Mapping[str, str | None], so: str) -> list[str]:
    if name is None or all(holders.values()):
        return []
    plain = " and ".join(role for role, column in holders.items() if column is None)
    note = f"there is no column {name!r} in the {plain} sample: {so}"
    warnings.warn(note, VerisimileWarning, stacklevel=3)
    return [note]
