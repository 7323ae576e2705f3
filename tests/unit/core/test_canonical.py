"""One text per JSON value."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from verisimile.core.canonical import canonical, plain, restore
from verisimile.core.errors import InputError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": {"d": 2, "c": 3}}, '{"a":{"c":3,"d":2},"b":1}'),
        ((1, [2.0, None]), "[1,[2.0,null]]"),
        ([math.nan, math.inf, -math.inf], '["NaN","Infinity","-Infinity"]'),
        ([True, np.bool_(False)], "[true,false]"),
        ([np.int32(3), np.float64(0.1), np.float32(0.5)], "[3,0.1,0.5]"),
        ("é", '"\\u00e9"'),
        (np.str_("a"), '"a"'),
    ],
)
def test_canonical_text(value: object, text: str) -> None:
    assert canonical(value) == text
    json.loads(text, parse_constant=pytest.fail)


def test_order_of_keys_does_not_matter() -> None:
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"x": {"y": [0, np.zeros(2)]}}, r"config\.x\.y\[1\]: got a ndarray"),
        ({"x": Path("a")}, r"config\.x: got a PosixPath"),
        ({1: 2}, "config: got the key 1"),
        (1j, "config: got a complex"),
        (b"x", "config: got a bytes"),
        ({1, 2}, "config: got a set"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(value: object, place: str) -> None:
    with pytest.raises(InputError, match=place):
        canonical(value, "config")


def test_restored_undoes_plain() -> None:
    value = {"a": [1.5, math.inf, {"b": -math.inf}], "c": "text", "d": None, "e": True}
    assert restore(plain(value)) == value
    nan = restore(plain([math.nan]))
    assert isinstance(nan, list)
    assert math.isnan(nan[0])
