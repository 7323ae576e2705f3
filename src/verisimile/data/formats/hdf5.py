"""HDF5 files: groups of flat datasets, matrices, tables of named fields, frames of pandas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import numpy as np

from verisimile.core.errors import InputError, require
from verisimile.data.feature import Feature
from verisimile.data.formats.arrays import matrix_names
from verisimile.data.formats.file import Columns, EventFile, Labels, check_part, optional
from verisimile.data.formats.hdf5_values import (
    NOTHING,
    Form,
    Position,
    column_of,
    dataset_column,
    find,
    form_of,
    load,
    require_held,
)
from verisimile.data.formats.pytables import frame_kind, open_frame
from verisimile.data.source import Column, Source, Values

_FORM = ".h5:group"
_SHOWERS = ("incident_energies", "showers")
_PACKED = ("scale_factor", "add_offset")
_NAMES = ("columns", "names", "column_names", "feature_names", "features")
_SAID = {
    "unit": ("unit", "units"),
    "label": ("label", "long_name"),
    "kind": ("kind",),
    "transform": ("transform",),
}


@contextmanager
def open_hdf5(file: EventFile, labels: Labels) -> Iterator[Source]:
    """Open a group of flat datasets, a matrix, a table of named fields, or a frame of pandas.

    Without a name the file's root group is meant, if it holds datasets, or its only frame.
    """
    h5py = optional("h5py")
    # Locks fail on network file systems, and reading needs none.
    with h5py.File(file.path, "r", locking=False) as store:
        part = _part(store, file)
        if not isinstance(part, h5py.Dataset):
            frame = bool(frame_kind(part))
            yield _frame_source(part) if frame else _group_source(part, file, labels)
        elif part.name.endswith("/table") and frame_kind(part.parent).endswith("_table"):
            yield _frame_source(part.parent)
        else:
            yield _dataset_source(part, labels)


def _part(store: Any, file: EventFile) -> Any:  # noqa: ANN401  (h5py is untyped)
    """Return the group or dataset that is named, or that needs no name."""
    if file.part is None:
        return _only_part(store)
    part = file.part.strip("/") or "/"
    found, why = find(store["/"], part)
    if why == NOTHING or not (why or _readable(found)):
        # Not itself a part of the file: the message has the nearest.
        check_part(part, [name for name in _parts(store) if name != part], "group", _FORM)
    require(
        found is not None,
        f"group {part!r}",
        got=why,
        expected="a group or dataset of the file itself",
        remedy="Copy the values into the file.",
    )
    return found


def _only_part(store: Any) -> Any:  # noqa: ANN401
    if _holds_values(store["/"]):
        return store["/"]
    parts = _parts(store)
    if len(parts) != 1 or not frame_kind(store[parts[0]]):
        check_part(None, parts, "group", _FORM)
    return store[parts[0]]


def _readable(item: Any) -> bool:  # noqa: ANN401
    if isinstance(item, optional("h5py").Group):
        return bool(frame_kind(item)) or _holds_values(item)
    return _is_dataset(item)


def _is_dataset(item: Any) -> bool:  # noqa: ANN401
    return isinstance(item, optional("h5py").Dataset)


def _holds_values(group: Any) -> bool:  # noqa: ANN401
    """Return whether a link of a group leads to a dataset, or nobody knows where."""
    return any(found is None or _is_dataset(found) for _, found, _ in _links(group))


def _links(
    group: Any,  # noqa: ANN401
    names: Iterable[str] | None = None,
) -> Iterator[tuple[str, Any, str]]:
    """Go through links of a group: name, and what it leads to or why it leads nowhere."""
    wanted = group if names is None else names
    return ((name, *find(group, name)) for name in wanted if not _is_hidden(name))


def _is_hidden(name: str) -> bool:
    """Return whether PyTables keeps something of its own under a name."""
    return name.rpartition("/")[2].startswith(("_i_", "_p_"))


def _parts(store: Any) -> list[str]:  # noqa: ANN401
    """Return what can be read by name: groups of datasets, matrices, tables, frames of pandas."""
    parts: dict[str, None] = {}
    closed: set[str] = set()  # frames, and what PyTables keeps for itself

    def visit(name: str, item: Any) -> None:  # noqa: ANN401
        parent = name.rpartition("/")[0]
        if parent in closed or _is_hidden(name):
            closed.add(name)
        elif _is_dataset(item):
            parts[parent or "/"] = None
            form = None if item.is_virtual else form_of(item)
            if isinstance(form, Form) and (len(form.shape) == 2 or form.dtype.names):
                parts[name] = None
        elif frame_kind(item):
            closed.add(name)
            parts[name] = None

    store.visititems(visit)
    return list(parts)


def _frame_source(group: Any) -> Source:  # noqa: ANN401
    frame = open_frame(group)
    return _source(frame.columns, frame.positions)


def _source(
    columns: dict[str, Column],
    positions: Mapping[str, Position],
    specs: Mapping[str, Feature] | None = None,
) -> Source:
    def loaded(names: Sequence[str]) -> Iterator[Values]:
        return load([positions[name] for name in names])

    datasets = dict.fromkeys(position.dataset for position in positions.values())
    stored = sum(dataset.id.get_storage_size() for dataset in datasets)
    return Source(columns, loaded, specs or {}, stored)


def _group_source(group: Any, file: EventFile, labels: Labels) -> Source:  # noqa: ANN401
    """Return the flat datasets of a group; a matrix or table that stands alone by its columns."""
    names = list(group)
    asked = labels if labels and len(names) > 1 and set(labels) <= set(names) else None
    # Of many datasets only those that are asked for are opened.
    columns = {name: Column("other", "values not asked for") for name in names if asked}
    datasets: dict[str, Any] = {}
    for name, found, why in _links(group, asked):
        if _is_dataset(found):
            datasets[name] = found
            columns[name] = _unpacked(dataset_column(found), found)
        elif found is None:
            columns[name] = Column(about=why, refused=why)
        else:
            is_group = hasattr(found, "keys")
            columns[name] = Column("other", "a group" if is_group else "a type without values")
    if len(datasets) == 1 and asked is None:
        ((name, alone),) = datasets.items()
        if _stands_alone(name, alone, labels):
            return _dataset_source(alone, labels)
    _check_layout(group, file, columns, datasets, labels)
    positions = {
        name: Position(dataset, missing=_gaps(dataset)) for name, dataset in datasets.items()
    }
    specs = {name: spec for name in datasets if (spec := _spec(name, datasets[name]))}
    return _source(columns, positions, specs)


def _unpacked(column: Column, dataset: Any) -> Column:  # noqa: ANN401
    """Return the column, refused if netCDF's attributes say that other numbers are meant."""
    packed = [name for name in _PACKED if len(dataset.attrs) and name in dataset.attrs]
    if column.refused or not packed:
        return column
    return replace(column, refused=f"packed values ({' and '.join(packed)} to be applied)")


