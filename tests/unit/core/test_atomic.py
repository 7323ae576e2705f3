"""A file is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from verisimile.core.durable import write_atomic
from verisimile.core.errors import StoreError


def test_file_has_the_bytes_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.bin"
    write_atomic(path, b"first")
    write_atomic(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_group_may_read_what_the_umask_allows(tmp_path: Path) -> None:
    write_atomic(tmp_path / "ours", b"")
    (tmp_path / "plain").write_bytes(b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "plain")]
    assert modes[0] == modes[1]


def test_old_file_survives_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="No space left"):
            write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="file/below"):
        write_atomic(tmp_path / "file" / "below" / "x", b"")


WRITER = """
import sys
from pathlib import Path
from verisimile.core.random import Seeds
from verisimile.core.store import DirectoryStore, Payload
import numpy as np

store = DirectoryStore(sys.argv[1])
print("ready", flush=True)
for value in range(10**6):
    store.save("record", "f", "stage", Payload({"x": np.full(200_000, float(value))}, {"v": value}))
"""


def test_a_killed_writer_never_leaves_half_a_record(tmp_path: Path) -> None:
    from verisimile.core.store import DirectoryStore

    store = DirectoryStore(tmp_path)
    states = set()
    for attempt in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.02 + 0.013 * attempt)
            writer.kill()
        states.add(store.state("record", "f"))
        record = store.load("record", "f")
        if record is not None:
            assert set(record.arrays["x"].tolist()) == {float(str(record.meta["v"]))}
    # A payload newer than its record does not match the hash: corrupt, not wrong.
    assert states <= {"missing", "valid", "corrupt"}
    assert store.addresses() in ([], ["record"])
    assert not [address for address in store.addresses() if "tmp" in address]
