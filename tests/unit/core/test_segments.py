"""Many small records in few files, whatever is killed, cut or damaged."""

from __future__ import annotations

import errno
import os
import pickle
import resource
import signal
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import map_tasks
from store_processes import APPENDER, Process, segments_of
from verisimile.core import segments
from verisimile.core.errors import StoreError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore

F = "f" * 64


def add(store: DirectoryStore, index: int, *, size: int = 20, fingerprint: str = F) -> None:
    store.append(f"toys/{index:05d}", fingerprint, "toys", Payload({"x": np.full(size, index)}))


def values(store: DirectoryStore, index: int, fingerprint: str = F) -> set[int] | None:
    record = store.load(f"toys/{index:05d}", fingerprint)
    return None if record is None else set(record.arrays["x"].tolist())


def readable(folder: Path, indices: range) -> list[int]:
    """Those whose records come back as they were, for somebody who has just come."""
    store = DirectoryStore(folder)
    return [index for index in indices if values(store, index) == {index}]


def test_a_thousand_records_are_one_file(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for index in range(1000):
        add(store, index)
    assert [path.name for path in tmp_path.iterdir()] == ["segments"]
    assert len(segments_of(tmp_path)) == 1
    assert readable(tmp_path, range(1000)) == list(range(1000))
    assert DirectoryStore(tmp_path).addresses("toys") == [f"toys/{i:05d}" for i in range(1000)]


def test_one_address_keeps_the_records_of_several_configurations(tmp_path: Path) -> None:
    for store in (DirectoryStore(tmp_path), DirectoryStore(tmp_path)):
        for fingerprint in ("a", "b"):
            add(store, 3, fingerprint=fingerprint)
    for fingerprint in ("a", "b"):
        assert values(store, 3, fingerprint) == {3}
    assert store.addresses() == ["toys/00003"]
    store.discard("toys/00003")
    assert DirectoryStore(tmp_path).addresses() == []
    assert values(store, 3, "a") is values(store, 3, "b") is None


def test_a_valid_record_counts_wherever_it_is(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    content = Payload({"x": np.full(3, 1)})
    store.save("toys/00001", F, "toys", content)
    add(store, 1)
    (tmp_path / "toys/00001.safetensors").write_bytes(b"")
    assert store.state("toys/00001", F) == "valid"
    store.save("toys/00001", F, "toys", content)
    (path,) = segments_of(tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"\0\0")
    assert DirectoryStore(tmp_path).state("toys/00001", F) == "valid"
    store.discard("toys/00001")
    assert DirectoryStore(tmp_path).state("toys/00001", F) == "missing"


def test_the_records_of_other_processes_are_found(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    assert store.load("a/00000", "f") is None
    writers = [Process(APPENDER, tmp_path, prefix, 50) for prefix in "abc"]
    for writer in writers:
        writer.end()
    assert len(segments_of(tmp_path)) == 3
    assert len({path.name.split("-")[1] for path in segments_of(tmp_path)}) == 3
    for prefix in "abc":
        for index in range(50):
            record = store.load(f"{prefix}/{index:05d}", "f", written=True)
            assert record is not None
            assert record.arrays["x"][0] == index


@pytest.mark.parametrize("deadly", [False, True])
def test_workers_append_each_to_its_own(tmp_path: Path, deadly: bool) -> None:
    log = tmp_path / "log"
    log.mkdir()
    run = Run(Seeds(7), executor="loky:2", store=tmp_path / "run")
    items = map_tasks.tasks([(str(log), index, deadly and index in (3, 9)) for index in range(14)])
    try:
        outcomes = run.map(map_tasks.die_once, items, label="die", small=True)
    finally:
        run.executor.abort()
    quiet = map_tasks.tasks([(str(log), index, False) for index in range(14)])
    again = Run(Seeds(7)).map(map_tasks.die_once, quiet, label="die")
    assert map_tasks.hashes(outcomes) == map_tasks.hashes(again)
    pids = [path.name.split("-")[1] for path in segments_of(tmp_path / "run")]
    assert len(pids) == len(set(pids)) >= 1
    assert str(os.getpid()) not in pids
    assert not [path for path in (tmp_path / "run").rglob("*.json") if "leases" not in path.parts]


def test_a_fork_has_a_segment_and_an_index_of_its_own(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    add(store, 0)
    assert values(store, 0) == {0}
    child = os.fork()
    if child == 0:
        try:
            add(store, 1)
            os._exit(0 if values(store, 0) == {0} and values(store, 1) == {1} else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    add(store, 2)
    assert len(segments_of(tmp_path)) == 2
    assert [values(store, index) for index in range(3)] == [{0}, {1}, {2}]


def test_threads_and_copies_share_the_segment_of_their_process(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    copies = [pickle.loads(pickle.dumps(store)) for _ in range(4)]

    def work(k: int) -> None:
        for index in range(50):
            add(copies[k], 100 * k + index)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(segments_of(tmp_path)) == 1
    for k in range(4):
        assert readable(tmp_path, range(100 * k, 100 * k + 50)) == list(
            range(100 * k, 100 * k + 50)
        )


def test_a_killed_writer_leaves_whole_records(tmp_path: Path) -> None:
    for attempt in range(4):
        writer = Process(APPENDER, tmp_path, f"try{attempt}", 10**6)
        assert writer.line() == "ready"
        writer.kill()
    store = DirectoryStore(tmp_path)
    found = store.addresses()
    assert len(found) >= 4
    assert {store.state(address, "f") for address in found} == {"valid"}
    for attempt in range(4):
        own = [name for name in found if name.startswith(f"try{attempt}/")]
        assert own == [f"try{attempt}/{index:05d}" for index in range(len(own))]


def test_a_cut_record_is_nobodys_and_the_ones_before_stay(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for index in range(5):
        add(store, index)
    (path,) = segments_of(tmp_path)
    whole = path.read_bytes()
    entry = len(whole) // 5
    for length in (len(whole) - 1, len(whole) - entry + 30, len(whole) - entry + 3):
        path.write_bytes(whole[:length])
        assert readable(tmp_path, range(5)) == [0, 1, 2, 3]
    # What is written meanwhile by one who did not see the end is whole again.
    watcher = DirectoryStore(tmp_path)
    assert values(watcher, 4) is None
    path.write_bytes(whole)
    assert values(watcher, 4) == {4}


def _middle(position: int) -> Callable[[bytes, int, int], bytes]:
    def flip(data: bytes, start: int, end: int) -> bytes:
        at = start + position if position >= 0 else end + position
        return data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :]

    return flip


DAMAGES: dict[str, Callable[[bytes, int, int], bytes]] = {
    "magic": _middle(0),
    "length of the text": _middle(8),
    "length of the payload": _middle(13),
    "checksum": _middle(21),
    "text": _middle(150),
    "payload": _middle(-5),
    "bytes lost from the payload": lambda d, _, end: d[: end - 20] + d[end:],
    "bytes lost from the text": lambda d, start, _: d[: start + 90] + d[start + 120 :],
    "beginning lost": lambda d, start, _: d[:start] + d[start + 40 :],
    "all lost": lambda d, start, end: d[:start] + d[end:],
    "zeros": lambda d, start, end: d[:start] + bytes(end - start) + d[end:],
    "bytes too many": lambda d, _, end: d[:end] + b"stranger" + d[end:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_costs_one_record_and_no_neighbour(tmp_path: Path, damage: str) -> None:
    store = DirectoryStore(tmp_path)
    for index in range(7):
        add(store, index)
    (path,) = segments_of(tmp_path)
    data = path.read_bytes()
    (place,) = store.segments.find("toys/00003")
    path.write_bytes(DAMAGES[damage](data, place.start, place.start + place.bytes))
    expected = [0, 1, 2, 3, 4, 5, 6] if damage == "bytes too many" else [0, 1, 2, 4, 5, 6]
    assert readable(tmp_path, range(7)) == expected
    assert DirectoryStore(tmp_path).state("toys/00003", F) in ("missing", "corrupt", "valid")
    add(DirectoryStore(tmp_path), 3)
    assert readable(tmp_path, range(7)) == list(range(7))


def test_random_damage_never_gives_a_wrong_value(tmp_path: Path, rng: np.random.Generator) -> None:
    store = DirectoryStore(tmp_path)
    for index in range(20):
        add(store, index)
    (path,) = segments_of(tmp_path)
    whole, entry = path.read_bytes(), path.stat().st_size / 20
    for _ in range(150):
        data = bytearray(whole)
        at = int(rng.integers(len(data)))
        width = int(rng.integers(1, 40))
        data[at : at + width] = rng.bytes(int(rng.integers(0, 40)))
        path.write_bytes(data)
        hit = {int(at / entry), int(min(at + width, len(whole) - 1) / entry)}
        found = {index: values(DirectoryStore(tmp_path), index) for index in range(20)}
        assert all(value in (None, {index}) for index, value in found.items())
        assert {index for index, value in found.items() if value is None} <= hit


def test_a_payload_that_looks_like_a_segment_is_a_payload(tmp_path: Path) -> None:
    inner = DirectoryStore(tmp_path / "inner")
    add(inner, 5)
    raw = segments_of(tmp_path / "inner")[0].read_bytes()
    store = DirectoryStore(tmp_path / "outer")
    store.append("a", F, "x", Payload({"raw": np.frombuffer(raw, dtype=np.uint8)}))
    add(store, 1)
    assert DirectoryStore(tmp_path / "outer").addresses() == ["a", "toys/00001"]
    assert readable(tmp_path / "outer", range(6)) == [1]


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file of this process may be larger: the write is cut there, and then refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_what_does_not_fit_is_taken_back(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    add(store, 0)
    (path,) = segments_of(tmp_path)
    before = path.read_bytes()
    with file_limit(len(before) + 400), pytest.raises(StoreError, match=r"segments/.*room") as told:
        add(store, 1)
    assert isinstance(told.value.__cause__, OSError)
    assert told.value.__cause__.errno == errno.EFBIG
    assert path.read_bytes() == before
    add(store, 2)
    assert readable(tmp_path, range(3)) == [0, 2]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOTCONN])
def test_refusals_of_the_system_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store = DirectoryStore(tmp_path)
    real = os.write

    def cut(descriptor: int, data: bytes) -> int:
        if len(data) > 100:
            return real(descriptor, data[:100])
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", cut)
        with pytest.raises(StoreError, match=os.strerror(number)) as told:
            add(store, 0)
    assert isinstance(told.value.__cause__, OSError)
    assert told.value.__cause__.errno == number
    assert segments_of(tmp_path)[0].stat().st_size == 0
    add(store, 0)
    assert readable(tmp_path, range(1)) == [0]


def test_a_segment_that_is_removed_is_begun_anew(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    add(store, 0)
    segments_of(tmp_path)[0].unlink()
    assert values(store, 0) is None
    add(store, 1)
    assert values(store, 1) == {1}
    assert store.addresses() == ["toys/00001"]


def test_merging_keeps_what_is_asked_for(tmp_path: Path) -> None:
    for prefix in "ab":
        Process(APPENDER, tmp_path, prefix, 5).end()
    store = DirectoryStore(tmp_path)
    add(store, 1)
    store.discard("a/00000")
    places = store.segments.places()
    assert len(places) == 10
    store.segments.merge([place for place in places if place.address != "a/00001"])
    assert len(segments_of(tmp_path)) == 1
    expected = ["a/00002", "a/00003", "a/00004", *(f"b/{i:05d}" for i in range(5)), "toys/00001"]
    assert store.addresses() == DirectoryStore(tmp_path).addresses() == expected
    add(store, 2)
    assert values(store, 2) == {2}
    assert not list(tmp_path.rglob("*.tmp"))


def test_misses_do_not_read_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DirectoryStore(tmp_path)
    for index in range(50):
        add(store, index)
    reads: list[int] = []
    real = segments._entry

    def counted(handle: object, start: int, size: int) -> object:
        reads.append(start)
        return real(handle, start, size)  # type: ignore[arg-type]

    monkeypatch.setattr(segments, "_entry", counted)
    reader = DirectoryStore(tmp_path)
    for index in range(1000, 1200):
        assert values(reader, index) is None
    assert len(reads) == 50
    add(DirectoryStore(tmp_path), 50)
    record = reader.load("toys/00050", F, written=True)
    assert record is not None
    assert len(reads) == 51


def test_neither_descriptors_nor_payloads_are_held(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    reader = DirectoryStore(tmp_path)
    add(store, 0)
    values(reader, 0)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    tracemalloc.start()
    for index in range(1, 101):
        add(store, index, size=10_000)
        assert values(reader, index) == {index}
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert held < 8_000_000 / 10  # a tenth of the payloads
