"""Documents are read whole, within limits, and say where they are wrong."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from verisimile.core.documents import parse_json, read_document
from verisimile.core.errors import StoreError
from verisimile.core.result import Estimate, load, save


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": 1,\n "b": {"a": 2},\n "a": 3}', r"the key 'a' twice \(lines 1, 2, 3\)"),
        (b"[" * 200_000, "200000 levels; expected at most 64"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "65 levels"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "4300 digits"),
        (b'{"a"', "not JSON"),
        (b'"\xff"', "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_what_is_wrong_is_named(text: bytes, message: str) -> None:
    with pytest.raises(StoreError, match=message) as told:
        parse_json(text, "x.json")
    assert str(told.value).startswith("x.json: ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": "[[[[", "b\\"{": [1, {"a": null}]}', {"a": "[[[[", 'b"{': [1, {"a": None}]}),
        (b"[" * 64 + b"]" * 64, None),
        (b'["' + b"[" * 100 + b'"]', ["[" * 100]),
    ],
)
def test_what_is_right_is_read(text: bytes, value: object) -> None:
    found = parse_json(text, "x.json")
    assert value is None or found == value


def test_a_file_has_a_largest_size(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"12345")
    assert read_document(file, limit=5) == b"12345"
    with pytest.raises(StoreError, match="expected at most"):
        read_document(file, limit=4)
    with pytest.raises(StoreError, match="Is a directory"):
        read_document(tmp_path)


def test_damaged_results_are_results_or_named_errors(tmp_path: Path) -> None:
    file = save(Estimate(1.0, 0.5), tmp_path / "x")
    whole, rng = file.read_bytes(), random.Random(17)
    pieces = [b"[", b"{", b'"', b"9" * 5000, b"1e999", b"null", b"\xff", b"\\", b":", b"NaN", b"\0"]
    told = 0
    for _ in range(2000):
        at = rng.randrange(len(whole) + 1)
        cut = rng.choice([0, 1, 5])
        file.write_bytes(
            whole[:at] + rng.choice(pieces) * rng.choice([1, 1, 90]) + whole[at + cut :]
        )
        try:
            load(file)
        except StoreError:
            told += 1
    assert told > 1500
