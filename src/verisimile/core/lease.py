"""Who writes in a run folder: a lease of each process, and what it claims to be working on.

The lease of a process is the file ``leases/<machine>-<pid>-<token>.json``.  It is there while the
process claims something, and a thread touches it every few seconds.  Two processes that claim one
address for different configurations would write over each other's records: the second is refused,
by name.  For one configuration they may share the work.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import os
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from verisimile.core.durable import named, patiently, remove, sweep, write_atomic
from verisimile.core.errors import StoreError
from verisimile.core.writers import FileWriter, alive, birth, this_machine

try:
    import fcntl
except ImportError:  # a system without such locks
    fcntl = None  # type: ignore[assignment]

FOLDER = "leases"
"""Where the leases of a run folder are."""

STALE_SECONDS = 60.0
"""Age after which the lease of another machine's process counts for nothing."""

_BEAT_SECONDS = 5.0
_LOCK = "lock"
_LOCK_SECONDS = 30.0
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds, or held, a lease, as its file says.

    Attributes
    ----------
    writer
        Machine and number of the process.
    command
        What it was started as.
    since
        When it took the lease, in UTC.
    born
        Ticks between the boot and its beginning, where /proc tells.
    claims
        Fingerprint and label of what it works on, by address.
    age
        Seconds since the last beat, by the clock of the file system.
    """

    writer: FileWriter
    command: str
    since: str
    born: int | None
    claims: dict[str, tuple[str, str]]
    age: float

    @property
    def live(self) -> bool:
        """Whether the process may still write.

        Of this machine's processes the system knows; a stopped one is there.  Of another's, its
        beats tell.
        """
        if self.writer.machine == this_machine():
            return alive(self.writer.pid, self.born)
        return self.age <= STALE_SECONDS

    def __str__(self) -> str:
        """Return who it is, in words."""
        return (
            f"process {self.writer.pid} on {self.writer.machine.rpartition('_')[0]}, "
            f"since {self.since}: {self.command}"
        )


@dataclass(slots=True)
class Claim:
    """What a process said that it works on, until it is closed.

    Attributes
    ----------
    shared
        Whether another process works on the same.
    notes
        One line for each lease of a dead process that was removed on the way.
    """

    lease: Lease
    address: str
    shared: bool
    notes: tuple[str, ...]

    def __enter__(self) -> Claim:
        """Return the claim."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it up."""
        self.close()

    def close(self) -> None:
        """Give it up; further times change nothing."""
        self.lease.give_up(self.address)


