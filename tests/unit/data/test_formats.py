from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from verisimile.core.errors import InputError, StoreError
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import check_writable, read_events, write_events
from verisimile.data.formats.file import Columns, EventFile
from verisimile.data.formats.registry import FORMATS


@pytest.fixture
def events(rng: np.random.Generator) -> Events:
    return Events(rng.normal(size=(30, 2)), rng.normal(size=30), names=("m", "pt"))


def test_csv_keeps_every_bit(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.integers(0, 2**63, 500).view(np.float64)
    values = values[np.isfinite(values)][:, None]
    write_events(Events(values), tmp_path / "z.csv")
    np.testing.assert_array_equal(read_events(tmp_path / "z.csv").x, values)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("z.npy", "npy, which has no column names; expected npz"),
        ("z.xls", "unknown file format"),
        ("gone/z.npz", "a folder that does not exist"),
    ],
)
def test_unwritable_names_are_told(events: Events, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_events(events, tmp_path / name)


def test_a_feature_called_weight_beside_weights_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a feature named 'weight' beside event weights"):
        write_events(Events([[1.0]], [1.0], names=("weight",)), tmp_path / "z.csv")


def test_slashes_cannot_go_into_hdf5(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"columns \['a/b'\]"):
        write_events(Events([[1.0]], names=("a/b",)), tmp_path / "z.h5")


def test_awkward_names_survive_npz(tmp_path: Path) -> None:
    events = Events([[1.0, 2.0, 3.0]], names=("file", "allow_pickle", "a/b.npy"))
    write_events(events, tmp_path / "z.npz")
    assert read_events(tmp_path / "z.npz").digest == events.digest


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    events: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_events(events, tmp_path / "z.npz")

    def broken(columns: Columns, _: Sequence[Feature], file: EventFile) -> None:
        file.path.write_bytes(b"half")
        raise OSError(f"disk full after {len(columns)} columns")

    monkeypatch.setitem(FORMATS, ".npz", FORMATS[".npz"]._replace(write=broken))
    with pytest.raises(StoreError, match="disk full"):
        write_events(events.take([0]), tmp_path / "z.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["z.npz"]
    assert read_events(tmp_path / "z.npz", weights="weight").digest == events.digest


@pytest.mark.parametrize("suffix", sorted(FORMATS.keys() - {".npy"}))
def test_a_file_is_replaced_by_its_own_maker_alone(
    events: Events, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"z{suffix}"
    assert check_writable(file, origin="me") == file
    write_events(events, file)
    with pytest.raises(InputError, match="got a file that is there"):
        check_writable(file, origin="me")
    assert check_writable(file) == check_writable(file, origin="me", force=True) == file
    write_events(events, file, origin="me")
    if suffix in (".parquet", ".feather", ".arrow"):
        assert check_writable(file, origin="me") == file
        assert read_events(file, weights="weight").digest == events.digest
        with pytest.raises(InputError, match="made by something else"):
            check_writable(file, origin="you")
    else:
        with pytest.raises(InputError, match="does not say by whom"):
            check_writable(file, origin="me")


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"mine")
    with pytest.raises(InputError, match="made by something else"):
        check_writable(tmp_path / "x.parquet", origin="me")
    (tmp_path / "y.parquet").mkdir()
    with pytest.raises(InputError, match="got a folder"):
        check_writable(tmp_path / "y.parquet", force=True)
