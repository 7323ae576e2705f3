"""What every store promises, in memory or in a folder."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from verisimile.core.errors import InputError, StoreError
from verisimile.core.records import Payload, Receipt, Record, mixed_versions
from verisimile.core.store import DirectoryStore, MemoryStore, Store, open_store

FINGERPRINT = "f" * 64
Damage = Callable[[str, Callable[[bytes], bytes]], None]


class Bench:
    """A store, and a hand that reaches behind its back."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.store: Store = MemoryStore() if kind == "memory" else DirectoryStore(folder)

    def damage(self, address: str, part: str, change: Callable[[bytes], bytes]) -> None:
        name = address + (".json" if part == "record" else ".safetensors")
        if isinstance(self.store, DirectoryStore):
            path = self.store.path / name
            path.write_bytes(change(path.read_bytes()))
        elif isinstance(self.store, MemoryStore):
            self.store._files[name] = change(self.store._files[name])


@pytest.fixture(params=["memory", "directory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(request.param, tmp_path / "store")


@pytest.fixture
def store(bench: Bench) -> Store:
    return bench.store


def payload(value: float = 1.5) -> Payload:
    return Payload({"x": np.full(20, value)}, {"loss": value})


def save(store: Store, address: str = "members/0007", value: float = 1.5) -> Receipt:
    return store.save(address, FINGERPRINT, "members", payload(value))


def found(store: Store, address: str = "members/0007") -> Record:
    record = store.load(address, FINGERPRINT)
    assert record is not None
    return record


ARRAYS: dict[str, npt.NDArray[Any]] = {
    "float64": np.array([[1.0, -0.0], [math.nan, math.inf]]),
    "float32": np.array([1.1, 2.2], dtype=np.float32),
    "int64": np.array([-(2**62), 3]),
    "bool": np.array([True, False, True]),
    "uint8": np.arange(5, dtype=np.uint8),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 3)),
    "strided": np.arange(12.0).reshape(3, 4)[:, ::2],
    "transposed": np.arange(6.0).reshape(2, 3).T,
}


def test_arrays_come_back_bit_for_bit(store: Store) -> None:
    store.save("a", FINGERPRINT, "stage", Payload(ARRAYS, {}))
    loaded = found(store, "a").arrays
    assert loaded.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes()


def test_big_endian_numbers_keep_their_values(store: Store) -> None:
    store.save("a", FINGERPRINT, "stage", Payload({"x": np.array([1.0, 2.0], dtype=">f8")}, {}))
    np.testing.assert_array_equal(found(store, "a").arrays["x"], [1.0, 2.0])


def test_loaded_arrays_are_read_only(store: Store) -> None:
    save(store)
    with pytest.raises(ValueError, match="read-only"):
        found(store).arrays["x"][0] = 3.0


def test_the_store_keeps_a_copy(store: Store) -> None:
    array = np.zeros(3)
    store.save("a", FINGERPRINT, "stage", Payload({"x": array}, {}))
    array[0] = 9.0
    np.testing.assert_array_equal(found(store, "a").arrays["x"], np.zeros(3))


def test_meta_comes_back_with_its_non_finite_numbers(store: Store) -> None:
    meta = {"n": 3, "loss": math.nan, "low": -math.inf, "who": None, "shape": (2, 3), "µ": "é"}
    store.save("a", FINGERPRINT, "stage", Payload({}, {"all": meta}))
    loaded = found(store, "a").meta["all"]
    assert isinstance(loaded, dict)
    assert math.isnan(loaded.pop("loss"))
    assert loaded == {"n": 3, "low": -math.inf, "who": None, "shape": [2, 3], "µ": "é"}


def test_receipt_and_record_agree(store: Store) -> None:
    receipt = save(store)
    record = found(store)
    assert (record.address, record.fingerprint, record.sha256) == (
        receipt.address,
        receipt.fingerprint,
        receipt.sha256,
    )
    assert record.label == "members"


