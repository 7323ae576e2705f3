"""Results on disk: strict JSON, with large arrays in a file beside it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    TypeAlias,
    TypeGuard,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from verisimile.core.canonical import JSON, plain, restore, text_key
from verisimile.core.documents import json_object, read_document
from verisimile.core.durable import write_atomic
from verisimile.core.errors import InputError, StoreError, VerisimileError
from verisimile.core.frames import columns, pandas_frame, rows
from verisimile.core.presenter import presenter
from verisimile.core.records import portable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

Keep: TypeAlias = Callable[[str, npt.NDArray[Any]], JSON]
"""Returns the JSON of the array at a place such as ``fit.weights``."""

Fetch: TypeAlias = Callable[[str], npt.NDArray[Any]]
"""Returns the array that ``{"array": key}`` refers to."""


def encode(value: object, place: str, keep: Keep) -> JSON:
    """Return `value` as strict JSON, its arrays as `keep` says.

    A registered dataclass carries its schema.  Fields with the metadata
    ``{"transient": True}`` are left out.  An InputError says where something has no JSON form.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        schema = schema_of(type(value))
        fields = {
            field.name: encode(getattr(value, field.name), f"{place}.{field.name}", keep)
            for field in _fields(type(value))
        }
        return fields if schema is None else {"schema": schema, **fields}
    if isinstance(value, np.ndarray):
        return keep(place, value)
    if isinstance(value, list | tuple):
        return [encode(item, f"{place}[{index}]", keep) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {
            text_key(key, place): encode(item, f"{place}.{key}", keep)
            for key, item in value.items()
        }
    return plain(value, place)


def inline(place: str, array: npt.NDArray[Any]) -> JSON:
    """Return `array`, of real numbers or bools, as nested lists."""
    if array.dtype.kind not in "fiub":
        raise InputError(place, got=f"an array of {array.dtype}", expected="an array of numbers")
    if array.size == 0 and array.ndim > 1:
        # Nested lists cannot tell (0, 3) from (0,).
        return {"empty": list(array.shape)}
    return plain(array.tolist(), place)


def decode(value: JSON, hint: Any, place: str, fetch: Fetch) -> Any:  # noqa: ANN401
    """Return the object of type `hint` that `value` encodes; a StoreError says what is wrong."""
    origin, arms = get_origin(hint) or hint, get_args(hint)
    if origin in (Any, object):
        return restore(value)
    if origin in _SCALARS:
        return _scalar(value, hint, place)
    if origin in (Union, types.UnionType):
        return _first_that_fits(value, arms, place, fetch)
    if origin is np.ndarray:
        return _array(value, hint, place, fetch)
    if origin is Literal and value in arms:
        return value
    if origin in (tuple, list, Sequence) and _is_list(value):
        return _sequence(value, hint, place, fetch)
    if isinstance(value, Mapping) and origin in (dict, Mapping):
        one = arms[1] if arms else object
        return {key: decode(item, one, f"{place}.{key}", fetch) for key, item in value.items()}
    if isinstance(value, Mapping) and isinstance(hint, type):
        return _instance(value, hint, place, fetch)
    raise _misfit(value, hint, place)


def _instance(value: Mapping[str, JSON], hint: type, place: str, fetch: Fetch) -> object:
    """Return a dataclass: the one named by the value's schema, else the hint itself."""
    cls = registered_class(value["schema"]) if "schema" in value else hint
    fits = not dataclasses.is_dataclass(hint) or issubclass(cls, hint)
    if not (dataclasses.is_dataclass(cls) and fits):
        raise _misfit(value, hint, place)
    hints, names = get_type_hints(cls), {field.name for field in _fields(cls)}
    given = value.keys() - {"schema"}
    if given - names:
        raise StoreError(
            place, got=f"the fields {sorted(given - names)}", expected=f"{sorted(names)}"
        )
    arguments = {name: decode(value[name], hints[name], f"{place}.{name}", fetch) for name in given}
    try:
        return cls(**arguments)
    except (TypeError, VerisimileError) as error:
        raise StoreError(place, got=f"{error}", expected=f"a whole {cls.__name__}") from error


def _scalar(value: JSON, hint: type, place: str) -> object:
    if hint is float:
        value = restore(value)
        if isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
    # type() and not isinstance: True is no int here.
    if type(value) is not hint:
        raise _misfit(value, hint, place)
    return value


def _first_that_fits(value: JSON, arms: tuple[Any, ...], place: str, fetch: Fetch) -> object:
    for arm in arms:
        try:
            return decode(value, arm, place, fetch)
        except StoreError as error:
            misfit = error
    raise misfit


def _is_list(value: JSON) -> TypeGuard[Sequence[JSON]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _sequence(value: Sequence[JSON], hint: Any, place: str, fetch: Fetch) -> object:  # noqa: ANN401
    """Return a tuple, or a list where the hint says so."""
    origin, hints = get_origin(hint) or hint, get_args(hint) or (object, ...)
    if origin is not tuple or hints[-1] is Ellipsis:
        hints = hints[:1] * len(value)
    if len(hints) != len(value):
        raise _misfit(value, hint, place)
    items = [
        decode(item, one, f"{place}[{index}]", fetch)
        for index, (item, one) in enumerate(zip(value, hints, strict=True))
    ]
    return items if origin is list else tuple(items)


def _array(value: JSON, hint: Any, place: str, fetch: Fetch) -> npt.NDArray[Any]:  # noqa: ANN401
    """Return the array in the file beside, or that of nested lists; read-only."""
    if isinstance(value, Mapping) and isinstance(key := value.get("array"), str):
        array = fetch(key)
    else:
        # The dtype in NDArray[...], None where it leaves it open.
        scalar = next(iter(get_args((*get_args(hint), None, None)[1])), None)
        dtype = np.dtype(scalar) if scalar in np.sctypeDict.values() else None
        try:
            array = _from_lists(value, dtype)
        except (KeyError, TypeError, ValueError):
            raise _misfit(value, hint, place) from None
        if value is None or array.dtype.kind not in "fiub":  # numpy makes NaN of None
            raise _misfit(value, hint, place)
    array.setflags(write=False)
    return array


def _from_lists(value: Any, dtype: np.dtype[Any] | None) -> npt.NDArray[Any]:  # noqa: ANN401
    if isinstance(value, Mapping):
        return np.empty(0, dtype).reshape(value["empty"])
    return np.array(restore(value), dtype)


def _fields(cls: type) -> list[dataclasses.Field[Any]]:
    return [
        field
        for field in dataclasses.fields(cls)
        if field.init and not field.metadata.get("transient", False)
    ]


def _misfit(value: JSON, hint: object, place: str) -> StoreError:
    text = repr(value)
    return StoreError(
        place,
        got=text if len(text) <= 80 else f"{text[:77]}...",
        expected=getattr(hint, "__name__", str(hint)),
        remedy="The file was changed, or written by other code.",
    )


_SCALARS = (float, int, str, bool, type(None))

T = TypeVar("T", bound=type)

_CLASSES: dict[str, tuple[type, int]] = {}


def register(name: str, schema: int) -> Callable[[T], T]:
    """Return a decorator that lets a dataclass be written, and read back by its `name`.

    Only registered classes are ever built from a file.  `schema` rises when a
    field changes its meaning.  A name belongs to one class.
    """

    def decorator(cls: T) -> T:
        if not dataclasses.is_dataclass(cls):
            raise InputError(
                "register",
                got=f"{cls.__name__}, which is no dataclass",
                expected="a dataclass",
                remedy="Put @register above @dataclass.",
            )
        known, _ = _CLASSES.get(name, (cls, schema))
        # The same class comes again when its module is reloaded.
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise InputError("register", got=f"the name {name!r} twice", expected="a new name")
        _CLASSES[name] = (cls, schema)
        return cls

    return decorator


def schema_of(cls: type) -> str | None:
    """Return ``"verisimile.<name>/<n>"`` of a registered class, None of any other."""
    for name, (known, schema) in _CLASSES.items():
        if known is cls:
            return f"verisimile.{name}/{schema}"
    return None


def registered_class(schema: object) -> type:
    """Return the class that ``"verisimile.<name>/<n>"`` means; `n` may be older than its own."""
    match = re.fullmatch(r"verisimile\.([^/]+)/([0-9]{1,9})", str(schema))
    if match is None or match[1] not in _CLASSES:
        raise StoreError(
            "schema",
            got=repr(schema),
            expected=f'"verisimile.<name>/<n>" with a name of {", ".join(sorted(_CLASSES))}',
            remedy="Import the module that defines this result before reading it.",
        )
    cls, newest = _CLASSES[match[1]]
    if int(match[2]) > newest:
        raise StoreError(
            "schema",
            got=f"{schema}, written by a newer version",
            expected=f"at most {schema_of(cls)}",
            remedy="Upgrade verisimile.",
        )
    return cls


class Result:
    """What every registered result can do for whoever holds it.

    Attributes
    ----------
    listed
        Fields that have one entry for each row of :meth:`to_frame`; without any, the result is
        one row.  Of ``edges`` come the columns ``low`` and ``high``, and ``bands.*`` stands for
        the rows of each band.
    """

    __slots__ = ()
    listed: ClassVar[tuple[str, ...]] = ()
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def to_dict(self) -> dict[str, JSON]:
        """Return all of it as strict JSON: :func:`to_dict`."""
        return to_dict(self)

    def to_frame(self) -> DataFrame:
        """Return its table as a pandas frame: a row for each bin, test, member, or one row.

        A value with errors has several columns, such as ``p_value``, ``p_value_low`` and
        ``p_value_high``.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        name = f"{type(self).__name__}.to_frame"
        return pandas_frame(columns(rows(self)), name, instead="to_dict()")

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw its figure and return the axes: the function of ``vs.figures`` for its kind.

        Parameters
        ----------
        ax
            Where to draw; None for a new figure.

        Raises
        ------
        InputError
            If the kind has no figure, or `ax` was not made by matplotlib's ``subplots``.
        """
        return presenter().draw(self, ax=ax)

    def _repr_html_(self) -> str:
        """Return its numbers for a notebook."""
        return presenter().html(self)


_INLINE_ENTRIES = 256
_HASH = "arrays_sha256"


@register("estimate", 1)
@dataclass(frozen=True, slots=True)
class Estimate(Result):
    """A number with its standard error, which is not negative.

    Examples
    --------
    >>> Estimate(0.51234, 0.0071)
    Estimate(0.51234 ± 0.0071)
    """

    value: float
    error: float

    def __post_init__(self) -> None:
        if self.error < 0.0:
            raise InputError("Estimate.error", got=self.error, expected="a number >= 0")

    def __repr__(self) -> str:
        """Return one line: value and error."""
        return f"Estimate({self.value:.6g} ± {self.error:.2g})"


def to_dict(result: object) -> dict[str, JSON]:
    """Return a registered result as strict JSON, arrays inline.

    The first entry is ``"schema": "verisimile.<name>/<n>"``; NaN and the
    infinities are the strings ``"NaN"``, ``"Infinity"``, ``"-Infinity"``.  An InputError
    says that the class is not registered, or which field has no JSON form.
    """
    return _encoded(result, inline)


def from_dict(data: Mapping[str, JSON]) -> object:
    """Return the result that `to_dict` turned into `data`.

    A StoreError says that the schema is unknown or newer, or which field does not fit.
    """
    return _decoded(data, {})


def to_parts(result: object) -> tuple[dict[str, JSON], dict[str, npt.NDArray[Any]]]:
    """Return a registered result as strict JSON, and its arrays of more than 256 entries.

    These stand in the JSON by the names under which they are returned.  Errors as of `to_dict`.
    """
    large: dict[str, npt.NDArray[Any]] = {}

    def keep(place: str, array: npt.NDArray[Any]) -> JSON:
        if array.size <= _INLINE_ENTRIES:
            return inline(place, array)
        large[place] = portable(place, array)
        return {"array": place}

    return _encoded(result, keep), large


def from_parts(data: Mapping[str, JSON], large: Mapping[str, npt.NDArray[Any]]) -> object:
    """Return the result that `to_parts` took apart; errors as of `from_dict`."""
    return _decoded(data, large)


def save(result: object, path: str | Path) -> Path:
    """Write a registered result to ``<path>.json`` and return the file's path.

    Arrays of more than 256 entries go to ``<path>.safetensors`` beside it,
    whose sha256 stands in the JSON.  Errors as of `to_dict` and `write_atomic`.
    """
    file = _json_file(path)
    data, large = to_parts(result)
    if large:
        payload = safetensors.numpy.save(large)
        data[_HASH] = hashlib.sha256(payload).hexdigest()
        write_atomic(file.with_suffix(".safetensors"), payload)
    write_atomic(file, json.dumps(data, indent=1, allow_nan=False).encode())
    return file


def load(path: str | Path) -> object:
    """Return the result in ``<path>.json``, with the arrays beside it.

    A StoreError says that a file is missing or damaged, or what `from_dict` refuses.
    """
    file = _json_file(path)
    data = json_object(read_document(file), str(file))
    sha256 = data.pop(_HASH, None)
    return _decoded(data, {} if sha256 is None else _large(file, str(sha256)))


def _encoded(result: object, keep: Keep) -> dict[str, JSON]:
    name = type(result).__name__
    data = encode(result, name, keep)
    if isinstance(data, dict) and schema_of(type(result)) is not None:
        return data
    raise InputError(
        "result",
        got=f"a {name}",
        expected="a dataclass with a registered name",
        remedy='Decorate the class with @register("name", 1).',
    )


def _decoded(data: Mapping[str, JSON], large: Mapping[str, npt.NDArray[Any]]) -> object:
    def fetch(key: str) -> npt.NDArray[Any]:
        if key in large:
            return large[key]
        raise StoreError(
            key, got="a reference to an array", expected="the array", remedy="Use load(path)."
        )

    cls = registered_class(data.get("schema"))
    return decode(data, cls, cls.__name__, fetch)


def _large(file: Path, sha256: str) -> dict[str, npt.NDArray[Any]]:
    beside = file.with_suffix(".safetensors")
    payload = _read(beside)
    if hashlib.sha256(payload).hexdigest() != sha256:
        raise StoreError(
            str(beside),
            got="other bytes than were saved",
            expected=f"the file that belongs to {file.name}",
            remedy="Copy both files together, or save the result again.",
        )
    return dict(safetensors.numpy.load(payload))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StoreError(str(file), got=f"{error}", expected="a readable file") from error


def _json_file(path: str | Path) -> Path:
    file = Path(path)
    return file if file.suffix == ".json" else file.with_name(f"{file.name}.json")