@dataclass(slots=True, eq=False)
class Lease:
    """The lease of this process in one run folder; made by :meth:`of`.

    Nothing is written before the first claim, so that finished work may be read in a folder where
    nothing can be written.
    """

    home: Path
    writer: FileWriter = field(default_factory=FileWriter)
    _claims: dict[str, tuple[str, str]] = field(default_factory=dict)
    _users: dict[str, int] = field(default_factory=dict)
    _guard: threading.RLock = field(default_factory=threading.RLock)
    _since: str = ""
    _closing: threading.Event = field(default_factory=threading.Event)
    _lost: StoreError | None = None

    @classmethod
    def of(cls, home: Path) -> Lease:
        """Return the lease of this process in a folder, one and the same until it is closed."""
        with _REGISTRY_GUARD:
            return _LEASES.setdefault(home.absolute(), cls(home.absolute()))

    @property
    def path(self) -> Path:
        """The file of the lease."""
        return self.home / FOLDER / f"{self.writer}.json"

    def claim(self, address: str, fingerprint: str, label: str) -> Claim:
        """Say what this process works on, before it begins.

        Raises
        ------
        StoreError
            If a live process works on another configuration at the same address, or if the folder
            cannot be written.
        """
        with self._guard, _locked(self.home):
            self._begin()
            before = dict(self._claims)
            self._claims[address] = fingerprint, label
            # Said first and looked after: where locks do nothing, two who come at once both see
            # each other, and no conflict is overlooked.
            try:
                self._write()
                live, notes = self._others()
                shared = _check(self.home, live, {address: (fingerprint, label)})
            except BaseException:
                self._claims = before
                self._say()
                raise
            self._users[address] = self._users.get(address, 0) + 1
            return Claim(self, address, shared, notes)

    def give_up(self, address: str) -> None:
        """Work no longer on what is at an address."""
        if self._is_parents:
            return
        with self._guard:
            left = self._users.get(address, 0) - 1
            if left > 0:
                self._users[address] = left
                return
            self._users.pop(address, None)
            if self._claims.pop(address, None) is not None and not self._closing.is_set():
                self._lost = self._lost if self._claims else None
                self._say()

    def close(self) -> None:
        """Give up all claims and remove the file; the next :meth:`of` makes another lease."""
        if self._is_parents:
            return
        with _REGISTRY_GUARD:
            if _LEASES.get(self.home) is self:
                del _LEASES[self.home]
        with self._guard:
            self._closing.set()
            self._claims.clear()
            with contextlib.suppress(StoreError):
                remove(self.path)

    @property
    def _is_parents(self) -> bool:
        """Whether a fork inherited it, which must not close it for its parent."""
        return self.writer.pid != os.getpid()

    def _begin(self) -> None:
        if not self._since:
            sweep(self.home)
            self._since = datetime.now(UTC).isoformat(timespec="seconds")
            threading.Thread(target=self._beat, name="verisimile lease", daemon=True).start()

    def _say(self) -> None:
        """Write what is claimed, if anything: an idle process keeps nobody waiting."""
        # What is not said in time only keeps others waiting: no reason to fail.
        with contextlib.suppress(StoreError):
            if self._claims:
                self._write()
            else:
                remove(self.path)

    def _write(self) -> None:
        if self._lost is not None:
            raise self._lost
        content = {
            "machine": self.writer.machine,
            "pid": self.writer.pid,
            "born": birth(self.writer.pid),
            "since": self._since,
            "command": _command(),
            "claims": [[address, *claimed] for address, claimed in self._claims.items()],
        }
        text = json.dumps(content, indent=1).encode()
        write_atomic(self.path, text, folder=False, sync=False)

    def _others(self) -> tuple[list[Holder], tuple[str, ...]]:
        """Return the live holders of other leases, and a line for each dead one that is removed."""
        found = [(path, holder) for path, holder in _now(self.home) if path != self.path]
        dead = [(path, holder) for path, holder in found if not holder.live]
        notes = [
            f"taken over from what has ended: {holder}" for path, holder in dead if remove(path)
        ]
        return [holder for _, holder in found if holder.live], tuple(notes)

    def _beat(self) -> None:
        while not self._closing.wait(_BEAT_SECONDS):
            with self._guard:
                if self._claims and not self._closing.is_set():
                    self._touch()

    def _touch(self) -> None:
        try:
            os.utime(self.path)
        except FileNotFoundError:
            self._renew()
        except OSError:
            pass  # the next beat may succeed; the records say themselves what fails

    def _renew(self) -> None:
        """Take the lease again: this process slept so long that another took it for dead."""
        try:
            with _locked(self.home):
                self._write()
                _check(self.home, self._others()[0], self._claims)
        except StoreError as error:
            self._lost = error
            with contextlib.suppress(StoreError):
                remove(self.path)


_LEASES: dict[Path, Lease] = {}
_REGISTRY_GUARD = threading.Lock()


@atexit.register
def _close_all() -> None:
    for lease in list(_LEASES.values()):
        lease.close()


def _command() -> str:
    return shlex.join([Path(sys.argv[0]).name or "python", *sys.argv[1:]])[:500]


def _check(home: Path, live: list[Holder], claims: dict[str, tuple[str, str]]) -> bool:
    """Return whether others work on the same; raise if on something else at the same address."""
    shared = False
    for holder in live:
        for address, (fingerprint, label) in claims.items():
            theirs = holder.claims.get(address)
            if theirs is None:
                continue
            if theirs[0] != fingerprint:
                raise StoreError(
                    str(home),
                    got=f"{holder} (it does {theirs[1]!r} with other settings or data than this "
                    f"process's {label!r})",
                    expected="a folder where nobody else writes, or the same settings",
                    remedy="Wait until it has ended, choose another folder, or end that process.",
                )
            shared = True
    return shared