def test_hash_is_of_the_arrays_alone(store: Store) -> None:
    first = store.save("a", FINGERPRINT, "stage", Payload({"x": np.ones(3)}, {"wall": 1.0}))
    second = store.save("b", "other", "stage", Payload({"x": np.ones(3)}, {"wall": 2.0}))
    third = store.save("c", FINGERPRINT, "stage", Payload({"x": np.zeros(3)}, {"wall": 1.0}))
    assert first.sha256 == second.sha256 != third.sha256


def test_stores_agree_in_the_hash(tmp_path: Path) -> None:
    assert save(MemoryStore()).sha256 == save(DirectoryStore(tmp_path)).sha256


def test_small_records_are_records(store: Store) -> None:
    receipt = store.append("toys/1", FINGERPRINT, "toys", payload(1.0), seeds="7:a")
    assert found(store, "toys/1").sha256 == receipt.sha256
    assert found(store, "toys/1").label == "toys"
    assert store.state("toys/1", FINGERPRINT) == "valid"
    assert store.state("toys/1", "other") == "stale"
    assert store.state("toys/2", FINGERPRINT) == "missing"
    assert store.addresses("toys") == ["toys/1"]
    store.append("toys/1", FINGERPRINT, "toys", payload(2.0))
    assert found(store, "toys/1").meta["loss"] == 2.0
    store.discard("toys/1")
    assert store.state("toys/1", FINGERPRINT) == "missing"
    assert store.addresses() == []
    store.append("toys/1", FINGERPRINT, "toys", payload(3.0))
    assert found(store, "toys/1").meta["loss"] == 3.0


def test_records_note_the_versions_that_made_them(store: Store) -> None:
    save(store)
    versions = found(store).versions
    assert {"python", "numpy", "verisimile"} <= versions.keys()
    assert versions["numpy"] == np.__version__
    assert mixed_versions([versions]) == ""


def test_states(store: Store) -> None:
    assert store.state("members/0007", FINGERPRINT) == "missing"
    save(store)
    assert store.state("members/0007", FINGERPRINT) == "valid"
    assert store.state("members/0007", "other") == "stale"
    assert store.load("members/0007", "other") is None


