"""Which columns a study reads, which it computes, and which of them are compared."""

from __future__ import annotations

from collections.abc import Mapping

from verisimile.data.events import Events
from verisimile.data.expressions import Condition, Expression, Quantity
from verisimile.data.user_file import functions_of
from verisimile.validation.study import Study

__all__ = ["compared", "computed_columns", "conditions", "needed_columns"]


def computed_columns(study: Study) -> dict[str, Quantity]:
    """Return the study's further columns: its expressions, then the functions of its file.

    Raises
    ------
    InputError
        If the file cannot be run.
    """
    columns: dict[str, Quantity] = {
        name: Expression(text) for name, text in study.observables.items()
    }
    return columns if study.functions is None else columns | functions_of(study.functions)


def conditions(texts: Mapping[str, str]) -> dict[str, Condition]:
    """Return named conditions of events."""
    return {name: Condition(text) for name, text in texts.items()}


def needed_columns(study: Study) -> list[str] | None:
    """Return the columns to read, None for all.

    A study that names its features also needs what its cut, its further columns and its conditions
    are made of.
    """
    if study.samples.features is None:
        return None
    computed = computed_columns(study)
    named = list(study.samples.features)
    named += [name for each in computed.values() for name in each.names]
    named += [name for each in _all_conditions(study) for name in each.names]
    named = [name for name in named if name not in computed]
    return list(dict.fromkeys(named))


def compared(events: Events, study: Study) -> Events:
    """Return extended events with the columns that are compared: features, then computed ones."""
    if study.samples.features is None:
        return events
    return events.select([*study.samples.features, *computed_columns(study)])


def _all_conditions(study: Study) -> list[Condition]:
    texts = [*study.selections.values(), *study.constraints.values()]
    if study.samples.cut is not None:
        texts.append(study.samples.cut)
    return [Condition(text) for text in texts]