def _gaps(dataset: Any) -> tuple[float, ...]:  # noqa: ANN401
    """Return the numbers that netCDF's attributes say to stand for missing values."""
    if not len(dataset.attrs):
        return ()
    found = [_attribute(dataset, name) for name in ("_FillValue", "missing_value")]
    return tuple(value.item() for value in found if isinstance(value, np.number))


def _stands_alone(name: str, dataset: Any, labels: Labels) -> bool:  # noqa: ANN401
    """Return whether the only dataset of a group is a matrix or a table, and no column."""
    form = None if dataset.is_virtual else form_of(dataset)
    if not isinstance(form, Form):
        return False
    upright = form.shape[1:] == (1,) and (labels is None or name in labels)
    return form.dtype.names is not None or (len(form.shape) == 2 and not upright)


def _check_layout(
    group: Any,  # noqa: ANN401
    file: EventFile,
    columns: Mapping[str, Column],
    datasets: Mapping[str, Any],
    labels: Labels,
) -> None:
    """Raise for the layouts of showers and of matrices side by side, saying what to write."""
    asked = labels is not None and all(label in columns for label in labels)
    if all(name in datasets for name in _SHOWERS) and not asked:
        raise InputError(
            "datasets",
            got=f"calorimeter showers: {_shapes({name: datasets[name] for name in _SHOWERS})}",
            expected="the voxels of their calorimeter, to make features of them",
            remedy=f"Write {file.path}:calo=binning.xml, or {file.path}:calo=binning.xml,particle.",
        )
    if any(column.content != "other" or column.refused for column in columns.values()):
        return
    raise InputError(
        "datasets",
        got=f"no flat column, but {_shapes(datasets)}",
        expected="one number per event and column",
        remedy=_how_to_read(group, file, datasets),
    )


def _shapes(datasets: Mapping[str, Any]) -> str:
    shown = [f"{name} {_shape(dataset)}" for name, dataset in list(datasets.items())[:20]]
    return ", ".join(shown) or "groups"


def _shape(dataset: Any) -> str:  # noqa: ANN401
    form = form_of(dataset)
    return str(form.shape) if isinstance(form, Form) else form.about


def _how_to_read(group: Any, file: EventFile, datasets: Mapping[str, Any]) -> str:  # noqa: ANN401
    path = f"{file.path}:{group.name.strip('/')}/".replace(":/", ":")
    for name, dataset in datasets.items():
        form = form_of(dataset)
        if isinstance(form, Form) and len(form.shape) == 2 and form.dtype.names is None:
            return (
                f"Write {path}{name} and name its columns: features=[{form.shape[1]} names, in "
                "the order of the matrix]."
            )
        if isinstance(form, Form) and form.dtype.names is not None:
            return f"Write {path}{name} for the fields of this table."
    return "Flatten them to matrices of (events, features)."


