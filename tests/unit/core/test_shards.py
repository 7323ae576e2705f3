"""Parts of the work: every task in one of them, and the whole once all are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from map_tasks import draw, executions, hashes, logged, tasks
from verisimile.core.errors import IncompleteError, InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.core.shards import Shard, ShardDone


def _run(store: Path, shard: str = "") -> Run:
    return Run(Seeds(7), store=store, shard=shard or None)


def test_every_task_is_in_one_shard() -> None:
    parts = [[i for i in range(10) if Shard(k, 4).owns(i)] for k in (1, 2, 3, 4)]
    assert sorted(sum(parts, [])) == list(range(10))
    assert str(Shard.parse("3/40")) == "3/40"


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "1/10001", "a/b", "1/4/2", "-1/4"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="shard"):
        Shard.parse(text)


def test_a_shard_needs_a_folder() -> None:
    with pytest.raises(InputError, match="in which the shards meet"):
        Run(Seeds(1), shard="1/2")


def test_shards_then_the_whole(tmp_path: Path) -> None:
    log, store = tmp_path / "log", tmp_path / "store"
    log.mkdir()
    items = tasks([(str(log), index) for index in range(7)])
    for shard, done in (("2/3", [1, 4]), ("3/3", [1, 2, 4, 5])):
        with pytest.raises(ShardDone, match=rf"{len(done)} of 7 tasks.*shard {shard}"):
            _run(store, shard).map(logged, items, label="stage")
        assert executions(log) == done
    whole = _run(store).map(logged, items, label="stage")
    assert executions(log) == list(range(7))
    assert hashes(whole) == hashes(Run(Seeds(7)).map(logged, items, label="stage"))
    # The last of the shards finds all the others there and goes on itself.
    assert hashes(_run(store, "1/3").map(logged, items, label="stage")) == hashes(whole)


def test_what_all_shards_need_each_of_them_does(tmp_path: Path) -> None:
    found = _run(tmp_path, "2/3").map(draw, tasks([1.0, 2.0]), label="stage", everywhere=True)
    assert len(hashes(found)) == 2


def test_a_shard_that_fails_says_so_and_not_that_it_is_done(tmp_path: Path) -> None:
    items = tasks(["x"] * 4)
    with pytest.raises(ArithmeticError, match="2 of 2 tasks failed") as caught:
        _run(tmp_path, "1/2").map(draw, items, label="stage")
    assert not isinstance(caught.value, IncompleteError)
