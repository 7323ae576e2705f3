"""What an HDF5 file itself holds: links followed inside it, values that were really written.

HDF5 fills what is not there with zeros, and follows links into any file of the user, without a
word.  Here neither is done: every place of values is asked first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from verisimile.core.errors import InputError
from verisimile.core.memory import require_memory
from verisimile.data.formats.file import optional
from verisimile.data.source import Column, Values, number_column

NOTHING = "nothing of this name"

_HOPS = 16  # links one after the other, as many as HDF5 itself follows
_SUM = 4  # bytes of a checksum
_PIECE = 32 * 2**20  # bytes of a matrix or table that are read together


def find(group: Any, path: str) -> tuple[Any, str]:  # noqa: ANN401  (h5py is untyped)
    """Return what a path leads to inside the file, or None and why it leads nowhere."""
    h5py = optional("h5py")
    here, words, hops, target = group, _words(path), 0, ""
    while words:
        word = words.pop()
        name = word.encode(errors="surrogateescape")
        if not isinstance(here, h5py.Group) or not here.id.links.exists(name):
            return None, f"a link to {target!r}, where nothing is" if target else NOTHING
        kind = here.id.links.get_info(name).type
        if kind == h5py.h5l.TYPE_HARD:
            here = here[word]
        elif kind == h5py.h5l.TYPE_SOFT:
            hops += 1
            if hops > _HOPS:
                return None, f"a link to {target!r} that leads back to itself"
            target = here.id.links.get_val(name).decode(errors="surrogateescape")
            here = here.file["/"] if target.startswith("/") else here
            words += _words(target)
        elif kind == h5py.h5l.TYPE_EXTERNAL:
            other = here.id.links.get_val(name)[0].decode(errors="replace")
            return None, f"a link into another file, {other!r}"
        else:
            return None, "a link of a kind that only another program can follow"
    return here, ""


def _words(path: str) -> list[str]:
    """Return the steps of a path, the first one last."""
    return [word for word in reversed(path.split("/")) if word not in ("", ".")]


def absent(dataset: Any) -> str:  # noqa: ANN401
    """Return why values of a dataset are not in the file, or cannot be read; empty if they can."""
    h5d = optional("h5py").h5d
    plan = dataset.id.get_create_plist()
    layout = plan.get_layout()
    if layout == h5d.VIRTUAL:
        files = {plan.get_virtual_filename(j) for j in range(plan.get_virtual_count())}
        return f"a virtual dataset, whose values lie elsewhere ({', '.join(sorted(files))})"
    if plan.get_external_count():
        name = plan.get_external(0)[0].decode(errors="replace")
        return f"values that lie in another file, {name!r}"
    if not dataset.shape or 0 in dataset.shape:
        return ""
    if layout == h5d.CHUNKED:
        filters = [plan.get_filter(place)[0] for place in range(plan.get_nfilters())]
        return _unknown_filter(plan) or _chunks_absent(dataset, filters)
    never = layout == h5d.CONTIGUOUS and not dataset.id.get_storage_size()
    return "values never written" if never else ""


def _chunks_absent(dataset: Any, filters: Sequence[int]) -> str:  # noqa: ANN401
    """Return how many chunks were never written, or that one lies where no values can."""
    held: list[tuple[int, int, int]] = []
    dataset.id.chunk_iter(lambda c: held.append((c.byte_offset, c.size, c.filter_mask)))
    sides = zip(dataset.shape, dataset.chunks, strict=True)
    count = math.prod(math.ceil(side / chunk) for side, chunk in sides)
    if len(held) < count:
        return f"values never written ({count - len(held)} of {count} chunks)"
    end = dataset.file.id.get_filesize()
    whole = math.prod(dataset.chunks) * dataset.id.get_type().get_size()
    sums = optional("h5py").h5z.FILTER_FLETCHER32
    known = sum(1 << place for place, code in enumerate(filters) if code != sums)
    for offset, size, skipped in held:
        # HDF5 itself does not look: it reads memory that is not its own, and passes over sums.
        fits = size > _SUM if filters else size == whole
        if offset + size > end or not fits or skipped & ~known:
            return f"damaged values (a chunk of {size} bytes at {offset} of {end})"
    return ""


def _unknown_filter(plan: Any) -> str:  # noqa: ANN401
    for place in range(plan.get_nfilters()):
        code, _, _, name = plan.get_filter(place)
        if not optional("h5py").h5z.filter_avail(code):
            return (
                f"values compressed with {name.decode(errors='replace') or f'filter {code}'}, "
                "which the installed HDF5 cannot undo: write them with gzip (pandas: "
                "complib='zlib'), or import hdf5plugin before reading"
            )
    return ""


class Form(NamedTuple):
    """The type and shape of values that a file holds."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def column_of(form: Form, refused: str = "") -> Column:
    """Return the column of values of a type and shape, for what h5py makes of HDF5's types."""
    h5py = optional("h5py")
    shape, dtype = form
    rows = shape[0] if shape else None
    if not shape:
        return Column("other", "a single value")
    if dtype.names is not None:
        return Column("other", f"records of {', '.join(dtype.names)}", rows)
    if h5py.check_string_dtype(dtype) is not None and len(shape) == 1:
        return Column("text", "text", rows, refused=refused)
    ragged = h5py.check_vlen_dtype(dtype)
    if ragged is not None:
        return Column("other", f"rows of different length of {ragged}", rows)
    if h5py.check_ref_dtype(dtype) is not None:
        return Column("other", "references to other parts of the file", rows)
    named = h5py.check_enum_dtype(dtype)
    if named is not None:  # booleans, an enumeration too, come as such
        shown = ", ".join(sorted(named, key=named.__getitem__)[:3])
        return Column("other", f"an enumeration ({shown}{', …' if len(named) > 3 else ''})", rows)
    column = number_column(form)
    if refused and column.content != "other":
        return Column(column.content, column.about, rows, refused=refused)
    return column


