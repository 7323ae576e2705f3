"""Whether a sample is the one that a passport was written for, and what differs if it is not."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.data.expressions import Expression
from verisimile.data.files import column_names, file_of, read_events
from verisimile.data.fingerprint import differences, fingerprint
from verisimile.data.inputs import EventsLike, as_events
from verisimile.data.request import Missing
from verisimile.report.passport import (
    Passport,
    own_digest,
    passport_document,
    passport_of,
    place_beside,
)

_NAMELESS = ".npy"  # a matrix, whose columns are called as the passport calls them
CHANGED = "the passport: its text has another digest than it states, it was changed or damaged"


@dataclass(frozen=True, slots=True)
class PassportCheck:
    """What became of a check.

    Attributes
    ----------
    place
        The passport's file.
    passport
        What it says; believe it only if it `holds`.
    differences
        In words, why it does not hold; empty if it does.
    notes
        What it says nothing about.
    """

    place: str
    passport: Passport
    differences: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the sample has the values, and the passport the text, of when it was written."""
        return not self.differences


def check_passport(
    sample: EventsLike, passport: str | os.PathLike[str] | None = None
) -> PassportCheck:
    """Return whether a passport is of this sample, and is as it was written.

    The digests find accidents: another file, a row that was lost, a number that was edited.
    They are no signature.  Whoever wants to deceive can change sample and passport and compute
    the digests again.

    Parameters
    ----------
    sample
        A file, which is read as it was for the passport, or events.
    passport
        The passport's file; beside the sample's by default, ``SAMPLE.passport.json``.

    Raises
    ------
    InputError
        If the sample cannot be read, or no place is known for the passport.
    StoreError
        If there is no passport, it is none, or its format is of a newer version.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import verisimile as vs
    >>> run = vs.Run(vs.Seeds(1))
    >>> x, y = run.seeds.numpy().normal(size=(2, 200, 1))
    >>> quick = vs.Study(battery=vs.Battery(tests=("energy",), permutations=99))
    >>> found = vs.validate(run, x, y, study=quick)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "y.passport.json"
    ...     _ = vs.write_passport(vs.make_passport(run, found, y, x), file)
    ...     same, y[7, 0] = vs.check_passport(y, file), 0.0
    ...     vs.check_passport(y, file).differences
    ('column x0: other values, in rows 7 to 9 of 200',)
    >>> same.holds
    True
    """
    file = isinstance(sample, str | os.PathLike)
    if passport is None and not file:
        raise InputError("passport", got="nothing", expected="its file, since events lie nowhere")
    place = place_beside(cast("str", sample)) if passport is None else passport
    data = passport_document(place)
    broken = data.get("digest") != own_digest(data)
    found = passport_of(data, str(place))
    differing: tuple[str, ...] = (CHANGED,) if broken else ()
    if not file:
        events = as_events(sample, "sample")
        more = set(events.names) - found.sample.columns.keys()
        known = [name for name in events.names if name not in more]
        differing += tuple(_compared(found, events.select(known) if known else events))
        return PassportCheck(str(place), found, differing, tuple(_uncovered(more)))
    uri = cast("str", sample)
    columns = set(column_names(uri))
    needed = columns if file_of(uri).suffix == _NAMELESS else _needed(found, columns)
    if missing := sorted(needed - columns):
        differing += (f"column{'' if len(missing) == 1 else 's'} {', '.join(missing)}: missing",)
        return PassportCheck(str(place), found, differing)
    try:
        events = _read(uri, found)
    except InputError as error:
        # It could be read when the passport was written: a value is gone, or out of its support.
        return PassportCheck(str(place), found, (*differing, f"it can no longer be read: {error}"))
    differing += tuple(_compared(found, events))
    return PassportCheck(str(place), found, differing, tuple(_uncovered(columns - needed)))


def _compared(passport: Passport, events: Events) -> Iterator[str]:
    yield from differences(passport.sample, fingerprint(events))
    for feature in events.features:
        unit = passport.units.get(feature.name, "")
        if unit and feature.unit and unit != feature.unit:
            yield f"column {feature.name}: in {feature.unit} instead of {unit}"


def _needed(passport: Passport, columns: set[str]) -> set[str]:
    """Return the columns of the file that the sample is made of, those of expressions too."""
    names: set[str] = set()
    for name in passport.sample.columns:
        try:
            names |= {name} if name in columns else set(Expression(name).names)
        except InputError:
            names.add(name)  # a column may be called anything
    further = (passport.recipe.weights, passport.recipe.group)
    return names | {name for name in further if name is not None}


def _read(uri: str, passport: Passport) -> Events:
    recipe = passport.recipe
    return read_events(
        uri,
        features=list(passport.sample.columns),
        weights=recipe.weights,
        group=recipe.group,
        cut=recipe.cut,
        missing=cast("Missing", recipe.missing),
    )


def _uncovered(names: set[str]) -> Iterator[str]:
    if names:
        yield f"the passport says nothing about {', '.join(sorted(names))}"


def summary(check: PassportCheck) -> Mapping[str, JSON]:
    """Return what a program wants to know of a check."""
    return {
        "holds": check.holds,
        "differences": list(check.differences),
        "notes": list(check.notes),
        "passport": check.place,
        "verdict": check.passport.verdict,
        "content": check.passport.to_dict(),
    }
