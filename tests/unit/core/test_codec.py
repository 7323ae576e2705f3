"""Values to JSON and back by type hint."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from verisimile.core import result
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, StoreError
from verisimile.core.result import (
    Estimate,
    decode,
    encode,
    inline,
    register,
    registered_class,
    schema_of,
)


@dataclass(frozen=True, slots=True)
class Plain:
    name: str
    limits: tuple[float, float]


@register("codec-base", 3)
@dataclass(frozen=True)
class Base:
    x: float


@register("codec-derived", 1)
@dataclass(frozen=True)
class Derived(Base):
    y: float = 0.0


class NotData:
    pass


def none_beside(key: str) -> npt.NDArray[Any]:
    raise StoreError(key, got="nothing", expected="an array")


def through(value: object, hint: object) -> Any:  # noqa: ANN401
    text = json.dumps(encode(value, "value", inline), allow_nan=False)
    return decode(json.loads(text), hint, "value", none_beside)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1.5, float),
        (-math.inf, float),
        (3, int),
        ("NaN", str),
        (True, bool),
        (None, type(None)),
        (None, float | None),
        (2.5, float | None),
        (3, int | str),
        ("a", int | str),
        ("fast", Literal["fast", "slow"]),
        ((1.0, math.inf, 3.0), tuple[float, ...]),
        ((), tuple[float, ...]),
        ((1, "a", None), tuple[int, str, float | None]),
        (((1, 2), (3,)), tuple[tuple[int, ...], ...]),
        ([1, 2], list[int]),
        ({"a": [1, {"b": math.inf}], "c": "text"}, Mapping[str, JSON]),
        ({"a": 1.5, "b": math.inf}, dict[str, float]),
        ({"schema": "mine", "array": "x"}, Mapping[str, JSON]),
        (Plain("a", (1.0, -math.inf)), Plain),
        (Estimate(1.0, 0.1), Estimate),
        ({"m": Estimate(1.0, math.inf)}, Mapping[str, Estimate]),
        ((Estimate(1.0, 0.1), None), tuple[Estimate | None, ...]),
        (Estimate(1.0, 0.1), Plain | Estimate),
        (Plain("a", (1.0, 2.0)), Plain | Estimate),
        (Derived(1.0, 2.0), Base),
    ],
)
def test_values_come_back(value: object, hint: object) -> None:
    back = through(value, hint)
    assert back == value
    assert type(back) is type(value)


def test_numpy_scalars_come_back_as_python_numbers() -> None:
    assert type(through(np.int64(3), int)) is int
    assert type(through(np.float64(3.0), float)) is float
    assert through(np.float64(0.1), float) == 0.1
    assert type(through(np.bool_(True), bool)) is bool
    assert type(through(3, float)) is float


def test_nan_stays_nan() -> None:
    assert math.isnan(through(math.nan, float))
    assert math.isnan(through({"x": math.nan}, Mapping[str, JSON])["x"])


@pytest.mark.parametrize(
    ("array", "hint"),
    [
        (np.array([[1.0, math.nan], [-math.inf, -0.0]]), npt.NDArray[np.float64]),
        (np.array([1.0, 2.0]), npt.NDArray[Any]),
        (np.array([1, 2]), npt.NDArray[np.int64]),
        (np.array([0.1, 0.2], dtype=np.float32), npt.NDArray[np.float32]),
        (np.array([True, False]), npt.NDArray[np.bool_]),
        (np.array(2.5), npt.NDArray[np.float64]),
        (np.zeros(0), npt.NDArray[np.float64]),
        (np.zeros((0, 3)), npt.NDArray[np.float64]),
        (np.zeros((3, 0), dtype=np.int64), npt.NDArray[np.int64]),
    ],
)
def test_arrays_come_back_bit_for_bit(array: npt.NDArray[Any], hint: object) -> None:
    back = through(array, hint)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()
    assert not back.flags.writeable


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("1.5", float),
        (True, float),
        (None, float),
        (True, int),
        (1.0, int),
        (1, bool),
        (1, str),
        (1, float | None if False else str | None),
        ("odd", Literal["fast", "slow"]),
        (1, tuple[int, ...]),
        ("ab", tuple[str, ...]),
        ([1], tuple[int, int]),
        ([1, "a"], tuple[int, ...]),
        ([1], Mapping[str, JSON]),
        ({"a": "x"}, Mapping[str, float]),
        ([[1.0], [1.0, 2.0]], npt.NDArray[np.float64]),
        (["a"], npt.NDArray[Any]),
        ([None], npt.NDArray[Any]),
        ({"empty": [2]}, npt.NDArray[np.float64]),
        ({"other": 1}, npt.NDArray[np.float64]),
        ({"array": "x"}, npt.NDArray[np.float64]),
        (3, Plain),
        ({"name": "a"}, Plain),
        ({"name": "a", "limits": [1, 2], "more": 1}, Plain),
        ({"name": "a", "limits": [1]}, Plain),
        ({"value": 1.0, "error": -1.0}, Estimate),
        ({"schema": "verisimile.estimate/1", "value": 1.0, "error": 1.0}, Base),
        ({"a": 1}, NotData),
        (1, NotData),
    ],
)
def test_what_does_not_fit_the_hint_is_refused(value: JSON, hint: object) -> None:
    with pytest.raises(StoreError):
        decode(value, hint, "value", none_beside)


def test_the_message_says_where() -> None:
    value: JSON = {"name": "a", "limits": [1.0, "x"]}
    with pytest.raises(StoreError, match=r"value\.limits\[1\]: got 'x'; expected float"):
        decode(value, Plain, "value", none_beside)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [print]}, r"value\.a\[0\]"),
        ({"a": np.array(["x"])}, r"value\.a"),
        (np.array([1j]), "value"),
        ({1: 2.0}, "value"),
        (NotData(), "value"),
        (Plain, "value"),
    ],
)
def test_what_has_no_json_form_is_refused(value: object, place: str) -> None:
    with pytest.raises(InputError, match=place):
        encode(value, "value", inline)


@register("codec-transient", 1)
@dataclass(frozen=True)
class WithTransient:
    x: float
    model: NotData | None = field(default=None, metadata={"transient": True})


def test_transient_fields_are_left_out() -> None:
    data = encode(WithTransient(1.0, NotData()), "value", inline)
    assert data == {"schema": "verisimile.codec-transient/1", "x": 1.0}
    assert decode(data, WithTransient, "value", none_beside) == WithTransient(1.0)


def test_registered_names() -> None:
    assert schema_of(Base) == "verisimile.codec-base/3"
    assert schema_of(Plain) is None
    assert registered_class("verisimile.codec-base/3") is Base
    assert registered_class("verisimile.codec-base/2") is Base


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("verisimile.codec-base/4", "newer version.*Upgrade"),
        ("verisimile.unheard-of/1", "Import the module"),
        ("codec-base/3", "expected"),
        ("verisimile.codec-base", "expected"),
        (None, "expected"),
        ("os.system/1", "expected"),
    ],
)
def test_other_names_are_refused(schema: object, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        registered_class(schema)


def test_a_name_belongs_to_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "_CLASSES", dict(result._CLASSES))
    with pytest.raises(InputError, match="twice"):
        register("codec-base", 1)(Plain)
    assert register("codec-base", 4)(Base) is Base
    with pytest.raises(InputError, match="no dataclass"):
        register("codec-other", 1)(NotData)


def test_an_array_that_is_none_stays_none() -> None:
    assert through(None, npt.NDArray[np.float64] | None) is None
    with pytest.raises(StoreError):
        through(None, npt.NDArray[np.float64])
