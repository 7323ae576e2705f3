"""What the words and objects for an executor mean."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from verisimile.core.errors import InputError
from verisimile.core.executor import Borrowed, Loky, Serial, resolve_executor


def test_words() -> None:
    assert isinstance(resolve_executor("serial"), Serial)
    loky = resolve_executor("loky:3")
    assert isinstance(loky, Loky)
    assert (loky.workers, loky.name, loky.window, loky.renewable) == (3, "loky:3", 6, True)


@pytest.mark.parametrize(
    "executor", ["", "Serial", "loky", "loky:", "loky:0", "loky:-1", "loky:two", "dask", 4, None]
)
def test_anything_else_is_refused_with_what_is_valid(executor: str) -> None:
    with pytest.raises(InputError, match=r'"serial", "loky:n" with n >= 1.*executor="loky:4"'):
        resolve_executor(executor)


def test_an_executor_of_the_user_stays_his() -> None:
    with ThreadPoolExecutor(3) as pool:
        spec = resolve_executor(pool)
        assert isinstance(spec, Borrowed)
        assert (spec.name, spec.window, spec.renewable) == ("ThreadPoolExecutor", 6, False)
        assert spec.start() is pool
        spec.abort()
        assert pool.submit(int, "3").result() == 3


def test_a_resolved_executor_resolves_to_itself() -> None:
    spec = resolve_executor("serial")
    assert resolve_executor(spec) is spec


def test_forked_processes_are_refused() -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this system")
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool,
        pytest.raises(InputError, match="forked processes"),
    ):
        resolve_executor(pool)


def test_spawned_processes_are_accepted() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert resolve_executor(pool).start() is pool


def test_loky_keeps_its_pool_until_it_is_broken_or_aborted() -> None:
    spec = Loky(1)
    pool = spec.start()
    assert spec.start() is pool
    assert spec.start(broken=pool) is not pool
    # An abort that waited for its tasks would meet the time limit of this test.
    spec.start().submit(time.sleep, 3600)
    spec.abort()
    spec.abort()


def test_serial_runs_while_submitting_and_lets_interrupts_through() -> None:
    executor = Serial().start()
    assert executor.submit(int, "3").result() == 3
    assert isinstance(executor.submit(int, "x").exception(), ValueError)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.submit(interrupt)
