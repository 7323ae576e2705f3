"""What a run folder holds, what of it is damaged, and what can go."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from store_processes import APPENDER, CLAIMER, Process, segments_of
from verisimile.core.checkpoint import Checkpoint
from verisimile.core.errors import StoreError
from verisimile.core.housekeeping import clean, survey
from verisimile.core.lease import Lease
from verisimile.core.records import Payload
from verisimile.core.store import DirectoryStore
from verisimile.core.writers import FileWriter


def content(value: float = 1.0) -> Payload:
    return Payload({"x": np.full(100, value)}, {"v": value})


def bytes_of(home: Path) -> dict[str, bytes]:
    files = (path for path in home.rglob("*") if path.is_file())
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Two members, ten toys of two processes, a document, and what is not ours."""
    made = DirectoryStore(tmp_path / "run")
    for index in range(2):
        made.save(f"members/000{index}", "f", "members", content(index))
    for prefix in ("toys/a", "toys/b"):
        Process(APPENDER, made.path, prefix, 5).end()
    made.write_json("manifest", {"schema": 1})
    (made.path / "result.json").write_text('{"schema": "verisimile.x/1"}')
    (made.path / "result.safetensors").write_bytes(b"of somebody else")
    return made


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x41
    path.write_bytes(data)


def test_a_whole_folder(store: DirectoryStore) -> None:
    before = bytes_of(store.path)
    found = survey(store)
    assert found.whole
    assert {name: stage.records for name, stage in found.stages.items()} == {
        "members": 2,
        "toys": 10,
    }
    assert found.stages["members"].versions["numpy"] == {np.__version__}
    assert found.stages["toys"].bytes == sum(p.stat().st_size for p in segments_of(store.path))
    assert found.foreign == ["result"]
    assert bytes_of(store.path) == before


def test_each_damage_is_told_with_its_address(store: DirectoryStore) -> None:
    flip(store.path / "members/0000.safetensors", -1)
    flip(store.path / "members/0001.json", 40)
    (first, second) = segments_of(store.path)
    last = [p.address for p in store.segments.places() if p.segment == first.name][-1]
    flip(first, -1)
    flip(second, 100)
    found = survey(DirectoryStore(store.path))
    told = {each.address: each.reason for each in found.damaged}
    assert told == {
        "members/0000": "its arrays are damaged",
        "members/0001": "its text is damaged",
        last: "its arrays are damaged",
    }
    assert found.gaps == {second.name: 1}
    assert not found.whole
    assert found.stages["toys"].records == 8


def test_what_was_made_again_is_no_damage(store: DirectoryStore) -> None:
    flip(segments_of(store.path)[0], -1)
    again = DirectoryStore(store.path)
    (lost,) = survey(again).damaged
    again.append(lost.address, "f", "toys", content())
    assert survey(again).whole


def test_a_cut_entry_is_no_damage(store: DirectoryStore) -> None:
    with segments_of(store.path)[0].open("ab") as handle:
        handle.write(segments_of(store.path)[1].read_bytes()[:200])
    found = survey(DirectoryStore(store.path))
    assert found.whole
    assert list(found.cut.values()) == [200]
    clean(DirectoryStore(store.path))
    assert survey(DirectoryStore(store.path)).cut == {}


