"""Study files: TOML or YAML, every fault of them reported at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from verisimile.core.errors import InputError
from verisimile.data.names import suggestion
from verisimile.validation.study import Battery, Samples, Study, Threshold

__all__ = ["checked_study", "read_study"]

_SUFFIXES = (".toml", ".yaml", ".yml")
_PARTS: Mapping[str, type[BaseModel]] = {
    "": Study,
    "samples": Samples,
    "battery": Battery,
    "thresholds": Threshold,
}


def read_study(path: str | os.PathLike[str]) -> Study:
    """Return the study that a file describes.

    Parameters
    ----------
    path
        A ``.toml``, ``.yaml`` or ``.yml`` file with the fields of :class:`Study`.
        Paths of samples in it are relative to the folder of the file.

    Raises
    ------
    InputError
        If the file is missing or cannot be parsed, or naming *all* keys and values
        that are wrong.
    """
    file = Path(path)
    values = _values(file)
    study = checked_study(values, where=str(file))
    return _resolved(study, file.parent)


def checked_study(values: Mapping[str, object], *, where: str = "study") -> Study:
    """Return the study of nested tables.

    Raises
    ------
    InputError
        Naming all faults.
    """
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        faults = [_told(fault) for fault in error.errors(include_url=False)]
        raise InputError(
            where,
            got=f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}: {'; '.join(faults)}",
            expected="a study as docs/validate.md describes it",
        ) from None


def _values(file: Path) -> Mapping[str, object]:
    if file.suffix.lower() not in _SUFFIXES:
        raise InputError(
            str(file), got=f"the suffix {file.suffix!r}", expected=f"one of {', '.join(_SUFFIXES)}"
        )
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(file), got=f"{error}", expected="a readable study file") from error
    try:
        found = tomllib.loads(text) if file.suffix.lower() == ".toml" else yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise InputError(
            str(file), got=f"{' '.join(str(error).split())}", expected=f"valid {file.suffix[1:]}"
        ) from error
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise InputError(str(file), got=f"a {type(found).__name__}", expected="a table of keys")
    return found


def _told(fault: ErrorDetails) -> str:
    place = [str(word) for word in fault["loc"]]
    name = ".".join(place) or "study"
    if fault["type"] == "extra_forbidden":
        return f"{name}: unknown key. {_nearest(place)}".rstrip()
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] in ("missing", "value_error"):
        return f"{name}: {message}"
    return f"{name}: {message}, got {fault['input']!r}"


def _nearest(place: Sequence[str]) -> str:
    part = _PARTS.get(place[0] if len(place) > 1 else "")
    return suggestion(place[-1], list(part.model_fields)) if part else ""


def _resolved(study: Study, folder: Path) -> Study:
    """Return the study with its paths taken from the folder of its file."""
    samples = {
        role: str(folder / uri)
        for role in ("reference", "generated", "train")
        if (uri := getattr(study.samples, role)) is not None
    }
    return study.model_copy(
        update={
            "samples": study.samples.model_copy(update=samples),
            "functions": None if study.functions is None else str(folder / study.functions),
        }
    )
