"""What is tried: input number k of a kind, made from the seed alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fuzz.corpus import Sample
from fuzz.mutations import damaged, guarded, is_covered, same_sums
from fuzz.odd import pick
from fuzz.structured import EDITS
from fuzz.twins import TWIN_VALUES
from fuzz.values import Exact, odd_value
from fuzz.words import odd_name, odd_request
from verisimile.core.random import Seeds

Call = Literal["read_events", "read_generated", "column_names", "Events"]

Typed = str | list[str]

WORDS, VALUES, TWINS = "words", "values", "twins"
"""Kinds of input that are no format; twins have a fault each, and show that it would be seen."""


@dataclass(frozen=True, slots=True)
class Case:
    """One input: what is called with it, and what is known about the answer.

    Attributes
    ----------
    call
        The function that reads.
    value
        What it is given; None where a file is written first.
    asked
        Its keywords.
    name, content, typed
        The file to be written, and what is typed for it.
    intact
        Whether the bytes are those of a valid file.
    covered
        Whether a checksum of the format guards all bytes that were changed.
    sample
        The valid file that it was made from.
    exact
        Columns whose numbers are known.
    """

    call: Call
    asked: Mapping[str, Any]
    value: Any = None
    name: str = ""
    content: bytes = b""
    typed: Typed = ""
    intact: bool = False
    covered: bool = False
    sample: Sample | None = None
    exact: Exact | None = None


def kinds_of(corpus: Mapping[str, Sequence[Sample]]) -> list[str]:
    """Return all kinds of input: the formats, words and values."""
    return [*corpus, WORDS, VALUES]


def case_of(
    kind: str, number: int, seed: int, corpus: Mapping[str, Sequence[Sample]], folder: Path
) -> Case:
    """Return input `number` of a kind, whose file will lie in `folder`."""
    rng = Seeds(seed).at("fuzz", kind, number).numpy()
    if kind == VALUES:
        value, asked, exact = odd_value(rng)
        return Case("Events", asked, value, exact=exact)
    if kind == TWINS:
        return Case("Events", {}, TWIN_VALUES[number % len(TWIN_VALUES)])
    if kind == WORDS:
        return _word_case(rng, corpus, folder)
    return _file_case(rng, corpus[kind], folder)


def _word_case(
    rng: np.random.Generator, corpus: Mapping[str, Sequence[Sample]], folder: Path
) -> Case:
    sample = pick(rng, [each for samples in corpus.values() for each in samples])
    asked = pick(rng, sample.asked)
    name, part = odd_name(sample, rng)
    if rng.random() < 0.6:
        asked = odd_request(asked, rng)
    typed: Typed = str(folder / name) + ("" if part is None else f":{part}")
    if rng.random() < 0.15:
        intact = str(folder / sample.name) + (f":{sample.part}" if sample.part else "")
        mark = pick(rng, ("*", "?*", "[a-z]*", "**", "[", "[!]", "*[]"))
        pattern = f"{folder}/{mark}{sample.suffix}" + (f":{sample.part}" if sample.part else "")
        several: tuple[Typed, ...] = (
            [intact, intact],
            [intact, str(typed)],
            [pattern, intact],
            [str(typed)],
            pattern,
        )
        typed = pick(rng, several)
    return Case("read_events", asked, None, sample.name, sample.content, typed, True, sample=sample)


def _file_case(rng: np.random.Generator, samples: Sequence[Sample], folder: Path) -> Case:
    sample = pick(rng, samples)
    if sample.covered and rng.random() < 0.4:
        content = guarded(sample.content, sample.covered, rng)
    elif rng.random() < 0.4:
        content = EDITS[sample.suffix](sample.content, rng)
        if rng.random() < 0.1:
            content = damaged(content, sample.content, rng)
    else:
        content = damaged(sample.content, pick(rng, samples).content, rng)
    asked = pick(rng, sample.asked)
    call: Call = pick(rng, ("read_events",) * 8 + ("read_generated", "column_names"))
    if call == "read_generated":
        asked = {"features": asked.get("features", ["mass", "pt"])}
    elif call == "column_names":
        asked = {}
    elif rng.random() < 0.15:
        asked = pick(rng, ({}, {"missing": "drop"}, odd_request(asked, rng)))
    return Case(
        call,
        asked,
        None,
        sample.name,
        content,
        str(folder / sample.name) + (f":{sample.part}" if sample.part else ""),
        content == sample.content,
        _is_covered(sample, content),
        sample,
    )


def _is_covered(sample: Sample, content: bytes) -> bool:
    seen = is_covered(sample.content, content, sample.covered)
    summed = sample.suffix in (".fits", ".fit")
    return seen and not (summed and same_sums(sample.content, content, sample.covered))