def read_leases(home: Path, *, now: float) -> list[tuple[Path, Holder]]:
    """Return the leases of a run folder with their holders.

    `now` is the time by the clock of the file system.
    """
    found = []
    folder = home / FOLDER
    with named(folder, "a folder that can be read"):
        for path in sorted(folder.glob("*.json")):
            if (writer := FileWriter.named(path.stem)) is not None:
                with contextlib.suppress(FileNotFoundError):
                    found.append((path, _read(path, writer, now)))
    return found


def _now(home: Path) -> list[tuple[Path, Holder]]:
    """Return the leases by the file system's own clock, of the lock, which is held."""
    lock = home / FOLDER / _LOCK
    with named(lock, "a file that can be touched"):
        os.utime(lock)
        with lock.open("rb") as handle:
            now = os.fstat(handle.fileno()).st_mtime
    return read_leases(home, now=now)


def _read(path: Path, writer: FileWriter, now: float) -> Holder:
    # Opened first: of an open file, a network file system tells the time as it is.
    with path.open("rb") as handle:
        age = now - os.fstat(handle.fileno()).st_mtime
        text = handle.read()
    try:
        body: Any = json.loads(text)
        claims = {str(where): (str(what), str(label)) for where, what, label in body["claims"]}
        born = None if body["born"] is None else int(body["born"])
        return Holder(writer, str(body["command"]), str(body["since"]), born, claims, age)
    except (ValueError, KeyError, TypeError, RecursionError):
        return Holder(writer, "unknown", "unknown", None, {}, age)  # damaged, but somebody's


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Let one process at a time read and change the leases of a folder, if there are locks."""
    path = home / FOLDER / _LOCK
    with _LOCK_GUARD:  # closing any descriptor of the file would end this process's lock
        with named(path, "a writable place"):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = patiently(lambda: os.open(path, os.O_RDWR | os.O_CREAT, 0o666))
        try:
            _lock(descriptor, path)
            yield
        finally:
            os.close(descriptor)


_LOCK_GUARD = threading.RLock()


def _lock(descriptor: int, path: Path) -> None:
    if fcntl is None:
        return
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return
            if error.errno not in {errno.EACCES, errno.EAGAIN, errno.EINTR}:
                with named(path, "a lock"):
                    raise
            if time.monotonic() > deadline:
                raise StoreError(
                    str(path),
                    got=f"a lock that another process has held for {_LOCK_SECONDS:g} s",
                    expected="one that is held for moments",
                    remedy="Is a process stopped that uses this folder? Continue or end it.",
                ) from error
        else:
            return
        time.sleep(0.01)


@contextlib.contextmanager
def exclusive(home: Path) -> Iterator[None]:
    """Keep all other processes from making claims in a folder.

    Raises
    ------
    StoreError
        If a live process, other than this one, holds a lease.
    """
    with _locked(home):
        refuse_held(_now(home))
        yield


def refuse_held(leases: list[tuple[Path, Holder]]) -> None:
    """Raise a StoreError if one of the leases is a live one of another process."""
    own = FileWriter()
    for path, holder in leases:
        if holder.live and (holder.writer.machine, holder.writer.pid) != (own.machine, own.pid):
            raise StoreError(
                str(path.parent.parent),
                got=f"{holder}, which writes in it",
                expected="a folder that nobody uses",
                remedy="Wait until it has ended, or end that process.",
            )


def _forget_parent() -> None:
    """Leave to a forked process no lock that a thread of its parent held, and no lease."""
    global _LOCK_GUARD, _REGISTRY_GUARD
    _LOCK_GUARD, _REGISTRY_GUARD = threading.RLock(), threading.Lock()
    _LEASES.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
