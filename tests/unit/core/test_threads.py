"""One inner thread inside the block, the old number after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import threadpoolctl

import map_tasks
from verisimile.core.executor import single_threaded
from verisimile.core.random import Seeds
from verisimile.core.records import Record
from verisimile.core.run import Run


def limits() -> list[int]:
    return [int(pool["num_threads"]) for pool in threadpoolctl.threadpool_info()]


@pytest.fixture
def two() -> Iterator[None]:
    """Make sure that there is something to limit, even on one core."""
    with threadpoolctl.threadpool_limits(2):
        assert set(limits()) == {2}
        yield


@pytest.mark.usefixtures("two")
def test_limits_hold_inside_and_come_back() -> None:
    with single_threaded():
        assert set(limits()) == {1}
        with single_threaded():
            assert set(limits()) == {1}
        assert set(limits()) == {1}
    assert set(limits()) == {2}


@pytest.mark.usefixtures("two")
def test_limits_come_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), single_threaded():
        raise ZeroDivisionError
    assert set(limits()) == {2}


@pytest.mark.usefixtures("two")
def test_map_in_a_thread_pool_gives_the_limits_back() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(3) as pool:
        run = Run(Seeds(1), executor=pool)
        outcomes = run.map(map_tasks.threads, map_tasks.tasks(range(12)), label="threads")
    records = [outcome for outcome in outcomes if isinstance(outcome, Record)]
    assert len(records) == 12
    assert {n for record in records for n in record.arrays["threads"].tolist()} == {1}
    assert set(limits()) == {2}


@pytest.mark.usefixtures("two")
def test_torch_is_limited_too() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with single_threaded():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
