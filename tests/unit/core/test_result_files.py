"""Results as dictionaries and as files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, StoreError
from verisimile.core.result import Estimate, from_dict, load, register, save, to_dict


@dataclass(frozen=True, slots=True, eq=False)
class Inner:
    counts: IntArray
    mask: BoolArray


@register("result-for-these-files", 2)
@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    estimate: Estimate
    toys: Array
    inner: Inner
    many: tuple[Array, ...]
    low: float
    note: str | None = None
    record: Mapping[str, JSON] | None = None


def outcome(size: int) -> Outcome:
    toys = np.linspace(0.1, 1.0, size)
    toys[0] = math.nan
    inner = Inner(np.arange(size), np.arange(size) % 2 == 0)
    record: dict[str, JSON] = {"gap": math.inf}
    return Outcome(Estimate(1.0, 0.1), toys, inner, (toys, np.ones(2)), -math.inf, None, record)


def assert_same(one: object, two: Outcome) -> None:
    assert isinstance(one, Outcome)
    assert (one.estimate, one.low, one.note, one.record) == (
        two.estimate, two.low, two.note, two.record,
    )  # fmt: skip
    pairs = [
        (one.toys, two.toys),
        (one.inner.counts, two.inner.counts),
        (one.inner.mask, two.inner.mask),
        *zip(one.many, two.many, strict=True),
    ]
    for a, b in pairs:
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
        assert not a.flags.writeable


@pytest.mark.parametrize("size", [1, 300])
def test_dictionary_is_strict_json_and_comes_back(size: int) -> None:
    data = to_dict(outcome(size))
    assert next(iter(data.items())) == ("schema", "verisimile.result-for-these-files/2")
    text = json.dumps(data, allow_nan=False)
    assert_same(from_dict(json.loads(text)), outcome(size))


@pytest.mark.parametrize(("size", "files"), [(256, 1), (257, 2)])
def test_large_arrays_go_beside_the_json(tmp_path: Path, size: int, files: int) -> None:
    path = save(outcome(size), tmp_path / "deep" / "goodness")
    assert path == tmp_path / "deep" / "goodness.json"
    assert len(list(path.parent.iterdir())) == files
    assert len(path.read_text()) < 30_000
    json.loads(path.read_text(), parse_constant=pytest.fail)
    assert_same(load(path), outcome(size))
    assert_same(load(tmp_path / "deep" / "goodness"), outcome(size))


def test_a_path_with_other_dots_is_kept(tmp_path: Path) -> None:
    assert save(Estimate(1.0, 0.1), tmp_path / "z.v2").name == "z.v2.json"
    assert load(tmp_path / "z.v2") == Estimate(1.0, 0.1)


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (save(outcome(400), tmp_path / name) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    beside = [path.with_suffix(".safetensors").read_bytes() for path in (one, two)]
    assert beside[0] == beside[1]


def test_older_schema_is_read_with_the_defaults_of_new_fields() -> None:
    data = to_dict(outcome(2))
    data["schema"] = "verisimile.result-for-these-files/1"
    del data["record"]
    assert_same(from_dict(data), replace(outcome(2), record=None))


def test_newer_schema_is_refused() -> None:
    data = {**to_dict(outcome(2)), "schema": "verisimile.result-for-these-files/3"}
    with pytest.raises(StoreError, match="newer version"):
        from_dict(data)


def test_missing_field_is_named() -> None:
    data = to_dict(outcome(2))
    del data["low"]
    with pytest.raises(StoreError, match="low"):
        from_dict(data)


def test_a_dictionary_with_references_needs_its_file(tmp_path: Path) -> None:
    data = json.loads(save(outcome(300), tmp_path / "x").read_text())
    del data["arrays_sha256"]
    with pytest.raises(StoreError, match=r"Use load\(path\)"):
        from_dict(data)


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        (".json", b"{", "not JSON"),
        (".json", b"[]", "a JSON list"),
        (".json", b"{}", "schema"),
        (".json", None, "readable file"),
        (".safetensors", b"", "other bytes"),
        (".safetensors", None, "readable file"),
    ],
)
def test_damage_is_noticed(
    tmp_path: Path, suffix: str, content: bytes | None, message: str
) -> None:
    path = save(outcome(300), tmp_path / "x").with_suffix(suffix)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=message):
        load(tmp_path / "x")


@pytest.mark.parametrize("value", [3, {"a": 1}, Inner(np.arange(2), np.ones(2, dtype=bool))])
def test_only_registered_results_are_written(tmp_path: Path, value: object) -> None:
    with pytest.raises(InputError, match="registered"):
        to_dict(value)
    with pytest.raises(InputError, match="registered"):
        save(value, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_estimate() -> None:
    assert repr(Estimate(0.123456789, 0.0123456)) == "Estimate(0.123457 ± 0.012)"
    assert repr(Estimate(math.nan, math.nan)) == "Estimate(nan ± nan)"
    with pytest.raises(InputError, match=r"Estimate\.error: got -1"):
        Estimate(0.0, -1.0)
