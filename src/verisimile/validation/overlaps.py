"""Rows that samples share: memorised events, and tests on what was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verisimile.core.result import register
from verisimile.data.events import Events
from verisimile.samples.copies import copies_of

__all__ = ["Overlap", "overlaps"]

_PAIRS = (("train", "generated"), ("train", "reference"), ("reference", "generated"))
_MEANING = {
    ("train", "generated"): "the generator returns events that it was trained on, and its "
    "sample is worth no more events than those",
    ("train", "reference"): "the reference sample is not independent of the training, and a "
    "generator that memorises looks better on it than it is",
    ("reference", "generated"): "samples that share events look more alike than they are, and no "
    "p-value between them is valid",
}


_HOW = {
    "exact": "occur in",
    "float32": "are single-precision copies of events of",
    "columns": "are copies, with columns in another order, of events of",
    "near": "are nearly copies of events of",
}


@register("overlap", 1)
@dataclass(frozen=True, slots=True)
class Overlap:
    """Events of one sample that are copies of another's, more than coincide by chance.

    Attributes
    ----------
    first, second
        Roles of the samples.
    shared
        Events of the second that occur in the first.
    size
        Events of the second.
    kind
        ``"exact"``, ``"float32"`` (rounded), ``"columns"`` (in another order) or ``"near"``
        (moved by little).
    expected
        How many would occur by chance.
    """

    first: str
    second: str
    shared: int
    size: int
    kind: str = "exact"
    expected: float = 0.0

    @property
    def fraction(self) -> float:
        """Share of the second sample."""
        return self.shared / self.size

    @property
    def warning(self) -> str:
        """What it means, in a sentence."""
        meaning = _MEANING[(self.first, self.second)]
        chance = f" ({self.expected:.3g} by chance)" if self.expected >= 1.0 else ""
        return (
            f"{self.shared} of {self.size} events ({100.0 * self.fraction:.3g} %) of the "
            f"{self.second} sample {_HOW[self.kind]} the {self.first} sample{chance}: {meaning}"
        )


def overlaps(samples: Mapping[str, Events]) -> tuple[Overlap, ...]:
    """Return what each pair of samples shares beyond chance, one entry per kind of copy.

    Raises
    ------
    InputError
        If their columns differ.
    """
    return tuple(
        Overlap(first, second, found.count, found.size, found.kind, found.expected)
        for first, second in _PAIRS
        if first in samples and second in samples
        for found in copies_of(samples[first], samples[second])
    )
