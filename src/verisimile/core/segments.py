"""Many small records in few files: each writing process appends to a segment of its own.

An entry of a segment is::

    magic 8 | length of text 4 | length of payload 8 | crc32 of lengths and text 4 | text | payload

in little-endian numbers.  The text is the sealed JSON of a record, which has the sha256 of its
payload, so that every byte is under a checksum.  Nothing is ever changed in place: a killed writer
leaves whole entries and at most one that is cut, and a reader that meets damage goes on at the next
magic.  What is discarded is said by one more entry, without payload, that lists what it cancels.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from verisimile.core.canonical import JSON
from verisimile.core.durable import named, patiently, remove, sync_data
from verisimile.core.records import sealed
from verisimile.core.writers import FileWriter

FOLDER = "segments"
"""Where the segments of a run folder are."""

ENDING = ".log"

_MAGIC = b"\x89vsm\r\n\x1a\x01"
_LENGTHS = struct.Struct("<IQ")
_CRC = struct.Struct("<I")
_HEAD = len(_MAGIC) + _LENGTHS.size + _CRC.size
_CHUNK = 2**18
_CANCELS = "discards"

# After a look around that found nothing new, the next one is not before this many times what it
# took: ten thousand misses in a row must not mean ten thousand looks at a thousand segments.
_REST = 10.0

_SYNC_SECONDS = 1.0


class Location(NamedTuple):
    """Where an entry is, and what its text says that it is."""

    segment: str
    start: int
    text: int
    payload: int
    address: str
    fingerprint: str

    @property
    def bytes(self) -> int:
        """Length of the entry."""
        return _HEAD + self.text + self.payload


def encode(text: bytes, payload: bytes) -> bytes:
    """Return the entry of a record."""
    lengths = _LENGTHS.pack(len(text), len(payload))
    crc = _CRC.pack(zlib.crc32(text, zlib.crc32(lengths)))
    return b"".join((_MAGIC, lengths, crc, text, payload))


@dataclass(slots=True)
class Scan:
    """What a look through a segment finds, from `stop` on, where the next look begins.

    Attributes
    ----------
    found
        Entries whose texts are whole, in their order.
    cancelled
        Addresses, segments and positions of the entries that later ones discard.
    damaged
        Number of gaps that hold no whole entry.
    stop
        End of the last whole entry, or the beginning of one that is cut.
    """

    stop: int = 0
    found: list[Location] = field(default_factory=list)
    cancelled: list[tuple[str, str, int]] = field(default_factory=list)
    damaged: int = 0

    def read(self, handle: BinaryIO, segment: str, size: int) -> None:
        """Go on to the end of a segment; payloads are not looked at."""
        broken = False
        while self.stop < size:
            entry = _entry(handle, self.stop, size)
            if entry is not None:
                text, payload = entry
                self._note(segment, text, payload)
                at, broken = self.stop + _HEAD + len(text) + payload, False
                if at >= size or _magic_at(handle, at, size) == at:
                    self.stop = at
                    continue
                # Bytes are missing or too many in this payload: the next entry may begin in it.
                search = self.stop + _HEAD + len(text)
            else:
                search = self.stop + 1
            following = _magic_at(handle, search, size, anywhere=True)
            if following is None:
                return  # cut, or still being written
            self.damaged += not broken
            self.stop, broken = following, True

    def _note(self, segment: str, text: bytes, payload: int) -> None:
        try:
            body = json.loads(text)
            address = str(body["address"])
            if _CANCELS in body:
                places = body[_CANCELS]
                self.cancelled += [(address, str(name), int(start)) for name, start in places]
            else:
                fingerprint = str(body["fingerprint"])
                place = Location(segment, self.stop, len(text), payload, address, fingerprint)
                self.found.append(place)
        except (ValueError, KeyError, TypeError, RecursionError):
            self.damaged += 1  # written so: no record of ours


def _entry(handle: BinaryIO, start: int, size: int) -> tuple[bytes, int] | None:
    """Return text and length of the payload of the entry at `start`, None if it is not whole."""
    handle.seek(start)
    head = handle.read(_HEAD)
    if len(head) < _HEAD or not head.startswith(_MAGIC):
        return None
    lengths = head[len(_MAGIC) : -_CRC.size]
    n_text, n_payload = _LENGTHS.unpack(lengths)
    if start + _HEAD + n_text + n_payload > size:
        return None
    text = handle.read(n_text)
    (crc,) = _CRC.unpack(head[-_CRC.size :])
    return (text, n_payload) if zlib.crc32(text, zlib.crc32(lengths)) == crc else None


def _magic_at(handle: BinaryIO, start: int, size: int, *, anywhere: bool = False) -> int | None:
    """Return where a magic is: at `start`, or anywhere from there on; one that is cut counts."""
    handle.seek(start)
    if not anywhere:
        head = handle.read(min(len(_MAGIC), size - start))
        return start if _MAGIC.startswith(head) else None
    tail, at = b"", start
    while at < size and (chunk := handle.read(min(_CHUNK, size - at))):
        joined = tail + chunk
        found = joined.find(_MAGIC)
        if found >= 0:
            return at - len(tail) + found
        tail, at = joined[-len(_MAGIC) + 1 :], at + len(chunk)
    return None


class _Appender:
    """The one segment of this process in a folder; no descriptor stays open between records."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name: str | None = None
        self.synced = -_SYNC_SECONDS
        self.lock = threading.Lock()

    def append(self, data: bytes) -> tuple[str, int]:
        """Write an entry in one piece and return its segment and position."""
        with self.lock:
            with named(self.folder, "a writable place"):
                name, descriptor = patiently(self._open)
            with named(self.folder / name, "a place with room"):
                try:
                    start = self._write(descriptor, data)
                except BaseException:
                    os.close(descriptor)
                    raise
                try:
                    os.close(descriptor)  # a network file system writes now
                except OSError:
                    self.name = None
                    raise
                return name, start

    def _open(self) -> tuple[str, int]:
        flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
        if self.name is not None:
            # It may have gone: with the folder, or into another one that holds all entries.
            with suppress(FileNotFoundError):
                return self.name, os.open(self.folder / self.name, flags)
        name = f"{FileWriter()}{ENDING}"
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / name, flags | os.O_CREAT | os.O_EXCL, 0o666)
        self.name = name
        return name, descriptor

    def _write(self, descriptor: int, data: bytes) -> int:
        start = os.fstat(descriptor).st_size
        written = False
        try:
            rest = memoryview(data)
            while rest:  # once, unless the disk is almost full
                rest = rest[os.write(descriptor, rest) :]
            written = True
            self._sync(descriptor)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(descriptor, start)
            if written:
                # A reader may have seen the entry: its place must not be used again.
                self.name = None
            raise
        return start

    def _sync(self, descriptor: int) -> None:
        # The death of a process costs nothing that was written.  A power cut may cost the small
        # records of the last seconds, which are then made again: that is cheaper than waiting for
        # the disk after each of ten thousand.
        if time.monotonic() - self.synced >= _SYNC_SECONDS:
            sync_data(descriptor)
            self.synced = time.monotonic()


