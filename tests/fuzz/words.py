"""Odd names of files, parts and columns: what people type, and what they paste."""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzz.corpus import Asked, Sample
from fuzz.odd import NAMES, pick, pick_some
from verisimile.data.feature import Feature

_ODD: tuple[Any, ...] = (
    None, 1, 1.5, b"mass", True, (), [], {}, ["mass"], ("mass", None), [1], [["mass"]], "mass",
    float("nan"), {"mass": 1}, {"mass"}, object, np.array(["mass", "pt"]), np.array([1.0]),
    np.str_("w"),
)  # fmt: skip
_SPECS: tuple[Any, ...] = (
    {"mass": Feature("mass", low=0.0)},
    {"mass": Feature("mass", low=200.0)},
    {"mass": Feature("pt")},
    {"absent": Feature("absent")},
    {"mass": "GeV"},
    {"mass": None},
    {1: Feature("mass")},
    [Feature("mass")],
    5,
)
_MARKS = (":", "::", "/", ".", "*", "?", "[", "]", "\0", " ", "=", "#", "~", "\n", "%", "é", "{}")


def odd_word(word: str, rng: np.random.Generator) -> str:
    """Return a word with one or two slips: a letter lost, doubled, in capitals, a mark."""
    for _ in range(int(rng.integers(1, 3))):
        j = int(rng.integers(len(word) + 1))
        change = int(rng.integers(6))
        if change == 0:
            word = word[:j] + word[j + 1 :]
        elif change == 1:
            word = word[:j] + pick(rng, _MARKS) + word[j:]
        elif change == 2:
            word = word[:j] + word[j:].swapcase()
        elif change == 3:
            word = word[:j] + word
        elif change == 4:
            word = word[:j]
        else:
            word = pick(rng, NAMES)
    return word


def odd_name(sample: Sample, rng: np.random.Generator) -> tuple[str, str | None]:
    """Return what is typed for a file's name and its part; the file is there with its own name."""
    name, part = sample.name, sample.part
    if rng.random() < 0.4:
        # Inside one folder: a pattern must not search the whole disk.
        name = odd_word(name, rng).replace("/", "").replace("..", ".")
    if rng.random() < 0.7:
        part = pick(rng, NAMES) if rng.random() < 0.3 else odd_word(part or "", rng)
    return name, part


def odd_request(asked: Asked, rng: np.random.Generator) -> dict[str, Any]:
    """Return keywords of `read_events` with odd words, now and then with values of odd types."""
    made: dict[str, Any] = dict(asked)
    if rng.random() < 0.15:
        made["specs"] = pick(rng, _SPECS)
    for key in pick_some(rng, ("features", "weights", "group", "ignore", "missing")):
        if rng.random() < 0.15:
            made[key] = pick(rng, _ODD)
        elif key in ("features", "ignore"):
            names = [*made.get(key, ()), pick(rng, NAMES)]
            made[key] = [odd_word(n, rng) if rng.random() < 0.3 else n for n in names]
        else:
            made[key] = odd_word(made.get(key) or pick(rng, NAMES), rng)
    return made
