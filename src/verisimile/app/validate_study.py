"""How the options of ``verisimile validate`` and a study file become one study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from verisimile.core.errors import InputError
from verisimile.validation.study import Study, checked_study, read_study


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """What the command line says; None and empty leave the word to the study file."""

    study: Path | None
    reference: str | None
    generated: str | None
    train: str | None
    features: Sequence[str] | None
    weights: str | None
    group: str | None
    periodic: Sequence[str]
    cut: str | None
    observables: Sequence[str]
    selections: Sequence[str]
    constraints: Sequence[str]
    tests: Sequence[str] | None
    relabelings: int | None
    level: float | None
    seed: int | None


def study_of(options: StudyOptions) -> Study:
    """Return the study file's study with what the options say instead.

    Raises
    ------
    InputError
        For a faulty study file or option, or if a sample is named in neither.
    """
    study = Study() if options.study is None else read_study(options.study)
    values = study.model_dump(mode="python")
    values["samples"] |= _said(
        reference=options.reference,
        generated=options.generated,
        train=options.train,
        features=options.features,
        weights=options.weights,
        group=options.group,
        periodic=tuple(options.periodic) or None,
        cut=options.cut,
    )
    values["battery"] |= _said(tests=options.tests, relabelings=options.relabelings)
    values |= _said(level=options.level, seed=options.seed)
    for key, texts in (
        ("observables", options.observables),
        ("selections", options.selections),
        ("constraints", options.constraints),
    ):
        values[key] = {**values[key], **named_texts(texts, f"--{key[:-1]}")}
    merged = checked_study(values, where="options" if options.study is None else "study")
    for role in ("reference", "generated"):
        if getattr(merged.samples, role) is None:
            raise InputError(
                role.upper(),
                got="no file",
                expected=f"the {role} sample's file",
                remedy="verisimile validate REFERENCE GENERATED, or name both in the study file.",
            )
    return merged


def named_texts(texts: Sequence[str], option: str) -> dict[str, str]:
    """Return ``NAME=EXPRESSION`` texts by name.

    Raises
    ------
    InputError
        If a text has no name, or a name comes twice.

    Examples
    --------
    >>> named_texts(["z peak = abs(m_ll - 91) < 5"], "--selection")
    {'z peak': 'abs(m_ll - 91) < 5'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, expression = (part.strip() for part in text.partition("="))
        if not (name and equals and expression) or expression.startswith("="):
            raise InputError(
                option,
                got=repr(text),
                expected="NAME=EXPRESSION",
                remedy=f"For instance {option} 'peak=abs(m_ll - 91.2) < 5'.",
            )
        if name in found:
            raise InputError(option, got=f"{name!r} twice", expected="different names")
        found[name] = expression
    return found


def _said(**values: object) -> Mapping[str, object]:
    return {name: value for name, value in values.items() if value is not None}