_APPENDERS: dict[tuple[int, Path], _Appender] = {}


def _appender(folder: Path) -> _Appender:
    # By process: what a fork inherits belongs to the parent, its lock above all.
    return _APPENDERS.setdefault((os.getpid(), folder), _Appender(folder))


class Segments:
    """The segments of a run folder: an index of what all processes wrote, and a place to append.

    The index is brought up to date when something is missed; it holds addresses and positions,
    never payloads.

    Parameters
    ----------
    home
        The run folder, which need not exist.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / FOLDER
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._places: dict[str, list[Location]] = {}
        self._cancelled: set[tuple[str, int]] = set()
        self._seen: dict[str, tuple[Scan, tuple[int, int]]] = {}
        self._resting_until = 0.0

    def append(self, text: bytes, payload: bytes, address: str, fingerprint: str) -> None:
        """Add a record; all or nothing of it is written."""
        name, start = _appender(self.folder).append(encode(text, payload))
        place = Location(name, start, len(text), len(payload), address, fingerprint)
        with self._lock:
            self._resting_until = 0.0
            scan, _ = self._seen.get(name, (Scan(), None))
            if scan.stop == start:  # else others of this process came between: the next look
                scan.stop = start + place.bytes
                self._seen[name] = scan, (scan.stop, 0)
                self._places.setdefault(address, []).append(place)

    def find(self, address: str, *, thoroughly: bool = False) -> list[Location]:
        """Return the entries of an address, the latest first, as of the last look around."""
        with self._lock:
            if thoroughly:
                self._look(thoroughly=True)
            return self._places.get(address, [])[::-1]

    def look_around(self) -> bool:
        """Return whether there are other entries than before, unless this was asked just now."""
        with self._lock:
            return time.monotonic() >= self._resting_until and self._look()

    def addresses(self) -> list[str]:
        """Return all addresses."""
        with self._lock:
            self._look()
            return list(self._places)

    def places(self) -> list[Location]:
        """Return all entries that are not discarded, in the order of segments and positions."""
        with self._lock:
            self._look()
            return sorted(place for places in self._places.values() for place in places)

    def paths(self) -> list[Path]:
        """Return the segments."""
        with named(self.folder, "a folder that can be read"):
            return [self.folder / name for name in sorted(_sizes(self.folder, thoroughly=False))]

    @property
    def damaged(self) -> dict[str, int]:
        """Number of gaps without a readable entry, by segment."""
        return {name: scan.damaged for name, (scan, _) in self._seen.items() if scan.damaged}

    @property
    def cut(self) -> dict[str, int]:
        """Number of bytes of an unfinished entry at the end, by segment."""
        return {
            name: size - scan.stop
            for name, (scan, (size, _)) in self._seen.items()
            if size > scan.stop
        }

    def read(self, place: Location) -> tuple[bytes, bytes] | None:
        """Return text and payload of an entry, None if it is not there any more."""
        path = self.folder / place.segment
        with named(path, "a file that can be read"):
            try:
                data = patiently(lambda: _read_at(path, place.start, place.bytes))
            except FileNotFoundError:
                return None
        if len(data) < place.bytes:
            return None
        middle = _HEAD + place.text
        return data[_HEAD:middle], data[middle:]

    def discard(self, address: str) -> None:
        """Cancel all entries of an address."""
        with self._lock:
            self._look()
            places = self._places.get(address)
        if places:
            cancels: JSON = [[place.segment, place.start] for place in places]
            text = sealed({"address": address, _CANCELS: cancels})
            _appender(self.folder).append(encode(text, b""))
            with self._lock:
                self._look()

    def _look(self, *, thoroughly: bool = False) -> bool:
        began = time.monotonic()
        with named(self.folder, "a folder that can be read"):
            present = patiently(lambda: _sizes(self.folder, thoroughly=thoroughly))
        if any(self._has_shrunk(name, present) for name in self._seen):
            self._clear()
        changed = False
        for name, known in present.items():
            before = self._seen.get(name)
            if before is None or before[1] != known:
                changed |= self._scan(name, known)
        took = time.monotonic() - began
        self._resting_until = 0.0 if changed else began + (1.0 + _REST) * took
        return changed

    def _has_shrunk(self, name: str, present: dict[str, tuple[int, int]]) -> bool:
        return name not in present or present[name][0] < self._seen[name][0].stop

    def _scan(self, name: str, known: tuple[int, int]) -> bool:
        scan = self._seen[name][0] if name in self._seen else Scan()
        scan.found, scan.cancelled = [], []
        path = self.folder / name

        def read() -> None:
            with path.open("rb", buffering=_CHUNK) as handle:
                scan.read(handle, name, known[0])

        with named(path, "a file that can be read"), suppress(FileNotFoundError):
            patiently(read)
        self._seen[name] = scan, known
        for place in scan.found:
            if (place.segment, place.start) not in self._cancelled:
                self._places.setdefault(place.address, []).append(place)
        for address, segment, start in scan.cancelled:
            self._cancelled.add((segment, start))
            places = self._places.pop(address, [])
            if left := [place for place in places if place[:2] not in self._cancelled]:
                self._places[address] = left
        changed = bool(scan.found or scan.cancelled)
        scan.found, scan.cancelled = [], []
        return changed

    def merge(self, keep: Iterable[Location]) -> None:
        """Write the entries to keep into one new segment, in place of all that were seen.

        Killed on the way, it leaves entries twice, and none less.
        """
        target = self.folder / f"{FileWriter()}{ENDING}"
        temporary = self.folder / f".{target.name}.{FileWriter()}.tmp"
        with named(target, "a place with room"):
            try:
                self._copy(keep, temporary)
                if temporary.stat().st_size:
                    temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
        with self._lock:
            for name, (_, known) in self._seen.items():
                # One that has grown meanwhile stays, with entries that are now there twice.
                if _sizes(self.folder, thoroughly=True).get(name) == known:
                    remove(self.folder / name)
            self._clear()

    def _copy(self, keep: Iterable[Location], target: Path) -> None:
        with target.open("xb") as handle:
            for place in keep:
                if (entry := self.read(place)) is not None:
                    handle.write(encode(*entry))
            handle.flush()
            sync_data(handle.fileno())


def _sizes(folder: Path, *, thoroughly: bool) -> dict[str, tuple[int, int]]:
    """Return size and time of all segments; thoroughly asks the server of a network file system."""
    found = {}
    try:
        with os.scandir(folder) as listing:
            items = {item.name: item for item in listing if item.name.endswith(ENDING)}
    except FileNotFoundError:
        return {}
    for name, item in sorted(items.items()):
        with suppress(FileNotFoundError):
            # Opening a file is what makes a client of NFS ask whether it has grown.
            status = _opened(folder / name) if thoroughly else item.stat()
            found[name] = status.st_size, status.st_mtime_ns
    return found


def _opened(path: Path) -> os.stat_result:
    with path.open("rb") as handle:
        return os.fstat(handle.fileno())


def _read_at(path: Path, start: int, length: int) -> bytes:
    with path.open("rb", buffering=0) as handle:
        handle.seek(start)
        return handle.read(length) or b""
