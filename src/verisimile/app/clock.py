"""Wall-clock times of stages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from verisimile.report.content import Stage, Timings

__all__ = ["Clock"]


class Clock:
    """Notes how long each stage took; a stage that comes again is added up."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block under the given name."""
        start = time.perf_counter()
        try:
            yield
        finally:
            passed = time.perf_counter() - start
            self._seconds[name] = self._seconds.get(name, 0.0) + passed

    @property
    def timings(self) -> Timings:
        """The times so far, in the order in which the stages first ran."""
        return Timings(tuple(Stage(name, seconds) for name, seconds in self._seconds.items()))
