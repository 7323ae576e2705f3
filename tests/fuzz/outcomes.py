"""What became of one input: read as it was, read otherwise, told, or a fault."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fuzz.cases import Case
from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.data.events import Events
from verisimile.data.files import GeneratorOutput, column_names, read_events, read_generated

Class = Literal["same", "changed", "told", "raw", "silent", "invalid", "hang", "crash", "memory"]

FAULTS: tuple[Class, ...] = ("raw", "silent", "invalid", "hang", "crash", "memory")
"""Raw errors; values changed although a checksum shows it; events that are none; the rest."""

_CALLS: dict[str, Callable[..., Any]] = {
    "read_events": read_events,
    "read_generated": read_generated,
    "column_names": column_names,
    "Events": Events,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The class of an input's outcome, and words about it."""

    kind: Class
    about: str = ""


def outcome_of(case: Case) -> Outcome:
    """Return what becomes of an input whose file is written."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = _CALLS[case.call](
                case.typed if case.value is None else case.value, **case.asked
            )
        except InputError as error:
            cause = error.__cause__
            return Outcome("told", f"{type(cause).__name__}" if cause is not None else "")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return Outcome("raw", "".join(traceback.format_exception(error)))
    strange = [item for item in caught if not issubclass(item.category, VerisimileWarning)]
    if strange:
        texts = [f"{item.filename}:{item.lineno}: {item.message}" for item in strange]
        return Outcome("raw", "warnings: " + "; ".join(texts))
    return _judged(case, answer)


def _judged(case: Case, answer: object) -> Outcome:
    if isinstance(answer, tuple):
        return Outcome("same" if case.intact else "changed")
    events = answer.events if isinstance(answer, GeneratorOutput) else answer
    assert isinstance(events, Events)
    fault = _fault(events)
    if fault:
        return Outcome("invalid", fault)
    whole = events.account is None or not events.account.dropped
    for name, values in (case.exact or {}).items():
        if whole and name in events.names and not np.array_equal(events.column(name), values):
            return Outcome("silent", f"column {name!r} has other values")
    if case.sample is None or case.call != "read_events":
        return Outcome("same" if case.sample is None or case.intact else "changed")
    return Outcome("changed", events.digest)


def _fault(events: Events) -> str:
    """Return what events must not be; empty if they are as they should."""
    x, names = events.x, events.names
    if x.dtype != np.float64 or x.shape != (events.n, len(names)) or not x.size:
        return f"values of type {x.dtype} and shape {x.shape}"
    if not np.isfinite(x).all():
        return "values that are not finite"
    if len(set(names)) != len(names) or not all(isinstance(name, str) and name for name in names):
        return f"names {names}"
    weights = events.weights
    if weights is not None and (weights.shape != (events.n,) or not np.isfinite(weights).all()):
        return "weights that are not finite"
    if events.group is not None and events.group.shape != (events.n,):
        return "labels that are not one a row"
    account = events.account
    if account is not None and account.kept != names:
        return f"an account of {account.kept}"
    return ""


def compared(found: Outcome, case: Case, digests: Mapping[str, str]) -> Outcome:
    """Return the outcome with `changed` told apart: same values, or a change that was visible."""
    if found.kind != "changed" or not found.about:
        return found
    assert case.sample is not None
    valid = digests.get(key_of(case.sample.name, case.asked))
    if found.about == valid:
        return Outcome("same")
    if case.covered and valid is not None:
        return Outcome("silent", "other values, although a checksum guards them")
    return Outcome("same" if case.intact else "changed")


def key_of(name: str, asked: Mapping[str, Any]) -> str:
    """Return what a way to read a sample is called."""
    return f"{name} {sorted(asked.items())}"