def test_a_later_record_takes_the_place(store: Store) -> None:
    save(store, value=1.0)
    save(store, value=2.0)
    assert found(store).meta["loss"] == 2.0
    assert store.addresses() == ["members/0007"]


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    ("part", "change"),
    [
        pytest.param("record", lambda text: text[: len(text) // 2], id="truncated-record"),
        pytest.param("record", lambda _: b"", id="emptied-record"),
        pytest.param("record", lambda _: b"[1]", id="other-json"),
        pytest.param("record", lambda text: b"\xff" + text, id="not-utf8"),
        pytest.param("record", lambda text: text.replace(b"1.5", b"1.6"), id="digit-in-meta"),
        pytest.param("record", lambda text: text.replace(b"ffff", b"fffe", 1), id="fingerprint"),
        pytest.param("record", lambda text: text.replace(b"0007", b"0008"), id="address"),
        pytest.param("payload", _flip, id="flipped-bit"),
        pytest.param("payload", lambda data: data[:-1], id="truncated-payload"),
        pytest.param("payload", lambda _: b"", id="emptied-payload"),
    ],
)
def test_damage_is_noticed(bench: Bench, part: str, change: Callable[[bytes], bytes]) -> None:
    save(bench.store)
    bench.damage("members/0007", part, change)
    assert bench.store.state("members/0007", FINGERPRINT) == "corrupt"
    assert bench.store.load("members/0007", FINGERPRINT) is None
    save(bench.store)
    assert bench.store.state("members/0007", FINGERPRINT) == "valid"


def test_a_record_at_another_address_does_not_count(bench: Bench) -> None:
    save(bench.store, "a")
    save(bench.store, "b")
    texts: list[bytes] = []

    def copy(text: bytes) -> bytes:
        texts.append(text)
        return texts[0]

    bench.damage("a", "record", copy)
    bench.damage("b", "record", copy)
    assert bench.store.state("b", FINGERPRINT) == "corrupt"


def test_a_record_of_an_older_schema_does_not_count(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verisimile.core.records._SCHEMA", 0)
    save(bench.store)
    monkeypatch.undo()
    assert bench.store.state("members/0007", FINGERPRINT) == "stale"
    assert bench.store.load("members/0007", FINGERPRINT) is None


@pytest.mark.parametrize("write", ["save", "append"])
def test_a_record_of_a_later_schema_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    monkeypatch.setattr("verisimile.core.records._SCHEMA", 2)
    monkeypatch.setattr("verisimile.core.records.versions", lambda: {"verisimile": "9.8"})
    getattr(bench.store, write)("members/0007", FINGERPRINT, "members", payload())
    monkeypatch.undo()
    for fingerprint in (FINGERPRINT, "other"):
        with pytest.raises(StoreError, match=r"schema 2, made by verisimile 9\.8.*that version"):
            bench.store.state("members/0007", fingerprint)
        with pytest.raises(StoreError, match="another folder"):
            bench.store.load("members/0007", fingerprint)


@pytest.mark.parametrize(
    "address",
    [
        "a" * 201,
        "",
        "/etc/x",
        "../x",
        "a/../b",
        "a//b",
        "a/",
        ".hidden",
        "a/.b",
        "a b",
        "ä",
        "a\\b",
        "a\n",
        7,
    ],
)
def test_unsafe_addresses_are_refused(store: Store, address: str) -> None:
    with pytest.raises(InputError, match="address"):
        store.save(address, FINGERPRINT, "stage", payload())
    with pytest.raises(InputError, match="address"):
        store.load(address, FINGERPRINT)
    with pytest.raises(InputError, match="address"):
        store.write_json(address, 1)
    assert store.addresses() == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(Payload({"x": np.array(["text"])}, {}), id="strings"),
        pytest.param(Payload({"x": np.array([object()])}, {}), id="objects"),
        pytest.param(Payload({"x": np.array([1j])}, {}), id="complex"),
        pytest.param(Payload({}, {"x": np.zeros(3)}), id="array-in-meta"),  # type: ignore[dict-item]
        pytest.param(Payload({}, {"x": {1: 2}}), id="number-as-key"),  # type: ignore[dict-item]
    ],
)
def test_content_without_a_portable_form_is_refused(store: Store, content: Payload) -> None:
    with pytest.raises(InputError):
        store.save("a", FINGERPRINT, "stage", content)
    assert store.state("a", FINGERPRINT) == "missing"


def test_addresses_are_sorted_and_chosen_by_folder(store: Store) -> None:
    for address in ("members/0010", "members/0002", "members2/0001", "toys/a/b.c", "single"):
        save(store, address)
    store.write_json("members/index", {"a": 1})
    everything = ["members/0002", "members/0010", "members2/0001", "single", "toys/a/b.c"]
    assert store.addresses() == everything
    assert store.addresses("members") == ["members/0002", "members/0010"]
    assert store.addresses("toys") == ["toys/a/b.c"]
    assert store.addresses("nothing") == []


def test_documents(store: Store) -> None:
    assert store.read_json("manifest") is None
    store.write_json("manifest", {"x": [1, math.inf], "y": None})
    assert store.read_json("manifest") == {"x": [1, math.inf], "y": None}
    assert store.read_json("manifest.json") == {"x": [1, math.inf], "y": None}
    store.write_json("manifest.json", "new")
    assert store.read_json("manifest") == "new"


def test_a_document_does_not_replace_a_record(store: Store) -> None:
    save(store)
    with pytest.raises(StoreError, match="address of a record"):
        store.write_json("members/0007", {})
    assert store.state("members/0007", FINGERPRINT) == "valid"


def test_repr_is_one_line(store: Store) -> None:
    save(store)
    assert "\n" not in repr(store)


def test_open_store(tmp_path: Path) -> None:
    memory = MemoryStore()
    assert open_store(memory) is memory
    assert isinstance(open_store(None), MemoryStore)
    assert isinstance(open_store(tmp_path), DirectoryStore)
    assert isinstance(open_store(str(tmp_path)), DirectoryStore)
    with pytest.raises(InputError, match="store"):
        open_store(3)  # type: ignore[arg-type]
