"""A run carries what every stage needs, and repeats nothing that is done."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import map_tasks
from verisimile.core.errors import IncompleteError, InputError, NumericsError, StoreError
from verisimile.core.executor import Serial
from verisimile.core.progress import Handle, Silent
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Receipt, Record
from verisimile.core.run import Run
from verisimile.core.store import MemoryStore
from verisimile.core.tasks import Failure, Task


def test_defaults() -> None:
    run = Run(Seeds(1))
    assert isinstance(run.executor, Serial)
    assert isinstance(run.store, MemoryStore)
    assert isinstance(run.progress, Silent)
    assert repr(run) == "Run(seeds=1:, executor=serial, store=MemoryStore(0 records))"


def test_at_shares_everything_but_the_seeds(tmp_path: Path) -> None:
    run = Run(Seeds(1), executor="loky:2", store=tmp_path, progress=True)
    below = run.at("a", 2)
    assert below.seeds == Seeds(1).at("a", 2)
    assert below.executor is run.executor
    assert below.store is run.store
    assert below.progress is run.progress


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": 2026}, r"Run\.seeds: got a int.*vs\.Seeds\(2026\)"),
        ({"executor": "fork"}, "executor"),
        ({"store": 3}, "store"),
        ({"progress": "yes"}, "progress"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Run(**{"seeds": Seeds(1), **arguments})


def test_addresses_are_unique_and_safe() -> None:
    task = Task("a", {}, Seeds(1))
    with pytest.raises(InputError, match="'a' twice"):
        Run(Seeds(1)).map(map_tasks.draw, [task, task], label="x")
    with pytest.raises(InputError, match="address"):
        Run(Seeds(1)).map(map_tasks.draw, [Task("../a", {}, Seeds(1))], label="x")


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_tolerated_fraction_is_a_fraction(fraction: float) -> None:
    with pytest.raises(InputError, match="max_failed"):
        Run(Seeds(1)).map(map_tasks.draw, [], label="x", max_failed=fraction)


def _remove(path: Path) -> None:
    path.unlink()


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "truncated record": (".json", lambda path: path.write_bytes(path.read_bytes()[:50])),
    "flipped byte": (
        ".safetensors",
        lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
    ),
    "emptied payload": (".safetensors", lambda path: path.write_bytes(b"")),
    "lost payload": (".safetensors", _remove),
    "lost record": (".json", _remove),
    "digit in meta": (
        ".json",
        lambda path: path.write_text(path.read_text().replace('"pid": ', '"pid": 1')),
    ),
}


def test_exactly_the_damaged_and_the_stale_are_done_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    run = Run(Seeds(1), store=tmp_path / "store")
    items = map_tasks.tasks([(str(log), index) for index in range(10)])
    first = map_tasks.hashes(run.map(map_tasks.logged, items, label="log"))
    for index, (suffix, damage) in enumerate(DAMAGES.values()):
        damage(tmp_path / "store" / f"members/{index:04d}{suffix}")
    other = Task(items[8].address, {"config": "other"}, items[8].seeds, items[8].args)
    again = run.map(map_tasks.logged, [*items[:8], other, items[9]], label="log")
    assert map_tasks.hashes(again) == first
    redone = [*range(len(DAMAGES)), 8]
    assert map_tasks.executions(log) == sorted([*range(10), *redone])


def test_of_a_record_only_what_is_asked_for_is_kept(tmp_path: Path) -> None:
    """Whether it is new, or was there, or is there after a failure."""
    items = map_tasks.tasks([0.0, 1.0, "no number", 3.0])
    dying: list[weakref.ref[Any]] = []

    def total(record: Record) -> float:
        assert all(reference() is None for reference in dying), "an earlier record is still held"
        dying.append(weakref.ref(record.arrays["sum"]))
        return float(record.arrays["sum"])

    plain = Run(Seeds(1)).map(map_tasks.draw, items, label="draw", max_failed=0.3)
    expected = [float(o.arrays["sum"]) if isinstance(o, Record) else o.address for o in plain]
    for _ in range(2):
        run = Run(Seeds(1), store=tmp_path)
        kept = run.map(map_tasks.draw, items, label="draw", keep=total, max_failed=0.3, small=True)
        assert [k.address if isinstance(k, Failure) else k for k in kept] == expected
        assert len(dying) == 3
        dying.clear()


def test_another_label_or_schema_is_other_work(tmp_path: Path) -> None:
    run = Run(Seeds(1))
    items = map_tasks.tasks([(str(tmp_path), 0)])
    run.map(map_tasks.logged, items, label="one")
    run.map(map_tasks.logged, items, label="two")
    run.map(map_tasks.logged, items, label="two", schema=2)
    run.map(map_tasks.logged, items, label="two", schema=2)
    assert map_tasks.executions(tmp_path) == [0, 0, 0]


def test_failures_are_tried_again_by_the_next_call() -> None:
    run = Run(Seeds(1))
    (first,) = run.map(map_tasks.fail, map_tasks.tasks(["division"]), label="x", max_failed=1.0)
    assert isinstance(first, Failure)
    (second,) = run.map(map_tasks.fail, map_tasks.tasks([""]), label="x")
    assert isinstance(second, Record)


def test_the_error_names_five_failures_and_the_way_on() -> None:
    items = map_tasks.tasks(["support"] + ["division"] * 6 + [""])
    with pytest.raises(NumericsError) as caught:
        Run(Seeds(1)).map(map_tasks.fail, items, label="train", max_failed=0.5)
    message = str(caught.value)
    assert message.startswith("train: got 7 of 8 tasks failed (members/0000: SupportError: events:")
    assert message.count("ZeroDivisionError") == 4
    assert "and 2 more" in message
    assert "expected at most 0.5 of them to fail" in message
    assert message.endswith("Run the same call again: finished items are not repeated.")


def test_tolerated_failures_are_no_error() -> None:
    items = map_tasks.tasks(["division", ""])
    outcomes = Run(Seeds(1)).map(map_tasks.fail, items, label="x", max_failed=0.5)
    assert [type(outcome) for outcome in outcomes] == [Failure, Record]


_TRIES: list[int] = []


def _full_disk(seeds: Seeds, argument: int) -> Payload:
    _TRIES.append(argument)
    if _TRIES.count(argument) <= argument:
        raise OSError(28, "No space left on device")
    return map_tasks.draw(seeds, float(argument))


def test_an_error_of_the_machine_is_tried_once_more() -> None:
    _TRIES.clear()
    items = map_tasks.tasks([0, 1])
    outcomes = Run(Seeds(1)).map(_full_disk, items, label="x")
    assert [type(outcome) for outcome in outcomes] == [Record, Record]
    assert sorted(_TRIES) == [0, 1, 1]


def test_an_error_of_the_machine_that_stays_ends_incomplete() -> None:
    _TRIES.clear()
    run, items = Run(Seeds(1)), map_tasks.tasks([0, 2])
    with pytest.raises(IncompleteError, match="No space left.*Run the same call again"):
        run.map(_full_disk, items, label="x")
    assert len(run.map(_full_disk, items, label="x")) == 2
    assert _TRIES.count(0) == 1


def test_an_error_of_the_task_is_tried_once() -> None:
    with pytest.raises(NumericsError, match="1 of 1"):
        Run(Seeds(1)).map(map_tasks.fail, map_tasks.tasks(["division"]), label="x")


def test_a_record_that_is_not_given_back_is_a_failure() -> None:
    class Forgetful(MemoryStore):
        def load(self, address: str, fingerprint: str, *, written: bool = False) -> None:
            """Find nothing."""

    run = Run(Seeds(1), store=Forgetful())
    (outcome,) = run.map(map_tasks.draw, map_tasks.tasks([0]), label="x", max_failed=1.0)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "StoreError"


class Told:
    """Progress that writes down what it is told."""

    def __init__(self) -> None:
        self.words: list[object] = []

    def begin(self, label: str, total: int, done: int) -> Handle:
        self.words.append((label, total, done))
        return self

    def advance(self) -> None:
        self.words.append("advance")

    def close(self) -> None:
        self.words.append("close")


def test_progress_is_told_what_is_there_and_what_comes() -> None:
    told = Told()
    run = Run(Seeds(1), progress=told)
    run.map(map_tasks.fail, map_tasks.tasks(["", "division", ""]), label="x", max_failed=1.0)
    assert told.words == [("x", 3, 0), "advance", "advance", "advance", "close"]
    told.words.clear()
    run.map(map_tasks.fail, map_tasks.tasks(["", "division", ""]), label="x", max_failed=1.0)
    assert told.words == [("x", 3, 2), "advance", "close"]


def _interrupt(seeds: Seeds, argument: int) -> Payload:
    if argument == 2:
        raise KeyboardInterrupt
    return map_tasks.draw(seeds, float(argument))


def test_an_interrupt_closes_the_progress_and_keeps_what_is_done() -> None:
    told = Told()
    run = Run(Seeds(1), progress=told)
    with pytest.raises(KeyboardInterrupt):
        run.map(_interrupt, map_tasks.tasks(range(5)), label="x")
    assert told.words[-1] == "close"
    assert run.store.addresses() == ["members/0000", "members/0001"]


def test_a_store_that_keeps_nothing_ends_the_map_before_all_is_computed(tmp_path: Path) -> None:
    class Full(MemoryStore):
        def save(self, *_: object, **__: object) -> Receipt:
            raise StoreError("disk", got="no space left", expected="room")

    items = map_tasks.tasks([(str(tmp_path), index) for index in range(20)])
    with pytest.raises(IncompleteError, match="no space left"):
        Run(Seeds(1), store=Full()).map(map_tasks.logged, items, label="x", max_failed=1.0)
    assert map_tasks.executions(tmp_path) == [0, 1, 2]
