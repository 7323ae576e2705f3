"""What differs between generated samples: a table of labels, by file."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from verisimile.checks.precision_recall.variance import VarianceParts, variance_parts
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError

_OPTION, _NESTED, _FILE = "--factors", "--nested", "file"
_NAMED = 4


@dataclass(frozen=True, slots=True)
class Factors:
    """Labels of the samples of each family.

    Attributes
    ----------
    labels
        Of each family, by factor, in the order of its files.
    nested
        Factors whose labels are counted within others.
    """

    labels: Mapping[str, Mapping[str, Sequence[str]]]
    nested: Mapping[str, Sequence[str]]

    @property
    def warning(self) -> str:
        """What the decomposition needs and everything else suffers from."""
        names = ", ".join(next(iter(self.labels.values())))
        return (
            f"samples share levels of {names}: the simultaneous band, the variance of training and "
            "the comparison take them for independent trainings, and are too narrow or too sure"
        )

    def parts(self, areas: Sequence[Array]) -> tuple[VarianceParts, ...]:
        """Return the components of the variance of each family's areas."""
        return tuple(
            self._parts(family, found) for family, found in zip(self.labels, areas, strict=True)
        )

    def check(self) -> None:
        """Raise unless the design can be decomposed, before there are any areas.

        It cannot if a factor has one level, or factors cannot be told apart.
        """
        for family, labels in self.labels.items():
            self._parts(family, np.arange(float(len(next(iter(labels.values()))))))

    def _parts(self, family: str, areas: Array) -> VarianceParts:
        try:
            return variance_parts(areas, self.labels[family], nested=self.nested)
        except InputError as error:
            raise InputError(
                f"{_OPTION}, family {family!r}, {error.name}",
                got=error.got,
                expected=error.expected,
                remedy=error.remedy,
            ) from None


def read_factors(
    path: Path, families: Mapping[str, Sequence[str]], nested: Sequence[str] = ()
) -> Factors:
    """Read the labels of all samples, and check that their design can be decomposed.

    Parameters
    ----------
    path
        CSV with a column ``file`` and one column of labels per factor.  A file stands there as
        on the command line, or with as much of the end of its path as tells it from others.
    families
        Files of each family.
    nested
        ``NAME=OUTER,OUTER``: factors whose labels are counted within others.

    Raises
    ------
    InputError
        If the table cannot be read, has no such columns, lacks a file, has a file twice or one
        that was not given; if a factor is not in it; if the design cannot be decomposed.
    """
    rows = _rows(path)
    names = [name for name in rows[0] if name != _FILE]
    at = _places(rows, [uri for uris in families.values() for uri in uris])
    found = Factors(
        labels={
            family: {name: [at[uri][name] for uri in uris] for name in names}
            for family, uris in families.items()
        },
        nested=_nested(nested, names),
    )
    found.check()
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    lines = _lines(path)
    header = next(iter(lines.values()), [])
    if len(lines) < 2 or _FILE not in header or len(header) < 2 or len({*header}) < len(header):
        raise InputError(
            _OPTION,
            got=f"{path} with columns {', '.join(header) or 'none'} and {len(lines)} lines",
            expected=f"a column {_FILE!r}, columns of labels with different names, and rows",
        )
    for number, line in lines.items():
        if len(line) != len(header) or not all(line):
            raise InputError(
                _OPTION,
                got=f"{path}, line {number}: {','.join(line)}",
                expected=f"a label in each of {len(header)} columns",
            )
    return [dict(zip(header, line, strict=True)) for line in list(lines.values())[1:]]


def _lines(path: Path) -> dict[int, list[str]]:
    """Return the cells of each line that is not empty, by its number."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            numbered = [(reader.line_num, line) for line in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(_OPTION, got=f"{path}: {error}", expected="a CSV file") from None
    return {number: [cell.strip() for cell in line] for number, line in numbered if line}


def _places(rows: Sequence[Mapping[str, str]], uris: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """Return the row of each file."""
    by_name: dict[str, list[str]] = {}
    for uri in uris:
        by_name.setdefault(PurePath(uri).name, []).append(uri)
    found: dict[str, Mapping[str, str]] = {}
    strangers = []
    for row in rows:
        meant = _meant(row[_FILE], by_name)
        if len(meant) > 1:
            raise InputError(
                _OPTION,
                got=f"file {row[_FILE]!r}, which may be {_some(meant)}",
                expected="as much of the path as tells them apart",
            )
        if not meant:
            strangers.append(row[_FILE])
        elif meant[0] in found:
            raise InputError(_OPTION, got=f"two rows for {meant[0]}", expected="one for each file")
        else:
            found[meant[0]] = row
    missing = [uri for uri in uris if uri not in found]
    if missing:
        raise InputError(
            _OPTION, got=f"no row for {_some(missing)}", expected="one for each sample compared"
        )
    if strangers:
        raise InputError(
            _OPTION,
            got=f"rows for files that are not compared: {_some(strangers)}",
            expected="the files of GENERATED and of --against, no others",
        )
    return found


def _meant(entry: str, by_name: Mapping[str, list[str]]) -> list[str]:
    """Return the files that an entry may be: the very path, else all that end like it."""
    near = by_name.get(PurePath(entry).name, [])
    same = [uri for uri in near if _absolute(uri) == _absolute(entry)]
    end = PurePath(os.path.normpath(entry)).parts
    alike = [uri for uri in near if _absolute(uri).parts[-len(end) :] == end]
    return same or alike


def _absolute(name: str) -> PurePath:
    return PurePath(os.path.abspath(name))  # noqa: PTH100  (links are left as they are)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _nested(texts: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        name, _, rest = text.partition("=")
        outer = [part.strip() for part in rest.split(",")]
        if name.strip() in found or any(part not in names for part in (name.strip(), *outer)):
            raise InputError(
                _NESTED,
                got=repr(text),
                expected=f"name=outer,outer with columns of the table: {', '.join(names)}",
                remedy="Once for each factor that is nested.",
            )
        found[name.strip()] = outer
    return found
