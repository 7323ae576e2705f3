"""The folder behind a directory store."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from verisimile.core.errors import InputError, StoreError
from verisimile.core.records import Payload
from verisimile.core.store import DirectoryStore


def test_layout(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "run")
    store.save("members/0007", "f", "members", Payload({"x": np.ones(2)}, {"n": 1}), seeds="7:a")
    store.write_json("manifest", {"schema": 1})
    files = sorted(p.relative_to(store.path).as_posix() for p in store.path.rglob("*.*"))
    assert files == ["manifest.json", "members/0007.json", "members/0007.safetensors"]
    record = json.loads((store.path / "members/0007.json").read_text())
    assert record.keys() == {
        "schema", "address", "fingerprint", "label", "seeds", "versions", "sha256", "meta",
        "seal",
    }  # fmt: skip
    assert (record["seeds"], record["meta"]) == ("7:a", {"n": 1})


def test_the_same_payload_gives_the_same_bytes(tmp_path: Path) -> None:
    arrays = {"b": np.arange(3.0), "a": np.array(True), "c": np.zeros((2, 0), dtype=np.float32)}
    for name, order in (("one", "abc"), ("two", "cba")):
        store = DirectoryStore(tmp_path / name)
        store.save("x", "f", "stage", Payload({key: arrays[key] for key in order}, {"k": 1}))
    for suffix in ("json", "safetensors"):
        one, two = (tmp_path / name / f"x.{suffix}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_reading_makes_no_folder(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "absent")
    assert store.load("x", "f") is None
    assert store.addresses() == []
    assert store.read_json("manifest") is None
    assert not store.path.exists()


def test_temporary_files_and_lone_halves_are_no_records(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.save("a", "f", "stage", Payload({"x": np.ones(2)}, {}))
    (tmp_path / ".b.json.123.tmp").write_bytes((tmp_path / "a.json").read_bytes())
    (tmp_path / "c.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes())
    assert store.addresses() == ["a"]
    assert store.state("b", "f") == store.state("c", "f") == "missing"
    (tmp_path / "a.safetensors").unlink()
    assert store.state("a", "f") == "corrupt"


def test_path_is_absolute_and_travels_to_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = DirectoryStore("run")
    assert store.path == tmp_path / "run"
    assert pickle.loads(pickle.dumps(store)).path == store.path


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="expected a folder"):
        DirectoryStore(tmp_path / "file")


def test_damaged_document_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match=r"manifest\.json.*not JSON"):
        DirectoryStore(tmp_path).read_json("manifest")
