"""The branches of a TTree and the fields of an RNTuple as columns, by what their arrays are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from verisimile.core.memory import require_memory
from verisimile.data.feature import Feature
from verisimile.data.formats.file import optional
from verisimile.data.formats.root_checksums import (
    NtupleChecksums,
    check_envelopes,
    ntuple_checksums,
)
from verisimile.data.source import Column, Values

Model = Any
"""An object of uproot or Awkward, which are optional and untyped."""

_NUMBER = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)")
_PLAIN = re.compile(r"(std::)?u?int(8|16|32|64)_t|float|double|bool")
_LEAVES = re.compile(r"\S+/[CBbSsIiFfDdLlOGg](:\S+)*")
_UNIT = re.compile(r"(.*?)\s*\[([^\W\d][^\[\]]*)\]\s*", re.S)
_LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class RootColumn:
    """A column, what loads it, and what the file says of it."""

    column: Column
    load: Callable[[], Values]
    title: str


def tree_columns(tree: Model) -> dict[str, RootColumn]:
    """Return the branches of a TTree that hold values, by the shortest names that are unique."""
    rows = int(tree.num_entries)
    paths = tree.keys()
    branches = {path: tree[path] for path in paths}
    names = branch_names([path for path, branch in branches.items() if not len(branch)])
    return {name: _branch(branches[path], rows) for name, path in names.items()}


def branch_names(paths: list[str]) -> dict[str, str]:
    """Return by name the paths of branches: ``Jet.PT`` of ``Jet/Jet.PT`` where that is unique.

    Examples
    --------
    >>> branch_names(["Jet/Jet.PT", "a/x", "b/x"])
    {'Jet.PT': 'Jet/Jet.PT', 'a/x': 'a/x', 'b/x': 'b/x'}
    """
    short = [path.rpartition("/")[2] for path in paths]
    counts = Counter(short)
    return {
        name if counts[name] == 1 else path: path for name, path in zip(short, paths, strict=True)
    }


def _branch(branch: Model, rows: int) -> RootColumn:
    kind = _kind_of(branch)
    column = _column(kind, rows) if kind else _other(f"values of type {branch.typename}", rows)

    def load() -> Values:
        require_memory(branch.uncompressed_bytes, branch.name, stored=branch.compressed_bytes)
        return _array(branch, column)

    return RootColumn(column, load, branch.title)


def _kind_of(branch: Model) -> Model:
    """Return the type of Awkward that a branch has, None of one that uproot cannot tell."""
    interpretation = optional("uproot.interpretation")
    found = branch.interpretation
    if isinstance(found, interpretation.identify.UnknownInterpretation):
        return None
    try:
        return found.awkward_form(branch.file).type
    except interpretation.objects.CannotBeAwkward:
        return None


def ntuple_columns(ntuple: Model) -> dict[str, RootColumn]:
    """Return the fields of an RNTuple that hold values, those of records by ``record.field``."""
    check_envelopes(ntuple)
    rows, kinds = int(ntuple.num_entries), {}
    for top in ntuple.fields:
        if _PLAIN.fullmatch(top.typename):
            kinds[top.name] = Column(rows=rows)
            continue
        # Of all fields together: each would be compared with all the others.
        form = top.to_akform()
        whole = (form[0] if isinstance(form, tuple) else form).type
        kinds |= {path: _column(kind, rows) for path, kind in _fields(whole, "", [])}
    sums = ntuple_checksums(ntuple)
    return {path: _field(ntuple[path], column, sums) for path, column in kinds.items()}


def _field(field: Model, column: Column, sums: NtupleChecksums) -> RootColumn:
    def load() -> Values:
        sums.check_field(field)
        return _array(field, column)

    return RootColumn(column, load, field.description)


def _fields(kind: Model, path: str, outer: list[Model]) -> Iterator[tuple[str, Model]]:
    """Go through the fields of records, also of those in lists: their fields are lists."""
    types = optional("awkward").types
    if isinstance(kind, types.RecordType) and not kind.is_tuple:
        for name, inner in zip(kind.fields, kind.contents, strict=True):
            yield from _fields(inner, f"{path}.{name}" if path else name, outer)
    elif isinstance(kind, types.ListType | types.RegularType) and _has_records(kind):
        yield from _fields(kind.content, path, [*outer, kind])
    else:
        for _ in outer:
            kind = types.ListType(kind)
        yield path, kind


def _has_records(kind: Model) -> bool:
    types = optional("awkward").types
    while isinstance(kind, types.ListType | types.RegularType):
        kind = kind.content
    return isinstance(kind, types.RecordType) and not kind.is_tuple


def _column(kind: Model, rows: int) -> Column:
    """Return what an array of this type is as a column."""
    types = optional("awkward").types
    inner = kind.content if isinstance(kind, types.OptionType) else kind
    if _is_number(inner):
        return Column(rows=rows)
    if inner.parameters.get("__array__") in ("string", "bytestring"):
        return Column("text", f"values of type {inner}", rows)
    depth, element = 0, inner
    while isinstance(element, types.ListType | types.RegularType):
        depth, element = depth + 1, element.content
        element = element.content if isinstance(element, types.OptionType) else element
    if not depth or not _is_number(element):
        return _other(f"values of type {inner}", rows)
    fixed = isinstance(inner, types.RegularType)
    about = f"an array, {inner}" if fixed else f"jagged, a list of {inner.content}"
    # As many numbers in every event are columns; a list is none, and nobody expects it compared.
    return Column("other", f"{about} in each event", rows, numeric=fixed, lists=True)


def _is_number(kind: Model) -> bool:
    primitive = getattr(kind, "primitive", "")
    return bool(_NUMBER.fullmatch(primitive)) and "__array__" not in kind.parameters


def _other(about: str, rows: int) -> Column:
    return Column("other", about, rows)


def _array(holder: Model, column: Column) -> Values:
    """Return the values of a branch or field; lists are those of Awkward."""
    values: Values = holder.array(library="ak" if column.lists else "np")
    return values


def described(columns: Mapping[str, RootColumn]) -> dict[str, Feature]:
    """Return the specifications that titles give: ``transverse momentum [GeV]``.

    A title that is the list of a branch's leaves, as in ``pt/F``, says nothing, and one that
    several branches have, or ROOT's own mathematics, is no label.
    """
    found = {name: _spec(name, column.title) for name, column in columns.items()}
    counts = Counter(spec.label for spec in found.values())
    unique = {
        name: spec if counts[spec.label] == 1 else replace(spec, label="")
        for name, spec in found.items()
    }
    return {name: spec for name, spec in unique.items() if spec.label or spec.unit}


def _spec(name: str, title: str) -> Feature:
    title = " ".join(title.split())
    if _LEAVES.fullmatch(title) or not name:
        return Feature(name)
    match = _UNIT.fullmatch(title)
    label, unit = match.groups() if match else (title, "")
    # One word alone may leave out what it is of: pt of every collection.
    plain = unit or " " in label
    fits = plain and label != name and len(label) <= _LONGEST_LABEL and not set(label) & set("#$")
    return Feature(name, unit=unit.strip(), label=label if fits else "")
