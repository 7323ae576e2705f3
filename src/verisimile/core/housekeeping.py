"""What a run folder holds and whether it is whole; and what of it can go."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from verisimile.core import checkpoint, parcels
from verisimile.core.durable import abandoned, files_below, is_temporary, read_bytes, remove
from verisimile.core.errors import StoreError
from verisimile.core.lease import Holder, exclusive, read_leases, refuse_held
from verisimile.core.records import Record, examine, unsealed
from verisimile.core.segments import Location
from verisimile.core.store import DirectoryStore

_BLOB = re.compile(r"[0-9a-f]{64}")
_OURS = {"seal", "fingerprint"}

Worth = Literal["valid", "stale", "later", "corrupt"]


@dataclass(frozen=True, slots=True)
class Damaged:
    """A record that is not as it was written."""

    address: str
    place: str
    reason: str


@dataclass(slots=True)
class StageFiles:
    """What there is below one folder of addresses."""

    records: int = 0
    bytes: int = 0
    versions: dict[str, set[str]] = field(default_factory=dict)

    def add(self, size: int, record: Record | None) -> None:
        """Count a record in."""
        self.records += 1
        self.bytes += size
        for package, number in ({} if record is None else record.versions).items():
            self.versions.setdefault(package, set()).add(number)


@dataclass(slots=True)
class Survey:
    """All that can be said of a run folder without knowing what its tasks are.

    Attributes
    ----------
    stages
        Valid records, by the first word of their addresses.
    valid
        Fingerprints of the valid records, by address.
    damaged
        Records that are not as they were written.
    later
        Addresses of records that a later version of the package wrote.
    gaps
        Damaged places in segments whose addresses cannot be read, by segment.
    cut
        Bytes of an entry that a killed process did not finish, by segment.
    live, stale
        Leases of processes that are there, and of those that have ended.
    temporary
        Unfinished files that nobody will finish.
    shared
        Inputs that tasks had in common.
    foreign
        Pairs of files that are no records, and that nothing here touches.
    """

    stages: dict[str, StageFiles] = field(default_factory=dict)
    valid: dict[str, set[str]] = field(default_factory=dict)
    damaged: list[Damaged] = field(default_factory=list)
    later: list[str] = field(default_factory=list)
    gaps: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    live: list[Holder] = field(default_factory=list)
    stale: list[tuple[Path, Holder]] = field(default_factory=list)
    temporary: list[Path] = field(default_factory=list)
    shared: list[Path] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    _files: list[str] = field(default_factory=list)
    _kept: dict[tuple[str, str], Location] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is no trace of a run."""
        return not (self.stages or self.damaged or self.gaps or self.live or self.stale)

    @property
    def whole(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged and not self.gaps

    @property
    def unfinished(self) -> list[str]:
        """Addresses of checkpoints of work that is not finished."""
        return sorted(name for name in self.valid if name.startswith(f"{checkpoint.FOLDER}/"))

    def _record(self, address: str, size: int, record: Record | None) -> None:
        stage = self.stages.setdefault(address.partition("/")[0], StageFiles())
        stage.add(size, record)
        if record is not None:
            self.valid.setdefault(address, set()).add(record.fingerprint)


def survey(store: DirectoryStore) -> Survey:
    """Read every record of a folder, one at a time, and return what there is; nothing is written.

    Raises
    ------
    StoreError
        If something cannot be read.
    """
    found = Survey()
    _look_at_files(store, found)
    _look_at_segments(store, found)
    for path, holder in read_leases(store.path, now=time.time()):
        if holder.live:
            found.live.append(holder)
        else:
            found.stale.append((path, holder))
    paths = (path for path in files_below(store.path) if is_temporary(path))
    found.temporary = sorted(path for path in paths if abandoned(path))
    below = files_below(store.path / parcels.FOLDER)
    found.shared = sorted(path for path in below if _BLOB.match(path.name))
    return found


def _look_at_files(store: DirectoryStore, found: Survey) -> None:
    for address in store.pairs():
        path = store.path / address
        text, data = (read_bytes(path.with_name(f"{path.name}.{end}")) for end in _ENDINGS)
        if text is None or data is None:
            continue  # removed meanwhile
        worth, record = _judge(address, text, data)
        if worth == "corrupt" and not _is_ours(address, text):
            found.foreign.append(address)
        elif worth == "corrupt":
            reason = _reason(address, text)
            found.damaged.append(Damaged(address, f"{address}.json, .safetensors", reason))
            found._files.append(address)
        else:
            found._record(address, len(text) + len(data), record)
            found.later += [address] if worth == "later" else []


_ENDINGS = ("json", "safetensors")


def _look_at_segments(store: DirectoryStore, found: Survey) -> None:
    segments = store.segments
    damaged: list[tuple[Location, Damaged]] = []
    for place in segments.places():
        entry = segments.read(place)
        if entry is None:
            continue
        worth, record = _judge(place.address, *entry)
        key = place.address, place.fingerprint
        if worth == "corrupt":
            where = f"segments/{place.segment}, byte {place.start}"
            reason = _reason(place.address, entry[0])
            damaged.append((place, Damaged(place.address, where, reason)))
        elif place.fingerprint not in found.valid.get(place.address, ()) and key not in found._kept:
            found._kept[key] = place
            found._record(place.address, place.bytes, record)
            found.later += [place.address] if worth == "later" else []
    # What was made again is superseded and no loss.
    found.damaged += [
        each
        for place, each in damaged
        if place.fingerprint not in found.valid.get(place.address, ())
    ]
    found.gaps, found.cut = segments.damaged, segments.cut


def _judge(address: str, text: bytes, data: bytes) -> tuple[Worth, Record | None]:
    try:
        state, record = examine(address, None, text, lambda: data)
    except StoreError:
        return "later", None
    return "valid" if state == "valid" else "stale" if state == "stale" else "corrupt", record


def _is_ours(address: str, text: bytes) -> bool:
    """Return whether a text that counts for nothing is damaged: others' is none of our business.

    A whole record of another address is another folder's, which may lie below this one.
    """
    body = unsealed(text)
    if body is not None:
        return body.get("address") == address
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return True  # no JSON any more
    return isinstance(body, dict) and bool(_OURS & body.keys())


def _reason(address: str, text: bytes) -> str:
    state, _ = examine(address, "", text, lambda: None)  # of no configuration: stale if whole
    return "its arrays are damaged" if state == "stale" else "its text is damaged"


@dataclass(frozen=True, slots=True)
class Removal:
    """What of one kind is removed, or would be.

    Attributes
    ----------
    kind
        In words.
    names
        Files relative to the folder, or addresses.
    bytes
        That become free.
    act
        What removes it.
    """

    kind: str
    names: tuple[str, ...]
    bytes: int
    act: Callable[[], object]


def clean(
    store: DirectoryStore, *, unfinished: bool = False, dry_run: bool = False
) -> tuple[Removal, ...]:
    """Remove what no later work can use, and return it; in a dry run nothing is written.

    Valid records stay.  Checkpoints of unfinished work stay too, unless `unfinished`.

    Raises
    ------
    StoreError
        If another process holds a lease of the folder, or something cannot be removed.
    """
    if dry_run:
        refuse_held(read_leases(store.path, now=time.time()))
    with nullcontext() if dry_run else exclusive(store.path):
        found = survey(store)
        removals = [removal for removal in _removals(store, found, unfinished) if removal.names]
        if not dry_run:
            for removal in removals:
                removal.act()
    return tuple(removals)


def _removals(store: DirectoryStore, found: Survey, unfinished: bool) -> Iterator[Removal]:  # noqa: FBT001
    home = store.path
    yield _files("temporary files of writers that have ended", home, found.temporary)
    yield _files("leases of processes that have ended", home, [path for path, _ in found.stale])
    yield _files("inputs that tasks shared", home, found.shared)
    damaged = [home / f"{address}.{end}" for address in found._files for end in _ENDINGS]
    yield _files("damaged records", home, damaged)
    yield _superseded(store, found)
    yield _checkpoints(store, found, everything=unfinished)


def _files(kind: str, home: Path, paths: Iterable[Path]) -> Removal:
    there = [path for path in paths if path.exists()]
    names = tuple(path.relative_to(home).as_posix() for path in there)
    size = sum(path.stat().st_size for path in there)
    return Removal(kind, names, size, lambda: [remove(path) for path in there])


def _checkpoints(store: DirectoryStore, found: Survey, *, everything: bool) -> Removal:
    """Return the checkpoints of finished work, or of all."""
    finished = {address.replace("/", "-") for address in found.valid}
    names = tuple(
        name
        for name in found.unfinished
        if everything or name.removeprefix(f"{checkpoint.FOLDER}/") in finished
    )
    paths = [store.path / f"{name}.{end}" for name in names for end in _ENDINGS]
    size = sum(path.stat().st_size for path in paths if path.exists())
    kind = "checkpoints" if everything else "checkpoints of finished work"

    def act() -> None:
        for name in names:
            store.discard(name)

    return Removal(kind, names, size, act)


def _superseded(store: DirectoryStore, found: Survey) -> Removal:
    """Return the segments, if one with less in it would do."""
    paths = store.segments.paths()
    size = sum(path.stat().st_size for path in paths)
    kept = sum(place.bytes for place in found._kept.values())
    if len(paths) < 2 and size == kept:
        return Removal("", (), 0, list)
    names = tuple(path.relative_to(store.path).as_posix() for path in paths)
    places = list(found._kept.values())
    kind = "segments, whose valid entries go into one"
    return Removal(kind, names, size - kept, lambda: store.segments.merge(places))
