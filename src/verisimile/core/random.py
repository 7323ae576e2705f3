"""Stateless random streams keyed by a path of words and numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from verisimile.core.errors import InputError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Seeds:
    """A tree of independent random streams.

    The stream at a path depends on the entropy and the path alone,

    ``SeedSequence(entropy, spawn_key=sha256(path))``,

    so member 17 draws the same numbers whatever ran before it, for any number
    of workers, any chunking and any resume.  (``SeedSequence.spawn`` counts its
    calls and so depends on history.)

    Examples
    --------
    >>> Seeds(2026).at("member", 17).numpy().integers(1000)
    np.int64(832)
    >>> Seeds(2026).at("member").at(17) == Seeds(2026).at("member", 17)
    True
    """

    entropy: int
    path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.entropy, bool) or not isinstance(self.entropy, int) or self.entropy < 0:
            raise InputError(
                "Seeds.entropy",
                got=repr(self.entropy),
                expected="a non-negative integer",
                remedy="Choose one and write it down: vs.Seeds(2026).",
            )

    def at(self, *words: str | int) -> Seeds:
        """Return the subtree at the given path below this one."""
        return Seeds(self.entropy, (*self.path, *(_tag(word) for word in words)))

    def numpy(self) -> np.random.Generator:
        """Return a fresh NumPy generator of this path's stream."""
        return np.random.default_rng(self._sequence())

    def torch(self, device: str = "cpu") -> torch.Generator:
        """Return a fresh torch generator of this path's stream on `device`."""
        import torch  # noqa: PLC0415  (core must not import torch at import time)

        generator = torch.Generator(device=device)
        generator.manual_seed(self.integer())
        return generator

    def integer(self) -> int:
        """Return this path's seed as an integer in [0, 2**63)."""
        return int(self._sequence().generate_state(1, np.uint64)[0] >> np.uint64(1))

    def __str__(self) -> str:
        """Return the readable address of the stream, as recorded in results."""
        return f"{self.entropy}:" + "/".join(self.path)

    def _sequence(self) -> np.random.SeedSequence:
        key = hashlib.sha256("\x1f".join(self.path).encode()).digest()
        words = np.frombuffer(key, dtype=np.uint32).tolist()
        return np.random.SeedSequence(self.entropy, spawn_key=tuple(words))


def _tag(word: str | int) -> str:
    # The type enters the path: at("1"), at(1) and at("#1") are different streams.
    if isinstance(word, int | np.integer):
        return f"#{int(word)}"
    return f"\\{word}" if word.startswith(("#", "\\")) else word
