"""Fingerprints of samples: which values they hold, in whatever format they are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array
from verisimile.core.canonical import canonical
from verisimile.core.errors import require
from verisimile.data.events import Events
from verisimile.data.row_hashes import RowHashes, row_hashes

_BLOCKS = 64  # of rows: a changed one is placed to 1.6 % of the sample
_SHORT = 16  # letters of a block's digest, which only says where to look
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies the values of a sample.

    A digest is the sha256 of values as little-endian doubles in the order of the rows, with one
    zero for 0.0 and −0.0; that of groups is of their codes 0 … G−1, by first appearance, as
    64-bit integers.  The sample's is the sha256 of the canonical JSON of ``columns``,
    ``groups``, ``n`` and ``weights``.  So the order of rows counts, since whoever takes a
    part of a sorted sample takes others; that of columns does not, they are known by name.

    Attributes
    ----------
    n
        Events.
    columns
        Digest of each column by its name.
    weights, groups
        Digests, None of a sample without.
    digest
        Of all of these.
    rows
        The same for the rows in any order: sha256 of their sorted hashes.  It tells a sample in
        another order from another sample, and decides nothing.
    blocks
        Digests of up to 64 blocks of rows of equal length, shortened: where a change is.
    """

    n: int
    columns: Mapping[str, str]
    weights: str | None
    groups: str | None
    digest: str
    rows: str
    blocks: tuple[str, ...]

    def __post_init__(self) -> None:
        require(
            self.digest == _joined(self.n, self.columns, self.weights, self.groups),
            "Fingerprint.digest",
            got=self.digest,
            expected="that of the columns, weights and groups beside it",
        )


def fingerprint(events: Events) -> Fingerprint:
    """Return the fingerprint of events."""
    columns = {name: _digest(events.column(name)) for name in events.names}
    weights = None if events.weights is None else _digest(events.weights)
    groups = None if events.group is None else _sha256(events.group.astype("<i8"))
    hashes = _hashes(events)
    return Fingerprint(
        n=events.n,
        columns=columns,
        weights=weights,
        groups=groups,
        digest=_joined(events.n, columns, weights, groups),
        rows=_sha256(np.sort(hashes).astype("<u8")),
        blocks=tuple(
            _sha256(hashes[low:high].astype("<u8"))[:_SHORT] for low, high in _edges(events.n)
        ),
    )


def differences(then: Fingerprint, now: Fingerprint) -> Iterator[str]:
    """Yield in words what differs between two fingerprints; nothing if their digests agree."""
    if then.digest == now.digest:
        return
    for names, what in (
        (then.columns.keys() - now.columns.keys(), "missing"),
        (now.columns.keys() - then.columns.keys(), "new"),
    ):
        if names:
            yield f"{_columns(sorted(names))}: {what}"
    if then.n != now.n:
        yield f"{now.n} events instead of {then.n}"
        return
    yield from _changed(then, now)
    for name in ("weights", "groups"):
        before, after = getattr(then, name), getattr(now, name)
        if before != after:
            word = "missing" if after is None else "new" if before is None else "others"
            yield f"{name}: {word}"


def _changed(then: Fingerprint, now: Fingerprint) -> Iterator[str]:
    common = sorted(then.columns.keys() & now.columns.keys())
    changed = [name for name in common if then.columns[name] != now.columns[name]]
    if not changed:
        return
    if then.rows == now.rows:
        yield "the same rows in another order"
        return
    where = ""
    if then.columns.keys() == now.columns.keys():  # hashes of rows are of all columns together
        places = [
            edges
            for edges, old, new in zip(_edges(then.n), then.blocks, now.blocks, strict=True)
            if old != new
        ]
        where = f", in rows {places[0][0] + 1} to {places[-1][1]} of {then.n}" if places else ""
    yield f"{_columns(changed)}: other values{where}"


def _columns(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else ""
    return f"column{'' if len(names) == 1 else 's'} {', '.join(names[:_SHOWN])}{more}"


def _edges(n: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, n, min(_BLOCKS, n) + 1).astype(int).tolist()
    return list(zip(edges[:-1], edges[1:], strict=True))


def _hashes(events: Events) -> RowHashes:
    values = [events.column(name) for name in sorted(events.names)]
    values += [] if events.weights is None else [events.weights]
    return row_hashes(np.column_stack(values))


def _digest(values: Array) -> str:
    return _sha256((values + 0.0).astype("<f8"))  # -0.0 and 0.0 are the same value


def _sha256(values: npt.NDArray[np.generic]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def _joined(n: int, columns: Mapping[str, str], weights: str | None, groups: str | None) -> str:
    parts = {"n": n, "columns": columns, "weights": weights, "groups": groups}
    return hashlib.sha256(canonical(parts).encode()).hexdigest()
