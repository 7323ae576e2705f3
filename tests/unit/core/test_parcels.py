"""Large arguments: once in a file, small in a message, the same in the worker."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

from verisimile.core.errors import StoreError
from verisimile.core.parcels import FOLDER, Parcel, Parcels, opened
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.core.store import DirectoryStore, MemoryStore
from verisimile.core.tasks import Call, Task, Work, perform


def _frozen(n: int) -> np.ndarray[Any, Any]:
    x = np.arange(float(n))
    x.setflags(write=False)
    return x


@pytest.fixture
def parcels(tmp_path: Path) -> Parcels:
    return Parcels(DirectoryStore(tmp_path))


def test_what_is_small_stays(parcels: Parcels, tmp_path: Path) -> None:
    args = (3, "word", None, range(10), np.arange(4), {"a": 1.5})
    assert parcels.sealed(args)[:4] == args[:4]
    assert not any(isinstance(arg, Parcel) for arg in parcels.sealed(args))
    assert list(tmp_path.iterdir()) == []


def test_round_trip_keeps_values_and_who_may_write(parcels: Parcels) -> None:
    given: dict[str, Any] = {
        "frozen": _frozen(5000),
        "free": np.ones((30, 40), order="F"),
        "text": "x" * 9000,
    }
    sealed = parcels.sealed((given, 7))
    assert isinstance(sealed[0], Parcel)
    found, number = opened(sealed)
    assert number == 7
    assert found["text"] == given["text"]
    for name in ("frozen", "free"):
        assert np.array_equal(found[name], given[name])
        assert found[name].flags == given[name].flags or not found[name].flags.owndata
    assert not found["frozen"].flags.writeable
    found["free"][0, 0] = 5.0  # its own page, not the file's
    assert opened(parcels.sealed((given,)))[0] is found  # kept by this process
    other = multiprocessing.get_context("spawn")
    with other.Pool(1) as pool:
        assert pool.apply(_corner, (sealed[0],)) == 1.0


def _corner(parcel: Parcel) -> float:
    return float(opened((parcel,))[0]["free"][0, 0])


def test_an_object_is_written_once_and_removed_when_no_map_sends_it(
    parcels: Parcels, tmp_path: Path
) -> None:
    one, two = _frozen(1000), _frozen(2000)
    with parcels.map():
        first = parcels.sealed((one, two))
        assert parcels.sealed((one, two)) == first
        assert parcels.sealed((_frozen(1000),)) == first[:1]  # the same content
    assert len(_files(tmp_path)) == 2
    with parcels.map():
        assert parcels.sealed((two,)) == first[1:]
    assert _files(tmp_path) == [first[1].sha256]
    with parcels.map():
        first[1].path.unlink()  # by somebody
        assert opened(parcels.sealed((two,)))[0].size == 2000
    del parcels


def test_the_files_go_with_the_run(tmp_path: Path) -> None:
    parcels = Parcels(DirectoryStore(tmp_path))
    with parcels.map():
        parcels.sealed((_frozen(1000),))
    del parcels
    assert list((tmp_path / FOLDER).iterdir()) == []


def _files(home: Path) -> list[str]:
    return [path.name for path in (home / FOLDER).rglob("*") if path.is_file()]


def test_without_a_folder_there_is_a_temporary_one() -> None:
    parcels = Parcels(MemoryStore())
    (sealed,) = parcels.sealed((_frozen(1000),))
    assert Path(sealed.folder).is_dir()
    del parcels
    assert not Path(sealed.folder).exists()


def test_other_bytes_are_never_unpickled(parcels: Parcels) -> None:
    (sealed,) = parcels.sealed((_frozen(1001),))
    path = sealed.path
    data = bytearray(path.read_bytes())
    for at in (0, 70, len(data) - 70):
        changed = data.copy()
        changed[at] ^= 1
        path.write_bytes(changed)
        with pytest.raises(StoreError, match="other bytes than the driver wrote"):
            opened((sealed,))
    path.unlink()
    with pytest.raises(StoreError, match="must see the run folder"):
        opened((sealed,))


def test_a_message_is_small_whatever_the_tasks_share(parcels: Parcels, tmp_path: Path) -> None:
    shared = {"events": np.zeros((100_000, 4)), "member": "x" * 50_000}
    config = {"identity": {f"key{i}": "value" * 20 for i in range(100)}}
    task = Task("toys/0123456789abcdef/000010-000020", config, Seeds(1).at("toys"), (shared, 10))
    work = Work(_first, "toys", DirectoryStore(tmp_path), small=True, here=False)
    call = Call(3, task, "f" * 64)
    message = call.message(parcels.sealed(task.args))
    size = len(cloudpickle.dumps((perform, work, message, 1)))
    assert size <= 2000
    assert len(cloudpickle.dumps((perform, work, call, 1))) > 100 * size


def _first(seeds: Seeds, shared: object, first: int) -> Payload:
    return Payload({}, {"first": first})