def test_cleaning_keeps_every_valid_record(store: DirectoryStore) -> None:
    extra = DirectoryStore(store.path)
    extra.append("toys/a/00001", "other", "toys", content(7))  # of another configuration
    extra.append("toys/a/00002", "f", "toys", content(2))  # done twice
    extra.append("members/0000", "f", "members", content(0))  # is a file too
    extra.append("toys/gone", "f", "toys", content())
    extra.discard("toys/gone")
    flip(store.path / "members/0001.safetensors", -1)
    (store.path / "shared").mkdir()
    (store.path / "shared" / ("a" * 64)).write_bytes(b"blob")
    (store.path / "shared" / "mine.txt").write_bytes(b"a user's")
    killed = Process(CLAIMER, "f", store.path)
    killed.line()
    killed.go_on()
    assert killed.line() == "holds"
    killed.kill()
    dead = Process("")
    dead.end()
    temporary = store.path / "members" / f".0002.json.{FileWriter(pid=dead.pid)}.tmp"
    temporary.write_bytes(b"half")

    assert [path.name for path in survey(store).shared] == ["a" * 64]
    before, unlike = bytes_of(store.path), DirectoryStore(store.path)
    planned = clean(unlike, dry_run=True)
    assert bytes_of(store.path) == before
    size = sum(map(len, before.values()))
    removed = clean(DirectoryStore(store.path))
    assert [(each.kind, each.names, each.bytes) for each in removed] == [
        (each.kind, each.names, each.bytes) for each in planned
    ]
    assert {each.kind.split()[0] for each in removed} == {
        "temporary", "leases", "inputs", "damaged", "segments,",
    }  # fmt: skip
    after = bytes_of(store.path)
    assert sum(each.bytes for each in removed) == size - sum(map(len, after.values()))
    assert len(segments_of(store.path)) == 1
    assert {name for name in after if not name.startswith("segments/")} == {
        "manifest.json", "members/0000.json", "members/0000.safetensors", "result.json",
        "result.safetensors", "leases/lock", "shared/mine.txt",
    }  # fmt: skip
    whole = DirectoryStore(store.path)
    for prefix in ("toys/a", "toys/b"):
        for index in range(5):
            assert whole.state(f"{prefix}/{index:05d}", "f") == "valid"
    assert whole.state("toys/a/00001", "other") == "valid"
    assert whole.state("members/0000", "f") == "valid"
    assert whole.state("members/0001", "f") == whole.state("toys/gone", "f") == "missing"
    assert clean(whole) == ()
    # Who had a segment open goes on with a new one.
    extra.append("toys/c", "f", "toys", content())
    assert whole.state("toys/c", "f") == "valid"


def test_a_folder_that_somebody_uses_is_left_alone(store: DirectoryStore) -> None:
    (store.path / "shared").mkdir()
    (store.path / "shared" / ("a" * 64)).write_bytes(b"blob")
    holder = Process(CLAIMER, "f", store.path)
    holder.line()
    holder.go_on()
    assert holder.line() == "holds"
    before = bytes_of(store.path)
    for dry_run in (True, False):
        with pytest.raises(StoreError, match=f"process {holder.pid} on .*nobody uses"):
            clean(store, dry_run=dry_run)
    assert str(holder.pid) in str(survey(store).live[0])
    holder.end()
    leases = {name for name in before if name.endswith(".json") and name.startswith("leases/")}
    assert len(leases) == 1
    assert bytes_of(store.path) == {n: data for n, data in before.items() if n not in leases}
    own = Lease.of(store.path)
    with own.claim("members/0000", "f", "members"):
        assert clean(store)[0].kind == "inputs that tasks shared"
    own.close()


def test_checkpoints_stay_until_their_work_is_finished(store: DirectoryStore) -> None:
    for name in ("members-0000", "members-0007"):
        checkpoint = Checkpoint(store, name, "g", 0.0)
        checkpoint.offer(content)
        checkpoint.offer(content)
    assert survey(store).unfinished == ["unfinished/members-0000", "unfinished/members-0007"]
    assert [r.names for r in clean(store) if "checkpoints" in r.kind] == [
        ("unfinished/members-0000",)
    ]
    assert survey(store).unfinished == ["unfinished/members-0007"]
    assert [r.names for r in clean(store, unfinished=True)] == [("unfinished/members-0007",)]
    assert store.addresses("unfinished") == []


def test_records_of_later_versions_stay(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("verisimile.core.records._SCHEMA", 2)
        store.save("members/0005", "f", "members", content())
        store.append("toys/c", "f", "toys", content())
    found = survey(store)
    assert (found.later, found.whole) == (["members/0005", "toys/c"], True)
    clean(store)
    assert survey(DirectoryStore(store.path)).later == ["members/0005", "toys/c"]


def test_the_runs_below_a_folder_are_not_its_records(store: DirectoryStore) -> None:
    above = DirectoryStore(store.path.parent)
    before = bytes_of(store.path)
    found = survey(above)
    assert found.empty
    assert found.foreign == ["run/members/0000", "run/members/0001", "run/result"]
    clean(above)
    assert bytes_of(store.path) == before


def test_a_killed_merge_leaves_everything(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            clean(store)
    assert survey(DirectoryStore(store.path)).stages["toys"].records == 10
    clean(store)
    assert survey(DirectoryStore(store.path)).stages["toys"].records == 10
    assert len(segments_of(store.path)) == 1
    assert json.loads((store.path / "manifest.json").read_text()) == {"schema": 1}
    assert not list((store.path / "segments").glob(".*"))
