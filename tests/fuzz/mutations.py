"""Damage that any file may have: flipped bits, lost blocks, wrong sizes, halves of two files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]
Order = Literal["little", "big"]

INTERESTING = (
    0, 1, 2, 7, 59, 61, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1,
    2**32, 2**40, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip
"""Sizes and offsets at the limits of their types."""

_EDGE = 300  # bytes at both ends, where headers and footers lie
_LONGEST = 64
_BLOCK = 2000


def place(length: int, rng: np.random.Generator) -> int:
    """Return a position in a file, one in three near its start, one in three near its end."""
    where = rng.integers(3)
    edge = min(_EDGE, length)
    if where == 0:
        return int(rng.integers(edge + 1))
    return int(rng.integers(length - edge, length + 1) if where == 1 else rng.integers(length + 1))


def _span(length: int, rng: np.random.Generator, longest: int) -> tuple[int, int]:
    start = place(length, rng)
    return start, min(length, start + int(rng.integers(1, longest + 1)))


def flip_bits(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip one bit or some."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        changed[min(place(len(changed), rng), len(changed) - 1)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def overwrite(content: bytes, rng: np.random.Generator) -> bytes:
    """Write random bytes over others."""
    start, stop = _span(len(content), rng, _LONGEST)
    return content[:start] + rng.bytes(stop - start) + content[stop:]


def zeros(content: bytes, rng: np.random.Generator) -> bytes:
    """Lose a block, as a disk or a download that stopped does: zeros, or bytes of ones."""
    start, stop = _span(len(content), rng, _BLOCK)
    return (
        content[:start]
        + (b"\0" if rng.random() < 0.8 else b"\xff") * (stop - start)
        + content[stop:]
    )


def truncate(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut the end off, or the start."""
    cut = place(len(content), rng)
    return content[cut:] if rng.random() < 0.15 else content[:cut]


def insert(content: bytes, rng: np.random.Generator) -> bytes:
    """Put random bytes between others."""
    where = place(len(content), rng)
    return content[:where] + rng.bytes(int(rng.integers(1, _LONGEST + 1))) + content[where:]


def delete(content: bytes, rng: np.random.Generator) -> bytes:
    """Take bytes out."""
    start, stop = _span(len(content), rng, _LONGEST)
    return content[:start] + content[stop:]


def duplicate(content: bytes, rng: np.random.Generator) -> bytes:
    """Repeat a block, there or elsewhere."""
    start, stop = _span(len(content), rng, _BLOCK)
    where = stop if rng.random() < 0.5 else place(len(content), rng)
    return content[:where] + content[start:stop] + content[where:]


def integers(content: bytes, rng: np.random.Generator) -> bytes:
    """Write a size at the limits of its type anywhere."""
    width = int(rng.choice([1, 2, 4, 8]))
    start = place(max(len(content) - width, 0), rng)
    return content[:start] + _number(rng, width) + content[start + width :]


def sizes(content: bytes, rng: np.random.Generator, known: Sequence[int] = (60, 400)) -> bytes:
    """Write another size where a number of rows, or of bytes, seems to be stored."""
    order: Order = "little" if rng.random() < 0.5 else "big"
    width = int(rng.choice([4, 8]))
    value = int(rng.choice([*known, len(content)]))
    wanted = value.to_bytes(width, order)
    found: list[int] = []
    start = content.find(wanted)
    while start >= 0 and len(found) < 100:
        found.append(start)
        start = content.find(wanted, start + 1)
    if not found:
        return integers(content, rng)
    start = int(rng.choice(found))
    number = _number(rng, width, order)
    return content[:start] + number + content[start + width :]


def _number(rng: np.random.Generator, width: int, order: Order | None = None) -> bytes:
    value = INTERESTING[int(rng.integers(len(INTERESTING)))] % (1 << 8 * width)
    big = rng.random() < 0.5 if order is None else order == "big"
    return value.to_bytes(width, "big" if big else "little")


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, flip_bits, overwrite, zeros, truncate, insert, delete, duplicate, integers, sizes,
)  # fmt: skip
"""Damage of any file; a bit is the most frequent one."""


def splice(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Put a block of another file over one of this, or join the ends of both."""
    if rng.random() < 0.3:
        return content[: place(len(content), rng)] + other[place(len(other), rng) :]
    start, stop = _span(len(content), rng, _BLOCK)
    return content[:start] + other[start:stop] + content[stop:]


def damaged(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with one to three kinds of damage."""
    for _ in range(1 + int(rng.geometric(0.6) > 1) + int(rng.random() < 0.1)):
        if not content:
            break
        if rng.random() < 0.08:
            content = splice(content, other, rng)
        else:
            content = MUTATIONS[int(rng.integers(len(MUTATIONS)))](content, rng)
    return content


def guarded(content: bytes, ranges: Sequence[tuple[int, int]], rng: np.random.Generator) -> bytes:
    """Return a file with some bytes changed that a checksum guards."""
    first, last = ranges[int(rng.integers(len(ranges)))]
    start = int(rng.integers(first, last))
    stop = min(last, start + int(rng.choice([1, 1, 8, _BLOCK])))
    held = np.frombuffer(content[start:stop], np.uint8)
    changes = rng.integers(1, 256, len(held)) if rng.random() < 0.7 else 1 << rng.integers(8)
    return content[:start] + (held ^ changes).astype(np.uint8).tobytes() + content[stop:]


def is_covered(content: bytes, changed: bytes, ranges: Sequence[tuple[int, int]]) -> bool:
    """Return whether all bytes that differ lie where a checksum guards them."""
    if len(content) != len(changed) or not ranges:
        return False
    places = np.flatnonzero(np.frombuffer(content, np.uint8) != np.frombuffer(changed, np.uint8))
    inside = np.zeros(len(places), np.bool_)
    for first, last in ranges:
        inside |= (places >= first) & (places < last)
    return bool(inside.all())


def same_sums(content: bytes, changed: bytes, ranges: Sequence[tuple[int, int]]) -> bool:
    """Return whether a sum of four-byte words, as FITS has it, is the same in all ranges.

    Changes that cancel each other are not seen by a sum.
    """
    return all(
        (_sum(content[first:last]) - _sum(changed[first:last])) % 0xFFFFFFFF == 0
        for first, last in ranges
    )


def _sum(content: bytes) -> int:
    return int(np.frombuffer(content, ">u4").sum(dtype=np.uint64))
