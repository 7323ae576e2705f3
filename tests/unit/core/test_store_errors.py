"""Whatever the operating system refuses is named; what is damaged is made again."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from verisimile.core import durable
from verisimile.core.canonical import JSON
from verisimile.core.durable import WAITS, is_temporary, sweep, write_atomic
from verisimile.core.errors import InputError, StoreError
from verisimile.core.records import Payload, mixed_versions, sealed, versions
from verisimile.core.store import DirectoryStore
from verisimile.core.writers import FileWriter

CONTENT = Payload({"x": np.ones(3)}, {"n": 1})


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    made = DirectoryStore(tmp_path / "run")
    made.save("members/0007", "f", "members", CONTENT)
    return made


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits, which take no time."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").touch()


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _file_above(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    path.parent.touch()


ACTS: dict[str, Callable[[DirectoryStore], object]] = {
    "load": lambda store: store.load("members/0007", "f"),
    "state": lambda store: store.state("members/0007", "f"),
    "save": lambda store: store.save("members/0007", "f", "members", CONTENT),
    "discard": lambda store: store.discard("members/0007"),
    "read_json": lambda store: store.read_json("members/0007"),
    "write_json": lambda store: store.write_json("members/0007", 1),
}


@pytest.mark.parametrize(
    ("obstacle", "name", "acts"),
    [
        (_folder, "members/0007.json", ["load", "state", "save", "discard", "read_json"]),
        (_folder, "members/0007.safetensors", ["load", "state", "save", "discard", "write_json"]),
        (_loop, "members/0007.json", ["load", "state", "read_json"]),
        (_loop, "members/0007.safetensors", ["load", "state", "write_json"]),
        (_file_above, "members/0007.json", [name for name in ACTS if name != "discard"]),
    ],
)
def test_what_is_in_the_way_is_named(
    store: DirectoryStore, obstacle: Callable[[Path], None], name: str, acts: list[str]
) -> None:
    obstacle(store.path / name)
    for act in acts:
        with pytest.raises(StoreError, match=r"members/0007.*move that away") as told:
            ACTS[act](store)
        assert isinstance(told.value.__cause__, OSError)


def test_a_file_where_the_segments_should_be_is_named(store: DirectoryStore) -> None:
    (store.path / "segments").touch()
    for act in (
        lambda: store.append("toys/1", "f", "toys", CONTENT),
        lambda: store.load("toys/1", "f"),
        lambda: store.addresses(),
    ):
        with pytest.raises(StoreError, match=r"run/segments.*move that away"):
            act()


SHUT = """
import os
import sys
from pathlib import Path
from verisimile.core.errors import StoreError
from verisimile.core.records import Payload
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore
import map_tasks

# Root may do everything: from here on, when all is imported, the process is nobody's.
Run(Seeds(7)).map(map_tasks.draw, map_tasks.tasks([1.0]), label="d")
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
store = DirectoryStore(sys.argv[1])
assert store.load("members/0007", "f") is not None
acts = {
    "load": lambda: store.load("shut/1", "f"),
    "state": lambda: store.state("members/secret", "f"),
    "addresses": lambda: store.addresses(),
    "addresses below": lambda: store.addresses("shut"),
    "read_json": lambda: store.read_json("members/secret"),
    "save": lambda: store.save("members/0008", "f", "members", Payload()),
    "append": lambda: store.append("members/0008", "f", "members", Payload()),
    "write_json": lambda: store.write_json("manifest", 1),
    "discard": lambda: store.discard("members/0007"),
    "home": lambda: DirectoryStore(sys.argv[1] + "/shut/run"),
}
for name, act in acts.items():
    try:
        act()
    except StoreError as error:
        assert isinstance(error.__cause__, PermissionError), error
        assert "permission" in str(error) and sys.argv[1] in str(error), error
    else:
        raise AssertionError(name)