def _dataset_source(dataset: Any, labels: Labels) -> Source:  # noqa: ANN401
    """Return the columns of one dataset: fields of a table, columns of a matrix, or one alone."""
    require_held(dataset, f"dataset {dataset.name!r}")
    form = form_of(dataset)
    if isinstance(form, Column):
        raise InputError(
            f"dataset {dataset.name!r}", got=form.about, expected="a table or matrix of numbers"
        )
    if form.dtype.names is not None:
        kinds = {name: form.dtype[name] for name in form.dtype.names}
        return _source(
            {n: column_of(Form((*form.shape, *k.shape), k.base)) for n, k in kinds.items()},
            {name: Position(dataset, name) for name in kinds},
        )
    if len(form.shape) == 1:
        name = dataset.name.rpartition("/")[2]
        spec = _spec(name, dataset)
        specs = {name: spec} if spec else {}
        column = _unpacked(column_of(form), dataset)
        return _source({name: column}, {name: Position(dataset, missing=_gaps(dataset))}, specs)
    names = _stated_names(dataset) or matrix_names(form.shape, labels)
    column = _unpacked(column_of(Form(form.shape[:1], form.dtype)), dataset)
    gaps = _gaps(dataset)
    positions = {n: Position(dataset, place=j, missing=gaps) for j, n in enumerate(names)}
    return _source(dict.fromkeys(names, column), positions)


def _stated_names(dataset: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the names of a matrix's columns that an attribute beside it states, if any does."""
    width = dataset.shape[1] if len(dataset.shape) == 2 else 0
    name = dataset.name.rpartition("/")[2]
    parent = dataset.parent
    candidates = [(dataset, known) for known in _NAMES]
    candidates += [(parent, f"{name}_{known}") for known in _NAMES]
    candidates += [(parent, known) for known in _NAMES]
    for item, known in candidates:
        value = _attribute(item, known)
        listed = value.split(",") if isinstance(value, str) else value
        if isinstance(listed, np.ndarray) and listed.shape == (width,):
            listed = [_decoded(part) for part in listed]
        if not isinstance(listed, list) or len(listed) != width:
            continue
        names = [part.strip() for part in listed if isinstance(part, str) and part.strip()]
        if len(set(names)) == width:
            return tuple(names)
    return ()


def _decoded(value: object) -> object:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _attribute(item: Any, name: str) -> Any:  # noqa: ANN401
    """Return an attribute, a text decoded, an array of one value as that; None if unreadable."""
    try:
        value = item.attrs.get(name)
    except (TypeError, ValueError, OSError, RuntimeError):
        return None  # of a type that h5py lacks, or damaged: no reason to refuse the values
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return _decoded(value)


def _spec(name: str, dataset: Any) -> Feature | None:  # noqa: ANN401
    """Return what the attributes of a dataset say of its values; what is no such thing is ignored.

    ``unit`` or ``units``, ``label`` or ``long_name``, ``kind``, ``low`` and ``high``,
    ``transform``.
    """
    if not len(dataset.attrs):
        return None
    bounds = {key: _attribute(dataset, key) for key in ("low", "high")}
    said: list[dict[str, Any]] = [
        {key: value for key, value in bounds.items() if isinstance(value, int | float | np.number)}
    ]
    for key, known in _SAID.items():
        found = [_attribute(dataset, word) for word in known]
        said += [{key: value} for value in found if isinstance(value, str) and value][:1]
    plain = spec = Feature(name)
    for change in said:
        try:
            spec = replace(spec, **change)
        except InputError:
            continue  # another program's word for something else
    return None if spec == plain else spec


def write_hdf5(columns: Columns, specs: Sequence[Feature], file: EventFile) -> None:
    """Write one dataset per column into a group, with sums; what is said of it as attributes.

    HDF5 reads a slash in a name as a sub-group, so that names cannot have one.
    """
    group = file.part or "/"
    slashed = [name for name in columns if "/" in name]
    require(
        not slashed,
        "events",
        got=f"columns {slashed}",
        expected="names without '/' in an HDF5 file",
    )
    described = {spec.name: spec for spec in specs}
    # Since version 1.10, of 2016, HDF5 has sums of what it says of the values too.
    formed = {"libver": ("v110", "v110"), "locking": False, "track_order": True}
    # In memory first: where a disk fills up, HDF5 ends the process.
    held = {"driver": "core", "backing_store": False, "block_size": 2**24}
    with optional("h5py").File(file.path, "w", **formed, **held) as store:
        target = store if group == "/" else store.create_group(group, track_order=True)
        for name, values in columns.items():
            dataset = target.create_dataset(name, data=values, fletcher32=True)
            spec, plain = described.get(name, Feature(name)), Feature(name)
            for field in fields(Feature):
                value = getattr(spec, field.name)
                if value != getattr(plain, field.name):
                    dataset.attrs[field.name] = value
        store.flush()
        image = store.id.get_file_image()
    file.path.write_bytes(image)