def dataset_column(dataset: Any) -> Column:  # noqa: ANN401
    """Return the column that a dataset is, refused if its values are not in the file."""
    why = absent(dataset)
    if dataset.is_virtual:
        return Column(about=why, refused=why)  # to ask for its shape would open the other files
    form = form_of(dataset)
    return form if isinstance(form, Column) else column_of(form, why)


def form_of(dataset: Any) -> Form | Column:  # noqa: ANN401
    """Return type and shape of a dataset, or the column of what has none."""
    if dataset.shape is None:
        return Column("other", "an empty dataset, of no shape")
    try:
        return Form(dataset.shape, dataset.dtype)
    except TypeError as error:
        return Column("other", f"values of a type without an equal in NumPy ({error})")


@dataclass(frozen=True, slots=True)
class Position:
    """Where the values of a column lie.

    Attributes
    ----------
    dataset
        The dataset.
    field
        A field of its records; None if it has none.
    place
        A place in its rows ``(n, k)``, or in those of the field; None if they are flat.
    upright
        Whether the column is a row of the dataset instead ``(k, n)``.
    missing
        Numbers that stand for a missing value.
    """

    dataset: Any
    field: str | None = None
    place: int | None = None
    upright: bool = False
    missing: tuple[float, ...] = ()


def load(positions: Sequence[Position]) -> Iterator[Values]:
    """Return the values at each position; what lies in one dataset is read together."""
    held: dict[Position, Values] = {}
    for position in positions:
        if position.field is None and position.place is None:
            values = _whole(position.dataset)
        elif position.upright:
            values = np.asarray(position.dataset[position.place])
        else:
            if position not in held:
                same = [other for other in positions if other.dataset == position.dataset]
                held.update(_together(position.dataset, same))
            values = held.pop(position)
        yield _masked(values, position.missing)


def _masked(values: Values, missing: Sequence[float]) -> Values:
    """Return values without those that stand for a missing one, as the file's type has them."""
    if not missing:
        return values
    wanted = np.array(missing, values.dtype if values.dtype.kind == "f" else None)
    gaps = np.isin(values, wanted)
    return np.ma.MaskedArray(values, gaps) if gaps.any() else values


def _whole(dataset: Any) -> Values:  # noqa: ANN401
    size = dataset.size * dataset.dtype.itemsize
    if size > _PIECE:  # to ask for each of many small ones takes longer than to read them
        where = f"column {dataset.name!r}"
        require_memory(size, where, stored=dataset.id.get_storage_size())
    return np.asarray(dataset[()])


def _together(dataset: Any, positions: Sequence[Position]) -> dict[Position, Values]:  # noqa: ANN401
    """Return columns of one matrix or table, of which a bounded number of rows is read at a time.

    Rows lie together in the file: to read column by column would read all of it each time.
    """
    rows = dataset.shape[0]
    fields = list(dict.fromkeys(p.field for p in positions if p.field is not None))
    places = [p.place for p in positions if p.place is not None]
    # Of a matrix only the columns between the outermost two that are wanted.
    across = slice(min(places), max(places) + 1) if places and not fields else None
    kinds = [dataset.dtype[p.field].base if p.field else dataset.dtype for p in positions]
    step = _step(dataset, len(range(*across.indices(dataset.shape[1]))) if across else 1)
    size = rows * sum(kind.itemsize for kind in kinds) + step * dataset.dtype.itemsize
    require_memory(size, f"{dataset.name}", stored=dataset.id.get_storage_size())
    found = {p: np.empty(rows, kind) for p, kind in zip(positions, kinds, strict=True)}
    for start in range(0, rows, step):
        here = slice(start, start + step)
        piece = dataset[here, across] if across else dataset.fields(fields)[here]
        for p, values in found.items():
            part = piece if p.field is None else piece[p.field]
            if p.place is not None:
                part = part[:, p.place - (across.start if across else 0)]
            values[here] = part.reshape(-1)
    return found


def _step(dataset: Any, width: int) -> int:  # noqa: ANN401
    """Return how many rows to read at a time: a piece of bounded size, of whole chunks."""
    rows = max(1, _PIECE // (width * dataset.dtype.itemsize))
    chunk = dataset.chunks[0] if dataset.chunks else 1
    return int(math.ceil(rows / chunk) * chunk)


def require_held(dataset: Any, name: str) -> None:  # noqa: ANN401
    """Raise an InputError unless the values of a dataset are in the file."""
    why = absent(dataset)
    if why:
        raise InputError(
            name,
            got=why,
            expected="values that the file itself holds",
            remedy="Copy the values into the file.",
        )
