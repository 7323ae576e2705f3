"""The outcome of a run as a table, a line for each kind of input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fuzz.outcomes import FAULTS
from fuzz.runner import Chunk

_CLASSES = ("same", "changed", "told", *FAULTS)


def table(chunks: Sequence[Chunk]) -> str:
    """Return a table in Markdown: counts of each class, peak of memory, the slowest input."""
    head = ("kind", "inputs", *_CLASSES, "peak [MiB]", "slowest [s]")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    kinds = dict.fromkeys(chunk.kind for chunk in chunks)
    for kind in (*kinds, "all"):
        mine = [chunk for chunk in chunks if kind in ("all", chunk.kind)]
        counts = counted(mine)
        cells = [kind, sum(counts.values()), *(counts[name] for name in _CLASSES)]
        cells += [
            round(max(chunk.peak for chunk in mine) / 2**20),
            round(max(chunk.slowest for chunk in mine), 2),
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, ""])


def counted(chunks: Sequence[Chunk]) -> Counter[str]:
    """Return how many inputs ended in each class."""
    return sum((Counter(chunk.counts) for chunk in chunks), Counter())


def fault_lines(chunks: Sequence[Chunk]) -> list[str]:
    """Return each fault in a line, the most frequent text first."""
    texts = Counter(
        f"{chunk.kind} {fault['kind']}: {fault['about'][:160]}"
        for chunk in chunks
        for fault in chunk.faults
    )
    return [f"{count} × {text}" for text, count in texts.most_common()]
