"""Two processes in one run folder: they share the work, or the second is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from store_processes import CLAIMER, Process
from verisimile.core import lease as module
from verisimile.core.errors import StoreError
from verisimile.core.lease import STALE_SECONDS, Lease, exclusive, read_leases
from verisimile.core.writers import FileWriter, birth, this_machine


@pytest.fixture
def lease(tmp_path: Path) -> Iterator[Lease]:
    made = Lease.of(tmp_path)
    yield made
    made.close()


def files(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "leases").glob("*.json"))


def stranger(home: Path, *, fingerprint: str = "theirs", age: float = 0.0, **also: object) -> Path:
    """The lease of a process on a machine that we cannot ask."""
    writer = FileWriter("elsewhere_abcdef", 4242)
    path = home / "leases" / f"{writer}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": "elsewhere_abcdef", "pid": 4242, "born": 1, "since": "2026-01-01T00:00:00",
        "command": "verisimile gof", "claims": [["members/0000", fingerprint, "members"]], **also,
    }  # fmt: skip
    path.write_text(json.dumps(content))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_one_lease_for_a_process_and_a_folder(tmp_path: Path) -> None:
    first, other = Lease.of(tmp_path), Lease.of(tmp_path / "other")
    assert Lease.of(tmp_path) is first is not other
    assert list(tmp_path.iterdir()) == []
    with first.claim("members/0000", "f", "members") as claim:
        assert (claim.shared, claim.notes) == (False, ())
        assert len(files(tmp_path)) == 1
        (found,) = read_leases(tmp_path, now=time.time())
        assert found[1].claims == {"members/0000": ("f", "members")}
        assert found[1].writer.pid == os.getpid()
        assert found[1].live
    assert files(tmp_path) == []
    first.claim("members/0000", "f", "members")
    first.close()
    assert files(tmp_path) == []
    assert Lease.of(tmp_path) is not first
    Lease.of(tmp_path).close()


def test_a_claim_made_twice_is_given_up_twice(lease: Lease, tmp_path: Path) -> None:
    outer = lease.claim("a", "f", "x")
    with lease.claim("a", "f", "x"):
        pass
    assert read_leases(tmp_path, now=time.time())[0][1].claims == {"a": ("f", "x")}
    other = lease.claim("b", "f", "x")
    outer.close()
    outer.close()
    assert read_leases(tmp_path, now=time.time())[0][1].claims == {"b": ("f", "x")}
    other.close()
    assert files(tmp_path) == []


@pytest.mark.parametrize("fingerprints", [("a", "b"), ("a", "a")])
def test_two_writers_at_once(tmp_path: Path, fingerprints: tuple[str, str]) -> None:
    homes = [tmp_path / str(number) for number in range(20)]
    both = [Process(CLAIMER, fingerprint, *homes) for fingerprint in fingerprints]
    pids = [str(one.pid) for one in both]
    answers = set()
    for one in both:
        assert one.line() == "ready"
    for home in homes:
        for one in both:
            one.go_on()
        told = sorted(one.line() for one in both)
        answers.add(tuple(line.split()[0] for line in told))
        if told[1].startswith("refused"):
            assert any(f"process {pid} on " in told[1] for pid in pids)
            assert "Wait until it has ended, choose another folder, or end that" in told[1]
            assert len(files(home)) == 1
        for one in both:
            one.go_on()
    for one in both:
        one.end()
    assert [files(home) for home in homes] == [[]] * 20
    expected = ("holds", "refused") if fingerprints[0] != fingerprints[1] else ("holds", "shares")
    assert answers == {expected}


def test_a_killed_holder_is_taken_over_with_a_line(tmp_path: Path, lease: Lease) -> None:
    holder = Process(CLAIMER, "theirs", tmp_path)
    assert holder.line() == "ready"
    holder.go_on()
    assert holder.line() == "holds"
    with pytest.raises(StoreError, match=f"process {holder.pid} on .*, since 20"):
        lease.claim("members/0000", "ours", "members")
    assert len(files(tmp_path)) == 1
    os.kill(holder.pid, signal.SIGSTOP)  # on this machine it counts as long as it is there
    with pytest.raises(StoreError, match=f"process {holder.pid} on "):
        lease.claim("members/0000", "ours", "members")
    os.kill(holder.pid, signal.SIGKILL)
    while Path(f"/proc/{holder.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    claim = lease.claim("members/0000", "ours", "members")  # nobody has waited for it yet
    holder.kill()
    (note,) = claim.notes
    assert f"process {holder.pid} on " in note
    assert "taken over" in note
    assert len(files(tmp_path)) == 1


def test_a_later_process_with_the_same_number_holds_nothing(tmp_path: Path, lease: Lease) -> None:
    path = stranger(tmp_path)
    body = json.loads(path.read_text())
    path.unlink()
    own = path.with_name(f"{FileWriter(this_machine(), os.getppid())}.json")
    born = birth(os.getppid())
    assert born is not None
    for claimed in (born, None):
        own.write_text(json.dumps({**body, "born": claimed}))
        with pytest.raises(StoreError, match="verisimile gof"):
            lease.claim("members/0000", "ours", "members")
    own.write_text(json.dumps({**body, "born": born - 1}))
    assert len(lease.claim("members/0000", "ours", "members").notes) == 1
    assert not own.exists()


def test_another_machine_is_believed_for_a_minute(tmp_path: Path, lease: Lease) -> None:
    stranger(tmp_path, age=STALE_SECONDS - 10)
    with pytest.raises(StoreError, match="process 4242 on elsewhere, since 2026.*verisimile gof"):
        lease.claim("members/0000", "ours", "members")
    assert lease.claim("members/0000", "theirs", "members").shared
    assert not lease.claim("toys/0", "ours", "toys").shared
    path = stranger(tmp_path, age=STALE_SECONDS + 10)
    path.rename(path.with_name(f"{FileWriter('third_abcdef', 7)}.json"))
    claim = lease.claim("members/0001", "ours", "members")
    assert "process 7 on third" in claim.notes[0]


def test_age_is_by_the_clock_of_the_file_system(
    tmp_path: Path, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger(tmp_path)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    with pytest.raises(StoreError, match="process 4242"):
        lease.claim("members/0000", "ours", "members")


def test_a_damaged_lease_is_somebodys(tmp_path: Path, lease: Lease) -> None:
    path = stranger(tmp_path)
    path.write_text("{")
    lease.claim("members/0000", "ours", "members")
    assert path.exists()
    with pytest.raises(StoreError, match="process 4242"), exclusive(tmp_path):
        pass


def test_the_heart_beats(tmp_path: Path, lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BEAT_SECONDS", 0.02)
    lease.claim("a", "f", "x")
    os.utime(lease.path, (0, 0))
    while lease.path.stat().st_mtime == 0:
        time.sleep(0.01)
    lease.path.unlink()  # taken for dead: it says again what it does
    while not lease.path.exists():
        time.sleep(0.01)
    stranger(tmp_path, fingerprint="other", claims=[["a", "other", "x"]])
    lease.path.unlink()
    while lease._lost is None:
        time.sleep(0.01)
    with pytest.raises(StoreError, match="process 4242"):
        lease.claim("b", "f", "x")
    assert not lease.path.exists()


def test_without_locks_no_conflict_is_overlooked(
    tmp_path: Path, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def none(descriptor: int, kind: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", none)
    lease.claim("members/0001", "ours", "members")
    stranger(tmp_path)
    with pytest.raises(StoreError, match="process 4242"):
        lease.claim("members/0000", "ours", "members")
    (_, _), (_, own) = sorted(
        read_leases(tmp_path, now=time.time()), key=lambda found: found[1].writer.pid == os.getpid()
    )
    assert own.claims == {"members/0001": ("ours", "members")}


def test_a_lock_that_is_never_given_back_is_named(
    tmp_path: Path, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX);"
        "print('ready', flush=True); sys.stdin.readline()"
    )
    (tmp_path / "leases").mkdir()
    holder = Process(code, tmp_path / "leases/lock")
    assert holder.line() == "ready"
    monkeypatch.setattr(module, "_LOCK_SECONDS", 0.05)
    with pytest.raises(StoreError, match=r"leases/lock.*Continue or end it"):
        lease.claim("a", "f", "x")
    holder.end()
    lease.claim("a", "f", "x")


def test_a_fork_closes_nothing_of_its_parent(tmp_path: Path, lease: Lease) -> None:
    claim = lease.claim("a", "f", "x")
    child = os.fork()
    if child == 0:
        claim.close()
        lease.close()
        os._exit(0 if Lease.of(tmp_path) is not lease else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert read_leases(tmp_path, now=time.time())[0][1].claims == {"a": ("f", "x")}


def test_the_first_claim_sweeps_what_dead_writers_left(tmp_path: Path, lease: Lease) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "members").mkdir()
    left = tmp_path / "members" / f".0001.json.{FileWriter(pid=dead.pid)}.tmp"
    ours = tmp_path / "members" / f".0002.json.{FileWriter()}.tmp"
    theirs = tmp_path / "members" / f".0003.json.{FileWriter('elsewhere_abcdef', 1)}.tmp"
    old = tmp_path / ".manifest.json.0123456789abcdef0123456789abcdef.tmp"
    new = tmp_path / ".fit.json.0123456789abcdef0123456789abcdef.tmp"
    for path in (left, ours, theirs, old, new):
        path.touch()
    os.utime(old, (time.time() - 90_000,) * 2)
    lease.claim("a", "f", "x")
    assert [path.exists() for path in (left, ours, theirs, old, new)] == [
        False, True, True, False, True,
    ]  # fmt: skip


def test_where_nothing_can_be_written_the_place_is_named(tmp_path: Path, lease: Lease) -> None:
    (tmp_path / "leases").write_text("")
    with pytest.raises(StoreError, match=r"leases/lock.*move that away") as told:
        lease.claim("a", "f", "x")
    assert isinstance(told.value.__cause__, OSError)


def test_a_process_that_ends_leaves_no_lease(tmp_path: Path) -> None:
    holder = Process(CLAIMER, "theirs", tmp_path)
    holder.line()
    holder.go_on()
    assert holder.line() == "holds"
    assert len(files(tmp_path)) == 1
    holder.end()
    assert files(tmp_path) == []
