"""The guard of conftest.py notices each kind of change, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from global_state import differences, snapshot


def _draw_from_numpy() -> Callable[[], None]:
    state = np.random.get_state()  # noqa: NPY002
    np.random.random()  # noqa: NPY002
    return lambda: np.random.set_state(state)  # noqa: NPY002


def _draw_from_torch() -> Callable[[], None]:
    state = torch.get_rng_state()
    torch.rand(1)
    return lambda: torch.set_rng_state(state)


def _change_dtype() -> Callable[[], None]:
    old = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64 if old is torch.float32 else torch.float32)
    return lambda: torch.set_default_dtype(old)


def _change_threads() -> Callable[[], None]:
    old = torch.get_num_threads()
    torch.set_num_threads(old + 1)
    return lambda: torch.set_num_threads(old)


def _add_filter() -> Callable[[], None]:
    old = warnings.filters[:]
    warnings.simplefilter("ignore", ResourceWarning)

    def undo() -> None:
        warnings.filters[:] = old  # type: ignore[index]

    return undo


@pytest.mark.parametrize(
    ("change", "name"),
    [
        pytest.param(_draw_from_numpy, "numpy global random state", id="numpy"),
        pytest.param(_draw_from_torch, "torch global random state", id="torch"),
        pytest.param(_change_dtype, "torch default dtype", id="dtype"),
        pytest.param(_change_threads, "torch thread count", id="threads"),
        pytest.param(_add_filter, "warning filters", id="filters"),
    ],
)
def test_each_change_is_noticed(change: Callable[[], Callable[[], None]], name: str) -> None:
    before = snapshot()
    undo = change()
    try:
        found = differences(before, snapshot())
    finally:
        undo()
    assert len(found) == 1
    assert found[0].startswith(name)
    assert differences(before, snapshot()) == []


def test_private_generators_are_free(rng: np.random.Generator) -> None:
    before = snapshot()
    rng.random(3)
    torch.rand(3, generator=torch.Generator().manual_seed(1))
    assert differences(before, snapshot()) == []


_LEAKY = """
import numpy as np

def test_leaks():
    np.random.random()

def test_clean(rng):
    assert 0 <= rng.random() < 1
"""


def test_guard_fails_a_leaking_test(tmp_path: Path) -> None:
    here = Path(__file__).parent
    (tmp_path / "conftest.py").write_text((here / "conftest.py").read_text())
    (tmp_path / "test_leaky.py").write_text(_LEAKY)
    config = tmp_path / "pytest.toml"
    config.write_text(f"[pytest]\npythonpath = ['{here.as_posix()}']\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(config)]
    run = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "left global state changed: numpy global random state" in run.stdout
    assert "2 passed, 1 error" in run.stdout
