"""Unfinished work of one task, kept so that a killed one goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from verisimile.core.records import Payload, Record
from verisimile.core.store import Store

FOLDER = "unfinished"
"""Where the records are; what is there can go once the work is done."""


@dataclass(slots=True)
class Checkpoint:
    """The record of an unfinished task.

    Parameters
    ----------
    store
        A store that outlives the process.
    name
        Of the task, below `FOLDER`.
    fingerprint
        Stands for all that determines the task.
    seconds
        Shortest time between two writes; 0 writes whatever is offered.
    """

    store: Store
    name: str
    fingerprint: str
    seconds: float
    _written: float | None = None

    def load(self) -> Record | None:
        """Return what was kept, or None."""
        return self.store.load(self._address, self.fingerprint)

    def offer(self, content: Callable[[], Payload]) -> None:
        """Keep the content, unless the work began or was kept a moment ago."""
        now = time.monotonic()
        if self._written is None:
            self._written = now
        if now - self._written >= self.seconds:
            self.store.save(self._address, self.fingerprint, FOLDER, content())
            self._written = now

    @property
    def _address(self) -> str:
        return f"{FOLDER}/{self.name}"
