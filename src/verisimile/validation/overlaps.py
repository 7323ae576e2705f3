"""Rows that samples share: memorised events, and tests on what was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verisimile.core.result import register
from verisimile.data.events import Events

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


@register("overlap", 1)
@dataclass(frozen=True, slots=True)
class Overlap:
    """Events of one sample that occur in another, bit for bit.

    Attributes
    ----------
    first, second
        Roles of the samples.
    shared
        Events of the second that occur in the first.
    size
        Events of the second.
    """

    first: str
    second: str
    shared: int
    size: int

    @property
    def fraction(self) -> float:
        """Share of the second sample."""
        return self.shared / self.size

    @property
    def warning(self) -> str:
        """What it means, in a sentence."""
        meaning = _MEANING[(self.first, self.second)]
        return (
            f"{self.shared} of {self.size} events ({100.0 * self.fraction:.3g} %) of the "
            f"{self.second} sample occur in the {self.first} sample: {meaning}"
        )


def overlaps(samples: Mapping[str, Events]) -> tuple[Overlap, ...]:
    """Return what each pair of samples shares, where it shares anything.

    Raises
    ------
    InputError
        If their columns differ.
    """
    found = []
    for first, second in _PAIRS:
        if first in samples and second in samples:
            shared = samples[first].overlap(samples[second])
            if shared:
                found.append(Overlap(first, second, shared, samples[second].n))
    return tuple(found)