done = Run(Seeds(7), store=sys.argv[2]).map(map_tasks.draw, map_tasks.tasks([1.0, 2.0]), label="d")
assert len(done) == 2
print("all named")
"""


def test_what_is_forbidden_is_named_and_finished_work_is_read(
    store: DirectoryStore, tmp_path: Path
) -> None:
    import map_tasks
    from verisimile.core.random import Seeds
    from verisimile.core.run import Run

    for small in (False, True):
        home = tmp_path / f"done{small}"
        Run(Seeds(7), store=home).map(
            map_tasks.draw, map_tasks.tasks([1.0, 2.0]), label="d", small=small
        )
    (store.path / "shut").mkdir()
    (store.path / "members/secret.json").write_text("{}")
    (store.path / "members/secret.json").chmod(0)
    before = sorted(tmp_path.rglob("*"))
    folders = [path for path in (tmp_path, *tmp_path.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o000 if folder.name == "shut" else 0o555)
    above = [parent for parent in tmp_path.parents if not parent.stat().st_mode & 0o001]
    modes = [parent.stat().st_mode for parent in above]
    try:
        for parent, mode in zip(above, modes, strict=True):
            parent.chmod(mode | 0o111)
        for small in (False, True):
            done = subprocess.run(
                [sys.executable, "-c", SHUT, store.path, tmp_path / f"done{small}"],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            assert (done.stdout, done.returncode) == ("all named\n", 0), done.stderr
    finally:
        for parent, mode in zip(above, modes, strict=True):
            parent.chmod(mode)
        for folder in folders:
            folder.chmod(0o755)
    assert sorted(tmp_path.rglob("*")) == before


NESTED = "[" * 3000 + "]" * 3000
DAMAGES = {
    "brackets without end": NESTED.encode(),
    "brackets in a record": b'{"schema": 1, "meta": ' + NESTED.encode() + b', "seal": "x"}',
    "digits without end": b'{"schema": ' + b"9" * 5000 + b"}",
    "large number": b'{"schema": 1e999, "seal": "x"}',
    "not UTF-8": b'{"schema": 1, "label": "\xff\xfe"}',
    "half a surrogate": b'{"schema": 1, "label": "\\ud800", "seal": 3}',
    "nothing": b"",
    "null": b"null",
    "zeros": bytes(500),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_texts_are_made_again(store: DirectoryStore, damage: str) -> None:
    path = store.path / "members/0007.json"
    path.write_bytes(DAMAGES[damage])
    assert store.state("members/0007", "f") == "corrupt"
    assert store.load("members/0007", "f") is None
    assert store.addresses() == ["members/0007"]
    store.save("members/0007", "f", "members", CONTENT)
    assert store.state("members/0007", "f") == "valid"


def test_a_payload_that_is_none_is_damaged(store: DirectoryStore) -> None:
    path = store.path / "members/0007.json"
    body: dict[str, JSON] = json.loads(path.read_text())
    del body["seal"]
    path.write_bytes(sealed({**body, "sha256": hashlib.sha256(b"none").hexdigest()}))
    path.with_suffix(".safetensors").write_bytes(b"none")
    assert store.state("members/0007", "f") == "corrupt"


@pytest.mark.parametrize("damage", ["brackets without end", "digits without end", "not UTF-8"])
def test_damaged_documents_are_named(store: DirectoryStore, damage: str) -> None:
    (store.path / "manifest.json").write_bytes(DAMAGES[damage])
    if damage == "brackets without end" and sys.version_info >= (3, 14):
        assert store.read_json("manifest") is not None  # reads them without recursion
        return
    with pytest.raises(StoreError, match=r"manifest\.json.*not JSON"):
        store.read_json("manifest")


def test_content_without_end_is_refused(store: DirectoryStore) -> None:
    deep: list[JSON] = []
    for _ in range(3000):
        deep = [deep]
    for meta in ({"x": deep}, {"x": 10**5000}):
        for write in (store.save, store.append):
            with pytest.raises(InputError, match="meta of a"):
                write("a", "f", "x", Payload({}, meta))
    for value in (deep, 10**5000):
        with pytest.raises(InputError, match="manifest"):
            store.write_json("manifest", value)


def _failing(times: int, number: int, real: Callable[[Path], bytes]) -> Callable[[Path], bytes]:
    left = [times]

    def read(path: Path) -> bytes:
        if left[0] > 0:
            left[0] -= 1
            raise OSError(number, os.strerror(number))
        return real(path)

    return read


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EAGAIN, errno.EBUSY, errno.ETIMEDOUT])
def test_refusals_that_pass_are_waited_for(
    store: DirectoryStore, waits: list[float], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(Path, "read_bytes", _failing(3, number, Path.read_bytes))
    assert store.state("members/0007", "f") == "valid"
    assert waits == list(WAITS[:3])
    assert sum(WAITS) <= 2.0


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV])
def test_refusals_that_stay_are_named_and_not_made_again(
    store: DirectoryStore, waits: list[float], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(Path, "read_bytes", _failing(1000, number, Path.read_bytes))
    with pytest.raises(StoreError, match=os.strerror(number)) as told:
        store.load("members/0007", "f")
    assert isinstance(told.value.__cause__, OSError)
    assert told.value.__cause__.errno == number
    assert waits == ([] if number in (errno.ENOTCONN, errno.ENODEV) else list(WAITS))


def test_a_payload_that_comes_late_is_waited_for(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.path / "members/0007.safetensors"
    data, waits = path.read_bytes(), []
    path.unlink()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            path.write_bytes(data)

    monkeypatch.setattr(time, "sleep", sleep)
    assert store.state("members/0007", "f") == "valid"
    assert waits == list(WAITS[:2])
    path.unlink()
    os.utime(path.with_suffix(".json"), (0, 0))
    waits.clear()
    assert store.state("members/0007", "f") == "corrupt"  # of old, it is lost
    assert store.state("members/0008", "f") == "missing"
    assert waits == []


def test_what_is_known_to_be_written_is_waited_for(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            DirectoryStore(store.path).append("toys/1", "f", "toys", CONTENT)

    monkeypatch.setattr(time, "sleep", sleep)
    assert store.load("toys/1", "f") is None
    assert waits == []
    assert store.load("toys/1", "f", written=True) is not None
    assert waits == list(WAITS[:2])


def test_a_record_costs_one_wait_for_the_disk(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = os.fsync

    def counted(descriptor: int) -> None:
        calls.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    store.save("members/0008", "f", "members", CONTENT)
    assert len(calls) == 1
    for index in range(30):
        store.append(f"toys/{index}", "f", "toys", CONTENT)
    assert len(calls) <= 31


def test_temporary_files_are_swept_when_nobody_finishes_them(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom verisimile.core import durable\n"
        "real = os.fsync\n"
        "def stop(descriptor):\n    print('ready', flush=True)\n    sys.stdin.readline()\n"
        "os.fsync = stop\n"
        "durable.write_atomic(Path(sys.argv[1]) / ('x' * 150 + '.json'), b'data')\n"
    )
    from store_processes import Process

    writer = Process(code, tmp_path)
    assert writer.line() == "ready"
    (left,) = tmp_path.iterdir()
    assert is_temporary(left)
    assert f"-{writer.pid}-" in left.name
    assert sweep(tmp_path) == []
    writer.kill()
    assert sweep(tmp_path) == [left]
    assert list(tmp_path.iterdir()) == []


def test_sweeping_takes_nothing_else(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.save("a", "f", "x", CONTENT)
    write_atomic(tmp_path / "b.tmp", b"")
    mine = tmp_path / f".c.json.{FileWriter()}.tmp"
    mine.touch()
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - 3600,) * 2)
    assert sweep(tmp_path) == []
    assert sweep(tmp_path / "nowhere") == []
    os.utime(mine, (time.time() - 90_000,) * 2)
    assert sweep(tmp_path) == [mine]
    assert durable.read_bytes(tmp_path / "b.tmp") == b""


def _made(**other: str) -> dict[str, str]:
    return {**versions(), **other}


def test_mixtures_of_versions_are_told() -> None:
    assert mixed_versions([]) == mixed_versions([_made(), _made()]) == ""
    told = mixed_versions([_made(numpy="2.1"), _made(numpy="2.3"), _made()])
    assert told.startswith(f"records were made with numpy 2.1 and 2.3 and {np.__version__}")
    assert told.endswith(f"this process has numpy {np.__version__}")
    assert mixed_versions([_made(python="3.0")]).startswith("records were made with python 3.0")
    # An old record says nothing, and one made before torch was loaded nothing of torch.
    assert mixed_versions([{}, _made()]) == ""
    assert "torch 1.0 and 2.0" in mixed_versions([_made(torch="1.0"), _made(torch="2.0")])
