"""The option ``--feature``: what the command line says of columns, and how labels are looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from verisimile.app import terminal
from verisimile.core.errors import InputError, require

if TYPE_CHECKING:
    from verisimile.data.description import Description
    from verisimile.data.feature import Feature
    from verisimile.validation.study import Study

OPTION = "--feature"
_FORM = "NAME:KEY=VALUE,KEY=VALUE with keys of unit, label, kind, low, high, transform"
_EXAMPLE = f"For instance {OPTION} 'pt_ll:unit=GeV,label=$p_T^{{ll}}$,low=0'."
# A name may hold colons, and a label anything: a key with its equals sign tells where parts begin.
_NAME = re.compile(r"(.+?):(?=\s*\w+\s*=)", re.S)
_PART = re.compile(r"\s*(\w+)\s*=(.*)", re.S)
_BREAK = re.compile(r",(?=\s*\w+\s*=)")
_MATH = re.compile(r"(?<!\\)\$.*?(?<!\\)\$", re.S)


def feature_descriptions(texts: Sequence[str]) -> dict[str, Description]:
    """Return what texts ``name:unit=GeV,label=$p_T$,low=0`` say of features, each named once.

    Commas inside of dollars belong to a label, and so do those that no key follows.

    Examples
    --------
    >>> feature_descriptions(["pt:unit=GeV,label=$p_T(a, b)$"])["pt"].stated
    {'unit': 'GeV', 'label': '$p_T(a, b)$'}
    """
    found: dict[str, Description] = {}
    for text in texts:
        name, said = _parsed(text)
        require(name not in found, OPTION, got=f"{name!r} twice", expected="each feature once")
        found[name] = said
    return found


def _parsed(text: str) -> tuple[str, Description]:
    from verisimile.data.description import Description

    match = _NAME.match(text)
    if match is None:
        raise InputError(OPTION, got=repr(text), expected=_FORM, remedy=_EXAMPLE)
    name = match[1].strip()
    values = dict(_values(text, text[match.end() :]))
    try:
        return name, Description(**values)  # type: ignore[arg-type]
    except InputError as error:
        raise error.within(f"{OPTION} {text!r}") from None


def _values(text: str, rest: str) -> Iterator[tuple[str, str | float]]:
    """Yield the parts of one option, each key once."""
    from verisimile.data.description import Description
    from verisimile.data.feature import suggestion

    known = [part.name for part in fields(Description)]
    seen: set[str] = set()
    for part in _parts(rest):
        match = _PART.fullmatch(part)
        if match is None:
            raise InputError(OPTION, got=repr(text), expected=_FORM, remedy=_EXAMPLE)
        key, value = match[1], match[2].strip()
        if key not in known:
            raise InputError(
                OPTION,
                got=f"the key {key!r} in {text!r}",
                expected=f"keys of {', '.join(known)}",
                remedy=f"{suggestion(key, known)} {_EXAMPLE}".strip(),
            )
        require(key not in seen, OPTION, got=f"{key!r} twice in {text!r}", expected="each key once")
        seen.add(key)
        yield key, _value(key, value, text)


def _parts(rest: str) -> list[str]:
    """Return the parts between commas that are followed by a key and lie outside of dollars."""
    hidden = _MATH.sub(lambda found: " " * len(found[0]), rest)
    breaks = [found.start() for found in _BREAK.finditer(hidden)]
    starts, ends = [0, *(place + 1 for place in breaks)], [*breaks, len(rest)]
    return [rest[start:end] for start, end in zip(starts, ends, strict=True)]


def _value(key: str, value: str, text: str) -> str | float:
    if key in ("low", "high"):
        try:
            return float(value)
        except ValueError:
            raise InputError(
                OPTION, got=f"{key}={value} in {text!r}", expected="a number", remedy=_EXAMPLE
            ) from None
    odd = key == "label" and len(re.findall(r"(?<!\\)\$", value)) % 2
    comma = key != "label" and "," in value
    require(
        not (odd or comma),
        OPTION,
        got=f"{key}={value} in {text!r}",
        expected="dollars in pairs" if odd else _FORM,
        remedy=_EXAMPLE,
    )
    return value


def with_support(texts: Sequence[str] | None, support: Sequence[str]) -> dict[str, Description]:
    """Return what ``--feature`` and ``--support`` say, which must not contradict each other."""
    from verisimile.app.options import support_bounds
    from verisimile.data.description import Description, agreed

    bounds = {
        name: Description(low=low, high=high)
        for name, (low, high) in support_bounds(support).items()
    }
    return agreed(feature_descriptions(texts or ()), bounds, (OPTION, "--support"))


def as_fitted(texts: Sequence[str] | None, features: Sequence[Feature]) -> dict[str, Description]:
    """Return what ``--feature`` says of the features of a fitted run.

    Raises
    ------
    InputError
        If a name is no feature of the run, or something is said that the fit contradicts: only
        labels may be new, and units where there is none.
    """
    from verisimile.data.feature import require_columns

    found = feature_descriptions(texts or ())
    fitted = {spec.name: spec for spec in features}
    require_columns(list(found), fitted, OPTION)
    for name, said in found.items():
        for part, value in said.stated.items():
            held = getattr(fitted[name], part)
            free = part == "label" or (part == "unit" and not held)
            require(
                free or value == held,
                f"{OPTION} {name}",
                got=f"{part}={value}",
                expected=f"{part}={held}, as the run was fitted",
                remedy="Leave it out, or fit again.",
            )
    return found


def onto_options(
    values: Mapping[str, Mapping[str, object]], texts: Sequence[str] | None
) -> dict[str, Mapping[str, object]]:
    """Return the table of features of a study with what options say instead, part by part."""
    said = {name: one.stated for name, one in feature_descriptions(texts or ()).items()}
    return {name: {**values.get(name, {}), **said.get(name, {})} for name in {**values, **said}}


def within_reach(study: Study) -> Study:
    """Return a study without what it says of columns that it leaves unread or ignores.

    An InputError says, with the nearest match, that one of them is no column of any file.
    """
    from verisimile.data.feature import require_columns
    from verisimile.data.files import column_names
    from verisimile.validation.study import computed_columns, needed_columns

    needed = needed_columns(study)
    if not study.features:
        return study
    if needed is None:
        ignored = study.samples.ignore
        return _saying(study, [name for name in study.features if name not in ignored])
    reached = {*needed, *computed_columns(study)}
    unread = [name for name in study.features if name not in reached]
    if unread:
        samples = study.samples
        files = [uri for uri in (samples.reference, samples.generated, samples.train) if uri]
        held = dict.fromkeys([*reached, *(name for uri in files for name in column_names(uri))])
        require_columns(unread, held, "described features")
    return _saying(study, [name for name in study.features if name in reached])


def _saying(study: Study, names: Sequence[str]) -> Study:
    """Return a study with what it says of these columns only."""
    said = {name: study.features[name] for name in names}
    return study.model_copy(update={"features": said})


def of_files(study: Study) -> dict[str, Description]:
    """Return what a study says of the columns of files, computed ones left out."""
    from verisimile.validation.descriptions import all_descriptions
    from verisimile.validation.study import computed_columns

    said = all_descriptions(study.features, study.samples.periodic)
    if not said:
        return said
    computed = computed_columns(study)
    return {name: each for name, each in said.items() if name not in computed}


def label_notes(
    features: Iterable[Feature], said: Mapping[str, Description] | None = None
) -> tuple[str, ...]:
    """Warn of every label whose math no figure can show, and return the sentences."""
    labels = {(spec.name, spec.label) for spec in features}
    labels |= {(name, each.label or "") for name, each in (said or {}).items()}
    doubtful = sorted((name, label) for name, label in labels if "$" in label)
    if not doubtful:
        return ()
    from verisimile.report.style import math_fault

    found = [(name, label, math_fault(label)) for name, label in doubtful]
    return terminal.warn(
        [
            f"the label '{label}' of feature {name!r} is no math that figures understand "
            f"({fault}): it is shown as it stands"
            for name, label, fault in found
            if fault
        ]
    )
