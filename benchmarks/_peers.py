"""Calls measured in fresh processes, and the packages that the benchmarks compare with.

Peak memory never falls while a process lives, so that every measurement gets a process
of its own (Linux).  Nothing but the measured call is in the time: imports, compilation
of the peers' kernels and the making of samples come before.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import multiprocessing
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

import numpy as np
from _problem import best_of

_T = TypeVar("_T")


@dataclass(frozen=True)
class Spent(Generic[_T]):
    """What a call gave and took: median seconds of its repeats, and memory in MiB.

    Attributes
    ----------
    value
        What the last call returned.
    cpu, wall
        Seconds; CPU seconds are those of all threads.
    peak
        Largest resident memory of the process, imports and samples included.
    rise
        By how much it exceeds the memory before the call.
    """

    value: _T
    cpu: float
    wall: float
    peak: float
    rise: float

    def line(self, name: str, ratio: str = "") -> str:
        """Return a row of the table that `HEAD` begins."""
        return (
            f"{name:36s}{self.cpu:10.3f}{self.wall:10.3f}{self.peak:10.0f}{self.rise:10.0f}"
            f"{ratio:>10s}"
        )


HEAD = f"{'':36s}{'CPU s':>10s}{'wall s':>10s}{'peak MiB':>10s}{'rise MiB':>10s}{'ratio':>10s}"


def measured(
    call: Callable[..., _T],
    *args: object,
    repeats: int = 1,
    warm: Callable[[], object] | None = None,
) -> Spent[_T]:
    """Return what ``call(*args)`` gives and takes in a fresh process.

    `call` and `warm`, which runs before the clock does, are functions of a module.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_spent, call, args, repeats, warm).result()


def _spent(
    call: Callable[..., _T],
    args: tuple[object, ...],
    repeats: int,
    warm: Callable[[], object] | None,
) -> Spent[_T]:
    if warm is not None:
        warm()
    # Makes the peak so far the present memory.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _memory("VmRSS")
    value, timing = best_of(lambda: call(*args), repeats)
    peak = _memory("VmHWM")
    return Spent(value, timing.cpu, timing.wall, peak, peak - before)


def _memory(field: str) -> float:
    # Not getrusage: its peak is inherited from the parent process.
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def version(module: str, package: str | None = None) -> str | None:
    """Return the version of an installed peer; None if it is not there."""
    return metadata.version(package or module) if importlib.util.find_spec(module) else None


def ratio(peer: float, ours: float) -> str:
    """Return how many times as much the peer takes."""
    return f"{peer / ours:.3g}"


# The peers, each as its documentation says.  Imported where they run: they are no
# dependencies, and their imports take longer than most measurements.


def hyppo_test(name: str, x: np.ndarray, y: np.ndarray, reps: int) -> float:
    """Return the statistic of hyppo's ``Energy`` or ``MMD``, permuted `reps` times."""
    from hyppo import ksample  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that so few permutations are no test
        return float(getattr(ksample, name)().test(x, y, reps=reps, auto=False)[0])


def hyppo_pair(x: np.ndarray, y: np.ndarray, reps: int, *, auto: bool) -> float:
    """Return the p-value of hyppo's ``Energy``: by its approximation if it may, or permuted."""
    from hyppo import ksample  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that so few permutations are no test
        return float(ksample.Energy().test(x, y, reps=reps, auto=auto)[1])


def hyppo_statistic(name: str, x: np.ndarray, y: np.ndarray) -> float:
    """Return hyppo's statistic with pairs of an event with itself included."""
    from hyppo import ksample  # noqa: PLC0415

    return float(getattr(ksample, name)(bias=True).statistic(x, y))


def prdc_of(x: np.ndarray, y: np.ndarray, k: int) -> list[float]:
    """Return prdc's precision, recall, density and coverage."""
    from prdc import compute_prdc  # noqa: PLC0415

    with contextlib.redirect_stdout(io.StringIO()):
        found = compute_prdc(x, y, k)
    return [float(found[name]) for name in ("precision", "recall", "density", "coverage")]


def jetnet_fpd(x: np.ndarray, y: np.ndarray, seed: int = 42) -> float:
    """Return jetnet's Fréchet physics distance at its defaults."""
    return float(jetnet_evaluation().fpd(x, y, seed=seed)[0])


def jetnet_kpd(x: np.ndarray, y: np.ndarray, seed: int = 42) -> float:
    """Return jetnet's kernel physics distance at its defaults."""
    return float(jetnet_evaluation().kpd(x, y, seed=seed)[0])


def jetnet_warm() -> None:
    """Compile what jetnet compiles."""
    x = np.random.default_rng(0).normal(size=(100, 2))
    jetnet_evaluation().kpd(x, x, batch_size=50)


def jetnet_evaluation() -> ModuleType:
    """Return jetnet's module of distances."""
    # It imports energyflow, which imports wasserstein, whose wheels are built for NumPy 1
    # and fail with ours.  Neither distance uses it: an empty module takes its place, and
    # nothing of jetnet is changed.
    sys.modules.setdefault("wasserstein", ModuleType("wasserstein"))
    from jetnet import evaluation  # noqa: PLC0415

    return evaluation
