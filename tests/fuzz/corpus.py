"""Valid files of every format, from which damaged ones are made; written once into a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fuzz.makers import MAKERS
from verisimile.data.formats.registry import FORMATS

_INDEX = "corpus.json"

Asked = Mapping[str, Any]
"""Keywords of `read_events`."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A valid file: its name, bytes and part, how it may be read, and what checksums guard.

    Attributes
    ----------
    name
        Of the file, in the folder of the corpus.
    suffix
        Its format.
    part
        Tree or group; None without.
    asked
        Keywords of several ways to read it.
    covered
        Ranges of bytes ``[first, last)`` whose change a checksum of the format shows.
    content
        Its bytes.
    """

    name: str
    suffix: str
    part: str | None
    asked: tuple[Asked, ...]
    covered: tuple[tuple[int, int], ...]
    content: bytes


def write_corpus(folder: Path) -> None:
    """Write the valid files of all registered formats, unless they are there."""
    if (folder / _INDEX).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for suffix in FORMATS:
        for made in MAKERS[suffix]:
            path = folder / f"{suffix[1:].replace('.', '-')}-{made.name}{suffix}"
            made.write(path)
            sample = Sample(path.name, suffix, made.part, made.asked, made.covered(path), b"")
            found.append({key: value for key, value in asdict(sample).items() if key != "content"})
    # Last, so that a folder with this file is complete.
    (folder / _INDEX).write_text(json.dumps(found, indent=1), encoding="utf-8")


def read_corpus(folder: Path) -> dict[str, list[Sample]]:
    """Return the samples by suffix."""
    found: dict[str, list[Sample]] = {}
    for item in json.loads((folder / _INDEX).read_text(encoding="utf-8")):
        sample = Sample(
            item["name"],
            item["suffix"],
            item["part"],
            tuple(item["asked"]),
            _ranges(item["covered"]),
            (folder / item["name"]).read_bytes(),
        )
        found.setdefault(sample.suffix, []).append(sample)
    return found


def _ranges(pairs: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((int(first), int(last)) for first, last in pairs)
